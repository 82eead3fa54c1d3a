// SPDX-License-Identifier: Apache-2.0
/*
 * Registers, events and fault records (Documentation/spec/vtd.rst). Other files of this folder test
 * the rest of that page, and selftests/unit/kernel/iommu tests the driver. The unit does not offer
 * caching mode (CAP.CM), so no test is about it.
 */
#include "vtd_fixture.h"

namespace wd::machine::test
{
namespace
{

/* VTD-REG-1 */
TEST_F(VtdConformance, RootPointerNeedsSrtp)
{
	simpleSecond(5);
	bench().write64(kRtaddr, bench().page() | kScalable);
	bench().run({contextGlobal(), pasidGlobal(), iotlbGlobal()});
	expectMapped(target_, pasid(5), kInput);
}

/* VTD-REG-2 */
TEST_F(VtdConformance, SrtpWithEsrtpsEmptiesEveryCache)
{
	simpleSecond(5);
	expectMapped(target_, pasid(5), kInput);
	bench().write64(kRtaddr, bench().page() | kScalable);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	EXPECT_TRUE(bench().read32(kGsts) & kSrtp);
	expectRecorded(FaultReason::RootNotPresent, pasid(5), kInput);
}

/* VTD-REG-2 */
TEST_F(VtdConformance, SrtpWithoutEsrtpsLeavesCaches)
{
	use(VtdBench::e0WithoutCap(kCapEsrtps));
	simpleSecond(5);
	expectMapped(target_, pasid(5), kInput);
	bench().write64(kRtaddr, bench().page() | kScalable);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	expectMapped(target_, pasid(5), kInput);
	bench().run({contextGlobal(), pasidGlobal(), iotlbGlobal()});
	expectRecorded(FaultReason::RootNotPresent, pasid(5), kInput);
}

/* VTD-REG-3 */
TEST_F(VtdConformance, DisablingTranslationPassesUntranslated)
{
	simpleSecond(5);
	expectMapped(target_, pasid(5), kInput);
	bench().write32(kGcmd, kQie);
	EXPECT_EQ(bench().read32(kGsts) & kTe, 0u);
	expectMapped(kInput, pasid(5), kInput);
	expectMapped(0xdead000, pasid(6), 0xdead000);
	EXPECT_EQ(bench().read32(kFsts), 0u);
	/* The caches are empty: the unit does not use an entry that was removed meanwhile. */
	bench().put(bench().pasidEntry(5), 0);
	bench().write32(kGcmd, kQie | kTe);
	expectRecorded(FaultReason::PasidEntryNotPresent, pasid(5), kInput);
}

/* VTD-REG-4 */
TEST_F(VtdConformance, RegisterInvalidationIsRefused)
{
	const uint64_t table = simpleSecond(5);

	expectMapped(target_, pasid(5), kInput);
	bench().put(bench().entryAt(table, 4, kInput, 1), 0);
	bench().write64(kCcmd, bit(63) | uint64_t{1} << 61);
	EXPECT_EQ(bench().read64(kCcmd) >> 63, 0u);
	EXPECT_EQ((bench().read64(kCcmd) >> 59) & 3, 0u);
	bench().write64(kIotlbReg, bit(63) | uint64_t{1} << 60);
	EXPECT_EQ(bench().read64(kIotlbReg) >> 63, 0u);
	EXPECT_EQ((bench().read64(kIotlbReg) >> 57) & 3, 0u);
	expectMapped(target_, pasid(5), kInput);
}

/* VTD-REG-5 */
TEST_F(VtdConformance, PpfCannotBeClearedDirectly)
{
	bench().request(pasid(5), kInput);
	bench().write32(kFsts, kPpf);
	EXPECT_TRUE(bench().read32(kFsts) & kPpf);
}

/* VTD-EVENT-1 */
TEST_F(VtdConformance, MaskedFaultIsDeliveredOnUnmask)
{
	bench().write32(kFectl, 1u << 31);
	bench().request(pasid(5), kInput);
	EXPECT_EQ(bench().read32(kFectl) >> 30, 3u);
	EXPECT_EQ(bench().sink.count(0), 0u);
	bench().write32(kFectl, 0);
	EXPECT_EQ(bench().sink.count(0), 1u);
	EXPECT_EQ(bench().read32(kFectl) >> 30, 0u);
}

/* VTD-EVENT-4 */
TEST_F(VtdConformance, EventsAreMaskedAfterReset)
{
	bench().unit->reset();
	EXPECT_EQ(bench().read32(kFectl), 1u << 31);
	EXPECT_EQ(bench().read32(kIectl), 1u << 31);
	EXPECT_EQ(bench().read32(kGsts), 0u);
	EXPECT_EQ(bench().read64(kRtaddr), 0u);
}

/* VTD-EVENT-2 */
TEST_F(VtdConformance, ServicedMaskedFaultIsForgotten)
{
	bench().write32(kFectl, 1u << 31);
	bench().request(pasid(5), kInput);
	bench().clearFaults();
	EXPECT_EQ(bench().read32(kFectl) >> 30, 2u);
	bench().write32(kFectl, 0);
	EXPECT_EQ(bench().sink.count(0), 0u);
}

/* VTD-EVENT-3 */
TEST_F(VtdConformance, SecondFaultSendsNoSecondMessage)
{
	bench().request(pasid(5), kInput);
	bench().request(pasid(6), kInput);
	EXPECT_EQ(bench().sink.count(0), 1u);
	bench().clearFaults();
	bench().request(pasid(6), kInput);
	EXPECT_EQ(bench().sink.count(0), 2u);
}

/* VTD-REG-6 */
TEST_F(VtdConformance, HalvesOf64BitRegisters)
{
	bench().write32(kRtaddr, 0x12345c00);
	bench().write32(kRtaddr + 4, 0x2a);
	EXPECT_EQ(bench().read64(kRtaddr), 0x2a12345c00u);
	EXPECT_EQ(bench().read32(kRtaddr + 4), 0x2au);
	EXPECT_EQ(bench().read32(kCap) | uint64_t{bench().read32(kCap + 4)} << 32,
		  bench().read64(kCap));

	bench().request(pasid(5), kInput);
	ASSERT_TRUE(bench().record(0));
	bench().write64(kRecords + 8, bit(63));
	EXPECT_FALSE(bench().record(0));

	bench().enqueue(waitInterrupt());
	bench().write64(kIqt, bench().tail());
	EXPECT_EQ(bench().read64(kIqh), bench().tail());
}

/* VTD-REG-6 */
TEST_F(VtdConformance, OddAccessesDoNothing)
{
	EXPECT_EQ(bench().unit->barRead(0, kCap, 1), 0u);
	EXPECT_EQ(bench().unit->barRead(0, kCap + 4, 8), 0u);
	EXPECT_EQ(bench().unit->barRead(0, 0x1000, 4), 0u);
	EXPECT_EQ(bench().unit->barRead(0, ~uint64_t{7}, 8), 0u);
	EXPECT_EQ(bench().unit->barRead(3, kCap, 8), 0u);
	const uint64_t before = bench().read64(kRtaddr);
	bench().unit->barWrite(0, kRtaddr, 0xff, 1);
	bench().unit->barWrite(0, kRtaddr + 2, 0xffff, 2);
	bench().unit->barWrite(0, 0xffc, ~uint64_t{0}, 8);
	EXPECT_EQ(bench().read64(kRtaddr), before);
}

/* VTD-REG-7 */
TEST_F(VtdConformance, ReadOnlyRegistersStay)
{
	for (unsigned offset : {kVer, kCap, kEcap, kGsts, kIqh, kIqercd}) {
		const uint32_t before = bench().read32(offset);

		bench().write32(offset, ~before);
		EXPECT_EQ(bench().read32(offset), before) << std::hex << offset;
	}
	EXPECT_EQ(bench().read32(kVer), 0x60u);
}

/* VTD-REG-8 */
TEST_F(VtdConformance, TableModes)
{
	use(VtdBench::e0With(kEcapAdms));
	bench().write64(kRtaddr, bench().root | uint64_t{2} << 10);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	expectRecorded(FaultReason::RootPointerMode, rid(), kInput);
	bench().write64(kRtaddr, bench().root | uint64_t{3} << 10);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	expectRecorded(FaultReason::AbortDma, rid(), kInput);
	expectRecorded(FaultReason::AbortDma, pasid(5), kInput, Access::Write);

	use(VtdBench::e0());
	bench().write64(kRtaddr, bench().root | uint64_t{3} << 10);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	expectRecorded(FaultReason::RootPointerMode, rid(), kInput);
	bench().write64(kRtaddr, bench().root);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	expectRecorded(FaultReason::LegacyPasid, pasid(5), kInput);
	expectRecorded(FaultReason::RootPointerMode, rid(), kInput);
}

/* VTD-FAULT-1, VTD-FAULT-2 */
TEST_F(VtdConformance, OverflowAndRecovery)
{
	for (unsigned i = 0; i < 9; i++)
		bench().request(pasid(10 + i), kInput);
	EXPECT_EQ(bench().read32(kFsts), kPfo | kPpf);
	for (unsigned i = 0; i < kRecordCount; i++) {
		ASSERT_TRUE(bench().record(i));
		EXPECT_EQ(bench().record(i)->pasid, 10 + i);
	}
	EXPECT_EQ(bench().sink.count(0), 1u);

	/* While PFO is set nothing is recorded, even with room. */
	for (unsigned i = 0; i < kRecordCount; i++)
		bench().write32(kRecords + 16 * i + 12, 1u << 31);
	bench().request(pasid(30), kInput);
	EXPECT_EQ(bench().read32(kFsts), kPfo);
	bench().write32(kFsts, kPfo);
	EXPECT_EQ(bench().read32(kFsts), 0u);

	bench().request(pasid(31), kInput);
	ASSERT_TRUE(bench().record(0));
	EXPECT_EQ(bench().record(0)->pasid, 31u);
	bench().request(pasid(32), kInput);
	bench().clearFaults();
	bench().request(pasid(33), kInput);
	ASSERT_TRUE(bench().record(2));
	EXPECT_EQ(bench().read32(kFsts), kPpf | 2u << 8);
}

/* VTD-FAULT-3 */
TEST_F(VtdConformance, TypesOfRequests)
{
	bench().pasidEntry(5);
	/* expectRecorded() compares T1, T2, PP, PV and PRIV. */
	for (Access access : {Access::Read, Access::Write, Access::Atomic}) {
		expectRecorded(FaultReason::PasidEntryNotPresent, rid(), kInput, access);
		expectRecorded(FaultReason::PasidEntryNotPresent, pasid(5), kInput, access);
		expectRecorded(FaultReason::PasidEntryNotPresent, pasid(5), kInput, access, true);
	}
}

/* VTD-FAULT-2 */
TEST_F(VtdConformance, IndexStartsOverWithTranslation)
{
	for (unsigned i = 0; i < 3; i++)
		bench().request(pasid(10 + i), kInput);
	bench().clearFaults();
	bench().write32(kGcmd, kQie);
	bench().write32(kGcmd, kQie | kTe);
	bench().request(pasid(20), kInput);
	EXPECT_TRUE(bench().record(0));
	EXPECT_EQ(bench().read32(kFsts), kPpf);
}

TEST(VtdUnit, DefaultCapabilities)
{
	const IommuCapabilities defaults = IommuCapabilities::defaults();
	SparseMemory memory;
	IommuUnit unit(defaults, memory);

	EXPECT_EQ(unit.barRead(0, kCap, 8), 0x91d2078c60780e06u);
	EXPECT_EQ(unit.barRead(0, kEcap, 8), defaults.ecap);
	/* DT, PRS, NWFS, PDS, SMS; no DIT. */
	for (unsigned present : {2, 29, 33, 42, 58})
		EXPECT_TRUE(defaults.ecap & bit(present)) << present;
	EXPECT_FALSE(defaults.ecap & bit(41));
}

/* VTD-REG-9 */
TEST(VtdUnit, FeaturesWithoutTheirPreconditionsAreCleared)
{
	SparseMemory memory;
	IommuCapabilities wanted = VtdBench::e0();

	wanted.ecap |= bit(3);
	EXPECT_FALSE(IommuUnit(wanted, memory).capabilities().ecap & bit(3));
	EXPECT_TRUE(IommuUnit(wanted, memory).capabilities().ecap & bit(kEcapNest));
	for (unsigned stage : {46, 47}) {
		IommuCapabilities one = wanted;

		one.ecap &= ~bit(stage);
		EXPECT_FALSE(IommuUnit(one, memory).capabilities().ecap & bit(kEcapNest));
	}
	wanted.ecap &= ~bit(1); /* QI carries all the rest */
	const uint64_t ecap = IommuUnit(wanted, memory).capabilities().ecap;
	for (unsigned gone : {2, 26, 29, 31, 34, 40, 43, 45, 46, 47, 48, 49})
		EXPECT_FALSE(ecap & bit(gone)) << gone;
}

/* VTD-REG-11 */
TEST(VtdUnit, ImpossibleCapabilitiesAreRefused)
{
	SparseMemory memory;
	const auto build = [&](auto &&change) {
		IommuCapabilities wanted = IommuCapabilities::defaults();

		change(wanted);
		IommuUnit unit(wanted, memory);
	};

	EXPECT_THROW(build([](auto &c) { c.hostAddressWidth = 38; }), std::system_error);
	EXPECT_THROW(build([](auto &c) { c.hostAddressWidth = 53; }), std::system_error);
	EXPECT_THROW(build([](auto &c) { c.cap |= uint64_t{0x3ff} << 24; }), std::system_error);
	EXPECT_THROW(build([](auto &c) { c.cap |= uint64_t{0xff} << 40; }), std::system_error);
	EXPECT_THROW(build([](auto &c) { c.ecap = (c.ecap & ~0x3ff00ull) | 0x60 << 8; }),
		     std::system_error);
}

/* VTD-REG-10 */
TEST(VtdUnit, WithoutBusMasteringTheUnitReachesNoMemory)
{
	VtdBench bench;

	bench.unit->configWrite(pci::kCommand, pci::kCommandMemory, 2);
	EXPECT_EQ(bench.request(ridStream(kRid), 0x1000).reason, FaultReason::RootNotReadable);
	bench.enqueue(waitInterrupt());
	bench.kick();
	EXPECT_EQ(bench.read32(kIqercd) & 0xf, 2u);
}

/* VTD-REG-10 */
TEST(VtdUnit, VendorCapabilityTellsWidth)
{
	VtdBench bench;
	bool found = false;

	for (unsigned at = bench.unit->configRead(pci::kCapabilityPointer, 1); at;
	     at = bench.unit->configRead(at + 1, 1)) {
		if (bench.unit->configRead(at, 1) != pci::kCapVendor)
			continue;
		found = true;
		EXPECT_EQ(bench.unit->configRead(at + 8, 4), 2u | 46u << 8);
	}
	EXPECT_TRUE(found);
	EXPECT_EQ(bench.unit->configRead(pci::kVendorId, 4), 0x1dd01234u);
}

} // namespace
} // namespace wd::machine::test
