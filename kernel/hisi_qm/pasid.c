// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASIDs of a device. Each has an owner, an attached queue or a bond. A hardware queue that did not
 * stop may still use it, and so keeps it reserved when its owner has gone.
 */
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/slab.h>

#include "queue.h"

/**
 * wd_pasid_alloc() - take a PASID that no queue of the device has
 * @qm: queue manager, which outlives it
 * @first: the lowest that will do
 * @last: the highest
 *
 * Return: the PASID, to be given back with wd_pasid_put(); ERR_PTR(-ENOSPC), ERR_PTR(-ENOMEM).
 */
struct wd_pasid *wd_pasid_alloc(struct wd_qm *qm, u32 first, u32 last)
{
	struct wd_pasid *pasid = kzalloc(sizeof(*pasid), GFP_KERNEL_ACCOUNT);
	int value;

	if (!pasid)
		return ERR_PTR(-ENOMEM);
	value = ida_alloc_range(&qm->pasids, first, last, GFP_KERNEL);
	if (value < 0) {
		kfree(pasid);
		return ERR_PTR(value);
	}
	kref_init(&pasid->ref);
	pasid->qm = qm;
	pasid->value = value;
	return pasid;
}

static void wd_pasid_free(struct kref *ref)
{
	struct wd_pasid *pasid = container_of(ref, struct wd_pasid, ref);

	ida_free(&pasid->qm->pasids, pasid->value);
	kfree(pasid);
}

/* NULL does nothing. */
void wd_pasid_put(struct wd_pasid *pasid)
{
	if (pasid)
		kref_put(&pasid->ref, wd_pasid_free);
}

/**
 * wd_pasid_leave() - the owner has no more use for a PASID
 * @pasid: nothing is attached there; NULL does nothing
 * @qp: a queue that worked there; it keeps the PASID if it did not stop
 */
void wd_pasid_leave(struct wd_pasid *pasid, struct wd_qp *qp)
{
	mutex_lock(&qp->lock);
	if (pasid && qp->broken && !qp->kept) {
		kref_get(&pasid->ref);
		qp->kept = pasid;
	}
	mutex_unlock(&qp->lock);
}
