// SPDX-License-Identifier: Apache-2.0
/* Dirty tracking: every page that a device writes is reported, once, and no other. */
#include "base/bits.h"
#include "dead_unit.h"
#include "fixture.h"
#include "guest.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <random>
#include <thread>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::pasidStream;
using machine::StreamId;

constexpr uint32_t kDirtyTracking = 2;
constexpr uint64_t k4K = kPageSize, k2M = 1ULL << 21, kIova = 0x40000000, kEverything = ~0ULL;
constexpr unsigned kSsade = 9, kSsads = 45;
constexpr uint64_t kHwDirtyTracking = 1;

using Ranges = std::vector<Range>;

/** A domain at [first, PASID 5] that maps 2 MiB, in pages of 4 KiB. Caches keep all they can. */
class Dirty : public IommuTest
{
protected:
	static constexpr unsigned kOrder = 9;

	void SetUp() override
	{
		IommuTest::SetUp();
		unit_->setCacheMode(machine::CacheMode::Maximal);
		pages_ = pagesAlloc(kOrder);
		const DomainResult made = domainAlloc(firstDev_, kDirtyTracking);

		ASSERT_EQ(made.error, 0);
		domain_ = made.domain;
		ASSERT_EQ(attachPasid(domain_, firstDev_, 5), 0);
		for (uint64_t offset = 0; offset < k2M; offset += k4K)
			ASSERT_EQ(map(domain_, kIova + offset, pages_.physical + offset, k4K,
				      kRead | kWrite),
				  0);
	}
	void TearDown() override
	{
		detachPasid(domain_, firstDev_, 5);
		domainFree(domain_);
		pagesFree(pages_);
		IommuTest::TearDown();
	}
	void writePage(uint64_t page)
	{
		EXPECT_EQ(write(stream_, kIova + page * k4K + 8 * (page % 512), page),
			  DmaResult::Ok);
	}
	Ranges dirty(bool clear = true) const
	{
		const DirtyResult result = readDirty(domain_, 0, kEverything, clear);

		EXPECT_EQ(result.error, 0);
		return result.ranges;
	}
	static Range page(uint64_t index)
	{
		return {kIova + index * k4K, kIova + (index + 1) * k4K - 1};
	}

	Pages pages_;
	iommu_domain *domain_ = nullptr;
	const StreamId stream_ = pasidStream(kFirstRid, 5);
};

/* VTD-DRV-15: a page that was reported is reported again when it is written again. */
TEST_F(Dirty, PagesThatAreWritten)
{
	EXPECT_EQ(pasidEntry(kFirstRid, 5)[0] >> kSsade & 1, 1u);
	EXPECT_EQ(dirty(), Ranges{});
	EXPECT_EQ(read(stream_, kIova + 7 * k4K), DmaResult::Ok);
	writePage(3);
	writePage(511);
	EXPECT_EQ(dirty(false), (Ranges{page(3), page(511)}));
	EXPECT_EQ(dirty(), (Ranges{page(3), page(511)}));
	EXPECT_EQ(dirty(), Ranges{});
	/* The unit has a translation of page 3 that it used for a write. */
	writePage(3);
	EXPECT_EQ(dirty(), Ranges{page(3)});
	EXPECT_EQ(write(stream_, kIova + k2M, 1), DmaResult::Blocked);
	EXPECT_EQ(dirty(), Ranges{});
}

/* Bits that are cleared are flushed in one block; without them nothing is flushed. */
TEST_F(Dirty, OneFlush)
{
	writePage(3);
	writePage(4);
	watchQueue();
	EXPECT_EQ(dirty(), (Ranges{page(3), page(4)}));
	ASSERT_EQ(seen().size(), 1u);
	EXPECT_EQ(seen()[0].type(), kIotlb);
	EXPECT_EQ(dirty(), Ranges{});
	EXPECT_EQ(seen().size(), 1u);
	memory_.unwatch();
}

TEST_F(Dirty, PartOfTheAddresses)
{
	for (uint64_t index : {0, 5, 6, 9})
		writePage(index);
	EXPECT_EQ(readDirty(domain_, page(1).first, page(6).first + 7).ranges,
		  (Ranges{page(5), {page(6).first, page(6).first + 7}}));
	/* Page 6 was reported in part, so it stays dirty. */
	EXPECT_EQ(dirty(), (Ranges{page(0), page(6), page(9)}));
}

/* The bits go with the mapping. */
TEST_F(Dirty, AfterAnUnmap)
{
	writePage(3);
	ASSERT_EQ(unmap(domain_, page(3).first, k4K), k4K);
	EXPECT_EQ(dirty(), Ranges{});
	ASSERT_EQ(map(domain_, page(3).first, pages_.physical, k4K, kRead | kWrite), 0);
	EXPECT_EQ(dirty(), Ranges{});
	writePage(3);
	EXPECT_EQ(dirty(), Ranges{page(3)});
}

TEST_F(Dirty, Marked)
{
	markDirty(domain_, page(7).first + 5, page(8).first);
	markDirty(domain_, 0x1000, 0x1000);
	markDirty(domain_, kEverything - 7, kEverything);
	EXPECT_EQ(dirty(), (Ranges{page(7), page(8)}));
}

/* A thread that works at some addresses does not keep others from mapping elsewhere. */
TEST_F(Dirty, OthersWorkElsewhereMeanwhile)
{
	const uint64_t elsewhere = kIova + (1ULL << 30);
	constexpr std::chrono::minutes kPatience(1);
	std::promise<bool> done;
	auto ended = done.get_future();
	std::thread other;

	writePage(3);
	EXPECT_EQ(readDirtyWith(domain_, 0, kEverything,
				[&] {
					other = std::thread([&] {
						bool works = !map(domain_, elsewhere,
								  pages_.physical, k4K, kRead);

						works &= unmap(domain_, elsewhere, k4K) == k4K;
						done.set_value(works);
					});
					EXPECT_EQ(ended.wait_for(kPatience),
						  std::future_status::ready);
				}),
		  0);
	other.join();
	EXPECT_TRUE(ended.get());
}

TEST_F(Dirty, LargePage)
{
	const Pages large = pagesAlloc(kOrder);
	const uint64_t at = 0x80000000, last = at + k2M - 1;

	ASSERT_EQ(map(domain_, at, large.physical, k2M, kRead | kWrite), 0);
	EXPECT_EQ(write(stream_, at + 0x123450, 1), DmaResult::Ok);
	/* One that lies in the range only partly is reported, and stays dirty. */
	EXPECT_EQ(readDirty(domain_, at + k4K, last).ranges, (Ranges{{at + k4K, last}}));
	EXPECT_EQ(readDirty(domain_, at, last - k4K).ranges, (Ranges{{at, last - k4K}}));
	/* The look ends in the page, which is reported up to the limit. */
	EXPECT_EQ(readDirty(domain_, at, at + k4K, true, last + 7).ranges, (Ranges{{at, last}}));
	EXPECT_EQ(dirty(), Ranges{});
	ASSERT_EQ(unmap(domain_, at, k2M), k2M);
	pagesFree(large);
}

/* A domain that was not made for it has no bits, and is never used in the place of one. */
TEST_F(Dirty, OnlyWhereItWasAskedFor)
{
	const DomainResult plain = domainAlloc(firstDev_), other = domainAlloc(firstDev_, 2);

	ASSERT_EQ(attachPasid(plain.domain, firstDev_, 6), 0);
	EXPECT_EQ(pasidEntry(kFirstRid, 6)[0] >> kSsade & 1, 0u);
	EXPECT_TRUE(domainServes(plain.domain, firstDev_, 0));
	EXPECT_FALSE(domainServes(plain.domain, firstDev_, kDirtyTracking));
	EXPECT_FALSE(domainServes(other.domain, firstDev_, 0));
	EXPECT_FALSE(domainServes(other.domain, firstDev_, kDirtyTracking));
	EXPECT_EQ(hardwareInfo(firstDev_).capabilities & kHwDirtyTracking, kHwDirtyTracking);
	detachPasid(plain.domain, firstDev_, 6);
	domainFree(plain.domain);
	domainFree(other.domain);
}

/* The writes of a guest's program, through its own table, and those of the walk to that table. */
TEST_F(Dirty, NestedTable)
{
	constexpr uint64_t kVa = 0x7f0000345000;
	Guest guest(firstDev_, kDirtyTracking);
	const uint64_t root = guest.page(), gpa = guest.put(root, kVa, 1);
	wd_pgtable *made = guest.table(firstDev_, root).table;
	const auto holds = [](const Ranges &ranges, uint64_t address) {
		return std::any_of(ranges.begin(), ranges.end(), [=](const Range &range) {
			return range.first <= address && address <= range.last;
		});
	};

	ASSERT_EQ(bindTablePasid(guest.parent(), firstDev_, made, 6), 0);
	EXPECT_EQ(pasidEntry(kFirstRid, 6)[0] >> kSsade & 1, 1u);
	EXPECT_EQ(read(pasidStream(kFirstRid, 6), kVa), DmaResult::Ok);
	EXPECT_FALSE(holds(readDirty(guest.parent(), 0, kEverything).ranges, gpa));
	EXPECT_EQ(write(pasidStream(kFirstRid, 6), kVa, 2), DmaResult::Ok);
	EXPECT_TRUE(holds(readDirty(guest.parent(), 0, kEverything).ranges, gpa));
	unbindTablePasid(guest.parent(), firstDev_, made, 6);
	tableFree(made);
}

class DirtyDeadUnit : public DeadUnit
{
protected:
	uint32_t domainFlags() const override { return kDirtyTracking; }
};

/* The unit dies before it has flushed: nobody knows what was written since. */
TEST_F(DirtyDeadUnit, IsAnError)
{
	EXPECT_EQ(write(pasidStream(kFirstRid, 5), kIova, 1), DmaResult::Ok);
	hang();
	EXPECT_EQ(readDirty(domain_, 0, kEverything).error, -EIO);
	EXPECT_EQ(readDirty(domain_, 0, kEverything).error, -EIO);
	recover();
}

/*
 * Attack on the order of clear, flush and report: a device writes pages while they are read. After
 * each write that begins after a read has ended, a later read must report the page.
 */
TEST_F(Dirty, WhileADeviceWrites)
{
	constexpr unsigned kPages = 16, kReads = 2000;
	std::array<std::atomic<uint64_t>, kPages> written{};
	std::array<bool, kPages> reported{};
	std::atomic<uint64_t> time{1};
	std::atomic<bool> stop{false};
	std::thread device([&] {
		std::mt19937 random(1);

		while (!stop) {
			const unsigned index = random() % kPages;

			written[index] = time.load();
			writePage(index);
		}
	});
	uint64_t before = 0;

	for (unsigned i = 0; i < kReads; i++) {
		const Ranges ranges = dirty();

		EXPECT_LE(ranges.size(), kPages);
		before = ++time;
	}
	while (std::none_of(written.begin(), written.end(),
			    [&](const auto &at) { return at >= before; }))
		std::this_thread::yield();
	stop = true;
	device.join();
	for (const Range &range : dirty())
		reported[(range.first - kIova) / k4K] = true;
	for (unsigned index = 0; index < kPages; index++)
		EXPECT_TRUE(written[index] < before || reported[index]) << index;
}

/** The functions have device TLBs. */
class DirtyAts : public Dirty
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }
};

/* The function itself has a translation for writes, and does not ask the unit again. */
TEST_F(DirtyAts, TheFunctionForgets)
{
	FaultHandler handler(firstDev_, 900);

	ASSERT_TRUE(first_->atsEnabled());
	writePage(3);
	EXPECT_EQ(dirty(), Ranges{page(3)});
	writePage(3);
	EXPECT_EQ(dirty(), Ranges{page(3)});
}

/** The unit has no such bits. */
class NoDirty : public IommuTest
{
protected:
	machine::IommuCapabilities capabilities() const override
	{
		auto capabilities = IommuTest::capabilities();

		capabilities.ecap &= ~(1ULL << kSsads);
		return capabilities;
	}
};

TEST_F(NoDirty, IsRefused)
{
	EXPECT_EQ(domainAlloc(firstDev_, kDirtyTracking).error, -EOPNOTSUPP);
	EXPECT_EQ(hardwareInfo(firstDev_).capabilities & kHwDirtyTracking, 0u);
}

} // namespace
} // namespace wd::kerneltest
