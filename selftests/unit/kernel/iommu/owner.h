/* SPDX-License-Identifier: Apache-2.0 */
/* A program that owns a function (wd_vfio), and has memory mapped for it (iommufd). */
#pragma once

#include "fixture.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>

#include "base/bits.h"

namespace wd::kerneltest
{

class FunctionOwner : public IommuTest
{
protected:
	static constexpr uint64_t k4K = kPageSize, kIova = 0x40000000;
	static constexpr size_t kPages = 3;
	static constexpr uint64_t kConfig = static_cast<uint64_t>(VFIO_PCI_CONFIG_REGION_INDEX)
					    << 40;
	static constexpr const char *kName = "/dev/vfio/devices/vfio0";

	void SetUp() override
	{
		setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
		IommuTest::SetUp();
		caller_ = hostkernel::Caller::create(0);
		buffer_ = mmap(nullptr, kPages * k4K, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(buffer_, MAP_FAILED);
		give("wd_vfio");
		own();
	}
	void TearDown() override
	{
		munmap(buffer_, kPages * k4K);
		IommuTest::TearDown();
	}
	void give(const std::string &driver, const char *function = kFirst)
	{
		const std::string device = std::string("/sys/bus/pci/devices/") + function;
		std::string bound;

		if (!hostkernel::sysfsResolve(device + "/driver", bound)) {
			ASSERT_GE(hostkernel::sysfsWrite(bound + "/unbind", function), 0);
		}
		ASSERT_GE(hostkernel::sysfsWrite(device + "/driver_override", driver), 0);
		ASSERT_GE(hostkernel::sysfsWrite("/sys/bus/pci/drivers/" + driver + "/bind",
						 function),
			  0);
	}
	/** Make the caller own the function, with nothing attached. */
	void own(const char *name = kName)
	{
		vfio_device_bind_iommufd bind = {};
		iommu_ioas_alloc alloc = {};

		iommufd_ = caller_->open("/dev/iommu", O_RDWR);
		function_ = caller_->open(name, O_RDWR);
		ASSERT_GE(iommufd_, 0);
		ASSERT_GE(function_, 0);
		bind.argsz = sizeof(bind);
		bind.iommufd = iommufd_;
		alloc.size = sizeof(alloc);
		ASSERT_EQ(call(function_, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
		device_ = bind.out_devid;
		ASSERT_EQ(call(iommufd_, IOMMU_IOAS_ALLOC, &alloc), 0);
		ioas_ = alloc.out_ioas_id;
	}
	void disown()
	{
		caller_->close(function_);
		caller_->close(iommufd_);
		caller_.reset();
	}
	long call(int fd, unsigned long request, void *argument)
	{
		return caller_->ioctl(fd, request, reinterpret_cast<uintptr_t>(argument));
	}
	/** Attach the function to the IOAS. */
	long attach() { return attachTo(ioas_); }
	long attachTo(uint32_t pt)
	{
		vfio_device_attach_iommufd_pt attach = {};

		attach.argsz = sizeof(attach);
		attach.pt_id = pt;
		return call(function_, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
	}
	long mapPages(uint64_t iova)
	{
		iommu_ioas_map map = {};

		map.size = sizeof(map);
		map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			    IOMMU_IOAS_MAP_WRITEABLE;
		map.ioas_id = ioas_;
		map.user_va = reinterpret_cast<uintptr_t>(buffer_);
		map.length = kPages * k4K;
		map.iova = iova;
		return call(iommufd_, IOMMU_IOAS_MAP, &map);
	}
	long unmapPages(uint64_t iova)
	{
		iommu_ioas_unmap unmap = {};

		unmap.size = sizeof(unmap);
		unmap.ioas_id = ioas_;
		unmap.iova = iova;
		unmap.length = kPages * k4K;
		return call(iommufd_, IOMMU_IOAS_UNMAP, &unmap);
	}
	ssize_t setCommand(uint16_t command)
	{
		return caller_->pwrite(function_, &command, 2, kConfig + machine::pci::kCommand);
	}

	std::shared_ptr<hostkernel::Caller> caller_;
	void *buffer_ = nullptr;
	int iommufd_ = -1, function_ = -1;
	/** Id of the function in the context, and of an IOAS. */
	uint32_t device_ = 0, ioas_ = 0;
};

} // namespace wd::kerneltest
