/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of PCI Express address translation services (ATS) and page requests (PRI): the
 * settings in a function's configuration space, and the page requests that wait for an answer
 * (VTD-PRQ-8 to VTD-PRQ-10). The translations themselves are not here: each agent keeps a part of
 * the device TLB. Documentation/design/machine/iommu.rst has more.
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
	/**
	 * The stop marker, with which a function says "no more requests for this PASID": it is the
	 * last of its group, has a PASID, and asks for no access.
	 */
	bool isStopMarker() const { return last && !read && !write && stream.hasPasid; }
};

/** The IOMMU as the function's endpoint calls it. Any thread; the endpoint holds no lock. */
class AtsHost
{
public:
	virtual ~AtsHost() = default;
	/** @messages are those of one group, or a part of it. The caller is not inside a burst. */
	virtual void pageRequests(std::span<const PageRequestMessage> messages) noexcept = 0;
	/** The function has completed the device-TLB invalidation that carried @tag. */
	virtual void invalidationCompleted(Rid rid, unsigned tag) noexcept = 0;
	/** ATS of @rid went on or off. Returns when no burst relies on the old state any more. */
	virtual void translationChanged(Rid rid) noexcept = 0;
};

/** The settings in the function's ATS and PRI capabilities, written by software. */
struct AtsSettings {
	bool translation = false;  /**< ATS enable, and bus master */
	bool pageRequests = false; /**< PRI enable */
	uint32_t allocation = 0;   /**< page requests that may be outstanding */
};

/**
 * How the endpoint answers device-TLB invalidations. All but Obey are misbehaviour, for tests of
 * software that relies on invalidations.
 */
enum class InvalidationConduct : uint8_t {
	Obey,
	Ignore, /**< completes them, but keeps its translations */
	NeverComplete,
	CompleteLate, /**< completes them when a test calls completeLate() */
};

/** Monotonic; readable from any thread. */
struct AtsCounters {
	uint64_t groups = 0, pages = 0;			 /**< requested */
	uint64_t succeeded = 0, refused = 0, failed = 0; /**< callbacks, by response */
	uint64_t unexpected = 0;			 /**< responses that match no group */
};

/**
 * One per function, shared with its IOMMU. Thread-safe. Lock order: the mutexes of the IOMMU, the
 * endpoint's mutex, the mutex of the function's configuration space. The endpoint calls AtsHost and
 * PageRequester without its mutex, and statusChanged with it.
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

	/**
	 * @statusChanged is called with the mutex of the endpoint held, and must not call it back.
	 */
	explicit AtsEndpoint(std::function<void(const StatusChange &)> statusChanged);
	~AtsEndpoint();

	/* Called by the function --------------------------------------------------------------- */

	/** @host: the IOMMU, or nullptr to disconnect. @rid: the function's requester id there. */
	void connect(AtsHost *host, Rid rid);
	/**
	 * Software changed the settings. If that switches ATS or page requests off, all waiters are
	 * answered with Failure.
	 */
	void configure(const AtsSettings &settings);
	/**
	 * PRI reset: as configure() with page requests off; also forget groups that still expect
	 * answers.
	 */
	void resetPageRequests();
	/** Function-level reset. */
	void reset();
	/**
	 * Answer all waiters; returns when that is done. The owner calls this before it destroys
	 * them.
	 */
	void shutdown();

	/* Called by agents --------------------------------------------------------------------- */

	bool translating() const { return translating_.load(std::memory_order_relaxed); }
	bool pageRequesting() const { return pageRequesting_.load(std::memory_order_relaxed); }
	/** Misbehaviour: device-TLB entries survive invalidations. */
	bool keepsTranslations() const { return conduct_ == InvalidationConduct::Ignore; }

	/**
	 * Ask for as many of @pages as the allocation allows, as one group. Where it allows none,
	 * @requester waits until that changes.
	 * @return Pending, or Ok if page requests are off.
	 */
	DmaResult requestPages(const StreamId &stream, std::span<const uint64_t> pages,
			       Access access, PageRequester &requester, uint64_t token) noexcept;

	/* Called by the IOMMU ------------------------------------------------------------------ */

	/** Take a page group response. The next deliver() calls the waiters back. */
	void answer(const StreamId &stream, unsigned group, PageResponse response) noexcept;
	/** Call back waiters that have been answered. The caller holds no lock. */
	void deliver() noexcept;
	/**
	 * The IOMMU sends a device-TLB invalidation with @tag.
	 * @return whether it completes now.
	 */
	bool completesInvalidation(unsigned tag);
	/** Misbehaviour: invalidations that are sent now will never complete. */
	bool abandonsInvalidations() const
	{
		return conduct_ == InvalidationConduct::NeverComplete;
	}

	/* Called by tests ---------------------------------------------------------------------- */

	void setConduct(InvalidationConduct conduct) { conduct_ = conduct; }
	/** Complete invalidations that CompleteLate has held back. */
	void completeLate();
	/** Send a completion with @tag that no invalidation asked for. */
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
	/**
	 * The state of a group index. It stays taken until the response comes, even without
	 * waiters.
	 */
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
