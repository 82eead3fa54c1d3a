// SPDX-License-Identifier: Apache-2.0
/*
 * Device TLBs: each flush of the unit also flushes the functions, after the unit. Functions that do
 * not answer are shut out. ATS is switched on and off during changes. The caches keep everything
 * until they are flushed.
 */
#include "base/bits.h"
#include "fixture.h"
#include "guest.h"

#include <atomic>
#include <cerrno>
#include <thread>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::InvalidationConduct;
using machine::pasidStream;
using machine::ridStream;
using machine::StreamId;

constexpr uint64_t k4K = kPageSize, k2M = 1ULL << 21;
constexpr uint64_t kVa = 0x7f0000345000;
constexpr uint64_t kWholeRange = 0x7ffffffffffff000;

class Ats : public IommuTest
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }
	void SetUp() override
	{
		IommuTest::SetUp();
		unit_->setCacheMode(machine::CacheMode::Maximal);
		guest_ = std::make_unique<Guest>(firstDev_);
		root_ = guest_->page();
	}
	void TearDown() override
	{
		guest_.reset();
		IommuTest::TearDown();
	}
	/** Keeps ATS of @dev on as long as the result lives. */
	static std::unique_ptr<FaultHandler> on(::device *dev)
	{
		auto handler = std::make_unique<FaultHandler>(dev, 900);

		EXPECT_EQ(handler->error(), 0);
		return handler;
	}
	wd_pgtable *bound(::device *dev, uint32_t pasid)
	{
		wd_pgtable *made = guest_->table(dev, root_).table;

		EXPECT_EQ(bindTablePasid(guest_->parent(), dev, made, pasid), 0);
		return made;
	}
	static void forget(wd_pgtable *made, uint64_t va, uint64_t pages)
	{
		const Invalidation entry{va, pages, 0, 0};

		EXPECT_EQ(invalidate(made, &entry, sizeof(entry), 1).error, 0);
	}
	unsigned count(const std::string &text) const
	{
		unsigned lines = 0;

		for (const std::string &line : hostkernel::kernelLog())
			lines += line.find(text) != std::string::npos;
		return lines;
	}
	static StreamId at(uint32_t pasid) { return pasidStream(kFirstRid, pasid); }

	std::unique_ptr<Guest> guest_;
	uint64_t root_ = 0;
};

TEST_F(Ats, OnWhileThereIsAHandler)
{
	const uint64_t kDte = 1 << 2, kPre = 1 << 4;

	EXPECT_EQ(contextEntry(kFirstRid)[0] & (kDte | kPre), kDte | kPre);
	EXPECT_EQ(contextEntry(machine::makeRid(0x76, 1, 0))[0] & (kDte | kPre), 0u);
	EXPECT_EQ(hardwareInfo(firstDev_).capabilities & 8, 0u);
	EXPECT_EQ(hardwareInfo(findDevice(kNoPasid)).capabilities & 8, 8u);
	EXPECT_FALSE(first_->atsEnabled());
	{
		FaultHandler one(firstDev_, 5);

		ASSERT_EQ(one.error(), 0);
		EXPECT_TRUE(first_->atsEnabled());
		EXPECT_TRUE(first_->priEnabled());
		EXPECT_FALSE(second_->atsEnabled());
		FaultHandler two(firstDev_, 6), again(firstDev_, 6);

		EXPECT_EQ(two.error(), 0);
		EXPECT_EQ(again.error(), -EBUSY);
		one.unregister();
		EXPECT_TRUE(first_->priEnabled());
	}
	EXPECT_FALSE(first_->atsEnabled());
	EXPECT_FALSE(first_->priEnabled());
	FaultHandler none(findDevice(kNoPasid), 5);

	EXPECT_EQ(none.error(), -EOPNOTSUPP);
}

TEST_F(Ats, ReplaceReachesTheDeviceTlb)
{
	const auto ats = on(firstDev_);
	Guest other(firstDev_);
	const uint64_t gpa = guest_->page();
	uint64_t there = other.page();

	while (there != gpa)
		there = other.page();
	guest_->at(gpa) = 1;
	other.at(there) = 2;
	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	EXPECT_EQ(word(at(5), gpa), 1u);
	ASSERT_EQ(replace(other.parent(), nullptr, firstDev_, 5), 0);
	EXPECT_EQ(word(at(5), gpa), 2u);
	EXPECT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
	EXPECT_EQ(word(at(5), gpa), 2u);
	detachPasid(other.parent(), firstDev_, 5);
}

TEST_F(Ats, UnmapReachesTheDeviceTlb)
{
	const auto ats = on(firstDev_);
	const uint64_t gpa = guest_->page();

	guest_->at(gpa) = 1;
	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	ASSERT_EQ(attachPasid(guest_->parent(), secondDev_, 5), 0);
	EXPECT_EQ(word(at(5), gpa), 1u);
	EXPECT_EQ(word(pasidStream(kSecondRid, 5), gpa), 1u);
	watchQueue();
	ASSERT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
	EXPECT_EQ(read(at(5), gpa), DmaResult::Blocked);
	EXPECT_EQ(read(pasidStream(kSecondRid, 5), gpa), DmaResult::Blocked);
	/* The flush goes to the unit first, then only to the function with ATS. */
	const auto order = seen();

	ASSERT_EQ(order.size(), 2u);
	EXPECT_EQ(order[0].type(), kIotlb);
	EXPECT_EQ(order[1].type(), kPasidDeviceTlb);
	EXPECT_EQ(order[1].q0 >> 16 & 0xffff, kFirstRid.value);
	EXPECT_EQ(order[1].pasid(), 5u);
	EXPECT_EQ(order[1].q1, gpa); /* one page */
	detachPasid(guest_->parent(), firstDev_, 5);
	detachPasid(guest_->parent(), secondDev_, 5);
}

TEST_F(Ats, RangesAreEncodedAsPowersOfTwo)
{
	const auto ats = on(firstDev_);

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	watchQueue();
	ASSERT_EQ(unmap(guest_->parent(), 2 * k4K, 2 * k4K), 2 * k4K);
	ASSERT_EQ(unmap(guest_->parent(), 5 * k4K, 2 * k4K), 2 * k4K);
	ASSERT_EQ(map(guest_->parent(), k2M, 16 * k2M, k2M, kRead), 0);
	ASSERT_EQ(unmap(guest_->parent(), k2M, k2M), k2M);
	const auto order = seen();

	ASSERT_EQ(order.size(), 6u);
	EXPECT_EQ(order[1].q1, 2 * k4K | 0x800);	  /* 8 KiB */
	EXPECT_EQ(order[3].q1, 4 * k4K | 0x1000 | 0x800); /* 16 KiB */
	EXPECT_EQ(order[5].q1, k2M | 0xff000 | 0x800);	  /* 2 MiB */
	detachPasid(guest_->parent(), firstDev_, 5);
}

TEST_F(Ats, RequesterIdToo)
{
	const auto ats = on(firstDev_);
	const uint64_t gpa = guest_->put(root_, kVa, 1);

	unregisterDriver();
	ASSERT_EQ(claimAndAttach(guest_->parent(), firstDev_), 0);
	first_->configWrite(machine::pci::kCommand, 6, 2); /* bus master without a driver */
	EXPECT_EQ(word(ridStream(kFirstRid), gpa), 1u);
	watchQueue();
	ASSERT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
	EXPECT_EQ(read(ridStream(kFirstRid), gpa), DmaResult::Blocked);
	ASSERT_EQ(seen().size(), 2u);
	EXPECT_EQ(seen()[1].type(), kDeviceTlb);
	EXPECT_EQ(seen()[1].q0 >> 32 & 0xffff, kFirstRid.value);
	memory_.unwatch();
	ASSERT_EQ(map(guest_->parent(), gpa, guest_->hostAddress(gpa), k4K, kRead | kWrite), 0);
	EXPECT_EQ(word(ridStream(kFirstRid), gpa), 1u);

	/* A nested table: each change of the entry, the guest's flush, and the parent's unmap. */
	wd_pgtable *made = guest_->table(firstDev_, root_).table;

	ASSERT_EQ(bindTable(guest_->parent(), firstDev_, made), 0);
	EXPECT_EQ(read(ridStream(kFirstRid), gpa), DmaResult::Blocked);
	EXPECT_EQ(word(ridStream(kFirstRid), kVa), 1u);
	const uint64_t fresh = guest_->put(root_, kVa, 2);

	watchQueue();
	forget(made, kVa, 1);
	/* VTD-DRV-10: type 3 comes after type 6 only if there is a wait between them. */
	ASSERT_EQ(memory_.descriptors.size(), 4u);
	EXPECT_EQ(memory_.descriptors[0].type(), kPasidIotlb);
	EXPECT_EQ(memory_.descriptors[1].type(), kWait);
	EXPECT_EQ(memory_.descriptors[1].q0 & 0x40, 0x40u);
	EXPECT_EQ(memory_.descriptors[2].type(), kDeviceTlb);
	memory_.unwatch();
	EXPECT_EQ(word(ridStream(kFirstRid), kVa), 2u);
	ASSERT_EQ(unmap(guest_->parent(), fresh, k4K), k4K);
	EXPECT_EQ(read(ridStream(kFirstRid), kVa), DmaResult::Blocked);
	guest_->put(root_, kVa, 3);
	forget(made, kVa, 1);
	EXPECT_EQ(word(ridStream(kFirstRid), kVa), 3u);
	unbindTable(guest_->parent(), firstDev_, made);
	EXPECT_EQ(read(ridStream(kFirstRid), kVa), DmaResult::Blocked);
	EXPECT_EQ(word(ridStream(kFirstRid), gpa), 1u);
	tableFree(made);
	detachAndRelease(guest_->parent(), firstDev_);
	EXPECT_EQ(read(ridStream(kFirstRid), gpa), DmaResult::Blocked);
	ASSERT_EQ(registerDriver(), 0);
}

TEST_F(Ats, NestedChangesReachTheDeviceTlb)
{
	const auto ats = on(firstDev_), other = on(secondDev_);
	const uint64_t gpa = guest_->put(root_, kVa, 1);
	wd_pgtable *made = bound(firstDev_, 5);
	const StreamId second = pasidStream(kSecondRid, 5);

	ASSERT_EQ(bindTablePasid(guest_->parent(), secondDev_, made, 5), 0);
	EXPECT_EQ(word(at(5), kVa), 1u);
	EXPECT_EQ(word(second, kVa), 1u);
	guest_->put(root_, kVa, 2);
	EXPECT_EQ(word(at(5), kVa), 1u);
	forget(made, kVa, 1);
	EXPECT_EQ(word(at(5), kVa), 2u);
	EXPECT_EQ(word(second, kVa), 2u);
	guest_->map(root_, kVa, gpa);
	forget(made, 0, ~0ULL);
	EXPECT_EQ(word(at(5), kVa), 1u);
	EXPECT_EQ(word(second, kVa), 1u);
	/*
	 * VTD-DRV-5: no guest address follows from an address of the parent, so flush the whole
	 * PASID.
	 */
	watchQueue();
	ASSERT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
	EXPECT_EQ(read(at(5), kVa), DmaResult::Blocked);
	EXPECT_EQ(read(second, kVa), DmaResult::Blocked);
	const auto order = seen();

	ASSERT_EQ(order.size(), 3u);
	EXPECT_EQ(order[0].type(), kIotlb);
	for (unsigned i : {1, 2}) {
		EXPECT_EQ(order[i].type(), kPasidDeviceTlb);
		EXPECT_EQ(order[i].q1, kWholeRange | 0x800);
	}
	memory_.unwatch();
	unbindTablePasid(guest_->parent(), secondDev_, made, 5);
	unbindTablePasid(guest_->parent(), firstDev_, made, 5);
	tableFree(made);
}

/* VTD-DRV-3: after the IOTLB, before the entry is zeroed. */
TEST_F(Ats, DetachReachesTheDeviceTlb)
{
	const auto ats = on(firstDev_);
	const uint64_t gpa = guest_->page();
	std::vector<unsigned> types;

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	EXPECT_EQ(read(at(5), gpa), DmaResult::Ok);
	watchQueue([&](const Descriptor &descriptor) {
		if (pasidEntry(kFirstRid, 5)[1] || types.empty())
			types.push_back(descriptor.type());
	});
	detachPasid(guest_->parent(), firstDev_, 5);
	EXPECT_EQ(types, (std::vector<unsigned>{kPasidCache, kIotlb, kPasidDeviceTlb, kWait}));
	EXPECT_EQ(read(at(5), gpa), DmaResult::Blocked);
	EXPECT_EQ(pasidEntry(kFirstRid, 5), (std::array<uint64_t, 8>{}));
}

/* A function forgets its translations when ATS goes off. Without ATS it gets no flushes. */
TEST_F(Ats, OffMeansNothingIsKept)
{
	auto ats = on(firstDev_);
	const uint64_t gpa = guest_->page();

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	EXPECT_EQ(read(at(5), gpa), DmaResult::Ok);
	ats.reset();
	EXPECT_EQ(read(at(5), gpa), DmaResult::Ok);
	watchQueue();
	ASSERT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
	EXPECT_EQ(seen().size(), 1u);
	EXPECT_EQ(read(at(5), gpa), DmaResult::Blocked);
	ats = on(firstDev_);
	EXPECT_EQ(read(at(5), gpa), DmaResult::Blocked);
	detachPasid(guest_->parent(), firstDev_, 5);
}

/* VTD-DRV-12 */
TEST_F(Ats, ReleaseSwitchesItOffBeforeTheContextGoes)
{
	bool early = false;

	auto ats = on(secondDev_);
	ASSERT_EQ(attachPasid(guest_->parent(), secondDev_, 5), 0);
	EXPECT_EQ(read(pasidStream(kSecondRid, 5), 0), DmaResult::Ok);
	watchQueue([&](const Descriptor &descriptor) {
		if (descriptor.type() == kContextCache)
			early |= second_->atsEnabled() || second_->priEnabled();
	});
	removeDevice(kSecond);
	EXPECT_FALSE(early);
	EXPECT_FALSE(second_->atsEnabled());
	EXPECT_EQ(read(pasidStream(kSecondRid, 5), 0), DmaResult::Blocked);
	memory_.unwatch();
	rescan(findDevice(kNoPasid));
	secondDev_ = findDevice(kSecond);
	ats.reset();
	ats = on(secondDev_);
	EXPECT_TRUE(second_->atsEnabled());
}

/* The function is slow: the unmap waits for it. */
TEST_F(Ats, WaitsForTheDevice)
{
	const auto ats = on(firstDev_);
	const uint64_t gpa = guest_->page();
	std::atomic<bool> done{false};

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	EXPECT_EQ(read(at(5), gpa), DmaResult::Ok);
	first_->ats().setConduct(InvalidationConduct::CompleteLate);
	const uint64_t before = unit_->counters().invalidations;
	std::thread unmapper([&] {
		EXPECT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
		done = true;
	});

	while (unit_->counters().invalidations < before + 2)
		std::this_thread::yield();
	EXPECT_FALSE(done);
	first_->ats().setConduct(InvalidationConduct::Obey);
	first_->ats().completeLate();
	unmapper.join();
	EXPECT_EQ(read(at(5), gpa), DmaResult::Blocked);
	EXPECT_TRUE(first_->atsEnabled());
	detachPasid(guest_->parent(), firstDev_, 5);
}

/*
 * VTD-DRV-11. Attacker: a function that never completes an invalidation, and keeps its
 * translations. The kernel goes on, and the unit refuses requests that use these translations.
 * Other functions work as before.
 */
TEST_F(Ats, AFunctionThatDoesNotAnswerIsShutOut)
{
	auto ats = on(firstDev_);
	const auto other = on(secondDev_);
	const uint64_t gpa = guest_->page(), stays = guest_->page();

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	ASSERT_EQ(attachPasid(guest_->parent(), secondDev_, 5), 0);
	EXPECT_EQ(read(at(5), gpa), DmaResult::Ok);
	EXPECT_EQ(read(pasidStream(kSecondRid, 5), gpa), DmaResult::Ok);
	first_->ats().setConduct(InvalidationConduct::NeverComplete);
	const auto translated = [&] {
		return unit_
			->requestTranslated({ridStream(kFirstRid), guest_->hostAddress(gpa),
					     machine::Access::Read, false})
			.reason;
	};

	EXPECT_EQ(translated(), machine::FaultReason::None);
	ASSERT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
	EXPECT_EQ(read(at(5), gpa), DmaResult::Blocked);
	EXPECT_EQ(read(pasidStream(kSecondRid, 5), gpa), DmaResult::Blocked);
	EXPECT_FALSE(first_->atsEnabled());
	EXPECT_TRUE(second_->atsEnabled());
	EXPECT_EQ(count("does not answer"), 1u);
	/* The unit refuses translated requests, because DTE and PRE are clear. */
	EXPECT_EQ(contextEntry(kFirstRid)[0] & 0x14, 0u);
	EXPECT_EQ(translated(), machine::FaultReason::DeviceTlbDisabled);
	/* The function works on without a device TLB, and so does the invalidation queue. */
	EXPECT_EQ(read(at(5), stays), DmaResult::Ok);
	watchQueue();
	ASSERT_EQ(unmap(guest_->parent(), stays, k4K), k4K);
	EXPECT_EQ(seen().size(), 2u);
	EXPECT_EQ(read(at(5), stays), DmaResult::Blocked);
	EXPECT_EQ(count("does not answer"), 1u);
	/* A reset restores the function's state, but not ATS. */
	ASSERT_EQ(resetFunction(firstDev_), 0);
	EXPECT_FALSE(first_->atsEnabled());
	EXPECT_FALSE(first_->priEnabled());
	detachPasid(guest_->parent(), firstDev_, 5);
	detachPasid(guest_->parent(), secondDev_, 5);
	ats.reset();
	FaultHandler again(firstDev_, 5);

	EXPECT_EQ(again.error(), -EIO);
	first_->ats().setConduct(InvalidationConduct::Obey);
}

TEST_F(Ats, TwoThatDoNotAnswer)
{
	auto one = on(firstDev_), two = on(secondDev_);
	const uint64_t gpa = guest_->page();

	for (uint32_t pasid = 5; pasid < 15; pasid++) {
		ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, pasid), 0);
		ASSERT_EQ(attachPasid(guest_->parent(), secondDev_, pasid), 0);
	}
	EXPECT_EQ(read(at(14), gpa), DmaResult::Ok);
	EXPECT_EQ(read(pasidStream(kSecondRid, 14), gpa), DmaResult::Ok);
	first_->ats().setConduct(InvalidationConduct::NeverComplete);
	second_->ats().setConduct(InvalidationConduct::NeverComplete);
	ASSERT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
	EXPECT_EQ(read(at(14), gpa), DmaResult::Blocked);
	EXPECT_EQ(read(pasidStream(kSecondRid, 14), gpa), DmaResult::Blocked);
	EXPECT_EQ(count("does not answer"), 2u);
	for (uint32_t pasid = 5; pasid < 15; pasid++) {
		detachPasid(guest_->parent(), firstDev_, pasid);
		detachPasid(guest_->parent(), secondDev_, pasid);
	}
	one.reset();
	two.reset();
}

/*
 * The driver gives one function up. Commands for other functions from before do not count: the
 * driver sends them again.
 */
TEST_F(Ats, TheOthersAreAskedAgain)
{
	auto never = on(firstDev_), late = on(secondDev_);
	const uint64_t gpa = guest_->page();
	std::atomic<bool> done{false};

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	ASSERT_EQ(attachPasid(guest_->parent(), secondDev_, 5), 0);
	EXPECT_EQ(read(pasidStream(kSecondRid, 5), gpa), DmaResult::Ok);
	first_->ats().setConduct(InvalidationConduct::NeverComplete);
	second_->ats().setConduct(InvalidationConduct::CompleteLate);
	const uint64_t before = unit_->counters().invalidations;
	std::thread unmapper([&] {
		EXPECT_EQ(unmap(guest_->parent(), gpa, k4K), k4K);
		done = true;
	});

	/* 6 commands: IOTLB and two functions, the context, then IOTLB and one function again. */
	while (!done && unit_->counters().invalidations < before + 6)
		std::this_thread::yield();
	EXPECT_FALSE(done);
	second_->ats().setConduct(InvalidationConduct::Obey);
	second_->ats().completeLate();
	unmapper.join();
	EXPECT_EQ(read(pasidStream(kSecondRid, 5), gpa), DmaResult::Blocked);
	EXPECT_TRUE(second_->atsEnabled());
	detachPasid(guest_->parent(), firstDev_, 5);
	detachPasid(guest_->parent(), secondDev_, 5);
	never.reset();
	late.reset();
	first_->ats().setConduct(InvalidationConduct::Obey);
}

/*
 * VTD-DRV-10: pass-through uses tags of the first stage. A device TLB flush comes after the flush
 * of these only if there is a wait between them.
 */
TEST_F(Ats, PassThroughAtTheRequesterId)
{
	const std::string type =
		std::string("/sys/bus/pci/devices/") + kFirst + "/iommu_group/type";
	const auto ats = on(firstDev_);
	const uint64_t physical = guest_->hostAddress(guest_->page());

	unregisterDriver();
	ASSERT_GE(hostkernel::sysfsWrite(type, "identity"), 0);
	first_->configWrite(machine::pci::kCommand, 6, 2);
	EXPECT_EQ(read(ridStream(kFirstRid), physical), DmaResult::Ok);
	watchQueue();
	ASSERT_GE(hostkernel::sysfsWrite(type, "DMA"), 0);
	EXPECT_EQ(read(ridStream(kFirstRid), physical), DmaResult::Blocked);
	ASSERT_GE(memory_.descriptors.size(), 4u);
	EXPECT_EQ(memory_.descriptors[0].type(), kPasidCache);
	EXPECT_EQ(memory_.descriptors[1].type(), kPasidIotlb);
	EXPECT_EQ(memory_.descriptors[2].type(), kWait);
	EXPECT_EQ(memory_.descriptors[2].q0 & 0x40, 0x40u);
	EXPECT_EQ(memory_.descriptors[3].type(), kDeviceTlb);
	EXPECT_EQ(memory_.descriptors[3].q1, kWholeRange | 1);
	memory_.unwatch();
	ASSERT_EQ(registerDriver(), 0);
}

/*
 * ATS comes on during an unmap. The device never stops, so it may get a translation just before the
 * unit drops it: the unmap must flush the device, too.
 */
TEST_F(Ats, SwitchingUnderRunningUnmaps)
{
	constexpr unsigned kSwitches = 300;
	const uint64_t gpa = guest_->page();
	std::atomic<bool> stop{false};
	std::atomic<unsigned> switches{0};
	std::atomic<uint64_t> question{0}, answer{0};
	unsigned wrong = 0;

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	std::thread device([&] {
		const auto agent = unit_->createAgent();
		std::byte bytes[8];

		while (!stop) {
			const uint64_t asked = question;
			const bool reached = agent->read(at(5), gpa, bytes) == DmaResult::Ok;

			answer = asked << 1 | reached;
		}
	});
	std::thread switcher([&] {
		for (; !stop; switches++)
			on(firstDev_);
	});
	/* True if a read of the device that begins now reaches the page. */
	const auto reached = [&] {
		const uint64_t asked = ++question;

		while (answer >> 1 < asked)
			std::this_thread::yield();
		return answer & 1;
	};

	while (switches < kSwitches) {
		wrong += unmap(guest_->parent(), gpa, k4K) != k4K;
		wrong += reached();
		wrong += map(guest_->parent(), gpa, guest_->hostAddress(gpa), k4K, kRead) != 0;
		wrong += !reached();
	}
	stop = true;
	switcher.join();
	device.join();
	EXPECT_EQ(wrong, 0u);
	detachPasid(guest_->parent(), firstDev_, 5);
}

/*
 * The same, made likely: one thread keeps the queue busy, another unmaps, and a third switches ATS
 * on. If ATS is on before the unit's flush, the device gets the old translation at once.
 */
TEST_F(Ats, ComesOnBetweenTheChoiceOfFunctionsAndTheFlush)
{
	const uint64_t gpa = guest_->page();
	iommu_domain *other = domainAlloc(firstDev_).domain;
	unsigned first = 0;

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	ASSERT_EQ(attachPasid(other, firstDev_, 6), 0);
	for (unsigned round = 0; round < 20; round++) {
		std::atomic<bool> held{false}, go{false};
		std::unique_ptr<FaultHandler> ats;

		EXPECT_EQ(read(at(5), gpa), DmaResult::Ok);
		ASSERT_EQ(map(other, 0, 0, k4K, kRead), 0);
		watchQueue([&](const Descriptor &) {
			held = true;
			while (!go)
				std::this_thread::yield();
		});
		first_->onAts = [&] { first += read(at(5), gpa) == DmaResult::Ok; };
		std::thread holder([&] { EXPECT_EQ(unmap(other, 0, k4K), k4K); });

		while (!held)
			std::this_thread::yield();
		/* The first thread in line is likely to be served first. */
		std::thread switcher([&] { ats = on(firstDev_); });

		for (unsigned i = 0; i < 50 * (round % 4); i++)
			std::this_thread::yield();
		std::thread unmapper([&] { EXPECT_EQ(unmap(guest_->parent(), gpa, k4K), k4K); });

		while (iovaToPhys(guest_->parent(), gpa))
			std::this_thread::yield();
		for (unsigned i = 0; i < 30; i++)
			std::this_thread::yield();
		go = true;
		holder.join();
		unmapper.join();
		switcher.join();
		memory_.unwatch();
		first_->onAts = {};
		ASSERT_EQ(read(at(5), gpa), DmaResult::Blocked) << round;
		ats.reset();
		ASSERT_EQ(map(guest_->parent(), gpa, guest_->hostAddress(gpa), k4K, kRead), 0);
	}
	RecordProperty("atsFirst", first);
	detachPasid(guest_->parent(), firstDev_, 5);
	detachPasid(other, firstDev_, 6);
	domainFree(other);
}

/** A function that takes answers without a PASID, so it could confuse groups of two PASIDs. */
class AtsWithoutNames : public Ats
{
	TestFunctionOptions functionOptions() const override
	{
		return {.ats = true, .priNamesPasid = false};
	}
};

TEST_F(AtsWithoutNames, HasNoPageRequests)
{
	FaultHandler handler(firstDev_, 5);

	EXPECT_EQ(handler.error(), -EOPNOTSUPP);
	EXPECT_EQ(contextEntry(kFirstRid)[0] & 0x14, 0x4u);
}

class AtsWithoutUnit : public Ats
{
	machine::IommuCapabilities capabilities() const override
	{
		auto capabilities = IommuTest::capabilities();

		capabilities.ecap &= ~(1ULL << 2);
		return capabilities;
	}
};

TEST_F(AtsWithoutUnit, StaysOff)
{
	FaultHandler handler(firstDev_, 5);

	EXPECT_EQ(handler.error(), -EOPNOTSUPP);
	EXPECT_EQ(contextEntry(kFirstRid)[0] & 0x14, 0u);
	EXPECT_EQ(hardwareInfo(firstDev_).capabilities & 8, 8u);
}

} // namespace
} // namespace wd::kerneltest
