// SPDX-License-Identifier: Apache-2.0
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <linux/vfio_cdev.h>

/* True if @name is the name of @device. */
static bool is_device(const struct device *device, const char *name)
{
	return !strcmp(strrchr(device->path, '/') + 1, name);
}

int owner_find(struct device *device, char address[OWNER_ADDRESS])
{
	char names[4096], path[128], uacce[64], *next = names;
	int ret = wd_host_sysfs_list(device->host, "/sys/bus/pci/drivers/hisi_zip", names,
				     sizeof(names));

	if (ret < 0)
		return ret;
	for (char *name; (name = strsep(&next, "\n"));) {
		if (!strchr(name, ':'))
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/uacce", name);
		if (wd_host_sysfs_list(device->host, path, uacce, sizeof(uacce)) < 0)
			continue;
		uacce[strcspn(uacce, "\n")] = 0;
		if (is_device(device, uacce))
			continue;
		snprintf(address, OWNER_ADDRESS, "%.15s", name);
		return 0;
	}
	return -ENODEV;
}

int owner_give(struct wd_host *host, const char *address, const char *driver)
{
	char path[128];
	int ret;

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind",
			 i ? "wd_vfio" : "hisi_zip");
		wd_host_sysfs_write(host, path, address); /* only one of them has the function */
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/driver_override", address);
	ret = wd_host_sysfs_write(host, path, strcmp(driver, "wd_vfio") ? "\n" : driver);
	if (ret < 0)
		return ret;
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%.16s/bind", driver);
	ret = wd_host_sysfs_write(host, path, address);
	return ret < 0 ? ret : 0;
}

int owner_open(struct owner *owner)
{
	char path[128], name[64];
	int ret;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/vfio-dev", owner->address);
	ret = wd_host_sysfs_list(owner->host, path, name, sizeof(name));
	if (ret < 0)
		return ret;
	name[strcspn(name, "\n")] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%.60s", name);
	owner->fd = wd_host_dev_open(owner->host, path, O_RDWR);
	return owner->fd < 0 ? owner->fd : 0;
}

void owner_close(struct owner *owner)
{
	if (owner->fd >= 0)
		wd_host_dev_close(owner->host, owner->fd);
	owner->fd = -1;
}

int owner_ioctl(struct owner *owner, unsigned long request, void *argument)
{
	return (int)wd_host_ioctl(owner->host, owner->fd, request, argument);
}

int owner_bind(struct owner *owner, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};

	return owner_ioctl(owner, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

int owner_attach(struct owner *owner, uint32_t table)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = table};

	return owner_ioctl(owner, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

int owner_detach(struct owner *owner)
{
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};

	return owner_ioctl(owner, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

int64_t owner_region(struct owner *owner, unsigned region, uint64_t *offset)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = region};
	const int ret = owner_ioctl(owner, VFIO_DEVICE_GET_REGION_INFO, &info);

	if (offset)
		*offset = info.offset;
	return ret ? ret : (int64_t)info.size;
}

int owner_read(struct owner *owner, unsigned region, uint64_t at, void *value, size_t size)
{
	uint64_t offset;
	const int64_t ret = owner_region(owner, region, &offset);

	if (ret < 0)
		return (int)ret;
	return (int)wd_host_pread(owner->host, owner->fd, value, size, offset + at);
}

int owner_write(struct owner *owner, unsigned region, uint64_t at, const void *value, size_t size)
{
	uint64_t offset;
	const int64_t ret = owner_region(owner, region, &offset);

	if (ret < 0)
		return (int)ret;
	return (int)wd_host_pwrite(owner->host, owner->fd, value, size, offset + at);
}

int owner_message_to(struct owner *owner, int eventfd)
{
	const unsigned type = eventfd < 0 ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD;
	uint32_t words[6] = {sizeof(words),
			     type | VFIO_IRQ_SET_ACTION_TRIGGER,
			     VFIO_PCI_MSIX_IRQ_INDEX,
			     0,
			     eventfd >= 0,
			     (uint32_t)eventfd};

	return owner_ioctl(owner, VFIO_DEVICE_SET_IRQS, words);
}

static uint32_t register_read(void *context, uint32_t offset)
{
	uint32_t value = ~0u;

	owner_read(context, VFIO_PCI_BAR2_REGION_INDEX, offset, &value, sizeof(value));
	return value;
}

static void register_write(void *context, uint32_t offset, uint64_t value, unsigned size)
{
	owner_write(context, VFIO_PCI_BAR2_REGION_INDEX, offset, &value, size);
}

struct zip_registers owner_registers(struct owner *owner)
{
	return (struct zip_registers){register_read, register_write, owner};
}
