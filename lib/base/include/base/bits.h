/* SPDX-License-Identifier: Apache-2.0 */
/* Words, and their bit fields, numbered as the specifications number them: bit 0 is the lowest. */
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

/** Whether @address is that of a word of @size bytes: 1, 2, 4 or 8, and aligned to it. */
constexpr bool isWord(uint64_t address, unsigned size)
{
	/* Not std::has_single_bit(), which calls a function where the processor has no such instruction. */
	return size && size <= 8 && !(size & (size - 1)) && !(address & (size - 1));
}

} // namespace wd
