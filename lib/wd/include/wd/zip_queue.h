/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZipQueue: a queue of a compression accelerator, with its requests and completions. Sending and
 * polling are loads and stores: no system call, no lock, no allocation.
 *
 * Life: as Queue, with start(direction) and trySend(), poll().
 */
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wd/queue.h"
#include "wd/sqe.h"

namespace wd
{

namespace zip
{

/** The format of a queue of @direction. */
constexpr QueueFormat queueFormat(Direction direction)
{
	return {static_cast<uint16_t>(direction), sizeof(Sqe)};
}

/**
 * Turns requests into descriptors and checks results. It keeps its own copy of each request in a
 * slot, because a hostile device can write to the ring. Thread-bound.
 */
class Slots
{
public:
	Slots() = default;
	/** For rings of @count slots. */
	explicit Slots(unsigned count) : sent_(count) {}

	/**
	 * Fill slots in order until a request cannot be sent, then ring the doorbell once.
	 * @param sent number of requests that were sent
	 * @return Ok if all were sent, else the reason why the next one was not; Invalid: a length
	 *	is 0 where it may not be, or over kMaxBuffer
	 */
	QueueStatus send(detail::Rings &rings, std::span<const Request> requests,
			 unsigned &sent) noexcept;
	/**
	 * Take the completions that have arrived, oldest first, at most @out.size(). Never blocks.
	 */
	PollResult poll(detail::Rings &rings, std::span<Completion> out) noexcept;

private:
	struct Sent {
		uint64_t tag = 0;
		uint32_t sourceLength = 0, destinationLength = 0;
	};

	std::vector<Sent> sent_;
};

} // namespace zip

/** A queue of a compression accelerator. Thread-bound, as Queue. */
class ZipQueue : public Queue
{
public:
	using Queue::Queue;

	/** As Queue::start(). @throws Error */
	void start(zip::Direction direction);
	void start(zip::Direction direction, DmaMode mode);
	zip::Direction direction() const noexcept { return direction_; }

	/** Fill a slot and ring the doorbell. */
	QueueStatus trySend(const zip::Request &request) noexcept;
	/** As zip::Slots::send(). */
	QueueStatus trySendBatch(std::span<const zip::Request> requests, unsigned &sent) noexcept;
	/** As zip::Slots::poll(). */
	PollResult poll(std::span<zip::Completion> out) noexcept;

	/**
	 * The error of @request, after a completion with an error: EFAULT with the address that the
	 * device may not reach, if the IOMMU's log of faults shows it; else EBADMSG. Slow: use it
	 * only to report errors.
	 */
	Error failure(const zip::Request &request, const zip::Completion &completion) const;

private:
	void makeSlots(zip::Direction direction);

	zip::Direction direction_ = zip::Direction::Compress;
	zip::Slots slots_;
};

} // namespace wd
