/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats of VT-d's invalidation descriptors (VT-d 6.5.2, VTD-QI-3). Both the unit, which executes
 * descriptors, and the VMM, which reads a guest's, use these bits. They share no behaviour.
 */
#pragma once

#include <cstdint>
#include <iterator>

#include "base/bits.h"

namespace wd::vtd_descriptor
{

enum Type : unsigned {
	kContext = 1,
	kIotlb = 2,
	kDeviceTlb = 3,
	kInterruptEntry = 4,
	kWait = 5,
	kPasidIotlb = 6,
	kPasidCache = 7,
	kPasidDeviceTlb = 8,
	kPageGroupResponse = 9,
};

constexpr uint64_t kTypeBits = mask(11, 9) | mask(3, 0);

/**
 * The bits of the first two words that a descriptor may use besides its type. All others must be
 * zero.
 */
struct Format {
	uint64_t q0 = 0, q1 = 0;
};

constexpr Format kFormats[] = {
	{},
	{mask(49, 16) | mask(5, 4), 0},
	{mask(31, 16) | mask(7, 4), mask(63, 12) | mask(6, 0)},
	{mask(47, 32) | mask(20, 16), mask(63, 12) | bit(0)},
	{mask(47, 27) | bit(4), 0},
	{mask(63, 32) | mask(6, 4), mask(63, 2)},
	{mask(51, 16) | mask(5, 4), mask(63, 12) | mask(6, 0)},
	{mask(51, 16) | mask(5, 4), 0},
	{mask(51, 16) | mask(8, 4), mask(63, 11) | bit(0)},
	{mask(51, 12) | bit(4), mask(11, 2)},
};

constexpr unsigned typeOf(uint64_t q0)
{
	return field(q0, 11, 9) << 4 | field(q0, 3, 0);
}

constexpr bool known(unsigned type)
{
	return type && type < std::size(kFormats);
}

/** Whether the reserved bits of a descriptor are zero. @type must be known(). */
constexpr bool reservedAreZero(unsigned type, uint64_t q0, uint64_t q1, uint64_t q2, uint64_t q3)
{
	const Format &format = kFormats[type];

	return !(q0 & ~(format.q0 | kTypeBits)) && !(q1 & ~format.q1) && !q2 && !q3;
}

} // namespace wd::vtd_descriptor
