// SPDX-License-Identifier: Apache-2.0
/*
 * How long the driver waits for the unit's status register (GSTS). If the driver did not run, the
 * unit need not be late. So the driver looks once more after its time is over, and counts only time
 * in which it looked.
 *
 * The test uses no real time: each read of a register lets time pass for the reader.
 */
#include "fixture.h"

#include <cerrno>
#include <utility>

namespace wd::kerneltest
{
namespace
{

constexpr uint64_t kNanoseconds = 1000000000, kStep = 50000000;
constexpr unsigned kGsts = 0x1c;
constexpr uint64_t kQueueOn = 1u << 26, kTranslating = 1u << 31, kRootSet = 1u << 30;
constexpr const char *kDriver = "/sys/bus/pci/drivers/wd_iommu/";
/* The driver waits 100 ms for a command. Here each look takes 50 ms. */
constexpr unsigned kLooks = 3;

class Deadline : public IommuTest
{
protected:
	void SetUp() override
	{
		IommuTest::SetUp();
		ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "unbind", kUnit), 0);
	}
	void TearDown() override
	{
		unit_->answer = {};
		IommuTest::TearDown();
	}
	/**
	 * Bind the unit's driver. The status shows @bit only from the driver's @nth look for it on,
	 * and each earlier look takes @ns. 0 or -errno.
	 */
	long bind(uint64_t bit, unsigned nth, uint64_t ns)
	{
		bool begun = false;

		looks_ = 0;
		unit_->answer = [=, this](uint64_t offset, uint64_t value) mutable {
			/*
			 * Do not count the first read: with it the driver finds out the unit's
			 * state.
			 */
			if (offset != kGsts || !std::exchange(begun, true))
				return value;
			if (!(value & bit) || ++looks_ >= nth)
				return value;
			hostkernel::passTime(ns);
			return value & ~bit;
		};
		const long ret = hostkernel::sysfsWrite(std::string(kDriver) + "bind", kUnit);

		unit_->answer = {};
		return ret < 0 ? ret : 0;
	}

	unsigned looks_ = 0;
};

TEST_F(Deadline, TheStatusIsLookedAtOnceMore)
{
	for (const uint64_t bit : {kRootSet, kQueueOn, kTranslating}) {
		EXPECT_EQ(bind(bit, kLooks, kStep), 0) << std::hex << bit;
		EXPECT_GE(looks_, kLooks);
		ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "unbind", kUnit), 0);
	}
	ASSERT_EQ(bind(kRootSet, 1, 0), 0);
}

/* As if the whole machine had stopped for ten seconds. */
TEST_F(Deadline, TimeInWhichNobodyLookedDoesNotCount)
{
	for (const uint64_t bit : {kRootSet, kQueueOn, kTranslating}) {
		EXPECT_EQ(bind(bit, 2, 10 * kNanoseconds), 0) << std::hex << bit;
		ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "unbind", kUnit), 0);
	}
	ASSERT_EQ(bind(kRootSet, 1, 0), 0);
}

/* The look after the deadline is the last one. */
TEST_F(Deadline, ALateUnitIsRefused)
{
	EXPECT_EQ(bind(kQueueOn, kLooks + 1, kStep), -ETIMEDOUT);
	ASSERT_EQ(bind(kRootSet, 1, 0), 0);
	EXPECT_TRUE(first_->busMaster());
}

} // namespace
} // namespace wd::kerneltest
