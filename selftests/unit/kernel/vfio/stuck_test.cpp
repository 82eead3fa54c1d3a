// SPDX-License-Identifier: Apache-2.0
/* The driver is taken from a function while its owner waits for memory that never comes. */
#include "fixture.h"

#include <cerrno>
#include <functional>
#include <thread>
#include <vector>

#include <linux/iommufd.h>

#include "../../../common/stuck_memory.h"
#include "../slow_call.h"

namespace wd::vfiotest
{

namespace
{

using test::endsBefore;
using test::KilledCall;
using test::SlowCall;
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
	/** Give the function to another driver while @body waits for the memory. */
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

/*
 * An owner can be killed while it waits for another thread that uses its function. Each request of
 * an owner takes the function's lock first.
 */
TEST_F(VfioStuck, AnOwnerThatIsKilledDoesNotWait)
{
	auto victim = hostkernel::Caller::create(1000);
	FunctionFile copy(victim);
	const int space = caller_->dupTo(space_->fd, *victim);
	vfio_device_info info = {};
	uint32_t table = 0, config = 0;

	copy.fd = caller_->dupTo(file_->fd, *victim);
	SlowCall first([&] {
		uint32_t own = space_->ioas;

		return file_->attachPasid(own, 1);
	});
	info.argsz = sizeof(info);
	for (const auto &request : std::vector<std::function<long()>>{
		     [&] { return copy.bind(space); },
		     [&] { return copy.attach(table); },
		     [&] { return copy.detach(); },
		     [&] { return copy.reset(); },
		     [&] { return copy.ioctl(VFIO_DEVICE_GET_INFO, &info); },
		     [&] { return copy.read(VFIO_PCI_CONFIG_REGION_INDEX, 0, &config, 4); },
	     }) {
		KilledCall call(victim, request);
		const bool ended = call.ends();

		EXPECT_TRUE(ended);
		if (!ended)
			first.release();
		EXPECT_EQ(call.result(), -EINTR);
	}
	EXPECT_EQ(first.result(), -EINVAL) << "an IOAS has no table for a PASID of its own";
}

} // namespace

} // namespace wd::vfiotest
