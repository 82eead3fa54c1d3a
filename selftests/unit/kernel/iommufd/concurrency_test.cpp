// SPDX-License-Identifier: Apache-2.0
/* Many threads on one context: every result is a documented one, and nothing is left. */
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <thread>

#include "fixture.h"

namespace kernel_iommufd
{

#if defined(__SANITIZE_THREAD__)
constexpr unsigned kRounds = 300;
#else
constexpr unsigned kRounds = 2000;
#endif

template <typename Body>
void inThreads(unsigned count, Body body)
{
	std::vector<std::thread> threads;
	for (unsigned i = 0; i < count; i++)
		threads.emplace_back([&body, i] { body(i); });
	for (std::thread &thread : threads)
		thread.join();
}

TEST_F(IoasTest, ThreadsWithTheirOwnRanges)
{
	Buffer memory(64 * kPage);
	memset(memory.data(), 1, memory.size());
	attach();
	inThreads(4, [&](unsigned thread) {
		const uint64_t base = (thread + 1) << 24;
		for (unsigned i = 0; i < kRounds; i++) {
			const uint64_t pages = 1 + i % 16, at = base + (i % 32) * 0x20000;
			ASSERT_EQ(0,
				  iommufd_->mapFixed(ioas_, memory.address() + thread * 16 * kPage,
						     pages * kPage, at));
			ASSERT_EQ(memory.address() + thread * 16 * kPage, entryAt(0, at).phys);
			ASSERT_EQ(0, iommufd_->unmap(ioas_, at, pages * kPage));
			ASSERT_FALSE(entryAt(0, at).present);
		}
	});
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, mock_entries(0, 0));
}

/** The attack: many threads map, copy and unmap the same few IOVAs at once. */
TEST_F(IoasTest, ThreadsThatFightForTheSameRange)
{
	Buffer memory(16 * kPage);
	attach();
	inThreads(4, [&](unsigned thread) {
		std::mt19937 random(thread);
		for (unsigned i = 0; i < kRounds; i++) {
			uint64_t iova = 0x10000 + random() % 16 * kPage;
			const uint64_t length = (1 + random() % 4) * kPage;
			int rc;
			switch (random() % 4) {
			case 0:
				rc = iommufd_->map(ioas_, memory.address(), length,
						   kReadWrite | kFixed, iova);
				ASSERT_TRUE(!rc || rc == -EEXIST) << rc;
				break;
			case 1:
				rc = iommufd_->copy(ioas_, ioas_, length, iova, kRead, iova);
				ASSERT_TRUE(!rc || rc == -ENOENT) << rc;
				break;
			case 2:
				rc = iommufd_->unmap(ioas_, 0, kMax);
				ASSERT_TRUE(!rc || rc == -EBUSY) << rc;
				break;
			default:
				rc = iommufd_->unmap(ioas_, iova, length);
				ASSERT_TRUE(!rc || rc == -ENOENT || rc == -EBUSY) << rc;
			}
		}
	});
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, mock_entries(0, 0));
}

/** Page tables and mappings come and go; threads destroy objects that other threads use. */
TEST_F(IoasTest, ObjectsComeAndGo)
{
	Buffer memory(16 * kPage);
	std::atomic<bool> stop{false};
	std::thread mapper([&] {
		while (!stop) {
			uint64_t iova = 0;
			const int rc =
				iommufd_->map(ioas_, memory.address(), 2 * kPage, kReadWrite, iova);
			if (rc)
				continue;
			ASSERT_EQ(0, iommufd_->unmap(ioas_, iova, 2 * kPage));
		}
	});
	std::thread destroyer([&] {
		while (!stop)
			for (uint32_t id = 3; id < 8; id++) {
				const int rc = iommufd_->destroy(id);
				ASSERT_TRUE(!rc || rc == -ENOENT || rc == -EBUSY) << rc;
			}
	});
	inThreads(2, [&](unsigned thread) {
		MockDevice device(thread + 1);
		ASSERT_EQ(0, device.bind(*iommufd_));
		for (unsigned i = 0; i < kRounds / 4; i++) {
			uint32_t pt = ioas_, hwpt = 0;
			int rc = device.attach(pt);
			ASSERT_TRUE(!rc) << rc;
			rc = iommufd_->hwpt(device.id(), ioas_, 0, hwpt);
			ASSERT_TRUE(!rc) << rc;
			pt = hwpt;
			/*
			 * Another thread may have destroyed it; EINVAL if the id belongs to another
			 * object now.
			 */
			rc = device.attach(pt, 0, true);
			ASSERT_TRUE(!rc || rc == -ENOENT || rc == -EINVAL) << rc;
			ASSERT_EQ(0, device.detach());
			rc = iommufd_->destroy(hwpt);
			ASSERT_TRUE(!rc || rc == -ENOENT || rc == -EBUSY) << rc;
		}
	});
	stop = true;
	mapper.join();
	destroyer.join();
}

} // namespace kernel_iommufd
