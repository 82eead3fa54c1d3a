// SPDX-License-Identifier: Apache-2.0
#include "invalidation_queue.h"

#include "base/vtd_descriptors.h"
#include "core/trace.h"

namespace wd::machine::vtd
{
namespace
{

using namespace vtd_descriptor;

/*
 * A tag (ITag) has 5 bits in the message. The model uses 16, so that the tag of a stray completion
 * does not match an outstanding one by chance.
 */
constexpr unsigned kTagMask = 0xffff;

constexpr unsigned kLastLegacyType = kWait;
constexpr unsigned kPageRequestDrain = 7; /* of a wait descriptor */

unsigned granularity(const Descriptor &descriptor)
{
	return field(descriptor.q[0], 5, 4);
}

unsigned tableMode(RootPointer root)
{
	return field(root, 11, 10);
}

} // namespace

InvalidationQueue::Ring InvalidationQueue::readRing() const
{
	std::lock_guard lock(registerMutex_);
	const uint64_t iqa = registers_.read64(reg::kIqa);
	Ring ring;

	ring.base = iqa & mask(63, 12);
	ring.size = kPageSize << field(iqa, 2, 0);
	ring.step = has(iqa, kIqaWidthBit) ? 32 : 16;
	ring.head = registers_.read(reg::kIqh);
	ring.tail = registers_.read(reg::kIqt);
	ring.runs = (registers_.read(reg::kGsts) & kQueueEnable) && ring.head != ring.tail &&
		    !(registers_.read(reg::kFsts) & (kFstsIqe | kFstsIte));
	return ring;
}

/* VTD-QI-5 */
QueueError InvalidationQueue::checkRing(const Ring &ring) const
{
	const unsigned mode = tableMode(state_.root.load(std::memory_order_relaxed));

	if (mode == 2)
		return QueueError::InvalidMode;
	if (mode != 0 && ring.step != 32)
		return QueueError::WidthForMode;
	if (ring.tail % ring.step || ring.head % ring.step)
		return QueueError::TailAlignment;
	if (ring.tail >= ring.size || ring.head >= ring.size)
		return QueueError::InvalidTail;
	return QueueError::None;
}

/* VTD-QI-1, VTD-QI-9. The caller holds the command mutex, so that tail and base do not change. */
void InvalidationQueue::run()
{
	Ring ring = readRing();

	if (!ring.runs || stalled_)
		return;
	QueueError error = checkRing(ring);

	while (error == QueueError::None && ring.head != ring.tail) {
		Descriptor descriptor;

		error = fetch(ring, descriptor);
		if (error == QueueError::None)
			error = check(descriptor);
		WD_TRACE_EVENT(vtd, invalidation_descriptor,
			       "iqh=0x%x type=%u q0=0x%llx q1=0x%llx iqei=%u", ring.head,
			       typeOf(descriptor.q[0]), trace::hex(descriptor.q[0]),
			       trace::hex(descriptor.q[1]), static_cast<unsigned>(error));
		if (error == QueueError::None)
			error = execute(descriptor);
		if (error != QueueError::None)
			break;
		ring.head = (ring.head + ring.step) % ring.size;
		std::lock_guard lock(registerMutex_);

		registers_.set(reg::kIqh, ring.head);
	}
	if (error == QueueError::None)
		error = awaitDeviceTlbs();
	if (error != QueueError::None)
		stop(error);
}

/* VTD-QI-6, VTD-DTLB-4 */
void InvalidationQueue::stop(QueueError error)
{
	std::lock_guard lock(registerMutex_);

	switch (error) {
	case QueueError::Pending:
		return;
	case QueueError::TimedOut:
		/*
		 * Give up the outstanding invalidations. The queue stops at the wait descriptor
		 * until software clears the error.
		 */
		for (const Outstanding &item : outstanding_)
			if (item.hopeless)
				registers_.set(reg::kIqercd + 4,
					       (registers_.read(reg::kIqercd + 4) & 0xffff0000) |
						       item.command.rid.value);
		outstanding_.clear();
		faultEvent_.raise(kFstsIte);
		return;
	default:
		registers_.set(reg::kIqercd, static_cast<uint8_t>(error));
		faultEvent_.raise(kFstsIqe);
	}
}

QueueError InvalidationQueue::fetch(const Ring &ring, Descriptor &descriptor) const
{
	for (unsigned i = 0; i < ring.step / 8; i++)
		if (!state_.memory.load(ring.base + ring.head + 8 * i, descriptor.q[i]))
			return QueueError::FetchFailed;
	return QueueError::None;
}

/* VTD-QI-2, VTD-QI-3 */
QueueError InvalidationQueue::check(const Descriptor &descriptor) const
{
	const Features &features = state_.features;
	const unsigned type = typeOf(descriptor.q[0]);
	const bool legacy = tableMode(state_.root.load(std::memory_order_relaxed)) == 0;

	if (!known(type) || (legacy && type > kLastLegacyType))
		return QueueError::InvalidType;
	if ((type == kDeviceTlb || type == kPasidDeviceTlb) && !features.offers(ecap::kDt))
		return QueueError::InvalidType;
	if (type == kPageGroupResponse && !features.offers(ecap::kPrs))
		return QueueError::InvalidType;
	const bool drains = type == kWait && features.offers(ecap::kPds);

	if (!reservedAreZero(type, descriptor.q[0] & ~(drains ? bit(kPageRequestDrain) : 0),
			     descriptor.q[1], descriptor.q[2], descriptor.q[3]))
		return QueueError::ReservedField;
	return QueueError::None;
}

QueueError InvalidationQueue::execute(const Descriptor &descriptor)
{
	switch (typeOf(descriptor.q[0])) {
	case kContext:
		return executeContext(descriptor);
	case kIotlb:
		return executeIotlb(descriptor);
	case kWait:
		return executeWait(descriptor);
	case kPasidIotlb:
		return executePasidIotlb(descriptor);
	case kPasidCache:
		return executePasid(descriptor);
	case kDeviceTlb:
		return executeDeviceTlb(descriptor);
	case kPasidDeviceTlb:
		return executePasidDeviceTlb(descriptor);
	case kPageGroupResponse:
		return executePageGroupResponse(descriptor);
	default:
		/* The unit remaps no interrupts, so it caches no entries of them. */
		return QueueError::None;
	}
}

/* VTD-INV-12, VTD-QI-4 */
QueueError InvalidationQueue::executeContext(const Descriptor &descriptor)
{
	static constexpr uint16_t kFunctionMasks[] = {0, 4, 6, 7};
	Invalidation command;

	switch (granularity(descriptor)) {
	case 1:
	case 2: /* in scalable mode context entries have no domain, so this drops all of them */
		command.scope = Invalidation::Scope::ContextAll;
		break;
	case 3:
		command.scope = Invalidation::Scope::ContextDevice;
		command.sid = field(descriptor.q[0], 47, 32);
		command.sidMask = kFunctionMasks[field(descriptor.q[0], 49, 48)];
		break;
	default:
		return QueueError::ReservedField;
	}
	invalidate(command);
	return QueueError::None;
}

/* VTD-INV-13, VTD-QI-4 */
QueueError InvalidationQueue::executeIotlb(const Descriptor &descriptor)
{
	Invalidation command;

	command.domain = field(descriptor.q[0], 31, 16);
	switch (granularity(descriptor)) {
	case 1:
		command.scope = Invalidation::Scope::IotlbAll;
		break;
	case 2:
		command.scope = Invalidation::Scope::IotlbDomain;
		break;
	case 3:
		command.scope = Invalidation::Scope::IotlbPages;
		command.order = field(descriptor.q[1], 5, 0);
		command.keepTables = has(descriptor.q[1], 6);
		command.address = descriptor.q[1] & mask(63, 12);
		if (!state_.features.offersCap(cap::kPsi) ||
		    command.order > state_.features.maxAddressMask)
			return QueueError::ReservedField;
		break;
	default:
		return QueueError::ReservedField;
	}
	invalidate(command);
	return QueueError::None;
}

/* VTD-INV-8, VTD-QI-4 */
QueueError InvalidationQueue::executePasidIotlb(const Descriptor &descriptor)
{
	Invalidation command;

	command.domain = field(descriptor.q[0], 31, 16);
	command.pasid = field(descriptor.q[0], 51, 32);
	switch (granularity(descriptor)) {
	case 2:
		command.scope = Invalidation::Scope::PasidIotlbAll;
		break;
	case 3:
		command.scope = Invalidation::Scope::PasidIotlbPages;
		command.order = field(descriptor.q[1], 5, 0);
		command.keepTables = has(descriptor.q[1], 6);
		command.address = descriptor.q[1] & mask(63, 12);
		break;
	default:
		return QueueError::ReservedField;
	}
	invalidate(command);
	return QueueError::None;
}

QueueError InvalidationQueue::executePasid(const Descriptor &descriptor)
{
	Invalidation command;

	command.domain = field(descriptor.q[0], 31, 16);
	command.pasid = field(descriptor.q[0], 51, 32);
	switch (granularity(descriptor)) {
	case 0:
		command.scope = Invalidation::Scope::PasidDomain;
		break;
	case 1:
		command.scope = Invalidation::Scope::PasidEntry;
		break;
	case 3:
		command.scope = Invalidation::Scope::PasidAll;
		break;
	default:
		return QueueError::ReservedField;
	}
	invalidate(command);
	return QueueError::None;
}

/*
 * VTD-QI-7, VTD-QI-8. Each command before this one has waited for the bursts that it could concern
 * (AgentSet::apply, VTD-INV-14), so no burst is left to wait for here.
 */
QueueError InvalidationQueue::executeWait(const Descriptor &descriptor)
{
	constexpr unsigned kInterruptFlag = 4, kStatusWrite = 5;
	const QueueError error = awaitDeviceTlbs();

	if (error != QueueError::None)
		return error;
	if (has(descriptor.q[0], kPageRequestDrain))
		pageRequests_.drain();

	if (has(descriptor.q[0], kStatusWrite))
		state_.memory.store32(descriptor.q[1] & ~state_.features.aboveHaw & ~uint64_t{3},
				      descriptor.q[0] >> 32);
	if (has(descriptor.q[0], kInterruptFlag)) {
		std::lock_guard lock(registerMutex_);

		completionEvent_.raise(kIcsIwc);
	}
	return QueueError::None;
}

namespace
{

/* VTD-DTLB-2: the position of the lowest 0 bit gives the size. */
void decodeRange(uint64_t address, bool large, DeviceTlbInvalidation &command)
{
	command.address = address & mask(63, 12);
	if (!large)
		return;
	command.order = 1;
	while (command.order < 52 && has(address, 11 + command.order))
		command.order++;
}

} // namespace

QueueError InvalidationQueue::executeDeviceTlb(const Descriptor &descriptor)
{
	DeviceTlbInvalidation command;

	command.rid.value = field(descriptor.q[0], 47, 32);
	command.scope = DeviceTlbInvalidation::Scope::Requester;
	decodeRange(descriptor.q[1], has(descriptor.q[1], 0), command);
	sendDeviceTlb(command);
	return QueueError::None;
}

QueueError InvalidationQueue::executePasidDeviceTlb(const Descriptor &descriptor)
{
	DeviceTlbInvalidation command;

	command.rid.value = field(descriptor.q[0], 31, 16);
	command.pasid = field(descriptor.q[0], 51, 32);
	command.scope = has(descriptor.q[1], 0) ? DeviceTlbInvalidation::Scope::EveryPasid
						: DeviceTlbInvalidation::Scope::Pasid;
	decodeRange(descriptor.q[1], has(descriptor.q[1], 11), command);
	sendDeviceTlb(command);
	return QueueError::None;
}

void InvalidationQueue::sendDeviceTlb(const DeviceTlbInvalidation &command)
{
	const auto endpoint = state_.endpoints.hold(command.rid);
	const unsigned tag = nextTag_++ & kTagMask;

	executed_.fetch_add(1, std::memory_order_relaxed);
	/* The tag must be in the list before the device can complete it. */
	outstanding_.push_back({command, tag, !endpoint || endpoint->abandonsInvalidations()});
	if (!endpoint || !endpoint->completesInvalidation(tag))
		return;
	if (!endpoint->keepsTranslations())
		invalidateDeviceTlb(command);
	/*
	 * VTD-PRQ-7: page requests that the device sent before the completion are in the queue
	 * after this.
	 */
	pageRequests_.drain();
	outstanding_.pop_back();
}

void InvalidationQueue::invalidateDeviceTlb(const DeviceTlbInvalidation &command)
{
	if (ignoring_)
		state_.agents.drain();
	else
		state_.agents.apply(command);
}

void InvalidationQueue::completed(Rid rid, unsigned tag)
{
	for (auto item = outstanding_.begin(); item != outstanding_.end(); ++item) {
		if (item->command.rid != rid || item->tag != tag || item->hopeless)
			continue;
		invalidateDeviceTlb(item->command);
		pageRequests_.drain();
		outstanding_.erase(item);
		run();
		return;
	}
	/* VTD-DTLB-5 */
	std::lock_guard lock(registerMutex_);

	registers_.set(reg::kIqercd + 4,
		       (registers_.read(reg::kIqercd + 4) & 0xffff) | uint32_t{rid.value} << 16);
	faultEvent_.raise(kFstsIce);
}

/*
 * The model has no timers: if a device will never complete, the time is over as soon as the queue
 * gets to a wait descriptor or to its end.
 */
QueueError InvalidationQueue::awaitDeviceTlbs()
{
	for (const Outstanding &item : outstanding_)
		if (item.hopeless)
			return QueueError::TimedOut;
	return outstanding_.empty() ? QueueError::None : QueueError::Pending;
}

/* VTD-PRQ-8. A reserved code counts as a failure (PCI Express 10.4.2.1). */
QueueError InvalidationQueue::executePageGroupResponse(const Descriptor &descriptor)
{
	const StreamId stream{Rid{static_cast<uint16_t>(field(descriptor.q[0], 31, 16))},
			      has(descriptor.q[0], 4),
			      static_cast<uint32_t>(field(descriptor.q[0], 51, 32))};
	const unsigned code = field(descriptor.q[0], 15, 12);
	const PageResponse response = code == 0	  ? PageResponse::Success
				      : code == 1 ? PageResponse::InvalidRequest
						  : PageResponse::Failure;
	auto endpoint = state_.endpoints.hold(stream.rid);

	WD_TRACE_EVENT(vtd, page_response, "sid=%s pasid=%s prgi=%u code=%u",
		       trace::Sid(stream.rid).text, trace::Pasid(stream).text,
		       static_cast<unsigned>(field(descriptor.q[1], 11, 3)), code);
	if (!endpoint)
		return QueueError::None;
	endpoint->answer(stream, field(descriptor.q[1], 11, 3), response);
	if (answered_.empty() || answered_.back() != endpoint)
		answered_.push_back(std::move(endpoint));
	return QueueError::None;
}

void InvalidationQueue::invalidate(const Invalidation &command)
{
	executed_.fetch_add(1, std::memory_order_relaxed);
	if (ignoring_)
		state_.agents.drain();
	else
		state_.agents.apply(command);
}

} // namespace wd::machine::vtd
