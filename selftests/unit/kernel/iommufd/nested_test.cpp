// SPDX-License-Identifier: Apache-2.0
/* Nested HWPTs: allocation, attach, replace, detach. */
#include <cerrno>

#include "fixture.h"

namespace kernel_iommufd
{

TEST_F(IoasTest, WithoutNestingInTheIommuThereAreNoNestedTables)
{
	uint32_t hwpt = 0, id = 0;
	EXPECT_EQ(-EOPNOTSUPP,
		  iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_NEST_PARENT, hwpt));
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, 0, hwpt));
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->nested(device_->id(), hwpt, 0x1000, id));
	EXPECT_EQ(0u, id);
}

/* IOMMUFD-HWPT-4 */
TEST_F(NestedTest, AllocationErrorsInOrder)
{
	iommu_hwpt_vtd_s1 s1 = {};
	s1.addr_width = 48;
	uint32_t plain = 0, automatic = attach(), id = 0;
	ASSERT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, plain));
	iommu_hwpt_alloc cmd = {};
	auto call = [&] {
		iommu_hwpt_alloc copy = cmd;
		copy.size = sizeof(copy);
		return iommufd_->ioctl(IOMMU_HWPT_ALLOC, &copy);
	};
	cmd.dev_id = device_->id();
	cmd.pt_id = parent_;
	cmd.data_type = IOMMU_HWPT_DATA_VTD_S1;
	cmd.data_len = sizeof(s1);
	cmd.data_uptr = reinterpret_cast<uint64_t>(&s1);
	cmd.fault_id = 77; /* ignored without the flag */
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0x1000, id));

	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	EXPECT_EQ(-ENOENT, call());
	cmd.fault_id = ioas_;
	EXPECT_EQ(-ENOENT, call());
	cmd.flags = 0;
	/* Types that the driver does not know, and data that it refuses. */
	s1.addr_width = 57;
	EXPECT_EQ(-EINVAL, call());
	s1.addr_width = 48;
	for (const uint32_t length : {1u, 23u, 25u, 64u, 65u}) {
		uint8_t bytes[128] = {};
		cmd.data_uptr = reinterpret_cast<uint64_t>(bytes);
		cmd.data_len = length;
		EXPECT_EQ(-EINVAL, call()) << length;
	}
	cmd.data_uptr = reinterpret_cast<uint64_t>(&s1);
	cmd.data_len = sizeof(s1);
	for (const uint32_t type : {uint32_t{IOMMU_HWPT_DATA_ARM_SMMUV3},
				    uint32_t{IOMMU_HWPT_DATA_AMD_GUEST}, 4u, 0xdeadu}) {
		cmd.data_type = type;
		EXPECT_EQ(-EOPNOTSUPP, call());
	}
	cmd.data_type = IOMMU_HWPT_DATA_VTD_S1;
	cmd.data_uptr = 0;
	EXPECT_EQ(-EFAULT, call());
	cmd.data_uptr = kMax - 8;
	EXPECT_EQ(-EFAULT, call());
	cmd.data_uptr = reinterpret_cast<uint64_t>(&s1);
	/* These tables are no parents. */
	for (const uint32_t pt : {plain, automatic}) {
		cmd.pt_id = pt;
		EXPECT_EQ(-EINVAL, call()) << pt;
	}
	for (const uint32_t flags : {1u, 2u, 16u, 0x80000000u}) {
		cmd.flags = flags;
		EXPECT_EQ(-EOPNOTSUPP, call()) << flags;
	}
	cmd.flags = 0;
	cmd.pt_id = parent_;
	cmd.data_type = IOMMU_HWPT_DATA_NONE;
	cmd.data_len = 0;
	EXPECT_EQ(-EOPNOTSUPP, call());
	/* A table on a nested one, on a device, on an unknown id. */
	cmd.data_type = IOMMU_HWPT_DATA_VTD_S1;
	cmd.data_len = sizeof(s1);
	for (const uint32_t pt : {id, device_->id(), 77u, 0u}) {
		cmd.pt_id = pt;
		EXPECT_EQ(-EINVAL, call()) << pt;
	}
	cmd.dev_id = ioas_;
	EXPECT_EQ(-ENOENT, call());
	cmd.data_len = 0;
	EXPECT_EQ(-EINVAL, call());
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, call());
	EXPECT_EQ(1u, mock_counters.tables);
}

/* IOMMUFD-HWPT-4 */
TEST_F(NestedTest, AParentCannotBeFaultCapable)
{
	FaultQueue queue(*iommufd_);
	iommu_hwpt_alloc cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID;
	cmd.dev_id = device_->id();
	cmd.pt_id = ioas_;
	cmd.fault_id = queue.id();
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->ioctl(IOMMU_HWPT_ALLOC, &cmd));
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_ALLOC, &cmd));
}

/* IOMMUFD-HWPT-5 */
TEST_F(NestedTest, WhatHoldsWhat)
{
	uint32_t id = 0;
	FaultQueue queue(*iommufd_);
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0x1000, id, 0, queue.id()));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(parent_));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(queue.id()));
	queue.close();
	EXPECT_EQ(-EBUSY, iommufd_->destroy(queue.id()));
	ASSERT_EQ(0, device_->attachTo(id));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(id));
	ASSERT_EQ(0, device_->detach());
	EXPECT_EQ(0, iommufd_->destroy(id));
	EXPECT_EQ(-ENOENT, iommufd_->destroy(id));
	EXPECT_EQ(0, iommufd_->destroy(queue.id()));
	EXPECT_EQ(0, iommufd_->destroy(parent_));
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
}

TEST_F(NestedTest, AttachByRequesterId)
{
	uint32_t a = 0, b = 0, pt = 0;
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xa000, a));
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xb000, b));
	ASSERT_EQ(0, device_->attachTo(a));
	EXPECT_EQ(0xa000, mock_table_at(0, 0));
	EXPECT_EQ(1, mock_rid_type(0));
	EXPECT_EQ(-EBUSY, device_->attachTo(b));
	/* Replace by another table, by the parent alone, and back. */
	pt = b;
	EXPECT_EQ(0, device_->attach(pt, 0, true));
	EXPECT_EQ(b, pt);
	EXPECT_EQ(0xb000, mock_table_at(0, 0));
	EXPECT_EQ(0, iommufd_->destroy(a));
	pt = parent_;
	EXPECT_EQ(0, device_->attach(pt, 0, true));
	EXPECT_EQ(-1, mock_table_at(0, 0));
	EXPECT_EQ(1, mock_rid_type(0));
	/* A replace that fails leaves the old table. */
	mock_config.fail_attach = 1;
	pt = b;
	EXPECT_EQ(-ENOSPC, device_->attach(pt, 0, true));
	EXPECT_EQ(-1, mock_table_at(0, 0));
	EXPECT_EQ(1, mock_rid_type(0));
	EXPECT_EQ(0, device_->attach(pt, 0, true));
	EXPECT_EQ(0, device_->detach());
	EXPECT_EQ(-1, mock_table_at(0, 0));
	EXPECT_EQ(0, mock_rid_type(0));
	mock_config.fail_attach = 1;
	EXPECT_EQ(-ENOSPC, device_->attachTo(b));
	EXPECT_EQ(0, mock_rid_type(0));
	EXPECT_EQ(0, iommufd_->destroy(b));
	/*
	 * The driver did each replace in one step: the bare parent was never attached in between.
	 */
	EXPECT_EQ(0u, mock_counters.by_core);
	EXPECT_EQ(3u, mock_counters.replaced);
}

TEST_F(NestedTest, AttachByPasid)
{
	uint32_t a = 0, b = 0, plain = 0, pt = 0;
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xa000, a, IOMMU_HWPT_ALLOC_PASID));
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xb000, b, IOMMU_HWPT_ALLOC_PASID));
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xc000, plain));
	EXPECT_EQ(-EINVAL, device_->attachTo(plain, 5));
	EXPECT_EQ(-EINVAL, device_->attachTo(a, 1 << 20));
	ASSERT_EQ(0, device_->attachTo(a, 5));
	EXPECT_EQ(0xa000, mock_table_at(0, 5));
	EXPECT_EQ(-EBUSY, device_->attachTo(b, 5));
	ASSERT_EQ(0, device_->attachTo(a, 6));
	/* If PASIDs are attached, the requester id's table needs the flag, too. */
	EXPECT_EQ(-EINVAL, device_->attachTo(plain));
	EXPECT_EQ(0, device_->attachTo(b));
	pt = plain;
	EXPECT_EQ(-EINVAL, device_->attach(pt, 0, true));
	EXPECT_EQ(0xb000, mock_table_at(0, 0));
	pt = parent_;
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	EXPECT_EQ(-1, mock_table_at(0, 5));
	mock_config.fail_attach = 1;
	pt = b;
	EXPECT_EQ(-ENOSPC, device_->attach(pt, 6, true));
	EXPECT_EQ(0xa000, mock_table_at(0, 6));
	pt = b;
	EXPECT_EQ(-EINVAL, device_->attach(pt, 7, true));
	EXPECT_EQ(0, device_->detach(5));
	EXPECT_EQ(0, device_->detach(6));
	EXPECT_EQ(0, device_->detach(6));
	EXPECT_EQ(-1, mock_table_at(0, 6));
	EXPECT_EQ(0, device_->detach());
}

/** IOMMUFD-DEV-2: several contexts nest at PASIDs of one device; a PASID belongs to the first. */
TEST_F(NestedTest, SharedDevice)
{
	Iommufd other;
	MockDevice shared(1), theirs(1);
	ASSERT_EQ(0, shared.bind(*iommufd_, true));
	ASSERT_EQ(0, theirs.bind(other, true));
	const auto ioas = static_cast<uint32_t>(other.allocIoas());
	uint32_t parent = 0, a = 0, b = 0;
	ASSERT_EQ(0, other.hwpt(theirs.id(), ioas, kParentFlags, parent));
	ASSERT_EQ(0, iommufd_->nested(shared.id(), parent_, 0xa000, a, IOMMU_HWPT_ALLOC_PASID));
	ASSERT_EQ(0, other.nested(theirs.id(), parent, 0xb000, b, IOMMU_HWPT_ALLOC_PASID));
	EXPECT_EQ(0, shared.attachTo(a, 5));
	EXPECT_EQ(-EBUSY, theirs.attachTo(b, 5));
	EXPECT_EQ(0, theirs.attachTo(b, 6));
	EXPECT_EQ(-EPERM, theirs.attachTo(b));
	/* An id of another context does not exist here. */
	EXPECT_EQ(-ENOENT, theirs.attachTo(77, 7));
	EXPECT_EQ(0xa000, mock_table_at(1, 5));
	EXPECT_EQ(0xb000, mock_table_at(1, 6));
	theirs.close();
	EXPECT_EQ(-1, mock_table_at(1, 6));
}

/**
 * IOMMUFD-ATTACH-6: the parent's IOAS keeps the reserved regions of a device free.
 */
TEST_F(NestedTest, ReservedRegionsGoToTheParentsIoas)
{
	Buffer memory(kPage);
	uint32_t id = 0, second = 0, nested = 0, pt = 0;
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	ASSERT_EQ(0, iommufd_->hwpt(device_->id(), other, kParentFlags, second));
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xa000, id));
	ASSERT_EQ(0, iommufd_->nested(device_->id(), second, 0xb000, nested));
	mock_config.regions[0] = {0xfee00000, 0x100000, 3};
	mock_config.nr_regions = 1;
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0xfee00000));
	EXPECT_EQ(-EADDRINUSE, device_->attachTo(id));
	ASSERT_EQ(0, iommufd_->unmap(ioas_, 0xfee00000, kPage));
	ASSERT_EQ(0, device_->attachTo(id));
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0xfee00000));
	EXPECT_EQ(0, iommufd_->mapFixed(other, memory.address(), kPage, 0xfee00000));
	pt = nested;
	EXPECT_EQ(-EADDRINUSE, device_->attach(pt, 0, true));
	EXPECT_EQ(0xa000, mock_table_at(0, 0));
	EXPECT_EQ(0, iommufd_->unmap(other, 0xfee00000, kPage));
	EXPECT_EQ(0, device_->attach(pt, 0, true));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0xfee00000));
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(other, memory.address(), kPage, 0xfee00000));
	EXPECT_EQ(0, device_->detach());
	EXPECT_EQ(0, iommufd_->mapFixed(other, memory.address(), kPage, 0xfee00000));
}

/** IOMMUFD-ATTACH-5: one group: the first device moves the requester ids of all. */
TEST_F(NestedTest, GroupsMoveTogether)
{
	device_.reset();
	iommufd_.reset();
	shutdown();
	mock_config.one_group = 1;
	reboot();
	Iommufd iommufd;
	MockDevice a(0), b(1);
	FaultQueue queue(iommufd), other(iommufd);
	ASSERT_EQ(0, a.bind(iommufd));
	ASSERT_EQ(0, b.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	uint32_t parent = 0, first = 0, second = 0;
	ASSERT_EQ(0, iommufd.hwpt(a.id(), ioas, kParentFlags, parent));
	ASSERT_EQ(0, iommufd.nested(a.id(), parent, 0xa000, first, 0, queue.id()));
	ASSERT_EQ(0, iommufd.nested(a.id(), parent, 0xb000, second, 0, other.id()));
	ASSERT_EQ(0, a.attachTo(first));
	for (unsigned device = 0; device < 4; device++)
		EXPECT_EQ(0xa000, mock_table_at(device, 0)) << device;
	EXPECT_EQ(1u, mock_counters.faults_enabled);
	ASSERT_EQ(0, b.attachTo(first));
	EXPECT_EQ(2u, mock_counters.faults_enabled);
	EXPECT_EQ(MOCK_TAKEN, request(0, 1, 1, 1));
	iommu_hwpt_pgfault record = {};
	ASSERT_EQ(40, queue.read(&record, 1));
	EXPECT_EQ(b.id(), record.dev_id);
	/* A replace by one device moves all, with their faults. */
	uint32_t pt = second;
	EXPECT_EQ(0, b.attach(pt, 0, true));
	for (unsigned device = 0; device < 4; device++)
		EXPECT_EQ(0xb000, mock_table_at(device, 0)) << device;
	/* Earlier requests can still be answered, once. */
	EXPECT_EQ(0u, answers(1));
	EXPECT_EQ(0, queue.answer(record.cookie));
	EXPECT_EQ(-EINVAL, queue.answer(record.cookie));
	EXPECT_EQ(1u, answers(1));
	EXPECT_EQ(MOCK_TAKEN, request(0, 2, 1, 0));
	EXPECT_TRUE(other.readable());
	EXPECT_FALSE(queue.readable());
	/* The replace fails at the last device: nothing has changed. */
	pt = first;
	mock_config.fail_attach = 4;
	EXPECT_EQ(-ENOSPC, a.attach(pt, 0, true));
	mock_config.fail_attach = 0;
	for (unsigned device = 0; device < 4; device++)
		EXPECT_EQ(0xb000, mock_table_at(device, 0)) << device;
	EXPECT_EQ(MOCK_TAKEN, request(0, 3, 1, 1));
	EXPECT_EQ(0, a.detach());
	EXPECT_EQ(0xb000, mock_table_at(0, 0));
	EXPECT_EQ(1u, mock_counters.faults_enabled);
	EXPECT_EQ(0, b.detach());
	EXPECT_EQ(-1, mock_table_at(0, 0));
}

} // namespace kernel_iommufd
