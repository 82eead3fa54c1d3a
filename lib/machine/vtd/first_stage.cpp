// SPDX-License-Identifier: Apache-2.0
#include "first_stage.h"

#include "core/trace.h"

namespace wd::machine::vtd
{
namespace
{

constexpr uint64_t kPresent = bit(0), kWrite = bit(1), kUser = bit(2), kAccessed = bit(5);
constexpr uint64_t kDirty = bit(6), kPageSizeBit = bit(7), kExtendedAccessed = bit(10);

constexpr uint32_t kCachedUser = 1, kCachedWrite = 2, kCachedUpdates = 4;

/** A walk in progress: the table of the next level and the rights so far. */
struct Position {
	TablePage table;
	unsigned level = 0;
	bool user = true, write = true;
};

bool isLeaf(uint64_t entry, unsigned level)
{
	return level == 1 || ((level == 2 || level == 3) && (entry & kPageSizeBit));
}

/* VTD-FS-4 to VTD-FS-6. Bit 12 of a large leaf is PAT; bit 63 is ignored. */
uint64_t reservedBits(const Features &features, uint64_t entry, unsigned level)
{
	uint64_t reserved = features.entryAboveHaw;

	if (level > 3)
		return reserved | kPageSizeBit;
	if (!isLeaf(entry, level))
		return reserved;
	if (level == 2)
		reserved |= mask(20, 13);
	if (level == 3)
		reserved |= mask(29, 13) | (features.offersCap(cap::kFs1gp) ? 0 : kPageSizeBit);
	return reserved;
}

/* VTD-FS-3, VTD-NEST-9 */
FaultReason checkEntry(const Features &features, const TableSpace &space, uint64_t entry,
		       unsigned level)
{
	if (!(entry & kPresent))
		return FaultReason::FirstStageNotPresent;
	if (entry & reservedBits(features, entry, level))
		return FaultReason::FirstStageReserved;
	if (!space.contains(entry & mask(51, 12)))
		return FaultReason::FirstStageAddressWidth;
	return FaultReason::None;
}

/* VTD-FS-9: whether the request may write. @user and @write are the rights of the whole walk. */
bool mayWrite(const FirstStageTable &table, bool user, bool write)
{
	if (table.privileged)
		return write || !table.writeProtect;
	return user && write;
}

/* VTD-FS-10, VTD-FS-12 */
uint64_t usageBits(const FirstStageTable &table, uint64_t entry, const Position &at, bool forWrite)
{
	uint64_t bits = kAccessed | (table.extendedAccessed ? kExtendedAccessed : 0);

	if (forWrite && isLeaf(entry, at.level) &&
	    mayWrite(table, at.user && (entry & kUser), at.write && (entry & kWrite)))
		bits |= kDirty;
	return bits;
}

/*
 * Check @entry, found at @pa, and set its A, EA and D bits. On success @entry is the value that was
 * checked. If an entry denies a user request, the walk ends there: it sets no bits in the entry and
 * reads no table below it (VTD-FS-7).
 */
FaultReason useEntry(const WalkContext &context, const TableSpace &space,
		     const FirstStageTable &table, uint64_t pa, const Position &at, bool forWrite,
		     uint64_t &entry)
{
	for (unsigned attempt = 0; attempt < kUpdateAttempts; attempt++) {
		const FaultReason reason = checkEntry(context.features, space, entry, at.level);

		if (reason != FaultReason::None)
			return reason;
		if (!table.privileged && !(entry & kUser))
			return FaultReason::UserDenied;
		const uint64_t used = entry | usageBits(table, entry, at, forWrite);
		bool exchanged = false;

		if (used == entry)
			return FaultReason::None;
		/* VTD-FS-13, VTD-NEST-4 */
		if (!table.snooped)
			return FaultReason::FirstStageUpdateNotSnooped;
		if (!at.table.writable)
			return FaultReason::NestedNotWritable;
		if (!context.memory.compareExchange(pa, entry, used, exchanged))
			break;
		if (exchanged) {
			entry = used;
			return FaultReason::None;
		}
	}
	return FaultReason::FirstStageUpdateFailed;
}

/* VTD-INV-7 */
uint64_t structureTag(const FirstStageTable &table)
{
	return uint64_t{table.pasid} << 16 | table.domain;
}

/* Start at the deepest cached table on the way to @address, or else at the top table. */
FaultReason findStart(const WalkContext &context, TableSpace &space, const FirstStageTable &table,
		      uint64_t address, Position &at)
{
	for (unsigned level = 1; level < table.levels; level++) {
		const CachedTranslation *cached =
			context.caches.firstStage.find(structureTag(table), address, level);

		if (!cached)
			continue;
		at.table = TablePage{cached->value, (cached->flags & kCachedUpdates) != 0};
		at.level = level;
		at.user = cached->flags & kCachedUser;
		at.write = cached->flags & kCachedWrite;
		/* A privileged walk may have cached a table below an entry that denies the user. */
		return table.privileged || at.user ? FaultReason::None : FaultReason::UserDenied;
	}
	at.level = table.levels;
	return space.enter(table.root, true, at.table);
}

/* The cache keeps the table's host physical address, so that a hit needs no second-stage walk. */
void cachePosition(const WalkContext &context, const FirstStageTable &table, uint64_t address,
		   const Position &at)
{
	CachedTranslation entry;

	entry.size = at.level;
	entry.who = structureTag(table);
	entry.page = address >> classShift(entry.size);
	entry.value = at.table.pa;
	entry.flags = (at.user ? kCachedUser : 0) | (at.write ? kCachedWrite : 0) |
		      (at.table.writable ? kCachedUpdates : 0);
	entry.domain = table.domain;
	entry.pasid = table.pasid;
	entry.kind = TagKind::Pasid;
	context.caches.firstStage.insert(entry);
}

} // namespace

FirstStageTable FirstStageTable::of(const PasidEntry &entry, uint32_t pasid, bool privileged,
				    const Features &features)
{
	FirstStageTable table;

	table.root = entry.firstStageTable();
	table.levels = entry.firstStageLevels();
	table.domain = entry.domain();
	table.pasid = pasid;
	table.snooped = entry.walksSnooped();
	table.extendedAccessed = entry.extendedAccessed() && features.offers(ecap::kEafs);
	table.privileged = privileged;
	table.writeProtect = entry.writeProtect();
	return table;
}

bool isCanonical(uint64_t address, unsigned levels)
{
	const uint64_t upper = mask(63, 9 * levels + 11);

	return !(address & upper) || (address & upper) == upper;
}

/* VTD-FS-1, VTD-FS-8, VTD-FS-15, VTD-FS-16 */
FaultReason walkFirstStage(const WalkContext &context, TableSpace &space,
			   const FirstStageTable &table, uint64_t address, bool forWrite,
			   FirstStageLeaf &leaf)
{
	Position at;
	FaultReason reason = findStart(context, space, table, address, at);

	while (reason == FaultReason::None) {
		const uint64_t pa = entryAddress(at.table.pa, address, at.level);
		uint64_t entry;

		if (!context.fetch(pa, entry))
			return at.level == table.levels ? FaultReason::FirstStageTopNotReadable
							: FaultReason::FirstStageNotReadable;
		WD_TRACE_EVENT(vtd, walk_step,
			       "stage=first level=%u iova=0x%llx pa=0x%llx entry=0x%llx", at.level,
			       trace::hex(address), trace::hex(pa), trace::hex(entry));
		reason = useEntry(context, space, table, pa, at, forWrite, entry);
		if (reason != FaultReason::None)
			break;
		const uint64_t next = entry & mask(51, 12);

		at.user = at.user && (entry & kUser);
		at.write = at.write && (entry & kWrite);
		if (isLeaf(entry, at.level)) {
			leaf.base = next & ~(bit(levelShift(at.level)) - 1);
			leaf.level = at.level;
			leaf.user = at.user;
			leaf.write = at.write;
			leaf.dirty = entry & kDirty;
			break;
		}
		at.level--;
		reason = space.enter(next, false, at.table);
		if (reason == FaultReason::None)
			cachePosition(context, table, address, at);
	}
	return reason;
}

} // namespace wd::machine::vtd
