// SPDX-License-Identifier: Apache-2.0
/*
 * Memory of devices in an IOAS: dma-bufs, which their exporter can revoke. The exporter is the module
 * of tests.
 */
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <thread>
#include <vector>

#include "fixture.h"

namespace kernel_selftest
{

using wd::hostkernel::failNth;
using wd::hostkernel::FailPoint;

namespace
{

/** A dma-buf of the module of tests; closes its descriptor at the end. */
class DmaBuf
{
public:
	DmaBuf(const Iommufd &iommufd, uint32_t length) : iommufd_(iommufd)
	{
		auto cmd = command(IOMMU_TEST_OP_DMABUF_GET);

		cmd.dmabuf_get.length = length;
		cmd.dmabuf_get.open_flags = O_RDWR;
		fd_ = execute(iommufd.caller(), iommufd.fd(), cmd);
	}
	~DmaBuf() { close(); }
	DmaBuf(const DmaBuf &) = delete;
	DmaBuf &operator=(const DmaBuf &) = delete;

	/** -errno if it could not be made. */
	int fd() const { return fd_; }
	void close()
	{
		if (fd_ >= 0) {
			EXPECT_EQ(0, iommufd_.caller().close(fd_));
		}
		fd_ = -1;
	}
	int revoke(bool revoked) const { return revoke(fd_, revoked); }
	int revoke(int fd, bool revoked) const
	{
		auto cmd = command(IOMMU_TEST_OP_DMABUF_REVOKE);

		cmd.dmabuf_revoke.dmabuf_fd = fd;
		cmd.dmabuf_revoke.revoked = revoked;
		return execute(iommufd_.caller(), iommufd_.fd(), cmd);
	}

private:
	const Iommufd &iommufd_;
	int fd_;
};

class DmaBufTest : public AccessTest
{
protected:
	int map(const DmaBuf &buffer, uint64_t length, uint64_t iova = kIova,
		uint64_t start = 0) const
	{
		return iommufd_->mapFile(ioas_, buffer.fd(), start, length, iova);
	}
	/** Does the page table @hwpt have the page at @iova? It tracks dirty pages. */
	bool mapped(uint32_t hwpt, uint64_t iova) const
	{
		uint8_t bitmap = 1;
		auto cmd = command(IOMMU_TEST_OP_DIRTY, hwpt);

		cmd.dirty.iova = iova;
		cmd.dirty.length = cmd.dirty.page_size = kPage;
		cmd.dirty.uptr = reinterpret_cast<uintptr_t>(&bitmap);
		EXPECT_EQ(0, execute(iommufd_->caller(), iommufd_->fd(), cmd));
		uint64_t found = 0;
		iommu_hwpt_get_dirty_bitmap get = {};

		get.size = sizeof(get);
		get.hwpt_id = hwpt;
		get.iova = iova;
		get.length = get.page_size = kPage;
		get.data = reinterpret_cast<uintptr_t>(&found);
		EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
		return found;
	}
	/** A page table of the IOAS that tracks dirty pages. */
	uint32_t table(uint32_t device) const { return table(device, ioas_); }
	uint32_t table(uint32_t device, uint32_t ioas) const
	{
		uint32_t hwpt = 0;

		EXPECT_EQ(0, iommufd_->hwpt(device, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, hwpt));
		iommu_hwpt_set_dirty_tracking set = {};

		set.size = sizeof(set);
		set.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
		set.hwpt_id = hwpt;
		EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, &set));
		return hwpt;
	}
};

} // namespace

/* IOMMUFD-DMABUF-1 */
TEST_F(DmaBufTest, MapsWholePagesOfABufferWithoutCharge)
{
	auto caller = limited(1000, 1);
	Iommufd iommufd(caller);
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	DmaBuf buffer(iommufd, 8 * kPage);

	ASSERT_GE(buffer.fd(), 0);
	MockDevice device(iommufd, ioas);
	ASSERT_EQ(0, device.error);
	EXPECT_EQ(0, iommufd.mapFile(ioas, buffer.fd(), 0, 8 * kPage, kIova));
	EXPECT_EQ(0, iommufd.mapFile(ioas, buffer.fd(), 3 * kPage, 5 * kPage, 2 * kIova));
	EXPECT_EQ(0u, caller->pinnedPages());
	EXPECT_EQ(0, iommufd.unmap(ioas, kIova, 8 * kPage));
}

/* IOMMUFD-DMABUF-1: the buffer lives as long as a mapping. */
TEST_F(DmaBufTest, OutlivesItsDescriptor)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);
	MockDevice device(*iommufd_, ioas_);
	const uint32_t hwpt = table(device.device);

	ASSERT_EQ(0, map(buffer, 4 * kPage));
	buffer.close();
	EXPECT_TRUE(mapped(hwpt, kIova + 3 * kPage));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, 4 * kPage));
}

/* IOMMUFD-DMABUF-1 */
TEST_F(DmaBufTest, RefusesRangesOutsideOfTheBuffer)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);

	EXPECT_EQ(-EINVAL, map(buffer, 0));
	EXPECT_EQ(-EINVAL, map(buffer, 4 * kPage + 1));
	EXPECT_EQ(-EINVAL, map(buffer, kPage, kIova, 4 * kPage));
	EXPECT_EQ(-EINVAL, map(buffer, kPage, kIova, 5 * kPage));
	EXPECT_EQ(-EINVAL, map(buffer, kMax - 2 * kPage, kIova, kPage));
	EXPECT_EQ(-EOVERFLOW, map(buffer, kPage, kIova, kMax - 100));
	EXPECT_EQ(0, map(buffer, 4 * kPage));
	EXPECT_EQ(-EEXIST, map(buffer, kPage));
}

/* IOMMUFD-DMABUF-1 */
TEST_F(DmaBufTest, DriversCannotReachIt)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);
	uint64_t word = 0;
	uint32_t item = 0;

	ASSERT_EQ(0, map(buffer, 4 * kPage));
	Access access(*iommufd_, ioas_);
	ASSERT_EQ(0, access.error());
	EXPECT_EQ(-EINVAL, access.pin(kIova, kPage, item));
	EXPECT_EQ(-EINVAL, access.copy(kIova, &word, sizeof(word)));
	EXPECT_EQ(-EINVAL, access.copy(kIova, &word, sizeof(word), MOCK_ACCESS_WRITE));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, 4 * kPage));
}

/* IOMMUFD-DMABUF-1: with COPY another IOAS has the same buffer, and another process can take over
 * nothing of it. */
TEST_F(DmaBufTest, IsCopiedButNotTakenOver)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	iommu_ioas_change_process change = {};
	uint64_t iova = kIova;

	change.size = sizeof(change);
	ASSERT_EQ(0, map(buffer, 4 * kPage));
	EXPECT_EQ(0, iommufd_->copy(other, ioas_, 2 * kPage, kIova + kPage, kFixed | kReadWrite,
				    iova));
	EXPECT_EQ(-EINVAL, iommufd_->ioctl(IOMMU_IOAS_CHANGE_PROCESS, &change));
	EXPECT_EQ(0, buffer.revoke(true));
	EXPECT_EQ(0, iommufd_->unmap(other, kIova, 2 * kPage));
}

/* IOMMUFD-DMABUF-2: a revoke takes the memory from every page table, in every IOAS. */
TEST_F(DmaBufTest, ARevokeTakesItFromAllPageTables)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);
	MockDevice device(*iommufd_, ioas_);
	const uint32_t one = table(device.device), two = table(device.device);
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	MockDevice neighbour(*iommufd_, other);
	Buffer memory(kPage);
	uint64_t iova = kIova;

	ASSERT_EQ(0, map(buffer, 4 * kPage));
	ASSERT_EQ(0, mapBuffer(memory, kIova + 4 * kPage));
	ASSERT_EQ(0, iommufd_->copy(other, ioas_, 4 * kPage, kIova, kFixed | kReadWrite, iova));
	const uint32_t three = table(neighbour.device, other);
	for (uint32_t hwpt : {one, two, three})
		EXPECT_TRUE(mapped(hwpt, kIova + 2 * kPage));
	ASSERT_EQ(0, buffer.revoke(true));
	for (uint32_t hwpt : {one, two, three})
		EXPECT_FALSE(mapped(hwpt, kIova + 2 * kPage));
	EXPECT_TRUE(mapped(one, kIova + 4 * kPage)) << "other memory stays";
	EXPECT_FALSE(mapped(table(device.device), kIova)) << "a page table that comes later";
	EXPECT_EQ(-EEXIST, mapBuffer(memory)) << "the IOVA is taken as before";
	EXPECT_EQ(-ENODEV, map(buffer, kPage, 2 * kIova));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, 4 * kPage));
}

/* IOMMUFD-DMABUF-2: a copy that failed is in no IOAS, whatever becomes of that. */
TEST_F(DmaBufTest, AFailedCopyIsForgotten)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	Buffer memory(kPage);
	uint64_t iova = kIova;

	ASSERT_EQ(0, map(buffer, 4 * kPage));
	ASSERT_EQ(0, iommufd_->mapFixed(other, memory.address(), kPage, kIova));
	EXPECT_EQ(-EEXIST,
		  iommufd_->copy(other, ioas_, 4 * kPage, kIova, kFixed | kReadWrite, iova));
	EXPECT_EQ(0, iommufd_->destroy(other));
	EXPECT_EQ(0, buffer.revoke(true));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, 4 * kPage));
}

/* IOMMUFD-DMABUF-2: a buffer that comes back is mapped anew. */
TEST_F(DmaBufTest, ComesBackByANewMapping)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);
	MockDevice device(*iommufd_, ioas_);
	const uint32_t hwpt = table(device.device);

	ASSERT_EQ(0, map(buffer, 4 * kPage));
	ASSERT_EQ(0, buffer.revoke(true));
	ASSERT_EQ(0, buffer.revoke(false));
	EXPECT_FALSE(mapped(hwpt, kIova));
	EXPECT_FALSE(mapped(table(device.device), kIova));
	ASSERT_EQ(0, map(buffer, 2 * kPage, 2 * kIova, kPage));
	EXPECT_TRUE(mapped(hwpt, 2 * kIova + kPage));
	EXPECT_FALSE(mapped(hwpt, kIova)) << "the old mapping";
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, 4 * kPage));
	EXPECT_EQ(0, map(buffer, 4 * kPage));
	EXPECT_TRUE(mapped(hwpt, kIova));
	EXPECT_EQ(0, buffer.revoke(false)) << "each change takes it away";
	EXPECT_FALSE(mapped(hwpt, kIova));
}

/* IOMMUFD-DMABUF-1 */
TEST_F(DmaBufTest, TellsDescriptorsApart)
{
	DmaBuf buffer(*iommufd_, kPage);

	EXPECT_EQ(-EINVAL, buffer.revoke(iommufd_->fd(), true));
	EXPECT_EQ(-EBADF, buffer.revoke(12345, true));
	EXPECT_EQ(-EBADF, iommufd_->mapFile(ioas_, 12345, 0, kPage, kIova));
	EXPECT_EQ(-EINVAL, iommufd_->mapFile(ioas_, iommufd_->fd(), 0, kPage, kIova));
	EXPECT_EQ(-EINVAL, DmaBuf(*iommufd_, 0).fd());
	EXPECT_EQ(-EINVAL, DmaBuf(*iommufd_, 512 * kPage + 1).fd());
}

/* IOMMUFD-DMABUF-1 */
TEST_F(DmaBufTest, CannotBeCut)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);
	MockDevice device(*iommufd_, ioas_);
	const uint32_t hwpt = table(device.device);

	useType1();
	ASSERT_EQ(0, map(buffer, 4 * kPage));
	EXPECT_EQ(-EOPNOTSUPP, unmapPart(kIova, kPage));
	EXPECT_EQ(-EOPNOTSUPP, unmapPart(kIova + kPage, 3 * kPage));
	EXPECT_TRUE(mapped(hwpt, kIova) && mapped(hwpt, kIova + 3 * kPage));
	EXPECT_EQ(0, unmapPart(kIova, 4 * kPage));
}

/* IOMMUFD-NOIOMMU-2: the table does not matter for memory that is revoked. */
TEST_F(DmaBufTest, HasNoAddressAfterARevoke)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);
	iommu_ioas_noiommu_get_pa get = {};

	get.size = sizeof(get);
	get.ioas_id = ioas_;
	get.iova = kIova + kPage;
	get.length = 1;
	ASSERT_EQ(0, map(buffer, 4 * kPage));
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->ioctl(IOMMU_IOAS_NOIOMMU_GET_PA, &get));
	ASSERT_EQ(0, buffer.revoke(true));
	EXPECT_EQ(-EINVAL, iommufd_->ioctl(IOMMU_IOAS_NOIOMMU_GET_PA, &get));
	EXPECT_EQ(0u, get.out_phys);
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, 4 * kPage));
}

/* IOMMUFD-DMABUF-1: whatever allocation fails. */
TEST_F(DmaBufTest, LeavesNothingAfterAFailure)
{
	DmaBuf buffer(*iommufd_, 4 * kPage);
	MockDevice device(*iommufd_, ioas_);
	unsigned failures = 0;

	for (unsigned nth = 1;; nth++) {
		failNth(FailPoint::Allocation, nth);
		const int rc = map(buffer, 4 * kPage);

		failNth(FailPoint::Allocation, 0);
		if (!rc)
			break;
		ASSERT_EQ(-ENOMEM, rc) << nth;
		failures++;
	}
	EXPECT_GE(failures, 3u);
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, 4 * kPage));
	EXPECT_EQ(-ENOENT, iommufd_->unmap(ioas_, kIova, 4 * kPage));
}

/* IOMMUFD-DMABUF-2: after a revoke no table has the memory, whatever others do at the same time. */
TEST_F(DmaBufTest, RevokesBesideMapsAndPageTables)
{
	constexpr unsigned kRounds = 200;
	DmaBuf buffer(*iommufd_, 4 * kPage);
	MockDevice device(*iommufd_, ioas_);
	const uint32_t hwpt = table(device.device);
	std::atomic<bool> stop = false;
	std::vector<std::thread> threads;

	threads.emplace_back([&] {
		while (!stop) {
			map(buffer, 4 * kPage);
			iommufd_->unmap(ioas_, kIova, 4 * kPage);
		}
	});
	threads.emplace_back([&] {
		while (!stop) {
			uint32_t more = 0;

			if (!iommufd_->hwpt(device.device, ioas_, 0, more)) {
				EXPECT_EQ(0, iommufd_->destroy(more));
			}
		}
	});
	for (unsigned i = 0; i < kRounds; i++) {
		ASSERT_EQ(0, buffer.revoke(true));
		EXPECT_FALSE(mapped(hwpt, kIova + kPage));
		ASSERT_EQ(0, buffer.revoke(false));
	}
	stop = true;
	for (auto &thread : threads)
		thread.join();
}

} // namespace kernel_selftest
