// SPDX-License-Identifier: Apache-2.0
/*
 * The agent of a function that has ATS on: it keeps a part of the device TLB, and
 * requests missing pages (VTD-DTLB-1, VTD-DTLB-3).
 */
#include <algorithm>

#include "agent.h"
#include "core/trace.h"

namespace wd::machine::vtd
{
namespace
{

/* Flags of a device-TLB entry. */
constexpr uint32_t kMayRead = 1, kMayWrite = 2;

/* As many entries as in caches.cpp. */
constexpr size_t kNormalLimit = 16384;

/* The PASID of entries for requests without one. No descriptor can name it. */
constexpr uint32_t kNoPasid = ~uint32_t{0};

/* Pages that the agent looks up in one burst. After each burst, invalidations have their turn. */
constexpr unsigned kPagesPerBurst = 64;

uint32_t needed(Access access)
{
	return (access != Access::Write ? kMayRead : 0) | (access != Access::Read ? kMayWrite : 0);
}

} // namespace

AtsEndpoint *IommuAgent::translating(const StreamId &stream) const noexcept
{
	if (!(state_.mode.load(std::memory_order_relaxed) & UnitState::kDeviceTlbs))
		return nullptr;
	AtsEndpoint *endpoint = state_.endpoints.find(stream.rid);

	return endpoint && endpoint->translating() ? endpoint : nullptr;
}

Completion IommuAgent::requestTranslation(const Request &request, bool noWrite) noexcept
{
	Completion completion;

	if (!state_.enabled()) {
		completion.status = Completion::Status::Unsupported;
		completion.reason = FaultReason::DeviceTlbDisabled;
		return completion;
	}
	completion = translator_.answerTranslationRequest(
		state_.root.load(std::memory_order_relaxed), request, noWrite);
	WD_TRACE_EVENT(vtd, translation_request,
		       "sid=%s pasid=%s iova=0x%llx nw=%d pa=0x%llx r=%d w=%d u=%d fr=0x%x",
		       trace::Sid(request.stream.rid).text, trace::Pasid(request.stream).text,
		       trace::hex(request.address), noWrite, trace::hex(completion.address),
		       completion.read, completion.write, completion.untranslated,
		       static_cast<unsigned>(completion.reason));
	if (completion.recorded)
		report(request, completion.reason, completion.silenced,
		       AddressType::TranslationRequest);
	return completion;
}

Translation IommuAgent::admitTranslated(const Request &request) noexcept
{
	Translation result;

	if (!state_.enabled()) {
		result.reason = FaultReason::DeviceTlbDisabled;
		return result;
	}
	result = translator_.admitTranslated(state_.root.load(std::memory_order_relaxed), request);
	if (result.reason != FaultReason::None)
		report(request, result.reason, result.silenced, AddressType::Translated);
	return result;
}

PageRequestTarget IommuAgent::locatePageRequest(const PageRequestMessage &message) noexcept
{
	/* VTD-PRQ-4: a request that the tables refuse is recorded as a fault. */
	const PageRequestTarget target = translator_.locatePageRequest(
		state_.root.load(std::memory_order_relaxed), message.stream, message.address);

	if (target.reason == FaultReason::None || message.isStopMarker() ||
	    (target.silenced && isQualified(target.reason)))
		return target;
	FaultRecord fault;

	fault.stream = message.stream;
	fault.address = message.address;
	fault.privileged = message.privileged;
	fault.reason = target.reason;
	fault.pageRequest = true;
	state_.faults.report(fault);
	return target;
}

const CachedTranslation *IommuAgent::findHeld(const Request &request) noexcept
{
	const StreamId &stream = request.stream;
	const uint64_t who = streamTag(stream);
	const uint32_t rights = needed(request.access);

	for (unsigned size = 0; size < 3; size++) {
		const CachedTranslation *hit = deviceTlb_.find(who, request.address, size);

		if (!hit)
			continue;
		if ((hit->flags & rights) == rights)
			return hit;
		/* Remove the entry: it would hide a larger page that may take its place. */
		deviceTlb_.removeRange(stream.rid.value, hit->kind, hit->pasid, request.address, 0);
		return nullptr;
	}
	return nullptr;
}

void IommuAgent::hold(const Request &request, const Completion &completion) noexcept
{
	const StreamId &stream = request.stream;
	CachedTranslation entry;

	entry.who = streamTag(stream);
	entry.size = completion.size;
	entry.page = request.address >> classShift(entry.size);
	entry.value = completion.address;
	entry.flags = (completion.read ? kMayRead : 0) | (completion.write ? kMayWrite : 0);
	entry.domain = stream.rid.value;
	entry.pasid = stream.hasPasid ? stream.pasid : kNoPasid;
	entry.kind = stream.hasPasid ? TagKind::Pasid : TagKind::Domain;
	deviceTlb_.insert(entry);
}

/*
 * Find the translated address; admitTranslated() still has to allow it. If an entry lacks a right,
 * the agent asks for the translation again, since software may have granted the right.
 */
Translation IommuAgent::lookUp(const Request &request) noexcept
{
	const CachedTranslation *held = findHeld(request);
	Translation result;

	if (held) [[likely]] {
		const uint64_t size = uint64_t{1} << classShift(held->size);

		result.address = held->value | (request.address & (size - 1));
		result.contiguous = size - (request.address & (size - 1));
		return result;
	}
	const Completion completion = requestTranslation(request, request.access == Access::Read);
	const uint32_t rights =
		(completion.read ? kMayRead : 0) | (completion.write ? kMayWrite : 0);

	if (completion.untranslated) {
		result.consumed = true;
		return result;
	}
	if (rights)
		hold(request, completion);
	if ((needed(request.access) & ~rights) == 0) {
		const uint64_t size = uint64_t{1} << classShift(completion.size);

		result.address = completion.address | (request.address & (size - 1));
		result.contiguous = size - (request.address & (size - 1));
		return result;
	}
	result.reason = completion.reason != FaultReason::None ? completion.reason
			: rights & kMayRead		       ? FaultReason::WriteDenied
							       : FaultReason::ReadDenied;
	return result;
}

/* The piece is as long as the device-TLB entry says. The unit admits it as a whole. */
Translation IommuAgent::reachTranslated(const Request &request) noexcept
{
	Translation found = lookUp(request);

	if (found.consumed)
		return translate(request);
	if (found.reason != FaultReason::None)
		return found;
	/* Translated requests carry no PASID (ECAP.PTRS is 0). */
	const Translation admitted = admitTranslated(
		{ridStream(request.stream.rid), found.address, request.length, request.access});

	found.reason = admitted.reason;
	return found;
}

/* VTD-DTLB-2: an invalidation of one PASID leaves requests without one alone. */
void IommuAgent::apply(const DeviceTlbInvalidation &command) noexcept
{
	using Scope = DeviceTlbInvalidation::Scope;

	switch (command.scope) {
	case Scope::Function:
		deviceTlb_.removeDomain(command.rid.value);
		break;
	case Scope::Requester:
		deviceTlb_.removeRange(command.rid.value, TagKind::Domain, 0, command.address,
				       command.order);
		break;
	case Scope::Pasid:
		deviceTlb_.removeRange(command.rid.value, TagKind::Pasid, command.pasid,
				       command.address, command.order);
		break;
	case Scope::EveryPasid:
		deviceTlb_.removeRange(command.rid.value, TagKind::Pasid, command.address,
				       command.order);
		break;
	}
}

void IommuAgent::setMode(CacheMode mode)
{
	translator_.caches().setMode(mode);
	deviceTlb_.clear();
	deviceTlb_.setLimit(mode == CacheMode::None	 ? 0
			    : mode == CacheMode::Maximal ? TranslationCache::kUnlimited
							 : kNormalLimit);
}

bool IommuAgent::asksForPages(const StreamId &stream) const noexcept
{
	const AtsEndpoint *endpoint = translating(stream);

	return endpoint && endpoint->pageRequesting();
}

DmaResult IommuAgent::prepare(const StreamId &stream, uint64_t iova, uint64_t length, Access access,
			      PageRequester &requester, uint64_t token) noexcept
{
	AtsEndpoint *endpoint = translating(stream);

	if (!endpoint || !endpoint->pageRequesting() || !length) [[likely]]
		return DmaResult::Ok;
	const uint64_t last = iova + (length - 1);
	std::array<uint64_t, AtsEndpoint::kGroupPages> missing;
	size_t count = 0;

	if (last < iova)
		return DmaResult::Blocked;
	for (uint64_t at = iova; at <= last && count < missing.size();) {
		DmaBurst burst(*this);

		for (unsigned pages = 0; pages < kPagesPerBurst; pages++) {
			const Translation found = lookUp({stream, at, 1, access, false});
			uint64_t step = kPageSize - (at & (kPageSize - 1));

			if (found.reason == FaultReason::None && !found.consumed)
				step = found.contiguous;
			else if (isRecoverable(found.reason))
				missing[count++] = at & ~(kPageSize - 1);
			else if (found.reason != FaultReason::None)
				return DmaResult::Blocked;
			if (last - at < step)
				at = last + 1;
			else
				at += step;
			if (at > last || !at || count == missing.size())
				break;
		}
		if (!at)
			break;
	}
	if (!count)
		return DmaResult::Ok;
	return endpoint->requestPages(stream, std::span(missing).first(count), access, requester,
				      token);
}

} // namespace wd::machine::vtd
