// SPDX-License-Identifier: Apache-2.0
/*
 * Translation requests, translated requests and device TLBs: the rules of
 * Documentation/spec/vtd.rst for requests of functions with ATS.
 */
#include "ats_fixture.h"

namespace wd::machine::test
{
namespace
{

class VtdTranslationRequest : public VtdAts
{
protected:
	/* One way to break the context entry. */
	template <typename Change>
	void context(Change &&change)
	{
		Context c;

		change(c);
		bench().setContext(kRid, c);
		bench().run({contextGlobal(), pasidGlobal(), iotlbGlobal()});
	}
};

class VtdDeviceTlb : public VtdAts
{
protected:
	void SetUp() override
	{
		VtdAts::SetUp();
		other_ = bench().page();
		bench().put(target_, 0x1111);
		bench().put(other_, 0x2222);
	}
	uint64_t read(const StreamId &stream, uint64_t address = kInput)
	{
		uint64_t value = 0;

		EXPECT_EQ(device().read(stream, address, value), DmaResult::Ok);
		return value;
	}
	bool blocked(const StreamId &stream, uint64_t address = kInput)
	{
		uint64_t value;

		return device().read(stream, address, value) == DmaResult::Blocked;
	}

	uint64_t other_ = 0;
};

/* VTD-REG-3 */
TEST_F(VtdTranslationRequest, TranslationOff)
{
	simpleSecond(5);
	EXPECT_TRUE(ask(pasid(5), kInput).read);
	bench().write32(kGcmd, kQie);
	EXPECT_EQ(ask(pasid(5), kInput).status, kUr);
	EXPECT_NE(bench().unit->requestTranslated({rid(), target_}).reason, FaultReason::None);
	uint64_t value;
	EXPECT_EQ(device().read(pasid(5), kInput, value), DmaResult::Blocked);
	expectNoRecord();
}

/* VTD-REG-8, VTD-ATS-2 */
TEST_F(VtdTranslationRequest, TableModes)
{
	bench().write64(kRtaddr, bench().root | 2 << 10);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	expectRefusal(FaultReason::RootPointerMode, kCa, pasid(5), kInput);
	bench().unit->requestTranslated({rid(), target_});
	expectOnlyRecord(FaultReason::RootPointerMode, 2);
	useAts(VtdBench::e0With(kEcapAdms));
	bench().write64(kRtaddr, bench().root | 3 << 10);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	expectRefusal(FaultReason::AbortDma, kUr, pasid(5), kInput);
	bench().unit->requestTranslated({rid(), target_});
	expectOnlyRecord(FaultReason::AbortDma, 2);
}

/* VTD-ATS-2 */
TEST_F(VtdTranslationRequest, ContextEntries)
{
	simpleSecond(5);
	context([](Context &c) { c.present = false; });
	expectRefusal(FaultReason::ContextNotPresent, kUr, pasid(5), kInput);
	context([](Context &c) { c.q0 = bit(7); });
	expectRefusal(FaultReason::ContextReserved, kCa, pasid(5), kInput);
	context([](Context &c) { c.dte = false; });
	expectRefusal(FaultReason::ContextInvalid, kCa, pasid(5), kInput);
	context([](Context &c) { c.ridPasid = 8192; });
	expectRefusal(FaultReason::ContextInvalid, kCa, pasid(5), kInput);
	context([](Context &c) { c.pasidEnable = false; });
	expectRefusal(FaultReason::PasidDisabled, kUr, pasid(5), kInput);
	context([](Context &) {});
	expectRefusal(FaultReason::PasidBeyondDirectory, kUr, pasid(8192), kInput);
	expectRefusal(FaultReason::PasidIsRidPasid, kUr, pasid(0), kInput);
	bench().put(bench().rootEntry(kRid), 0);
	bench().run({contextGlobal()});
	expectRefusal(FaultReason::RootNotPresent, kUr, pasid(5), kInput);
	bench().put(bench().rootEntry(kRid), bench().page() | 3);
	expectRefusal(FaultReason::RootReserved, kCa, pasid(5), kInput);
}

/* VTD-CTX-8 */
TEST_F(VtdTranslationRequest, DeviceTlbDisabled)
{
	simpleSecond(5);
	simpleSecond(0, 2);
	context([](Context &c) { c.dte = c.pre = false; });
	expectMapped(target_, pasid(5), kInput);
	expectMapped(target_, rid(), kInput);
	expectRefusal(FaultReason::DeviceTlbDisabled, kUr, pasid(5), kInput);
	EXPECT_EQ(bench().unit->requestTranslated({rid(), target_}).reason,
		  FaultReason::DeviceTlbDisabled);
	expectOnlyRecord(FaultReason::DeviceTlbDisabled, 2);
}

/* VTD-ATS-1, VTD-ATS-2 */
TEST_F(VtdTranslationRequest, PasidEntries)
{
	simpleSecond(5);
	expectEmpty(pasid(64), kInput); /* directory not present */
	expectEmpty(pasid(6), kInput);	/* entry not present */
	Pasid entry;
	entry.second = bench().page();
	entry.type = 5;
	bench().setPasid(7, entry);
	expectRefusal(FaultReason::PasidEntryInvalid, kCa, pasid(7), kInput);
	entry.type = kSecond;
	entry.extra[6] = 1;
	bench().setPasid(8, entry);
	expectRefusal(FaultReason::PasidEntryReserved, kCa, pasid(8), kInput);
	bench().put(bench().directoryEntry(128), bench().page() | 1 | bit(2));
	expectRefusal(FaultReason::DirectoryReserved, kCa, pasid(128), kInput);
	bench().put(bench().directoryEntry(192), 0x1000 | 1);
	expectRefusal(FaultReason::PasidEntryNotReadable, kCa, pasid(192), kInput);
	expectEmpty(pasid(5), kInput, true); /* PR=1, SRE=0 */
}

/* VTD-ATS-1: refusals that a page request may cure. */
TEST_F(VtdTranslationRequest, FirstStageNotPresentIsEmpty)
{
	const uint64_t table = simpleFirst(5);

	expectEmpty(pasid(5), 0x2000);
	expectEmpty(pasid(5), 0x0000800000000000);
	for (unsigned level = 1; level <= 4; level++) {
		const uint64_t entry = bench().entryAt(table, 4, kInput, level);
		const uint64_t before = bench().get(entry);

		bench().run({pasidIotlb(1, 5)});
		bench().put(entry, 0);
		expectEmpty(pasid(5), kInput);
		bench().put(entry, before & ~kFsUs);
		expectEmpty(pasid(5), kInput);
		bench().run({pasidIotlb(1, 5)});
		bench().put(entry, before);
	}
	bench().put(bench().entryAt(table, 4, kInput, 2), 0x1000 | kFsAll); /* no memory */
	bench().run({pasidIotlb(1, 5)});
	expectEmpty(pasid(5), kInput);
}

/* VTD-ATS-3 */
TEST_F(VtdTranslationRequest, RightsThatRemain)
{
	const uint64_t table = simpleFirst(5);

	bench().mapFirst(table, 4, 0x2000, target_, kFsP | kFsUs);
	auto answer = ask(pasid(5), 0x2000, false);
	EXPECT_TRUE(answer.read);
	EXPECT_FALSE(answer.write);
	EXPECT_EQ(answer.address, target_);
	expectNoRecord();
	/* A page that may only be written. */
	const uint64_t second = simpleSecond(6, 2);
	bench().mapSecond(second, 4, 0x2000, target_, kSsW);
	answer = ask(pasid(6), 0x2000, false);
	EXPECT_FALSE(answer.read);
	EXPECT_TRUE(answer.write);
	expectEmpty(pasid(6), 0x2000);
	expectEmpty(pasid(6), uint64_t{1} << 48); /* beyond the width */
	expectEmpty(pasid(6), 0x5000);
}

/* VTD-ATS-7 */
TEST_F(VtdTranslationRequest, InterruptRangeBehindATranslation)
{
	const uint64_t table = simpleFirst(5);

	bench().mapFirst(table, 4, 0x2000, 0xfee00000);
	expectRefusal(FaultReason::InterruptRangeOutput, kCa, pasid(5), 0x2000);
	bench().mapFirst(table, 4, 0x40000000, 0xfee00000, kFsAll, 2);
	expectRefusal(FaultReason::InterruptRangeOutput, kCa, pasid(5), 0x40100000);
}

/* VTD-ATS-9 */
TEST_F(VtdTranslationRequest, Snooped)
{
	const uint64_t second = simpleSecond(5);

	EXPECT_FALSE(ask(pasid(5), kInput).snooped);
	bench().mapSecond(second, 4, 0x2000, target_, kSsRw | bit(11));
	EXPECT_TRUE(ask(pasid(5), 0x2000).snooped);
}

/* VTD-ATS-2 */
TEST_F(VtdTranslationRequest, SecondStageTrouble)
{
	Pasid entry;

	entry.second = bench().page();
	entry.ssade = true;
	entry.snooped = false;
	bench().mapSecond(entry.second, 4, kInput, target_);
	bench().setPasid(5, entry);
	expectRefusal(FaultReason::SecondStageUpdateNotSnooped, kCa, pasid(5), kInput);
	entry = {};
	entry.second = 0x1000;
	entry.domain = 2;
	bench().setPasid(6, entry);
	expectRefusal(FaultReason::SecondStageTopNotReadable, kCa, pasid(6), kInput);
	const uint64_t table = simpleSecond(7, 3);
	bench().put(bench().entryAt(table, 4, kInput, 3), 0x1000 | kSsRw);
	expectRefusal(FaultReason::SecondStageNotReadable, kCa, pasid(7), kInput);
	const uint64_t bad = simpleSecond(8, 4);
	bench().put(bench().entryAt(bad, 4, kInput, 1), target_ | kSsRw | bit(62));
	expectRefusal(FaultReason::SecondStageReserved, kCa, pasid(8), kInput);
}

/*
 * VTD-NEST-7, VTD-ATS-3: the attack: get a guest physical address in the place of a host physical
 * one.
 */
TEST_F(VtdTranslationRequest, NestedRights)
{
	useAts(VtdBench::e0With(kEcapNest));
	constexpr uint64_t kGuestRoot = 0x100000, kGuestPage = 0x200000;
	Pasid entry;

	entry.type = kNested;
	entry.second = bench().page();
	entry.first = kGuestRoot;
	/* The guest's four tables, and its page. */
	std::array<uint64_t, 4> tables{};
	for (unsigned i = 0; i < 4; i++) {
		tables[i] = bench().page();
		bench().mapSecond(entry.second, 4, kGuestRoot + 0x1000 * i, tables[i]);
		if (i < 3)
			bench().put(tables[i], (kGuestRoot + 0x1000 * (i + 1)) | kFsAll);
	}
	bench().setPasid(5, entry);
	const auto set = [&](uint64_t first, uint64_t second) {
		bench().put(tables[3] + 8, kGuestPage | first);
		bench().mapSecond(entry.second, 4, kGuestPage, target_, second);
		bench().run({iotlbDomain(1)});
	};
	for (bool noWrite : {false, true}) {
		set(kFsAll, kSsR);
		auto answer = ask(pasid(5), kInput, noWrite);
		EXPECT_EQ(answer.address, target_);
		EXPECT_TRUE(answer.read);
		EXPECT_FALSE(answer.write);
		set(kFsP | kFsUs, kSsRw);
		answer = ask(pasid(5), kInput, noWrite);
		EXPECT_EQ(answer.address, target_);
		EXPECT_TRUE(answer.read);
		EXPECT_FALSE(answer.write);
		set(kFsP | kFsUs, kSsW);
		answer = ask(pasid(5), kInput, noWrite);
		EXPECT_FALSE(answer.read || answer.write);
		EXPECT_EQ(answer.address, 0u);
	}
	expectNoRecord();
	set(kFsAll, kSsRw);
	EXPECT_TRUE(ask(pasid(5), kInput, false).write);
	/* VTD-NEST-10 */
	bench().mapSecond(entry.second, 4, kGuestRoot, tables[0], kSsRw | bit(62));
	bench().run({iotlbDomain(1)});
	expectRefusal(FaultReason::SecondStageReserved, kCa, pasid(5), kInput);
}

/* VTD-ATS-4 */
TEST_F(VtdTranslationRequest, NoWrite)
{
	const uint64_t table = simpleFirst(5);
	const uint64_t leaf = bench().entryAt(table, 4, kInput, 1);
	auto answer = ask(pasid(5), kInput, true);

	EXPECT_TRUE(answer.read);
	EXPECT_FALSE(answer.write);
	EXPECT_FALSE(bench().get(leaf) & kFsD);
	/* The translation is cached now, but a request for writing must still set D. */
	answer = ask(pasid(5), kInput, false);
	EXPECT_TRUE(answer.write);
	EXPECT_TRUE(bench().get(leaf) & kFsD);
	useAts(VtdBench::e0Without(kEcapNwfs));
	const uint64_t again = simpleFirst(5);
	answer = ask(pasid(5), kInput, true);
	EXPECT_TRUE(answer.write);
	EXPECT_TRUE(bench().get(bench().entryAt(again, 4, kInput, 1)) & kFsD);
}

/* VTD-ATS-5 */
TEST_F(VtdTranslationRequest, LargePages)
{
	const uint64_t table = simpleSecond(5);

	bench().mapSecond(table, 4, 0x40000000, 0x20000000, kSsRw, 2);
	auto answer = ask(pasid(5), 0x40123000);
	EXPECT_TRUE(answer.large);
	EXPECT_EQ(answer.address, 0x20000000u | 0xff000);
	Pasid pass;
	pass.type = kPass;
	bench().setPasid(6, pass);
	answer = ask(pasid(6), 0x45678000, false);
	EXPECT_TRUE(answer.large && answer.read && answer.write);
	EXPECT_EQ(answer.address, 0x40000000u | 0x1ffff000); /* 1 GiB */
	expectEmpty(pasid(6), uint64_t{1} << 46);
}

/* VTD-ATS-6, VTD-MSI-2 */
TEST_F(VtdTranslationRequest, InterruptRange)
{
	const uint64_t table = simpleSecond(5);

	bench().mapSecond(table, 4, 0xfee00000, target_);
	auto answer = ask(rid(), 0xfee00000, false);
	EXPECT_TRUE(answer.untranslated && answer.write);
	EXPECT_FALSE(answer.read || answer.large);
	expectEmpty(rid(), 0xfee00000);
	EXPECT_EQ(ask(pasid(5), 0xfee00000).address, target_);
}

/* VTD-ATS-8 */
TEST_F(VtdTranslationRequest, TranslatedRequests)
{
	simpleSecond(5);
	const uint64_t before = bench().unit->counters().entryReads;
	const auto same = bench().unit->requestTranslated({rid(), 0x12345678});
	EXPECT_EQ(same.reason, FaultReason::None);
	EXPECT_EQ(same.address, 0x12345678u);
	EXPECT_EQ(bench().unit->counters().entryReads - before, 2u) << "root and context only";
	bench().unit->requestTranslated({rid(), uint64_t{1} << 46});
	expectOnlyRecord(FaultReason::AddressBeyondHaw, 2);
	bench().unit->requestTranslated({rid(), 0xfee00000});
	expectOnlyRecord(FaultReason::InterruptRangeOutput, 2);
	EXPECT_NE(bench().unit->requestTranslated({pasid(5), target_}).reason, FaultReason::None);
}

/* VTD-MSI-1: a function with ATS sends its interrupts untranslated. */
TEST_F(VtdDeviceTlb, InterruptsAreNotTranslated)
{
	uint64_t value = 0;

	EXPECT_EQ(device().agent->store(rid(), 0xfee00000, 4, 0x4041), DmaResult::Ok);
	EXPECT_EQ(device().read(rid(), 0xfee00000, value), DmaResult::Blocked);
}

/* VTD-DTLB-1, VTD-ATS-8 */
TEST_F(VtdDeviceTlb, HitsNeedNothingButTheContextEntry)
{
	const uint64_t table = simpleSecond(5);

	EXPECT_EQ(read(pasid(5)), 0x1111u);
	bench().mapSecond(table, 4, kInput, other_);
	bench().run({contextGlobal(), pasidGlobal(), iotlbGlobal()});
	EXPECT_EQ(read(pasid(5)), 0x1111u) << "only a device-TLB invalidation empties it";
	bench().run({pasidDeviceTlb(kRid, 5, kInput)});
	EXPECT_EQ(read(pasid(5)), 0x2222u);
	/* The host forbids the device TLB. */
	Context context;
	context.dte = context.pre = false;
	bench().setContext(kRid, context);
	bench().run({contextGlobal()});
	EXPECT_TRUE(blocked(pasid(5)));
	expectOnlyRecord(FaultReason::DeviceTlbDisabled, 2);
}

TEST_F(VtdDeviceTlb, WithoutAtsRequestsAreUntranslated)
{
	simpleSecond(5);
	device().endpoint->configure({});
	EXPECT_EQ(read(pasid(5)), 0x1111u);
	EXPECT_TRUE(blocked(pasid(5), 0x5000));
	expectOnlyRecord(FaultReason::SecondStageNotPresent, 0);
	EXPECT_EQ(device().prepare(pasid(5), 0x5000, Access::Read, 1), DmaResult::Ok);
	EXPECT_TRUE(requests().empty());
}

/* VTD-DTLB-1 */
TEST_F(VtdDeviceTlb, SwitchingOffEmptiesIt)
{
	const uint64_t table = simpleSecond(5);

	EXPECT_EQ(read(pasid(5)), 0x1111u);
	bench().mapSecond(table, 4, kInput, other_);
	bench().run({iotlbDomain(1)});
	device().endpoint->configure({});
	device().endpoint->configure(device().settings);
	EXPECT_EQ(read(pasid(5)), 0x2222u);
}

/* VTD-ATS-3 */
TEST_F(VtdDeviceTlb, RightsAreAskedForAgain)
{
	const uint64_t table = simpleSecond(5);

	bench().mapSecond(table, 4, kInput, target_, kSsR);
	EXPECT_EQ(read(pasid(5)), 0x1111u);
	EXPECT_EQ(device().write(pasid(5), kInput, 1), DmaResult::Blocked);
	bench().mapSecond(table, 4, kInput, target_, kSsRw);
	bench().run({iotlbDomain(1)});
	EXPECT_EQ(device().write(pasid(5), kInput, 0x3333), DmaResult::Ok);
	EXPECT_EQ(bench().get(target_), 0x3333u);
	EXPECT_EQ(read(pasid(5)), 0x3333u);
	expectNoRecord();
}

/* VTD-DTLB-2 */
TEST_F(VtdDeviceTlb, WhatInvalidationsRemove)
{
	std::array<uint64_t, 3> tables{};
	const std::array<StreamId, 3> streams = {rid(), pasid(5), pasid(6)};
	/* Which of the three see the new page after @command? */
	const auto seen = [&](const Descriptor &command) {
		unsigned mask = 0;

		for (unsigned i = 0; i < 3; i++)
			bench().mapSecond(tables[i], 4, kInput, target_);
		bench().run({iotlbGlobal(), deviceTlbAll(kRid), deviceTlbEveryPasid(kRid)});
		for (const StreamId &stream : streams)
			EXPECT_EQ(read(stream), 0x1111u);
		for (unsigned i = 0; i < 3; i++)
			bench().mapSecond(tables[i], 4, kInput, other_);
		bench().run({iotlbGlobal(), command});
		for (unsigned i = 0; i < 3; i++)
			mask |= (read(streams[i]) == 0x2222) << i;
		return mask;
	};

	tables[0] = simpleSecond(0, 1);
	tables[1] = simpleSecond(5, 2);
	tables[2] = simpleSecond(6, 3);
	EXPECT_EQ(seen(deviceTlbAll(kRid)), 0b001u);
	EXPECT_EQ(seen(pasidDeviceTlbAll(kRid, 5)), 0b010u);
	EXPECT_EQ(seen(deviceTlbEveryPasid(kRid)), 0b110u);
	EXPECT_EQ(seen(deviceTlb(kRid, kInput)), 0b001u);
	EXPECT_EQ(seen(deviceTlb(kRid, kInput + 0x1000)), 0u);
	EXPECT_EQ(seen(pasidDeviceTlb(kRid, 6, 0, 1)), 0b100u) << "8 KiB at 0";
	EXPECT_EQ(seen(pasidDeviceTlb(kRid, 6, 0x2000, 1)), 0u) << "8 KiB at 8 KiB";
	EXPECT_EQ(seen(pasidDeviceTlb(kRid, 6, 0x1ff000, 9)), 0b100u) << "2 MiB at 0";
	EXPECT_EQ(seen(deviceTlbEveryPasid(kRid, kInput)), 0b110u);
	EXPECT_EQ(seen(deviceTlbEveryPasid(kRid, kInput + 0x1000)), 0u);
	EXPECT_EQ(seen(deviceTlbEveryPasid(kRid, 0, 1)), 0b110u) << "8 KiB at 0";
	EXPECT_EQ(seen(deviceTlbEveryPasid(kRid, 0x2000, 1)), 0u) << "8 KiB at 8 KiB";
	EXPECT_EQ(seen(deviceTlbEveryPasid(kRid, 0x1ff000, 9)), 0b110u) << "2 MiB at 0";
}

/* VTD-DTLB-2 */
TEST_F(VtdDeviceTlb, LargePageGoesWithAnyOfIt)
{
	const uint64_t table = simpleSecond(5);
	const uint64_t low = 0x10000000 + 0x400000, high = 0x10000000 + 0x600000;

	bench().mapSecond(table, 4, 0x40000000, low, kSsRw, 2);
	bench().put(low + 0x5000, 0x4444);
	bench().put(high + 0x5000, 0x5555);
	EXPECT_EQ(read(pasid(5), 0x40005000), 0x4444u);
	bench().mapSecond(table, 4, 0x40000000, high, kSsRw, 2);
	bench().run({iotlbDomain(1), pasidDeviceTlb(kRid, 5, 0x40100000)});
	EXPECT_EQ(read(pasid(5), 0x40005000), 0x5555u);
}

/* VTD-DTLB-3, VTD-PRQ-6 */
TEST_F(VtdDeviceTlb, UpgradeWithoutFlush)
{
	const uint64_t table = simpleFirst(5);

	bench().mapFirst(table, 4, kInput, target_, kFsP | kFsUs);
	EXPECT_EQ(device().prepare(pasid(5), kInput, Access::Read, 1), DmaResult::Ok);
	EXPECT_EQ(read(pasid(5)), 0x1111u);
	bench().mapFirst(table, 4, kInput, target_, kFsAll);
	ASSERT_EQ(device().prepare(pasid(5), kInput, Access::Write, 2), DmaResult::Pending);
	const auto found = requests();

	ASSERT_EQ(found.size(), 1u);
	EXPECT_TRUE(found[0].write);
	bench().run({groupResponse(pasid(5), found[0].group, kSuccess)});
	device().requester.expectOne(2, PageResponse::Success);
	EXPECT_EQ(device().prepare(pasid(5), kInput, Access::Write, 3), DmaResult::Ok);
	EXPECT_EQ(device().write(pasid(5), kInput, 7), DmaResult::Ok);
}

/* VTD-DTLB-4 */
TEST_F(VtdDeviceTlb, NeverCompleted)
{
	const uint64_t status = bench().page();

	device().endpoint->setConduct(InvalidationConduct::NeverComplete);
	bench().enqueue(deviceTlbAll(kRid));
	const uint32_t wait = bench().tail();
	bench().enqueue(waitStatus(status, 1));
	bench().kick();
	EXPECT_EQ(bench().read32(kFsts), kIte);
	EXPECT_EQ(bench().read64(kIqercd) >> 32 & 0xffff, kRid.value);
	EXPECT_EQ(bench().read32(kIqh), wait);
	EXPECT_EQ(bench().get(status), 0u);
	EXPECT_EQ(bench().sink.count(kVectorFault), 1u);
	bench().kick();
	EXPECT_EQ(bench().read32(kIqh), wait) << "a tail write does not start it";
	bench().write32(kFsts, kIte);
	EXPECT_EQ(bench().read32(kIqh), bench().tail());
	EXPECT_EQ(bench().get(status), 1u);
}

/* VTD-DTLB-4 */
TEST_F(VtdDeviceTlb, NoSuchFunction)
{
	bench().enqueue(deviceTlbAll(makeRid(1, 2, 3)));
	bench().kick();
	EXPECT_EQ(bench().read32(kFsts), kIte);
	EXPECT_EQ(bench().read64(kIqercd) >> 32 & 0xffff, makeRid(1, 2, 3).value);
	bench().write32(kFsts, kIte);
	bench().run({waitInterrupt()});
}

/* A device that answers late keeps its translation until then, and the wait keeps waiting. */
TEST_F(VtdDeviceTlb, WaitsForALateCompletion)
{
	const uint64_t table = simpleSecond(5), status = bench().page();

	EXPECT_EQ(read(pasid(5)), 0x1111u);
	bench().mapSecond(table, 4, kInput, other_);
	device().endpoint->setConduct(InvalidationConduct::CompleteLate);
	bench().enqueue(iotlbDomain(1));
	bench().enqueue(pasidDeviceTlbAll(kRid, 5));
	const uint32_t wait = bench().tail();
	bench().enqueue(waitStatus(status, 1));
	bench().kick();
	EXPECT_EQ(bench().read32(kFsts), 0u);
	EXPECT_EQ(bench().read32(kIqh), wait);
	EXPECT_EQ(read(pasid(5)), 0x1111u);
	device().endpoint->completeLate();
	EXPECT_EQ(bench().get(status), 1u);
	EXPECT_EQ(bench().read32(kIqh), bench().tail());
	EXPECT_EQ(read(pasid(5)), 0x2222u);
}

/* Shows that tests of device-TLB invalidations can fail. */
TEST_F(VtdDeviceTlb, DeviceThatIgnoresInvalidations)
{
	const uint64_t table = simpleSecond(5);

	device().endpoint->setConduct(InvalidationConduct::Ignore);
	EXPECT_EQ(read(pasid(5)), 0x1111u);
	bench().mapSecond(table, 4, kInput, other_);
	bench().run({iotlbDomain(1), pasidDeviceTlbAll(kRid, 5), waitInterrupt()});
	EXPECT_EQ(read(pasid(5)), 0x1111u);
}

/* VTD-DTLB-5 */
TEST_F(VtdDeviceTlb, StrayCompletion)
{
	device().endpoint->completeStray(77);
	EXPECT_EQ(bench().read32(kFsts), kIce);
	EXPECT_EQ(bench().read64(kIqercd) >> 48, kRid.value);
	EXPECT_EQ(bench().sink.count(kVectorFault), 1u);
	bench().run({deviceTlbAll(kRid), waitInterrupt()});
	bench().write32(kFsts, kIce);
	EXPECT_EQ(bench().read32(kFsts), 0u);
}

} // namespace
} // namespace wd::machine::test
