/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of PCI Express address translation services (ATS) and page requests (PRI): the
 * settings in a function's configuration space, and the page requests that wait for an answer
 * (VTD-PRQ-8 to VTD-PRQ-10). The translations themselves are in the agents, one device TLB each.
 * Documentation/design/machine/iommu.rst has more.
 */
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <span>
#include <vector>

#include "machine/dma.h"

namespace wd::machine
{

/** A page request message (VT-d 7.4.1.1). */
struct PageRequestMessage {
	StreamId stream;
	uint64_t address = 0;
	bool read = false, write = false;
	bool privileged = false;
	bool last = true; /**< LPIG: an answer is due */
	uint16_t group = 0;
	/** Last, without an access, with a PASID: "no more requests for this PASID". */
	bool isStopMarker() const { return last && !read && !write && stream.hasPasid; }
};

/** Upstream of a function with ATS: the IOMMU. Any thread, no lock of the endpoint held. */
class AtsHost
{
public:
	virtual ~AtsHost() = default;
	/** All messages of one group, or a part of it. Not inside a burst. */
	virtual void pageRequests(std::span<const PageRequestMessage> messages) noexcept = 0;
	/** The completion of the device-TLB invalidation that carried @tag. */
	virtual void invalidationCompleted(Rid rid, unsigned tag) noexcept = 0;
	/** ATS of @rid went on or off: returns when no burst relies on the old state. */
	virtual void translationChanged(Rid rid) noexcept = 0;
};

/** Settings that software wrote into the function's ATS and PRI capabilities. */
struct AtsSettings {
	bool translation = false;  /**< ATS enable, and bus master */
	bool pageRequests = false; /**< PRI enable */
	uint32_t allocation = 0;   /**< page requests that may be outstanding */
};

/** Behaviour of the endpoint on device-TLB invalidations; for tests of software that relies on
 * them. */
enum class InvalidationConduct : uint8_t {
	Obey,
	Ignore, /**< completes, and keeps its translations */
	NeverComplete,
	CompleteLate, /**< when completeLate() is called */
};

/** Monotonic; readable from any thread. */
struct AtsCounters {
	uint64_t groups = 0, pages = 0;			 /**< requested */
	uint64_t succeeded = 0, refused = 0, failed = 0; /**< callbacks, by response */
	uint64_t unexpected = 0; /**< responses to groups without a waiter */
};

/**
 * One per function, shared with its IOMMU. Thread-safe. Its mutex is taken under those of the
 * IOMMU, and only that of the function's configuration space is taken under it. No callback runs
 * with it held.
 */
class AtsEndpoint
{
public:
	/** PRG index has 9 bits. */
	static constexpr unsigned kGroups = 512;
	/** Largest group that requestPages() makes: 256 KiB. */
	static constexpr unsigned kGroupPages = 64;
	/** Outstanding Page Request Capacity. */
	static constexpr uint32_t kCapacity = 8192;

	/** Bits of the PRI status register to set and to clear, and whether PRI enable goes off. */
	struct StatusChange {
		uint16_t set = 0, clear = 0;
		bool disable = false;
	};

	explicit AtsEndpoint(std::function<void(const StatusChange &)> statusChanged);
	~AtsEndpoint();

	/* From the function. --------------------------------------------------------------------
	 */

	/** The IOMMU upstream, and the function's requester id there; nullptr: none. */
	void connect(AtsHost *host, Rid rid);
	/** Switching off answers waiters of that feature with Failure. */
	void configure(const AtsSettings &settings);
	/** PRI reset: also forget groups that still expect answers. */
	void resetPageRequests();
	/** Function-level reset. */
	void reset();
	/** To be called before waiters are destroyed: all are answered when this returns. */
	void shutdown();

	/* From agents. --------------------------------------------------------------------------
	 */

	bool translating() const { return translating_.load(std::memory_order_relaxed); }
	bool pageRequesting() const { return pageRequesting_.load(std::memory_order_relaxed); }
	/** Device-TLB entries shall survive invalidations. */
	bool keepsTranslations() const { return conduct_ == InvalidationConduct::Ignore; }

	/**
	 * Ask for as many of @pages as the allocation allows, as one group. Where it allows none,
	 * @requester waits until that changes. @return Pending, or Ok if page requests are off.
	 */
	DmaResult requestPages(const StreamId &stream, std::span<const uint64_t> pages,
			       Access access, PageRequester &requester, uint64_t token) noexcept;

	/* From the IOMMU. -----------------------------------------------------------------------
	 */

	/** A page group response. The next deliver() calls its waiters back. */
	void answer(const StreamId &stream, unsigned group, PageResponse response) noexcept;
	/** Call back waiters that have been answered. No lock held. */
	void deliver() noexcept;
	/** A device-TLB invalidation has been carried out. @return whether it completes now. */
	bool completesInvalidation(unsigned tag);
	/** It will never complete. */
	bool abandonsInvalidations() const
	{
		return conduct_ == InvalidationConduct::NeverComplete;
	}

	/* From tests. ---------------------------------------------------------------------------
	 */

	void setConduct(InvalidationConduct conduct) { conduct_ = conduct; }
	/** Complete invalidations that CompleteLate has held back. */
	void completeLate();
	/** A completion without an invalidation. */
	void completeStray(unsigned tag);
	/**
	 * Send @messages as they are, in the function's name: any PASID, any group index, beyond
	 * the allocation, even with PRI off. Answers have no waiters.
	 */
	void sendRaw(std::vector<PageRequestMessage> messages);
	AtsCounters counters() const;

private:
	struct Waiting {
		PageRequester *requester;
		uint64_t token;
		PageResponse response;
	};
	using WaitingList = std::list<Waiting>;
	/** A group index; it stays taken until the response, even without waiters. */
	struct Group {
		bool taken = false, awaited = false, hasPasid = false;
		uint32_t pasid = 0, pages = 0;
		WaitingList::iterator waiting;
	};

	int takeGroup();
	void release(Group &group);
	void settle(WaitingList &from, WaitingList::iterator which, PageResponse response);
	void failAll();
	void forgetGroups();
	void wakeDeferred();
	void showStopped();
	void apply(const AtsSettings &settings, bool forget);

	const std::function<void(const StatusChange &)> statusChanged_;
	std::atomic<bool> translating_{false}, pageRequesting_{false};
	std::atomic<InvalidationConduct> conduct_{InvalidationConduct::Obey};

	mutable std::mutex mutex_;
	std::condition_variable idle_;
	AtsHost *host_ = nullptr;
	Rid rid_;
	AtsSettings settings_;
	std::array<Group, kGroups> groups_;
	unsigned nextGroup_ = 0, takenGroups_ = 0;
	uint32_t outstandingPages_ = 0;
	WaitingList requested_; /**< in a group that is on its way */
	WaitingList deferred_;	/**< until there is room for their group */
	WaitingList ready_;	/**< answered, not yet called back */
	unsigned delivering_ = 0;
	bool closed_ = false;
	std::vector<unsigned> late_; /**< tags of invalidations that are to be completed late */
	AtsCounters counters_;
};

} // namespace wd::machine
