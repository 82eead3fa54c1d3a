// SPDX-License-Identifier: Apache-2.0
/* Caches and the invalidation queue (Documentation/spec/vtd.rst). */
#include "vtd_fixture.h"

namespace wd::machine::test
{
namespace
{

class VtdInvalidation : public VtdConformance
{
protected:
	void SetUp() override
	{
		VtdConformance::SetUp();
		other_ = bench().page();
	}
	/* Let @pasid use the first-stage or second-stage table @root with @domain. */
	void point(uint32_t pasid, unsigned type, uint64_t root, uint16_t domain)
	{
		Pasid entry;

		entry.type = type;
		(type == kFirst ? entry.first : entry.second) = root;
		entry.domain = domain;
		bench().setPasid(pasid, entry);
	}
	void clearPresent(uint64_t entry) { bench().put(entry, bench().get(entry) & ~uint64_t{1}); }
	bool cached(uint32_t value, uint64_t address)
	{
		const uint64_t before = bench().unit->counters().iotlbHits;

		bench().request(pasid(value), address);
		return bench().unit->counters().iotlbHits > before;
	}
	void expectQueueError(unsigned code, uint32_t head)
	{
		EXPECT_TRUE(bench().read32(kFsts) & kIqe);
		EXPECT_EQ(bench().read64(kIqercd) & 0xf, code);
		EXPECT_EQ(bench().read32(kIqh), head);
	}
	/* Submit one descriptor that the queue must refuse, then repair it and go on. */
	void expectRefused(const Descriptor &bad, unsigned code)
	{
		SCOPED_TRACE(testing::Message() << std::hex << bad.q0 << ":" << bad.q1);
		const uint32_t head = bench().tail();
		const unsigned messages = bench().sink.count(0);

		bench().enqueue(bad);
		bench().kick();
		expectQueueError(code, head);
		EXPECT_EQ(bench().sink.count(0), messages + 1);
		bench().put(bench().queueAddress() + head, waitInterrupt().q0);
		for (unsigned i = 1; i < 4; i++)
			bench().put(bench().queueAddress() + head + 8 * i, 0);
		bench().write32(kFsts, kIqe);
		EXPECT_EQ(bench().read32(kIqh), bench().tail());
		EXPECT_EQ(bench().read32(kFsts), 0u);
		EXPECT_EQ(bench().read64(kIqercd) & 0xf, code); /* sticky until the next error */
	}

	uint64_t other_ = 0;
};

/* VTD-INV-1 */
TEST_F(VtdInvalidation, StaleUntilFlushed)
{
	const uint64_t first = simpleFirst(5), second = simpleSecond(6, 2);

	expectMapped(target_, pasid(5), kInput);
	expectMapped(target_, pasid(6), kInput);
	bench().mapFirst(first, 4, kInput, other_);
	bench().mapSecond(second, 4, kInput, other_);
	expectMapped(target_, pasid(5), kInput);
	expectMapped(target_, pasid(6), kInput);
	bench().run({pasidIotlbPage(1, 5, kInput, 0, true), iotlbPage(2, kInput, 0, true)});
	expectMapped(other_, pasid(5), kInput);
	expectMapped(other_, pasid(6), kInput);
}

/* VTD-INV-2 */
TEST_F(VtdInvalidation, LeafOnlyFlushKeepsTables)
{
	const uint64_t first = simpleFirst(5), second = simpleSecond(6, 2);
	const uint64_t twin = bench().page();

	expectMapped(target_, pasid(5), kInput);
	expectMapped(target_, pasid(6), kInput);
	bench().put(twin + 8, other_ | kFsAll);
	bench().put(bench().entryAt(first, 4, kInput, 2), twin | kFsAll);
	bench().put(bench().entryAt(second, 4, kInput, 2), twin | kSsRw);
	bench().run({pasidIotlbPage(1, 5, kInput, 0, true), iotlbPage(2, kInput, 0, true)});
	expectMapped(target_, pasid(5), kInput);
	expectMapped(target_, pasid(6), kInput);
	bench().run({pasidIotlbPage(1, 5, kInput), iotlbPage(2, kInput)});
	expectMapped(other_, pasid(5), kInput);
	bench().put(twin + 8, other_ | kSsRw);
	expectMapped(other_, pasid(6), kInput);
}

/* VTD-INV-3 */
TEST_F(VtdInvalidation, PasidEntryNeedsBothFlushes)
{
	const uint64_t table = simpleSecond(5);

	bench().mapSecond(table, 4, 0x2000, other_);
	expectMapped(target_, pasid(5), kInput);
	clearPresent(bench().pasidEntry(5));
	expectMapped(target_, pasid(5), kInput);
	expectMapped(other_, pasid(5), 0x2000);
	bench().run({pasidOne(1, 5)});
	expectMapped(target_, pasid(5), kInput);
	bench().run({iotlbDomain(1)});
	expectRecorded(FaultReason::PasidEntryNotPresent, pasid(5), kInput);
}

/* VTD-INV-3 */
TEST_F(VtdInvalidation, OtherPasidEntriesStayCached)
{
	simpleSecond(5);
	simpleSecond(6);
	expectMapped(target_, pasid(5), kInput);
	expectMapped(target_, pasid(6), kInput);
	clearPresent(bench().pasidEntry(5));
	clearPresent(bench().pasidEntry(6));
	bench().run({pasidOne(1, 5), iotlbDomain(1)});
	expectRecorded(FaultReason::PasidEntryNotPresent, pasid(5), kInput);
	expectMapped(target_, pasid(6), kInput);
	bench().run({pasidOne(1, 6), iotlbDomain(1)});
	expectRecorded(FaultReason::PasidEntryNotPresent, pasid(6), kInput);
}

/* VTD-INV-3 */
TEST_F(VtdInvalidation, WrongOrderLeavesStaleTranslation)
{
	simpleSecond(5);
	expectMapped(target_, pasid(5), kInput);
	clearPresent(bench().pasidEntry(5));
	bench().run({iotlbDomain(1)});
	expectMapped(target_, pasid(5), kInput); /* refilled through the PASID cache */
	bench().run({pasidOne(1, 5)});
	expectMapped(target_, pasid(5), kInput);
}

/* VTD-INV-4 */
TEST_F(VtdInvalidation, ContextEntryNeedsAllFlushes)
{
	const uint64_t table = simpleSecond(5);

	bench().mapSecond(table, 4, 0x2000, other_);
	expectMapped(target_, pasid(5), kInput);
	clearPresent(bench().contextEntry(kRid));
	bench().run({iotlbDomain(1)});
	expectMapped(target_, pasid(5), kInput);
	bench().run({contextDevice(kRid)});
	expectMapped(target_, pasid(5), kInput);
	bench().run({pasidDomain(1), iotlbDomain(1)});
	expectRecorded(FaultReason::ContextNotPresent, pasid(5), kInput);
}

/* VTD-INV-5 */
TEST_F(VtdInvalidation, PasidFlushSparesSecondStage)
{
	simpleSecond(5);
	expectMapped(target_, pasid(5), kInput);
	bench().run({pasidIotlbPage(1, 5, kInput)});
	EXPECT_TRUE(cached(5, kInput));
	bench().run({pasidIotlb(1, 5)});
	EXPECT_FALSE(cached(5, kInput));
}

/* VTD-INV-6 */
TEST_F(VtdInvalidation, DomainPageFlushDropsFirstStageOfTheDomain)
{
	const uint64_t table = simpleFirst(5);

	bench().mapFirst(table, 4, 0x7000, other_);
	expectMapped(target_, pasid(5), kInput);
	expectMapped(other_, pasid(5), 0x7000);
	bench().run({iotlbPage(1, 0x123000)});
	EXPECT_FALSE(cached(5, kInput));
	EXPECT_FALSE(cached(5, 0x7000));
}

/* VTD-INV-5 */
TEST_F(VtdInvalidation, PasidFlushKeepsSecondStageTables)
{
	const uint64_t table = simpleSecond(5), twin = bench().page();

	expectMapped(target_, pasid(5), kInput);
	bench().put(twin + 8, other_ | kSsRw);
	bench().put(bench().entryAt(table, 4, kInput, 2), twin | kSsRw);
	bench().run({pasidIotlb(1, 5)});
	expectMapped(target_, pasid(5), kInput);
	bench().run({iotlbDomain(1)});
	expectMapped(other_, pasid(5), kInput);
}

/* VTD-INV-7 */
TEST_F(VtdInvalidation, SharedTagsShareTables)
{
	/* Two functions, each with a directory of its own, same DID, same PASID. */
	const Rid b = makeRid(0x76, 0, 0);
	const uint64_t first = simpleFirst(5);
	const uint64_t directoryA = bench().directory;

	bench().mapFirst(first, 4, 0x2000, target_);
	bench().directory = bench().page();
	Context context;

	context.directory = bench().directory;
	bench().setContext(b, context);
	const uint64_t mine = bench().page();
	bench().mapFirst(mine, 4, 0x2000, other_);
	point(5, kFirst, mine, 1);
	bench().directory = directoryA;
	expectMapped(target_, pasid(5), 0x2000);
	expectMapped(target_, pasidStream(b, 5), 0x2000); /* a's table: documented hazard */
	bench().run({pasidIotlb(1, 5)});
	expectMapped(other_, pasidStream(b, 5), 0x2000);
}

/* VTD-INV-8 */
TEST_F(VtdInvalidation, OtherPasidOfTheDomainSurvives)
{
	const uint64_t table = simpleFirst(1);

	point(2, kFirst, table, 1);
	expectMapped(target_, pasid(1), kInput);
	expectMapped(target_, pasid(2), kInput);
	bench().run({pasidIotlb(1, 1)});
	EXPECT_TRUE(cached(2, kInput));
	EXPECT_FALSE(cached(1, kInput));
	bench().run({pasidIotlbPage(1, 1, kInput)});
	EXPECT_TRUE(cached(2, kInput));
	EXPECT_FALSE(cached(1, kInput));
}

/* VTD-INV-9 */
TEST_F(VtdInvalidation, OneFlushForAllFunctionsOfTheDomain)
{
	const Rid b = makeRid(0x76, 0, 0);
	const uint64_t table = simpleSecond(5);

	bench().setContext(b, Context{});
	expectMapped(target_, pasid(5), kInput);
	expectMapped(target_, pasidStream(b, 5), kInput);
	bench().mapSecond(table, 4, kInput, other_);
	bench().run({iotlbPage(1, kInput)});
	expectMapped(other_, pasid(5), kInput);
	expectMapped(other_, pasidStream(b, 5), kInput);
}

/* VTD-INV-10 */
TEST_F(VtdInvalidation, RequestsWithoutPasidAreTaggedWithRidPasid)
{
	Context context;

	context.ridPasid = 7;
	bench().setContext(kRid, context);
	const uint64_t table = simpleFirst(7);
	expectMapped(target_, rid(), kInput);
	bench().mapFirst(table, 4, kInput, other_);
	bench().run({pasidIotlb(1, 6)});
	expectMapped(target_, rid(), kInput);
	bench().run({pasidIotlb(1, 7)});
	expectMapped(other_, rid(), kInput);
}

/* VTD-INV-11 */
TEST_F(VtdInvalidation, NothingNotPresentIsCached)
{
	const uint64_t first = simpleFirst(5), second = simpleSecond(6, 2);

	expectRecorded(FaultReason::FirstStageNotPresent, pasid(5), 0x2000);
	expectRecorded(FaultReason::SecondStageNotPresent, pasid(6), 0x2000);
	expectRecorded(FaultReason::SecondStageNotPresent, pasid(6), 0x40000000);
	expectRecorded(FaultReason::PasidEntryNotPresent, pasid(7), kInput);
	bench().mapFirst(first, 4, 0x2000, other_);
	bench().mapSecond(second, 4, 0x2000, other_);
	bench().mapSecond(second, 4, 0x40000000, other_);
	simpleSecond(7);
	expectMapped(other_, pasid(5), 0x2000);
	expectMapped(other_, pasid(6), 0x2000);
	expectMapped(other_, pasid(6), 0x40000000);
	expectMapped(target_, pasid(7), kInput);
}

/* VTD-INV-12 */
TEST_F(VtdInvalidation, ContextFlushGranularities)
{
	/* Functions 0 and 7 of the device, and one of another device. */
	const Rid zero = makeRid(0x75, 1, 0), seven = makeRid(0x75, 1, 7);
	const Rid stranger = makeRid(0x75, 2, 0);
	const auto present = [&](Rid rid) {
		/* Flush the IOTLB: its entries would hide the context cache. */
		bench().run({iotlbGlobal()});
		const bool alive =
			bench().request(pasidStream(rid, 5), kInput).reason == FaultReason::None;

		return alive;
	};
	const auto refill = [&] {
		for (Rid rid : {zero, seven, stranger}) {
			bench().setContext(rid, Context{});
			ASSERT_TRUE(present(rid));
			clearPresent(bench().contextEntry(rid));
			ASSERT_TRUE(present(rid));
		}
	};

	simpleSecond(5);
	refill();
	bench().run({contextDevice(zero)});
	EXPECT_FALSE(present(zero));
	EXPECT_TRUE(present(seven));
	refill();
	bench().run({contextDevice(zero, 3)});
	EXPECT_FALSE(present(zero));
	EXPECT_FALSE(present(seven));
	EXPECT_TRUE(present(stranger));
	refill();
	bench().run({contextDomain(99)}); /* acts as global */
	EXPECT_FALSE(present(stranger));
	refill();
	bench().run({pasidDomain(2), pasidOne(1, 6)});
	clearPresent(bench().pasidEntry(5));
	EXPECT_TRUE(present(zero));
	bench().run({pasidDomain(1)});
	EXPECT_FALSE(present(zero));
}

/* VTD-INV-13 */
TEST_F(VtdInvalidation, RangesAndPageSizes)
{
	Pasid entry;

	entry.second = bench().page();
	entry.domain = 3;
	bench().setPasid(5, entry);
	for (uint64_t i = 0; i < 8; i++)
		bench().mapSecond(entry.second, 4, i << 12, target_);
	bench().mapSecond(entry.second, 4, 0x200000, 0x40000000, kSsRw, 2);
	bench().mapSecond(entry.second, 4, 0x40000000, 0x80000000, kSsRw, 3);
	const auto fill = [&] {
		for (uint64_t i = 0; i < 8; i++)
			bench().request(pasid(5), i << 12);
		bench().request(pasid(5), 0x200000);
		bench().request(pasid(5), 0x40000000);
	};
	const auto survivors = [&] {
		/* A request would fill the cache again, so ask cached(). */
		unsigned hits = 0;
		for (uint64_t i = 0; i < 8; i++)
			hits |= cached(5, i << 12) << i;
		hits |= cached(5, 0x200000) << 8;
		hits |= cached(5, 0x40000000) << 9;
		return hits;
	};

	fill();
	EXPECT_EQ(survivors(), 0x3ffu);
	bench().run({iotlbPage(3, 0x2000)});
	EXPECT_EQ(survivors(), 0x3fbu);
	fill();
	bench().run({iotlbPage(3, 0x5000, 2)}); /* 4..7: low bits of the page are ignored */
	EXPECT_EQ(survivors(), 0x30fu);
	fill();
	bench().run({iotlbPage(3, 0x3ff000)}); /* one 4 KiB of a 2 MiB page */
	EXPECT_EQ(survivors(), 0x2ffu);
	fill();
	bench().run({iotlbPage(3, 0x7ffff000)}); /* one 4 KiB of a 1 GiB page */
	EXPECT_EQ(survivors(), 0x1ffu);
	fill();
	bench().run({iotlbPage(3, 0, 18)}); /* the first GiB */
	EXPECT_EQ(survivors(), 0x200u);
	fill();
	bench().run({iotlbPage(4, 0, 18), iotlbDomain(4)});
	EXPECT_EQ(survivors(), 0x3ffu);
}

/* VTD-INV-13 */
TEST_F(VtdInvalidation, ManyPagesAndDomains)
{
	/* More than the table's first size: after it has grown every index must be right. */
	constexpr unsigned kDomains = 3, kPages = 700;
	uint64_t tables[kDomains];

	for (unsigned d = 0; d < kDomains; d++) {
		tables[d] = bench().page();
		point(10 + d, kSecond, tables[d], 10 + d);
		for (uint64_t i = 0; i < kPages; i++) {
			bench().mapSecond(tables[d], 4, i << 12, target_);
			bench().request(pasid(10 + d), i << 12);
		}
	}
	bench().run({iotlbPage(11, 100 << 12), iotlbPage(11, 512 << 12, 6)});
	for (unsigned d = 0; d < kDomains; d++)
		for (uint64_t i = 0; i < kPages; i++) {
			const bool dropped = d == 1 && (i == 100 || (i >= 512 && i < 576));

			ASSERT_EQ(cached(10 + d, i << 12), !dropped) << d << " " << i;
		}
	bench().run({iotlbDomain(12)});
	EXPECT_FALSE(cached(12, 0));
	EXPECT_TRUE(cached(10, 0));
	EXPECT_TRUE(cached(11, 0));
}

/* VTD-INV-15 */
TEST_F(VtdInvalidation, NormalModeForgetsButStaysRight)
{
	const uint64_t table = bench().page();
	constexpr uint64_t kPages = 20000;

	bench().unit->setCacheMode(CacheMode::Normal);
	point(5, kSecond, table, 1);
	for (uint64_t i = 0; i < kPages; i++)
		bench().mapSecond(table, 4, i << 12, (0x40000 + i) << 12);
	for (int round = 0; round < 2; round++)
		for (uint64_t i = 0; i < kPages; i++)
			ASSERT_EQ(bench().request(pasid(5), i << 12).address, (0x40000 + i) << 12);
	const IommuCounters counters = bench().unit->counters();
	EXPECT_GT(counters.iotlbMisses, kPages);
	bench().run({iotlbDomain(1)});
	EXPECT_FALSE(cached(5, (kPages - 1) << 12));
}

/* VTD-INV-15 */
TEST_F(VtdInvalidation, NoCacheModeSeesEveryChange)
{
	const uint64_t table = simpleSecond(5);

	bench().unit->setCacheMode(CacheMode::None);
	expectMapped(target_, pasid(5), kInput);
	bench().mapSecond(table, 4, kInput, other_);
	expectMapped(other_, pasid(5), kInput);
	bench().put(bench().pasidEntry(5), 0);
	expectRecorded(FaultReason::PasidEntryNotPresent, pasid(5), kInput);
	EXPECT_EQ(bench().unit->counters().iotlbHits, 0u);
}

TEST_F(VtdInvalidation, WalkReadsAreCounted)
{
	simpleSecond(5);
	bench().unit->setCacheMode(CacheMode::None);
	const uint64_t before = bench().unit->counters().entryReads;
	bench().request(pasid(5), kInput);
	/* root, context, directory, PASID entry, four levels */
	EXPECT_EQ(bench().unit->counters().entryReads, before + 8);
}

/* VTD-QI-1 */
TEST_F(VtdInvalidation, RingWraps)
{
	bench().write32(kGcmd, kQie); /* TES=0 */
	for (unsigned i = 0; i < 255; i++)
		bench().enqueue(iotlbGlobal());
	bench().kick();
	EXPECT_EQ(bench().read32(kIqh), 255u * 32);
	const uint64_t status = bench().page();
	bench().enqueue(waitStatus(status, 7));
	bench().kick();
	EXPECT_EQ(bench().read32(kIqh), 0u);
	EXPECT_EQ(bench().get(status), 7u);
	/* head == tail is empty: nothing is executed again. */
	bench().put(status, 0);
	bench().kick();
	EXPECT_EQ(bench().get(status), 0u);
	EXPECT_EQ(bench().unit->counters().invalidations, 255u);
}

/* VTD-QI-2 */
TEST_F(VtdInvalidation, InvalidTypes)
{
	use([] {
		IommuCapabilities capabilities = VtdBench::e0Without(kEcapPrs);

		capabilities.ecap &= ~bit(2);
		return capabilities;
	}());
	for (uint64_t type : {0x0, 0xa, 0xb, 0xf, 0xe0f, 0x201, 0x9, 0x3, 0x8})
		expectRefused({type}, 3);
}

/* VTD-QI-3 */
TEST_F(VtdInvalidation, ReservedFields)
{
	const Descriptor bad[] = {
		{contextGlobal().q0 | bit(6)},
		{contextGlobal().q0, 1},
		{contextGlobal().q0 | bit(50)},
		{iotlbDomain(1).q0 | bit(8)},
		{iotlbDomain(1).q0 | bit(32)},
		{iotlbDomain(1).q0, bit(7)},
		{pasidIotlb(1, 2).q0 | bit(52)},
		{pasidIotlb(1, 2).q0, bit(11)},
		{pasidGlobal().q0 | bit(6)},
		{pasidGlobal().q0, bit(12)},
		{waitInterrupt().q0 | bit(8)},
		{waitInterrupt().q0, 1},
		{waitInterrupt().q0, 0, 1},
		{iotlbGlobal().q0, 0, 0, bit(63)},
		{4 | bit(5)},
		{3 | uint64_t{1} << 52},
		{8, bit(1)},
	};

	for (const Descriptor &descriptor : bad)
		expectRefused(descriptor, 4);
}

/* VTD-QI-4 */
TEST_F(VtdInvalidation, ReservedGranularities)
{
	for (Descriptor bad : {Descriptor{1}, {2}, {6}, {6 | 1 << 4}, {7 | 2 << 4}})
		expectRefused(bad, 4);
	expectRefused(iotlbPage(1, 0, 19), 4); /* AM > MAMV */
	use(VtdBench::e0WithoutCap(kCapPsi));
	expectRefused(iotlbPage(1, 0), 4);
	bench().run({pasidIotlbPage(1, 5, 0)});
}

/* VTD-QI-4 */
TEST_F(VtdInvalidation, HugePasidRangeMeansEverything)
{
	simpleFirst(5);
	expectMapped(target_, pasid(5), kInput);
	bench().run({pasidIotlbPage(1, 5, 0, 51)});
	EXPECT_FALSE(cached(5, kInput));
	bench().run({pasidIotlbPage(1, 5, 0, 63)});
	EXPECT_FALSE(cached(5, kInput));
}

/* VTD-QI-5 */
TEST_F(VtdInvalidation, TailAndWidthErrors)
{
	bench().write32(kIqt, 0x30); /* bit 4 */
	expectQueueError(6, 0);
	bench().write32(kIqt, 0);
	bench().write32(kFsts, kIqe);
	EXPECT_EQ(bench().read32(kFsts), 0u);
	bench().write32(kIqt, 0x2000); /* the ring has 8 KiB */
	expectQueueError(1, 0);
	bench().write32(kIqt, 0);
	bench().write32(kFsts, kIqe);
	bench().write64(kIqa, bench().queueAddress() | 1);
	bench().write32(kIqt, 0x20);
	expectQueueError(5, 0);
	bench().write64(kIqa, 0x5000 | kWide | 1);
	bench().write32(kFsts, kIqe); /* resumes, and finds no memory */
	expectQueueError(2, 0);
}

/* VTD-QI-5 */
TEST_F(VtdInvalidation, ReservedTableModeStopsTheQueue)
{
	bench().write64(kRtaddr, bench().root | uint64_t{2} << 10);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	bench().enqueue(iotlbGlobal());
	bench().kick();
	expectQueueError(7, 0);
}

/* VTD-QI-5 */
TEST_F(VtdInvalidation, NarrowDescriptorsBeforeScalableMode)
{
	bench().unit->reset();
	bench().unit->configWrite(pci::kCommand, pci::kCommandMaster, 2);
	const uint64_t ring = bench().page(), status = bench().page();

	bench().put(ring, iotlbGlobal().q0);
	bench().put(ring + 16, waitStatus(status, 9).q0);
	bench().put(ring + 24, status);
	bench().put(ring + 32, pasidGlobal().q0);
	bench().write64(kIqa, ring);
	bench().write32(kGcmd, kQie);
	bench().write32(kIqt, 48);
	EXPECT_EQ(bench().get(status), 9u);
	expectQueueError(3, 32); /* types above 5 need scalable mode */
}

/* VTD-QI-6 */
TEST_F(VtdInvalidation, ErrorStopsFetching)
{
	const uint64_t status = bench().page();

	bench().enqueue({0});
	bench().kick();
	expectQueueError(3, 0);
	bench().enqueue(waitStatus(status, 1));
	bench().kick();
	expectQueueError(3, 0);
	EXPECT_EQ(bench().get(status), 0u);
	bench().put(bench().queueAddress(), iotlbGlobal().q0);
	bench().write32(kFsts, kIqe);
	EXPECT_EQ(bench().get(status), 1u);
	EXPECT_EQ(bench().read32(kIqh), 64u);
}

/* VTD-QI-7 */
TEST_F(VtdInvalidation, StatusWriteIsFourBytes)
{
	const uint64_t status = bench().page(), table = simpleSecond(5);

	expectMapped(target_, pasid(5), kInput);
	bench().mapSecond(table, 4, kInput, other_);
	bench().put(status, ~uint64_t{0});
	bench().put(status + 8, ~uint64_t{0});
	bench().run({iotlbPage(1, kInput), waitStatus(status + 4, 0x12345678)});
	EXPECT_EQ(bench().get(status), 0x12345678ffffffffu);
	EXPECT_EQ(bench().get(status + 8), ~uint64_t{0});
	expectMapped(other_, pasid(5), kInput);
	/* Address bits from HAW on are ignored. */
	bench().run({waitStatus(status | bit(46) | bit(63), 5)});
	EXPECT_EQ(bench().get(status) & 0xffffffff, 5u);
	/* There is no memory, but the fence completes nevertheless. */
	bench().run({waitStatus(0x1000, 5)});
}

/* VTD-QI-8, VTD-EVENT-3 */
TEST_F(VtdInvalidation, CompletionEvent)
{
	bench().run({waitInterrupt(), waitInterrupt()});
	EXPECT_EQ(bench().sink.count(1), 1u);
	EXPECT_EQ(bench().read32(kIcs), 1u);
	bench().run({waitInterrupt()});
	EXPECT_EQ(bench().sink.count(1), 1u);
	bench().write32(kIcs, 1);
	EXPECT_EQ(bench().read32(kIcs), 0u);
	bench().run({waitInterrupt()});
	EXPECT_EQ(bench().sink.count(1), 2u);

	const uint64_t status = bench().page();
	Descriptor both = waitStatus(status, 3);

	both.q0 |= waitInterrupt().q0;
	bench().write32(kIcs, 1);
	bench().run({both, Descriptor{5}});
	EXPECT_EQ(bench().get(status), 3u);
	EXPECT_EQ(bench().sink.count(1), 3u);
}

/* VTD-EVENT-1 */
TEST_F(VtdInvalidation, MaskedCompletionWaits)
{
	bench().write32(kIectl, 1u << 31);
	bench().run({waitInterrupt()});
	EXPECT_EQ(bench().sink.count(1), 0u);
	EXPECT_EQ(bench().read32(kIectl) >> 30, 3u);
	bench().write32(kIectl, 0);
	EXPECT_EQ(bench().sink.count(1), 1u);
}

/* VTD-QI-8 */
TEST_F(VtdInvalidation, StatusIsThereBeforeTheMessage)
{
	struct Checker : InterruptSink {
		VtdBench *bench = nullptr;
		uint64_t status = 0, seen = 0;
		void signal(unsigned) noexcept override { seen = bench->get(status); }
	} checker;
	Descriptor both = waitStatus(bench().page(), 3);

	checker.bench = &bench();
	checker.status = both.q1;
	both.q0 |= waitInterrupt().q0;
	bench().unit->setInterruptSink(&checker);
	bench().run({both});
	bench().unit->setInterruptSink(&bench().sink);
	EXPECT_EQ(checker.seen, 3u);
}

/* VTD-QI-9 */
TEST_F(VtdInvalidation, ContextPasidIotlbInOrder)
{
	simpleSecond(5);
	expectMapped(target_, pasid(5), kInput);
	clearPresent(bench().contextEntry(kRid));
	bench().run({contextDevice(kRid), pasidOne(1, 5), iotlbDomain(1)});
	expectRecorded(FaultReason::ContextNotPresent, pasid(5), kInput);
}

/* VTD-QI-10 */
TEST_F(VtdInvalidation, DisablingTheQueue)
{
	bench().run({iotlbGlobal(), waitInterrupt()});
	bench().write32(kGcmd, kTe);
	EXPECT_EQ(bench().read32(kGsts) & kQie, 0u);
	EXPECT_EQ(bench().read32(kIqh), 0u);
	bench().write32(kIqt, 0x20); /* nothing is fetched while it is off */
	EXPECT_EQ(bench().read32(kIqh), 0u);
	/* If the tail is already set, the queue starts as soon as it is enabled. */
	bench().write32(kGcmd, kTe | kQie);
	EXPECT_EQ(bench().read32(kIqh), 0x20u);
}

/* VTD-REG-7 */
TEST_F(VtdInvalidation, QueueRegistersAreAbsentWithoutQi)
{
	IommuCapabilities capabilities = VtdBench::e0();

	capabilities.ecap &= ~bit(1);
	VtdBench bare(capabilities);

	bare.write32(kIqt, 0x20);
	bare.write64(kIqa, ~uint64_t{0});
	bare.write32(kIectl, ~0u);
	EXPECT_EQ(bare.read32(kIqt) | bare.read64(kIqa) | bare.read32(kIectl), 0u);
	EXPECT_EQ(bare.read32(kGsts) & kQie, 0u);
}

} // namespace
} // namespace wd::machine::test
