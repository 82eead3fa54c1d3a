/* SPDX-License-Identifier: Apache-2.0 */
/* The invalidation queue (VT-d 6.5.2), executed strictly in order. */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "agent.h"
#include "events.h"
#include "page_requests.h"
#include "registers.h"

namespace wd::machine::vtd
{

/** IQEI: why the queue stopped (VT-d 11.4.9.9). */
enum class QueueError : uint8_t {
	None = 0,
	InvalidTail = 1,
	FetchFailed = 2,
	InvalidType = 3,
	ReservedField = 4,
	WidthForMode = 5,
	TailAlignment = 6,
	InvalidMode = 7,
	/* Not codes of IQERCD: the queue stops at a wait descriptor. */
	TimedOut = 0x80, /**< a device-TLB invalidation was never completed (ITE) */
	Pending = 0x81,	 /**< a device has not completed one yet */
};

/** One descriptor; the upper half is zero in a queue of 128-bit descriptors. */
struct Descriptor {
	std::array<uint64_t, 4> q{};
};

/**
 * The caller holds the unit's command mutex. The register mutex is taken inside, for a short time.
 */
class InvalidationQueue
{
public:
	InvalidationQueue(UnitState &state, RegisterFile &registers, std::mutex &registerMutex,
			  EventLine &faultEvent, EventLine &completionEvent,
			  PageRequestQueue &pageRequests)
		: state_(state),
		  registers_(registers),
		  registerMutex_(registerMutex),
		  faultEvent_(faultEvent),
		  completionEvent_(completionEvent),
		  pageRequests_(pageRequests)
	{
	}

	/** Execute the descriptors between head and tail, if the queue runs. */
	void run();
	/** The function at @rid has completed the device-TLB invalidation @tag. */
	void completed(Rid rid, unsigned tag);
	/** Forget outstanding invalidations. */
	void reset() { outstanding_.clear(); }
	/**
	 * Endpoints that got page responses since the last call. The caller calls deliver() on
	 * each.
	 */
	std::vector<std::shared_ptr<AtsEndpoint>> takeAnswered() { return std::move(answered_); }

	/** Misbehaviour: complete descriptors, but drop no cached entries. */
	void setIgnoring(bool ignore) { ignoring_ = ignore; }
	/**
	 * Misbehaviour: execute nothing. When it is off again, run() continues at the same place.
	 */
	void setStalled(bool stall) { stalled_ = stall; }
	uint64_t executed() const { return executed_.load(std::memory_order_relaxed); }

private:
	struct Ring {
		uint64_t base = 0;
		uint32_t head = 0, tail = 0, size = 0, step = 0;
		bool runs = false;
	};

	Ring readRing() const;
	QueueError checkRing(const Ring &ring) const;
	QueueError fetch(const Ring &ring, Descriptor &descriptor) const;
	QueueError check(const Descriptor &descriptor) const;
	QueueError execute(const Descriptor &descriptor);
	QueueError executeContext(const Descriptor &descriptor);
	QueueError executeIotlb(const Descriptor &descriptor);
	QueueError executePasidIotlb(const Descriptor &descriptor);
	QueueError executePasid(const Descriptor &descriptor);
	QueueError executeDeviceTlb(const Descriptor &descriptor);
	QueueError executePasidDeviceTlb(const Descriptor &descriptor);
	void sendDeviceTlb(const DeviceTlbInvalidation &command);
	void invalidateDeviceTlb(const DeviceTlbInvalidation &command);
	QueueError executePageGroupResponse(const Descriptor &descriptor);
	QueueError awaitDeviceTlbs();
	QueueError executeWait(const Descriptor &descriptor);
	void invalidate(const Invalidation &command);
	void stop(QueueError error);

	/** A device-TLB invalidation that has been sent and not completed (VT-d 4.3). */
	struct Outstanding {
		DeviceTlbInvalidation command;
		unsigned tag;
		bool hopeless; /**< no such device exists, or it will never complete */
	};

	UnitState &state_;
	RegisterFile &registers_;
	std::mutex &registerMutex_;
	EventLine &faultEvent_, &completionEvent_;
	PageRequestQueue &pageRequests_;
	std::vector<Outstanding> outstanding_;
	unsigned nextTag_ = 0;
	std::vector<std::shared_ptr<AtsEndpoint>> answered_;
	std::atomic<uint64_t> executed_{0};
	bool ignoring_ = false, stalled_ = false;
};

} // namespace wd::machine::vtd
