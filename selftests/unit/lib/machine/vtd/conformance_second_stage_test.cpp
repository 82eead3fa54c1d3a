// SPDX-License-Identifier: Apache-2.0
/* Second-stage translation (Documentation/spec/vtd.rst). */
#include "vtd_fixture.h"

namespace wd::machine::test
{
namespace
{

class VtdSecondStage : public VtdConformance
{
protected:
	/* Point @pasid to a new table of width @aw. */
	void table(uint64_t aw = 2, bool ssade = false, bool snooped = true)
	{
		Pasid entry;

		root_ = bench().page();
		levels_ = aw + 2;
		entry.second = root_;
		entry.aw = aw;
		entry.ssade = ssade;
		entry.snooped = snooped;
		bench().setPasid(5, entry);
		flush();
	}
	void flush() { bench().run({pasidGlobal(), iotlbGlobal()}); }
	uint64_t map(uint64_t address, uint64_t pa, uint64_t leaf = kSsRw, unsigned level = 1,
		     uint64_t link = kSsRw)
	{
		return bench().mapSecond(root_, levels_, address, pa, leaf, level, link);
	}
	/* Set @bits in the entry at @level, expect @reason, undo. */
	void withBits(uint64_t bits, unsigned level, FaultReason reason,
		      Access access = Access::Read)
	{
		const uint64_t entry = bench().entryAt(root_, levels_, kInput, level);
		const uint64_t good = bench().get(entry);

		SCOPED_TRACE(testing::Message() << "level " << level << std::hex << " " << bits);
		bench().put(entry, good | bits);
		flush();
		if (reason == FaultReason::None)
			EXPECT_EQ(bench().request(pasid(5), kInput, access).reason, reason);
		else
			expectRecorded(reason, pasid(5), kInput, access);
		bench().put(entry, good);
		flush();
	}

	uint64_t root_ = 0;
	unsigned levels_ = 0;
};

/* VTD-SS-1 */
TEST_F(VtdSecondStage, HighestPageOfEachWidth)
{
	IommuCapabilities capabilities = VtdBench::e0();

	capabilities.cap = (capabilities.cap & ~(uint64_t{0x3f} << 16)) | uint64_t{56} << 16 |
			   uint64_t{0xe} << 8;
	use(capabilities);
	for (unsigned aw : {1, 2, 3}) {
		const uint64_t top = bit(30 + 9 * aw) - 4096;

		table(aw);
		map(top, target_);
		expectMapped(target_ + 0xff8, pasid(5), top + 0xff8);
		expectMapped(target_ + 0xff8, pasid(5), top + 0xff8, Access::Write);
	}
}

/* VTD-SS-1 */
TEST_F(VtdSecondStage, PageSizes)
{
	table();
	map(0x40000000, 0x80000000, kSsRw, 3);
	map(0x80200000, 0xc0400000, kSsRw, 2);
	map(0x80400000, target_);
	expectMapped(0x80000000 + 0x3fffff38, pasid(5), 0x40000000 + 0x3fffff38);
	expectMapped(0xc0400000 + 0x1fff38, pasid(5), 0x80200000 + 0x1fff38);
	EXPECT_EQ(bench().request(pasid(5), 0x80200010).contiguous, 0x1ffff0u);
	EXPECT_EQ(bench().request(pasid(5), 0x80400010).contiguous, 0xff0u);
}

/* VTD-SS-2 */
TEST_F(VtdSecondStage, InputBeyondWidth)
{
	table(2);
	expectRecorded(FaultReason::AddressBeyondWidth, pasid(5), bit(48));
	expectRecorded(FaultReason::AddressBeyondWidth, pasid(5), ~uint64_t{0xfff});
	table(1);
	expectRecorded(FaultReason::AddressBeyondWidth, pasid(5), bit(39));
}

/* VTD-SS-2 */
TEST_F(VtdSecondStage, MgawLimitsBelowAgaw)
{
	IommuCapabilities capabilities = VtdBench::e0();

	capabilities.cap = (capabilities.cap & ~(uint64_t{0x3f} << 16)) | uint64_t{45} << 16;
	use(capabilities);
	table(2);
	map(bit(46) - 4096, target_);
	expectMapped(target_, pasid(5), bit(46) - 4096);
	expectRecorded(FaultReason::AddressBeyondWidth, pasid(5), bit(46));
}

/* VTD-SS-3 */
TEST_F(VtdSecondStage, NotPresentHidesReservedBits)
{
	for (unsigned level = 4; level >= 1; level--) {
		table();
		const uint64_t leaf = map(kInput, target_);
		const uint64_t entry = bench().entryAt(root_, levels_, kInput, level);

		ASSERT_EQ(level == 1, entry == leaf);
		bench().put(entry, ~uint64_t{3});
		expectRecorded(FaultReason::SecondStageNotPresent, pasid(5), kInput);
	}
}

/* VTD-SS-4 */
TEST_F(VtdSecondStage, Permissions)
{
	table();
	map(0x1000, target_, kSsR);
	map(0x2000, target_, kSsW);
	for (int round = 0; round < 2; round++) { /* walk, then IOTLB */
		expectMapped(target_, pasid(5), 0x1000);
		expectRecorded(FaultReason::WriteDenied, pasid(5), 0x1000, Access::Write);
		expectMapped(target_, pasid(5), 0x2000, Access::Write);
		expectRecorded(FaultReason::ReadDenied, pasid(5), 0x2000);
	}
}

/* VTD-SS-4 */
TEST_F(VtdSecondStage, NothingLeftOfTheRights)
{
	table();
	map(kInput, target_, kSsW, 1, kSsR);
	expectRecorded(FaultReason::SecondStageNotPresent, pasid(5), kInput);
	expectRecorded(FaultReason::SecondStageNotPresent, pasid(5), kInput, Access::Write);
}

/* VTD-SS-4 */
TEST_F(VtdSecondStage, EveryLevelMustGrant)
{
	for (unsigned level : {4, 3, 2}) {
		for (bool writeOnly : {false, true}) {
			table();
			map(0x1000, target_);
			map(0x2000, target_);
			const uint64_t entry = bench().entryAt(root_, levels_, kInput, level);
			const FaultReason reason =
				writeOnly ? FaultReason::ReadDenied : FaultReason::WriteDenied;

			bench().put(entry, bench().get(entry) & ~(writeOnly ? kSsR : kSsW));
			/* The second address starts from a cached table. */
			for (uint64_t address : {0x1000, 0x2000}) {
				expectRecorded(reason, pasid(5), address,
					       writeOnly ? Access::Read : Access::Write);
				expectMapped(target_, pasid(5), address,
					     writeOnly ? Access::Write : Access::Read);
			}
		}
	}
}

/* VTD-SS-5 */
TEST_F(VtdSecondStage, ZeroLengthRead)
{
	table();
	map(kInput, target_, kSsW);
	EXPECT_EQ(bench().request(pasid(5), kInput, Access::Read, false, 0).reason,
		  FaultReason::None);
	use(VtdBench::e0WithoutCap(kCapZlr));
	table();
	map(kInput, target_, kSsW);
	expectRecorded(FaultReason::ReadDenied, pasid(5), kInput, Access::Read, false, 0);
}

/* VTD-SS-6 */
TEST_F(VtdSecondStage, ReservedAndIgnoredBits)
{
	table();
	map(kInput, target_);
	withBits(kPs, 4, FaultReason::SecondStageReserved);
	for (unsigned level : {4, 3, 2}) {
		withBits(bit(11), level, FaultReason::SecondStageReserved);
		withBits(bit(62), level, FaultReason::SecondStageReserved);
		withBits(bit(46), level, FaultReason::SecondStageReserved);
		withBits(bit(51), level, FaultReason::SecondStageReserved);
	}
	withBits(bit(62), 1, FaultReason::SecondStageReserved);
	withBits(bit(46), 1, FaultReason::SecondStageReserved);
	for (unsigned level : {4, 3, 2, 1})
		withBits(bit(61) | bit(63) | bit(52) | bit(60) | bit(2) | bit(8) | bit(10), level,
			 FaultReason::None);
	withBits(kPs | bit(3) | bit(5) | bit(6) | bit(9), 1, FaultReason::None);
}

/* VTD-SS-7 */
TEST_F(VtdSecondStage, LargeLeaves)
{
	table();
	map(0, 0x40000000, kSsRw, 2);
	withBits(bit(12), 2, FaultReason::SecondStageReserved);
	withBits(bit(20), 2, FaultReason::SecondStageReserved);
	withBits(0, 2, FaultReason::None);
	table();
	map(0, 0x40000000, kSsRw, 3);
	withBits(bit(12), 3, FaultReason::SecondStageReserved);
	withBits(bit(29), 3, FaultReason::SecondStageReserved);
	withBits(0, 3, FaultReason::None);

	IommuCapabilities capabilities = VtdBench::e0();

	capabilities.cap &= ~(bit(34) | bit(35));
	use(capabilities);
	for (unsigned level : {2, 3}) {
		table();
		map(0, 0x40000000, kSsRw, level);
		withBits(0, level, FaultReason::SecondStageReserved);
	}
}

/* VTD-SS-8 */
TEST_F(VtdSecondStage, SnoopBitNeedsSnoopControl)
{
	table();
	map(kInput, target_);
	withBits(bit(11), 1, FaultReason::None);
	use(VtdBench::e0Without(kEcapSc));
	table();
	map(kInput, target_);
	withBits(bit(11), 1, FaultReason::SecondStageReserved);
}

/* VTD-SS-9 */
TEST_F(VtdSecondStage, AccessedAndDirty)
{
	const auto bits = [&](unsigned level) {
		return bench().get(bench().entryAt(root_, levels_, kInput, level)) & (kSsA | kSsD);
	};

	table(2, false);
	map(kInput, target_);
	expectMapped(target_, pasid(5), kInput, Access::Write);
	for (unsigned level : {4, 3, 2, 1})
		EXPECT_EQ(bits(level), 0u);

	table(2, true);
	map(kInput, target_);
	expectMapped(target_, pasid(5), kInput);
	for (unsigned level : {4, 3, 2, 1})
		EXPECT_EQ(bits(level), kSsA);
	/* The read has cached a translation; the write must still set the D bit. */
	expectMapped(target_, pasid(5), kInput, Access::Write);
	for (unsigned level : {4, 3, 2})
		EXPECT_EQ(bits(level), kSsA);
	EXPECT_EQ(bits(1), kSsA | kSsD);
}

/* VTD-SS-9 */
TEST_F(VtdSecondStage, RefusedWriteIsNotDirty)
{
	table(2, true);
	const uint64_t leaf = map(kInput, target_, kSsR);

	expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Write);
	EXPECT_EQ(bench().get(leaf) & kSsD, 0u);
}

/* VTD-SS-10 */
TEST_F(VtdSecondStage, UpdateNeedsSnoopedWalks)
{
	table(2, true, false);
	map(kInput, target_);
	expectRecorded(FaultReason::SecondStageUpdateNotSnooped, pasid(5), kInput);
	table(2, true, false);
	map(kInput, target_, kSsRw | kSsA | kSsD, 1, kSsRw | kSsA);
	expectMapped(target_, pasid(5), kInput, Access::Write);
}

/* VTD-SS-11 */
TEST_F(VtdSecondStage, TablesInHoles)
{
	Pasid entry;

	entry.second = 0x3000;
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::SecondStageTopNotReadable, pasid(5), kInput);
	table();
	map(kInput, target_);
	for (unsigned level : {2, 3, 4}) {
		bench().put(bench().entryAt(root_, levels_, kInput, level), 0x3000 | kSsRw);
		flush();
		expectRecorded(FaultReason::SecondStageNotReadable, pasid(5), kInput);
	}
}

/* VTD-SS-12 */
TEST_F(VtdSecondStage, AtomicsNeedBoth)
{
	table();
	map(0x1000, target_, kSsR);
	map(0x2000, target_, kSsW);
	map(0x3000, target_);
	expectRecorded(FaultReason::WriteDenied, pasid(5), 0x1000, Access::Atomic);
	expectRecorded(FaultReason::ReadDenied, pasid(5), 0x2000, Access::Atomic);
	expectMapped(target_, pasid(5), 0x3000, Access::Atomic);
}

/* VTD-MSI-3 */
TEST_F(VtdSecondStage, OutputInInterruptRange)
{
	table();
	map(0x1000, 0xfee00000);
	expectRecorded(FaultReason::InterruptRangeOutput, pasid(5), 0x1000, Access::Write);
	map(0x200000, 0xfee00000, kSsRw, 2);
	expectMapped(0xfef00000, pasid(5), 0x300000);
	EXPECT_LE(bench().request(pasid(5), 0x300000).contiguous, 4096u);
	expectRecorded(FaultReason::InterruptRangeOutput, pasid(5), 0x200000);
}

/* VTD-SS-13: a long request is executed page by page, up to the page that fails. */
TEST_F(VtdSecondStage, RequestsAreSplitAtPages)
{
	table();
	const uint64_t other = bench().page(2) + 4096;

	map(0x1000, target_);
	map(0x2000, other);
	const auto agent = bench().unit->createAgent();
	std::array<std::byte, 0x1800> out, in{};

	for (size_t i = 0; i < out.size(); i++)
		out[i] = std::byte(i * 7 + i / 251);
	EXPECT_EQ(agent->write(pasid(5), 0x1400, out), DmaResult::Ok);
	EXPECT_EQ(agent->read(pasid(5), 0x1400, in), DmaResult::Ok);
	EXPECT_EQ(in, out);
	std::byte last{};

	EXPECT_TRUE(bench().memory.read(other + 0xbff, &last, 1));
	EXPECT_EQ(last, out.back());
	EXPECT_EQ(agent->read(pasid(5), 0x1801, in), DmaResult::Blocked);
	ASSERT_TRUE(bench().record(0));
	EXPECT_EQ(bench().record(0)->address, 0x3000u);
	map(0x3000, 0x1000); /* a hole of the memory */
	EXPECT_EQ(agent->read(pasid(5), 0x1801, in), DmaResult::NoMemory);
}

} // namespace
} // namespace wd::machine::test
