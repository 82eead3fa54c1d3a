// SPDX-License-Identifier: Apache-2.0
/* Address spaces of /dev/iommu, memory for them, and the IOMMU's records of faults. */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/iommufd.h>

int space_second(const struct space *first, struct space *space)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	int ret = wd_host_ioctl(first->device->host, first->fd, IOMMU_IOAS_ALLOC, &alloc);

	*space =
		(struct space){.device = first->device, .fd = first->fd, .ioas = alloc.out_ioas_id};
	return ret;
}

int space_open(struct device *device, struct space *space)
{
	const struct space none = {
		.device = device,
		.fd = wd_host_dev_open(device->host, "/dev/iommu", O_RDWR),
	};
	int ret;

	*space = none;
	if (none.fd < 0)
		return none.fd;
	ret = space_second(&none, space);
	if (ret)
		wd_host_dev_close(device->host, none.fd);
	return ret;
}

void space_close(struct space *space)
{
	wd_host_dev_close(space->device->host, space->fd);
}

int space_hwpt(struct space *space, const struct queue *queue)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_ALLOC_PASID | space->hwpt_flags,
		.dev_id = queue->device_id,
		.pt_id = space->ioas,
	};
	int ret = wd_host_ioctl(space->device->host, space->fd, IOMMU_HWPT_ALLOC, &alloc);

	space->hwpt = alloc.out_hwpt_id;
	return ret;
}

int space_map(struct space *space, void *address, size_t length, uint64_t iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = space->ioas,
		.user_va = (uintptr_t)address,
		.length = length,
		.iova = iova,
	};

	return wd_host_ioctl(space->device->host, space->fd, IOMMU_IOAS_MAP, &map);
}

int space_unmap(struct space *space, uint64_t iova, size_t length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = space->ioas,
		.iova = iova,
		.length = length,
	};

	return wd_host_ioctl(space->device->host, space->fd, IOMMU_IOAS_UNMAP, &unmap);
}

int queue_ready(struct device *device, struct space *space, struct queue *queue, unsigned type)
{
	int ret = queue_open(device, queue);

	if (ret)
		return ret;
	ret = queue_bind(queue, space->fd);
	if (!ret && !space->hwpt)
		ret = space_hwpt(space, queue);
	if (!ret)
		ret = queue_attach(queue, space->hwpt, 0);
	if (!ret)
		ret = queue_map(queue);
	if (!ret)
		ret = queue_start(queue, type);
	if (ret)
		queue_close(queue);
	return ret;
}

void *pages_alloc(size_t length)
{
	void *address = mmap(NULL, length, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (address == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return address;
}

void pages_free(void *address, size_t length)
{
	munmap(address, length);
}

/* Lines: rid=... pasid=... addr=... reason=... type=... text=... */
static bool line_matches(const char *line, uint32_t pasid, uint64_t address)
{
	const char *pasid_text = strstr(line, "pasid="), *addr_text = strstr(line, "addr=");

	return pasid_text && addr_text && strtoul(pasid_text + 6, NULL, 0) == pasid &&
	       strtoull(addr_text + 5, NULL, 0) / PAGE == address / PAGE;
}

static int unit_logged(struct device *device, const char *unit, uint32_t pasid, uint64_t address)
{
	char path[256], text[8192], *save = NULL;
	int ret;

	snprintf(path, sizeof(path), "/sys/class/iommu/%.64s/fault_log", unit);
	ret = wd_host_sysfs_read(device->host, path, text, sizeof(text));
	if (ret < 0)
		return ret;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (line_matches(line, pasid, address))
			return 1;
	return 0;
}

int fault_logged(struct device *device, uint32_t pasid, uint64_t address)
{
	char units[4096], *save = NULL;
	int ret, found = -ENOENT;

	ret = wd_host_sysfs_list(device->host, "/sys/class/iommu", units, sizeof(units));
	if (ret < 0)
		return ret;
	for (char *unit = strtok_r(units, "\n", &save); unit; unit = strtok_r(NULL, "\n", &save)) {
		ret = unit_logged(device, unit, pasid, address);
		if (ret > found)
			found = ret;
		if (found == 1)
			break;
	}
	return found;
}
