// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue's address space from an iommufd: bind of the file, and attachment at [RID, PASID].
 *
 * Requests, errors and argument sizes are those of VFIO's device files (IOMMUFD-VFIO-1,
 * IOMMUFD-VFIO-2). The bind is shared (IOMMUFD-DEV-2): the driver needs the requester id for its
 * own DMA, so every attachment has a PASID. If the caller gives none, the driver chooses one.
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

	ret = mutex_lock_killable(&queue->lock);
	if (ret)
		return ret;
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

/* Make the first attachment. Takes over @pasid, also on failure. */
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

/* Attach at the first PASID that is free here and in the IOMMU. */
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
 * Attach, or replace the current attachment. *@pasid: in: the wanted PASID, not used with @any;
 * out: the PASID in use.
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

	/* PASID 0 stands for the requester id, which users do not get. */
	if (!any && !*pasid)
		return -EPERM;
	/* The queue works in another address space: the user has to stop it first. */
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

/* Return: -EBUSY if the PASID is taken, or the queue is attached at another; -EPERM for PASID 0. */
static int qm_queue_attach_verb(void *file, bool by_pasid, u32 *pasid, u32 *pt_id, bool *replaced)
{
	struct qm_queue *queue = file;
	int ret;

	ret = mutex_lock_killable(&queue->lock);
	if (ret)
		return ret;
	*replaced = queue->attached;
	ret = qm_queue_attach(queue, !by_pasid, pasid, pt_id);
	mutex_unlock(&queue->lock);
	return ret;
}

/* Stop the queue and detach it. Does nothing if the queue is not attached at this PASID. */
static int qm_queue_detach_verb(void *file, bool by_pasid, u32 pasid)
{
	struct qm_queue *queue = file;
	int ret;

	ret = mutex_lock_killable(&queue->lock);
	if (ret)
		return ret;
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
