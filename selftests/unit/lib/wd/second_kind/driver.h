/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions that the driver and the device of the second kind share. */
#pragma once

#include <cstdint>

namespace wd::test
{

/** Word 13 of the SQ context. */
constexpr uint16_t kAdlerQueue = 9;

struct AdlerDescriptor {
	uint64_t source = 0, tag = 0;
	uint32_t length = 0, sum = 0;
	uint32_t reserved[10] = {};
};
static_assert(sizeof(AdlerDescriptor) == 64);

} // namespace wd::test
