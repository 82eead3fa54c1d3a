// SPDX-License-Identifier: Apache-2.0
#include "mover.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/vfio_cdev.h>

int mover_ioctl(const struct mover *mover, unsigned long request, void *argument)
{
	return wd_host_ioctl(host, mover->fd, request, argument);
}

int mover_open(struct mover *mover, const struct context *context)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = context->fd};
	void *control;
	int ret;

	memset(mover, 0, sizeof(*mover));
	mover->fd = wd_host_dev_open(host, "/dev/wd_mover", O_RDWR);
	if (mover->fd < 0)
		return mover->fd == -ENOENT ? -ENODEV : mover->fd;
	ret = wd_host_mmap(host, PAGE, PROT_READ | PROT_WRITE, mover->fd, 0, &control);
	if (!ret) {
		mover->control = control;
		mover->rings = pages_alloc(2 * PAGE);
		ret = mover_ioctl(mover, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	}
	if (ret)
		mover_close(mover);
	return ret;
}

void mover_close(struct mover *mover)
{
	if (mover->control)
		wd_host_munmap(host, mover->control, PAGE);
	wd_host_dev_close(host, mover->fd);
	if (mover->rings)
		pages_free(mover->rings, 2 * PAGE);
}

int mover_attach(const struct mover *mover, uint32_t ioas)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = ioas};

	return mover_ioctl(mover, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

int mover_start(struct mover *mover, const struct context *context, uint64_t iova)
{
	int ret = map_at(context, mover->rings, 2 * PAGE, iova);

	if (!ret)
		ret = mover_attach(mover, context->ioas);
	return ret ? ret : mover_restart(mover, iova);
}

int mover_restart(struct mover *mover, uint64_t iova)
{
	struct wd_mover_ring ring = {iova, iova + PAGE, MOVER_DEPTH, 0};
	int ret = mover_ioctl(mover, WD_MOVER_CMD_SET_RING, &ring);

	if (ret)
		return ret;
	memset(mover->rings, 0, 2 * PAGE);
	mover->tail = mover->head = 0;
	return mover_ioctl(mover, UACCE_CMD_START_Q, NULL);
}

static void mover_kick(struct mover *mover)
{
	if (!(__atomic_load_n(&mover->control->flags, __ATOMIC_SEQ_CST) & WD_MOVER_NEED_WAKEUP))
		return;
	mover->kicks++;
	mover_ioctl(mover, WD_MOVER_CMD_KICK, NULL);
}

void mover_submit(struct mover *mover, const struct wd_mover_desc *desc)
{
	struct wd_mover_desc *ring = (struct wd_mover_desc *)mover->rings;

	ring[mover->tail++ % MOVER_DEPTH] = *desc;
	__atomic_store_n(&mover->control->tail, mover->tail, __ATOMIC_SEQ_CST);
	mover_kick(mover);
}

struct wd_mover_completion mover_wait(struct mover *mover)
{
	struct wd_mover_completion *ring = (struct wd_mover_completion *)(mover->rings + PAGE);
	struct wd_mover_completion *entry = &ring[mover->head % MOVER_DEPTH], answer;

	while (__atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE) != mover->head + 1) {
		if (__atomic_load_n(&mover->control->state, __ATOMIC_ACQUIRE) != WD_MOVER_STARTED)
			return (struct wd_mover_completion){.status = 0xffff};
		sched_yield();
	}
	answer = *entry;
	mover->head++;
	__atomic_store_n(&mover->control->cq_head, mover->head, __ATOMIC_SEQ_CST);
	mover_kick(mover);
	return answer;
}

struct wd_mover_completion mover_run(struct mover *mover, const struct wd_mover_desc *desc)
{
	mover_submit(mover, desc);
	return mover_wait(mover);
}
