// SPDX-License-Identifier: Apache-2.0
/* The life of a queue file: open, START_Q, PUT_Q, context and information, in any order. */
#include <errno.h>
#include <string.h>

#include <linux/ioctl.h>
#include <linux/vfio_cdev.h>
#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "../../common/ktap.h"
#include "queue.h"

static struct device device;

/* QM-UACCE-5 */
static void attributes(void)
{
	char path[256], text[512];

	snprintf(path, sizeof(path), "%s/api", device.sysfs);
	EXPECT(wd_host_sysfs_read(device.host, path, text, sizeof(text)) >= 0, "api is readable");
	EXPECT(!strcmp(text, HISI_QM_API_VER3_BASE), "api is " HISI_QM_API_VER3_BASE);
	snprintf(path, sizeof(path), "%s/algorithms", device.sysfs);
	wd_host_sysfs_read(device.host, path, text, sizeof(text));
	EXPECT(strstr(text, "deflate"), "algorithms name deflate");
	snprintf(path, sizeof(path), "%s/selftest", device.sysfs);
	wd_host_sysfs_read(device.host, path, text, sizeof(text));
	EXPECT(!strcmp(text, "passed"), "the kernel's own queue works beside the users'");
	EXPECT(device_number(&device, "flags") & UACCE_DEV_IOMMUFD, "flags say /dev/iommu");
	EXPECT(!(device_number(&device, "flags") & UACCE_DEV_SVA), "flags do not claim SVA");
	EXPECT(device_number(&device, "region_mmio_size") == 65536, "doorbell window of 64 KiB");
	EXPECT(device_number(&device, "region_dus_size") % PAGE == 0, "DUS region of whole pages");
}

static void instances(void)
{
	long before = device_number(&device, "available_instances");
	struct queue queue;

	EXPECT(before > 0, "there are instances");
	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(device_number(&device, "available_instances") == before - 1,
	       "open takes an instance");
	queue_close(&queue);
	EXPECT(device_number(&device, "available_instances") == before, "close gives it back");
}

/* QM-UACCE-2 */
static void start_matrix(void)
{
	struct space space;
	struct queue queue;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(queue_ioctl(&queue, UACCE_CMD_START_Q, NULL) == -EOPNOTSUPP, "start unbound");
	EXPECT(!queue_ioctl(&queue, UACCE_CMD_PUT_Q, NULL), "put what is not started");
	EXPECT(!queue_bind(&queue, space.fd), "bind");
	EXPECT(queue_ioctl(&queue, UACCE_CMD_START_Q, NULL) == -EOPNOTSUPP, "start unattached");
	EXPECT(!space_hwpt(&space, &queue), "HWPT");
	EXPECT(!queue_attach(&queue, space.hwpt, 0), "attach");
	EXPECT(!queue_ioctl(&queue, UACCE_CMD_START_Q, NULL), "start attached");
	EXPECT(queue_ioctl(&queue, UACCE_CMD_START_Q, NULL) == -EINVAL, "start a started queue");
	EXPECT(!queue_stop(&queue), "put");
	EXPECT(!queue_stop(&queue), "put again");
	EXPECT(!queue_ioctl(&queue, UACCE_CMD_START_Q, NULL), "start again");
	EXPECT(!queue_detach(&queue), "detach a started queue");
	EXPECT(queue_ioctl(&queue, UACCE_CMD_START_Q, NULL) == -EOPNOTSUPP, "start after detach");
	EXPECT(!queue_attach(&queue, space.hwpt, 0), "attach again");
	EXPECT(!queue_ioctl(&queue, UACCE_CMD_START_Q, NULL), "start after attach");
	queue_close(&queue);
	space_close(&space);
}

static void context(void)
{
	struct hisi_qp_ctx ctx = {.id = 0xffff, .qc_type = 1};
	struct space space;
	struct queue queue;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	EXPECT(queue_ioctl(&queue, UACCE_CMD_QM_SET_QP_CTX, &ctx) == -EINVAL,
	       "change what a started queue does");
	ctx.qc_type = 0;
	EXPECT(!queue_ioctl(&queue, UACCE_CMD_QM_SET_QP_CTX, &ctx), "ask a started queue");
	EXPECT(ctx.id == queue.id, "the number comes back");
	EXPECT(!queue_stop(&queue), "put");
	ctx.qc_type = 1;
	EXPECT(!queue_ioctl(&queue, UACCE_CMD_QM_SET_QP_CTX, &ctx), "change a stopped queue");
	/* Attack: types that do not exist, invalid pointers. */
	for (unsigned type = 2; type < 0x10000; type = type * 2 + 1) {
		ctx.qc_type = type;
		EXPECT(queue_ioctl(&queue, UACCE_CMD_QM_SET_QP_CTX, &ctx) == -EINVAL, "type %#x",
		       type);
	}
	EXPECT(queue_ioctl(&queue, UACCE_CMD_QM_SET_QP_CTX, (void *)8) == -EFAULT, "bad pointer");
	EXPECT(queue_ioctl(&queue, UACCE_CMD_QM_SET_QP_INFO, (void *)8) == -EFAULT, "bad pointer");
	queue_close(&queue);
	space_close(&space);
}

static void information(void)
{
	struct hisi_qp_info info = {.sqe_size = 1, .sq_depth = 2, .cq_depth = 3, .reserved = 4};
	struct queue queue;

	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(!queue_ioctl(&queue, UACCE_CMD_QM_SET_QP_INFO, &info), "information");
	EXPECT(info.sqe_size == 128 && info.reserved == 0, "descriptors of 128 bytes");
	EXPECT(info.sq_depth == info.cq_depth && info.sq_depth >= 2, "equal depths");
	EXPECT((info.sqe_size + 16ul) * info.sq_depth + 8 <= device.dus_size, "rings fit");
	queue_close(&queue);
}

static void unknown_requests(void)
{
	static const unsigned long requests[] = {
		0,
		~0u,
		_IO('W', 2),
		_IO('W', 255),
		_IOR('W', 3, unsigned long), /* slices of out-of-tree drivers */
		_IOWR('H', 10, char[8]),
		_IOWR('H', 11, char[8]),
		_IO(VFIO_TYPE, VFIO_BASE + 7), /* VFIO_DEVICE_GET_INFO */
		_IO(VFIO_TYPE, VFIO_BASE + 21),
		_IO(VFIO_TYPE, 0x81),
	};
	struct queue queue;
	unsigned char buffer[4096];

	EXPECT(!queue_open(&device, &queue), "open");
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		memset(buffer, i, sizeof(buffer));
		EXPECT(queue_ioctl(&queue, requests[i], buffer) == -EINVAL, "unknown request %#lx",
		       requests[i]);
	}
	queue_close(&queue);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"sysfs attributes", attributes},
		{"instances are counted", instances},
		{"START_Q and PUT_Q in every state", start_matrix},
		{"SET_QP_CTX", context},
		{"SET_QP_INFO", information},
		{"unknown requests", unknown_requests},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
