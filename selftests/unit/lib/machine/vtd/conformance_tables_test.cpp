// SPDX-License-Identifier: Apache-2.0
/* Root, context, PASID directory and PASID table (Documentation/spec/vtd.rst). */
#include "vtd_fixture.h"

namespace wd::machine::test
{
namespace
{

constexpr Rid devfn(unsigned value)
{
	return Rid{static_cast<uint16_t>(0x7500 | value)};
}

/* The usual context for another function. */
void addFunction(VtdBench &bench, Rid rid)
{
	bench.setContext(rid, Context{});
}

/* VTD-CTX-1 */
TEST_F(VtdConformance, RootNotPresentCannotBeSilenced)
{
	Context silent;

	silent.silent = true;
	bench().setContext(kRid, silent);
	bench().put(bench().rootEntry(kRid), bench().get(bench().rootEntry(kRid)) & ~uint64_t{1});
	expectRecorded(FaultReason::RootNotPresent, rid(), kInput);
}

/* VTD-CTX-2 */
TEST_F(VtdConformance, UpperHalfAlone)
{
	simpleSecond(5);
	addFunction(bench(), devfn(0x80));
	bench().put(bench().rootEntry(devfn(0)), 0);
	expectMapped(target_, pasidStream(devfn(0x80), 5), kInput);
}

/* VTD-CTX-2, VTD-CTX-3 */
TEST_F(VtdConformance, HalvesAreCheckedAlone)
{
	simpleSecond(5);
	addFunction(bench(), devfn(0x81));
	addFunction(bench(), devfn(0x01));
	const uint64_t low = bench().rootEntry(devfn(1));
	bench().put(low, bench().get(low) | bit(4));
	expectMapped(target_, pasidStream(devfn(0x81), 5), kInput);
	expectRecorded(FaultReason::RootReserved, pasidStream(devfn(0x01), 5), kInput);
	bench().put(low, (bench().get(low) & ~bit(4)) | bit(46));
	expectRecorded(FaultReason::RootReserved, pasidStream(devfn(0x01), 5), kInput);
}

/* VTD-CTX-4 */
TEST_F(VtdConformance, ContextNotPresent)
{
	Context context;

	context.present = false;
	bench().setContext(kRid, context);
	expectRecorded(FaultReason::ContextNotPresent, rid(), kInput);
	context.silent = true;
	bench().setContext(kRid, context);
	expectSilent(FaultReason::ContextNotPresent, rid(), kInput);
}

/* VTD-CTX-5 */
TEST_F(VtdConformance, ContextReservedBits)
{
	Context context;

	for (unsigned n : {5, 6, 7, 8, 46, 63}) {
		context.q0 = bit(n);
		bench().setContext(kRid, context);
		expectRecorded(FaultReason::ContextReserved, rid(), kInput);
	}
	context.q0 = 0;
	context.q2 = bit(17);
	bench().setContext(kRid, context);
	expectRecorded(FaultReason::ContextReserved, rid(), kInput);
	context.q2 = 0;
	context.ridPasid = bit(20); /* RID_PRIV without RPRIVS */
	bench().setContext(kRid, context);
	expectRecorded(FaultReason::ContextReserved, rid(), kInput);
}

/* VTD-CTX-6 */
TEST_F(VtdConformance, PageRequestsNeedDeviceTlb)
{
	Context context;

	context.dte = false;
	bench().setContext(kRid, context);
	expectRecorded(FaultReason::ContextInvalid, rid(), kInput);
}

/* VTD-CTX-7 */
TEST_F(VtdConformance, RidPasidBeyondDirectory)
{
	Context context;

	context.ridPasid = 8192;
	bench().setContext(kRid, context);
	expectRecorded(FaultReason::ContextInvalid, rid(), kInput);
	context.ridPasid = 8191;
	bench().setContext(kRid, context);
	simpleSecond(8191);
	expectMapped(target_, rid(), kInput);
}

/* VTD-CTX-8 */
TEST_F(VtdConformance, UntranslatedRequestsNeedNoDeviceTlb)
{
	Context context;

	context.dte = context.pre = false;
	bench().setContext(kRid, context);
	simpleSecond(0);
	expectMapped(target_, rid(), kInput);
}

/* VTD-CTX-9 */
TEST_F(VtdConformance, PasidDisabled)
{
	Context context;

	context.pasidEnable = false;
	bench().setContext(kRid, context);
	simpleSecond(0);
	simpleSecond(5);
	expectRecorded(FaultReason::PasidDisabled, pasid(5), kInput);
	expectMapped(target_, rid(), kInput);
}

/* VTD-CTX-10 */
TEST_F(VtdConformance, DirectorySizeLimitsPasids)
{
	simpleSecond(8191);
	expectMapped(target_, pasid(8191), kInput);
	expectRecorded(FaultReason::PasidBeyondDirectory, pasid(8192), kInput);
	expectRecorded(FaultReason::PasidBeyondDirectory, pasid(0xfffff), kInput);

	Context context;

	context.pdts = 1;
	bench().setContext(kRid, context);
	bench().run({contextDevice(kRid)});
	simpleSecond(8192);
	expectMapped(target_, pasid(8192), kInput);
}

/* VTD-CTX-11 */
TEST_F(VtdConformance, PasidAboveTheUnitsWidth)
{
	IommuCapabilities capabilities = VtdBench::e0();

	capabilities.ecap = (capabilities.ecap & ~(uint64_t{0x1f} << 35)) | uint64_t{9} << 35;
	use(capabilities);
	expectRecorded(FaultReason::PasidBeyondSupported, pasid(1024), kInput);
	simpleSecond(1023);
	expectMapped(target_, pasid(1023), kInput);
}

/* VTD-CTX-12 */
TEST_F(VtdConformance, RidPasidValueRefused)
{
	simpleSecond(0);
	expectRecorded(FaultReason::PasidIsRidPasid, pasid(0), kInput);
	expectMapped(target_, rid(), kInput);
	/* A request with PASID 0 must not use the cached translation of a request without PASID. */
	expectRecorded(FaultReason::PasidIsRidPasid, pasid(0), kInput);
}

/* VTD-CTX-12, VTD-CTX-13 */
TEST_F(VtdConformance, RidPasidNotSupported)
{
	use(VtdBench::e0Without(kEcapRps));
	simpleSecond(0);
	Context context;

	context.ridPasid = 5;
	bench().setContext(kRid, context);
	expectRecorded(FaultReason::ContextReserved, rid(), kInput);
	context.ridPasid = 0;
	bench().setContext(kRid, context);
	expectMapped(target_, rid(), kInput);
	expectRecorded(FaultReason::PasidIsRidPasid, pasid(0), kInput);
}

/* VTD-CTX-14 */
TEST_F(VtdConformance, ContextTableInHole)
{
	bench().put(bench().rootEntry(kRid), 0x1000 | 1);
	expectRecorded(FaultReason::ContextNotReadable, rid(), kInput);
}

/* VTD-CTX-14 */
TEST_F(VtdConformance, RootTableInHole)
{
	bench().write64(kRtaddr, 0x1000 | kScalable);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	expectRecorded(FaultReason::RootNotReadable, rid(), kInput);
}

/* VTD-CTX-13, VTD-FAULT-3 */
TEST_F(VtdConformance, RidPasidSelectsEntry)
{
	Context context;

	context.ridPasid = 7;
	bench().setContext(kRid, context);
	simpleSecond(7);
	expectMapped(target_, rid(), kInput);
	/* expectRecorded() requires PP=0 for a request without PASID. */
	expectRecorded(FaultReason::SecondStageNotPresent, rid(), 0x5000);
}

/* VTD-PASID-1 */
TEST_F(VtdConformance, DirectoryNotPresent)
{
	expectRecorded(FaultReason::DirectoryNotPresent, pasid(5), kInput);
	bench().put(bench().directoryEntry(5), bit(1));
	expectSilent(FaultReason::DirectoryNotPresent, pasid(5), kInput);
}

/* VTD-PASID-2 */
TEST_F(VtdConformance, DirectoryAndTableInHoles)
{
	bench().put(bench().directoryEntry(5), 0x1000 | bit(1) | 1);
	expectRecorded(FaultReason::PasidEntryNotReadable, pasid(5), kInput);
	Context context;

	context.directory = 0x2000;
	context.silent = true;
	bench().setContext(kRid, context);
	bench().run({contextDevice(kRid)});
	expectRecorded(FaultReason::DirectoryNotReadable, pasid(5), kInput);
}

/* VTD-PASID-3 */
TEST_F(VtdConformance, DirectoryReservedBits)
{
	simpleSecond(5);
	const uint64_t entry = bench().directoryEntry(5), good = bench().get(entry);
	for (unsigned n : {2, 11, 46, 63}) {
		bench().put(entry, good | bit(n));
		expectRecorded(FaultReason::DirectoryReserved, pasid(5), kInput);
	}
	bench().put(entry, good | bit(2) | bit(1));
	expectSilent(FaultReason::DirectoryReserved, pasid(5), kInput);
	bench().put(entry, good);
	expectMapped(target_, pasid(5), kInput);
}

/* VTD-PASID-4 */
TEST_F(VtdConformance, PasidEntryNotPresent)
{
	Pasid entry;

	entry.present = false;
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::PasidEntryNotPresent, pasid(5), kInput);
}

/* VTD-PASID-5 */
TEST_F(VtdConformance, ReservedPageTableTypes)
{
	for (unsigned type : {0, 5, 6, 7}) {
		Pasid entry;

		entry.type = type;
		bench().setPasid(5, entry);
		expectRecorded(FaultReason::PasidEntryInvalid, pasid(5), kInput);
	}
}

/* VTD-PASID-5 */
TEST_F(VtdConformance, PageTableTypesThatAreNotOffered)
{
	Pasid entry;

	use(VtdBench::e0Without(kEcapPt));
	entry.type = kPass;
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::PasidEntryInvalid, pasid(5), kInput);
}

/* VTD-PASID-12 */
TEST_F(VtdConformance, PassThrough)
{
	Pasid entry;

	entry.type = kPass;
	bench().setPasid(5, entry);
	expectMapped(0x123456789a8, pasid(5), 0x123456789a8, Access::Write);
	expectMapped(bit(46) - 8, pasid(5), bit(46) - 8);
	expectRecorded(FaultReason::AddressBeyondHaw, pasid(5), bit(46));
	expectRecorded(FaultReason::InterruptRangeOutput, pasid(5), 0xfee00000);
	expectMapped(0xfeefffff - 7 + 8, pasid(5), 0xfef00000);
	expectRecorded(FaultReason::InterruptRangeOutput, pasid(5), 0xfeefff00);
}

/* VTD-PASID-6 */
TEST_F(VtdConformance, AddressWidth)
{
	for (uint64_t aw : {0, 3, 4, 7}) { /* 3 is a format, but not in SAGAW */
		Pasid entry;

		entry.aw = aw;
		bench().setPasid(5, entry);
		expectRecorded(FaultReason::PasidEntryInvalid, pasid(5), kInput);

		entry.type = kFirst;
		entry.first = bench().page();
		bench().mapFirst(entry.first, 4, kInput, target_);
		bench().setPasid(6, entry);
		bench().run({pasidGlobal(), iotlbGlobal()});
		expectMapped(target_, pasid(6), kInput);
	}
}

/* VTD-PASID-7 */
TEST_F(VtdConformance, FirstStageMode)
{
	use(VtdBench::e0WithoutCap(kCapFs5lp));
	for (uint64_t mode : {1, 2, 3}) {
		Pasid entry;

		entry.type = kFirst;
		entry.fspm = mode;
		entry.first = bench().page();
		bench().setPasid(5, entry);
		bench().clearFaults();
		EXPECT_EQ(bench().request(pasid(5), kInput).reason, FaultReason::PasidEntryInvalid);
		ASSERT_TRUE(bench().read32(kFsts) & kPpf);
	}
	use(VtdBench::e0());
	Pasid entry;

	entry.type = kFirst;
	entry.fspm = 2;
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::PasidEntryInvalid, pasid(5), kInput);
}

/* VTD-PASID-8 */
TEST_F(VtdConformance, ReservedBeatsIgnored)
{
	use(VtdBench::e0Without(kEcapSsads));
	Pasid entry;

	entry.type = kFirst;
	entry.ssade = true;
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::PasidEntryReserved, pasid(5), kInput);
}

/* VTD-PASID-8 */
TEST_F(VtdConformance, PasidEntryReservedBits)
{
	const struct {
		unsigned word, number;
	} reserved[] = {{3, 0},	 {6, 9},  {7, 63}, {4, 0},  {5, 0},  {2, 1},  {2, 11}, {0, 5},
			{0, 11}, {1, 16}, {1, 31}, {1, 25}, {1, 32}, {0, 46}, {2, 46}};

	for (const auto &item : reserved) {
		Pasid entry;

		entry.second = bench().page();
		entry.extra[item.word] = bit(item.number);
		bench().setPasid(5, entry);
		SCOPED_TRACE(testing::Message() << item.word << ":" << item.number);
		expectRecorded(FaultReason::PasidEntryReserved, pasid(5), kInput);
	}
	const uint64_t table = simpleSecond(5);
	Pasid entry;

	entry.second = table;
	entry.extra[2] = bit(5) | bit(6);
	bench().setPasid(5, entry);
	expectMapped(target_, pasid(5), kInput);
}

/* VTD-PASID-8 */
TEST_F(VtdConformance, DomainWidth)
{
	IommuCapabilities capabilities = VtdBench::e0();

	capabilities.cap = (capabilities.cap & ~uint64_t{7}) | 2; /* 8 bits */
	use(capabilities);
	Pasid entry;

	entry.domain = 0x100;
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::PasidEntryReserved, pasid(5), kInput);
	simpleSecond(6, 0xff);
	expectMapped(target_, pasid(6), kInput);
}

/* VTD-PASID-8 */
TEST_F(VtdConformance, SnoopBitsNeedTheirFeatures)
{
	Pasid entry;

	use(VtdBench::e0Without(kEcapSc));
	entry.extra[1] = bit(24);
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::PasidEntryReserved, pasid(5), kInput);
	use(VtdBench::e0Without(kEcapSmpwcs));
	entry.extra[1] = 0;
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::PasidEntryReserved, pasid(5), kInput);
}

/* VTD-PASID-8 */
TEST_F(VtdConformance, TablePointersBeyondHostWidth)
{
	Pasid entry;

	entry.type = kFirst;
	entry.first = bit(46);
	bench().setPasid(5, entry);
	expectRecorded(FaultReason::PasidEntryReserved, pasid(5), kInput);
}

/* VTD-PASID-10 */
TEST_F(VtdConformance, SupervisorNeedsSre)
{
	for (unsigned type : {kFirst, kSecond, kPass}) {
		Pasid entry;

		entry.type = type;
		bench().setPasid(5, entry);
		bench().run({pasidGlobal(), iotlbGlobal()});
		expectRecorded(FaultReason::SupervisorNotEnabled, pasid(5), kInput, Access::Read,
			       true);
	}
	/* The same if a user request has cached the translation. */
	simpleSecond(6);
	expectMapped(target_, pasid(6), kInput);
	expectRecorded(FaultReason::SupervisorNotEnabled, pasid(6), kInput, Access::Read, true);
}

/* VTD-PASID-11 */
TEST_F(VtdConformance, DirectoryFpdSilencesTheEntry)
{
	Pasid entry;

	entry.present = false;
	bench().setPasid(5, entry);
	const uint64_t at = bench().directoryEntry(5);
	bench().put(at, bench().get(at) | bit(1));
	expectSilent(FaultReason::PasidEntryNotPresent, pasid(5), kInput);
}

/* VTD-PASID-11 */
TEST_F(VtdConformance, EntryFpdSilencesTheWalk)
{
	Pasid entry;

	entry.second = bench().page();
	entry.silent = true;
	bench().mapSecond(entry.second, 4, kInput, target_, kSsR);
	bench().setPasid(5, entry);
	expectSilent(FaultReason::SecondStageNotPresent, pasid(5), 0x9000);
	/* The same through the PASID cache and through an IOTLB entry that forbids the write. */
	expectSilent(FaultReason::SecondStageNotPresent, pasid(5), 0x9000);
	expectMapped(target_, pasid(5), kInput);
	expectSilent(FaultReason::WriteDenied, pasid(5), kInput, Access::Write);
}

/* VTD-MSI-1 */
TEST_F(VtdConformance, InterruptRangeWithoutPasid)
{
	simpleSecond(0);
	const auto at = [&](Access access, uint64_t length) {
		return bench().request(rid(), 0xfee00000, access, false, length);
	};

	EXPECT_TRUE(at(Access::Write, 4).consumed);
	EXPECT_TRUE(at(Access::Read, 0).consumed);
	EXPECT_EQ(bench().read32(kFsts), 0u);
	expectRecorded(FaultReason::InterruptRangeRequest, rid(), 0xfee00000);
	expectRecorded(FaultReason::InterruptRangeRequest, rid(), 0xfee00000, Access::Write);
	expectRecorded(FaultReason::InterruptRangeRequest, rid(), 0xfeeff002, Access::Write, false,
		       4);

	/* This fault is not a qualified one, so FPD does not silence it. */
	Context context;

	context.silent = true;
	bench().setContext(kRid, context);
	expectRecorded(FaultReason::InterruptRangeRequest, rid(), 0xfee00000);
}

/* VTD-MSI-2 */
TEST_F(VtdConformance, InterruptRangeWithPasidIsTranslated)
{
	const uint64_t table = simpleSecond(5);

	bench().mapSecond(table, 4, 0xfee00000, target_);
	expectMapped(target_, pasid(5), 0xfee00000, Access::Write);
}

/* VTD-MSI-1 */
TEST_F(VtdConformance, DeviceWritesInterruptMessage)
{
	simpleSecond(0);
	const auto agent = bench().unit->createAgent();
	const uint32_t message = 0x41;
	const std::array<std::byte, 8> wide{};

	EXPECT_EQ(agent->store(rid(), 0xfee01000, 4, message), DmaResult::Ok);
	EXPECT_EQ(agent->write(rid(), 0xfee01000, std::as_bytes(std::span(&message, 1))),
		  DmaResult::Ok);
	EXPECT_EQ(agent->write(rid(), 0xfee01000, wide), DmaResult::Blocked);
	EXPECT_EQ(agent->store(rid(), 0xfee01000, 8, 0), DmaResult::Blocked);
}

} // namespace
} // namespace wd::machine::test
