// SPDX-License-Identifier: Apache-2.0
/* The driver is taken from a function while its owner waits for memory that never comes. */
#include "fixture.h"

#include <cerrno>
#include <thread>

#include <linux/iommufd.h>

#include "../../../common/stuck_memory.h"

namespace wd::vfiotest
{

namespace
{

using test::endsBefore;
using test::StuckMemory;

class VfioStuck : public VfioTest
{
protected:
	void SetUp() override
	{
		VfioTest::SetUp();
		space_ = std::make_unique<Space>(caller_);
		file_ = std::make_unique<FunctionFile>(caller_);
		ASSERT_EQ(open(*file_), 0);
		ASSERT_EQ(file_->bind(space_->fd), 0);
	}
	void TearDown() override
	{
		file_.reset();
		space_.reset();
		VfioTest::TearDown();
	}
	/** @body waits for the memory; meanwhile the function goes to another driver. */
	template <class Body>
	void removeDuring(Body body)
	{
		std::thread thread(body);
		stuck_.waitTouched();
		EXPECT_TRUE(endsBefore(stuck_, [] { EXPECT_EQ(give("hisi_zip"), 0); }));
		stuck_.release();
		thread.join();
	}
	StuckMemory stuck_{4};
	std::unique_ptr<Space> space_;
	std::unique_ptr<FunctionFile> file_;
};

TEST_F(VfioStuck, Attach)
{
	ASSERT_EQ(space_->map(stuck_.as<void>(), 4 * kPage, 0x10000), 0);
	removeDuring([this] {
		uint32_t table = space_->ioas;

		EXPECT_EQ(file_->attach(table), -ENODEV);
	});
	EXPECT_EQ(caller_->pinnedPages(), 0u);
}

TEST_F(VfioStuck, Map)
{
	uint32_t table = space_->ioas;

	ASSERT_EQ(file_->attach(table), 0);
	removeDuring([this] { EXPECT_EQ(space_->map(stuck_.as<void>(), 4 * kPage, 0x10000), 0); });
	EXPECT_EQ(caller_->pinnedPages(), 0u);
}

TEST_F(VfioStuck, Ranges)
{
	uint32_t table = space_->ioas;

	ASSERT_EQ(file_->attach(table), 0);
	removeDuring([this] {
		iommu_ioas_iova_ranges ranges = {};

		ranges.size = sizeof(ranges);
		ranges.ioas_id = space_->ioas;
		ranges.num_iovas = 8;
		ranges.allowed_iovas = stuck_.address();
		EXPECT_EQ(caller_->ioctl(space_->fd, IOMMU_IOAS_IOVA_RANGES,
					 reinterpret_cast<uintptr_t>(&ranges)),
			  0);
	});
}

TEST_F(VfioStuck, ArgumentsAndAnswers)
{
	removeDuring([this] {
		EXPECT_EQ(file_->ioctl(VFIO_DEVICE_GET_INFO, stuck_.as<void>()), -EINVAL);
	});
}

} // namespace

} // namespace wd::vfiotest
