// SPDX-License-Identifier: Apache-2.0
#include "function.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#define REGISTERS_BAR VFIO_PCI_BAR2_REGION_INDEX

/* Read the first @size - 1 bytes of a small file. */
static int read_text(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = read(fd, text, size - 1);
	close(fd);
	if (got < 0)
		return -EIO;
	text[got] = 0;
	return 0;
}

static bool is_accelerator(const char *address)
{
	char path[128], vendor[16], device[16];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/vendor", address);
	if (read_text(path, vendor, sizeof(vendor)))
		return false;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/device", address);
	if (read_text(path, device, sizeof(device)))
		return false;
	return !strncmp(vendor, "0x19e5", 6) && !strncmp(device, "0xa250", 6);
}

int function_find(char address[ADDRESS_SIZE])
{
	const char *named = getenv("WD_VFIO_DEVICE");
	struct dirent *entry;
	int ret = -ENODEV;
	DIR *directory;

	if (named) {
		snprintf(address, ADDRESS_SIZE, "%.15s", named);
		return 0;
	}
	directory = opendir("/sys/bus/pci/drivers/vfio-pci");
	if (!directory)
		return -ENODEV;
	while (ret && (entry = readdir(directory))) {
		if (strchr(entry->d_name, ':') && is_accelerator(entry->d_name)) {
			snprintf(address, ADDRESS_SIZE, "%.15s", entry->d_name);
			ret = 0;
		}
	}
	closedir(directory);
	return ret;
}

static int group_open(const char *address)
{
	char link[128], target[PATH_MAX], path[64];
	ssize_t length;
	int fd;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%.15s/iommu_group", address);
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%.16s", strrchr(target, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int container_open(struct function *function)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};

	function->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (function->container < 0)
		return -errno;
	function->group = group_open(function->address);
	if (function->group < 0)
		return function->group;
	if (ioctl(function->group, VFIO_GROUP_GET_STATUS, &status))
		return -errno;
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return -EBUSY;
	if (ioctl(function->group, VFIO_GROUP_SET_CONTAINER, &function->container))
		return -errno;
	if (ioctl(function->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -errno;
	return 0;
}

static int registers_map(struct function *function)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = REGISTERS_BAR};
	void *registers;

	if (ioctl(function->device, VFIO_DEVICE_GET_REGION_INFO, &info))
		return -errno;
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return -ENOTSUP;
	registers = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, function->device,
			 info.offset);
	if (registers == MAP_FAILED)
		return -errno;
	function->registers = registers;
	function->registers_size = info.size;
	return 0;
}

static int enable_master(struct function *function)
{
	uint32_t command;
	int ret = config_read(function, PCI_COMMAND, 2, &command);

	if (ret)
		return ret;
	return config_write(function, PCI_COMMAND, 2,
			    command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static int device_open(struct function *function)
{
	struct vfio_region_info info = {.argsz = sizeof(info),
					.index = VFIO_PCI_CONFIG_REGION_INDEX};
	int ret;

	function->device = ioctl(function->group, VFIO_GROUP_GET_DEVICE_FD, function->address);
	if (function->device < 0)
		return -errno;
	if (ioctl(function->device, VFIO_DEVICE_GET_REGION_INFO, &info))
		return -errno;
	function->config = info.offset;
	ret = registers_map(function);
	return ret ? ret : enable_master(function);
}

int function_open(struct function *function, const char *address)
{
	int ret;

	memset(function, 0, sizeof(*function));
	function->container = function->group = function->device = -1;
	snprintf(function->address, sizeof(function->address), "%.15s", address);
	ret = container_open(function);
	if (!ret)
		ret = device_open(function);
	if (ret)
		function_close(function);
	return ret;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void function_close(struct function *function)
{
	if (function->registers)
		munmap((void *)function->registers, function->registers_size);
	function->registers = NULL;
	close_one(&function->device);
	close_one(&function->group);
	close_one(&function->container);
}

static uint32_t register_read(void *context, uint32_t offset)
{
	const struct function *function = context;

	return *(volatile uint32_t *)(function->registers + offset);
}

static void register_write(void *context, uint32_t offset, uint64_t value, unsigned size)
{
	const struct function *function = context;

	if (size == 8)
		*(volatile uint64_t *)(function->registers + offset) = value;
	else
		*(volatile uint32_t *)(function->registers + offset) = (uint32_t)value;
}

struct zip_registers function_registers(struct function *function)
{
	return (struct zip_registers){register_read, register_write, function};
}

int function_reset(struct function *function)
{
	if (ioctl(function->device, VFIO_DEVICE_RESET))
		return -errno;
	return enable_master(function);
}

int function_hot_reset(struct function *function)
{
	struct {
		struct vfio_pci_hot_reset reset;
		int32_t group;
	} argument = {.reset = {.argsz = sizeof(argument), .count = 1}, .group = function->group};
	int ret = ioctl(function->device, VFIO_DEVICE_PCI_HOT_RESET, &argument) ? -errno : 0;
	const int master = enable_master(function);

	return ret ? ret : master;
}

int config_read(struct function *function, unsigned offset, unsigned size, uint32_t *value)
{
	*value = 0;
	return pread(function->device, value, size, function->config + offset) == (ssize_t)size
		       ? 0
		       : -EIO;
}

int config_write(struct function *function, unsigned offset, unsigned size, uint32_t value)
{
	return pwrite(function->device, &value, size, function->config + offset) == (ssize_t)size
		       ? 0
		       : -EIO;
}

unsigned config_capability(struct function *function, uint8_t id)
{
	uint32_t at, found;

	if (config_read(function, PCI_CAPABILITY_LIST, 1, &at))
		return 0;
	for (unsigned i = 0; at && i < 48; i++) {
		if (config_read(function, at, 1, &found))
			return 0;
		if (found == id)
			return at;
		if (config_read(function, at + 1, 1, &at))
			return 0;
	}
	return 0;
}

int dma_map(struct function *function, void *memory, uint64_t length, uint64_t iova, bool writable)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)memory,
		.iova = iova,
		.size = length,
	};

	return ioctl(function->container, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

int64_t dma_unmap(struct function *function, uint64_t iova, uint64_t length)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = iova, .size = length};

	if (ioctl(function->container, VFIO_IOMMU_UNMAP_DMA, &unmap))
		return -errno;
	return (int64_t)unmap.size;
}

int message_to(struct function *function, int eventfd)
{
	struct {
		struct vfio_irq_set set;
		int32_t eventfd;
	} argument = {
		.set = {.argsz = sizeof(argument),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = 1},
		.eventfd = eventfd,
	};

	if (eventfd < 0) {
		argument.set.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
		argument.set.argsz = sizeof(argument.set);
		argument.set.count = 0;
	}
	return ioctl(function->device, VFIO_DEVICE_SET_IRQS, &argument) ? -errno : 0;
}

int64_t fault_count(const struct function *function)
{
	char path[128], text[32];
	int ret;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/iommu/faults", function->address);
	ret = read_text(path, text, sizeof(text));
	return ret ? ret : strtoll(text, NULL, 10);
}
