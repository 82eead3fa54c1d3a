// SPDX-License-Identifier: Apache-2.0
/* IOAS_CHANGE_PROCESS: who pays for the pinned memory of a context, before and after. */
#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

#include "../../../common/stuck_memory.h"
#include "fixture.h"
#include "memory_file.h"

namespace kernel_iommufd
{

using wd::hostkernel::failNth;
using wd::test::StuckMemory;

class ChangeProcessTest : public KernelTest
{
protected:
	static constexpr uint64_t kPages = 8, kIova = 0x10000;

	ChangeProcessTest() { use(limited(1000, 64)); }
	~ChangeProcessTest() override { end(); }
	/** Let @caller be the process that has the context, with a page table if @attached. */
	void use(std::shared_ptr<Caller> caller, bool attached = true)
	{
		end();
		first_ = std::move(caller);
		iommufd_ = std::make_unique<Iommufd>(first_);
		device_ = std::make_unique<MockDevice>(0, first_);
		ASSERT_EQ(0, device_->bind(*iommufd_));
		ioas_ = static_cast<uint32_t>(iommufd_->allocIoas());
		if (attached) {
			ASSERT_EQ(0, device_->attachTo(ioas_));
		}
		imported_ = first_->importFile(file_.fd());
	}
	void end()
	{
		if (device_)
			device_->close();
		device_.reset();
		iommufd_.reset();
	}
	int mapFile(uint64_t pages = kPages, uint64_t iova = kIova)
	{
		return iommufd_->mapFile(ioas_, imported_, 0, pages * kPage, iova);
	}
	/** The context's descriptor in the table of @caller. */
	int share(Caller &caller) const { return first_->dupTo(iommufd_->fd(), caller); }
	static long change(Caller &caller, int fd)
	{
		iommu_ioas_change_process cmd = {sizeof(cmd), 0};

		return caller.ioctl(fd, IOMMU_IOAS_CHANGE_PROCESS,
				    reinterpret_cast<uintptr_t>(&cmd));
	}
	/** Pages that @caller has pinned, and pages that it, or its user, has locked. */
	static std::pair<uint64_t, uint64_t> paid(const Caller &caller)
	{
		return {caller.pinnedPages(), caller.lockedPages()};
	}
	static constexpr std::pair<uint64_t, uint64_t> pages(uint64_t pinned, uint64_t locked)
	{
		return {pinned, locked};
	}

	MemoryFile file_{2048};
	std::shared_ptr<Caller> first_;
	std::unique_ptr<Iommufd> iommufd_;
	std::unique_ptr<MockDevice> device_;
	uint32_t ioas_ = 0;
	int imported_ = -1;
};

/* IOMMUFD-CHANGE-1, IOMMUFD-CHANGE-2: pages of several IOAS, each once. */
TEST_F(ChangeProcessTest, AnotherUserTakesOver)
{
	const auto second = limited(1001, kPages + 3);
	MockDevice device(1, first_);
	uint64_t copied = 0x100000;

	ASSERT_EQ(0, device.bind(*iommufd_));
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	ASSERT_EQ(0, device.attachTo(other));
	ASSERT_EQ(0, mapFile());
	ASSERT_EQ(0,
		  iommufd_->copy(other, ioas_, kPages * kPage, kIova, kReadWrite | kFixed, copied));
	ASSERT_EQ(0, iommufd_->mapFile(other, imported_, 100 * kPage, 3 * kPage, kIova));
	EXPECT_EQ(paid(*first_), pages(kPages + 3, kPages + 3));
	const Entry before = entryAt(0, kIova);

	const int fd = share(*second);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, change(*second, fd));
	EXPECT_EQ(paid(*first_), pages(0, 0));
	EXPECT_EQ(paid(*second), pages(kPages + 3, kPages + 3));
	EXPECT_EQ(before.phys, entryAt(0, kIova).phys) << "devices notice nothing";
	/* An unmap gives the pages back to the account that pays. A part of the pages stays in use. */
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, kPages * kPage));
	EXPECT_EQ(paid(*second), pages(kPages + 3, kPages + 3));
	EXPECT_EQ(0, iommufd_->unmap(other, copied, kPages * kPage));
	EXPECT_EQ(paid(*second), pages(3, 3));
	/* And back. */
	EXPECT_EQ(0, change(*first_, iommufd_->fd()));
	EXPECT_EQ(paid(*first_), pages(3, 3));
	EXPECT_EQ(paid(*second), pages(0, 0));
	EXPECT_EQ(0, iommufd_->unmap(other, 0, kMax));
	EXPECT_EQ(paid(*first_), pages(0, 0));
	EXPECT_EQ(0, second->close(fd));
}

/* IOMMUFD-CHANGE-1: an error changes nothing. */
TEST_F(ChangeProcessTest, IsRefusedAsAWhole)
{
	const auto second = limited(1001, kPages + 1);
	Buffer memory(kPage);
	iommu_ioas_change_process cmd = {sizeof(cmd), 1};
	const int fd = share(*second);

	EXPECT_EQ(-EOPNOTSUPP, iommufd_->ioctl(IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	ASSERT_EQ(0, mapFile());
	ASSERT_EQ(0, mapFile(2, 0x100000));
	EXPECT_EQ(-ENOMEM, change(*second, fd)) << "one page too many";
	EXPECT_EQ(paid(*first_), pages(kPages + 2, kPages + 2));
	EXPECT_EQ(paid(*second), pages(0, 0));

	second->setMemlockLimit((kPages + 2) * kPage);
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x200000));
	EXPECT_EQ(-EINVAL, change(*second, fd)) << "memory of a process";
	EXPECT_EQ(-EINVAL, change(*first_, iommufd_->fd())) << "its own process";
	EXPECT_EQ(paid(*first_), pages(kPages + 3, kPages + 3));
	EXPECT_EQ(paid(*second), pages(0, 0));

	ASSERT_EQ(0, iommufd_->unmap(ioas_, 0x200000, kPage));
	EXPECT_EQ(0, change(*second, fd)) << "exactly the limit";
	EXPECT_EQ(paid(*second), pages(kPages + 2, kPages + 2));
	EXPECT_EQ(0, second->close(fd));
}

/* IOMMUFD-CHANGE-1 */
TEST_F(ChangeProcessTest, ChangesNothingInTheSameProcess)
{
	EXPECT_EQ(0, change(*first_, iommufd_->fd())) << "without mappings";
	ASSERT_EQ(0, mapFile(64));
	EXPECT_EQ(0, change(*first_, iommufd_->fd())) << "at its limit";
	EXPECT_EQ(paid(*first_), pages(64, 64));
	end();
	EXPECT_EQ(paid(*first_), pages(0, 0));
}

/* The limit of a user does not count pages twice that move from one of his processes to another. */
TEST_F(ChangeProcessTest, AnotherProcessOfTheUser)
{
	const auto second = limited(1000, 64);
	const int fd = share(*second);

	ASSERT_EQ(0, mapFile(64));
	EXPECT_EQ(0, change(*second, fd));
	EXPECT_EQ(paid(*first_), pages(0, 64));
	EXPECT_EQ(paid(*second), pages(64, 64));
	EXPECT_EQ(0, second->close(fd));
}

/* IOMMUFD-CHANGE-2: the new process pays for pages that are pinned later. */
TEST_F(ChangeProcessTest, WhatIsNotPinnedYet)
{
	const auto second = limited(1001, kPages);
	const int fd = share(*second);

	use(limited(1002, 64), false);
	const int shared = share(*second);
	ASSERT_EQ(0, mapFile());
	EXPECT_EQ(0, change(*second, shared));
	EXPECT_EQ(paid(*second), pages(0, 0));
	EXPECT_EQ(0, device_->attachTo(ioas_));
	EXPECT_EQ(paid(*first_), pages(0, 0));
	EXPECT_EQ(paid(*second), pages(kPages, kPages));
	EXPECT_EQ(-ENOMEM, mapFile(65, 0x100000)) << "a new mapping is its maker's";
	EXPECT_EQ(0, mapFile(2, 0x100000));
	EXPECT_EQ(paid(*first_), pages(2, 2));
	EXPECT_EQ(0, second->close(shared));
	EXPECT_EQ(0, second->close(fd));
}

/* IOMMUFD-CHANGE-3: a mapping that is not limited stays so. */
TEST_F(ChangeProcessTest, OfAProcessWithoutLimit)
{
	const auto second = limited(1001, 1);

	first_->setCapability(Capability::IpcLock, true);
	ASSERT_EQ(0, mapFile());
	EXPECT_EQ(paid(*first_), pages(kPages, 0));
	const int fd = share(*second);
	EXPECT_EQ(0, change(*second, fd));
	EXPECT_EQ(paid(*first_), pages(0, 0));
	EXPECT_EQ(paid(*second), pages(kPages, 0));
	EXPECT_EQ(0, second->close(fd));
}

TEST_F(ChangeProcessTest, LimitsOfProcesses)
{
	const auto maker = limited(1000, 8), second = limited(1000, 8);
	uint64_t on = 1;

	end();
	maker->setCapability(Capability::SysResource, true);
	first_ = maker;
	iommufd_ = std::make_unique<Iommufd>(maker);
	ASSERT_EQ(0, iommufd_->option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, on));
	device_ = std::make_unique<MockDevice>(0, maker);
	ASSERT_EQ(0, device_->bind(*iommufd_));
	ioas_ = static_cast<uint32_t>(iommufd_->allocIoas());
	ASSERT_EQ(0, device_->attachTo(ioas_));
	imported_ = maker->importFile(file_.fd());
	const int fd = share(*second);
	ASSERT_EQ(0, mapFile(8));
	EXPECT_EQ(-ENOMEM, mapFile(1, 0x100000));
	EXPECT_EQ(0, change(*second, fd));
	EXPECT_EQ(0, mapFile(8, 0x100000)) << "the first process has all of its limit again";
	EXPECT_EQ(-ENOMEM, change(*second, fd)) << "and the second one has nothing left";
	EXPECT_EQ(paid(*maker), pages(8, 8));
	EXPECT_EQ(paid(*second), pages(8, 8));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	ASSERT_EQ(0, mapFile(8));
	EXPECT_EQ(0, change(*second, fd)) << "the end of the mappings gave all back";
	EXPECT_EQ(0, second->close(fd));
}

/* IOMMUFD-CHANGE-2: for this the service exists. */
TEST_F(ChangeProcessTest, OfAProcessThatHasEnded)
{
	const auto second = limited(1001, kPages);

	ASSERT_EQ(0, mapFile());
	const int fd = share(*second);
	MockDevice device(1, second);
	ASSERT_EQ(0, device.bindFd(fd));
	ASSERT_EQ(0, device.attachTo(ioas_));
	end();
	first_.reset();
	EXPECT_EQ(paid(*second), pages(0, 0));
	EXPECT_EQ(0, change(*second, fd));
	EXPECT_EQ(paid(*second), pages(kPages, kPages));
	device.close();
	EXPECT_EQ(0, second->close(fd));
	EXPECT_EQ(paid(*second), pages(0, 0));
}

/* IOMMUFD-CHANGE-1: another thread is making a mapping, whose page does not come. */
TEST_F(ChangeProcessTest, WhileAMappingIsMade)
{
	StuckMemory stuck(1);
	std::thread maps(
		[&] { EXPECT_EQ(0, iommufd_->mapFixed(ioas_, stuck.address(), kPage, 0x100000)); });

	stuck.waitTouched();
	EXPECT_EQ(-EBUSY, change(*first_, iommufd_->fd()));
	stuck.release();
	maps.join();
	EXPECT_EQ(-EINVAL, change(*first_, iommufd_->fd()));
}

TEST_F(ChangeProcessTest, WithoutMemory)
{
	const auto second = limited(1001, kPages);
	const int fd = share(*second);
	bool failed = true;

	ASSERT_EQ(0, mapFile());
	/* Ends when the call makes less than @nth allocations, so that none fails. */
	for (uint64_t nth = 1; failed; nth++) {
		failNth(FailPoint::Allocation, nth);
		const long ret = change(*second, fd);
		failed = failNth(FailPoint::Allocation, 0) >= nth;
		EXPECT_EQ(failed ? -ENOMEM : 0, ret) << nth;
		EXPECT_EQ(paid(*first_), pages(failed ? kPages : 0, failed ? kPages : 0));
	}
	EXPECT_EQ(paid(*second), pages(kPages, kPages));
	EXPECT_EQ(0, second->close(fd));
}

/* Attack: processes take the memory from each other while it comes and goes. */
TEST_F(ChangeProcessTest, InManyThreads)
{
	constexpr unsigned kRounds = 200;
	const auto second = limited(1001, 300);
	const int fd = share(*second);
	std::vector<std::thread> threads;
	std::atomic<unsigned> changes{0}, running{2};

	first_->setMemlockLimit(300 * kPage);
	ASSERT_EQ(0, device_->detach());
	ASSERT_EQ(0, mapFile(100, 0x4000000));
	threads.emplace_back([&] {
		for (unsigned i = 0; i < kRounds; i++) {
			EXPECT_EQ(0, mapFile());
			int rc;
			do
				rc = iommufd_->unmap(ioas_, kIova, kPages * kPage);
			while (rc == -EBUSY);
			EXPECT_EQ(0, rc);
		}
		running--;
	});
	threads.emplace_back([&] {
		for (unsigned i = 0; i < kRounds; i++) {
			EXPECT_EQ(0, device_->attachTo(ioas_));
			EXPECT_EQ(0, device_->detach());
		}
		running--;
	});
	const auto takesOver = [&](Caller &caller, int context) {
		do {
			const long ret = change(caller, context);

			EXPECT_TRUE(!ret || ret == -EBUSY) << ret;
			changes += !ret;
		} while (running);
	};

	threads.emplace_back([&] { takesOver(*first_, iommufd_->fd()); });
	threads.emplace_back([&] { takesOver(*second, fd); });
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_GT(changes, 0u);
	EXPECT_EQ(paid(*first_), pages(0, 0));
	EXPECT_EQ(paid(*second), pages(0, 0));
	EXPECT_EQ(0, device_->attachTo(ioas_));
	EXPECT_EQ(100u, first_->pinnedPages() + second->pinnedPages());
	EXPECT_EQ(100u, first_->lockedPages() + second->lockedPages());
	EXPECT_EQ(0, second->close(fd));
}

} // namespace kernel_iommufd
