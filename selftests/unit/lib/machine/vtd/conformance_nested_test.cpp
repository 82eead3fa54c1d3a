// SPDX-License-Identifier: Apache-2.0
/* Nested translation (Documentation/spec/vtd.rst). */
#include "vtd_fixture.h"

namespace wd::machine::test
{
namespace
{

constexpr unsigned kLevels = 4;
constexpr unsigned kData = 0; /* index of the final page; tables are 1 (lowest) to 4 (top) */

/*
 * PASID 5 is nested. Four guest tables translate kInput to a page. The guest addresses of all five
 * are far from each other, so that walks without cache share only the top second-stage table.
 */
class VtdNested : public VtdConformance
{
protected:
	void nested(const Pasid &wanted = {}, unsigned spread = 39)
	{
		pasid_ = wanted;
		pasid_.type = kNested;
		pasid_.second = bench().page();
		for (unsigned n = 0; n <= kLevels; n++) {
			gpa_[n] = (uint64_t{n + 1} << spread) | (n << 12);
			hpa_[n] = n == kData ? target_ : bench().page();
			mapSecond(gpa_[n], hpa_[n]);
		}
		for (unsigned level = 1; level <= kLevels; level++)
			bench().put(entryAt(level), gpa_[level - 1] | kFsAll);
		pasid_.first = gpa_[kLevels];
		install();
	}
	void install()
	{
		bench().setPasid(5, pasid_);
		flush();
	}
	void flush() { bench().run({pasidGlobal(), iotlbGlobal()}); }

	/* Host address of the first-stage entry of kInput in the table of @level. */
	uint64_t entryAt(unsigned level) const
	{
		return hpa_[level] + ((kInput >> (3 + 9 * level)) & 0x1ff) * 8;
	}
	uint64_t bitsAt(unsigned level) { return bench().get(entryAt(level)); }
	void change(unsigned level, uint64_t set, uint64_t clear = 0)
	{
		bench().put(entryAt(level), (bitsAt(level) & ~clear) | set);
		flush();
	}
	void preset(uint64_t bits = kFsA, uint64_t leafBits = 0)
	{
		for (unsigned level = 1; level <= kLevels; level++)
			change(level, bits | (level == 1 ? leafBits : 0));
	}

	unsigned outerLevels() const { return pasid_.aw + 2; }
	void mapSecond(uint64_t gpa, uint64_t pa, uint64_t leaf = kSsRw, unsigned level = 1)
	{
		bench().mapSecond(pasid_.second, outerLevels(), gpa, pa, leaf, level);
	}
	/* Second-stage leaf of guest table or page @n. */
	uint64_t outerLeaf(unsigned n)
	{
		return bench().entryAt(pasid_.second, outerLevels(), gpa_[n], 1);
	}
	void changeOuter(unsigned n, uint64_t set, uint64_t clear = 0)
	{
		bench().put(outerLeaf(n), (bench().get(outerLeaf(n)) & ~clear) | set);
		flush();
	}
	uint64_t reads(Access access = Access::Read)
	{
		const uint64_t before = bench().unit->counters().entryReads;

		expectMapped(target_, pasid(5), kInput, access);
		return bench().unit->counters().entryReads - before;
	}
	TranslationCompletion ask(bool noWrite = false)
	{
		TranslationRequest request;

		request.stream = pasid(5);
		request.address = kInput;
		return bench().unit->requestTranslation(request, noWrite);
	}
	bool cached(uint64_t address)
	{
		const uint64_t before = bench().unit->counters().iotlbMisses;

		bench().request(pasid(5), address);
		return bench().unit->counters().iotlbMisses == before;
	}

	Pasid pasid_;
	uint64_t gpa_[kLevels + 1] = {}, hpa_[kLevels + 1] = {};
};

/* VTD-NEST-1 */
TEST_F(VtdNested, FourByFourReads24Entries)
{
	nested();
	reads(); /* fills the context and PASID caches */
	bench().run({iotlbGlobal()});
	EXPECT_EQ(reads(), 24u);
	EXPECT_EQ(reads(), 0u);

	/* Without caches: in addition root, context, directory and PASID entry. */
	bench().unit->setCacheMode(CacheMode::None);
	EXPECT_EQ(reads(), 24u + 4);
	EXPECT_EQ(reads(), 24u + 4);
}

/* VTD-NEST-1 */
TEST_F(VtdNested, EveryCombinationOfLevels)
{
	IommuCapabilities capabilities = VtdBench::e0();

	capabilities.cap = (capabilities.cap & ~(uint64_t{0x3f} << 16)) | uint64_t{56} << 16 |
			   uint64_t{0xe} << 8;
	use(capabilities);
	for (uint64_t aw : {1, 2, 3}) {
		Pasid entry;

		entry.aw = aw;
		nested(entry, 30);
		const unsigned outer = aw + 2;

		bench().unit->setCacheMode(CacheMode::None);
		EXPECT_EQ(reads(), 4 + kLevels * (outer + 1) + outer);

		/* Five levels: one more table on top. */
		const uint64_t top = bench().page();

		mapSecond(0x70000000000 >> (aw == 1 ? 8 : 0), top);
		bench().put(top, gpa_[kLevels] | kFsAll);
		pasid_.first = 0x70000000000 >> (aw == 1 ? 8 : 0);
		pasid_.fspm = 1;
		install();
		EXPECT_EQ(reads(), 4 + 5 * (outer + 1) + outer);
		bench().unit->setCacheMode(CacheMode::Maximal);
	}
}

TEST_F(VtdNested, StructureCachesShortenTheWalk)
{
	nested();
	reads();
	/*
	 * A second page in the same tables costs its first-stage entry and its second-stage walk.
	 */
	const uint64_t twin = bench().page();

	mapSecond(gpa_[kData] + 0x100000, twin);
	bench().put(entryAt(1) + 8, (gpa_[kData] + 0x100000) | kFsAll);
	const uint64_t before = bench().unit->counters().entryReads;

	expectMapped(twin, pasid(5), kInput + 0x1000);
	EXPECT_EQ(bench().unit->counters().entryReads - before, 2u);
}

/* VTD-NEST-2 */
TEST_F(VtdNested, TablesThatTheSecondStageDoesNotMap)
{
	for (unsigned n = 0; n <= kLevels; n++) {
		SCOPED_TRACE(n);
		nested();
		changeOuter(n, 0, kSsRw);
		expectRecorded(FaultReason::SecondStageNotPresent, pasid(5), kInput + 0x38);
	}
}

/* VTD-NEST-3 */
TEST_F(VtdNested, TablesThatTheSecondStageDoesNotLetRead)
{
	for (bool ssade : {false, true}) {
		Pasid entry;

		entry.ssade = ssade;
		nested(entry);
		changeOuter(4, 0, kSsR);
		expectRecorded(FaultReason::NestedTopNotReadable, pasid(5), kInput);
		for (unsigned level : {3, 2, 1}) {
			nested(entry);
			changeOuter(level, 0, kSsR);
			expectRecorded(FaultReason::NestedNotReadable, pasid(5), kInput);
		}
	}
}

/* VTD-NEST-4 */
TEST_F(VtdNested, UpdatesNeedWritePermission)
{
	for (unsigned level = 1; level <= kLevels; level++) {
		SCOPED_TRACE(level);
		nested();
		changeOuter(level, 0, kSsW);
		expectRecorded(FaultReason::NestedNotWritable, pasid(5), kInput);
		EXPECT_FALSE(bitsAt(level) & kFsA);
		preset();
		expectMapped(target_, pasid(5), kInput);
		if (level == 1) {
			expectRecorded(FaultReason::NestedNotWritable, pasid(5), kInput,
				       Access::Write);
			EXPECT_FALSE(bitsAt(1) & kFsD);
			preset(kFsA, kFsD);
		}
		expectMapped(target_, pasid(5), kInput, Access::Write);
	}
}

/* VTD-NEST-4 */
TEST_F(VtdNested, CachedTablesKeepTheirPermission)
{
	/* The failing walk starts at the lowest table, which is in the structure cache. */
	nested();
	changeOuter(1, 0, kSsW);
	preset();
	expectMapped(target_, pasid(5), kInput);
	bench().put(entryAt(1) + 8, gpa_[kData] | kFsAll);
	expectRecorded(FaultReason::NestedNotWritable, pasid(5), kInput + 0x1000);
	EXPECT_EQ(bench().get(entryAt(1) + 8), gpa_[kData] | kFsAll);
}

/* VTD-NEST-4 */
TEST_F(VtdNested, ExtendedAccessed)
{
	Pasid entry;

	entry.eafe = true;
	nested(entry);
	preset();
	changeOuter(2, 0, kSsW);
	expectRecorded(FaultReason::NestedNotWritable, pasid(5), kInput);
	preset(kFsA | kFsEa);
	expectMapped(target_, pasid(5), kInput);
}

/* VTD-NEST-5 */
TEST_F(VtdNested, DirtyTrackingNeedsWritePermission)
{
	Pasid entry;

	entry.ssade = true;
	for (unsigned level = 1; level <= kLevels; level++) {
		nested(entry);
		preset(kFsA, kFsD);
		changeOuter(level, 0, kSsW);
		expectRecorded(FaultReason::NestedNotWritable, pasid(5), kInput);
	}
}

/* VTD-NEST-5 */
TEST_F(VtdNested, TablesBecomeDirty)
{
	Pasid entry;

	entry.ssade = true;
	nested(entry);
	expectMapped(target_, pasid(5), kInput);
	for (unsigned level = 1; level <= kLevels; level++) {
		EXPECT_TRUE(bitsAt(level) & kFsA) << level;
		EXPECT_EQ(bench().get(outerLeaf(level)) & (kSsA | kSsD), kSsA | kSsD) << level;
	}
	EXPECT_EQ(bench().get(outerLeaf(kData)) & (kSsA | kSsD), kSsA);
	expectMapped(target_, pasid(5), kInput, Access::Write);
	EXPECT_TRUE(bitsAt(1) & kFsD);
	EXPECT_EQ(bench().get(outerLeaf(kData)) & (kSsA | kSsD), kSsA | kSsD);

	/* Clear the dirty bits: a write after the flush sets them again. */
	for (unsigned n = 0; n <= kLevels; n++)
		bench().put(outerLeaf(n), bench().get(outerLeaf(n)) & ~kSsD);
	bench().run({iotlbDomain(1)});
	expectMapped(target_, pasid(5), kInput, Access::Write);
	for (unsigned n = 0; n <= kLevels; n++)
		EXPECT_TRUE(bench().get(outerLeaf(n)) & kSsD) << n;
}

/* VTD-NEST-6 */
TEST_F(VtdNested, WithoutTrackingNothingOfTheSecondStageChanges)
{
	nested();
	expectMapped(target_, pasid(5), kInput, Access::Write);
	for (unsigned n = 0; n <= kLevels; n++)
		EXPECT_EQ(bench().get(outerLeaf(n)) & (kSsA | kSsD), 0u) << n;
}

/* VTD-NEST-6 */
TEST_F(VtdNested, RefusedWritesDoNotMakeThePageDirty)
{
	Pasid entry;

	entry.ssade = true;
	nested(entry);
	change(1, 0, kFsRw);
	expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Write);
	EXPECT_FALSE(bench().get(outerLeaf(kData)) & kSsD);
}

/* VTD-NEST-7 */
TEST_F(VtdNested, PageThatTheSecondStageLetsOnlyRead)
{
	nested();
	changeOuter(kData, 0, kSsW);
	for (Access access : {Access::Write, Access::Atomic}) {
		expectMapped(target_, pasid(5), kInput);
		expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, access);
		EXPECT_TRUE(cached(kInput)); /* refused by the cached read-only page */
		flush();
		expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, access);
	}
}

/* VTD-NEST-7 */
TEST_F(VtdNested, PageThatTheFirstStageLetsOnlyRead)
{
	for (unsigned level = 1; level <= kLevels; level++) {
		nested();
		change(level, 0, kFsRw);
		expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Write);
		expectMapped(target_, pasid(5), kInput);
	}
}

/* VTD-NEST-7 */
TEST_F(VtdNested, PrivilegedRequests)
{
	Pasid entry;

	entry.supervisor = true;
	nested(entry);
	change(1, 0, kFsRw | kFsUs);
	expectRecorded(FaultReason::UserDenied, pasid(5), kInput);
	expectMapped(target_, pasid(5), kInput, Access::Write, true);

	entry.writeProtect = true;
	nested(entry);
	change(1, 0, kFsRw | kFsUs);
	expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Write, true);
	expectMapped(target_, pasid(5), kInput, Access::Read, true);

	/* The guest must not be able to override a second stage that refuses. */
	entry.writeProtect = false;
	nested(entry);
	changeOuter(kData, 0, kSsW);
	expectRecorded(FaultReason::WriteDenied, pasid(5), kInput, Access::Write, true);
}

/* VTD-NEST-7 */
TEST_F(VtdNested, PageThatTheSecondStageLetsOnlyWrite)
{
	nested();
	changeOuter(kData, 0, kSsR);
	expectRecorded(FaultReason::ReadDenied, pasid(5), kInput);
	expectRecorded(FaultReason::ReadDenied, pasid(5), kInput, Access::Atomic);
	expectMapped(target_, pasid(5), kInput, Access::Write);
	EXPECT_EQ(bench().request(pasid(5), kInput, Access::Read, false, 0).reason,
		  FaultReason::None);
}

/* VTD-NEST-8 */
TEST_F(VtdNested, TheSmallerPageCounts)
{
	constexpr uint64_t kLarge = 0x200000, kGuest = 0x80000000, kHost = 0x40000000;
	const struct {
		unsigned first, second;
		uint64_t contiguous;
	} cases[] = {
		{2, 1, 0x1000}, {1, 2, 0x1000}, {2, 2, kLarge}, {3, 2, kLarge}, {2, 3, kLarge}};

	for (const auto &c : cases) {
		SCOPED_TRACE(testing::Message() << c.first << " over " << c.second);
		nested();
		mapSecond(kGuest, kHost, kSsRw, c.second);
		if (c.second == 1)
			mapSecond(kGuest + 0x1000, kHost + 0x5000);
		change(c.first, 0, ~uint64_t{0});
		change(c.first, (c.first == 1 ? kGuest + 0x1000 : kGuest | kPs) | kFsAll);
		const uint64_t page = c.second == 1 ? kHost + 0x5000 : kHost + 0x1000;
		const TranslationResult walked = bench().request(pasid(5), kInput + 0x10);

		EXPECT_EQ(walked.reason, FaultReason::None);
		EXPECT_EQ(walked.address, page + 0x10);
		EXPECT_EQ(walked.contiguous,
			  c.contiguous - (c.contiguous == kLarge ? 0x1010 : 0x10));
		EXPECT_TRUE(cached(kInput + 0x20));
		EXPECT_EQ(bench().request(pasid(5), kInput + 0x20).address, page + 0x20);
		EXPECT_EQ(cached(0), c.contiguous == kLarge);
	}
}

/* VTD-NEST-9 */
TEST_F(VtdNested, GuestAddressesBeyondTheWidth)
{
	Pasid entry;

	entry.aw = 1;
	for (unsigned level = 1; level <= kLevels; level++) {
		nested(entry, 30);
		expectMapped(target_, pasid(5), kInput);
		change(level, bit(39));
		expectRecorded(FaultReason::FirstStageAddressWidth, pasid(5), kInput);
	}
	nested(entry, 30);
	change(2, bit(39) | kPs, 0x1ff000);
	expectRecorded(FaultReason::FirstStageAddressWidth, pasid(5), kInput);
}

/* VTD-NEST-9 */
TEST_F(VtdNested, BeyondHostWidthIsReserved)
{
	Pasid entry;

	entry.aw = 1;
	nested(entry, 30);
	change(2, bit(46));
	expectRecorded(FaultReason::FirstStageReserved, pasid(5), kInput);
}

/* VTD-NEST-10 */
TEST_F(VtdNested, ReservedBitsOfTheSecondStage)
{
	for (unsigned n = 0; n <= kLevels; n++) {
		nested();
		changeOuter(n, bit(62));
		expectRecorded(FaultReason::SecondStageReserved, pasid(5), kInput);
	}
}

/* VTD-NEST-12 */
TEST_F(VtdNested, InterruptRangeOutput)
{
	nested();
	changeOuter(kData, 0xfee00000, ~uint64_t{0xfff});
	expectRecorded(FaultReason::InterruptRangeOutput, pasid(5), kInput);

	/* Guest physical addresses have no interrupt range. */
	nested();
	mapSecond(0xfee01000, target_);
	change(1, 0xfee01000, gpa_[kData]);
	expectMapped(target_, pasid(5), kInput);

	/* A large page that covers the range is used around it. */
	nested();
	mapSecond(0x40000000, 0xc0000000, kSsRw, 3);
	change(2, 0, ~uint64_t{0});
	change(2, 0x40000000 | 0x3ee00000 | kPs | kFsAll);
	EXPECT_EQ(bench().request(pasid(5), 0x100000).address, 0xfef00000u);
	expectRecorded(FaultReason::InterruptRangeOutput, pasid(5), kInput);
}

/* VTD-NEST-11 */
TEST_F(VtdNested, NotCanonical)
{
	nested();
	reads();
	flush();
	const uint64_t before = bench().unit->counters().entryReads;

	expectRecorded(FaultReason::NotCanonical, pasid(5), 0x0000800000001000);
	/* Only directory and PASID entry are read, because flush() dropped them. */
	EXPECT_EQ(bench().unit->counters().entryReads - before, 2u);
}

using Status = TranslationCompletion::Status;

/* VTD-NEST-2, VTD-ATS-1 */
TEST_F(VtdNested, TranslationRequestsWithoutSecondStage)
{
	for (unsigned n = 0; n <= kLevels; n++) {
		nested();
		changeOuter(n, 0, kSsRw);
		const TranslationCompletion answer = ask();

		EXPECT_EQ(answer.status, Status::Success) << n;
		EXPECT_FALSE(answer.read || answer.write) << n;
	}
	EXPECT_EQ(bench().read32(kFsts), 0u);
}

/* VTD-NEST-6, VTD-NEST-7 */
TEST_F(VtdNested, TranslationRequestsTellTheRightsOfBothStages)
{
	for (bool inner : {false, true}) {
		Pasid entry;

		entry.ssade = true;
		nested(entry);
		if (inner)
			change(1, 0, kFsRw);
		else
			changeOuter(kData, 0, kSsW);
		const TranslationCompletion answer = ask();

		EXPECT_EQ(answer.status, Status::Success);
		EXPECT_TRUE(answer.read);
		EXPECT_FALSE(answer.write);
		EXPECT_EQ(answer.address, target_);
		EXPECT_FALSE(bench().get(outerLeaf(kData)) & kSsD);
	}
	/* Write-only in the second stage. */
	nested();
	changeOuter(kData, 0, kSsR);
	EXPECT_FALSE(ask().read);
	EXPECT_TRUE(ask().write);
	EXPECT_EQ(ask().address, target_);
}

/* VTD-NEST-8 */
TEST_F(VtdNested, TranslationRequestsTellTheSmallerPage)
{
	constexpr uint64_t kGuest = 0x80000000, kHost = 0x40000000;

	for (unsigned second : {1, 2}) {
		nested();
		mapSecond(second == 1 ? kGuest + kInput : kGuest,
			  second == 1 ? kHost + kInput : kHost, kSsRw, second);
		change(2, 0, ~uint64_t{0});
		change(2, kGuest | kPs | kFsAll);
		const TranslationCompletion answer = ask();

		EXPECT_TRUE(answer.read && answer.write);
		EXPECT_EQ(answer.large, second == 2);
		EXPECT_EQ(answer.address, second == 2 ? kHost | 0xff000 : kHost + kInput);
	}
}

/* VTD-NEST-10, VTD-ATS-2 */
TEST_F(VtdNested, TranslationRequestsAbortAtReservedBits)
{
	for (unsigned n = 0; n <= kLevels; n++) {
		nested();
		changeOuter(n, bit(62));
		EXPECT_EQ(ask().status, Status::CompleterAbort) << n;
	}
}

TEST_F(VtdNested, HolesBehindTheSecondStage)
{
	nested();
	changeOuter(4, 0x1000, ~uint64_t{0xfff});
	expectRecorded(FaultReason::FirstStageTopNotReadable, pasid(5), kInput);
	nested();
	changeOuter(2, 0x1000, ~uint64_t{0xfff});
	expectRecorded(FaultReason::FirstStageNotReadable, pasid(5), kInput);
	nested();
	pasid_.second = 0x1000;
	install();
	expectRecorded(FaultReason::SecondStageTopNotReadable, pasid(5), kInput);
}

TEST_F(VtdNested, UpdatesNeedSnoopedWalks)
{
	Pasid entry;

	entry.snooped = false;
	nested(entry);
	expectRecorded(FaultReason::FirstStageUpdateNotSnooped, pasid(5), kInput);
	preset();
	expectMapped(target_, pasid(5), kInput);
	entry.ssade = true;
	nested(entry);
	preset();
	expectRecorded(FaultReason::SecondStageUpdateNotSnooped, pasid(5), kInput);
}

TEST_F(VtdNested, FirstStageFaultsOfTheGuest)
{
	for (unsigned level = 1; level <= kLevels; level++) {
		nested();
		change(level, 0, kFsP);
		expectRecorded(FaultReason::FirstStageNotPresent, pasid(5), kInput);
		change(level, kFsP, kFsUs);
		expectRecorded(FaultReason::UserDenied, pasid(5), kInput);
	}
	nested();
	change(4, kPs);
	expectRecorded(FaultReason::FirstStageReserved, pasid(5), kInput);
}

TEST_F(VtdNested, WithoutPasid)
{
	nested();
	Pasid entry = pasid_;

	entry.domain = 2;
	bench().setPasid(0, entry);
	expectMapped(target_, rid(), kInput, Access::Write);
	bench().run({pasidIotlbPage(2, 0, kInput)});
	changeOuter(kData, 0, kSsRw);
	expectRecorded(FaultReason::SecondStageNotPresent, rid(), kInput);
}

/* VTD-PASID-5 */
TEST_F(VtdNested, NotOffered)
{
	use(VtdBench::e0Without(kEcapNest));
	nested();
	expectRecorded(FaultReason::PasidEntryInvalid, pasid(5), kInput);
}

/* VTD-PASID-6, VTD-PASID-7 */
TEST_F(VtdNested, WidthAndModeOfNestedEntries)
{
	nested();
	for (uint64_t aw : {0, 3, 4}) {
		pasid_.aw = aw;
		install();
		expectRecorded(FaultReason::PasidEntryInvalid, pasid(5), kInput);
	}
	pasid_.aw = 2;
	pasid_.fspm = 2;
	install();
	expectRecorded(FaultReason::PasidEntryInvalid, pasid(5), kInput);
}

/* VTD-PASID-9 */
TEST_F(VtdNested, TopTableBeyondTheWidth)
{
	Pasid entry;

	entry.aw = 1;
	nested(entry, 30);
	expectMapped(target_, pasid(5), kInput);
	pasid_.first = bit(39);
	install();
	expectRecorded(FaultReason::PasidEntryInvalid, pasid(5), kInput);
	/* The last page is within. */
	pasid_.first = bit(39) - 4096;
	install();
	expectRecorded(FaultReason::SecondStageNotPresent, pasid(5), kInput);
}

/* VTD-PASID-10 */
TEST_F(VtdNested, SupervisorNeedsSre)
{
	nested();
	expectRecorded(FaultReason::SupervisorNotEnabled, pasid(5), kInput, Access::Read, true);
}

/* VTD-INV-1, VTD-INV-2 */
TEST_F(VtdNested, PasidPageFlush)
{
	const uint64_t other = bench().page();

	nested();
	mapSecond(gpa_[kData] + 0x1000, other);
	expectMapped(target_, pasid(5), kInput);
	bench().put(entryAt(1), (gpa_[kData] + 0x1000) | kFsAll);
	expectMapped(target_, pasid(5), kInput);
	bench().run({pasidIotlbPage(1, 6, kInput, 0, true), pasidIotlbPage(2, 5, kInput),
		     pasidIotlbPage(1, 5, kInput + 0x1000)});
	expectMapped(target_, pasid(5), kInput);
	bench().run({pasidIotlbPage(1, 5, kInput, 0, true)});
	expectMapped(other, pasid(5), kInput);

	/* A new lowest table: only IH=0 finds it. */
	const uint64_t table = bench().page();

	mapSecond(gpa_[1] + 0x1000, table);
	bench().put(table + 8, gpa_[kData] | kFsAll);
	bench().put(entryAt(2), (gpa_[1] + 0x1000) | kFsAll);
	bench().run({pasidIotlbPage(1, 5, kInput, 0, true)});
	expectMapped(other, pasid(5), kInput);
	bench().run({pasidIotlbPage(1, 5, kInput)});
	expectMapped(target_, pasid(5), kInput);
}

/* VTD-INV-6 */
TEST_F(VtdNested, DomainPageFlushDropsAllOfTheDomain)
{
	nested();
	bench().put(entryAt(1) + 8, gpa_[kData] | kFsAll);
	for (bool leaf : {false, true}) {
		expectMapped(target_, pasid(5), kInput);
		expectMapped(target_, pasid(5), kInput + 0x1000);
		bench().run({iotlbPage(2, 0x123000, 0, leaf)});
		EXPECT_TRUE(cached(kInput));
		EXPECT_TRUE(cached(kInput + 0x1000));
		bench().run({iotlbPage(1, 0x123000, 0, leaf)});
		EXPECT_FALSE(cached(kInput));
		EXPECT_FALSE(cached(kInput + 0x1000));
	}
}

/* VTD-INV-6 */
TEST_F(VtdNested, DomainPageFlushMovesTheGuestsTables)
{
	/*
	 * The structure cache has host addresses of guest tables. A flush of the domain drops them.
	 */
	const uint64_t other = bench().page(), table = bench().page();

	nested();
	expectMapped(target_, pasid(5), kInput);
	mapSecond(gpa_[kData] + 0x1000, other);
	bench().put(table + 8, (gpa_[kData] + 0x1000) | kFsAll);
	bench().put(outerLeaf(1), table | kSsRw);
	bench().run({pasidIotlbPage(1, 5, kInput, 0, true)});
	expectMapped(target_, pasid(5), kInput); /* software did not flush the second stage */
	bench().run({iotlbPage(1, gpa_[1], 0, true)});
	expectMapped(other, pasid(5), kInput);
}

/* VTD-INV-5 */
TEST_F(VtdNested, PasidFlushKeepsSecondStageTables)
{
	const uint64_t other = bench().page(), twin = bench().page();

	nested();
	expectMapped(target_, pasid(5), kInput);
	bench().put(twin + ((gpa_[kData] >> 12) & 0x1ff) * 8, other | kSsRw);
	bench().put(bench().entryAt(pasid_.second, 4, gpa_[kData], 2), twin | kSsRw);
	bench().run({pasidIotlb(1, 5)});
	expectMapped(target_, pasid(5), kInput);
	bench().run({iotlbDomain(1)});
	expectMapped(other, pasid(5), kInput);
}

/* VTD-INV-9 */
TEST_F(VtdNested, ChildrenOfOneParentAreFlushedByTheirOwnDomains)
{
	nested();
	Pasid twin = pasid_;

	twin.domain = 2;
	bench().setPasid(6, twin);
	expectMapped(target_, pasid(5), kInput);
	expectMapped(target_, pasid(6), kInput);
	bench().put(outerLeaf(kData), 0);
	bench().run({iotlbPage(1, gpa_[kData])});
	expectRecorded(FaultReason::SecondStageNotPresent, pasid(5), kInput);
	expectMapped(target_, pasid(6), kInput);
	bench().run({iotlbPage(2, gpa_[kData])});
	expectRecorded(FaultReason::SecondStageNotPresent, pasid(6), kInput);
}

/* VTD-INV-11 */
TEST_F(VtdNested, FaultsAreNotCached)
{
	nested();
	change(1, 0, kFsP);
	expectRecorded(FaultReason::FirstStageNotPresent, pasid(5), kInput);
	bench().put(entryAt(1), bitsAt(1) | kFsP);
	expectMapped(target_, pasid(5), kInput);

	bench().put(outerLeaf(1), 0);
	bench().run({iotlbDomain(1)});
	expectRecorded(FaultReason::SecondStageNotPresent, pasid(5), kInput);
	bench().put(outerLeaf(1), hpa_[1] | kSsRw);
	expectMapped(target_, pasid(5), kInput);
}

/* VTD-FS-11 */
TEST_F(VtdNested, WritesToCachedCleanPagesSetDirtyInBothStages)
{
	Pasid entry;

	entry.ssade = true;
	nested(entry);
	expectMapped(target_, pasid(5), kInput);
	EXPECT_FALSE(bitsAt(1) & kFsD);
	expectMapped(target_, pasid(5), kInput, Access::Write);
	EXPECT_TRUE(bitsAt(1) & kFsD);
	EXPECT_TRUE(bench().get(outerLeaf(kData)) & kSsD);
	EXPECT_TRUE(cached(kInput));
	EXPECT_EQ(reads(Access::Write), 0u);
}

} // namespace
} // namespace wd::machine::test
