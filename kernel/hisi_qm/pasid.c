// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASIDs of a device. The owner of a PASID is an attached queue or a bond. A hardware queue that
 * did not stop may still use its PASID, so it keeps the PASID reserved after the owner has gone.
 */
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/slab.h>

#include "queue.h"

/**
 * qm_pasid_alloc() - take a PASID that no queue of the device has
 * @qm: queue manager, which outlives the PASID
 * @first: lowest value
 * @last: highest value
 *
 * Return: the PASID, to be given back with qm_pasid_put(); ERR_PTR of -ENOSPC, -ENOMEM.
 */
struct qm_pasid *qm_pasid_alloc(struct qm *qm, u32 first, u32 last)
{
	struct qm_pasid *pasid = kzalloc(sizeof(*pasid), GFP_KERNEL_ACCOUNT);
	int value;

	if (!pasid)
		return ERR_PTR(-ENOMEM);
	value = ida_alloc_range(&qm->pasids, first, last, GFP_KERNEL_ACCOUNT);
	if (value < 0) {
		kfree(pasid);
		return ERR_PTR(value);
	}
	kref_init(&pasid->ref);
	pasid->qm = qm;
	pasid->value = value;
	return pasid;
}

static void qm_pasid_free(struct kref *ref)
{
	struct qm_pasid *pasid = container_of(ref, struct qm_pasid, ref);

	ida_free(&pasid->qm->pasids, pasid->value);
	kfree(pasid);
}

/* Drop a reference to a PASID, which may be NULL. */
void qm_pasid_put(struct qm_pasid *pasid)
{
	if (pasid)
		kref_put(&pasid->ref, qm_pasid_free);
}

/**
 * qm_pasid_leave() - let a broken queue keep its PASID
 * @pasid: PASID that its owner does not need any more; or NULL
 * @qp: the queue that worked there
 *
 * The owner calls this before it drops its own reference.
 */
void qm_pasid_leave(struct qm_pasid *pasid, struct qm_qp *qp)
{
	mutex_lock(&qp->lock);
	if (pasid && qp->broken && !qp->kept) {
		kref_get(&pasid->ref);
		qp->kept = pasid;
	}
	mutex_unlock(&qp->lock);
}
