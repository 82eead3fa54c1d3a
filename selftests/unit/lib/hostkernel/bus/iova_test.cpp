// SPDX-License-Identifier: Apache-2.0
#include <hosted/test_hooks.h>
#include <linux/iova.h>

#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace
{

constexpr unsigned long kTop = (1UL << 32) / 4096 - 1;

class IovaTest : public ::testing::Test
{
protected:
	void SetUp() override { init_iova_domain(&domain_, 4096, 1); }
	void TearDown() override { put_iova_domain(&domain_); }

	iova_domain domain_{};
};

/* LINUX-DMA-2 */
TEST_F(IovaTest, GrowsDownwardsFromTheLimit)
{
	EXPECT_EQ(alloc_iova_fast(&domain_, 1, kTop, false), kTop);
	EXPECT_EQ(alloc_iova_fast(&domain_, 1, kTop, false), kTop - 1);
	free_iova_fast(&domain_, kTop, 1);
	EXPECT_EQ(alloc_iova_fast(&domain_, 1, kTop, false), kTop);
}

/* LINUX-DMA-2 */
TEST_F(IovaTest, AlignsToSizeRoundedUp)
{
	const unsigned long pfn = alloc_iova_fast(&domain_, 3, kTop, false);

	EXPECT_EQ(pfn, kTop - 3);
	EXPECT_EQ(iova_size(find_iova(&domain_, pfn)), 4u);
	/* Without alignment it takes exactly the requested size. */
	EXPECT_EQ(iova_size(alloc_iova(&domain_, 3, kTop, false)), 3u);
}

/* LINUX-DMA-3 */
TEST_F(IovaTest, SkipsReservedRanges)
{
	ASSERT_NE(reserve_iova(&domain_, kTop - 4, kTop), nullptr);
	EXPECT_EQ(alloc_iova_fast(&domain_, 1, kTop, false), kTop - 5);
	/* Overlapping reservations are merged. A reservation inside another one gives that. */
	iova *wide = reserve_iova(&domain_, kTop - 100, kTop - 3);

	ASSERT_NE(wide, nullptr);
	EXPECT_EQ(wide->pfn_hi, kTop);
	EXPECT_EQ(wide->pfn_lo, kTop - 100);
	EXPECT_EQ(reserve_iova(&domain_, kTop - 50, kTop - 40), wide);
}

TEST_F(IovaTest, RefusesWhatDoesNotFit)
{
	EXPECT_EQ(alloc_iova(&domain_, 0, kTop, true), nullptr);
	EXPECT_EQ(alloc_iova(&domain_, kTop + 2, kTop, false), nullptr);
	EXPECT_EQ(alloc_iova(&domain_, ~0UL, kTop, false), nullptr);
	EXPECT_EQ(reserve_iova(&domain_, 10, 9), nullptr);
	EXPECT_EQ(find_iova(&domain_, 77), nullptr);
	/* Freeing an unallocated range must not invent free space. */
	free_iova(&domain_, 77);
	EXPECT_NE(alloc_iova(&domain_, kTop, kTop, false), nullptr);
	EXPECT_EQ(alloc_iova(&domain_, 1, kTop, false), nullptr);
}

TEST_F(IovaTest, RandomAllocationsNeverOverlap)
{
	std::mt19937 random(1);
	std::vector<unsigned long> live;
	constexpr unsigned long limit = 4095;

	for (int i = 0; i < 20000; i++) {
		if (live.empty() || random() % 2) {
			const unsigned long pfn =
				alloc_iova_fast(&domain_, 1 + random() % 9, limit, false);

			if (pfn)
				live.push_back(pfn);
		} else {
			const size_t victim = random() % live.size();

			free_iova(&domain_, live[victim]);
			live[victim] = live.back();
			live.pop_back();
		}
	}
	std::set<unsigned long> frames;
	for (unsigned long pfn : live) {
		const iova *range = find_iova(&domain_, pfn);

		ASSERT_NE(range, nullptr);
		ASSERT_LE(range->pfn_hi, limit);
		for (unsigned long f = range->pfn_lo; f <= range->pfn_hi; f++)
			ASSERT_TRUE(frames.insert(f).second);
	}
	for (unsigned long pfn : live)
		free_iova(&domain_, pfn);
	/* All free ranges are merged again. */
	EXPECT_NE(alloc_iova(&domain_, limit, limit, false), nullptr);
}

TEST_F(IovaTest, ThreadsGetDifferentAddresses)
{
	std::vector<std::thread> threads;
	std::mutex mutex;
	std::set<unsigned long> seen;

	for (int t = 0; t < 4; t++)
		threads.emplace_back([&] {
			for (int i = 0; i < 500; i++) {
				const unsigned long pfn = alloc_iova_fast(&domain_, 1, kTop, false);
				std::lock_guard lock(mutex);

				EXPECT_TRUE(seen.insert(pfn).second);
			}
		});
	for (auto &thread : threads)
		thread.join();
}

} // namespace
