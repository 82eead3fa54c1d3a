// SPDX-License-Identifier: Apache-2.0
/*
 * Others hold a lock of an iommufd for a long time. A caller that waits for it can be killed.
 *
 * Mutants that this file kills, each tried once: mutex_lock() in the place of mutex_lock_killable()
 * for the lock of groups, of a group, and of an IOAS.
 */
#include <cerrno>

#include "../slow_call.h"
#include "fixture.h"

namespace kernel_iommufd
{

using wd::test::KilledCall;
using wd::test::SlowCall;

/** Two processes with one context. Our process has device 0, the victim has device 1. */
class KillTest : public KernelTest
{
protected:
	void bindBoth()
	{
		ASSERT_EQ(0, ours_->bind(*iommufd_));
		ASSERT_EQ(0, theirs_->bindFd(theirFd_));
	}
	/** Kill the victim while it waits with its attach for an attach of our device. */
	void killInAttach()
	{
		const auto ioas = static_cast<uint32_t>(iommufd_->allocIoas());
		SlowCall first([&] { return ours_->attachTo(ioas); });
		KilledCall second(victim_, [&] { return theirs_->attachTo(ioas); });

		EXPECT_TRUE(second.ends());
		EXPECT_EQ(0, first.result());
		EXPECT_EQ(-EINTR, second.result());
	}
	void TearDown() override
	{
		theirs_.reset();
		ours_.reset();
		victim_->close(theirFd_);
		iommufd_.reset();
	}
	void SetUp() override
	{
		iommufd_ = std::make_unique<Iommufd>();
		theirFd_ = Caller::self()->dupTo(iommufd_->fd(), *victim_);
		ours_ = std::make_unique<MockDevice>(0);
		theirs_ = std::make_unique<MockDevice>(1, victim_);
	}

	std::shared_ptr<Caller> victim_ = Caller::create(1000);
	std::unique_ptr<Iommufd> iommufd_;
	std::unique_ptr<MockDevice> ours_, theirs_;
	int theirFd_ = -1;
};

/** Both devices are in one group. */
class KillGroupTest : public KillTest
{
protected:
	KillGroupTest()
	{
		mock_config.one_group = 1;
		reboot();
	}
};

TEST_F(KillTest, Bind)
{
	SlowCall first([&] { return ours_->bind(*iommufd_); });
	KilledCall second(victim_, [&] { return theirs_->bindFd(theirFd_); });

	EXPECT_TRUE(second.ends());
	EXPECT_EQ(0, first.result());
	EXPECT_EQ(-EINTR, second.result());
}

TEST_F(KillTest, AttachToTheSameIoas)
{
	bindBoth();
	killInAttach();
}

TEST_F(KillGroupTest, AttachInTheSameGroup)
{
	bindBoth();
	killInAttach();
}

} // namespace kernel_iommufd
