// SPDX-License-Identifier: Apache-2.0
#include "wd/zip_queue.h"

#include <array>
#include <cerrno>
#include <string>

#include "rings.h"
#include "wd/error.h"

namespace wd
{

namespace zip
{

namespace
{

bool lengthsFit(const Request &request) noexcept
{
	return request.sourceLength <= kMaxBuffer && request.destinationLength > 0 &&
	       request.destinationLength <= kMaxBuffer;
}

} // namespace

QueueStatus Slots::send(detail::Rings &rings, std::span<const Request> requests,
			unsigned &sent) noexcept
{
	return rings.send<Sqe>(requests.size(), sent, [&](Sqe &sqe, unsigned slot, unsigned i) {
		const Request &request = requests[i];
		if (!lengthsFit(request))
			return false;
		fillSqe(sqe, request);
		sent_[slot] = {request.tag, request.sourceLength, request.destinationLength};
		return true;
	});
}

PollResult Slots::poll(detail::Rings &rings, std::span<Completion> out) noexcept
{
	return rings.poll<Sqe>(out.size(), [&](const Sqe &sqe, unsigned slot, unsigned i) {
		const Completion completion = parseSqe(sqe);
		const Sent &request = sent_[slot];
		if (completion.tag != request.tag || completion.consumed > request.sourceLength ||
		    completion.produced > request.destinationLength)
			return false;
		out[i] = completion;
		return true;
	});
}

} // namespace zip

void ZipQueue::makeSlots(zip::Direction direction)
try {
	QueueStatus status;
	direction_ = direction;
	slots_ = zip::Slots(rings(status)->slots());
} catch (...) { /* no memory */
	stop();
	throw;
}

void ZipQueue::start(zip::Direction direction)
{
	Queue::start(zip::queueFormat(direction));
	makeSlots(direction);
}

void ZipQueue::start(zip::Direction direction, DmaMode mode)
{
	Queue::start(zip::queueFormat(direction), mode);
	makeSlots(direction);
}

QueueStatus ZipQueue::trySend(const zip::Request &request) noexcept
{
	unsigned sent;
	return trySendBatch({&request, 1}, sent);
}

QueueStatus ZipQueue::trySendBatch(std::span<const zip::Request> requests, unsigned &sent) noexcept
{
	QueueStatus status;
	detail::Rings *there = rings(status);

	sent = 0;
	return there ? slots_.send(*there, requests, sent) : status;
}

PollResult ZipQueue::poll(std::span<zip::Completion> out) noexcept
{
	QueueStatus status;
	detail::Rings *there = rings(status);

	return there ? slots_.poll(*there, out) : PollResult{status, 0};
}

Error ZipQueue::failure(const zip::Request &request, const zip::Completion &completion) const
{
	const std::array<MemoryRange, 3> memory = {{
		{request.source, request.sourceLength},
		{request.destination, request.destinationLength},
		{request.context, request.stateful ? zip::kContextSize : 0},
	}};
	const bool unclear = !zip::isSuccess(completion.status) &&
			     completion.status != zip::Status::OutputTooSmall &&
			     completion.status != zip::Status::ChecksumMismatch;
	if (unclear)
		if (auto error = accessError(memory))
			return *error;
	return Error(EBADMSG, name(),
		     std::string("run a request: ") + statusText(completion.status));
}

} // namespace wd
