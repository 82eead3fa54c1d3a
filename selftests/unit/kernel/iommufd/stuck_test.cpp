// SPDX-License-Identifier: Apache-2.0
/*
 * A thread waits for memory that never comes. It must hold no lock that another user, or the
 * removal of a device, needs. A driver that goes away calls detach and unbind.
 */
#include <cerrno>
#include <memory>
#include <thread>
#include <utility>

#include "../../../common/stuck_memory.h"
#include "fixture.h"

namespace kernel_iommufd
{

using wd::test::endsBefore;
using wd::test::StuckMemory;

class StuckTest : public IoasTest
{
protected:
	/** Remove the driver of device 0. */
	void removeDevice()
	{
		EXPECT_EQ(0, device_->detach());
		EXPECT_EQ(0, device_->unbind());
	}
	StuckMemory stuck_{4};
};

TEST_F(StuckTest, RangesAreWrittenWithoutALock)
{
	mock_config.regions[0] = {0xfee00000, 0x100000, 3};
	mock_config.nr_regions = 1;
	attach();
	iommu_ioas_iova_ranges cmd = {};
	cmd.size = sizeof(cmd);
	cmd.ioas_id = ioas_;
	cmd.num_iovas = 8;
	cmd.allowed_iovas = stuck_.address();
	std::thread reader([&] { EXPECT_EQ(0, iommufd_->ioctl(IOMMU_IOAS_IOVA_RANGES, &cmd)); });
	stuck_.waitTouched();
	EXPECT_TRUE(endsBefore(stuck_, [&] { removeDevice(); }));
	stuck_.release();
	reader.join();
	/* The ranges are those from the beginning of the call. */
	ASSERT_EQ(2u, cmd.num_iovas);
	EXPECT_EQ(0xfedfffffu, stuck_.as<iommu_iova_range>()[0].last);
	EXPECT_EQ(0xfef00000u, stuck_.as<iommu_iova_range>()[1].start);
}

TEST_F(StuckTest, MapHoldsNothing)
{
	attach();
	std::thread mapper(
		[&] { EXPECT_EQ(0, iommufd_->mapFixed(ioas_, stuck_.address(), 4 * kPage, 0)); });
	stuck_.waitTouched();
	Buffer memory(kPage);
	EXPECT_TRUE(endsBefore(stuck_, [&] {
		/* Other calls on the same address space do not wait. */
		MockDevice other(1);
		EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x10000));
		EXPECT_EQ(0, other.bind(*iommufd_));
		EXPECT_EQ(0, other.attachTo(ioas_));
		EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x10000, kPage));
		EXPECT_EQ(-EEXIST, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x1000));
		EXPECT_EQ(-EBUSY, iommufd_->unmap(ioas_, 0, 4 * kPage));
		EXPECT_EQ(0, other.detach());
		removeDevice();
	}));
	stuck_.release();
	mapper.join();
	/* The last page table has gone meanwhile, so nothing is pinned for the mapping. */
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, device_->bind(*iommufd_));
	attach();
	EXPECT_EQ(4u, Caller::self()->pinnedPages());
	EXPECT_TRUE(entryAt(0, 0x3000).present);
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, 4 * kPage));
}

/* A table is made while a MAP waits. In the end it has the mapping, too. */
TEST_F(StuckTest, TableThatComesMeanwhile)
{
	attach();
	std::thread mapper(
		[&] { EXPECT_EQ(0, iommufd_->mapFixed(ioas_, stuck_.address(), 4 * kPage, 0)); });
	stuck_.waitTouched();
	MockDevice other(1);
	uint32_t hwpt = 0;
	EXPECT_TRUE(endsBefore(stuck_, [&] {
		EXPECT_EQ(0, other.bind(*iommufd_));
		EXPECT_EQ(0, iommufd_->hwpt(other.id(), ioas_, 0, hwpt));
		EXPECT_EQ(0, other.attachTo(hwpt));
		EXPECT_FALSE(entryAt(1, 0x3000).present);
	}));
	stuck_.release();
	mapper.join();
	EXPECT_TRUE(entryAt(0, 0x3000).present);
	EXPECT_TRUE(entryAt(1, 0x3000).present);
	EXPECT_EQ(4u, Caller::self()->pinnedPages());
	removeDevice();
	EXPECT_TRUE(entryAt(1, 0x3000).present);
	EXPECT_EQ(4u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, other.detach());
	EXPECT_EQ(0, iommufd_->destroy(hwpt));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

TEST_F(StuckTest, TwoTablesAtOnce)
{
	uint32_t hwpts[2] = {};
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, stuck_.address(), 4 * kPage, 0));
	std::thread makers[2];
	for (unsigned i = 0; i < 2; i++)
		makers[i] = std::thread([&, i] {
			EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, 0, hwpts[i]));
		});
	stuck_.waitTouched(2);
	EXPECT_TRUE(endsBefore(stuck_, [&] { EXPECT_EQ(0, device_->unbind()); }));
	stuck_.release();
	for (std::thread &maker : makers)
		maker.join();
	EXPECT_NE(hwpts[0], hwpts[1]);
	EXPECT_EQ(4u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, iommufd_->destroy(hwpts[0]));
	EXPECT_EQ(4u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, iommufd_->destroy(hwpts[1]));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

TEST_F(StuckTest, AttachHoldsNothing)
{
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, stuck_.address(), 4 * kPage, 0));
	std::thread attacher([&] {
		uint32_t pt = ioas_;
		EXPECT_EQ(-EINVAL, device_->attach(pt)) << "it is gone";
	});
	stuck_.waitTouched();
	EXPECT_TRUE(endsBefore(stuck_, [&] { EXPECT_EQ(0, device_->unbind()); }));
	stuck_.release();
	attacher.join();
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, 4 * kPage));
}

/* An attach also pins mappings that are made while it waits. */
TEST_F(StuckTest, MappingThatComesMeanwhile)
{
	Buffer memory(2 * kPage);
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, stuck_.address(), 4 * kPage, 0));
	std::thread attacher([&] { EXPECT_EQ(0, device_->attachTo(ioas_)); });
	stuck_.waitTouched();
	EXPECT_TRUE(endsBefore(stuck_, [&] {
		EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), 2 * kPage, 0x10000));
		EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, 4 * kPage));
	}));
	stuck_.release();
	attacher.join();
	EXPECT_TRUE(entryAt(0, 0x11000).present);
	EXPECT_FALSE(entryAt(0, 0).present);
	EXPECT_EQ(2u, Caller::self()->pinnedPages());
}

/* Two copies of parts of one mapping. The one whose memory exists does not wait for the other. */
TEST_F(StuckTest, CopiesShareNoWait)
{
	const auto source = static_cast<uint32_t>(iommufd_->allocIoas());
	uint64_t iova = 0x1000;
	ASSERT_EQ(0, iommufd_->mapFixed(source, stuck_.address(), 4 * kPage, 0));
	stuck_.bring(0);
	attach();
	ASSERT_EQ(0, iommufd_->copy(ioas_, source, kPage, 0, kReadWrite | kFixed, iova));
	std::thread copier([&] {
		uint64_t at = 0x10000;
		EXPECT_EQ(0,
			  iommufd_->copy(ioas_, source, 3 * kPage, kPage, kReadWrite | kFixed, at));
	});
	stuck_.waitTouched();
	EXPECT_TRUE(endsBefore(stuck_, [&] {
		EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x1000, kPage));
		removeDevice();
	}));
	stuck_.release();
	copier.join();
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x10000, 3 * kPage));
	EXPECT_EQ(0, iommufd_->destroy(source));
}

/* Two threads pin the same memory at once: it is pinned and charged once in the end. */
TEST_F(StuckTest, TwoWhoPinTheSame)
{
	const auto source = static_cast<uint32_t>(iommufd_->allocIoas());
	ASSERT_EQ(0, iommufd_->mapFixed(source, stuck_.address(), 4 * kPage, 0));
	attach();
	std::thread copiers[2];
	for (unsigned i = 0; i < 2; i++)
		copiers[i] = std::thread([&, i] {
			uint64_t at = 0x10000 * (i + 1);
			EXPECT_EQ(0, iommufd_->copy(ioas_, source, (3 + i) * kPage, 0,
						    kReadWrite | kFixed, at));
		});
	stuck_.waitTouched(2);
	stuck_.release();
	for (std::thread &copier : copiers)
		copier.join();
	EXPECT_EQ(4u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x20000, 4 * kPage));
	EXPECT_EQ(3u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x10000, 3 * kPage));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

/**
 * A context with limits per process, and a second process that has it too. The second one attaches
 * a device to mappings of the first one whose pages do not come, and so holds the first one's mmap
 * lock for reading.
 */
class StuckLimitTest : public KernelTest
{
protected:
	static constexpr uint64_t kPages = 4;

	void SetUp() override
	{
		uint64_t on = 1;

		first_->setCapability(Capability::SysResource, true);
		context_ = std::make_unique<Iommufd>(first_);
		ASSERT_EQ(0,
			  context_->option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, on));
		fd_ = first_->dupTo(context_->fd(), *second_);
		attackers_ = std::make_unique<MockDevice>(2, second_);
		victims_ = std::make_unique<MockDevice>(3, first_);
		ASSERT_EQ(0, attackers_->bindFd(fd_));
		ASSERT_EQ(0, victims_->bind(*context_));
		ioas_ = static_cast<uint32_t>(context_->allocIoas());
		other_ = static_cast<uint32_t>(context_->allocIoas());
		ASSERT_EQ(0, victims_->attachTo(ioas_));
		ASSERT_EQ(0, context_->mapFixed(ioas_, memory_.address(), kPages * kPage, 0));
		ASSERT_EQ(0, context_->mapFixed(other_, stuck_.address(), kPage, 0));
	}
	void TearDown() override { end(); }
	void end()
	{
		attackers_.reset();
		victims_.reset();
		if (fd_ >= 0) {
			EXPECT_EQ(0, second_->close(std::exchange(fd_, -1)));
		}
		context_.reset();
	}
	/** Run @body while the attack goes on. */
	template <class Body>
	void underAttack(Body body)
	{
		std::thread attacker([&] {
			uint32_t pt = other_;

			EXPECT_EQ(0, attackers_->attach(pt));
		});

		stuck_.waitTouched();
		EXPECT_TRUE(endsBefore(stuck_, body));
		stuck_.release();
		attacker.join();
	}
	void untilLocked(uint64_t pages) const
	{
		while (first_->lockedPages() != pages)
			std::this_thread::yield();
	}

	StuckMemory stuck_{1};
	std::shared_ptr<Caller> first_ = limited(1000, 2 * kPages);
	std::shared_ptr<Caller> second_ = limited(1000, 2 * kPages);
	Buffer memory_{kPages * kPage};
	std::unique_ptr<Iommufd> context_;
	std::unique_ptr<MockDevice> attackers_, victims_;
	uint32_t ioas_ = 0, other_ = 0;
	int fd_ = -1;
};

/* IOMMUFD-PIN-4: the process pays less as soon as the lock is free. */
TEST_F(StuckLimitTest, UnmapDoesNotWait)
{
	underAttack([&] {
		EXPECT_EQ(0, context_->unmap(ioas_, 0, kPages * kPage));
		EXPECT_EQ(1u, first_->pinnedPages()) << "the page that is waited for";
	});
	untilLocked(1);
}

/* IOMMUFD-PIN-4 */
TEST_F(StuckLimitTest, RemovalDoesNotWait)
{
	underAttack([&] {
		EXPECT_EQ(0, victims_->detach());
		EXPECT_EQ(0, victims_->unbind());
	});
	untilLocked(1);
}

/* IOMMUFD-PIN-4 */
TEST_F(StuckLimitTest, APageGivenBackIsFreeForTheNextCharge)
{
	underAttack([&] { EXPECT_EQ(0, context_->unmap(ioas_, 0, kPages * kPage)); });
	EXPECT_EQ(0, context_->mapFixed(ioas_, memory_.address(), kPages * kPage, 0));
	EXPECT_EQ(0, context_->mapFixed(ioas_, memory_.address(), (kPages - 1) * kPage, 0x10000));
	EXPECT_EQ(-ENOMEM, context_->mapFixed(ioas_, memory_.address(), kPage, 0x20000));
	untilLocked(2 * kPages);
}

/* The context, and after it the module, end while the process owes. */
TEST_F(StuckLimitTest, NothingIsOwedInTheEnd)
{
	underAttack([&] { EXPECT_EQ(0, context_->unmap(ioas_, 0, kPages * kPage)); });
	end();
	shutdown();
	EXPECT_EQ(0u, first_->lockedPages());
}

} // namespace kernel_iommufd
