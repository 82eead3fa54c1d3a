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
	Failure = 15,	    /**< the function should send no more page requests */
};

/** The caller of DmaAgent::prepare(), to which the answer to its page request goes. */
class PageRequester
{
public:
	virtual ~PageRequester() = default;
	/**
	 * The answer to the request with @token. Called exactly once for each prepare() that
	 * returns Pending: on any thread, with no lock of the route held, perhaps before prepare()
	 * has returned. A request that is lost, times out or is cut off by a reset gets Failure.
	 */
	virtual void answered(uint64_t token, PageResponse response) noexcept = 0;
};

/**
 * One thread's port to memory. Thread-bound: only one thread may call it. Invalidations of the
 * route may run on other threads at the same time.
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

	/** Write @src at @iova. On failure a prefix may have been written, as on a real bus. */
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
	 * Make [@iova, +@length) ready for accesses of kind @access that follow. Call it outside a
	 * burst. If ATS of the function is on, its translations come into the device TLB; if its
	 * page requests are on too, pages that are missing are requested, as one group.
	 * @return Ok: nothing to wait for, each access now succeeds or fails by itself. Pending:
	 * pages were requested. @requester gets the answer and calls again then, since one group
	 * may not have room for all of them. Blocked: the IOMMU refuses the range; nothing was
	 * requested.
	 */
	virtual DmaResult prepare(const StreamId &stream, uint64_t iova, uint64_t length,
				  Access access, PageRequester &requester, uint64_t token) noexcept
	{
		static_cast<void>(stream), static_cast<void>(iova), static_cast<void>(length);
		static_cast<void>(access), static_cast<void>(requester), static_cast<void>(token);
		return DmaResult::Ok;
	}
};

/** A burst for as long as the object lives. */
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

/**
 * The fabric between devices and memory. createAgent() is thread-safe. Destroy its agents before
 * it.
 */
class DmaRoute
{
public:
	virtual ~DmaRoute() = default;
	virtual std::unique_ptr<DmaAgent> createAgent() = 0;

	/**
	 * Tell the route that the function with requester id @rid has ATS. @endpoint says whether
	 * ATS is on. A route without translation ignores the call.
	 */
	// NOLINTNEXTLINE(performance-unnecessary-value-param): a route with translation keeps it
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
