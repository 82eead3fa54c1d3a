// SPDX-License-Identifier: Apache-2.0
/* HWPT_ALLOC and GET_HW_INFO. */
#include <cerrno>
#include <cstring>

#include "fixture.h"

namespace kernel_iommufd
{

/* IOMMUFD-HWPT-1, IOMMUFD-HWPT-2 */
TEST_F(IoasTest, HwptErrorsInOrder)
{
	iommu_hwpt_alloc cmd = {};
	cmd.size = sizeof(cmd);
	auto call = [&] {
		iommu_hwpt_alloc copy = cmd;
		return iommufd_->ioctl(IOMMU_HWPT_ALLOC, &copy);
	};
	cmd.dev_id = device_->id();
	cmd.pt_id = ioas_;
	cmd.data_type = IOMMU_HWPT_DATA_VTD_S1;
	cmd.data_len = 24;
	EXPECT_EQ(-EOPNOTSUPP, call());
	cmd.data_type = IOMMU_HWPT_DATA_NONE;
	cmd.data_len = 0;
	for (const uint32_t flags :
	     {IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING}) {
		cmd.flags = flags;
		EXPECT_EQ(-EOPNOTSUPP, call());
	}
	/* The kernel makes the table before it finds that the queue does not exist. */
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	cmd.fault_id = 77;
	EXPECT_EQ(-ENOENT, call());
	cmd.fault_id = ioas_;
	EXPECT_EQ(-ENOENT, call());
	cmd.flags = 16;
	EXPECT_EQ(-EOPNOTSUPP, call());
	/* An unknown id, and a device: neither can have a page table on it. */
	cmd.pt_id = 77;
	EXPECT_EQ(-EINVAL, call());
	cmd.pt_id = device_->id();
	EXPECT_EQ(-EINVAL, call());
	cmd.dev_id = ioas_;
	EXPECT_EQ(-ENOENT, call());
	cmd.data_len = 8;
	EXPECT_EQ(-EINVAL, call());
	cmd.data_type = IOMMU_HWPT_DATA_VTD_S1;
	cmd.data_len = 0;
	EXPECT_EQ(-EINVAL, call());
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, call());
	EXPECT_EQ(0u, mock_counters.domains);
}

/* As in Linux the kernel does not look at the second reserved word, nor at an id without its flag. */
TEST_F(IoasTest, HwptWordsThatNobodyLooksAt)
{
	iommu_hwpt_alloc cmd = {};

	cmd.size = sizeof(cmd);
	cmd.dev_id = device_->id();
	cmd.pt_id = ioas_;
	cmd.fault_id = 77;
	cmd.__reserved2 = 1;
	EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_ALLOC, &cmd));
	EXPECT_EQ(0, iommufd_->destroy(cmd.out_hwpt_id));
}

/* IOMMUFD-HWPT-3 */
TEST_F(IoasTest, HwptFollowsTheIoas)
{
	Buffer memory(4 * kPage);
	uint32_t first = 0, second = 0;
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x1000));
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, 0, first));
	/* Pinned although no device is attached. */
	EXPECT_EQ(1u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, second));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + kPage, kPage, 0x2000));
	EXPECT_EQ(2u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, device_->attachTo(second));
	EXPECT_TRUE(entryAt(0, 0x1000).present && entryAt(0, 0x2000).present);
	EXPECT_EQ(-EBUSY, iommufd_->destroy(second));
	EXPECT_EQ(0, iommufd_->destroy(first));
	EXPECT_EQ(2u, Caller::self()->pinnedPages());
	EXPECT_TRUE(entryAt(0, 0x2000).present);
	EXPECT_EQ(0, device_->detach());
	/* A user allocated it, so it stays after the detach. */
	EXPECT_EQ(2u, Caller::self()->pinnedPages());
	EXPECT_EQ(-EBUSY, iommufd_->destroy(ioas_));
	EXPECT_EQ(0, iommufd_->destroy(second));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
}

/* IOMMUFD-HWPT-2 */
TEST_F(IoasTest, HwptThatDoesNotFit)
{
	Buffer memory(kPage);
	uint32_t hwpt = 0;
	mock_config.pgsizes = 0x10000;
	EXPECT_EQ(-EINVAL, iommufd_->hwpt(device_->id(), ioas_, 0, hwpt));
	mock_config.pgsizes = 0x1000;
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), 0x800, 0x800));
	EXPECT_EQ(-EADDRINUSE, iommufd_->hwpt(device_->id(), ioas_, 0, hwpt));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	mock_config.aperture_end = 0xffff;
	EXPECT_EQ(0, iommufd_->allow(ioas_, {{0x8000, 0x10000}}));
	EXPECT_EQ(-EADDRINUSE, iommufd_->hwpt(device_->id(), ioas_, 0, hwpt));
	EXPECT_EQ(0, iommufd_->allow(ioas_, {}));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, 0x1000, kPage, 0));
	EXPECT_EQ(-EFAULT, iommufd_->hwpt(device_->id(), ioas_, 0, hwpt));
	EXPECT_EQ(0u, mock_counters.domains);
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, 0, hwpt));
	EXPECT_EQ(3u, hwpt);
}

/* IOMMUFD-OBJ-4 */
TEST_F(IoasTest, HwptAnswerThatCannotBeWritten)
{
	Buffer page(kPage);
	auto *cmd = reinterpret_cast<iommu_hwpt_alloc *>(page.data());
	*cmd = {};
	cmd->size = sizeof(*cmd);
	cmd->dev_id = device_->id();
	cmd->pt_id = ioas_;
	ASSERT_EQ(0, mprotect(page.data(), kPage, PROT_READ));
	EXPECT_EQ(-EFAULT, iommufd_->ioctl(IOMMU_HWPT_ALLOC, cmd));
	EXPECT_EQ(0u, mock_counters.domains);
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
}

/* IOMMUFD-MAP-6 */
TEST_F(IoasTest, DriverErrorLeavesNothingBehind)
{
	Buffer memory(8 * kPage);
	uint32_t a = 0, b = 0;
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, 0, a));
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, 0, b));
	EXPECT_EQ(0, device_->attachTo(a));
	/*
	 * The map fails in the first table, or in the second after it has succeeded in the first.
	 */
	for (unsigned nth = 1; nth <= 16; nth++) {
		mock_config.fail_map = nth;
		EXPECT_EQ(-ENOSPC, iommufd_->mapFixed(ioas_, memory.address(), 8 * kPage, 0x1000))
			<< nth;
		EXPECT_EQ(0, mock_entries(0, 0));
		EXPECT_EQ(0u, Caller::self()->pinnedPages());
	}
	mock_config.fail_map = 0;
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), 8 * kPage, 0x1000));
	/* Filling a new table fails half way: the others keep their mappings. */
	uint32_t c = 0;
	mock_config.fail_map = 5;
	EXPECT_EQ(-ENOSPC, iommufd_->hwpt(device_->id(), ioas_, 0, c));
	EXPECT_EQ(8, mock_entries(0, 0));
	EXPECT_EQ(8u, Caller::self()->pinnedPages());
}

class HwInfoTest : public IoasTest
{
protected:
	long call(uint32_t length, uint64_t pointer, uint32_t flags = 0, uint32_t type = 0)
	{
		info_ = {};
		info_.size = sizeof(info_);
		info_.dev_id = device_->id();
		info_.data_len = length;
		info_.data_uptr = pointer;
		info_.flags = flags;
		info_.in_data_type = type;
		return iommufd_->ioctl(IOMMU_GET_HW_INFO, &info_);
	}
	iommu_hw_info info_ = {};
};

/* IOMMUFD-INFO-1 */
TEST_F(HwInfoTest, BufferLengths)
{
	uint8_t buffer[64];
	for (const uint32_t length : {0u, 1u, 8u, 24u, 32u, 64u}) {
		memset(buffer, 0x55, sizeof(buffer));
		ASSERT_EQ(0, call(length, reinterpret_cast<uint64_t>(buffer)));
		EXPECT_EQ(24u, info_.data_len);
		EXPECT_EQ(static_cast<uint32_t>(IOMMU_HW_INFO_TYPE_INTEL_VTD), info_.out_data_type);
		EXPECT_EQ(20, info_.out_max_pasid_log2);
		EXPECT_EQ(8u, info_.out_capabilities);
		for (uint32_t i = 0; i < sizeof(buffer); i++)
			EXPECT_EQ(i >= length ? 0x55 : i < 24 ? 0xa0 + i : 0, buffer[i]) << i;
	}
	EXPECT_EQ(0, call(0, 0));
}

/* IOMMUFD-INFO-1 */
TEST_F(HwInfoTest, Errors)
{
	EXPECT_EQ(-EFAULT, call(8, 0));
	EXPECT_EQ(-EFAULT, call(0xffffffff, 0x1000));
	EXPECT_EQ(-EOPNOTSUPP, call(0, 0, 2));
	EXPECT_EQ(0, call(0, 0, IOMMU_HW_INFO_FLAG_INPUT_TYPE, IOMMU_HW_INFO_TYPE_DEFAULT));
	EXPECT_EQ(0, call(0, 0, IOMMU_HW_INFO_FLAG_INPUT_TYPE, IOMMU_HW_INFO_TYPE_INTEL_VTD));
	for (const uint32_t type : {IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
				    IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, IOMMU_HW_INFO_TYPE_AMD})
		EXPECT_EQ(-EOPNOTSUPP, call(0, 0, IOMMU_HW_INFO_FLAG_INPUT_TYPE, type)) << type;
	/* Without the flag the kernel ignores the type. */
	EXPECT_EQ(0, call(0, 0, 0, IOMMU_HW_INFO_TYPE_ARM_SMMUV3));
	for (unsigned byte = 0; byte < 3; byte++) {
		iommu_hw_info info = {};
		info.size = sizeof(info);
		info.__reserved[byte] = 1;
		EXPECT_EQ(-EOPNOTSUPP, iommufd_->ioctl(IOMMU_GET_HW_INFO, &info));
	}
	iommu_hw_info info = {};
	info.size = sizeof(info);
	info.dev_id = ioas_;
	EXPECT_EQ(-ENOENT, iommufd_->ioctl(IOMMU_GET_HW_INFO, &info));
	info.dev_id = device_->id();
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_GET_HW_INFO, info));
}

/* IOMMUFD-INFO-1 */
TEST_F(HwInfoTest, DriverThatSaysNothing)
{
	uint8_t buffer[8];
	memset(buffer, 0x55, sizeof(buffer));
	mock_config.hw_info_len = 0;
	EXPECT_EQ(0, call(sizeof(buffer), reinterpret_cast<uint64_t>(buffer)));
	EXPECT_EQ(0u, info_.data_len + info_.out_max_pasid_log2);
	EXPECT_EQ(static_cast<uint32_t>(IOMMU_HW_INFO_TYPE_NONE), info_.out_data_type);
	for (const uint8_t byte : buffer)
		EXPECT_EQ(0, byte);
}

/**
 * IOMMUFD-HWPT-6: HWPTs with the same mappings share one page table in the IOMMU.
 */
TEST_F(IoasTest, TablesOfAnAddressSpaceThatAreAlikeAreShared)
{
	constexpr unsigned kCount = 50;
	mock_config.serves = 1;
	Buffer memory(2 * kPage);
	MockDevice second(1);
	EXPECT_EQ(0, second.bind(*iommufd_));
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x1000));
	std::vector<uint32_t> hwpts(kCount);
	for (unsigned i = 0; i < kCount; i++) {
		ASSERT_EQ(0,
			  iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, hwpts[i]));
		ASSERT_EQ(0, device_->attachTo(hwpts[i], i));
	}
	EXPECT_EQ(1u, mock_counters.domains);
	EXPECT_EQ(1u, mock_counters.map_calls);
	/* Another IOAS has its own table, and so has a device that cannot share it. */
	uint32_t other = 0, theirs = 0;
	const auto ioas = static_cast<uint32_t>(iommufd_->allocIoas());
	ASSERT_EQ(0, iommufd_->hwpt(device_->id(), ioas, IOMMU_HWPT_ALLOC_PASID, other));
	ASSERT_EQ(0, iommufd_->hwpt(second.id(), ioas_, IOMMU_HWPT_ALLOC_PASID, theirs));
	EXPECT_EQ(3u, mock_counters.domains);
	/* Nevertheless each HWPT is an object of its own. */
	EXPECT_EQ(-EBUSY, iommufd_->destroy(hwpts[7]));
	ASSERT_EQ(0, device_->detach(7));
	EXPECT_EQ(0, iommufd_->destroy(hwpts[7]));
	EXPECT_FALSE(entryAt(0, 0x1000, 7).present);
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + kPage, kPage, 0x2000));
	for (unsigned i = 0; i < kCount; i++)
		EXPECT_EQ(i != 7, entryAt(0, 0x2000, i).present) << i;
	uint32_t pt = hwpts[3];
	EXPECT_EQ(0, device_->attach(pt, 4, true));
	EXPECT_EQ(0, iommufd_->destroy(hwpts[4]));
	EXPECT_TRUE(entryAt(0, 0x2000, 4).present);
	for (unsigned i = 0; i < kCount; i++)
		EXPECT_EQ(0, device_->detach(i));
	for (unsigned i = 0; i < kCount; i++)
		EXPECT_EQ(i == 7 || i == 4 ? -ENOENT : 0, iommufd_->destroy(hwpts[i])) << i;
	EXPECT_EQ(2u, mock_counters.domains);
	/* A table that could not be filled is not shared. */
	mock_config.fail_map = 1;
	EXPECT_EQ(-ENOSPC, iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, hwpts[0]));
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, hwpts[0]));
	EXPECT_EQ(0, device_->attachTo(hwpts[0], 1));
	EXPECT_TRUE(entryAt(0, 0x1000, 1).present && entryAt(0, 0x2000, 1).present);
	EXPECT_EQ(3u, mock_counters.domains);
}

} // namespace kernel_iommufd
