// SPDX-License-Identifier: Apache-2.0
/*
 * Page tables: page sizes, partial unmap, limits, random operations compared with a reference, and
 * that no stale entries stay in the unit's caches.
 */
#include "fixture.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <random>
#include <thread>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::pasidStream;
using machine::StreamId;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr unsigned kThreadRounds = 20;
#else
constexpr unsigned kThreadRounds = 200;
#endif
constexpr uint64_t k4K = 1ULL << 12, k2M = 1ULL << 21, k1G = 1ULL << 30;

/** One domain at [first, PASID 5]. */
class Map : public IommuTest
{
protected:
	void SetUp() override
	{
		IommuTest::SetUp();
		const DomainResult made = domainAlloc(firstDev_);

		ASSERT_EQ(made.error, 0);
		domain_ = made.domain;
		ASSERT_EQ(attachPasid(domain_, firstDev_, 5), 0);
	}
	void TearDown() override
	{
		detachPasid(domain_, firstDev_, 5);
		domainFree(domain_);
		IommuTest::TearDown();
	}
	/** The physical address that the unit translates @iova to, or 0. */
	uint64_t translated(uint64_t iova)
	{
		const auto result = unit_->translate({stream_, iova, machine::Access::Read, false});

		return result.reason == machine::FaultReason{} ? result.address : 0;
	}
	/** Bytes from @iova to the end of the page that the unit used. */
	uint64_t pageEnd(uint64_t iova)
	{
		return unit_->translate({stream_, iova, machine::Access::Read, false}).contiguous;
	}

	iommu_domain *domain_ = nullptr;
	const StreamId stream_ = pasidStream(kFirstRid, 5);
};

/* Others get the processor after each GiB of tables. The test counts that and measures no time. */
TEST_F(Map, TheEndOfALargeTableLetsOthersRun)
{
	constexpr uint64_t kTables = 16;
	const DomainResult made = domainAlloc(firstDev_);

	ASSERT_EQ(made.error, 0);
	for (uint64_t i = 0; i < kTables; i++)
		ASSERT_EQ(map(made.domain, i * k1G + k2M, 0x7000, k4K, kRead), 0);
	hostkernel::takeThreadWork();
	domainFree(made.domain);
	EXPECT_GE(hostkernel::takeThreadWork().reschedules, kTables);
}

TEST_F(Map, OffersThreePageSizes)
{
	EXPECT_EQ(pageSizes(domain_), k4K | k2M | k1G);
}

/* Physical addresses without memory can be mapped. */
TEST_F(Map, EachPageSizeIsUsed)
{
	ASSERT_EQ(map(domain_, 0x1000, 0x7000, k4K, kRead), 0);
	ASSERT_EQ(map(domain_, 3 * k2M, 5 * k2M, k2M, kRead), 0);
	ASSERT_EQ(map(domain_, 4 * k1G, 9 * k1G, k1G, kRead), 0);
	EXPECT_EQ(translated(0x1234), 0x7234u);
	EXPECT_EQ(translated(3 * k2M + 0x12345), 5 * k2M + 0x12345);
	EXPECT_EQ(translated(4 * k1G + 0x1234567), 9 * k1G + 0x1234567);
	EXPECT_EQ(pageEnd(0x1234), 0x2000u - 0x1234u);
	EXPECT_EQ(pageEnd(3 * k2M + 0x12345), k2M - 0x12345);
	EXPECT_EQ(pageEnd(4 * k1G + 0x1234567), k1G - 0x1234567);
	for (uint64_t iova : {uint64_t{0x1234}, 3 * k2M + 0x12345, 4 * k1G + 0x1234567})
		EXPECT_EQ(iovaToPhys(domain_, iova), translated(iova));
}

TEST_F(Map, MixedRunUsesTheLargestSizesThatFit)
{
	/* 4K up to 2M, 2M up to 1G, 1G, and down again. */
	const uint64_t start = k1G - k2M - k4K, size = k4K + k2M + k1G + k2M + k4K;

	ASSERT_EQ(map(domain_, start, 8 * k1G + start, size, kRead | kWrite), 0);
	EXPECT_EQ(pageEnd(start), k4K);
	EXPECT_EQ(pageEnd(start + k4K), k2M);
	EXPECT_EQ(pageEnd(k1G), k1G);
	EXPECT_EQ(pageEnd(2 * k1G), k2M);
	EXPECT_EQ(pageEnd(2 * k1G + k2M), k4K);
	EXPECT_EQ(translated(start + size - 1), 8 * k1G + start + size - 1);
	EXPECT_EQ(translated(start + size), 0u);
	EXPECT_EQ(translated(start - 1), 0u);
	EXPECT_EQ(unmap(domain_, start, size), size);
	for (uint64_t iova : {start, start + k4K, k1G, 2 * k1G, 2 * k1G + k2M})
		EXPECT_EQ(translated(iova), 0u) << iova;
}

TEST_F(Map, LongRunOfSmallPages)
{
	/*
	 * The physical address is not aligned with the IOVA: 4 KiB leaves only, in several tables.
	 */
	const uint64_t start = k2M - 3 * k4K, size = 3 * k2M;

	ASSERT_EQ(map(domain_, start, 5 * k1G + k4K, size, kRead), 0);
	for (uint64_t at = 0; at < size; at += 7 * k4K)
		ASSERT_EQ(translated(start + at), 5 * k1G + k4K + at);
	EXPECT_EQ(pageEnd(k2M), k4K);
	EXPECT_EQ(unmap(domain_, start, size), size);
	for (uint64_t at = 0; at < size; at += 7 * k4K)
		ASSERT_EQ(translated(start + at), 0u);
}

/* LINUX-DMA-7 */
TEST_F(Map, FlushOfTheWholeDomain)
{
	const Pages pages = pagesAlloc(0);

	ASSERT_EQ(map(domain_, 0, pages.physical, k4K, kRead), 0);
	EXPECT_EQ(read(stream_, 0), DmaResult::Ok);
	EXPECT_EQ(unmapAndFlushAll(domain_, 0, k4K,
				   [&] { EXPECT_EQ(read(stream_, 0), DmaResult::Blocked); }),
		  k4K);
	pagesFree(pages);
}

TEST_F(Map, UnmapStopsAtAHole)
{
	ASSERT_EQ(map(domain_, 0, 0x100000, 2 * k4K, kRead), 0);
	ASSERT_EQ(map(domain_, 3 * k4K, 0x200000, k4K, kRead), 0);
	EXPECT_EQ(unmap(domain_, 2 * k4K, k4K), 0u);
	EXPECT_EQ(unmap(domain_, 0, 4 * k4K), 2 * k4K);
	EXPECT_EQ(translated(3 * k4K), 0x200000u);
	EXPECT_EQ(unmap(domain_, 3 * k4K, k4K), k4K);
	EXPECT_EQ(unmap(domain_, 100 * k1G, k1G), 0u);
}

/* Attack: unmap a page of a large leaf, in the hope that the page or the rest stays mapped. */
TEST_F(Map, PartOfALargeLeafTakesTheWholeLeaf)
{
	ASSERT_EQ(map(domain_, k2M, 5 * k2M, k2M, kRead), 0);
	ASSERT_NE(translated(k2M), 0u);
	ASSERT_NE(translated(k2M + 9 * k4K), 0u);
	EXPECT_EQ(unmap(domain_, k2M + 8 * k4K, k4K), k2M - 8 * k4K);
	EXPECT_EQ(translated(k2M), 0u);
	EXPECT_EQ(translated(k2M + 9 * k4K), 0u);
	EXPECT_EQ(iovaToPhys(domain_, k2M), 0u);
}

TEST_F(Map, NothingIsOverwritten)
{
	ASSERT_EQ(map(domain_, 2 * k4K, 0x100000, k4K, kRead), 0);
	EXPECT_EQ(map(domain_, 2 * k4K, 0x200000, k4K, kRead), -EEXIST);
	/* The map fails at a mapping that exists; the pages before it are unmapped again. */
	EXPECT_EQ(map(domain_, 0, 0x200000, 4 * k4K, kRead), -EEXIST);
	EXPECT_EQ(translated(0), 0u);
	EXPECT_EQ(translated(2 * k4K), 0x100000u);
	/*
	 * A large leaf cannot replace a table in use, nor can small leaves go below a large leaf.
	 */
	EXPECT_EQ(map(domain_, 0, 0, k2M, kRead), -EEXIST);
	ASSERT_EQ(map(domain_, k2M, k2M, k2M, kRead), 0);
	EXPECT_EQ(map(domain_, k2M + k4K, 0, k4K, kRead), -EEXIST);
	EXPECT_EQ(translated(k2M + k4K), k2M + k4K);
}

TEST_F(Map, LargeLeafTakesThePlaceOfAnEmptyTable)
{
	for (uint64_t iova = 0; iova < 4 * k4K; iova += k4K)
		ASSERT_EQ(map(domain_, iova, 0x100000 + iova, k4K, kRead), 0);
	ASSERT_NE(translated(k4K), 0u); /* the unit caches the entry for the table */
	for (uint64_t iova = 0; iova < 4 * k4K; iova += k4K)
		ASSERT_EQ(unmap(domain_, iova, k4K), k4K);
	ASSERT_EQ(map(domain_, 0, 7 * k2M, k2M, kRead), 0);
	EXPECT_EQ(translated(k4K), 7 * k2M + k4K);
	ASSERT_EQ(unmap(domain_, 0, k2M), k2M);
	ASSERT_EQ(map(domain_, 0, 7 * k1G, k1G, kRead), 0);
	EXPECT_EQ(translated(k4K), 7 * k1G + k4K);
	EXPECT_EQ(pageEnd(k4K), k1G - k4K);
}

/* Attack: addresses at and beyond the ends of both address spaces, and no rights at all. */
/*
 * Threads that work side by side, also over the borders of 1 GiB and 512 GiB: each finds what it has
 * mapped. All begin in an empty table, so that they link the same upper tables at once.
 */
TEST_F(Map, ThreadsSideBySide)
{
	constexpr uint64_t kBorder = 512 * k1G;
	const Pages pages = pagesAlloc(9);

	for (unsigned round = 0; round < kThreadRounds; round++) {
		const DomainResult made = domainAlloc(firstDev_);
		std::vector<std::thread> threads;
		std::atomic<unsigned> ready{0};

		ASSERT_EQ(made.error, 0);
		for (unsigned thread = 0; thread < 4; thread++)
			threads.emplace_back([&, thread] {
				const uint64_t at = kBorder - 2 * k1G + thread * k1G - k2M;
				const uint64_t middle = at + k2M;

				for (ready++; ready < 4;)
					std::this_thread::yield();
				EXPECT_EQ(map(made.domain, at, pages.physical, k2M, kRead), 0);
				EXPECT_EQ(map(made.domain, middle, pages.physical, k4K, kRead), 0);
				EXPECT_EQ(iovaToPhys(made.domain, middle - 1),
					  pages.physical + k2M - 1);
				EXPECT_EQ(iovaToPhys(made.domain, middle), pages.physical);
				EXPECT_EQ(unmap(made.domain, at, k2M + k4K), k2M + k4K);
				EXPECT_EQ(iovaToPhys(made.domain, middle), 0u);
			});
		for (std::thread &thread : threads)
			thread.join();
		domainFree(made.domain);
	}
	pagesFree(pages);
}

/* A run of leaves of 1 GiB, which no thread holds one lock for. */
TEST_F(Map, ARunOfTheLargestPages)
{
	const uint64_t at = 510 * k1G;

	ASSERT_EQ(map(domain_, at, 4 * k1G, 20 * k1G, kRead), 0);
	EXPECT_EQ(pageEnd(at), k1G);
	for (unsigned i = 0; i < 20; i++)
		EXPECT_EQ(iovaToPhys(domain_, at + i * k1G + 5), (4 + i) * k1G + 5);
	EXPECT_EQ(map(domain_, at - k1G, 4 * k1G, 3 * k1G, kRead), -EEXIST);
	EXPECT_EQ(iovaToPhys(domain_, at - k1G), 0u);
	EXPECT_EQ(unmap(domain_, at, 20 * k1G), 20 * k1G);
	EXPECT_EQ(iovaToPhys(domain_, at), 0u);
}

TEST_F(Map, Limits)
{
	const uint64_t top = 1ULL << 48, host = 1ULL << 52;

	EXPECT_EQ(map(domain_, top - k4K, 0x1000, k4K, kRead), 0);
	EXPECT_EQ(translated(top - k4K), 0x1000u);
	EXPECT_EQ(map(domain_, top, 0x1000, k4K, kRead), -ERANGE);
	EXPECT_EQ(map(domain_, top - k2M, 0x1000, 2 * k2M, kRead), -ERANGE);
	EXPECT_EQ(translated(top - k2M), 0u);
	EXPECT_EQ(map(domain_, ~uint64_t{0} - k4K + 1, 0x1000, k4K, kRead), -ERANGE);
	EXPECT_EQ(map(domain_, 0, host - k4K, k4K, kRead), 0);
	EXPECT_EQ(map(domain_, k4K, host, k4K, kRead), -ERANGE);
	EXPECT_EQ(map(domain_, k4K, host - k4K, 2 * k4K, kRead), -ERANGE);
	EXPECT_EQ(map(domain_, k4K, 0x1000, k4K, 0), -EINVAL);
	EXPECT_EQ(map(domain_, k4K + 1, 0x1000, k4K, kRead), -EINVAL);
	EXPECT_EQ(map(domain_, k4K, 0x1000, k4K - 1, kRead), -EINVAL);
	EXPECT_EQ(unmap(domain_, top, k4K), 0u);
	EXPECT_EQ(unmap(domain_, ~uint64_t{0} - k4K + 1, k4K), 0u);
	EXPECT_EQ(iovaToPhys(domain_, top), 0u);
	EXPECT_EQ(iovaToPhys(domain_, ~uint64_t{0}), 0u);
}

TEST_F(Map, RightsAreThoseOfTheMapping)
{
	const Pages pages = pagesAlloc(0);

	ASSERT_EQ(map(domain_, 0x1000, pages.physical, k4K, kRead), 0);
	ASSERT_EQ(map(domain_, 0x2000, pages.physical, k4K, kWrite), 0);
	EXPECT_EQ(read(stream_, 0x1000), DmaResult::Ok);
	EXPECT_EQ(write(stream_, 0x1000, 1), DmaResult::Blocked);
	EXPECT_EQ(lastFault().reason, kNoWrite);
	EXPECT_EQ(write(stream_, 0x2000, 7), DmaResult::Ok);
	EXPECT_EQ(*static_cast<uint64_t *>(pages.cpu), 7u);
	expectFault(stream_, 0x2000, kNoRead);
	EXPECT_EQ(unmap(domain_, 0x1000, 2 * k4K), 2 * k4K);
	pagesFree(pages);
}

TEST_F(Map, AttachBeforeAndAfterMapSeesTheSame)
{
	const DomainResult made = domainAlloc(secondDev_);

	ASSERT_EQ(map(made.domain, 0x1000, 0x9000, k4K, kRead), 0);
	ASSERT_EQ(attachPasid(made.domain, secondDev_, 3), 0);
	ASSERT_EQ(attachPasid(made.domain, firstDev_, 3), 0);
	ASSERT_EQ(map(made.domain, 0x2000, 0x19000, k4K, kRead), 0);
	for (const auto rid : {kFirstRid, kSecondRid}) {
		const StreamId stream = pasidStream(rid, 3);

		EXPECT_EQ(unit_->translate({stream, 0x1000}).address, 0x9000u);
		EXPECT_EQ(unit_->translate({stream, 0x2000}).address, 0x19000u);
	}
	detachPasid(made.domain, firstDev_, 3);
	detachPasid(made.domain, secondDev_, 3);
	domainFree(made.domain);
}

/** Unmaps while the unit has everything cached, and looks whether requests still get through. */
class Stale : public Map
{
protected:
	/** How many words of @pages the device can still read after all of it was unmapped. */
	unsigned reachableAfterUnmap(uint64_t iova, const Pages &pages, uint64_t size)
	{
		unsigned reachable = 0;

		EXPECT_EQ(map(domain_, iova, pages.physical, size, kRead | kWrite), 0);
		for (uint64_t at = 0; at < size; at += k4K)
			EXPECT_EQ(read(stream_, iova + at), DmaResult::Ok);
		EXPECT_EQ(unmap(domain_, iova, size), size);
		for (uint64_t at = 0; at < size; at += k4K)
			reachable += read(stream_, iova + at) == DmaResult::Ok;
		return reachable;
	}
};

TEST_F(Stale, NothingIsReachableAfterUnmap)
{
	const Pages pages = pagesAlloc(9);

	ASSERT_TRUE(pages.cpu);
	/*
	 * One page; a few pages across the end of a table; 2 MiB with small leaves and with a large
	 * one.
	 */
	EXPECT_EQ(reachableAfterUnmap(0x7000, pages, k4K), 0u);
	EXPECT_EQ(reachableAfterUnmap(k2M - 5 * k4K, pages, 11 * k4K), 0u);
	EXPECT_EQ(reachableAfterUnmap(4 * k2M, pages, k2M), 0u);
	EXPECT_EQ(reachableAfterUnmap(4 * k2M + k4K, pages, k2M), 0u);
	/*
	 * Around the middle of the address space: the smallest covering block is the whole space.
	 */
	EXPECT_EQ(reachableAfterUnmap((1ULL << 47) - k4K, pages, 2 * k4K), 0u);
	pagesFree(pages);
}

TEST_F(Stale, TheTestSeesAUnitThatIgnoresInvalidations)
{
	const Pages pages = pagesAlloc(9);

	unit_->setMisbehaviour({.ignoreInvalidations = true});
	EXPECT_EQ(reachableAfterUnmap(0x7000, pages, k4K), 1u);
	EXPECT_EQ(reachableAfterUnmap(k2M - 5 * k4K, pages, 11 * k4K), 11u);
	unit_->setMisbehaviour({});
	pagesFree(pages);
}

TEST_F(Stale, RangesUnmappedTogetherAreFlushedTogether)
{
	const Pages pages = pagesAlloc(2);
	std::vector<std::pair<uint64_t, size_t>> ranges;

	for (uint64_t iova : {uint64_t{0x3000}, 5 * k2M, 3 * k1G}) {
		ASSERT_EQ(map(domain_, iova, pages.physical, 4 * k4K, kRead), 0);
		ASSERT_EQ(read(stream_, iova + k4K), DmaResult::Ok);
		ranges.emplace_back(iova, 4 * k4K);
	}
	EXPECT_EQ(unmapTogether(domain_, ranges), 12 * k4K);
	for (const auto &[iova, size] : ranges)
		EXPECT_EQ(read(stream_, iova + k4K), DmaResult::Blocked);
	pagesFree(pages);
}

/** Random map and unmap. The unit, the driver and a list of mappings must agree. */
class Fuzz : public Map, public ::testing::WithParamInterface<unsigned>
{
protected:
	struct Mapping {
		uint64_t size, physical;
	};

	uint64_t pick(uint64_t below) { return random_() % below; }
	bool overlaps(uint64_t iova, uint64_t size) const
	{
		const auto next = mappings_.lower_bound(iova);

		if (next != mappings_.end() && next->first < iova + size)
			return true;
		return next != mappings_.begin() &&
		       std::prev(next)->first + std::prev(next)->second.size > iova;
	}
	void tryMap()
	{
		const uint64_t unit = pick(4) ? k4K : pick(3) ? k2M : k1G;
		const uint64_t size = unit * (1 + pick(unit == k4K ? 1100 : 3));
		const uint64_t iova = pick(3 * k1G) & ~(pick(2) ? unit - 1 : k4K - 1);
		const uint64_t physical = pick(1ULL << 50) & ~(pick(2) ? unit - 1 : k4K - 1);
		const bool expected = !overlaps(iova, size);

		ASSERT_EQ(map(domain_, iova, physical, size, kRead), expected ? 0 : -EEXIST);
		if (expected)
			mappings_[iova] = {size, physical};
	}
	void tryUnmap()
	{
		if (mappings_.empty())
			return;
		auto victim = mappings_.lower_bound(pick(3 * k1G));

		if (victim == mappings_.end())
			victim = mappings_.begin();
		ASSERT_EQ(unmap(domain_, victim->first, victim->second.size), victim->second.size);
		mappings_.erase(victim);
	}
	uint64_t expectedAt(uint64_t iova) const
	{
		auto next = mappings_.upper_bound(iova);

		if (next == mappings_.begin())
			return 0;
		--next;
		return iova < next->first + next->second.size
			       ? next->second.physical + (iova - next->first)
			       : 0;
	}
	void checkAt(uint64_t iova)
	{
		const uint64_t expected = expectedAt(iova);

		/* An output address in the interrupt range must fault. */
		if (expected >> 20 == 0xfee)
			return;
		ASSERT_EQ(translated(iova), expected) << std::hex << iova;
		ASSERT_EQ(iovaToPhys(domain_, iova), expected) << std::hex << iova;
	}
	void check()
	{
		for (unsigned i = 0; i < 20; i++)
			checkAt(pick(4 * k1G));
		for (const auto &[iova, mapping] : mappings_) {
			checkAt(iova);
			checkAt(iova + mapping.size - 1);
			checkAt(iova + mapping.size);
		}
	}

	std::mt19937_64 random_{GetParam()};
	std::map<uint64_t, Mapping> mappings_;
};

TEST_P(Fuzz, AgreesWithAListOfMappings)
{
	for (unsigned i = 0; i < 300 && !HasFatalFailure(); i++) {
		if (mappings_.size() < 12 && pick(3))
			tryMap();
		else
			tryUnmap();
		check();
	}
	while (!mappings_.empty() && !HasFatalFailure())
		tryUnmap();
	check();
}

INSTANTIATE_TEST_SUITE_P(Seeds, Fuzz, ::testing::Range(1u, 9u));

} // namespace
} // namespace wd::kerneltest
