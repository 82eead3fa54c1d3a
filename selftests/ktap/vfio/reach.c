// SPDX-License-Identifier: Apache-2.0
#include "reach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vfio_cdev.h>

#include "../../common/tables.h"

#define COMMAND 4 /* register of configuration space */
#define MEMORY_AND_MASTER 6

void reach_allow(void)
{
	/* For a hosted kernel, before it boots. In a real kernel reach_take() does it. */
	setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
}

int reach_take(struct device *device, struct reach *reach)
{
	int ret;

	memset(reach, 0, sizeof(*reach));
	reach->owner.host = device->host;
	reach->owner.fd = -1;
	wd_host_sysfs_write(device->host, "/sys/module/iommufd/parameters/allow_unsafe_interrupts",
			    "1");
	ret = owner_find(device, reach->owner.address);
	if (!ret)
		ret = owner_give(device->host, reach->owner.address, "wd_vfio");
	if (ret)
		return ret;
	reach->registers = owner_registers(&reach->owner);
	reach->memory = pages_alloc(ZIP_MEMORY);
	return 0;
}

void reach_give_back(struct reach *reach)
{
	owner_close(&reach->owner);
	owner_give(reach->owner.host, reach->owner.address, "hisi_zip");
	pages_free(reach->memory, ZIP_MEMORY);
}

int reach_bind(struct reach *reach, int iommufd, uint32_t *id)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};
	const int ret = owner_ioctl(&reach->owner, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	*id = ret ? 0 : bind.out_devid;
	return ret;
}

int reach_map(const struct space *space, uint32_t ioas, const struct reach *reach, uint8_t *page)
{
	int ret = table_map(space, ioas, reach->memory, ZIP_MEMORY, REACH_IOVA);

	return ret ? ret : table_map(space, ioas, page, PAGE, REACH_PAGE);
}

int reach_start(struct reach *reach)
{
	const uint16_t command = MEMORY_AND_MASTER;
	int ret = owner_write(&reach->owner, VFIO_PCI_CONFIG_REGION_INDEX, COMMAND, &command, 2);

	if (ret != 2)
		return ret < 0 ? ret : -EIO;
	ret = zip_start(&reach->zip, &reach->registers, reach->memory, REACH_IOVA);
	return ret ? ret : zip_queue(&reach->zip, ZIP_COMPRESS);
}

bool reach_writes(struct reach *reach, uint8_t *page)
{
	static const uint8_t zeros[32];

	memset(page, 0, sizeof(zeros));
	return reach_reaches(reach, REACH_PAGE) && memcmp(page, zeros, sizeof(zeros));
}

int reach_queue_at(struct reach *reach, uint16_t pasid)
{
	return zip_queue_at(&reach->zip, ZIP_COMPRESS, pasid);
}

bool reach_compresses(struct reach *reach, uint8_t *page)
{
	page[0] = 0;
	return zip_run(&reach->zip, REACH_IOVA, 64, REACH_PAGE, PAGE) > 0 && page[0];
}

bool reach_reaches(struct reach *reach, uint64_t iova)
{
	return !zip_dump(&reach->zip, iova);
}

int reach_attach(struct reach *reach, uint32_t table, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0,
		.pt_id = table,
		.pasid = pasid,
	};

	return owner_ioctl(&reach->owner, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

int reach_detach(struct reach *reach, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
		.flags = pasid ? VFIO_DEVICE_DETACH_PASID : 0,
		.pasid = pasid,
	};

	return owner_ioctl(&reach->owner, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}
