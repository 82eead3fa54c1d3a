// SPDX-License-Identifier: Apache-2.0
/*
 * Whole sequences with the 1st, 2nd, 3rd ... allocation, copy or pin failing. For each failure the
 * error is a documented one, nothing leaks, and the next run works.
 */
#include <cerrno>
#include <cstring>
#include <functional>

#include "fixture.h"

namespace kernel_iommufd
{

using wd::hostkernel::failNth;

class FailTest : public KernelTest
{
protected:
	/** Run @sequence with the 1st, 2nd, ... call of @point failing, until no call fails. */
	void sweep(FailPoint point, int error, const std::function<int()> &sequence,
		   const std::function<void()> &cleanup = {})
	{
		for (uint64_t nth = 1; nth < 1000; nth++) {
			const uint64_t domains = mock_counters.domains;
			failNth(point, nth);
			const int rc = sequence();
			const uint64_t calls = failNth(point, 0);
			if (cleanup)
				cleanup();
			ASSERT_EQ(0u, Caller::self()->pinnedPages()) << nth;
			ASSERT_EQ(domains, mock_counters.domains) << nth;
			if (calls < nth) {
				ASSERT_EQ(0, rc);
				ASSERT_GT(nth, 1u) << "the sequence never met the fail point";
				return;
			}
			ASSERT_TRUE(rc == error || rc == 0) << nth << ": " << rc;
		}
		FAIL() << "does not end";
	}
	Buffer memory_{64 * kPage};
};

/* Allocate an IOAS. @return its id, or 0; then @rc has the error. */
uint32_t ioasOf(const Iommufd &iommufd, int &rc)
{
	const int64_t id = iommufd.allocIoas();
	rc = id < 0 ? static_cast<int>(id) : 0;
	return id < 0 ? 0 : static_cast<uint32_t>(id);
}

TEST_F(FailTest, MapCopyUnmapWithoutPageTable)
{
	Iommufd iommufd;
	uint32_t ioas = 0;
	auto sequence = [&] {
		int rc = 0;
		ioas = ioasOf(iommufd, rc);
		uint64_t iova = 0, copy = 0;
		if (!rc)
			rc = iommufd.allow(ioas, {{0x1000, 0xfffff}, {0x200000, 0x2fffff}});
		if (!rc)
			rc = iommufd.map(ioas, memory_.address(), 8 * kPage, kReadWrite, iova);
		if (!rc)
			rc = iommufd.copy(ioas, ioas, 4 * kPage, iova, kRead, copy);
		if (!rc)
			rc = iommufd.unmap(ioas, iova, 8 * kPage);
		return rc;
	};
	auto cleanup = [&] {
		EXPECT_EQ(ioas ? 0 : -ENOENT, iommufd.destroy(ioas));
		EXPECT_EQ(-ENOENT, iommufd.destroy(1));
	};
	sweep(FailPoint::Allocation, -ENOMEM, sequence, cleanup);
	sweep(FailPoint::CopyUser, -EFAULT, sequence, cleanup);
}

/*
 * A copy uses pages 1 to 3, which other segments have, and then cannot split the segment of pages 4
 * to 7. If it kept its count of the first ones they would stay pinned.
 */
TEST_F(FailTest, CopyThatCutsSegments)
{
	Iommufd iommufd;
	MockDevice device(0);
	ASSERT_EQ(0, device.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	ASSERT_EQ(0, device.attachTo(ioas));
	auto sequence = [&] {
		uint64_t iova = 0x10000, middle = 0x100000, cut = 0x200000;
		int rc = iommufd.map(ioas, memory_.address(), 8 * kPage, kReadWrite | kFixed, iova);
		if (!rc)
			rc = iommufd.copy(ioas, ioas, 2 * kPage, iova + 2 * kPage, kRead | kFixed,
					  middle);
		if (!rc)
			rc = iommufd.copy(ioas, ioas, 5 * kPage, iova + kPage, kRead | kFixed, cut);
		return rc;
	};
	sweep(FailPoint::Allocation, -ENOMEM, sequence,
	      [&] { EXPECT_EQ(0, iommufd.unmap(ioas, 0, kMax)); });
}

TEST_F(FailTest, BindAttachMapUnmap)
{
	for (unsigned i = 0; i < 64; i += 2)
		ASSERT_EQ(0, mprotect(memory_.data() + i * kPage, kPage, PROT_READ | PROT_WRITE));
	auto sequence = [&] {
		Iommufd iommufd;
		MockDevice device(0), second(1);
		int rc = 0;
		const uint32_t ioas = ioasOf(iommufd, rc);
		uint64_t iova = 0;
		uint32_t pt = ioas, hwpt = 0;
		if (!rc)
			rc = iommufd.map(ioas, memory_.address(), 64 * kPage, kReadWrite, iova);
		if (!rc)
			rc = device.bind(iommufd);
		if (!rc)
			rc = device.attach(pt);
		if (!rc)
			rc = iommufd.hwpt(device.id(), ioas, IOMMU_HWPT_ALLOC_PASID, hwpt);
		if (!rc)
			rc = iommufd.map(ioas, memory_.address(), 3 * kPage, kReadWrite, iova);
		if (!rc)
			rc = second.bind(iommufd, true);
		if (!rc)
			rc = second.attachTo(hwpt, 7);
		pt = hwpt;
		if (!rc)
			rc = device.attach(pt, 0, true);
		if (!rc)
			rc = iommufd.unmap(ioas, 0, kMax);
		return rc;
	};
	/* The sweep of allocations begins after open(), which can fail, too. */
	sweep(FailPoint::CopyUser, -EFAULT, sequence);
	sweep(FailPoint::Pin, -EFAULT, sequence);
}

TEST_F(FailTest, AllocationsWithPageTables)
{
	mock_config.regions[0] = {0xfee00000, 0x100000, 3};
	mock_config.nr_regions = 1;
	Iommufd iommufd;
	MockDevice device(0), second(1);
	/*
	 * Bind once before: the core makes the group's blocking domain at the first bind, and keeps
	 * it.
	 */
	ASSERT_EQ(0, device.bind(iommufd));
	ASSERT_EQ(0, device.unbind());
	sweep(FailPoint::Allocation, -ENOMEM, [&] {
		int rc = device.bind(iommufd);
		if (rc)
			return rc;
		const uint32_t ioas = ioasOf(iommufd, rc);
		uint64_t iova = 0, copy = 0;
		uint32_t pt = ioas, hwpt = 0;
		if (!rc)
			rc = iommufd.map(ioas, memory_.address(), 32 * kPage, kReadWrite, iova);
		if (!rc)
			rc = device.attach(pt);
		if (!rc)
			rc = iommufd.hwpt(device.id(), ioas, IOMMU_HWPT_ALLOC_PASID, hwpt);
		if (!rc)
			rc = iommufd.copy(ioas, ioas, 5 * kPage, iova + 7 * kPage, kRead, copy);
		if (!rc)
			rc = iommufd.map(ioas, memory_.address(), 3 * kPage, kReadWrite, iova);
		pt = hwpt;
		if (!rc)
			rc = device.attach(pt, 0, true);
		if (!rc)
			rc = device.attachTo(hwpt, 3);
		if (!rc)
			rc = iommufd.unmap(ioas, iova, 3 * kPage);
		/* From here on nothing may need memory. */
		EXPECT_EQ(0, device.detach(3));
		EXPECT_EQ(0, device.detach());
		EXPECT_EQ(0, device.unbind());
		if (ioas) {
			EXPECT_EQ(0, iommufd.unmap(ioas, 0, kMax));
			EXPECT_EQ(hwpt ? 0 : -ENOENT, iommufd.destroy(hwpt));
			EXPECT_EQ(0, iommufd.destroy(ioas));
		}
		return rc;
	});
}

TEST_F(IoasTest, UnmapAndDestroyNeedNoMemory)
{
	Buffer memory(64 * kPage);
	attach();
	uint64_t iova = 0, copy = 0;
	ASSERT_EQ(0, iommufd_->map(ioas_, memory.address(), 64 * kPage, kReadWrite, iova));
	for (unsigned i = 0; i < 8; i++)
		ASSERT_EQ(0, iommufd_->copy(ioas_, ioas_, 5 * kPage, iova + i * 7 * kPage, kRead,
					    copy));
	failNth(FailPoint::Allocation, 1);
	EXPECT_EQ(0, iommufd_->unmap(ioas_, iova, 64 * kPage));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	EXPECT_EQ(0, device_->detach());
	EXPECT_EQ(0, device_->unbind());
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
	EXPECT_EQ(0u, failNth(FailPoint::Allocation, 0));
}

} // namespace kernel_iommufd
