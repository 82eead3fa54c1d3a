// SPDX-License-Identifier: Apache-2.0
/* BIND_IOMMUFD, ATTACH_IOMMUFD_PT, DETACH_IOMMUFD_PT on queue files: every documented errno. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>
#include <misc/uacce/uacce.h>

#include "../../common/ktap.h"
#include "queue.h"

static struct device device;

/* The structures of these commands, with room for an unknown tail. */
union argument {
	struct vfio_device_bind_iommufd bind;
	struct vfio_device_attach_iommufd_pt attach;
	struct vfio_device_detach_iommufd_pt detach;
	unsigned char bytes[8192];
};

static union argument argument;

static int try_bind(struct queue *queue, uint32_t argsz, uint32_t flags, int fd)
{
	memset(&argument, 0, sizeof(argument.bind));
	argument.bind.argsz = argsz;
	argument.bind.flags = flags;
	argument.bind.iommufd = fd;
	return queue_ioctl(queue, VFIO_DEVICE_BIND_IOMMUFD, &argument);
}

static int try_attach(struct queue *queue, uint32_t argsz, uint32_t flags, uint32_t pt,
		      uint32_t pasid)
{
	argument.attach = (struct vfio_device_attach_iommufd_pt){argsz, flags, pt, pasid};
	return queue_ioctl(queue, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &argument);
}

static int try_detach(struct queue *queue, uint32_t argsz, uint32_t flags, uint32_t pasid)
{
	argument.detach = (struct vfio_device_detach_iommufd_pt){argsz, flags, pasid};
	return queue_ioctl(queue, VFIO_DEVICE_DETACH_IOMMUFD_PT, &argument);
}

/* @before bytes before the end of a page. The next page is reserved and cannot be read. */
static void *edge(size_t before)
{
	static char *pages;

	if (!pages) {
		pages = pages_alloc(2 * PAGE);
		mprotect(pages + PAGE, PAGE, PROT_NONE);
	}
	return pages + PAGE - before;
}

static void bind(void)
{
	struct space space;
	struct queue queue;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(queue_ioctl(&queue, VFIO_DEVICE_BIND_IOMMUFD, NULL) == -EFAULT, "no structure");
	EXPECT(queue_ioctl(&queue, VFIO_DEVICE_BIND_IOMMUFD, edge(2)) == -EFAULT,
	       "half an argsz is readable");
	EXPECT(try_bind(&queue, 0, 0, space.fd) == -EINVAL, "argsz 0");
	EXPECT(try_bind(&queue, 15, 0, space.fd) == -EINVAL, "argsz 15");
	EXPECT(try_bind(&queue, ~0u, 0, space.fd) == -E2BIG, "argsz of 4 GiB");
	memset(argument.bytes + 24, 0, 64);
	argument.bytes[24 + 5] = 1;
	EXPECT(try_bind(&queue, 32, 0, space.fd) == -E2BIG, "unknown tail that is not zero");
	EXPECT(try_bind(&queue, 24, VFIO_DEVICE_BIND_FLAG_TOKEN, space.fd) == -EINVAL, "token");
	EXPECT(try_bind(&queue, 24, 2, space.fd) == -EINVAL, "unknown flag");
	EXPECT(try_bind(&queue, 24, 0, -1) == -EINVAL, "negative descriptor");
	EXPECT(try_bind(&queue, 24, 0, 100000) == -EBADF, "descriptor that is not open");
	EXPECT(try_bind(&queue, 24, 0, queue.fd) == -EBADFD, "descriptor of something else");
	EXPECT(!try_bind(&queue, 16, 0, space.fd), "shortest structure");
	EXPECT(argument.bind.out_devid != 0, "an id comes back");
	EXPECT(try_bind(&queue, 24, 0, space.fd) == -EINVAL, "bind again");
	queue_close(&queue);

	memset(argument.bytes, 0, 64);
	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(!try_bind(&queue, 64, 0, space.fd), "longer structure with zero tail");
	queue_close(&queue);
	space_close(&space);
}

static void before_bind(void)
{
	struct queue queue;

	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(try_attach(&queue, 16, 0, 1, 0) == -EINVAL, "attach unbound");
	EXPECT(try_detach(&queue, 12, 0, 0) == -EINVAL, "detach unbound");
	queue_close(&queue);
}

static void attach_arguments(struct queue *queue, uint32_t hwpt)
{
	const uint32_t flag = VFIO_DEVICE_ATTACH_PASID;

	EXPECT(queue_ioctl(queue, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL) == -EFAULT, "no structure");
	EXPECT(queue_ioctl(queue, VFIO_DEVICE_ATTACH_IOMMUFD_PT, edge(8)) == -EFAULT,
	       "structure that ends early");
	EXPECT(try_attach(queue, 11, 0, hwpt, 0) == -EINVAL, "argsz 11");
	EXPECT(try_attach(queue, 12, flag, hwpt, 5) == -EINVAL, "PASID does not fit argsz");
	EXPECT(try_attach(queue, 16, 2, hwpt, 0) == -EINVAL, "unknown flag");
	EXPECT(try_attach(queue, 16, flag, hwpt, 0x80000000) == -ENOSPC, "PASID 2^31");
	EXPECT(try_attach(queue, 16, flag, hwpt, ~0u) == -ENOSPC, "PASID 2^32 - 1");
	EXPECT(try_attach(queue, 16, flag, hwpt, 0x7fffffff) == -EINVAL, "PASID 2^31 - 1");
	EXPECT(try_attach(queue, 16, flag, hwpt, 0x10000) == -EINVAL, "PASID of 17 bits");
	EXPECT(try_attach(queue, 16, flag, hwpt, 0) == -EPERM, "PASID 0, the requester id");
	EXPECT(try_attach(queue, 16, 0, 0, 0) == -ENOENT, "table 0");
	EXPECT(try_attach(queue, 16, 0, 0x7ffffff0, 0) == -ENOENT, "table that is not there");
	EXPECT(try_attach(queue, 16, 0, queue->device_id, 0) == -EINVAL, "a device as table");
}

static void attach(void)
{
	const uint32_t flag = VFIO_DEVICE_ATTACH_PASID;
	struct space space;
	struct queue one, two;
	uint32_t pasid;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_open(&device, &one), "open");
	EXPECT(!queue_open(&device, &two), "open");
	EXPECT(!queue_bind(&one, space.fd), "bind");
	EXPECT(!queue_bind(&two, space.fd), "bind the same device to the same file");
	EXPECT(!space_hwpt(&space, &one), "HWPT");
	attach_arguments(&one, space.hwpt);
	EXPECT(try_attach(&one, 16, 0, space.ioas, 0) == -EINVAL, "an IOAS has no PASID flag");

	EXPECT(!try_attach(&one, 16, 0, space.hwpt, 77), "any PASID");
	pasid = argument.attach.pasid;
	EXPECT(pasid && argument.attach.pt_id == space.hwpt, "PASID %u and table come back", pasid);
	EXPECT(try_attach(&two, 16, flag, space.hwpt, pasid) == -EBUSY, "PASID of another queue");
	EXPECT(!try_attach(&one, 16, flag, space.hwpt, pasid), "replace by the same");
	EXPECT(try_attach(&one, 16, flag, space.hwpt, pasid + 1) == -EBUSY, "a second PASID");
	argument.attach.pasid = 0xabcd;
	EXPECT(!try_attach(&two, 12, 0, space.hwpt, 0xabcd), "short structure");
	EXPECT(argument.attach.pasid == 0xabcd, "nothing is written behind argsz");
	EXPECT(!queue_detach(&two), "detach");
	EXPECT(!try_attach(&two, 16, flag, space.hwpt, 0xffff), "the last PASID of a context");
	queue_close(&one);
	EXPECT(!queue_detach(&two), "detach");
	EXPECT(!try_attach(&two, 16, flag, space.hwpt, pasid), "PASID of a closed queue");
	queue_close(&two);
	space_close(&space);
}

static void detach(void)
{
	const uint32_t flag = VFIO_DEVICE_DETACH_PASID;
	struct space space;
	struct queue queue;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	EXPECT(queue_ioctl(&queue, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL) == -EFAULT, "no structure");
	EXPECT(try_detach(&queue, 7, 0, 0) == -EINVAL, "argsz 7");
	EXPECT(try_detach(&queue, 8, flag, 0) == -EINVAL, "PASID does not fit argsz");
	EXPECT(try_detach(&queue, 12, 2, 0) == -EINVAL, "unknown flag");
	EXPECT(!try_detach(&queue, 12, flag, queue.pasid + 1), "a PASID that is not attached");
	EXPECT(queue_ioctl(&queue, UACCE_CMD_START_Q, NULL) == -EINVAL, "it is still started");
	EXPECT(!try_detach(&queue, 12, flag, queue.pasid), "detach");
	EXPECT(!try_detach(&queue, 12, flag, queue.pasid), "detach again");
	EXPECT(!try_detach(&queue, 8, 0, 0), "short structure");
	queue_close(&queue);
	space_close(&space);
}

/* A user's structure may be unaligned. UBSan checks the code that uses it. */
static void anywhere(void)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};
	unsigned char *odd = argument.bytes + 1;
	struct space space;
	struct queue queue;

	EXPECT(!space_open(&device, &space) && !queue_open(&device, &queue), "open");
	bind.iommufd = space.fd;
	memcpy(odd, &bind, sizeof(bind));
	EXPECT(!queue_ioctl(&queue, VFIO_DEVICE_BIND_IOMMUFD, odd), "bind");
	memcpy(&bind, odd, sizeof(bind));
	queue.device_id = bind.out_devid;
	EXPECT(!space_hwpt(&space, &queue), "a table for the device that was bound");
	attach.pt_id = space.hwpt;
	memcpy(odd, &attach, sizeof(attach));
	EXPECT(!queue_ioctl(&queue, VFIO_DEVICE_ATTACH_IOMMUFD_PT, odd), "attach");
	memcpy(&attach, odd, sizeof(attach));
	EXPECT(attach.pt_id == space.hwpt && attach.pasid, "the answer");
	memcpy(odd, &detach, sizeof(detach));
	EXPECT(!queue_ioctl(&queue, VFIO_DEVICE_DETACH_IOMMUFD_PT, odd), "detach");
	queue_close(&queue);
	space_close(&space);
}

/* The iommufd may be closed first, the queue file first, or the HWPT destroyed in between. */
static void close_order(void)
{
	struct iommu_destroy destroy = {.size = sizeof(destroy)};
	struct space space;
	struct queue queue;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	destroy.id = space.hwpt;
	EXPECT(wd_host_ioctl(device.host, space.fd, IOMMU_DESTROY, &destroy) == -EBUSY,
	       "a HWPT in use");
	destroy.id = queue.device_id;
	EXPECT(wd_host_ioctl(device.host, space.fd, IOMMU_DESTROY, &destroy) < 0,
	       "a device in use");
	space_close(&space);
	EXPECT(!queue_stop(&queue), "put after the iommufd was closed");
	EXPECT(!queue_ioctl(&queue, UACCE_CMD_START_Q, NULL), "start after it was closed");
	queue_close(&queue);

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	queue_close(&queue);
	destroy.id = space.hwpt;
	EXPECT(!wd_host_ioctl(device.host, space.fd, IOMMU_DESTROY, &destroy),
	       "a HWPT whose queue is closed");
	space_close(&space);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"BIND_IOMMUFD", bind},
		{"unbound", before_bind},
		{"ATTACH_IOMMUFD_PT", attach},
		{"DETACH_IOMMUFD_PT", detach},
		{"structures anywhere in memory", anywhere},
		{"orders of closing", close_order},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
