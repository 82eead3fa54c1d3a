/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that translated requests reach, as the embedder of the machine supplies it: the
 * process itself (hosted), a guest's RAM (vfio-user), or a sparse arena with holes (tests).
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace wd::machine
{

/**
 * Physical (host physical, HPA) memory. Thread-safe: every function may be called from any thread
 * at any time. Nothing here ever crashes on a bad address: an address without memory is `false`.
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
	 * @return false if there is no memory, the size is another one, or @pa is unaligned.
	 */
	virtual bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept = 0;

	/** One naturally aligned store of 1, 2, 4 or 8 bytes, single-copy atomic, release. */
	virtual bool store(uint64_t pa, unsigned size, uint64_t value) noexcept = 0;

	/**
	 * Atomic compare and exchange of an aligned 64-bit word. @expected is updated with the
	 * value found. @return false if there is no memory; otherwise @exchanged says whether it
	 * was done.
	 */
	virtual bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
				     bool &exchanged) noexcept = 0;
};

} // namespace wd::machine
