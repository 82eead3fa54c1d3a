/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual IOMMU of the module of tests, on a nesting parent of a device that is attached. */
#pragma once

#include <memory>

#include "fixture.h"

namespace kernel_selftest
{

class ViommuTest : public AccessTest
{
protected:
	ViommuTest() : device_(std::make_unique<MockDevice>(*iommufd_, ioas_))
	{
		parent_ = table(ioas_, IOMMU_HWPT_ALLOC_NEST_PARENT, false);
		viommu_ = alloc();
	}
	~ViommuTest() override { iommufd_->close(); }
	uint32_t alloc(iommu_viommu_selftest *data = nullptr) const
	{
		iommu_viommu_alloc cmd = {};

		cmd.size = sizeof(cmd);
		cmd.type = IOMMU_VIOMMU_TYPE_SELFTEST;
		cmd.dev_id = device_->device;
		cmd.hwpt_id = parent_;
		cmd.data_len = data ? sizeof(*data) : 0;
		cmd.data_uptr = reinterpret_cast<uintptr_t>(data);
		EXPECT_EQ(0, iommufd_->ioctl(IOMMU_VIOMMU_ALLOC, &cmd));
		return cmd.out_viommu_id;
	}
	/** A page table for the device on @pt. */
	uint32_t table(uint32_t pt, uint32_t flags, bool nested) const
	{
		const iommu_hwpt_selftest data = {.iotlb = 1, .pagetable_type = 0};
		iommu_hwpt_alloc cmd = {};

		cmd.size = sizeof(cmd);
		cmd.flags = flags;
		cmd.dev_id = device_->device;
		cmd.pt_id = pt;
		cmd.data_type = nested ? IOMMU_HWPT_DATA_SELFTEST : 0;
		cmd.data_len = nested ? sizeof(data) : 0;
		cmd.data_uptr = nested ? reinterpret_cast<uintptr_t>(&data) : 0;
		EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_ALLOC, &cmd));
		return cmd.out_hwpt_id;
	}
	long vdevice(const MockDevice &device, uint64_t virt, uint32_t &id) const
	{
		iommu_vdevice_alloc cmd = {};

		cmd.size = sizeof(cmd);
		cmd.viommu_id = viommu_;
		cmd.dev_id = device.device;
		cmd.virt_id = virt;
		const long rc = iommufd_->ioctl(IOMMU_VDEVICE_ALLOC, &cmd);
		id = cmd.out_vdevice_id;
		return rc;
	}
	int replace(uint32_t pt) const
	{
		auto cmd = command(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, device_->id);

		cmd.mock_domain_replace.pt_id = pt;
		return execute(*Caller::self(), iommufd_->fd(), cmd);
	}
	int trigger() const
	{
		auto cmd = command(IOMMU_TEST_OP_TRIGGER_VEVENT);

		cmd.trigger_vevent.dev_id = device_->device;
		return execute(*Caller::self(), iommufd_->fd(), cmd);
	}
	/** @return the file, @id: the queue. */
	int events(uint32_t depth, uint32_t &id) const
	{
		iommu_veventq_alloc cmd = {};

		cmd.size = sizeof(cmd);
		cmd.viommu_id = viommu_;
		cmd.type = IOMMU_VEVENTQ_TYPE_SELFTEST;
		cmd.veventq_depth = depth;
		EXPECT_EQ(0, iommufd_->ioctl(IOMMU_VEVENTQ_ALLOC, &cmd));
		id = cmd.out_veventq_id;
		return static_cast<int>(cmd.out_veventq_fd);
	}
	long queue(uint32_t index, uint64_t iova, uint64_t length, uint32_t &id) const
	{
		iommu_hw_queue_alloc cmd = {};

		cmd.size = sizeof(cmd);
		cmd.viommu_id = viommu_;
		cmd.type = IOMMU_HW_QUEUE_TYPE_SELFTEST;
		cmd.index = index;
		cmd.nesting_parent_iova = iova;
		cmd.length = length;
		const long rc = iommufd_->ioctl(IOMMU_HW_QUEUE_ALLOC, &cmd);
		id = cmd.out_hw_queue_id;
		return rc;
	}

	std::unique_ptr<MockDevice> device_;
	uint32_t parent_ = 0, viommu_ = 0;
};

} // namespace kernel_selftest
