// SPDX-License-Identifier: Apache-2.0
/*
 * The driver's writes and their order, seen from the unit's side of the invalidation queue.
 *
 * Would the tests of this folder notice a missing invalidation? Each line below was tried by hand:
 * one step was removed from the driver, and these tests failed, among others.
 *
 * removed (file)                                  failed
 * ----------------------------------------------  ------------------------------------------------
 * PASID cache at tear-down (pasid_table.c)        Sequence.Detach*, Nested.Unbind*, Pasid.Each*
 * IOTLB by DID at tear-down (pasid_table.c)       Sequence.Detach*, Nested.Unbind*, Pasid.Reused*
 * IOTLB by PASID at tear-down (pasid_table.c)     Claim.PassThroughReachesPhysicalAddresses
 * fence after it (pasid_table.c)                  Ats.PassThroughAtTheRequesterId
 * device TLB at tear-down (pasid_table.c)         Ats.DetachReachesTheDeviceTlb
 * PASID cache at a replace (pasid_table.c)        Sequence.Replace*, ReplaceTest.NoRequest*
 * drain at tear-down (pasid_table.c)              PageRequests.DrainBefore*, TearDownWaits*
 * present bit cleared first (pasid_table.c)       Sequence.Detach*, Nested.Unbind*
 * context cache at release (context.c)            Sequence.ReleaseFlushesTheContext
 * context cache when shut out (qi.c)              Ats.AFunctionThatDoesNotAnswerIsShutOut
 * IOTLB of the domain at unmap (cache.c)          Ats.UnmapReaches*, Stale.*, Map.*
 * IOTLB of nested tables at unmap (cache.c)       Nested.UnmapOfTheParent*, UnmapOfTheGuests*
 * device TLB at unmap (cache.c)                   Ats.UnmapReachesTheDeviceTlb, Ats.RequesterIdToo
 * device TLB of nested tables at unmap (cache.c)  Ats.NestedChanges*, Ats.RequesterIdToo
 * IOTLB at a user's invalidation (cache.c)        Nested.UserInvalidation*, and nine more
 * device TLB at a user's invalidation (cache.c)   Ats.NestedChanges*, Ats.RequesterIdToo
 * fence at a user's invalidation (cache.c)        Ats.RequesterIdToo
 * non-leaf entries at unmap (cache.c)             Map.LongRun*, Sequence.Unmap*, Fuzz.*
 * non-leaf entries, user's (cache.c)              Nested.LeafOnlyAndWholeWalks
 * half of the covering block (cache.c)            Sequence.Unmap*, Nested.User*, Stale.*
 * second look at who has ATS (cache.c)            Ats.ComesOnBetween*
 * large leaf in place of a table (domain.c)       Map.LargeLeafTakesThePlaceOfAnEmptyTable
 * sweep of empty tables (domain.c)                Sequence.EmptyTablesAreSwept
 * flush_iotlb_all (domain.c)                      Map.FlushOfTheWholeDomain
 * contexts, PASIDs, IOTLB at bring-up (unit.c)    WithoutEsrtps.BringUpFlushesEveryCache (each)
 * drain: fence, IOTLB, device TLB, PD (prq.c)     PageRequests.DrainBefore* (each)
 * drain: again after an overflow (prq.c)          PageRequests.DrainWhileTheQueueOverflows
 * drain: emptying the queue (prq.c)               PageRequests.DrainBefore*, TearDownWaits*
 * emptying when page requests go off (ats.c)      PageRequests.NothingIsLeftWhenTheyGoOff
 * PPR cleared before the tail is read (prq.c)     PageRequests.* (no more interrupts)
 *
 * One removal is not noticed, because the code is there twice: if a device TLB does not answer,
 * qi.c repeats the submission, and its callers would do so, too.
 */
#include "fixture.h"

#include <algorithm>
#include <cerrno>

#include "base/bits.h"

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::pasidStream;

constexpr uint64_t k4K = kPageSize, k2M = 1ULL << 21;
constexpr uint64_t kAddress = 0x000ffffffffff000;

class Sequence : public IommuTest
{
protected:
	/** Number of page tables from the one at @physical downwards, with that one. */
	unsigned countTables(uint64_t physical, unsigned level)
	{
		unsigned count = 1;

		for (unsigned i = 0; level > 1 && i < 512; i++) {
			const uint64_t next = physicalWord(physical + 8 * i);

			if ((next & 3) && !(next & 0x80))
				count += countTables(next & kAddress, level - 1);
		}
		return count;
	}
};

/* VTD-DRV-1 */
TEST_F(Sequence, BringUp)
{
	/* TES, RTPS, QIES; scalable mode; wide descriptors; the fault message unmasked. */
	EXPECT_EQ(unit_->barRead(0, 0x1c, 4) & 0xc4000000, 0xc4000000u);
	EXPECT_EQ(unit_->barRead(0, 0x20, 8) & 0xc00, 0x400u);
	EXPECT_TRUE(unit_->barRead(0, 0x90, 8) & 1u << 11);
	EXPECT_EQ(unit_->barRead(0, 0x38, 4), 0u);
}

/** A unit whose caches survive a new root table. */
class WithoutEsrtps : public Sequence
{
	machine::IommuCapabilities capabilities() const override
	{
		auto capabilities = IommuTest::capabilities();

		capabilities.cap &= ~(1ULL << 63);
		return capabilities;
	}
};

/* VTD-DRV-1 */
TEST_F(WithoutEsrtps, BringUpFlushesEveryCache)
{
	/* These are the first commands in the ring. */
	const uint64_t ring = unit_->barRead(0, 0x90, 8) & kAddress;

	EXPECT_EQ(physicalWord(ring), 1u | 1u << 4);		    /* contexts */
	EXPECT_EQ(physicalWord(ring + 32), 7u | 3u << 4);	    /* PASID entries */
	EXPECT_EQ(physicalWord(ring + 64), 2u | 1u << 4 | 3u << 6); /* translations */
	EXPECT_EQ(physicalWord(ring + 96) & 0xf, 5u);
}

/* VTD-DRV-2 */
TEST_F(Sequence, AttachWritesTheEntryAndInvalidatesNothing)
{
	const DomainResult made = domainAlloc(firstDev_);

	watchQueue();
	ASSERT_EQ(attachPasid(made.domain, firstDev_, 5), 0);
	EXPECT_TRUE(memory_.descriptors.empty());
	const auto words = pasidEntry(kFirstRid, 5);

	EXPECT_EQ(words[0] & 0xfff, 1u | 2u << 2 | 2u << 6); /* P, 48 bits, second stage */
	EXPECT_GE(words[1] & 0xffff, 2u);
	EXPECT_EQ(words[1] & ~0xffffULL, 1u << 23 | 1u << 24); /* PWSNP, PGSNP */
	for (unsigned i = 2; i < 8; i++)
		EXPECT_EQ(words[i], 0u);
	EXPECT_EQ(map(made.domain, 0, 0x1000, k4K, kRead), 0);
	EXPECT_TRUE(memory_.descriptors.empty());
	detachPasid(made.domain, firstDev_, 5);
	domainFree(made.domain);
}

/* VTD-DRV-3 */
TEST_F(Sequence, DetachClearsPresentFirstAndZeroesLast)
{
	const DomainResult made = domainAlloc(firstDev_);

	ASSERT_EQ(attachPasid(made.domain, firstDev_, 5), 0);
	const auto before = pasidEntry(kFirstRid, 5);
	std::vector<std::array<uint64_t, 8>> during;

	watchQueue([&](const Descriptor &) { during.push_back(pasidEntry(kFirstRid, 5)); });
	detachPasid(made.domain, firstDev_, 5);
	const auto order = seen();
	const unsigned did = before[1] & 0xffff;

	ASSERT_EQ(order.size(), 2u);
	EXPECT_EQ(order[0].type(), kPasidCache);
	EXPECT_EQ(order[0].granularity(), 1u);
	EXPECT_EQ(order[0].domain(), did);
	EXPECT_EQ(order[0].pasid(), 5u);
	EXPECT_EQ(order[1].type(), kIotlb);
	EXPECT_EQ(order[1].granularity(), 2u);
	EXPECT_EQ(order[1].domain(), did);
	EXPECT_EQ(memory_.descriptors.back().type(), kWait);
	for (const auto &words : during) {
		EXPECT_EQ(words[0], before[0] & ~1ULL);
		EXPECT_TRUE(std::equal(words.begin() + 1, words.end(), before.begin() + 1));
	}
	EXPECT_EQ(pasidEntry(kFirstRid, 5), (std::array<uint64_t, 8>{}));
	domainFree(made.domain);
}

/* VTD-DRV-4 */
TEST_F(Sequence, UnmapFlushesOneCoveringBlock)
{
	const DomainResult made = domainAlloc(firstDev_);

	ASSERT_EQ(attachPasid(made.domain, firstDev_, 5), 0);
	ASSERT_EQ(map(made.domain, 0x3000, 0x100000, 3 * k4K, kRead), 0);
	watchQueue();
	ASSERT_EQ(unmap(made.domain, 0x3000, 3 * k4K), 3 * k4K);
	auto order = seen();

	ASSERT_EQ(order.size(), 1u);
	EXPECT_EQ(order[0].type(), kIotlb);
	EXPECT_EQ(order[0].granularity(), 3u);
	EXPECT_EQ(order[0].address(), 0u);
	EXPECT_EQ(order[0].order(), 3u);
	EXPECT_TRUE(order[0].leafOnly());

	/* A whole table goes: the units must forget the entry that led to it. */
	ASSERT_EQ(map(made.domain, 3 * k2M, k4K, k2M, kRead), 0);
	watchQueue();
	ASSERT_EQ(unmap(made.domain, 3 * k2M, k2M), k2M);
	order = seen();
	ASSERT_EQ(order.size(), 1u);
	EXPECT_EQ(order[0].address(), 3 * k2M);
	EXPECT_EQ(order[0].order(), 9u);
	EXPECT_FALSE(order[0].leafOnly());

	/* A block larger than MAMV allows becomes the whole domain. A hole needs no flush. */
	ASSERT_EQ(map(made.domain, (1ULL << 40) - k4K, 0x1000, 2 * k4K, kRead), 0);
	watchQueue();
	ASSERT_EQ(unmap(made.domain, (1ULL << 40) - k4K, 2 * k4K), 2 * k4K);
	ASSERT_EQ(seen().size(), 1u);
	EXPECT_EQ(seen()[0].granularity(), 2u);
	watchQueue();
	EXPECT_EQ(unmap(made.domain, 0x3000, k4K), 0u);
	EXPECT_TRUE(memory_.descriptors.empty());

	detachPasid(made.domain, firstDev_, 5);
	/* A domain without attachments needs no flush. */
	ASSERT_EQ(map(made.domain, 0x3000, 0x100000, k4K, kRead), 0);
	watchQueue();
	ASSERT_EQ(unmap(made.domain, 0x3000, k4K), k4K);
	EXPECT_TRUE(memory_.descriptors.empty());
	domainFree(made.domain);
}

/*
 * VTD-DRV-7: one store to the directory, and after it the flush of everything that the unit may
 * have cached of the old table.
 */
TEST_F(Sequence, ReplaceExchangesTheTableOfPasids)
{
	const DomainResult a = domainAlloc(firstDev_), b = domainAlloc(firstDev_);
	const uint64_t directory = contextEntry(kFirstRid)[0] & kAddress;
	std::vector<uint64_t> during;

	ASSERT_EQ(attachPasid(a.domain, firstDev_, 5), 0);
	ASSERT_EQ(attachPasid(a.domain, firstDev_, 6), 0);
	const auto before = pasidEntry(kFirstRid, 5), neighbour = pasidEntry(kFirstRid, 6);
	const uint64_t table = physicalWord(directory) & kAddress;

	watchQueue([&](const Descriptor &) {
		during.push_back(physicalWord(directory) & kAddress);
		/* The old table does not change as long as the unit may read it. */
		EXPECT_EQ(physicalWord(table + 64 * 5), before[0]);
		EXPECT_EQ(physicalWord(table + 64 * 5 + 8), before[1]);
	});
	ASSERT_EQ(replace(b.domain, nullptr, firstDev_, 5), 0);
	const auto order = seen();

	ASSERT_EQ(order.size(), 2u);
	EXPECT_EQ(order[0].type(), kPasidCache);
	EXPECT_EQ(order[0].granularity(), 3u);
	EXPECT_EQ(order[1].type(), kIotlb);
	EXPECT_EQ(order[1].granularity(), 2u);
	EXPECT_EQ(order[1].domain(), before[1] & 0xffff);
	for (const uint64_t now : during)
		EXPECT_NE(now, table);
	EXPECT_EQ(pasidEntry(kFirstRid, 6), neighbour);
	EXPECT_EQ(pasidEntry(kFirstRid, 5)[0] & 0xfff, before[0] & 0xfff);
	EXPECT_NE(pasidEntry(kFirstRid, 5)[1], before[1]);
	EXPECT_EQ(replace(a.domain, nullptr, firstDev_, 7), -EINVAL);
	EXPECT_EQ(replace(a.domain, nullptr, firstDev_, 0), -EINVAL);
	detachPasid(b.domain, firstDev_, 5);
	detachPasid(a.domain, firstDev_, 6);
	domainFree(a.domain);
	domainFree(b.domain);
}

/* VTD-DRV-4, VTD-DRV-13 */
TEST_F(Sequence, OneFlushForManyAttachmentsOfADomain)
{
	const DomainResult made = domainAlloc(firstDev_);

	for (uint32_t pasid = 1; pasid <= 20; pasid++) {
		ASSERT_EQ(attachPasid(made.domain, firstDev_, pasid), 0);
		ASSERT_EQ(attachPasid(made.domain, secondDev_, pasid), 0);
	}
	ASSERT_EQ(map(made.domain, 0, 0x100000, k4K, kRead), 0);
	watchQueue();
	ASSERT_EQ(unmap(made.domain, 0, k4K), k4K);
	EXPECT_EQ(memory_.descriptors.size(), 2u);
	for (uint32_t pasid = 1; pasid <= 20; pasid++) {
		detachPasid(made.domain, firstDev_, pasid);
		detachPasid(made.domain, secondDev_, pasid);
	}
	domainFree(made.domain);
}

/* VTD-DRV-12 */
TEST_F(Sequence, ReleaseFlushesTheContext)
{
	watchQueue([&](const Descriptor &descriptor) {
		if (descriptor.type() == kContextCache) {
			EXPECT_EQ(contextEntry(kSecondRid)[0] & 1, 0u) << "not present any more";
		}
	});
	removeDevice(kSecond);
	const auto order = seen();

	/* The requester id's entry, then the context of that requester id. */
	ASSERT_EQ(order.size(), 3u);
	EXPECT_EQ(order[0].type(), kPasidCache);
	EXPECT_EQ(order[1].type(), kIotlb);
	EXPECT_EQ(order[2].type(), kContextCache);
	EXPECT_EQ(order[2].granularity(), 3u);
	EXPECT_EQ(order[2].q0 >> 32 & 0xffff, kSecondRid.value);
	memory_.unwatch();
	rescan(findDevice(kNoPasid));
	secondDev_ = findDevice(kSecond);
}

/*
 * Attack: map and unmap one page in every 2 MiB of an address space. Each leaves an empty table
 * that no user is charged for.
 */
TEST_F(Sequence, EmptyTablesAreSwept)
{
	const DomainResult made = domainAlloc(firstDev_);
	const Pages pages = pagesAlloc(0);
	unsigned most = 0;

	ASSERT_EQ(attachPasid(made.domain, firstDev_, 5), 0);
	const uint64_t top = pasidEntry(kFirstRid, 5)[0] & kAddress;

	/* A mapping that stays, and that the unit has cached. */
	ASSERT_EQ(map(made.domain, 77 * k2M, pages.physical, k4K, kRead), 0);
	watchQueue();
	for (unsigned i = 100; i < 2100; i++) {
		const uint64_t iova = i * k2M;

		ASSERT_EQ(map(made.domain, iova, pages.physical, k4K, kRead), 0);
		ASSERT_EQ(read(pasidStream(kFirstRid, 5), iova), DmaResult::Ok);
		ASSERT_EQ(unmap(made.domain, iova, k4K), k4K);
		ASSERT_EQ(read(pasidStream(kFirstRid, 5), iova), DmaResult::Blocked);
		if (i % 20 == 0)
			most = std::max(most, countTables(top, 4));
	}
	EXPECT_GT(most, 30u);
	EXPECT_LT(most, 80u);
	/* After the sweep the driver has flushed the whole domain. */
	const auto flushes = seen();

	EXPECT_GT(std::count_if(flushes.begin(), flushes.end(),
				[](const Descriptor &d) { return d.granularity() == 2; }),
		  20);
	EXPECT_EQ(read(pasidStream(kFirstRid, 5), 77 * k2M), DmaResult::Ok);
	detachPasid(made.domain, firstDev_, 5);
	domainFree(made.domain);
	pagesFree(pages);
}

/* The queue wraps around many times, and every submission completes. */
TEST_F(Sequence, TheRingWraps)
{
	const DomainResult made = domainAlloc(firstDev_);

	ASSERT_EQ(attachPasid(made.domain, firstDev_, 5), 0);
	const uint64_t before = unit_->counters().invalidations;

	for (unsigned i = 0; i < 1000; i++) {
		ASSERT_EQ(map(made.domain, 0x8000, 0x100000, k4K, kRead), 0);
		ASSERT_EQ(unmap(made.domain, 0x8000, k4K), k4K);
	}
	EXPECT_GE(unit_->counters().invalidations - before, 1000u);
	detachPasid(made.domain, firstDev_, 5);
	domainFree(made.domain);
}

/* VTD-DRV-11: a stray write destroys a descriptor. The driver skips it, and the queue goes on. */
TEST_F(Sequence, RefusedDescriptorIsSkipped)
{
	const DomainResult made = domainAlloc(firstDev_);
	bool spoil = true;

	ASSERT_EQ(attachPasid(made.domain, firstDev_, 5), 0);
	ASSERT_EQ(map(made.domain, 0x8000, 0x100000, 2 * k4K, kRead), 0);
	const uint64_t base = unit_->barRead(0, 0x90, 8) & kAddress;
	const uint64_t tail = unit_->barRead(0, 0x88, 4);

	/* When the unit fetches the wait after the next descriptor, give it an invalid type. */
	watchQueue([&](const Descriptor &descriptor) {
		if (spoil && descriptor.type() == kIotlb) {
			spoil = false;
			hostkernel::physicalMemory().store(base + (tail + 32) % 8192, 8, 0xf);
		}
	});
	/*
	 * Its wait is lost; if the driver did not skip it, the submission would end by a time-out.
	 */
	EXPECT_EQ(unmap(made.domain, 0x8000, k4K), k4K);
	EXPECT_FALSE(spoil);
	EXPECT_EQ(unit_->barRead(0, 0x34, 4) & 0x10, 0u);
	memory_.unwatch();
	/* The next submission works as usual. */
	EXPECT_EQ(unmap(made.domain, 0x9000, k4K), k4K);
	EXPECT_EQ(unit_->barRead(0, 0x80, 4), unit_->barRead(0, 0x88, 4));
	detachPasid(made.domain, firstDev_, 5);
	domainFree(made.domain);
}

} // namespace
} // namespace wd::kerneltest
