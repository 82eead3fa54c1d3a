// SPDX-License-Identifier: Apache-2.0
/*
 * The hardware of the module of tests, which upstream's tests of /dev/iommu use: here in the hosted
 * kernel, and in the hands of a hostile program.
 */
#include <cerrno>
#include <vector>

#include "fixture.h"

namespace kernel_selftest
{

class MockTest : public AccessTest
{
protected:
	int run(iommu_test_cmd &cmd) const { return execute(*Caller::self(), iommufd_->fd(), cmd); }
	int run(iommu_test_cmd &&cmd) const { return run(cmd); }
	int checkMap(uint32_t hwpt, uint64_t iova, const void *memory, uint64_t length) const
	{
		auto cmd = command(IOMMU_TEST_OP_MD_CHECK_MAP, hwpt);

		cmd.check_map.iova = iova;
		cmd.check_map.length = length;
		cmd.check_map.uptr = reinterpret_cast<uintptr_t>(memory);
		return run(cmd);
	}
	int checkRefs(const void *memory, uint64_t length, uint32_t refs) const
	{
		auto cmd = command(IOMMU_TEST_OP_MD_CHECK_REFS);

		cmd.check_refs.length = length;
		cmd.check_refs.uptr = reinterpret_cast<uintptr_t>(memory);
		cmd.check_refs.refs = refs;
		return run(cmd);
	}
	int pasid(uint32_t op, const MockDevice &device, uint32_t pasid, uint32_t pt) const
	{
		auto cmd = command(op, device.id);

		cmd.pasid.pasid = pasid;
		cmd.pasid.pt_id = pt;
		return run(cmd);
	}
	int hwpt(const MockDevice &device, uint32_t pt, uint32_t flags, uint32_t &id,
		 const iommu_hwpt_selftest *data = nullptr) const
	{
		iommu_hwpt_alloc cmd = {};

		cmd.size = sizeof(cmd);
		cmd.flags = flags;
		cmd.dev_id = device.device;
		cmd.pt_id = pt;
		cmd.data_type = data ? IOMMU_HWPT_DATA_SELFTEST : 0;
		cmd.data_len = data ? sizeof(*data) : 0;
		cmd.data_uptr = reinterpret_cast<uintptr_t>(data);
		const auto rc = static_cast<int>(iommufd_->ioctl(IOMMU_HWPT_ALLOC, &cmd));
		id = cmd.out_hwpt_id;
		return rc;
	}
};

TEST_F(MockTest, BadCommands)
{
	auto cmd = command(12345);

	EXPECT_EQ(-EOPNOTSUPP, run(cmd));
	cmd.size = 60;
	EXPECT_EQ(-EINVAL, run(cmd));
	EXPECT_EQ(-ENOENT, run(command(IOMMU_TEST_OP_MOCK_DOMAIN, 777)));
	EXPECT_EQ(-ENOENT, run(command(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, ioas_)));
	EXPECT_EQ(-EBADFD, run(command(IOMMU_TEST_OP_ACCESS_PAGES, 777)));
	EXPECT_EQ(-EBADFD,
		  run(command(IOMMU_TEST_OP_ACCESS_RW, static_cast<uint32_t>(iommufd_->fd()))));
	EXPECT_EQ(-EINVAL, MockDevice(*iommufd_, ioas_, 1 << 1).error);
	cmd = command(IOMMU_TEST_OP_ADD_RESERVED, ioas_);
	EXPECT_EQ(-EINVAL, run(cmd));
	cmd.add_reserved = {kMax, kPage};
	EXPECT_EQ(-EOVERFLOW, run(cmd));
}

TEST_F(MockTest, MapsAreInThePageTable)
{
	Buffer memory(4 * kPage);
	MockDevice device(*iommufd_, ioas_);

	ASSERT_EQ(0, device.error);
	ASSERT_EQ(0, mapBuffer(memory));
	EXPECT_EQ(0, checkMap(device.hwpt, kIova, memory.data(), 4 * kPage));
	EXPECT_EQ(-EINVAL, checkMap(device.hwpt, kIova, memory.data() + kPage, kPage));
	EXPECT_EQ(-EINVAL, checkMap(device.hwpt, kIova + 5, memory.data() + 5, kPage));
	EXPECT_EQ(-ENOENT, checkMap(ioas_, kIova, memory.data(), kPage));
	EXPECT_EQ(0, checkRefs(memory.data(), 4 * kPage, 1));
	EXPECT_EQ(-EIO, checkRefs(memory.data(), 4 * kPage, 2));
	EXPECT_EQ(0, iommufd_->destroy(device.id));
	EXPECT_EQ(0, checkRefs(memory.data(), 4 * kPage, 0));
	EXPECT_EQ(0u, pinned());
}

/* A device goes with its context, with what is attached to it. */
TEST_F(MockTest, GoesWithTheContext)
{
	Buffer memory(kPage);
	MockDevice device(*iommufd_, ioas_, MOCK_FLAGS_DEVICE_PASID);
	uint32_t table = 0;

	ASSERT_EQ(0, device.error);
	ASSERT_EQ(0, mapBuffer(memory));
	ASSERT_EQ(0, hwpt(device, ioas_, IOMMU_HWPT_ALLOC_PASID, table));
	EXPECT_EQ(-EINVAL, pasid(IOMMU_TEST_OP_PASID_ATTACH, device, 3, table))
		<< "the requester id has another kind of table";
	auto cmd = command(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, device.id);
	cmd.mock_domain_replace.pt_id = table;
	ASSERT_EQ(0, run(cmd));
	ASSERT_EQ(0, pasid(IOMMU_TEST_OP_PASID_ATTACH, device, 3, table));
	EXPECT_EQ(0, pasid(IOMMU_TEST_OP_PASID_CHECK_HWPT, device, 3, table));
	EXPECT_EQ(-EINVAL, pasid(IOMMU_TEST_OP_PASID_CHECK_HWPT, device, 3, 0));
	EXPECT_EQ(-EBUSY, pasid(IOMMU_TEST_OP_PASID_ATTACH, device, 3, table));
	iommufd_->close();
	EXPECT_EQ(0u, pinned());
}

TEST_F(MockTest, NestedTables)
{
	MockDevice device(*iommufd_, ioas_);
	const iommu_hwpt_selftest data = {.iotlb = 0xbeef, .pagetable_type = 0};
	iommu_hwpt_invalidate_selftest entries[2] = {{0, 1}, {0, 9}};
	uint32_t parent = 0, nested = 0, count = 2;
	auto cmd = command(IOMMU_TEST_OP_MD_CHECK_IOTLB);

	ASSERT_EQ(0, hwpt(device, ioas_, IOMMU_HWPT_ALLOC_NEST_PARENT, parent));
	ASSERT_EQ(0, hwpt(device, parent, 0, nested, &data));
	EXPECT_EQ(-EINVAL, iommufd_->invalidate(nested, entries, sizeof(entries[0]), count,
						IOMMU_HWPT_INVALIDATE_DATA_SELFTEST));
	EXPECT_EQ(1u, count) << "the second entry has no such slot";
	cmd.id = nested;
	cmd.check_iotlb = {1, 0};
	EXPECT_EQ(0, run(cmd));
	cmd.check_iotlb = {2, 0xbeef};
	EXPECT_EQ(0, run(cmd));
	cmd.check_iotlb = {4, 0xbeef};
	EXPECT_EQ(-EINVAL, run(cmd));
}

TEST_F(MockTest, DirtyPages)
{
	Buffer memory(4 * kPage);
	MockDevice device(*iommufd_, ioas_);
	uint32_t table = 0, none = 0;
	uint8_t set = 0b00100001, got = 0;
	iommu_hwpt_get_dirty_bitmap read = {};
	auto cmd = command(IOMMU_TEST_OP_DIRTY);

	ASSERT_EQ(0, mapBuffer(memory));
	ASSERT_EQ(0, hwpt(device, ioas_, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, table));
	ASSERT_EQ(0, hwpt(device, ioas_, 0, none));
	cmd.id = table;
	cmd.dirty.iova = kIova;
	cmd.dirty.length = 4 * kPage;
	cmd.dirty.page_size = MOCK_PAGE_SIZE;
	cmd.dirty.uptr = reinterpret_cast<uintptr_t>(&set);
	ASSERT_EQ(0, run(cmd));
	EXPECT_EQ(2u, cmd.dirty.out_nr_dirty);
	read.size = sizeof(read);
	read.hwpt_id = table;
	read.iova = kIova;
	read.length = 4 * kPage;
	read.page_size = MOCK_PAGE_SIZE;
	read.data = reinterpret_cast<uintptr_t>(&got);
	EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, &read));
	EXPECT_EQ(set, got);
	got = 0;
	EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, &read));
	EXPECT_EQ(0, got) << "clean by now";
	cmd.id = none;
	EXPECT_EQ(-EINVAL, run(cmd));
	EXPECT_EQ(-EOPNOTSUPP, hwpt(MockDevice(*iommufd_, ioas_, MOCK_FLAGS_DEVICE_NO_DIRTY), ioas_,
				    IOMMU_HWPT_ALLOC_DIRTY_TRACKING, none));
}

} // namespace kernel_selftest
