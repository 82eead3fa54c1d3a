// SPDX-License-Identifier: Apache-2.0
/* It is a bug to touch user memory while holding a lock that others may need. It is found. */
#include <fcntl.h>

#include "booted.h"
#include "test_device.h"

using namespace wd::hostkernel;

namespace
{

class UserLockTest : public BootedTest
{
protected:
	void SetUp() override
	{
		BootedTest::SetUp();
		GTEST_FLAG_SET(death_test_style, "threadsafe");
		ASSERT_EQ(test::registerDevice(), 0);
		fd_ = caller_->open("/dev/hktest", O_RDWR);
		ASSERT_GE(fd_, 0);
	}
	void TearDown() override
	{
		caller_.reset();
		test::unregisterDevice();
		BootedTest::TearDown();
	}
	long touch(test::Lock lock, bool pin)
	{
		test::Touch touch = {lock, pin, reinterpret_cast<uint64_t>(&byte_)};
		return caller_->ioctl(fd_, test::kTouch, reinterpret_cast<uintptr_t>(&touch));
	}

private:
	std::shared_ptr<Caller> caller_ = Caller::create(0);
	int fd_ = -1;
	char byte_ = 0;
};

TEST_F(UserLockTest, AllowedIsWhatHoldsUpNobody)
{
	for (const bool pin : {false, true}) {
		EXPECT_EQ(touch(test::Lock::None, pin), 0);
		EXPECT_EQ(touch(test::Lock::Private, pin), 0);
	}
	/* A pin may be made with the mmap lock held: it drops the lock while it waits. */
	EXPECT_EQ(touch(test::Lock::MmapLock, true), 0);
}

using UserLockDeathTest = UserLockTest;

TEST_F(UserLockDeathTest, EveryOtherLockIsReported)
{
	const char *text = "user memory touched with a lock held that others may need: ";

	for (const bool pin : {false, true}) {
		EXPECT_DEATH(touch(test::Lock::Mutex, pin), std::string(text) + "&mutex");
		EXPECT_DEATH(touch(test::Lock::Reader, pin), std::string(text) + "&sem");
		EXPECT_DEATH(touch(test::Lock::Writer, pin), std::string(text) + "&sem");
	}
	/* A copy that faults takes the mmap lock itself. */
	EXPECT_DEATH(touch(test::Lock::MmapLock, false), std::string(text) + "private:mmap_lock");
}

} // namespace
