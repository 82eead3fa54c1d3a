// SPDX-License-Identifier: Apache-2.0
/* Binding, attaching, replacing, detaching. */
#include <cerrno>

#include "fixture.h"

namespace kernel_iommufd
{

constexpr int kBlocked = 0, kUnmanaged = 1, kIdentity = 4;

/* IOMMUFD-DEV-1 */
TEST_F(KernelTest, ExclusiveBindBlocksTheGroup)
{
	Iommufd iommufd;
	MockDevice device(0);
	EXPECT_EQ(kIdentity, mock_rid_type(0));
	EXPECT_EQ(0, device.bind(iommufd));
	EXPECT_EQ(kBlocked, mock_rid_type(0));
	EXPECT_EQ(kIdentity, mock_rid_type(1));
	EXPECT_EQ(0, device.unbind());
	EXPECT_EQ(kIdentity, mock_rid_type(0));
}

/* IOMMUFD-DEV-1 */
TEST_F(KernelTest, BindErrors)
{
	Iommufd iommufd, other;
	MockDevice device(0), again(0);
	mock_config.coherent = 0;
	EXPECT_EQ(-EINVAL, device.bind(iommufd));
	EXPECT_EQ(-EINVAL, device.bind(iommufd, true));
	mock_config.coherent = 1;
	mock_config.isolated = 0;
	EXPECT_EQ(-EPERM, device.bind(iommufd));
	EXPECT_EQ(0, device.bind(iommufd, true));
	EXPECT_EQ(0, device.unbind());
	mock_config.isolated = 1;
	mock_config.regions[0] = {0x1000, 0x1000, 0};
	mock_config.nr_regions = 1;
	EXPECT_EQ(-EINVAL, device.bind(iommufd));
	mock_config.nr_regions = 0;
	EXPECT_EQ(0, device.bind(iommufd));
	/* The group belongs to the first context. */
	EXPECT_EQ(-EPERM, again.bind(other));
	EXPECT_EQ(kBlocked, mock_rid_type(0));
}

/* IOMMUFD-ATTACH-5 */
TEST_F(KernelTest, DevicesOfAGroupStayTogether)
{
	shutdown();
	mock_config.one_group = 1;
	reboot();
	Iommufd iommufd, other;
	MockDevice a(0), b(1), c(2);
	EXPECT_EQ(0, a.bind(iommufd));
	EXPECT_EQ(-EPERM, b.bind(other));
	EXPECT_EQ(0, b.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	const auto second = static_cast<uint32_t>(iommufd.allocIoas());
	uint32_t hwpt = ioas, same = ioas, different = second;
	EXPECT_EQ(0, a.attach(hwpt));
	/* The first device attaches all. For the others it is only recorded. */
	EXPECT_EQ(kUnmanaged, mock_rid_type(1));
	EXPECT_EQ(-EINVAL, b.attach(different));
	EXPECT_EQ(0, b.attach(same));
	EXPECT_EQ(hwpt, same);
	EXPECT_EQ(0, a.detach());
	EXPECT_EQ(kUnmanaged, mock_rid_type(0));
	/* A replace by one device moves all of them. */
	EXPECT_EQ(0, a.attach(same));
	uint32_t pt = second;
	EXPECT_EQ(0, b.attach(pt, 0, true));
	EXPECT_EQ(-ENOENT, iommufd.destroy(hwpt));
	EXPECT_EQ(-EBUSY, a.attach(pt));
	EXPECT_EQ(0, a.detach());
	EXPECT_EQ(0, b.detach());
	EXPECT_EQ(kBlocked, mock_rid_type(0));
	EXPECT_EQ(-ENOENT, iommufd.destroy(pt));
}

/* IOMMUFD-ATTACH-1 */
TEST_F(IoasTest, AttachErrors)
{
	uint32_t pt = 77;
	EXPECT_EQ(-ENOENT, device_->attach(pt));
	pt = 0;
	EXPECT_EQ(-ENOENT, device_->attach(pt));
	pt = device_->id();
	EXPECT_EQ(-EINVAL, device_->attach(pt));
	const uint32_t hwpt = attach();
	EXPECT_EQ(-EBUSY, device_->attachTo(ioas_));
	EXPECT_EQ(-EBUSY, device_->attachTo(hwpt));
	EXPECT_EQ(0, device_->detach());
	EXPECT_EQ(0, device_->detach());
	mock_config.fail_attach = 1;
	pt = ioas_;
	EXPECT_EQ(-ENOSPC, device_->attach(pt));
	EXPECT_EQ(kBlocked, mock_rid_type(0));
	EXPECT_EQ(0u, mock_counters.domains);
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
}

/* IOMMUFD-ATTACH-2 */
TEST_F(IoasTest, AutomaticPageTablesAreShared)
{
	MockDevice second(1), third(2);
	EXPECT_EQ(0, second.bind(*iommufd_));
	EXPECT_EQ(0, third.bind(*iommufd_));
	uint32_t a = ioas_, b = ioas_, c = ioas_;
	/* A table that a user allocated is never chosen automatically. */
	uint32_t explicitHwpt = 0;
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, 0, explicitHwpt));
	EXPECT_EQ(0, device_->attach(a));
	EXPECT_NE(explicitHwpt, a);
	EXPECT_EQ(0, second.attach(b));
	EXPECT_EQ(a, b);
	/* A device that the driver does not let share a table gets its own. */
	mock_config.picky_devices = 1U << 2;
	EXPECT_EQ(0, third.attach(c));
	EXPECT_NE(a, c);
	EXPECT_EQ(3u, mock_counters.domains);
	EXPECT_EQ(0, device_->detach());
	EXPECT_EQ(-EBUSY, iommufd_->destroy(a));
	EXPECT_EQ(0, second.detach());
	EXPECT_EQ(-ENOENT, iommufd_->destroy(a));
	EXPECT_EQ(2u, mock_counters.domains);
}

/* IOMMUFD-ATTACH-3 */
TEST_F(IoasTest, ReplaceBetweenAddressSpaces)
{
	Buffer memory(kPage);
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x1000));
	EXPECT_EQ(0, iommufd_->mapFixed(other, memory.address(), kPage, 0x2000));
	uint32_t pt = other;
	EXPECT_EQ(-EINVAL, device_->attach(pt, 0, true));
	mock_config.regions[0] = {0xfee00000, 0x100000, 3};
	mock_config.nr_regions = 1;
	const uint32_t first = attach();
	pt = ioas_;
	EXPECT_EQ(0, device_->attach(pt, 0, true));
	EXPECT_EQ(first, pt);
	pt = other;
	EXPECT_EQ(0, device_->attach(pt, 0, true));
	EXPECT_TRUE(entryAt(0, 0x2000).present && !entryAt(0, 0x1000).present);
	EXPECT_EQ(-ENOENT, iommufd_->destroy(first));
	/* The reserved region has moved with the device. */
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0xfee00000));
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(other, memory.address(), kPage, 0xfee00000));
	uint32_t back = ioas_;
	EXPECT_EQ(-EADDRINUSE, device_->attach(back, 0, true));
	EXPECT_TRUE(entryAt(0, 0x2000).present);
	/* The driver refuses: the old attachment and its reservations stay. */
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0xfee00000, kPage));
	mock_config.fail_attach = 1;
	EXPECT_EQ(-ENOSPC, device_->attach(back, 0, true));
	EXPECT_TRUE(entryAt(0, 0x2000).present);
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(other, memory.address(), kPage, 0xfee00000));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0xfee00000));
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
}

/* IOMMUFD-ATTACH-4 */
TEST_F(IoasTest, PasidRules)
{
	uint32_t plain = 0, pasid = 0, second = 0, pt;
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, 0, plain));
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, pasid));
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, second));
	EXPECT_EQ(0, device_->detach(5));
	/* A PASID can have neither an automatic table nor one without the PASID flag. */
	EXPECT_EQ(-EINVAL, device_->attachTo(ioas_, 5));
	EXPECT_EQ(-EINVAL, device_->attachTo(plain, 5));
	/* With such a table on the requester id no PASID can be attached, and the reverse. */
	EXPECT_EQ(0, device_->attachTo(plain));
	EXPECT_EQ(-EINVAL, device_->attachTo(pasid, 5));
	EXPECT_EQ(0, device_->detach());
	EXPECT_EQ(0, device_->attachTo(pasid, 5));
	EXPECT_EQ(-EINVAL, device_->attachTo(plain));
	EXPECT_EQ(-EINVAL, device_->attachTo(ioas_));
	EXPECT_EQ(0, device_->attachTo(second));
	pt = plain;
	EXPECT_EQ(-EINVAL, device_->attach(pt, 0, true));
	EXPECT_EQ(-EBUSY, device_->attachTo(pasid, 5));
	EXPECT_EQ(-EBUSY, device_->attachTo(ioas_, 5));
	EXPECT_EQ(-EINVAL, device_->attachTo(pasid, 1U << 20));
	EXPECT_EQ(-EINVAL, device_->attachTo(pasid, 0xffffffff));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(pasid));

	pt = second;
	EXPECT_EQ(-EINVAL, device_->attach(pt, 6, true));
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	EXPECT_EQ(0, iommufd_->destroy(pasid));
	pt = ioas_;
	EXPECT_EQ(-EINVAL, device_->attach(pt, 5, true));
	EXPECT_GE(mock_entries(0, 5), 0);
	EXPECT_EQ(0, device_->detach(5));
	EXPECT_EQ(-1, mock_entries(0, 5));
	pt = plain;
	EXPECT_EQ(0, device_->attach(pt, 0, true));
}

/* IOMMUFD-ATTACH-3 */
TEST_F(IoasTest, FailedPasidReplaceKeepsTheOldTable)
{
	uint32_t a = 0, b = 0;
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	Buffer memory(kPage);
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x1000));
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, a));
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), other, IOMMU_HWPT_ALLOC_PASID, b));
	EXPECT_EQ(0, device_->attachTo(a, 9));
	mock_config.fail_attach = 1;
	uint32_t pt = b;
	EXPECT_EQ(-ENOSPC, device_->attach(pt, 9, true));
	EXPECT_TRUE(entryAt(0, 0x1000, 9).present);
	EXPECT_EQ(-EBUSY, iommufd_->destroy(a));
	EXPECT_EQ(0, iommufd_->destroy(b));
}

/* IOMMUFD-ATTACH-4 */
TEST_F(IoasTest, DeviceWithoutPasids)
{
	uint32_t hwpt = 0;
	mock_config.max_pasids = 0;
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, hwpt));
	EXPECT_EQ(-EINVAL, device_->attachTo(hwpt, 1));
	EXPECT_EQ(0, device_->attachTo(hwpt));
}

/* IOMMUFD-DEV-2 */
TEST_F(KernelTest, SharedBindLeavesTheRequesterIdAlone)
{
	Iommufd ours, theirs;
	MockDevice a(0), b(0), c(0);
	ASSERT_EQ(0, a.bind(ours, true));
	ASSERT_EQ(0, b.bind(theirs, true));
	ASSERT_EQ(0, c.bind(ours, true));
	EXPECT_NE(a.id(), c.id());
	EXPECT_EQ(kIdentity, mock_rid_type(0));
	const auto ioas = static_cast<uint32_t>(ours.allocIoas());
	const auto theirIoas = static_cast<uint32_t>(theirs.allocIoas());
	uint32_t hwpt = 0, theirHwpt = 0;
	EXPECT_EQ(0, ours.hwpt(a.id(), ioas, IOMMU_HWPT_ALLOC_PASID, hwpt));
	EXPECT_EQ(0, theirs.hwpt(b.id(), theirIoas, IOMMU_HWPT_ALLOC_PASID, theirHwpt));
	EXPECT_EQ(-EPERM, a.attachTo(hwpt));
	EXPECT_EQ(-EPERM, a.attachTo(ioas));
	EXPECT_EQ(0, a.attachTo(hwpt, 1));
	/* Another bind of the device cannot take over the PASID. */
	EXPECT_EQ(-EBUSY, b.attachTo(theirHwpt, 1));
	EXPECT_EQ(-EBUSY, c.attachTo(hwpt, 1));
	EXPECT_EQ(0, b.attachTo(theirHwpt, 2));
	EXPECT_EQ(0, c.attachTo(hwpt, 3));
	EXPECT_EQ(0, b.detach(1));
	EXPECT_GE(mock_entries(0, 1), 0);
	/* Close in the worst order: the context first, then files that are in use. */
	ours.close();
	b.close();
	EXPECT_GE(mock_entries(0, 1), 0);
	EXPECT_EQ(-1, mock_entries(0, 2));
}

TEST_F(KernelTest, ExclusiveBindOfASharedDeviceIsTheDriversDecision)
{
	Iommufd iommufd;
	MockDevice shared(0), exclusive(0);
	EXPECT_EQ(0, shared.bind(iommufd, true));
	EXPECT_EQ(0, exclusive.bind(iommufd));
	EXPECT_EQ(kBlocked, mock_rid_type(0));
	EXPECT_EQ(0, exclusive.unbind());
	EXPECT_EQ(0, shared.unbind());
	EXPECT_EQ(kIdentity, mock_rid_type(0));
}

TEST_F(IoasTest, SoftwareMsiWindowIsRefused)
{
	mock_config.regions[0] = {0x8000000, 0x100000, 4};
	mock_config.nr_regions = 1;
	uint32_t pt = ioas_;
	EXPECT_EQ(-EOPNOTSUPP, device_->attach(pt));
	mock_config.nr_regions = 0;
	EXPECT_EQ(0, device_->attach(pt));
}

} // namespace kernel_iommufd
