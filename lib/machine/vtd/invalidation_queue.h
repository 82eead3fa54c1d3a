/* SPDX-License-Identifier: Apache-2.0 */
/* The invalidation queue (VT-d sheet 5), executed strictly in order. */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "agent.h"
#include "events.h"
#include "registers.h"

namespace wd::machine::vtd
{

/** IQEI: why the queue stopped (sheet 5.8). */
enum class QueueError : uint8_t {
	None = 0,
	InvalidTail = 1,
	FetchFailed = 2,
	InvalidType = 3,
	ReservedField = 4,
	WidthForMode = 5,
	TailAlignment = 6,
	InvalidMode = 7,
};

/** One descriptor; the upper half is zero in a queue of 128-bit descriptors. */
struct Descriptor {
	std::array<uint64_t, 4> q{};
};

/** Covered by the unit's command mutex; takes the register mutex itself, for short. */
class InvalidationQueue
{
public:
	InvalidationQueue(UnitState &state, RegisterFile &registers, std::mutex &registerMutex,
			  EventLine &faultEvent, EventLine &completionEvent)
		: state_(state),
		  registers_(registers),
		  registerMutex_(registerMutex),
		  faultEvent_(faultEvent),
		  completionEvent_(completionEvent)
	{
	}

	/** Execute what lies between head and tail, if the queue runs at all. */
	void run();

	/** Misbehaviour: complete descriptors without dropping anything. */
	void setIgnoring(bool ignore) { ignoring_ = ignore; }
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
	QueueError executeWait(const Descriptor &descriptor);
	void invalidate(const Invalidation &command);
	void stop(QueueError error);

	UnitState &state_;
	RegisterFile &registers_;
	std::mutex &registerMutex_;
	EventLine &faultEvent_, &completionEvent_;
	std::atomic<uint64_t> executed_{0};
	bool ignoring_ = false;
};

} // namespace wd::machine::vtd
