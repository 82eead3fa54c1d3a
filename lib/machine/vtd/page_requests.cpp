// SPDX-License-Identifier: Apache-2.0
#include "page_requests.h"

#include "base/bits.h"
#include "core/trace.h"

namespace wd::machine::vtd
{
namespace
{

constexpr uint32_t kDescriptorSize = 32;

uint64_t ringSize(const RegisterFile &registers)
{
	return kPageSize << field(registers.read(reg::kPqa), 2, 0);
}

} // namespace

void PageRequestQueue::receive(std::span<const PageRequestMessage> messages) noexcept
{
	std::lock_guard lock(mutex_);

	for (const PageRequestMessage &message : messages)
		receive(message);
}

/*
 * VTD-PRQ-1, VTD-PRQ-4, VTD-PRQ-5. A stop marker that cannot be queued is dropped without a fault.
 */
void PageRequestQueue::receive(const PageRequestMessage &message) noexcept
{
	PageRequestTarget target;
	uint64_t at;

	WD_TRACE_EVENT(vtd, page_request,
		       "sid=%s pasid=%s prgi=%u addr=0x%llx rdr=%d wrr=%d lpig=%d",
		       trace::Sid(message.stream.rid).text, trace::Pasid(message.stream).text,
		       message.group, trace::hex(message.address), message.read, message.write,
		       message.last);
	if (!state_.enabled())
		return answer(message, PageResponse::InvalidRequest);
	{
		DmaBurst burst(agent_);

		target = agent_.locatePageRequest(message);
	}
	if (target.reason != FaultReason::None)
		return answer(message, PageResponse::InvalidRequest);
	if (!reserve(message.isStopMarker(), at))
		return answer(message, PageResponse::Success);
	if (!message.isStopMarker())
		flush(target, message.address);
	const StreamId &stream = message.stream;
	const uint64_t low = 1 | uint64_t{stream.hasPasid} << 8 | uint64_t{stream.rid.value} << 16 |
			     (stream.hasPasid ? uint64_t{stream.pasid} << 32 : 0) |
			     uint64_t{message.privileged} << 53;
	const uint64_t high = uint64_t{message.read} | uint64_t{message.write} << 1 |
			      uint64_t{message.last} << 2 | uint64_t{message.group & 0x1ffu} << 3 |
			      (message.address & mask(63, 12));
	const bool written = state_.memory.store64(at, low) &&
			     state_.memory.store64(at + 8, high) &&
			     state_.memory.store64(at + 16, 0) && state_.memory.store64(at + 24, 0);

	/* The specification has no error code for a queue without memory. */
	if (!written)
		return answer(message, PageResponse::InvalidRequest);
	publish();
}

void PageRequestQueue::answer(const PageRequestMessage &message, PageResponse response) noexcept
{
	if (!message.last || message.isStopMarker())
		return;
	WD_TRACE_EVENT(vtd, page_response, "sid=%s pasid=%s prgi=%u code=%u",
		       trace::Sid(message.stream.rid).text, trace::Pasid(message.stream).text,
		       message.group, static_cast<unsigned>(response));
	if (AtsEndpoint *endpoint = state_.endpoints.find(message.stream.rid))
		endpoint->answer(message.stream, message.group, response);
}

/*
 * Find the place of the next descriptor. @return false if the queue is full or has overflowed
 * (VTD-PRQ-2, VTD-PRQ-3). A stop marker does not make it overflow (VTD-PRQ-9).
 */
bool PageRequestQueue::reserve(bool marker, uint64_t &address)
{
	std::lock_guard lock(registerMutex_);
	const uint64_t size = ringSize(registers_);
	const uint64_t tail = registers_.read(reg::kPqt) % size;

	if (registers_.read(reg::kPrs) & kPrsPro)
		return false;
	if ((tail + kDescriptorSize) % size == registers_.read(reg::kPqh)) {
		if (!marker)
			event_.raise(kPrsPro);
		return false;
	}
	address = (registers_.read64(reg::kPqa) & mask(63, 12)) + tail;
	return true;
}

void PageRequestQueue::publish()
{
	std::lock_guard lock(registerMutex_);
	const uint64_t size = ringSize(registers_);

	registers_.set(reg::kPqt, (registers_.read(reg::kPqt) + kDescriptorSize) % size);
	event_.raise(kPrsPpr);
}

/* VTD-PRQ-6: after this, the device's next attempt sees the tables as they are then. */
void PageRequestQueue::flush(const PageRequestTarget &target, uint64_t address)
{
	Invalidation command;

	command.domain = target.domain;
	command.pasid = target.pasid;
	command.address = address & mask(63, 12);
	switch (target.type) {
	case PageTableType::FirstStage:
		command.scope = Invalidation::Scope::PasidIotlbPages;
		break;
	case PageTableType::Nested:
		command.scope = Invalidation::Scope::IotlbDomain;
		break;
	default:
		command.scope = Invalidation::Scope::IotlbPages;
	}
	state_.agents.apply(command);
}

} // namespace wd::machine::vtd
