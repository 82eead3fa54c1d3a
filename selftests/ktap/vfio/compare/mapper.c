// SPDX-License-Identifier: Apache-2.0
#include "mapper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>

#include "../function.h"
#include "bind.h"

/* --- type 1 --- */

static struct function function;

static int type1_open(const char *address)
{
	const int ret = function_bind(address, "vfio-pci");

	return ret ? ret : function_open(&function, address);
}

static void type1_close(void)
{
	function_close(&function);
}

static int type1_map(void *memory, uint64_t length, uint64_t iova)
{
	return dma_map(&function, memory, length, iova, true);
}

static int type1_unmap(uint64_t iova, uint64_t length)
{
	const int64_t done = dma_unmap(&function, iova, length);

	return done < 0 ? (int)done : (uint64_t)done == length ? 0 : -EIO;
}

const struct mapper type1_mapper = {
	.name = "type1",
	.open = type1_open,
	.close = type1_close,
	.map = type1_map,
	.unmap = type1_unmap,
};

/* --- iommufd --- */

static int iommu_fd = -1, queue_fd = -1;
static uint32_t ioas;

/* Open the function's device file, whose name is that of its device in class uacce. */
static int queue_open(const char *address)
{
	char path[280];
	struct dirent *entry;
	DIR *directory;
	int fd = -ENODEV;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/uacce", address);
	directory = opendir(path);
	if (!directory)
		return -ENODEV;
	while (fd < 0 && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	closedir(directory);
	return fd;
}

static int attach(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommu_fd};
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_PASID};
	struct vfio_device_attach_iommufd_pt pt = {.argsz = sizeof(pt)};

	if (ioctl(iommu_fd, IOMMU_IOAS_ALLOC, &alloc) ||
	    ioctl(queue_fd, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return -errno;
	ioas = alloc.out_ioas_id;
	hwpt.dev_id = bind.out_devid;
	hwpt.pt_id = ioas;
	if (ioctl(iommu_fd, IOMMU_HWPT_ALLOC, &hwpt))
		return -errno;
	pt.pt_id = hwpt.out_hwpt_id;
	return ioctl(queue_fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt) ? -errno : 0;
}

static void iommufd_close(void)
{
	if (queue_fd >= 0)
		close(queue_fd);
	if (iommu_fd >= 0)
		close(iommu_fd);
	queue_fd = iommu_fd = -1;
}

static int iommufd_open(const char *address)
{
	int ret = function_bind(address, "hisi_zip");

	if (ret)
		return ret;
	iommu_fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommu_fd < 0)
		return -errno;
	queue_fd = queue_open(address);
	ret = queue_fd < 0 ? queue_fd : attach();
	if (ret)
		iommufd_close();
	return ret;
}

static int iommufd_map(void *memory, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = iova,
	};

	return ioctl(iommu_fd, IOMMU_IOAS_MAP, &map) ? -errno : 0;
}

static int iommufd_unmap(uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = ioas, .iova = iova, .length = length};

	if (ioctl(iommu_fd, IOMMU_IOAS_UNMAP, &unmap))
		return -errno;
	return unmap.length == length ? 0 : -EIO;
}

const struct mapper iommufd_mapper = {
	.name = "iommufd",
	.open = iommufd_open,
	.close = iommufd_close,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
};
