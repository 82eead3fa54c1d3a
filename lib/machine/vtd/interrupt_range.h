/* SPDX-License-Identifier: Apache-2.0 */
/* The range of addresses at which memory requests are interrupts (VT-d 3.15). */
#pragma once

#include "base/bits.h"

namespace wd::machine::vtd
{

constexpr uint64_t kInterruptBase = 0xfee00000;
constexpr uint64_t kInterruptSize = 0x100000;

constexpr bool inInterruptRange(uint64_t address)
{
	return (address >> 20) == (kInterruptBase >> 20);
}

/** Whether [@base, +@size) touches the interrupt range. */
constexpr bool overlapsInterruptRange(uint64_t base, uint64_t size)
{
	return base < kInterruptBase + kInterruptSize && base + (size - 1) >= kInterruptBase;
}

} // namespace wd::machine::vtd
