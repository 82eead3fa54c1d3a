// SPDX-License-Identifier: Apache-2.0
/* First-stage translation (Documentation/spec/vtd.rst). */
#include "vtd_fixture.h"

namespace wd::machine::test
{
namespace
{

class VtdFirstStage : public VtdConformance
{
protected:
	void table(const Pasid &wanted = {}, unsigned levels = 4)
	{
		Pasid entry = wanted;

		root_ = bench().page();
		levels_ = levels;
		entry.type = kFirst;
		entry.first = root_;
		entry.fspm = levels - 4;
		bench().setPasid(5, entry);
		flush();
	}
	void flush() { bench().run({pasidGlobal(), iotlbGlobal()}); }
	uint64_t map(uint64_t address, uint64_t pa, uint64_t leaf = kFsAll, unsigned level = 1,
		     uint64_t link = kFsAll)
	{
		return bench().mapFirst(root_, levels_, address, pa, leaf, level, link);
	}
	uint64_t entryAt(unsigned level) { return bench().entryAt(root_, levels_, kInput, level); }
	uint64_t bitsAt(unsigned level) { return bench().get(entryAt(level)); }
	void change(unsigned level, uint64_t set, uint64_t clear = 0)
	{
		bench().put(entryAt(level), (bitsAt(level) & ~clear) | set);
		flush();
	}
	/* Set @bits in the entry of kInput at @level, expect @reason, undo. */
	void withBits(uint64_t bits, unsigned level, FaultReason reason)
	{
		const uint64_t good = bitsAt(level);

		SCOPED_TRACE(testing::Message() << "level " << level << std::hex << " " << bits);
		change(level, bits);
		if (reason == FaultReason::None)
			EXPECT_EQ(bench().request(pasid(5), kInput).reason, reason);
		else
			expectRecorded(reason, pasid(5), kInput);
		bench().put(entryAt(level), good);
		flush();
	}

	uint64_t root_ = 0;
	unsigned levels_ = 0;
};

/* VTD-FS-1 */
TEST_F(VtdFirstStage, PageSizes)
{
	table();
	map(0x40000000, 0x80000000, kFsAll, 3);
	map(0x80200000, 0xc0400000, kFsAll, 2);
	map(0x80400000, target_);
	for (Access access : {Access::Read, Access::Write}) {
		expectMapped(0x80000000 + 0x3fffff38, pasid(5), 0x40000000 + 0x3fffff38, access);
		expectMapped(0xc0400000 + 0x1fff38, pasid(5), 0x80200000 + 0x1fff38, access);
		expectMapped(target_ + 0xf38, pasid(5), 0x80400000 + 0xf38, access);
	}
}

/* VTD-FS-2 */
TEST_F(VtdFirstStage, Canonical48)
{
	table();
	map(0xffff800000000000, target_);
	EXPECT_NE(bench().get(root_ + 256 * 8), 0u);
	expectRecorded(FaultReason::NotCanonical, pasid(5), 0x0000800000000000);
	expectRecorded(FaultReason::NotCanonical, pasid(5), 0x0001800000000000);
	expectMapped(target_, pasid(5), 0xffff800000000000);
}

/* VTD-FS-2 */
TEST_F(VtdFirstStage, Canonical57)
{
	table({}, 5);
	map(0xff00000000000000, target_);
	EXPECT_NE(bench().get(root_ + 256 * 8), 0u);
	expectRecorded(FaultReason::NotCanonical, pasid(5), 0x0100000000000000);
	expectMapped(target_, pasid(5), 0xff00000000000000);
}

/* VTD-FS-3 */
TEST_F(VtdFirstStage, NotPresentAtEachLevel)
{
	for (unsigned level : {5, 4, 3, 2, 1}) {
		table({}, 5);
		map(kInput, target_);
		change(level, 0, kFsP);
		expectRecorded(FaultReason::FirstStageNotPresent, pasid(5), kInput);
		change(level, ~kFsP);
		bench().put(entryAt(level), ~kFsP);
		expectRecorded(FaultReason::FirstStageNotPresent, pasid(5), kInput);
	}
}

/* VTD-FS-4 */
TEST_F(VtdFirstStage, PageSizeBitOfUpperLevels)
{
	table({}, 5);
	map(kInput, target_);
	withBits(kPs, 4, FaultReason::FirstStageReserved);
	withBits(kPs, 5, FaultReason::FirstStageReserved);
	withBits(0, 5, FaultReason::None);
}

/* VTD-FS-4 */
TEST_F(VtdFirstStage, GiganticPagesNeedTheFeature)
{
	table();
	map(0, 0x40000000, kFsAll, 3);
	expectMapped(0x40001000, pasid(5), kInput);
	use(VtdBench::e0WithoutCap(kCapFs1gp));
	table();
	map(0, 0x40000000, kFsAll, 3);
	expectRecorded(FaultReason::FirstStageReserved, pasid(5), kInput);
}

/* VTD-FS-5 */
TEST_F(VtdFirstStage, LargeLeafBits)
{
	table();
	map(0, 0x40000000, kFsAll, 2);
	withBits(bit(13), 2, FaultReason::FirstStageReserved);
	withBits(bit(20), 2, FaultReason::FirstStageReserved);
	change(2, bit(12));
	expectMapped(0x40001000, pasid(5), kInput);

	table();
	map(0, 0x40000000, kFsAll, 3);
	withBits(bit(13), 3, FaultReason::FirstStageReserved);
	withBits(bit(29), 3, FaultReason::FirstStageReserved);
	change(3, bit(12));
	expectMapped(0x40001000, pasid(5), kInput);
}

/* VTD-FS-6 */
TEST_F(VtdFirstStage, AddressBeyondHostWidth)
{
	table();
	map(kInput, target_);
	for (unsigned level : {4, 3, 2, 1}) {
		withBits(bit(46), level, FaultReason::FirstStageReserved);
		withBits(bit(51), level, FaultReason::FirstStageReserved);
		withBits(bit(52) | bit(62), level, FaultReason::None);
		withBits(bit(63), level, FaultReason::None);
		withBits(bit(8) | bit(9) | bit(11), level, FaultReason::None);
	}
	change(1, bit(63) | bit(52));
	expectMapped(target_, pasid(5), kInput);
}

/* VTD-FS-7 */
TEST_F(VtdFirstStage, UserBitAtOneLevel)
{
	Pasid entry;

	entry.supervisor = true;
	for (unsigned level : {4, 3, 2, 1}) {
		table(entry);
		map(kInput, target_);
		change(level, 0, kFsUs);
		expectRecorded(FaultReason::UserDenied, pasid(5), kInput);
		expectRecorded(FaultReason::UserDenied, pasid(5), kInput, Access::Write);
		expectMapped(target_, pasid(5), kInput, Access::Read, true);
		expectMapped(target_, pasid(5), kInput, Access::Write, true);
		/* The supervisor's translation in the IOTLB does not help the user. */
		expectRecorded(FaultReason::UserDenied, pasid(5), kInput);
	}
}

/*
 * The walk for a user request ends at the entry that denies the user (VTD-FS-7). The unit neither
 * marks that entry and those below as accessed nor caches them, and finds no errors below.
 */
TEST_F(VtdFirstStage, AWalkEndsAtTheEntryThatDeniesTheUser)
{
	for (unsigned level : {4, 3, 2, 1}) {
		table();
		map(kInput, target_);
		change(level, 0, kFsUs);
		for (unsigned below = 1; below < level; below++)
			change(below, 0, kFsP);
		expectRecorded(FaultReason::UserDenied, pasid(5), kInput);
		expectRecorded(FaultReason::UserDenied, pasid(5), kInput, Access::Write);
		for (unsigned at : {4, 3, 2, 1})
			EXPECT_EQ(bitsAt(at) & kFsA, at > level ? kFsA : 0u)
				<< "level " << at << ", denied at " << level;
	}
}

/*
 * VTD-FS-7: a supervisor request has cached entries. A user request must not use them to get below
 * the entry that denies the user.
 */
TEST_F(VtdFirstStage, CachedTablesOfTheSupervisorAreClosedToTheUser)
{
	Pasid entry;

	entry.supervisor = true;
	table(entry);
	map(kInput, target_);
	map(kInput + 0x1000, target_);
	change(4, 0, kFsUs);
	expectMapped(target_, pasid(5), kInput, Access::Read, true);
	expectRecorded(FaultReason::UserDenied, pasid(5), kInput + 0x1000);
	EXPECT_FALSE(bench().get(entryAt(1) + 8) & kFsA);
}

/* VTD-FS-8 */
TEST_F(VtdFirstStage, WriteBitAtOneLevel)
{
	for (unsigned level : {4, 3, 2, 1}) {
		table();
		map(kInput, target_);
		change(level, 0, kFsRw);
		expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Write);
		expectMapped(target_, pasid(5), kInput);
		expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Write);
		expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Atomic);
		EXPECT_EQ(bitsAt(1) & kFsD, 0u);
	}
}

/* VTD-FS-9 */
TEST_F(VtdFirstStage, WriteProtectEnable)
{
	Pasid entry;

	entry.supervisor = true;
	table(entry);
	map(kInput, target_, kFsP | kFsUs);
	expectMapped(target_, pasid(5), kInput, Access::Write, true);
	EXPECT_TRUE(bitsAt(1) & kFsD);
	/* The user still may not write, although the page is dirty and cached. */
	expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Write);

	entry.writeProtect = true;
	table(entry);
	map(kInput, target_, kFsP | kFsUs);
	expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Write, true);
	EXPECT_FALSE(bitsAt(1) & kFsD);
}

/* VTD-FS-10, VTD-FS-11 */
TEST_F(VtdFirstStage, AccessedAndDirty)
{
	table();
	map(kInput, target_);
	expectMapped(target_, pasid(5), kInput);
	for (unsigned level : {4, 3, 2, 1})
		EXPECT_EQ(bitsAt(level) & (kFsA | kFsD), kFsA) << level;
	/* VTD-FS-11: the read has cached a translation; the write must still set the D bit. */
	expectMapped(target_, pasid(5), kInput, Access::Write);
	EXPECT_EQ(bitsAt(1) & (kFsA | kFsD), kFsA | kFsD);
	for (unsigned level : {4, 3, 2})
		EXPECT_EQ(bitsAt(level) & (kFsA | kFsD), kFsA) << level;
}

/* VTD-FS-12 */
TEST_F(VtdFirstStage, ExtendedAccessed)
{
	Pasid entry;

	table(entry);
	map(kInput, target_);
	expectMapped(target_, pasid(5), kInput);
	EXPECT_EQ(bitsAt(1) & (kFsA | kFsEa), kFsA);
	entry.eafe = true;
	table(entry);
	map(kInput, target_);
	expectMapped(target_, pasid(5), kInput);
	for (unsigned level : {4, 3, 2, 1})
		EXPECT_EQ(bitsAt(level) & (kFsA | kFsEa), kFsA | kFsEa) << level;
}

/* VTD-FS-13 */
TEST_F(VtdFirstStage, UpdateNeedsSnoopedWalks)
{
	Pasid entry;

	entry.snooped = false;
	table(entry);
	map(kInput, target_);
	expectRecorded(FaultReason::FirstStageUpdateNotSnooped, pasid(5), kInput);
	table(entry);
	map(kInput, target_, kFsAll | kFsA | kFsD, 1, kFsAll | kFsA);
	expectMapped(target_, pasid(5), kInput, Access::Write);
}

/* VTD-FS-14 */
TEST_F(VtdFirstStage, ClearedDirtyNeedsFlush)
{
	table();
	const uint64_t leaf = map(kInput, target_);

	expectMapped(target_, pasid(5), kInput, Access::Write);
	bench().put(leaf, bench().get(leaf) & ~kFsD);
	expectMapped(target_, pasid(5), kInput, Access::Write);
	EXPECT_FALSE(bench().get(leaf) & kFsD); /* maximal caching: stays 0 */
	bench().run({pasidIotlbPage(1, 5, kInput, 0, true)});
	expectMapped(target_, pasid(5), kInput, Access::Write);
	EXPECT_TRUE(bench().get(leaf) & kFsD);
}

/* VTD-FS-15 */
TEST_F(VtdFirstStage, TablesInHoles)
{
	Pasid entry;

	entry.type = kFirst;
	entry.first = 0x3000;
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::FirstStageTopNotReadable, pasid(5), kInput);
	table();
	map(kInput, target_);
	for (unsigned level : {2, 3, 4}) {
		bench().put(entryAt(level), 0x3000 | kFsAll);
		flush();
		expectRecorded(FaultReason::FirstStageNotReadable, pasid(5), kInput);
	}
}

/* VTD-MSI-3 */
TEST_F(VtdFirstStage, OutputInInterruptRange)
{
	table();
	map(kInput, 0xfee00000);
	expectRecorded(FaultReason::InterruptRangeOutput, pasid(5), kInput);
	map(0x200000, 0xfee00000, kFsAll, 2);
	expectMapped(0xfef00000, pasid(5), 0x300000);
	expectRecorded(FaultReason::InterruptRangeOutput, pasid(5), 0x200000);
}

/* VTD-FS-16: in a table that refers to itself the walk must end after the usual levels. */
TEST_F(VtdFirstStage, SelfReferringTableEnds)
{
	table();
	bench().put(root_, root_ | kFsAll);
	const TranslationResult result = bench().request(pasid(5), 0);

	EXPECT_EQ(result.reason, FaultReason::None);
	EXPECT_EQ(result.address, root_);
}

} // namespace
} // namespace wd::machine::test
