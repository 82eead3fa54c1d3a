/* SPDX-License-Identifier: Apache-2.0 */
/* Bit fields of 64-bit words, numbered as VT-d 9 numbers them. */
#pragma once

#include <cstdint>

namespace wd::machine::vtd
{

constexpr uint64_t bit(unsigned n)
{
	return uint64_t{1} << n;
}

/** Bits @high..@low set, 63 >= @high >= @low. */
constexpr uint64_t mask(unsigned high, unsigned low)
{
	return (~uint64_t{0} >> (63 - high)) & (~uint64_t{0} << low);
}

constexpr uint64_t field(uint64_t word, unsigned high, unsigned low)
{
	return (word & mask(high, low)) >> low;
}

constexpr bool has(uint64_t word, unsigned n)
{
	return (word >> n) & 1;
}

constexpr unsigned kPageShift = 12;
constexpr uint64_t kPageSize = 4096;

/** FEE00000h-FEEFFFFFh, where memory requests are interrupts (VT-d 3.15). */
constexpr uint64_t kInterruptBase = 0xfee00000;
constexpr uint64_t kInterruptSize = 0x100000;

constexpr bool inInterruptRange(uint64_t address)
{
	return (address >> 20) == (kInterruptBase >> 20);
}

/** Does @size at @base touch the interrupt range? */
constexpr bool overlapsInterruptRange(uint64_t base, uint64_t size)
{
	return base < kInterruptBase + kInterruptSize && base + (size - 1) >= kInterruptBase;
}

} // namespace wd::machine::vtd
