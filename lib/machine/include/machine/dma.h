/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a device reaches memory. A DmaRoute is the fabric (IommuUnit, or DirectRoute where nothing
 * translates); a DmaAgent is one engine thread's port into it.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "machine/types.h"

namespace wd::machine
{

/**
 * One thread's port to memory. Thread-bound: only the thread that uses it may call it, except that
 * invalidations of the route may run concurrently on other threads.
 *
 * A burst is the interval between beginBurst() and endBurst(). An invalidation that completes on
 * another thread has waited for every burst that was running when it started (draining of reads
 * and writes, VT-d 6.5.2.9). read(), write() and store() open a burst of their own when none is
 * open. Keep bursts short (at most one request's copy): invalidations wait for them.
 */
class DmaAgent
{
public:
	virtual ~DmaAgent() = default;
	virtual void beginBurst() noexcept = 0;
	virtual void endBurst() noexcept = 0;

	/** Read [@iova, +dst.size()) of @stream's address space. On failure @dst is undefined. */
	virtual DmaResult read(const StreamId &stream, uint64_t iova,
			       std::span<std::byte> dst) noexcept = 0;

	/** Write. On failure a prefix may have been written (as on a real bus). */
	virtual DmaResult write(const StreamId &stream, uint64_t iova,
				std::span<const std::byte> src) noexcept = 0;

	/** One naturally aligned store of 2, 4 or 8 bytes, after all earlier writes of this agent.
	 */
	virtual DmaResult store(const StreamId &stream, uint64_t iova, unsigned size,
				uint64_t value) noexcept = 0;
};

/** RAII burst. */
class DmaBurst
{
public:
	explicit DmaBurst(DmaAgent &agent) noexcept : agent_(agent) { agent_.beginBurst(); }
	~DmaBurst() { agent_.endBurst(); }
	DmaBurst(const DmaBurst &) = delete;
	DmaBurst &operator=(const DmaBurst &) = delete;

private:
	DmaAgent &agent_;
};

/** The fabric between devices and memory. createAgent() is thread-safe. Agents die before it. */
class DmaRoute
{
public:
	virtual ~DmaRoute() = default;
	virtual std::unique_ptr<DmaAgent> createAgent() = 0;
};

} // namespace wd::machine
