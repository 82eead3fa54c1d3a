// SPDX-License-Identifier: Apache-2.0
/* Devices and queues. */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <linux/vfio_cdev.h>
#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#define SQE 128
#define CQE 16

int mode_set(struct device *device, const char *mode)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/dma_mode", device->sysfs);
	return wd_host_sysfs_write(device->host, path, mode);
}

static int mode_read(struct device *device, char *text, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/dma_mode", device->sysfs);
	return wd_host_sysfs_read(device->host, path, text, size);
}

bool mode_possible(struct device *device, const char *mode)
{
	char text[128];

	if (mode_read(device, text, sizeof(text)) < 0)
		return false;
	for (char *word = strtok(text, " []\n"); word; word = strtok(NULL, " []\n"))
		if (!strcmp(word, mode))
			return true;
	return false;
}

/* Get the mode in brackets. */
static void mode_get(struct device *device, char *mode, size_t size)
{
	char text[128] = "", *begin, *end;

	mode_read(device, text, sizeof(text));
	begin = strchr(text, '[');
	end = strchr(text, ']');
	if (begin && end)
		snprintf(mode, size, "%.*s", (int)(end - begin - 1), begin + 1);
}

void device_at(struct wd_host *host, const char *name, struct device *device)
{
	memset(device, 0, sizeof(*device));
	device->host = host;
	snprintf(device->sysfs, sizeof(device->sysfs), "/sys/class/uacce/%.64s", name);
	snprintf(device->path, sizeof(device->path), "/dev/%.64s", name);
	device->mmio_size = device_number(device, "region_mmio_size");
	device->dus_size = device_number(device, "region_dus_size");
	device->words = device_number(device, "doorbell_words");
	if (device->words < 0)
		device->words = -1;
	mode_get(device, device->mode_before, sizeof(device->mode_before));
}

int device_open(struct device *device)
{
	struct wd_host *host;
	char names[4096];
	int ret;

	ret = wd_host_open(NULL, NULL, &host);
	if (ret)
		return ret;
	ret = wd_host_sysfs_list(host, "/sys/class/uacce", names, sizeof(names));
	if (ret < 0 || !names[0]) {
		wd_host_close(host);
		return -ENODEV;
	}
	names[strcspn(names, "\n")] = 0;
	device_at(host, getenv("WD_UACCE") ? getenv("WD_UACCE") : names, device);
	return mode_set(device, "iommufd");
}

void device_close(struct device *device)
{
	mode_set(device, device->mode_before);
	wd_host_close(device->host);
}

long device_number(struct device *device, const char *attribute)
{
	char path[256], text[64];
	int ret;

	snprintf(path, sizeof(path), "%s/%s", device->sysfs, attribute);
	ret = wd_host_sysfs_read(device->host, path, text, sizeof(text));
	return ret < 0 ? ret : atol(text);
}

bool device_queues_return(struct device *device, long count)
{
	static const struct timespec step = {0, 5000000};

	/* More than ten minutes. */
	for (unsigned int i = 0; i < 130000; i++) {
		if (device_number(device, "available_instances") == count)
			return true;
		nanosleep(&step, NULL);
	}
	return false;
}

int queue_open(struct device *device, struct queue *queue)
{
	memset(queue, 0, sizeof(*queue));
	queue->device = device;
	queue->fd = wd_host_dev_open(device->host, device->path, O_RDWR);
	return queue->fd < 0 ? queue->fd : 0;
}

/* Linux may allocate memory for munmap(), so it may fail once in a chain of failures. */
static void unmap(struct wd_host *host, volatile uint8_t *address, size_t size)
{
	if (address && wd_host_munmap(host, (void *)address, size))
		wd_host_munmap(host, (void *)address, size);
}

void queue_close(struct queue *queue)
{
	struct wd_host *host = queue->device->host;

	unmap(host, queue->mmio, queue->device->mmio_size);
	unmap(host, queue->dus, queue->device->dus_size);
	queue->mmio = queue->dus = NULL;
	wd_host_dev_close(host, queue->fd);
	queue->fd = -1;
}

long queue_ioctl(struct queue *queue, unsigned long request, void *argument)
{
	return wd_host_ioctl(queue->device->host, queue->fd, request, argument);
}

int queue_bind(struct queue *queue, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};
	int ret = queue_ioctl(queue, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	queue->device_id = bind.out_devid;
	return ret;
}

int queue_attach(struct queue *queue, uint32_t hwpt, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0,
		.pt_id = hwpt,
		.pasid = pasid,
	};
	int ret = queue_ioctl(queue, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	if (!ret)
		queue->pasid = attach.pasid;
	return ret;
}

int queue_detach(struct queue *queue)
{
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};

	return queue_ioctl(queue, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

int queue_map(struct queue *queue)
{
	struct device *device = queue->device;
	void *mmio, *dus;
	int ret;

	ret = wd_host_mmap(device->host, device->mmio_size, PROT_READ | PROT_WRITE, queue->fd,
			   UACCE_QFRT_MMIO * PAGE, &mmio);
	if (ret)
		return ret;
	queue->mmio = mmio;
	ret = wd_host_mmap(device->host, device->dus_size, PROT_READ | PROT_WRITE, queue->fd,
			   UACCE_QFRT_DUS * PAGE, &dus);
	if (ret)
		return ret;
	queue->dus = dus;
	return 0;
}

int queue_start(struct queue *queue, unsigned type)
{
	struct hisi_qp_ctx ctx = {.qc_type = type};
	struct hisi_qp_info info = {};
	int ret;

	ret = queue_ioctl(queue, UACCE_CMD_QM_SET_QP_CTX, &ctx);
	if (!ret)
		ret = queue_ioctl(queue, UACCE_CMD_QM_SET_QP_INFO, &info);
	if (!ret)
		ret = queue_ioctl(queue, UACCE_CMD_START_Q, NULL);
	if (ret)
		return ret;
	queue->id = ctx.id;
	queue->depth = info.sq_depth;
	queue->tail = 0;
	queue->head = 0;
	queue->phase = true;
	queue->arms = 0;
	return 0;
}

int queue_stop(struct queue *queue)
{
	return queue_ioctl(queue, UACCE_CMD_PUT_Q, NULL);
}

/* A doorbell: the word of its kind if the device has words, else the architected one. */
static void ring(struct queue *queue, unsigned kind, uint64_t index, uint64_t extra)
{
	const long words = queue->device->words;
	volatile uint64_t *bell;
	uint64_t value;

	if (words >= 0) {
		bell = (volatile uint64_t *)(queue->mmio + words +
					     HISI_QM_DOORBELL_WORD(queue->id, kind));
		value = index | extra << 16;
	} else {
		const unsigned command = kind == HISI_QM_WORD_SQ ? 0 : 1;

		bell = (volatile uint64_t *)(queue->mmio + HISI_QM_DOORBELL);
		value = queue->id | command << 12 | index << 32 |
			(uint64_t)(kind == HISI_QM_WORD_CQ_ARM) << 48;
	}
	__atomic_store_n(bell, value, __ATOMIC_RELEASE);
}

void queue_send(struct queue *queue, const struct request *request)
{
	uint32_t sqe[SQE / 4] = {0};

	sqe[4] = request->length;
	sqe[7] = 3u << 28;
	sqe[9] = request->algorithm;
	sqe[14] = request->space;
	sqe[18] = request->source;
	sqe[19] = request->source >> 32;
	sqe[20] = request->dest;
	sqe[21] = request->dest >> 32;
	sqe[26] = request->tag;
	memcpy((void *)(queue->dus + queue->tail * SQE), sqe, SQE);
	queue->tail = (queue->tail + 1) % queue->depth;
	ring(queue, HISI_QM_WORD_SQ, queue->tail, 0);
}

bool queue_receive(struct queue *queue, struct result *result)
{
	volatile uint8_t *cqe = queue->dus + queue->depth * SQE + queue->head * CQE;
	uint16_t w7 = __atomic_load_n((volatile uint16_t *)(cqe + 14), __ATOMIC_ACQUIRE);
	uint32_t sqe[SQE / 4];

	if ((w7 & 1) != queue->phase)
		return false;
	memcpy(sqe, (void *)(queue->dus + *(volatile uint16_t *)(cqe + 8) % queue->depth * SQE),
	       SQE);
	result->consumed = sqe[0];
	result->produced = sqe[1];
	result->status = sqe[3] & 0xff;
	result->tag = sqe[26];
	if (++queue->head == queue->depth) {
		queue->head = 0;
		queue->phase = !queue->phase;
	}
	ring(queue, HISI_QM_WORD_CQ, queue->head, 0);
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

int queue_wait(struct queue *queue, struct result *result, unsigned timeout_ms)
{
	const uint64_t end = now_ms() + timeout_ms;
	const struct timespec pause = {.tv_nsec = 20000};

	for (unsigned spins = 0; !queue_receive(queue, result); spins++) {
		if (now_ms() > end)
			return -ETIMEDOUT;
		if (spins > 100)
			nanosleep(&pause, NULL);
	}
	return 0;
}

void queue_arm(struct queue *queue)
{
	ring(queue, HISI_QM_WORD_CQ_ARM, queue->head, ++queue->arms);
}
