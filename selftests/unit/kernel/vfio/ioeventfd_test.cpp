// SPDX-License-Identifier: Apache-2.0
/* Signals of event counters write to BARs. */
#include "fixture.h"

#include <cerrno>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace wd::vfiotest
{

namespace
{

constexpr unsigned kTable = VFIO_PCI_BAR0_REGION_INDEX, kRegisters = VFIO_PCI_BAR2_REGION_INDEX;
constexpr unsigned kConfig = VFIO_PCI_CONFIG_REGION_INDEX;
/* Registers of the engine that are storage. */
constexpr uint64_t kStorage = 0x300040;
constexpr uint16_t kMaster = 4, kMemory = 2;

class VfioIoeventfd : public VfioOwner
{
protected:
	VfioIoeventfd() : VfioOwner(ZIP_MEMORY) {}
	void SetUp() override
	{
		VfioOwner::SetUp();
		counter_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ASSERT_GE(counter_, 0);
	}
	void TearDown() override
	{
		VfioOwner::TearDown();
		close(counter_);
	}
	int ask(vfio_device_ioeventfd request)
	{
		return file_->ioctl(VFIO_DEVICE_IOEVENTFD, &request);
	}
	/** Write @data at @at of @region whenever @fd is signalled; -1: not any more. */
	int cause(uint64_t at, uint64_t data, uint32_t size, int fd, uint64_t region = kRegisters)
	{
		return ask({sizeof(vfio_device_ioeventfd), size, region << 40 | at, data, fd, 0});
	}
	uint32_t value(uint64_t at)
	{
		uint32_t value = ~0u;

		file_->read(kRegisters, at, &value, sizeof(value));
		return value;
	}
	void clear(uint64_t at)
	{
		const uint32_t zero = 0;

		ASSERT_EQ(file_->write(kRegisters, at, &zero, sizeof(zero)), 4);
	}
	void signal() { ASSERT_EQ(eventfd_write(counter_, 1), 0); }
	void waitFor(uint64_t at, uint32_t wanted)
	{
		while (value(at) != wanted)
			sched_yield();
	}

	int counter_ = -1;
};

} // namespace

/* IOMMUFD-VFIO-12 */
TEST_F(VfioIoeventfd, WritesEachSize)
{
	ASSERT_EQ(cause(kStorage, 0x11, 1, counter_), 0);
	ASSERT_EQ(cause(kStorage + 2, 0x2222, 2, counter_), 0);
	ASSERT_EQ(cause(kStorage + 4, 0x44444444, 4, counter_), 0);
	ASSERT_EQ(cause(kStorage + 8, 0x8888888899999999, 8, counter_), 0);
	EXPECT_EQ(value(kStorage), 0u) << "nobody has signalled";
	signal();
	waitFor(kStorage, 0x22220011);
	waitFor(kStorage + 4, 0x44444444);
	waitFor(kStorage + 8, 0x99999999);
	waitFor(kStorage + 12, 0x88888888);
	clear(kStorage + 4);
	signal();
	waitFor(kStorage + 4, 0x44444444);
}

/* IOMMUFD-VFIO-12: a signal that was there before counts. */
TEST_F(VfioIoeventfd, SeesAnOldSignal)
{
	signal();
	ASSERT_EQ(cause(kStorage, 7, 4, counter_), 0);
	EXPECT_EQ(value(kStorage), 7u);
}

/* IOMMUFD-VFIO-12: a write is known by all its members. */
TEST_F(VfioIoeventfd, AddsAndRemoves)
{
	EXPECT_EQ(cause(kStorage, 7, 4, -1), -ENODEV);
	ASSERT_EQ(cause(kStorage, 7, 4, counter_), 0);
	EXPECT_EQ(cause(kStorage, 7, 4, counter_), -EEXIST);
	EXPECT_EQ(cause(kStorage, 8, 4, -1), -ENODEV);
	EXPECT_EQ(cause(kStorage, 7, 2, -1), -ENODEV);
	EXPECT_EQ(cause(kStorage + 4, 7, 4, -1), -ENODEV);
	ASSERT_EQ(cause(kStorage + 4, 9, 4, counter_), 0);
	ASSERT_EQ(cause(kStorage, 7, 4, -1), 0);
	EXPECT_EQ(cause(kStorage, 7, 4, -1), -ENODEV);
	signal();
	waitFor(kStorage + 4, 9);
	EXPECT_EQ(value(kStorage), 0u) << "it was removed";
}

/* IOMMUFD-VFIO-12 Attack: the write would leave the BAR, or send a message of the MSI-X table. */
TEST_F(VfioIoeventfd, ChecksItsArgument)
{
	constexpr uint64_t kEnd = 4 << 20;

	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_IOEVENTFD, nullptr), -EFAULT);
	EXPECT_EQ(ask({27, 4, uint64_t{kRegisters} << 40, 0, counter_, 0}), -EINVAL);
	for (const uint32_t size : {0u, 3u, 5u, 15u, 16u, 20u})
		EXPECT_EQ(cause(kStorage, 0, size, counter_), -EINVAL) << size;
	EXPECT_EQ(cause(kStorage, 0, 4, -2), -EINVAL);
	EXPECT_EQ(cause(kStorage + 2, 0, 4, counter_), -EINVAL) << "not aligned";
	EXPECT_EQ(cause(kEnd, 0, 4, counter_), -EINVAL);
	EXPECT_EQ(cause(kEnd - 4, 0, 8, counter_), -EINVAL);
	EXPECT_EQ(cause(kEnd - 4, 0, 4, counter_), 0);
	EXPECT_EQ(cause((uint64_t{1} << 40) - 4, 0, 4, counter_), -EINVAL);
	EXPECT_EQ(cause(0, 0, 4, counter_, VFIO_PCI_BAR3_REGION_INDEX), -EINVAL) << "no such BAR";
	EXPECT_EQ(cause(4, 0, 2, counter_, kConfig), -EINVAL);
	EXPECT_EQ(cause(0, 0, 4, counter_, 1 << 20), -EINVAL);
	EXPECT_EQ(cause(0, 0, 4, counter_, kTable), -EINVAL);
	EXPECT_EQ(cause(63, 0, 1, counter_, kTable), -EINVAL) << "the last byte of the table";
	EXPECT_EQ(cause(64, 0, 4, counter_, kTable), 0) << "behind the table";
	EXPECT_EQ(cause(kStorage, 0, 4, 1 << 19), -EBADF);
	EXPECT_EQ(cause(kStorage, 0, 4, STDERR_FILENO), -EINVAL) << "no event counter";
	EXPECT_EQ(cause(kStorage, 0, 4, -1), -ENODEV) << "what failed is not there";
}

/* IOMMUFD-VFIO-12: while memory is off a signal is lost. */
TEST_F(VfioIoeventfd, MemoryOffDropsIt)
{
	uint64_t count;

	ASSERT_EQ(cause(kStorage, 7, 4, counter_), 0);
	ASSERT_EQ(command(kMaster), 0);
	signal();
	/* The kernel takes the count when it gets the signal. */
	while (!eventfd_read(counter_, &count))
		signal();
	/* This waits for a write that runs. */
	ASSERT_EQ(cause(kStorage, 7, 4, -1), 0);
	ASSERT_EQ(command(kMaster | kMemory), 0);
	EXPECT_EQ(value(kStorage), 0u);
	ASSERT_EQ(cause(kStorage, 7, 4, counter_), 0);
	signal();
	waitFor(kStorage, 7);
}

/* IOMMUFD-VFIO-12: the owner cannot use the kernel's memory without bound. */
TEST_F(VfioIoeventfd, HasALimit)
{
	for (uint64_t i = 0; i < 1000; i++)
		ASSERT_EQ(cause(kStorage, i, 4, counter_), 0) << i;
	EXPECT_EQ(cause(kStorage, 1000, 4, counter_), -ENOSPC);
	EXPECT_EQ(cause(kStorage, 7, 4, counter_), -EEXIST);
	EXPECT_EQ(cause(kStorage, 7, 4, -1), 0);
	EXPECT_EQ(cause(kStorage, 1000, 4, counter_), 0);
	signal();
}

/* IOMMUFD-VFIO-12: the next owner has none of them. */
TEST_F(VfioIoeventfd, EndsWithTheOwnership)
{
	FunctionFile next(caller_);

	ASSERT_EQ(cause(kStorage, 7, 4, counter_), 0);
	file_->close();
	ASSERT_EQ(open(next), 0);
	EXPECT_EQ(next.ioctl(VFIO_DEVICE_IOEVENTFD, &counter_), -EINVAL) << "not bound";
	ASSERT_EQ(next.bind(space_->fd), 0);
	signal();
	uint32_t value = ~0u;
	uint64_t count = 0;

	EXPECT_EQ(eventfd_read(counter_, &count), 0);
	EXPECT_EQ(count, 1u) << "the kernel does not listen any more";
	EXPECT_EQ(next.read(kRegisters, kStorage, &value, 4), 4);
	EXPECT_EQ(value, 0u);
}

/* IOMMUFD-VFIO-14: a signal does not wake the function, and is lost. */
TEST_F(VfioIoeventfd, ASignalInLowPowerIsLost)
{
	uint64_t count;

	ASSERT_EQ(cause(kStorage, 1, 4, counter_), 0);
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended();
	signal();
	while (!eventfd_read(counter_, &count))
		signal();
	EXPECT_TRUE(suspended());
	/* This waits for a write that runs. It does not end low power. */
	ASSERT_EQ(cause(kStorage, 1, 4, -1), 0);
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(value(kStorage), 0u);
	ASSERT_EQ(cause(kStorage, 1, 4, counter_), 0);
	signal();
	waitFor(kStorage, 1);
}

} // namespace wd::vfiotest
