// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue's address space: binding of the file to an iommufd, and attachment at [RID, PASID].
 *
 * Requests, errors and argument sizes are those of VFIO's device files (IOMMUFD-VFIO-1,
 * IOMMUFD-VFIO-2). The binding is shared (IOMMUFD-DEV-2): the requester id itself stays with this
 * driver's own DMA, so every attachment has a PASID. If the caller names none, this file chooses
 * one.
 */
#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>

#include "iommu_pasid.h"
#include "iommufd.h"
#include "queue.h"
#include "vfio_verbs.h"

static int qm_queue_bind(struct qm_queue *queue, int fd, u32 *id)
{
	struct iommufd_device *idev;
	struct iommufd_ctx *ictx;

	lockdep_assert_held(&queue->lock);
	if (queue->state == QM_QUEUE_ZOMBIE)
		return -ENXIO;
	if (queue->idev)
		return -EINVAL;
	ictx = iommufd_ctx_from_fd(fd);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	idev = iommufd_device_bind_shared(ictx, &queue->qm->pdev->dev, id);
	iommufd_ctx_put(ictx);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	queue->idev = idev;
	return 0;
}

static int qm_queue_bind_verb(void *file, int fd, u32 *id)
{
	struct qm_queue *queue = file;
	int ret;

	mutex_lock(&queue->lock);
	ret = qm_queue_bind(queue, fd, id);
	mutex_unlock(&queue->lock);
	return ret;
}

static void qm_queue_unbind_verb(void *file)
{
	struct qm_queue *queue = file;

	mutex_lock(&queue->lock);
	if (queue->attached) {
		qm_queue_halt(queue);
		qm_queue_detach(queue);
	}
	qm_queue_unbind(queue);
	mutex_unlock(&queue->lock);
}

/* First attachment. @pasid becomes the queue's, or is given back. */
static int qm_queue_attach_to(struct qm_queue *queue, struct qm_pasid *pasid, u32 *pt_id)
{
	int ret;

	ret = iommufd_device_attach(queue->idev, pasid->value, pt_id);
	if (ret) {
		qm_pasid_put(pasid);
		return ret;
	}
	queue->pasid = pasid;
	queue->attached = true;
	return 0;
}

static int qm_queue_attach_at(struct qm_queue *queue, u32 value, u32 *pt_id)
{
	struct qm_pasid *pasid = qm_pasid_alloc(queue->qm, value, value);

	if (IS_ERR(pasid))
		return PTR_ERR(pasid) == -ENOSPC ? -EBUSY : PTR_ERR(pasid);
	return qm_queue_attach_to(queue, pasid, pt_id);
}

/* A PASID that is taken in the IOMMU is skipped. */
static int qm_queue_attach_any(struct qm_queue *queue, u32 max, u32 *pt_id)
{
	struct qm_pasid *pasid;
	u32 value;
	int ret;

	for (value = 1; value < max; value++) {
		pasid = qm_pasid_alloc(queue->qm, value, max - 1);
		if (IS_ERR(pasid))
			return PTR_ERR(pasid);
		value = pasid->value;
		ret = qm_queue_attach_to(queue, pasid, pt_id);
		if (ret != -EBUSY)
			return ret;
		if (signal_pending(current))
			return -EINTR;
	}
	return -ENOSPC;
}

/*
 * Attach, or replace the present attachment. *@pasid is the wanted PASID, or 0 with @any, and
 * receives the one in use.
 */
static int qm_queue_attach(struct qm_queue *queue, bool any, u32 *pasid, u32 *pt_id)
{
	u32 max = min_t(u32, wd_iommu_max_pasids(&queue->qm->pdev->dev), QM_QUEUE_MAX_PASIDS);
	int ret;

	lockdep_assert_held(&queue->lock);
	if (queue->state == QM_QUEUE_ZOMBIE)
		return -ENXIO;
	if (!queue->idev)
		return -EINVAL;
	if (max < 2)
		return -EOPNOTSUPP;
	if (!any && *pasid >= VFIO_VERBS_PASID_LIMIT)
		return -ENOSPC;
	if (!any && *pasid >= max)
		return -EINVAL;

	/* PASID 0 stands for the requester id, and that is not the user's. */
	if (!any && !*pasid)
		return -EPERM;
	/* Started without an address space of an iommufd: to be stopped first. */
	if (!queue->attached && qm_queue_started(queue))
		return -EBUSY;
	if (!queue->attached)
		ret = any ? qm_queue_attach_any(queue, max, pt_id)
			  : qm_queue_attach_at(queue, *pasid, pt_id);
	else if (any || *pasid == queue->pasid->value)
		ret = iommufd_device_replace(queue->idev, queue->pasid->value, pt_id);
	else
		ret = -EBUSY;
	if (!ret)
		*pasid = queue->pasid->value;
	return ret;
}

/* -EBUSY if the PASID is taken, or if the queue is attached at another one; -EPERM for PASID 0. */
static int qm_queue_attach_verb(void *file, bool by_pasid, u32 *pasid, u32 *pt_id, bool *replaced)
{
	struct qm_queue *queue = file;
	int ret;

	mutex_lock(&queue->lock);
	*replaced = queue->attached;
	ret = qm_queue_attach(queue, !by_pasid, pasid, pt_id);
	mutex_unlock(&queue->lock);
	return ret;
}

/* Stops the queue first. A PASID that is not the queue's is not attached. */
static int qm_queue_detach_verb(void *file, bool by_pasid, u32 pasid)
{
	struct qm_queue *queue = file;
	int ret = 0;

	mutex_lock(&queue->lock);
	if (queue->state == QM_QUEUE_ZOMBIE) {
		ret = -ENXIO;
	} else if (!queue->idev) {
		ret = -EINVAL;
	} else if (queue->attached && (!by_pasid || pasid == queue->pasid->value)) {
		ret = qm_queue_halt(queue);
		qm_queue_detach(queue);
	}
	mutex_unlock(&queue->lock);
	return ret;
}

const struct vfio_verbs qm_queue_verbs = {
	.chooses_pasid = true,
	.bind = qm_queue_bind_verb,
	.unbind = qm_queue_unbind_verb,
	.attach = qm_queue_attach_verb,
	.detach = qm_queue_detach_verb,
};
