/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that translated requests reach. The program that builds the machine supplies it: its
 * own memory (hosted), a guest's RAM (vfio-user), or sparse memory with holes (tests).
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace wd::machine
{

/**
 * Physical (host physical, HPA) memory. Thread-safe: any thread may call every function at any
 * time. For an address without memory a function returns false; it never crashes.
 */
class PhysicalMemory
{
public:
	virtual ~PhysicalMemory() = default;

	/** Copy @len bytes at @pa to @dst. @return false if there is no memory at some byte. */
	virtual bool read(uint64_t pa, void *dst, size_t len) noexcept = 0;

	/** Copy @len bytes from @src to @pa. On false a prefix may have been written. */
	virtual bool write(uint64_t pa, const void *src, size_t len) noexcept = 0;

	/**
	 * One naturally aligned load of 1, 2, 4 or 8 bytes, single-copy atomic, acquire.
	 * @return false if there is no memory at @pa, @size is none of these, or @pa is not
	 * aligned.
	 */
	virtual bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept = 0;

	/** One naturally aligned store of 1, 2, 4 or 8 bytes, single-copy atomic, release. */
	virtual bool store(uint64_t pa, unsigned size, uint64_t value) noexcept = 0;

	/**
	 * Atomic compare and exchange of an aligned 64-bit word. @expected is updated with the
	 * value found.
	 * @return false if there is no memory; otherwise @exchanged says whether it was done.
	 */
	virtual bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
				     bool &exchanged) noexcept = 0;
};

} // namespace wd::machine
