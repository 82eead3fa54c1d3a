// SPDX-License-Identifier: Apache-2.0
#include "context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio_cdev.h>

#define ALIGNMENT (2ul << 20)
#define MOCK_DOMAIN 2

struct wd_host *host;
bool device_is_mock;

int host_up(void)
{
	return wd_host_open(NULL, NULL, &host);
}

void host_down(void)
{
	wd_host_close(host);
}

int context_open(struct context *context)
{
	long id;

	context->fd = wd_host_dev_open(host, "/dev/iommu", O_RDWR);
	if (context->fd < 0)
		return context->fd;
	id = ioas_alloc(context);
	if (id < 0) {
		context_close(context);
		return id;
	}
	context->ioas = id;
	return 0;
}

void context_close(struct context *context)
{
	wd_host_dev_close(host, context->fd);
	context->fd = -1;
}

int session_open(struct context *context)
{
	int ret = host_up();

	if (ret)
		return ret;
	ret = context_open(context);
	if (ret)
		host_down();
	return ret;
}

void session_close(struct context *context)
{
	context_close(context);
	host_down();
}

/*
 * A device without hardware, on a kernel that has Linux's tests of /dev/iommu built in. It is
 * attached to an address space of its own.
 */
static int mock_bind(const struct context *context, uint32_t *device)
{
	/* IOMMU_TEST_CMD: size, operation, id, reserved; its answer begins at word 4. */
	uint32_t words[18] = {sizeof(words), MOCK_DOMAIN};
	const long ioas = ioas_alloc(context);

	if (ioas < 0)
		return ioas;
	words[2] = ioas;
	if (command(context, _IO(';', 0xa0), words)) {
		destroy(context, ioas);
		return -ENODEV;
	}
	*device = words[6];
	device_is_mock = true;
	return 0;
}

int queue_bind(const struct context *context, int *queue, uint32_t *device)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = context->fd};
	char names[4096], path[128];
	int ret;

	ret = wd_host_sysfs_list(host, "/sys/class/uacce", names, sizeof(names));
	if (ret < 0 || !names[0]) {
		*queue = -1;
		return mock_bind(context, device);
	}
	names[strcspn(names, "\n")] = 0;
	snprintf(path, sizeof(path), "/dev/%.100s", names);
	*queue = wd_host_dev_open(host, path, O_RDWR);
	if (*queue < 0)
		return *queue;
	ret = wd_host_ioctl(host, *queue, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	*device = bind.out_devid;
	return ret;
}

int command(const struct context *context, unsigned long request, void *argument)
{
	return wd_host_ioctl(host, context->fd, request, argument);
}

int destroy(const struct context *context, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return command(context, IOMMU_DESTROY, &cmd);
}

long ioas_alloc(const struct context *context)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	const int ret = command(context, IOMMU_IOAS_ALLOC, &cmd);

	return ret ? ret : (long)cmd.out_ioas_id;
}

int map(const struct context *context, uint32_t ioas, const void *memory, uint64_t length,
	uint32_t flags, uint64_t *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = flags & FIXED ? *iova : 0,
	};
	const int ret = command(context, IOMMU_IOAS_MAP, &cmd);

	if (!ret)
		*iova = cmd.iova;
	return ret;
}

int map_at(const struct context *context, const void *memory, uint64_t length, uint64_t iova)
{
	return map(context, context->ioas, memory, length, RW | FIXED, &iova);
}

int unmap(const struct context *context, uint32_t ioas, uint64_t iova, uint64_t *length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = *length};
	const int ret = command(context, IOMMU_IOAS_UNMAP, &cmd);

	*length = cmd.length;
	return ret;
}

int unmap_at(const struct context *context, uint64_t iova, uint64_t length)
{
	return unmap(context, context->ioas, iova, &length);
}

int copy(const struct context *context, uint32_t dst, uint64_t src_iova, uint64_t length,
	 uint32_t flags, uint64_t *dst_iova)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst,
		.src_ioas_id = context->ioas,
		.length = length,
		.dst_iova = flags & FIXED ? *dst_iova : 0,
		.src_iova = src_iova,
	};
	const int ret = command(context, IOMMU_IOAS_COPY, &cmd);

	if (!ret)
		*dst_iova = cmd.dst_iova;
	return ret;
}

int option(const struct context *context, uint32_t option_id, uint16_t op, uint32_t object,
	   uint64_t *value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option_id,
		.op = op,
		.object_id = object,
		.val64 = *value,
	};
	const int ret = command(context, IOMMU_OPTION, &cmd);

	*value = cmd.val64;
	return ret;
}

int hwpt_alloc(const struct context *context, uint32_t device, uint32_t pt, uint32_t flags,
	       uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = device, .pt_id = pt};
	const int ret = command(context, IOMMU_HWPT_ALLOC, &cmd);

	if (!ret)
		*id = cmd.out_hwpt_id;
	return ret;
}

int file_session_open(struct context *context, struct memory_file *memory, size_t size, int *queue,
		      uint32_t *device)
{
	int ret = session_open(context);

	if (ret)
		return ret;
	memory->file = -1;
	memory->memfd = memfd_create("selftest", MFD_CLOEXEC);
	if (memory->memfd < 0 || ftruncate(memory->memfd, size)) {
		ret = -errno;
	} else {
		memory->file = wd_host_import_file(host, memory->memfd);
		ret = memory->file < 0 ? memory->file : queue_bind(context, queue, device);
	}
	if (ret)
		file_session_close(context, memory, *queue);
	return ret;
}

void file_session_close(struct context *context, struct memory_file *memory, int queue)
{
	wd_host_dev_close(host, queue);
	wd_host_dev_close(host, memory->file);
	close(memory->memfd);
	session_close(context);
}

int map_file(const struct context *context, uint32_t flags, uint32_t ioas, int file, uint64_t start,
	     uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.fd = file,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return command(context, IOMMU_IOAS_MAP_FILE, &cmd);
}

void *pages_alloc(size_t length)
{
	void *address = aligned_alloc(ALIGNMENT, (length + ALIGNMENT - 1) & ~(ALIGNMENT - 1));

	if (!address)
		abort();
	memset(address, 0, length);
	return address;
}

void pages_free(void *address, size_t length)
{
	free(address);
}
