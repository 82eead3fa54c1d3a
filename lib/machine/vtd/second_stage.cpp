// SPDX-License-Identifier: Apache-2.0
#include "second_stage.h"

#include "core/trace.h"

namespace wd::machine::vtd
{
namespace
{

constexpr uint64_t kRead = bit(0), kWrite = bit(1), kPageSizeBit = bit(7);
constexpr uint64_t kAccessed = bit(8), kDirty = bit(9), kSnoop = bit(11), kIoWrite = bit(62);

constexpr uint32_t kCachedRead = 1, kCachedWrite = 2;

/** A walk in progress: the table of the next level and the rights so far. */
struct Position {
	uint64_t table;
	unsigned level;
	bool read = true, write = true;
};

bool isLeaf(uint64_t entry, unsigned level)
{
	return level == 1 || ((level == 2 || level == 3) && (entry & kPageSizeBit));
}

/* VTD-SS-6 to VTD-SS-8; IW is reserved, since SSIRWE is never on. */
uint64_t reservedBits(const Features &features, uint64_t entry, unsigned level)
{
	uint64_t reserved = features.entryAboveHaw | kIoWrite;

	if (!isLeaf(entry, level))
		return reserved | kSnoop | (level > 3 ? kPageSizeBit : 0);
	if (!features.offers(ecap::kSc))
		reserved |= kSnoop;
	if (level == 2)
		reserved |= mask(20, 12) | (features.largePages2M ? 0 : kPageSizeBit);
	if (level == 3)
		reserved |= mask(29, 12) | (features.largePages1G ? 0 : kPageSizeBit);
	return reserved;
}

/* VTD-SS-3 */
FaultReason checkEntry(const Features &features, uint64_t entry, unsigned level)
{
	if (!(entry & (kRead | kWrite)))
		return FaultReason::SecondStageNotPresent;
	if (entry & reservedBits(features, entry, level))
		return FaultReason::SecondStageReserved;
	return FaultReason::None;
}

/* VTD-SS-9 */
uint64_t usageBits(const SecondStageTable &table, uint64_t entry, const Position &at, bool forWrite)
{
	if (!table.trackUse)
		return 0;
	if (forWrite && isLeaf(entry, at.level) && at.write && (entry & kWrite))
		return kAccessed | kDirty;
	return kAccessed;
}

/*
 * Check @entry, found at @pa, and set its A and D bits. On success @entry is the value that was
 * checked.
 */
FaultReason useEntry(const WalkContext &context, const SecondStageTable &table, uint64_t pa,
		     const Position &at, bool forWrite, uint64_t &entry)
{
	for (unsigned attempt = 0; attempt < kUpdateAttempts; attempt++) {
		const FaultReason reason = checkEntry(context.features, entry, at.level);

		if (reason != FaultReason::None)
			return reason;
		const uint64_t used = entry | usageBits(table, entry, at, forWrite);
		bool exchanged = false;

		if (used == entry)
			return FaultReason::None;
		/* VTD-SS-10 */
		if (!table.snooped)
			return FaultReason::SecondStageUpdateNotSnooped;
		if (!context.memory.compareExchange(pa, entry, used, exchanged))
			break;
		if (exchanged) {
			entry = used;
			return FaultReason::None;
		}
	}
	return FaultReason::SecondStageUpdateFailed;
}

/* Start at the deepest cached table on the way to @address, or else at the root. */
Position startPosition(const WalkContext &context, const SecondStageTable &table, uint64_t address)
{
	for (unsigned level = 1; level < table.levels; level++) {
		const CachedTranslation *cached =
			context.caches.secondStage.find(table.domain, address, level);

		if (cached)
			return Position{cached->value, level, (cached->flags & kCachedRead) != 0,
					(cached->flags & kCachedWrite) != 0};
	}
	return Position{table.root, table.levels};
}

void cachePosition(const WalkContext &context, const SecondStageTable &table, uint64_t address,
		   const Position &at)
{
	CachedTranslation entry;

	/* A table of level n serves the region that one entry of level n+1 maps. */
	entry.size = at.level;
	entry.who = table.domain;
	entry.page = address >> classShift(entry.size);
	entry.value = at.table;
	entry.flags = (at.read ? kCachedRead : 0) | (at.write ? kCachedWrite : 0);
	entry.domain = table.domain;
	entry.kind = TagKind::Domain;
	context.caches.secondStage.insert(entry);
}

} // namespace

SecondStageTable SecondStageTable::of(const PasidEntry &entry, const Features &features)
{
	SecondStageTable table;

	table.root = entry.secondStageTable();
	table.levels = entry.addressWidth() + 2;
	table.domain = entry.domain();
	table.trackUse = entry.secondStageDirty() && features.offers(ecap::kSsads);
	table.snooped = entry.walksSnooped();
	return table;
}

/* VTD-SS-1, VTD-SS-4, VTD-SS-11 */
FaultReason walkSecondStage(const WalkContext &context, const SecondStageTable &table,
			    uint64_t address, bool forWrite, SecondStageLeaf &leaf)
{
	for (Position at = startPosition(context, table, address); at.level > 0; at.level--) {
		const uint64_t pa = entryAddress(at.table, address, at.level);
		uint64_t entry;

		if (!context.fetch(pa, entry))
			return at.level == table.levels ? FaultReason::SecondStageTopNotReadable
							: FaultReason::SecondStageNotReadable;
		WD_TRACE_EVENT(vtd, walk_step,
			       "stage=second level=%u iova=0x%llx pa=0x%llx entry=0x%llx", at.level,
			       trace::hex(address), trace::hex(pa), trace::hex(entry));
		const FaultReason reason = useEntry(context, table, pa, at, forWrite, entry);

		if (reason != FaultReason::None)
			return reason;
		at.read = at.read && (entry & kRead);
		at.write = at.write && (entry & kWrite);
		at.table = entry & mask(51, 12);
		if (isLeaf(entry, at.level)) {
			leaf.base = at.table;
			leaf.level = at.level;
			leaf.read = at.read;
			leaf.write = at.write;
			leaf.snoop = entry & kSnoop;
			leaf.dirty = !table.trackUse || (entry & kDirty);
			return at.read || at.write ? FaultReason::None
						   : FaultReason::SecondStageNotPresent;
		}
		if (at.read || at.write) {
			Position below = at;

			below.level--;
			cachePosition(context, table, address, below);
		}
	}
	return FaultReason::SecondStageNotPresent;
}

} // namespace wd::machine::vtd
