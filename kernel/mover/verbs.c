// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO's requests on a queue file (IOMMUFD-VFIO-1, IOMMUFD-VFIO-2). There is no device to bind: the
 * file gets an access to the address spaces of an iommufd, as Linux's mediated devices do
 * (IOMMUFD-ACCESS-6).
 */
#include <linux/err.h>

#include "iommufd.h"
#include "mover.h"
#include "vfio_verbs.h"

static const struct iommufd_access_ops mover_access_ops = {
	.needs_pin_pages = true,
	.unmap = mover_rings_unmap,
};

static int mover_bind(struct mover_queue *queue, int fd, u32 *id)
{
	struct iommufd_access *access;
	struct iommufd_ctx *ictx;

	if (queue->access)
		return -EINVAL;
	ictx = iommufd_ctx_from_fd(fd);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	access = iommufd_access_create(ictx, &mover_access_ops, queue, id);
	iommufd_ctx_put(ictx);
	if (IS_ERR(access))
		return PTR_ERR(access);
	queue->access = access;
	return 0;
}

static int mover_bind_verb(void *file, int fd, u32 *id)
{
	struct mover_queue *queue = file;
	int ret;

	ret = mover_queue_enter(queue);
	if (ret)
		return ret;
	ret = mover_bind(queue, fd, id);
	mover_queue_leave(queue);
	return ret;
}

/* Another thread may have started the queue. If the caller is killed, the close does the rest. */
static void mover_unbind_verb(void *file)
{
	struct mover_queue *queue = file;

	if (mover_queue_enter(queue))
		return;
	if (queue->access && !mover_queue_halt(queue)) {
		iommufd_access_destroy(queue->access);
		queue->access = NULL;
		queue->attached = false;
	}
	mover_queue_leave(queue);
}

static int mover_attach(struct mover_queue *queue, u32 ioas_id)
{
	int ret;

	if (!queue->access)
		return -EINVAL;
	if (queue->attached)
		return mover_queue_replace(queue, ioas_id);
	ret = iommufd_access_attach(queue->access, ioas_id);
	queue->attached = !ret;
	return ret;
}

static int mover_attach_verb(void *file, bool by_pasid, u32 *pasid, u32 *pt_id, bool *replaced)
{
	struct mover_queue *queue = file;
	int ret;

	/* There is no bus, so there are no PASIDs. */
	if (by_pasid)
		return -EOPNOTSUPP;
	ret = mover_queue_enter(queue);
	if (ret)
		return ret;
	*replaced = queue->attached;
	ret = mover_attach(queue, *pt_id);
	mover_queue_leave(queue);
	return ret;
}

static int mover_detach(struct mover_queue *queue)
{
	int ret;

	if (!queue->access)
		return -EINVAL;
	if (!queue->attached)
		return 0;
	ret = mover_queue_halt(queue);
	if (ret)
		return ret;
	iommufd_access_detach(queue->access);
	queue->attached = false;
	return 0;
}

static int mover_detach_verb(void *file, bool by_pasid, u32 pasid)
{
	struct mover_queue *queue = file;
	int ret;

	if (by_pasid)
		return -EOPNOTSUPP;
	ret = mover_queue_enter(queue);
	if (ret)
		return ret;
	ret = mover_detach(queue);
	mover_queue_leave(queue);
	return ret;
}

const struct vfio_verbs mover_verbs = {
	.bind = mover_bind_verb,
	.unbind = mover_unbind_verb,
	.attach = mover_attach_verb,
	.detach = mover_detach_verb,
};
