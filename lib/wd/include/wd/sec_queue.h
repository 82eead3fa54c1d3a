/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SecQueue: a queue of an accelerator of ciphers and digests, with its requests and completions.
 * Sending and polling are loads and stores: no system call, no lock, no allocation.
 *
 * Life: as Queue, with start() and trySend(), poll().
 */
#pragma once

#include <span>
#include <vector>

#include "wd/queue.h"
#include "wd/sec_sqe.h"

namespace wd
{

namespace sec
{

/** The format of a queue: one for all operations. */
constexpr QueueFormat queueFormat()
{
	return {0, sizeof(Sqe)};
}

/**
 * Turns requests into descriptors and checks results. It keeps what it needs of each request in a
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
	 * @return Ok if all were sent, else the reason why the next one was not; Invalid: it does
	 *	not fit into a descriptor, see fits()
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
		Operation operation = Operation::Encrypt;
		Mode mode = Mode::Cbc;
	};

	std::vector<Sent> sent_;
};

} // namespace sec

/** A queue of an accelerator of ciphers and digests. Thread-bound, as Queue. */
class SecQueue : public Queue
{
public:
	using Queue::Queue;

	/** As Queue::start(). @throws Error */
	void start();
	void start(DmaMode mode);

	/** Fill a slot and ring the doorbell. */
	QueueStatus trySend(const sec::Request &request) noexcept;
	/** As sec::Slots::poll(). */
	PollResult poll(std::span<sec::Completion> out) noexcept;

private:
	void makeSlots();

	sec::Slots slots_;
};

} // namespace wd
