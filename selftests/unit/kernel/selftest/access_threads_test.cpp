// SPDX-License-Identifier: Apache-2.0
/* Accesses in many threads, and accesses to memory whose pages do not come. */
#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "../../../common/stuck_memory.h"
#include "../slow_call.h"
#include "fixture.h"

namespace kernel_selftest
{

using wd::test::Call;
using wd::test::endsBefore;
using wd::test::StuckMemory;

class StuckAccessTest : public AccessTest
{
protected:
	StuckAccessTest()
	{
		EXPECT_EQ(0, iommufd_->mapFixed(ioas_, stuck_.address(), kPage, kIova));
	}
	StuckMemory stuck_{1};
};

/* A call that waits for a page holds up nobody (IOMMUFD-ACCESS-2, IOMMUFD-ACCESS-5). */
TEST_F(StuckAccessTest, APinHoldsNothing)
{
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	Buffer memory(kPage);
	Access access(*iommufd_, ioas_), second(*iommufd_, ioas_);
	uint32_t item = 0;
	Call pin([&] {
		uint32_t never = 0;

		return access.pin(kIova, kPage, never);
	});

	stuck_.waitTouched();
	EXPECT_TRUE(endsBefore(stuck_, [&] {
		EXPECT_EQ(-EBUSY, iommufd_->unmap(ioas_, kIova, kPage));
		EXPECT_EQ(0, mapBuffer(memory, 2 * kIova));
		EXPECT_EQ(0, second.pin(2 * kIova, kPage, item));
		EXPECT_EQ(0, iommufd_->unmap(ioas_, 2 * kIova, kPage));
		EXPECT_EQ(0, access.replace(other));
		EXPECT_EQ(-EBUSY, iommufd_->destroy(ioas_));
	}));
	stuck_.release();
	EXPECT_EQ(-ENOENT, pin.result()) << "the access has left the IOAS";
	EXPECT_EQ(0u, pinned());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, kPage));
}

TEST_F(StuckAccessTest, ACopyHoldsNothing)
{
	Access access(*iommufd_, ioas_, false), second(*iommufd_, ioas_, false);
	Call copy([&] {
		uint8_t data[8];

		return access.copy(kIova, data, sizeof(data), MOCK_ACCESS_RW_SLOW_PATH);
	});

	stuck_.waitTouched();
	EXPECT_TRUE(endsBefore(stuck_, [&] {
		EXPECT_EQ(-EBUSY, iommufd_->unmap(ioas_, kIova, kPage));
		second.close();
	}));
	stuck_.release();
	EXPECT_EQ(0, copy.result());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, kPage));
}

/* IOMMUFD-COMPAT-4: a mapping that a driver is reading cannot be cut. */
TEST_F(StuckAccessTest, ACopyPreventsACut)
{
	useType1();
	ASSERT_EQ(0, iommufd_->unmap(ioas_, kIova, kPage));
	/* Two pages, of which the first never comes. */
	StuckMemory two(2);
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, two.address(), 2 * kPage, kIova));
	Access access(*iommufd_, ioas_, false);
	Call copy([&] {
		uint8_t data[8];

		return access.copy(kIova, data, sizeof(data), MOCK_ACCESS_RW_SLOW_PATH);
	});

	two.waitTouched();
	EXPECT_TRUE(endsBefore(two, [&] { EXPECT_EQ(-EBUSY, unmapPart(kIova, kPage)); }));
	two.release();
	EXPECT_EQ(0, copy.result());
	EXPECT_EQ(0, unmapPart(kIova, kPage));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova + kPage, kPage)) << "the rest was there";
	stuck_.release();
}

/* IOMMUFD-ACCESS-2: an unmap that gives up for another reason lets the driver pin again. */
TEST_F(StuckAccessTest, AnUnmapThatFailsLeavesNothingBehind)
{
	Buffer memory(kPage);
	uint32_t item = 0;
	Access access(*iommufd_, ioas_), second(*iommufd_, ioas_);

	ASSERT_EQ(0, mapBuffer(memory, kIova - 2 * kPage));
	ASSERT_EQ(0, access.pin(kIova - 2 * kPage, kPage, item));
	Call pin([&] {
		uint32_t stuck = 0;

		return second.pin(kIova, kPage, stuck);
	});
	stuck_.waitTouched();
	EXPECT_EQ(-EBUSY, iommufd_->unmap(ioas_, 0, kMax)) << "the second area";
	EXPECT_EQ(-ENOENT, access.unpin(item)) << "the first one has gone";
	stuck_.release();
	EXPECT_EQ(0, pin.result());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
}

/* IOMMUFD-ACCESS-5: the driver has pinned, and waits for user memory, when it goes elsewhere. */
TEST_F(StuckAccessTest, APinThatIsNewGoesAlong)
{
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	Buffer memory(kPage);
	Access access(*iommufd_, ioas_);

	ASSERT_EQ(0, mapBuffer(memory, 2 * kIova));
	Call pin([&] {
		uint32_t item = 0;

		return access.pin(2 * kIova, kPage, item, stuck_.as<void>());
	});
	stuck_.waitTouched();
	EXPECT_TRUE(endsBefore(stuck_, [&] { EXPECT_EQ(0, access.replace(other)); }));
	EXPECT_EQ(0u, pinned());
	stuck_.release();
	EXPECT_EQ(-EBADE, pin.result());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
}

/* Attack: all that can happen to a range at once. */
TEST_F(AccessTest, ManyThreads)
{
	constexpr unsigned kRounds = 150;
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	Buffer memory(4 * kPage);
	Access access(*iommufd_, ioas_), second(*iommufd_, ioas_);
	std::vector<std::thread> threads;

	threads.emplace_back([&] {
		for (unsigned i = 0; i < kRounds; i++) {
			mapBuffer(memory);
			const int rc = iommufd_->unmap(ioas_, kIova, 4 * kPage);
			EXPECT_TRUE(rc == 0 || rc == -EBUSY || rc == -EDEADLOCK || rc == -ENOENT)
				<< rc;
		}
	});
	for (const Access *mine : {&access, &second})
		threads.emplace_back([&, mine] {
			for (unsigned i = 0; i < kRounds; i++) {
				uint32_t item = 0;

				if (!mine->pin(kIova + (i % 3) * kPage, kPage, item))
					mine->unpin(item);
			}
		});
	threads.emplace_back([&] {
		uint8_t data[64];

		for (unsigned i = 0; i < kRounds; i++) {
			access.copy(kIova + kPage - 32, data, sizeof(data),
				    i % 2 ? MOCK_ACCESS_RW_SLOW_PATH : 0);
			second.replace(i % 2 ? ioas_ : other);
		}
	});
	threads.emplace_back([&] {
		for (unsigned i = 0; i < kRounds / 10; i++) {
			MockDevice device(*iommufd_, ioas_);

			if (!device.error) {
				EXPECT_EQ(0, iommufd_->destroy(device.id));
			}
		}
	});
	for (auto &thread : threads)
		thread.join();
	access.close();
	second.close();
	iommufd_->unmap(ioas_, 0, kMax);
	EXPECT_EQ(0u, pinned());
}

} // namespace kernel_selftest
