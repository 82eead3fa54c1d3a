// SPDX-License-Identifier: Apache-2.0
/*
 * One owner tries to disturb all others: with requests that fault without end, with a queue full of
 * page requests, with domains at very many places. The work for such an owner must be bounded.
 */
#include "base/bits.h"
#include "fixture.h"
#include "guest.h"
#include "sva_process.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <map>
#include <thread>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::PageRequestMessage;
using machine::pasidStream;

constexpr uint64_t k4K = kPageSize, kVa = 0x7f0000345000;
constexpr uint64_t kFectl = 0x38, kPectl = 0xe0;

class Storm : public IommuTest
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }
	/** True if the driver has masked the interrupt of register @control. */
	bool masked(uint64_t control) const { return unit_->barRead(0, control, 4) & 1u << 31; }
	void waitForUnmasked(uint64_t control) const
	{
		while (masked(control))
			std::this_thread::yield();
	}
};

/*
 * An owner's requests fault in a loop, and the driver does not handle each fault. Afterwards it
 * handles each fault again.
 */
TEST_F(Storm, OfFaults)
{
	unsigned tries = 0;

	while (!masked(kFectl) && tries++ < 2000000)
		EXPECT_EQ(read(pasidStream(kFirstRid, 5), k4K), DmaResult::Blocked);
	EXPECT_TRUE(masked(kFectl)) << tries;
	/* A reader of the log gets faults nevertheless. */
	const uint64_t before = faults();

	EXPECT_GE(before, 256u);
	EXPECT_EQ(read(pasidStream(kSecondRid, 6), k4K), DmaResult::Blocked);
	EXPECT_EQ(faults(), before + 1);
	EXPECT_EQ(lastFault().pasid, "6");
	waitForUnmasked(kFectl);
	/* The same once more. */
	for (tries = 0; !masked(kFectl) && tries < 2000000; tries++)
		EXPECT_EQ(read(pasidStream(kFirstRid, 5), k4K), DmaResult::Blocked);
	EXPECT_TRUE(masked(kFectl));
}

/* The unit goes, or sleeps, during a storm. */
TEST_F(Storm, AndTheUnitSleeps)
{
	for (unsigned tries = 0; !masked(kFectl) && tries < 2000000; tries++)
		read(pasidStream(kFirstRid, 5), k4K);
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	EXPECT_FALSE(masked(kFectl));
	for (unsigned tries = 0; !masked(kFectl) && tries < 2000000; tries++)
		read(pasidStream(kFirstRid, 5), k4K);
	removeDevice(kUnit);
}

/*
 * One interrupt handles a limited number of requests. Others are handled later, and the unit waits.
 */
TEST_F(Storm, OfPageRequests)
{
	constexpr unsigned kFlood = 1000;
	std::atomic<unsigned> groups{0}, unmasked{0};
	Guest guest(firstDev_);
	const uint64_t root = guest.page();
	FaultHandler handler(firstDev_, 5, [&](const RequestGroup &) {
		/* After so many groups the interrupt's thread has handed the work over. */
		if (groups++ >= 256 && !masked(kPectl))
			unmasked++;
		return Answer::Invalid;
	});
	wd_pgtable *made = guest.table(firstDev_, root).table;

	ASSERT_EQ(bindTablePasid(guest.parent(), firstDev_, made, 5), 0);
	unit_->barWrite(0, kPectl, 1u << 31, 4);
	for (unsigned i = 0; i < kFlood; i++) {
		PageRequestMessage message;

		message.stream = pasidStream(kFirstRid, 5);
		message.address = kVa;
		message.read = true;
		message.group = i % 512;
		first_->ats().sendRaw({message});
	}
	EXPECT_EQ(groups, 0u);
	unit_->barWrite(0, kPectl, 0, 4);
	while (groups < kFlood)
		std::this_thread::yield();
	EXPECT_EQ(unmasked, 0u);
	waitForUnmasked(kPectl);
	EXPECT_EQ(groups, kFlood);
	unbindTablePasid(guest.parent(), firstDev_, made, 5);
	tableFree(made);
}

/* An owner that waits for memory does not delay the faults and page requests of others. */
TEST_F(Storm, OfWaitingForMemory)
{
	Guest guest(firstDev_);
	const uint64_t root = guest.page();
	FaultHandler handler(secondDev_, 5, [](const RequestGroup &) { return Answer::Invalid; });
	wd_pgtable *made = guest.table(firstDev_, root).table;
	unsigned waits = 0;
	uint64_t before = 0;

	ASSERT_EQ(bindTablePasid(guest.parent(), secondDev_, made, 5), 0);
	{
		hostkernel::AllocationHook hook([&] {
			PageRequestMessage message;

			message.stream = pasidStream(kSecondRid, 5);
			message.address = kVa;
			message.read = true;
			second_->ats().sendRaw({message});
			waits++;
			while (handler.arrived() < waits)
				std::this_thread::yield();
			EXPECT_EQ(read(machine::ridStream(kFirstRid), 0x123456000),
				  DmaResult::Blocked);
			/*
			 * With ATS the function gets the refusal itself, and no fault is recorded.
			 */
			before += !first_->atsEnabled();
			EXPECT_EQ(faults(), before);
		});
		const DomainResult other = domainAlloc(firstDev_, 1u << 3);
		FaultHandler fresh(firstDev_, 6);
		wd_pgtable *table = guest.table(firstDev_, root).table;

		EXPECT_EQ(attachPasid(other.domain, firstDev_, 700), 0);
		EXPECT_EQ(bindTablePasid(guest.parent(), firstDev_, table, 6), 0);
		unbindTablePasid(guest.parent(), firstDev_, table, 6);
		detachPasid(other.domain, firstDev_, 700);
		tableFree(table);
		domainFree(other.domain);
	}
	EXPECT_GE(waits, 8u);
	unbindTablePasid(guest.parent(), secondDev_, made, 5);
	tableFree(made);
}

/* A flush drops the domain's lock from time to time. It must not skip a place or flush it twice. */
TEST_F(Storm, OfAttachments)
{
	constexpr uint32_t kPlaces = 200;
	Guest guest(firstDev_);
	const uint64_t gpa = guest.page();
	FaultHandler one(firstDev_, 900), two(secondDev_, 900);

	for (uint32_t pasid = 1; pasid <= kPlaces; pasid++)
		ASSERT_EQ(attachPasid(guest.parent(), pasid % 3 ? firstDev_ : secondDev_, pasid),
			  0);
	/* Attach some anew, so that the list is not in the order of PASIDs. */
	for (uint32_t pasid = 1; pasid <= kPlaces; pasid += 7) {
		detachPasid(guest.parent(), pasid % 3 ? firstDev_ : secondDev_, pasid);
		ASSERT_EQ(attachPasid(guest.parent(), pasid % 3 ? firstDev_ : secondDev_, pasid),
			  0);
	}
	watchQueue();
	ASSERT_EQ(unmap(guest.parent(), gpa, k4K), k4K);
	std::map<unsigned, unsigned> told;
	unsigned units = 0;

	for (const Descriptor &descriptor : seen()) {
		if (descriptor.type() == kPasidDeviceTlb)
			told[descriptor.pasid()]++;
		if (descriptor.type() != kIotlb)
			continue;
		/*
		 * The unit is flushed first, else a function could get the old translation again.
		 */
		EXPECT_TRUE(told.empty());
		units++;
	}
	memory_.unwatch();
	EXPECT_EQ(units, 1u);
	EXPECT_EQ(told.size(), kPlaces);
	for (const auto &[pasid, times] : told)
		EXPECT_EQ(times, 1u) << pasid;
	for (uint32_t pasid = 1; pasid <= kPlaces; pasid++)
		detachPasid(guest.parent(), pasid % 3 ? firstDev_ : secondDev_, pasid);
}

/** A flush of very many places must not keep interrupts off from the first to the last. */
class Uninterrupted : public Storm
{
protected:
	/* 32 places, and their waits. */
	static constexpr unsigned kBound = 40;
	static constexpr uint32_t kPlaces = 1000;

	/**
	 * @return the largest number of descriptors that the unit gets while the calling thread
	 * holds a spinlock. @flush sends at least @least descriptors.
	 */
	template <class Flush>
	unsigned longest(unsigned least, Flush flush)
	{
		const auto caller = std::this_thread::get_id();
		std::map<uint64_t, unsigned> sections;
		unsigned sent = 0, most = 0;

		watchQueue([&](const Descriptor &) {
			EXPECT_EQ(std::this_thread::get_id(), caller);
			sections[hostkernel::spinSections()]++;
			sent++;
		});
		flush();
		memory_.unwatch();
		EXPECT_GE(sent, least);
		for (const auto &[section, count] : sections)
			most = std::max(most, count);
		return most;
	}
	device *at(uint32_t pasid) const { return pasid % 3 ? firstDev_ : secondDev_; }
};

/* A domain at 1,000 PASIDs of functions with ATS: each has a translation of its own. */
TEST_F(Uninterrupted, FlushOfADomain)
{
	Guest guest(firstDev_);
	const uint64_t gpa = guest.page();
	FaultHandler one(firstDev_, kPlaces + 1), two(secondDev_, kPlaces + 1);

	for (uint32_t pasid = 1; pasid <= kPlaces; pasid++)
		ASSERT_EQ(attachPasid(guest.parent(), at(pasid), pasid), 0);
	const unsigned most =
		longest(kPlaces, [&] { EXPECT_EQ(unmap(guest.parent(), gpa, k4K), k4K); });

	EXPECT_LE(most, kBound);
	for (uint32_t pasid = 1; pasid <= kPlaces; pasid++)
		detachPasid(guest.parent(), at(pasid), pasid);
}

/* A user-managed table at 1,000 PASIDs: the unit and the function have translations of each. */
TEST_F(Uninterrupted, FlushOfAUserManagedTable)
{
	const Invalidation everything = {0, ~uint64_t{0}, 0, 0};
	Guest guest(firstDev_);
	const uint64_t root = guest.page();
	FaultHandler one(firstDev_, kPlaces + 1), two(secondDev_, kPlaces + 1);
	wd_pgtable *made = guest.table(firstDev_, root).table;

	for (uint32_t pasid = 1; pasid <= kPlaces; pasid++)
		ASSERT_EQ(bindTablePasid(guest.parent(), at(pasid), made, pasid), 0);
	const unsigned most = longest(2 * kPlaces, [&] {
		EXPECT_EQ(invalidate(made, &everything, sizeof(everything), 1).error, 0);
	});
	const unsigned ofParent =
		longest(kPlaces, [&] { EXPECT_EQ(unmap(guest.parent(), root, k4K), k4K); });

	EXPECT_LE(most, kBound);
	EXPECT_LE(ofParent, kBound);
	for (uint32_t pasid = 1; pasid <= kPlaces; pasid++)
		unbindTablePasid(guest.parent(), at(pasid), made, pasid);
	tableFree(made);
}

/* A process with 200 bonds: each has a translation of its own. */
TEST_F(Uninterrupted, FlushOfAProcess)
{
	constexpr uint32_t kBonds = 200;
	Process process;
	UserPages pages;
	std::deque<Bond> bonds;

	for (uint32_t pasid = 1; pasid <= kBonds; pasid++)
		ASSERT_EQ(bonds.emplace_back(at(pasid), process.mm(), pasid).error(), 0);
	const uint64_t before = hostkernel::spinSections();

	ASSERT_TRUE(process.mm().fill(pages.address(), true));
	EXPECT_GE(hostkernel::spinSections() - before, kBonds);
	for (uint32_t pasid = 1; pasid <= kBonds; pasid++)
		EXPECT_EQ(word(pasidStream(pasid % 3 ? kFirstRid : kSecondRid, pasid),
			       pages.address()),
			  pages.word());
	const unsigned most = longest(
		kBonds, [&] { process.caller().memoryChanged(pages.at(), UserPages::kPage); });

	EXPECT_LE(most, kBound);
}

/* Threads walk the bonds of a process while others come and go: a flush reaches each bond once. */
TEST_F(Uninterrupted, FlushesOfAProcessMeet)
{
	constexpr uint32_t kBonds = 16;
	constexpr unsigned kFlushers = 3, kRounds = 300;
	Process process;
	UserPages pages;
	std::deque<Bond> bonds;
	std::vector<std::thread> threads;
	std::map<uint32_t, unsigned> told;

	for (uint32_t pasid = 1; pasid <= kBonds; pasid++)
		ASSERT_EQ(bonds.emplace_back(at(pasid), process.mm(), pasid).error(), 0);
	watchQueue();
	for (unsigned i = 0; i < kFlushers; i++)
		threads.emplace_back([&] {
			for (unsigned round = 0; round < kRounds; round++)
				process.caller().memoryChanged(pages.at(), UserPages::kPage);
		});
	threads.emplace_back([&] {
		for (unsigned round = 0; round < kRounds; round++)
			EXPECT_EQ(Bond(firstDev_, process.mm(), kBonds + 1).error(), 0);
	});
	for (unsigned round = 0; round < kRounds; round++)
		EXPECT_TRUE(process.mm().fill(pages.address(), true));
	for (std::thread &thread : threads)
		thread.join();
	memory_.unwatch();
	for (const Descriptor &descriptor : seen())
		if (descriptor.type() == kPasidIotlb)
			told[descriptor.pasid()]++;
	for (uint32_t pasid = 1; pasid <= kBonds; pasid++)
		EXPECT_EQ(told[pasid], kFlushers * kRounds) << pasid;
}

} // namespace
} // namespace wd::kerneltest
