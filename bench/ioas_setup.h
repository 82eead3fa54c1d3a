/* SPDX-License-Identifier: Apache-2.0 */
/* A hosted machine for benchmarks of IOAS_MAP and IOAS_UNMAP through the system call interface. */
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>
#include <string>
#include <vector>
#include <wd/host.h>

namespace wd::bench
{

/**
 * Host, context, a bound queue and its page table. There is one, made once and destroyed at exit.
 * Threads may map and unmap at the same time; everything else is for one thread.
 */
class Setup
{
public:
	Setup()
	{
		check(wd_host_open(nullptr, nullptr, &host_), "open the host");
		char names[4096];
		check(wd_host_sysfs_list(host_, "/sys/class/uacce", names, sizeof(names)), "list");
		names[strcspn(names, "\n")] = 0;
		path_ = "/dev/" + std::string(names);
		iommufd_ = check(wd_host_dev_open(host_, "/dev/iommu", O_RDWR), "open /dev/iommu");
		ioas_ = allocAttached();
	}
	~Setup()
	{
		for (const int queue : queues_)
			wd_host_dev_close(host_, queue);
		wd_host_dev_close(host_, iommufd_);
		wd_host_close(host_);
	}
	Setup(const Setup &) = delete;
	Setup &operator=(const Setup &) = delete;
	/** The IOAS of the first queue. */
	uint32_t ioas() const { return ioas_; }
	/** An IOAS whose table a queue of its own uses at a PASID. @small: only pages of 4 KiB. */
	uint32_t allocAttached(bool small = false)
	{
		const int queue =
			check(wd_host_dev_open(host_, path_.c_str(), O_RDWR), "open a queue");
		queues_.push_back(queue);
		vfio_device_bind_iommufd bind = {sizeof(bind), 0, iommufd_, 0, 0};
		check(wd_host_ioctl(host_, queue, VFIO_DEVICE_BIND_IOMMUFD, &bind), "bind");
		device_ = bind.out_devid;
		const uint32_t ioas = small ? allocSmallPages() : allocIoas();
		vfio_device_attach_iommufd_pt attach = {sizeof(attach), 0, allocTable(ioas, 0), 0};
		check(wd_host_ioctl(host_, queue, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach),
		      "attach");
		return ioas;
	}
	uint32_t allocIoas()
	{
		iommu_ioas_alloc alloc = {sizeof(alloc), 0, 0};
		call(IOMMU_IOAS_ALLOC, &alloc);
		return alloc.out_ioas_id;
	}
	/** @flags: IOMMU_HWPT_ALLOC_* beside PASID. */
	uint32_t allocTable(uint32_t ioas, uint32_t flags)
	{
		iommu_hwpt_alloc hwpt = {};
		hwpt.size = sizeof(hwpt);
		hwpt.flags = IOMMU_HWPT_ALLOC_PASID | flags;
		hwpt.dev_id = device_;
		hwpt.pt_id = ioas;
		call(IOMMU_HWPT_ALLOC, &hwpt);
		return hwpt.out_hwpt_id;
	}
	/** An IOAS whose tables have only pages of 4 KiB. */
	uint32_t allocSmallPages()
	{
		iommu_option option = {};
		option.size = sizeof(option);
		option.option_id = IOMMU_OPTION_HUGE_PAGES;
		option.op = IOMMU_OPTION_OP_SET;
		option.object_id = allocIoas();
		call(IOMMU_OPTION, &option);
		return option.object_id;
	}
	void destroy(uint32_t id)
	{
		iommu_destroy cmd = {sizeof(cmd), id};
		call(IOMMU_DESTROY, &cmd);
	}
	void dirtyBitmap(uint32_t table, uint64_t iova, uint64_t length, void *bitmap)
	{
		iommu_hwpt_get_dirty_bitmap cmd = {};
		cmd.size = sizeof(cmd);
		cmd.hwpt_id = table;
		cmd.iova = iova;
		cmd.length = length;
		cmd.page_size = 4096;
		cmd.data = reinterpret_cast<uint64_t>(bitmap);
		call(IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	}
	void map(void *address, uint64_t length, uint64_t &iova)
	{
		map(ioas_, address, length, iova);
	}
	void map(uint32_t ioas, void *address, uint64_t length, uint64_t &iova)
	{
		iommu_ioas_map cmd = {};
		cmd.size = sizeof(cmd);
		cmd.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
		cmd.ioas_id = ioas;
		cmd.user_va = reinterpret_cast<uint64_t>(address);
		cmd.length = length;
		call(IOMMU_IOAS_MAP, &cmd);
		iova = cmd.iova;
	}
	void mapFixed(uint32_t ioas, void *address, uint64_t length, uint64_t iova)
	{
		iommu_ioas_map cmd = {};
		cmd.size = sizeof(cmd);
		cmd.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE |
			    IOMMU_IOAS_MAP_FIXED_IOVA;
		cmd.ioas_id = ioas;
		cmd.user_va = reinterpret_cast<uint64_t>(address);
		cmd.length = length;
		cmd.iova = iova;
		call(IOMMU_IOAS_MAP, &cmd);
	}
	void unmap(uint64_t iova, uint64_t length) { unmap(ioas_, iova, length); }
	void unmap(uint32_t ioas, uint64_t iova, uint64_t length)
	{
		iommu_ioas_unmap cmd = {sizeof(cmd), ioas, iova, length};
		call(IOMMU_IOAS_UNMAP, &cmd);
	}

private:
	static int check(long result, const char *what)
	{
		if (result >= 0)
			return static_cast<int>(result);
		std::fprintf(stderr, "cannot %s: %s\n", what, std::strerror(-result));
		std::exit(1);
	}
	void call(unsigned long request, void *argument)
	{
		check(wd_host_ioctl(host_, iommufd_, request, argument), "run a command");
	}
	wd_host *host_ = nullptr;
	std::string path_;
	std::vector<int> queues_;
	int iommufd_ = -1;
	uint32_t device_ = 0, ioas_ = 0;
};

inline Setup &setup()
{
	static Setup object;
	return object;
}

constexpr size_t kAlignment = 2 << 20;

} // namespace wd::bench
