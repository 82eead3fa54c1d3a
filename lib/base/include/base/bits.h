/* SPDX-License-Identifier: Apache-2.0 */
/* Bit fields of 64-bit words, numbered as the specifications number them: bit 0 is the lowest. */
#pragma once

#include <cstdint>

namespace wd
{

/** A page has 4 KiB: the smallest page of VT-d's tables, and the unit of every mapping. */
constexpr unsigned kPageShift = 12;
constexpr uint64_t kPageSize = uint64_t{1} << kPageShift;

constexpr uint64_t bit(unsigned n)
{
	return uint64_t{1} << n;
}

/** A word with bits @high..@low set; 63 >= @high >= @low. */
constexpr uint64_t mask(unsigned high, unsigned low)
{
	return (~uint64_t{0} >> (63 - high)) & (~uint64_t{0} << low);
}

/** The number in bits @high..@low of @word. */
constexpr uint64_t field(uint64_t word, unsigned high, unsigned low)
{
	return (word & mask(high, low)) >> low;
}

constexpr bool has(uint64_t word, unsigned n)
{
	return (word >> n) & 1;
}

/** The 64-bit word whose halves are @low and @high. */
constexpr uint64_t wide(uint32_t low, uint32_t high)
{
	return low | uint64_t{high} << 32;
}

} // namespace wd
