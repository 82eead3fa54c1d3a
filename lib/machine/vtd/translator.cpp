// SPDX-License-Identifier: Apache-2.0
#include "translator.h"

#include "core/trace.h"
#include "first_stage.h"
#include "nested.h"

namespace wd::machine::vtd
{
namespace
{

/** TTM of RTADDR. */
enum class TableMode : unsigned { Legacy = 0, Scalable = 1, Reserved = 2, Abort = 3 };

TableMode tableMode(RootPointer root)
{
	return static_cast<TableMode>(field(root, 11, 10));
}

/* Level of the largest page of the format. The IOTLB holds pass-through regions in such pieces. */
constexpr unsigned kLargestLevel = 3;

} // namespace

Translation Translator::walk(RootPointer root, const Request &request) noexcept
{
	Walk walk{request};
	FaultReason reason = checkRootPointer(root, request);

	if (reason == FaultReason::None) {
		/* VTD-MSI-2 */
		if (!request.stream.hasPasid && inInterruptRange(request.address))
			return answerInterruptRange(request);
		reason = readContext(root, walk);
	}
	if (reason == FaultReason::None)
		reason = checkPasid(walk);
	if (reason == FaultReason::None)
		reason = readPasidEntry(walk);
	if (reason == FaultReason::None)
		reason = dispatch(walk);

	Translation result;

	if (reason == FaultReason::None) {
		/* VTD-MSI-3 in finish(); VTD-INV-11: a fault is not cached. */
		result = finish(walk.result, request.address);
		if (result.reason == FaultReason::None)
			caches_.iotlb.insert(walk.result);
		return result;
	}
	result.reason = reason;
	result.silenced = walk.silenced;
	return result;
}

/* VTD-REG-8. The unit does not model legacy mode: it translates only in scalable mode. */
FaultReason Translator::checkRootPointer(RootPointer root, const Request &request) const
{
	switch (tableMode(root)) {
	case TableMode::Scalable:
		if (context_.features.offers(ecap::kSmts))
			return FaultReason::None;
		break;
	case TableMode::Abort:
		if (context_.features.offers(ecap::kAdms))
			return FaultReason::AbortDma;
		break;
	case TableMode::Legacy:
		if (request.stream.hasPasid)
			return FaultReason::LegacyPasid;
		break;
	case TableMode::Reserved:
		break;
	}
	return FaultReason::RootPointerMode;
}

/*
 * VTD-MSI-1. The unit does not offer interrupt remapping, so a well-formed message passes as it is.
 */
Translation Translator::answerInterruptRange(const Request &request) const
{
	const bool message =
		request.access == Access::Write && request.length == 4 && !(request.address & 3);
	const bool probe = request.access == Access::Read && request.length == 0;
	Translation result;

	if (message || probe)
		result.consumed = true;
	else
		result.reason = FaultReason::InterruptRangeRequest;
	return result;
}

FaultReason Translator::readContext(RootPointer root, Walk &walk)
{
	const Rid rid = walk.request.stream.rid;
	const ContextEntry *cached = caches_.findContext(rid);

	if (cached) {
		walk.context = *cached;
		walk.silenced = walk.context.faultDisable();
		return FaultReason::None;
	}
	const FaultReason reason = fetchContext(root, walk);

	WD_TRACE_EVENT(vtd, context_entry, "sid=%s q0=0x%llx q1=0x%llx fr=0x%x",
		       trace::Sid(rid).text, trace::hex(walk.context.q[0]),
		       trace::hex(walk.context.q[1]), static_cast<unsigned>(reason));
	if (reason == FaultReason::None)
		caches_.insert(rid, walk.context);
	return reason;
}

/* VTD-CTX-1 to VTD-CTX-4, VTD-CTX-14 */
FaultReason Translator::fetchContext(RootPointer root, Walk &walk)
{
	const unsigned bus = walk.request.stream.rid.value >> 8;
	const unsigned devfn = walk.request.stream.rid.value & 0xff;
	const uint64_t half = (root & mask(63, 12)) + bus * 16 + (devfn & 0x80 ? 8 : 0);
	uint64_t pointer;

	if (!context_.fetch(half, pointer))
		return FaultReason::RootNotReadable;
	if (!has(pointer, 0))
		return FaultReason::RootNotPresent;
	if (pointer & (mask(11, 1) | context_.features.aboveHaw))
		return FaultReason::RootReserved;

	const uint64_t entry = (pointer & mask(63, 12)) + (devfn & 0x7f) * 32;

	/* Read the word with P first: software writes it last. */
	for (size_t i = 0; i < walk.context.q.size(); i++) {
		if (!context_.memory.load(entry + 8 * i, walk.context.q[i]))
			return FaultReason::ContextNotReadable;
		if (i == 0) {
			AgentCounters::add(caches_.counters.entryReads);
			walk.silenced = walk.context.faultDisable();
			if (!walk.context.present())
				return FaultReason::ContextNotPresent;
		}
	}
	return walk.context.check(context_.features);
}

/* VTD-CTX-9 to VTD-CTX-12 */
FaultReason Translator::checkPasid(const Walk &walk) const
{
	const StreamId &stream = walk.request.stream;

	if (!stream.hasPasid)
		return FaultReason::None;
	if (!walk.context.pasidEnable())
		return FaultReason::PasidDisabled;
	if (stream.pasid >> context_.features.pasidBits)
		return FaultReason::PasidBeyondSupported;
	if (stream.pasid >= walk.context.pasidLimit())
		return FaultReason::PasidBeyondDirectory;
	/* Without RPS the field is reserved and 0. */
	if (stream.pasid == walk.context.ridPasid())
		return FaultReason::PasidIsRidPasid;
	return FaultReason::None;
}

/* VTD-CTX-13, VTD-INV-10, VTD-PASID-11 */
FaultReason Translator::readPasidEntry(Walk &walk)
{
	const StreamId &stream = walk.request.stream;

	walk.pasid = stream.hasPasid ? stream.pasid : walk.context.ridPasid();
	walk.privileged = stream.hasPasid ? walk.request.privileged : walk.context.ridPrivileged();

	const PasidEntry *cached = caches_.findPasid(stream.rid, walk.pasid);

	if (cached) {
		walk.entry = *cached;
		walk.silenced |= walk.entry.silenced;
		return FaultReason::None;
	}
	const FaultReason reason = fetchPasidEntry(walk);

	WD_TRACE_EVENT(vtd, pasid_entry, "sid=%s pasid=%u q0=0x%llx q1=0x%llx q2=0x%llx fr=0x%x",
		       trace::Sid(stream.rid).text, walk.pasid, trace::hex(walk.entry.q[0]),
		       trace::hex(walk.entry.q[1]), trace::hex(walk.entry.q[2]),
		       static_cast<unsigned>(reason));
	walk.silenced |= walk.entry.silenced;
	if (reason == FaultReason::None)
		caches_.insert(stream.rid, walk.pasid, walk.entry);
	return reason;
}

/* VTD-PASID-1 to VTD-PASID-4 */
FaultReason Translator::fetchPasidEntry(Walk &walk)
{
	PasidEntry &entry = walk.entry;
	uint64_t directory;

	if (!context_.fetch(walk.context.directory() + (walk.pasid >> 6) * 8, directory))
		return FaultReason::DirectoryNotReadable;
	entry.silenced = has(directory, 1);
	if (!has(directory, 0))
		return FaultReason::DirectoryNotPresent;
	if (directory & (mask(11, 2) | context_.features.aboveHaw))
		return FaultReason::DirectoryReserved;

	const uint64_t address = (directory & mask(63, 12)) + (walk.pasid & 0x3f) * 64;

	for (size_t i = 0; i < entry.q.size(); i++) {
		if (!context_.memory.load(address + 8 * i, entry.q[i]))
			return FaultReason::PasidEntryNotReadable;
		if (i == 0) {
			AgentCounters::add(caches_.counters.entryReads);
			entry.silenced |= entry.faultDisable();
			if (!entry.present())
				return FaultReason::PasidEntryNotPresent;
		}
	}
	return entry.check(context_.features);
}

/* VTD-PASID-10 */
FaultReason Translator::dispatch(Walk &walk)
{
	if (walk.privileged && !walk.entry.supervisor())
		return FaultReason::SupervisorNotEnabled;
	switch (walk.entry.type()) {
	case PageTableType::FirstStage:
		return translateFirstStage(walk);
	case PageTableType::SecondStage:
		return translateSecondStage(walk);
	case PageTableType::PassThrough:
		return translatePassThrough(walk);
	case PageTableType::Nested:
		return translateNested(walk);
	}
	return FaultReason::PasidEntryInvalid;
}

uint32_t Translator::firstStageRights(const FirstStageLeaf &leaf)
{
	return (leaf.user ? kUser : 0) | (leaf.write ? kWrite : 0) | (leaf.dirty ? kDirty : 0);
}

FaultReason Translator::translateFirstStage(Walk &walk)
{
	const Request &request = walk.request;
	const FirstStageTable table =
		FirstStageTable::of(walk.entry, walk.pasid, walk.privileged, context_.features);
	HostTableSpace space;
	FirstStageLeaf leaf;

	if (!isCanonical(request.address, table.levels))
		return FaultReason::NotCanonical;
	const FaultReason reason = walkFirstStage(context_, space, table, request.address,
						  request.access != Access::Read, leaf);

	if (reason != FaultReason::None)
		return reason;
	complete(walk, leaf.level, leaf.base, TagKind::Pasid,
		 firstStageRights(leaf) | kStageRead | kStageWrite);
	return judge(walk.result.flags, request, walk.privileged);
}

/* VTD-SS-2 */
FaultReason Translator::translateSecondStage(Walk &walk)
{
	const Request &request = walk.request;
	const unsigned width = context_.features.stageWidth(walk.entry.addressWidth());
	SecondStageLeaf leaf;

	if (request.address >> width)
		return FaultReason::AddressBeyondWidth;
	const FaultReason reason =
		walkSecondStage(context_, SecondStageTable::of(walk.entry, context_.features),
				request.address, request.access != Access::Read, leaf);

	if (reason != FaultReason::None)
		return reason;
	complete(walk, leaf.level, leaf.base, TagKind::Domain,
		 kUser | kWrite | (leaf.read ? kStageRead : 0) | (leaf.write ? kStageWrite : 0) |
			 (leaf.dirty ? kDirty : 0) | (leaf.snoop ? kSnooped : 0));
	return judge(walk.result.flags, request, walk.privileged);
}

/* VTD-NEST-7, VTD-NEST-11, VTD-NEST-12 */
FaultReason Translator::translateNested(Walk &walk)
{
	const Request &request = walk.request;
	const bool forWrite = request.access != Access::Read;
	const FirstStageTable first =
		FirstStageTable::of(walk.entry, walk.pasid, walk.privileged, context_.features);
	const SecondStageTable second = SecondStageTable::of(walk.entry, context_.features);
	NestedTableSpace space(context_, second,
			       context_.features.stageWidth(walk.entry.addressWidth()));
	FirstStageLeaf inner;
	SecondStageLeaf outer;

	if (!isCanonical(request.address, first.levels))
		return FaultReason::NotCanonical;
	FaultReason reason =
		walkFirstStage(context_, space, first, request.address, forWrite, inner);

	if (reason != FaultReason::None)
		return reason;
	/*
	 * VTD-NEST-6: if the first stage refuses a request, the walk must not set D in the second
	 * stage. So compare the rights of the first stage before.
	 */
	const uint32_t rights = firstStageRights(inner);

	complete(walk, inner.level, inner.base, TagKind::Pasid, rights | kStageRead | kStageWrite);
	reason = judge(walk.result.flags, request, walk.privileged);
	if (reason == FaultReason::None)
		reason = walkSecondStage(context_, second, inner.translate(request.address),
					 forWrite, outer);
	if (reason != FaultReason::None)
		return reason;
	const NestedLeaf leaf = NestedLeaf::of(inner, outer, request.address);

	complete(walk, leaf.level, leaf.base, TagKind::Pasid,
		 (outer.dirty ? rights : rights & ~kDirty) | (outer.read ? kStageRead : 0) |
			 (outer.write ? kStageWrite : 0) | (outer.snoop ? kSnooped : 0));
	return judge(walk.result.flags, request, walk.privileged);
}

/* VTD-PASID-12 */
FaultReason Translator::translatePassThrough(Walk &walk)
{
	const uint64_t address = walk.request.address;

	if (address & context_.features.aboveHaw)
		return FaultReason::AddressBeyondHaw;
	complete(walk, kLargestLevel, address & ~(bit(levelShift(kLargestLevel)) - 1),
		 TagKind::Domain,
		 kUser | kWrite | kStageRead | kStageWrite | kDirty | kPassThrough);
	return FaultReason::None;
}

void Translator::complete(Walk &walk, unsigned level, uint64_t base, TagKind kind, uint32_t rights)
{
	const StreamId &stream = walk.request.stream;
	const uint64_t size = bit(levelShift(level));
	CachedTranslation &entry = walk.result;

	entry.who = streamTag(stream);
	entry.size = levelClass(level);
	entry.page = walk.request.address >> classShift(entry.size);
	entry.value = base;
	entry.domain = walk.entry.domain();
	entry.pasid = walk.pasid;
	entry.kind = kind;
	entry.flags = rights;
	if (walk.entry.writeProtect())
		entry.flags |= kWriteProtect;
	if (walk.entry.supervisor())
		entry.flags |= kSupervisor;
	if (walk.silenced)
		entry.flags |= kSilenced;
	if (walk.entry.pageSnoop())
		entry.flags |= kSnooped;
	if (!stream.hasPasid && walk.privileged)
		entry.flags |= kRidPrivileged;
	const uint64_t input = walk.request.address & ~(size - 1);

	if (overlapsInterruptRange(base, size) ||
	    (!stream.hasPasid && overlapsInterruptRange(input, size)))
		entry.flags |= kSplit;
	entry.flags |= permittedKinds(entry.flags);
}

/*
 * VTD-FS-7 to VTD-FS-9, VTD-SS-4, VTD-SS-5, VTD-SS-12. Compare @flags of an IOTLB entry with
 * @request. The specification leaves the order of the checks open.
 */
FaultReason Translator::judge(uint32_t flags, const Request &request, bool privileged) const
{
	const bool write = request.access != Access::Read, read = request.access != Access::Write;
	const bool zeroLength = request.access == Access::Read && request.length == 0 &&
				context_.features.offersCap(cap::kZlr);

	if (privileged && !(flags & kSupervisor))
		return FaultReason::SupervisorNotEnabled;
	if (!privileged && !(flags & kUser))
		return FaultReason::UserDenied;
	if (write && !(flags & kWrite) && !(privileged && !(flags & kWriteProtect)))
		return FaultReason::WriteDenied;
	if (write && !(flags & kStageWrite))
		return FaultReason::WriteDenied;
	if (read && !(flags & kStageRead) && !zeroLength)
		return FaultReason::ReadDenied;
	return FaultReason::None;
}

/*
 * The six bits that the hit path tests. A write to a page whose D bit is still clear may be
 * permitted, but it has to walk in order to set D (VTD-FS-11), so its bit here stays off. Once D is
 * cached as set, writes do not look at D in memory (VTD-FS-14).
 */
uint32_t Translator::permittedKinds(uint32_t flags) const
{
	uint32_t kinds = 0;

	for (unsigned kind = 0; kind < 6; kind++) {
		Request request;
		const bool privileged = kind >= 3 || (flags & kRidPrivileged);

		request.access = static_cast<Access>(kind % 3);
		request.length = 1;
		if (request.access != Access::Read && !(flags & kDirty))
			continue;
		if (judge(flags, request, privileged) == FaultReason::None)
			kinds |= 1u << kind;
	}
	return kinds;
}

/* A cached translation that refuses a request is the answer, even if the tables changed since. */
bool Translator::isDenied(const CachedTranslation &hit, const Request &request,
			  Translation &denied) noexcept
{
	const bool privileged =
		request.stream.hasPasid ? request.privileged : (hit.flags & kRidPrivileged) != 0;

	denied.reason = judge(hit.flags, request, privileged);
	denied.silenced = hit.flags & kSilenced;
	if (denied.reason != FaultReason::None)
		AgentCounters::add(caches_.counters.hits);
	return denied.reason != FaultReason::None;
}

} // namespace wd::machine::vtd
