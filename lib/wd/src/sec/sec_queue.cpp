// SPDX-License-Identifier: Apache-2.0
#include "wd/sec_queue.h"

#include "rings.h"

namespace wd
{

namespace sec
{

QueueStatus Slots::send(detail::Rings &rings, std::span<const Request> requests,
			unsigned &sent) noexcept
{
	return rings.send<Sqe>(requests.size(), sent, [&](Sqe &sqe, unsigned slot, unsigned i) {
		const Request &request = requests[i];
		if (!fits(request))
			return false;
		fillSqe(sqe, request);
		sent_[slot] = {request.tag, request.operation, request.mode};
		return true;
	});
}

PollResult Slots::poll(detail::Rings &rings, std::span<Completion> out) noexcept
{
	return rings.poll<Sqe>(out.size(), [&](const Sqe &sqe, unsigned slot, unsigned i) {
		const Sent &request = sent_[slot];
		const Completion completion = parseSqe(sqe, request.operation, request.mode);
		if (completion.tag != request.tag)
			return false;
		out[i] = completion;
		return true;
	});
}

} // namespace sec

void SecQueue::makeSlots()
try {
	QueueStatus status;
	slots_ = sec::Slots(rings(status)->slots());
} catch (...) { /* no memory */
	stop();
	throw;
}

void SecQueue::start()
{
	Queue::start(sec::queueFormat());
	makeSlots();
}

void SecQueue::start(DmaMode mode)
{
	Queue::start(sec::queueFormat(), mode);
	makeSlots();
}

QueueStatus SecQueue::trySend(const sec::Request &request) noexcept
{
	QueueStatus status;
	unsigned sent;
	detail::Rings *there = rings(status);

	return there ? slots_.send(*there, {&request, 1}, sent) : status;
}

PollResult SecQueue::poll(std::span<sec::Completion> out) noexcept
{
	QueueStatus status;
	detail::Rings *there = rings(status);

	return there ? slots_.poll(*there, out) : PollResult{status, 0};
}

} // namespace wd
