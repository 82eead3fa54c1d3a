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

class AtsEndpoint;

/** How a page request group was answered (VT-d 7.6.1). */
enum class PageResponse : uint8_t {
	Success = 0,	    /**< try again */
	InvalidRequest = 1, /**< at least one page cannot be had */
	Failure = 15,	    /**< no more page requests, please */
};

/** A requester of pages with DmaAgent::prepare(). */
class PageRequester
{
public:
	virtual ~PageRequester() = default;
	/**
	 * The answer to the request with @token, exactly once. Any thread, no lock of the route
	 * held, perhaps before prepare() has returned. Requests that got lost, timed out or were
	 * cut off by a reset are answered with Failure.
	 */
	virtual void answered(uint64_t token, PageResponse response) noexcept = 0;
};

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

	/** Whether prepare() may request pages for @stream. */
	virtual bool asksForPages(const StreamId &stream) const noexcept
	{
		static_cast<void>(stream);
		return false;
	}

	/**
	 * Look [@iova, +@length) up ahead of accesses that will be @access. Where the function has
	 * address translation services on, translations come into its device TLB, and pages that
	 * are missing are requested, as one group, if it has page requests on. Not inside a burst.
	 * @return Ok: go on, the accesses decide. Pending: they were requested, @requester hears of
	 * it and may try again then; there may be more pages than one group has room for. Blocked:
	 * refused, nothing was requested.
	 */
	virtual DmaResult prepare(const StreamId &stream, uint64_t iova, uint64_t length,
				  Access access, PageRequester &requester, uint64_t token) noexcept
	{
		static_cast<void>(stream), static_cast<void>(iova), static_cast<void>(length);
		static_cast<void>(access), static_cast<void>(requester), static_cast<void>(token);
		return DmaResult::Ok;
	}
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

	/**
	 * The function with requester id @rid has address translation services; @endpoint says
	 * whether they are on. A route without translation ignores it.
	 */
	virtual void attach(Rid rid, std::shared_ptr<AtsEndpoint> endpoint)
	{
		static_cast<void>(rid), static_cast<void>(endpoint);
	}
	/** Returns when nothing of the route uses @endpoint any more. Not inside a burst. */
	virtual void detach(Rid rid, AtsEndpoint &endpoint) noexcept
	{
		static_cast<void>(rid), static_cast<void>(endpoint);
	}
};

} // namespace wd::machine
