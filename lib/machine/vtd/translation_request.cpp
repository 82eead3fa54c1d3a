// SPDX-License-Identifier: Apache-2.0
/*
 * Requests of functions with a device TLB: translation requests (AT=01), translated requests
 * (AT=10), and the table lookups for page requests (VT-d 4.2, 7.1.3).
 */
#include "translator.h"

namespace wd::machine::vtd
{
namespace
{

/* VTD-ATS-1, VTD-ATS-2. Empty: success with R=W=U=S=0, which is not recorded. */
enum class Outcome { Unsupported, Abort, Empty };

Outcome outcomeOf(FaultReason reason)
{
	switch (reason) {
	case FaultReason::DirectoryNotPresent:
	case FaultReason::PasidEntryNotPresent:
	case FaultReason::ExecuteNotEnabled:
	case FaultReason::SupervisorNotEnabled:
	case FaultReason::FirstStageNotReadable:
	case FaultReason::FirstStageNotPresent:
	case FaultReason::FirstStageReserved:
	case FaultReason::FirstStageTopNotReadable:
	case FaultReason::FirstStageAddressWidth:
	case FaultReason::NestedTopNotReadable:
	case FaultReason::NestedNotReadable:
	case FaultReason::NestedNotWritable:
	case FaultReason::FirstStageUpdateNotSnooped:
	case FaultReason::FirstStageUpdateFailed:
	case FaultReason::SecondStageNotPresent:
	case FaultReason::NotCanonical:
	case FaultReason::UserDenied:
	case FaultReason::AddressBeyondHaw:
	case FaultReason::AddressBeyondWidth:
	case FaultReason::WriteDenied:
	case FaultReason::ReadDenied:
		return Outcome::Empty;
	case FaultReason::LegacyPasid:
	case FaultReason::AbortDma:
	case FaultReason::ExecuteRequest:
	case FaultReason::RootNotPresent:
	case FaultReason::ContextNotPresent:
	case FaultReason::DeviceTlbDisabled:
	case FaultReason::PasidDisabled:
	case FaultReason::PasidBeyondSupported:
	case FaultReason::PasidBeyondDirectory:
	case FaultReason::PasidIsRidPasid:
		return Outcome::Unsupported;
	default:
		return Outcome::Abort;
	}
}

} // namespace

bool isRecoverable(FaultReason reason)
{
	return reason != FaultReason::None && outcomeOf(reason) == Outcome::Empty;
}

Completion Translator::fail(FaultReason reason, const Walk &walk)
{
	Completion completion;
	const Outcome outcome = outcomeOf(reason);

	completion.reason = reason;
	completion.silenced = walk.silenced;
	completion.recorded =
		outcome != Outcome::Empty || reason == FaultReason::FirstStageUpdateFailed;
	completion.status = outcome == Outcome::Empty	      ? Completion::Status::Success
			    : outcome == Outcome::Unsupported ? Completion::Status::Unsupported
							      : Completion::Status::Abort;
	completion.privileged = walk.request.stream.hasPasid && walk.request.privileged;
	return completion;
}

/*
 * VTD-ATS-6: the range is not translated. A device may write there, since it sends interrupts so.
 */
Completion Translator::answerInterruptRange(bool noWrite)
{
	Completion completion;

	completion.write = completion.untranslated = !noWrite;
	return completion;
}

Completion Translator::answerTranslationRequest(RootPointer root, const Request &asked,
						bool noWrite) noexcept
{
	const bool honoured = noWrite && context_.features.offers(ecap::kNwfs);
	Request request = asked;

	/*
	 * VTD-ATS-4: the walk sets D if writing is permitted, unless the device says that it only
	 * reads.
	 */
	request.access = honoured ? Access::Read : Access::Write;
	request.length = 1;
	Walk walk{request};
	FaultReason reason = checkRootPointer(root, request);

	if (reason == FaultReason::None && !request.stream.hasPasid &&
	    inInterruptRange(request.address))
		return answerInterruptRange(noWrite);
	if (reason == FaultReason::None)
		reason = readContext(root, walk);
	if (reason == FaultReason::None && !walk.context.deviceTlb())
		reason = FaultReason::DeviceTlbDisabled;
	if (reason == FaultReason::None)
		reason = checkPasid(walk);
	if (reason != FaultReason::None)
		return fail(reason, walk);
	const CachedTranslation *hit = find(request.stream, request.address);

	if (hit && (honoured || isDirty(*hit, request))) {
		AgentCounters::add(caches_.counters.hits);
		walk.result = *hit;
		walk.silenced |= (hit->flags & kSilenced) != 0;
	} else {
		AgentCounters::add(caches_.counters.misses);
		reason = readPasidEntry(walk);
		if (reason == FaultReason::None)
			reason = dispatch(walk);
		/*
		 * VTD-ATS-3: a missing right is no fault here if the other one is there. Walk again
		 * for a read: a walk that ended with a refused write may not have reached the
		 * second stage.
		 */
		if (reason == FaultReason::WriteDenied) {
			request.access = Access::Read;
			reason = dispatch(walk);
		}
		if (reason == FaultReason::ReadDenied)
			reason = FaultReason::None;
	}
	if (reason != FaultReason::None)
		return fail(reason, walk);
	return complete(walk, !hit, honoured);
}

/*
 * Whether a cached translation may answer a request that will write: not if the write would have to
 * set D.
 */
bool Translator::isDirty(const CachedTranslation &hit, const Request &request) const
{
	const bool privileged =
		request.stream.hasPasid ? request.privileged : (hit.flags & kRidPrivileged) != 0;

	return (hit.flags & kDirty) || judge(hit.flags, request, privileged) != FaultReason::None;
}

/* VTD-ATS-3, VTD-ATS-5, VTD-ATS-7, VTD-ATS-9 */
Completion Translator::complete(Walk &walk, bool insert, bool honoured)
{
	const CachedTranslation &entry = walk.result;
	const uint64_t size = uint64_t{1} << classShift(entry.size);
	const bool privileged = walk.request.stream.hasPasid ? walk.request.privileged
							     : (entry.flags & kRidPrivileged) != 0;
	Request read = walk.request, write = walk.request;
	Completion completion;

	read.access = Access::Read;
	write.access = Access::Write;
	const FaultReason noRead = judge(entry.flags, read, privileged);
	const FaultReason noWrite = judge(entry.flags, write, privileged);

	completion.read = noRead == FaultReason::None;
	completion.write = noWrite == FaultReason::None && !honoured;
	if (!completion.read && !completion.write)
		return fail(noRead, walk);
	if (!(entry.flags & kPassThrough) && overlapsInterruptRange(entry.value, size))
		return fail(FaultReason::InterruptRangeOutput, walk);
	if (insert)
		caches_.iotlb.insert(entry);
	completion.privileged = walk.request.stream.hasPasid && privileged;
	completion.snooped = entry.flags & kSnooped;
	/*
	 * A page that may not be translated as a whole is given to the device in pieces of 4 KiB.
	 */
	completion.size = entry.flags & kSplit ? 0 : entry.size;
	completion.address = (entry.value | (walk.request.address & (size - 1))) &
			     ~((uint64_t{1} << classShift(completion.size)) - 1);
	return completion;
}

/* VTD-PRQ-4, VTD-PRQ-5 */
PageRequestTarget Translator::locatePageRequest(RootPointer root, const StreamId &stream,
						uint64_t address) noexcept
{
	const Request request{stream, address, 0, Access::Read, false};
	Walk walk{request};
	PageRequestTarget target;

	target.reason = checkRootPointer(root, request);
	if (target.reason == FaultReason::LegacyPasid ||
	    (target.reason == FaultReason::RootPointerMode && !field(root, 11, 10)))
		target.reason = FaultReason::LegacyPageRequest;
	if (target.reason == FaultReason::None)
		target.reason = readContext(root, walk);
	if (target.reason == FaultReason::None)
		target.reason = checkPasid(walk);
	if (target.reason == FaultReason::None && !walk.context.pageRequests())
		target.reason = FaultReason::PageRequestDisabled;
	if (target.reason == FaultReason::None)
		target.reason = readPasidEntry(walk);
	target.silenced = walk.silenced;
	target.pasid = walk.pasid;
	target.domain = walk.entry.domain();
	target.type = walk.entry.type();
	return target;
}

/* VTD-ATS-8, VTD-CTX-8: the unit looks at no table below the context entry. */
Translation Translator::admitTranslated(RootPointer root, const Request &request) noexcept
{
	Walk walk{request};
	Translation result;

	result.address = request.address;
	result.contiguous = kPageSize - (request.address & (kPageSize - 1));
	result.reason = checkRootPointer(root, request);
	if (result.reason == FaultReason::None)
		result.reason = readContext(root, walk);
	if (result.reason == FaultReason::None && !walk.context.deviceTlb())
		result.reason = FaultReason::DeviceTlbDisabled;
	if (result.reason == FaultReason::None && request.stream.hasPasid)
		result.reason = FaultReason::TranslatedPasid;
	if (result.reason == FaultReason::None && (request.address & context_.features.aboveHaw))
		result.reason = FaultReason::AddressBeyondHaw;
	if (result.reason == FaultReason::None && inInterruptRange(request.address))
		result.reason = FaultReason::InterruptRangeOutput;
	result.silenced = walk.silenced;
	return result;
}

} // namespace wd::machine::vtd
