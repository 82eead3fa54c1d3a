/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for the requests of queues: a source and a destination, and their addresses. */
#pragma once

#include <cstring>
#include <new>
#include <sys/mman.h>

#include "fixture.h"

namespace wd::hisitest
{

constexpr uint64_t kSource = 0x100000, kDest = 0x200000;
/** Bytes of the source, and of the destination. */
constexpr size_t kSize = 4 * kPage;

/** The source, full of 'w', and after it the destination. Queues that use it must end before. */
class Buffers
{
public:
	/** @throws std::bad_alloc */
	Buffers()
		: memory(static_cast<uint8_t *>(mmap(nullptr, 2 * kSize, PROT_READ | PROT_WRITE,
						     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
	{
		if (memory == MAP_FAILED)
			throw std::bad_alloc();
		std::memset(memory, 'w', kSize);
	}
	/** Mapped in @space; see error. */
	explicit Buffers(Space &space) : Buffers() { error = map(space); }
	~Buffers() { munmap(memory, 2 * kSize); }
	Buffers(const Buffers &) = delete;
	Buffers &operator=(const Buffers &) = delete;

	/** Map it in @space at kSource and kDest. @return 0 or -errno */
	int map(Space &space) const
	{
		const int ret = space.map(memory, kSize, kSource);

		return ret ? ret : space.map(dest(), kSize, kDest);
	}
	uint8_t *dest() const { return memory + kSize; }
	/** Address of the source in the process, for queues without an attached address space. */
	uint64_t source() const { return reinterpret_cast<uint64_t>(memory); }

	uint8_t *const memory;
	int error = 0;
};

} // namespace wd::hisitest
