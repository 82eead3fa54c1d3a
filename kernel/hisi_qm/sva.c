// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues in the address space of a process (Documentation/guide/sva.rst). All started queues of one
 * process on a device share a bond, and its PASID.
 *
 * Only the address space that opened a file can start its queue in this way. So a process that
 * receives the file of another one, or is tricked into starting the queue, does not give access to
 * its own memory. After exec(), or the end of the process, the file cannot be started in this way
 * any more.
 *
 * Locks: qm.sva_lock is inside qm_queue.lock and protects the list of bonds and their members. The
 * driver makes a bond with this lock held, and unbinds it without the lock.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "iommu_sva.h"
#include "queue.h"

/**
 * struct qm_bond - the queues of one process on one device
 * @qm: held
 * @mm: address space of the process; the queues hold it
 * @node: in qm.bonds; empty if the bond accepts no more queues
 * @queues: queues of the bond, by qm_queue.bond_node
 * @users: number of @queues
 * @sva: the layer's bond
 * @pasid: PASID of all queues
 * @faults: the layer handles page faults
 */
struct qm_bond {
	struct qm *qm;
	struct mm_struct *mm;
	struct list_head node;
	struct list_head queues;
	unsigned int users;
	struct wd_sva *sva;
	struct qm_pasid *pasid;
	bool faults;
};

/* Let the bond accept no more queues: the next start makes a new bond. */
static void bond_close(struct qm_bond *bond)
{
	mutex_lock(&bond->qm->sva_lock);
	list_del_init(&bond->node);
	mutex_unlock(&bond->qm->sva_lock);
}

/* Find a queue that is still in a bond, and take a reference to it. */
static struct qm_queue *bond_first_queue(struct qm_bond *bond)
{
	struct qm_queue *queue;

	mutex_lock(&bond->qm->sva_lock);
	queue = list_first_entry_or_null(&bond->queues, struct qm_queue, bond_node);
	if (queue)
		kref_get(&queue->ref);
	mutex_unlock(&bond->qm->sva_lock);
	return queue;
}

static void bond_wipe(struct qm_bond *bond)
{
	struct qm_queue *queue;

	mutex_lock(&bond->qm->sva_lock);
	list_for_each_entry (queue, &bond->queues, bond_node)
		qm_qp_wipe(queue->qp);
	mutex_unlock(&bond->qm->sva_lock);
}

/*
 * The process ends, or becomes another program: stop its queues before Linux frees its page table.
 * It may have a thousand queues full of requests, whose results nobody needs any more. So first
 * make all requests fail at the same time, and then wait for the queues one after the other.
 */
static void bond_mm_exit(void *data)
{
	struct qm_bond *bond = data;
	struct qm_queue *queue;

	bond_close(bond);
	bond_wipe(bond);
	wd_iommu_sva_cut(bond->sva);
	while ((queue = bond_first_queue(bond))) {
		mutex_lock(&queue->lock);
		if (queue->bond == bond)
			queue->ended(queue);
		mutex_unlock(&queue->lock);
		qm_queue_put(queue);
	}
}

static void bond_release(void *data)
{
	struct qm_bond *bond = data;

	put_device(&bond->qm->dev);
	kfree(bond);
}

static const struct wd_sva_ops bond_ops = {
	.mm_exit = bond_mm_exit,
	.release = bond_release,
};

/* Bind at a PASID that is free here and in the IOMMU. */
static int bond_bind(struct qm_bond *bond, struct wd_sva_mm *space)
{
	struct qm *qm = bond->qm;
	struct device *dev = &qm->pdev->dev;
	u32 max = min_t(u32, wd_iommu_max_pasids(dev), QM_QUEUE_MAX_PASIDS), next = 1;
	struct qm_pasid *pasid;
	struct wd_sva *sva;

	for (; next < max; next++) {
		pasid = qm_pasid_alloc(qm, next, max - 1);
		if (IS_ERR(pasid))
			return PTR_ERR(pasid);
		next = pasid->value;
		sva = wd_iommu_sva_bind(dev, space, next, bond->faults, &bond_ops, bond);
		if (!IS_ERR(sva)) {
			bond->sva = sva;
			bond->pasid = pasid;
			return 0;
		}
		qm_pasid_put(pasid);
		if (PTR_ERR(sva) != -EBUSY)
			return PTR_ERR(sva);
	}
	return max < 2 ? -EOPNOTSUPP : -ENOSPC;
}

/* On success the bond takes over *@space, which becomes NULL. */
static struct qm_bond *bond_make(struct qm *qm, struct mm_struct *mm, bool faults,
				 struct wd_sva_mm **space)
{
	struct qm_bond *bond = kzalloc(sizeof(*bond), GFP_KERNEL_ACCOUNT);
	int ret;

	lockdep_assert_held(&qm->sva_lock);
	if (!bond)
		return ERR_PTR(-ENOMEM);
	bond->qm = qm;
	bond->mm = mm;
	bond->faults = faults;
	INIT_LIST_HEAD(&bond->queues);
	get_device(&qm->dev);
	ret = bond_bind(bond, *space);
	if (ret) {
		bond_release(bond);
		return ERR_PTR(ret);
	}
	*space = NULL;
	list_add(&bond->node, &qm->bonds);
	return bond;
}

static struct qm_bond *bond_find(struct qm *qm, struct mm_struct *mm, bool faults,
				 struct wd_sva_mm **space)
{
	struct qm_bond *bond;

	lockdep_assert_held(&qm->sva_lock);
	list_for_each_entry (bond, &qm->bonds, node)
		if (bond->mm == mm && bond->faults == faults)
			return bond;
	return bond_make(qm, mm, faults, space);
}

/**
 * qm_queue_mm() - prepare the address space of the caller for qm_queue_bond()
 * @queue: the queue. The caller does not hold its lock, since this waits for the mmap lock
 *
 * Return: the address space, to be put with wd_iommu_sva_mm_put(); NULL if the queue in its current
 * state does not need it; ERR_PTR of -ENOMEM, -EINTR.
 */
struct wd_sva_mm *qm_queue_mm(struct qm_queue *queue)
{
	enum qm_dma_mode mode = READ_ONCE(queue->qm->mode);
	bool needed;

	if (mutex_lock_killable(&queue->lock))
		return ERR_PTR(-EINTR);
	needed = !queue->attached && !queue->idev;
	mutex_unlock(&queue->lock);
	if (!needed || !current->mm || current->mm != queue->mm)
		return NULL;
	if (mode != QM_DMA_SVA && mode != QM_DMA_PINNED)
		return NULL;
	return wd_iommu_sva_mm_get(current->mm);
}

/**
 * qm_queue_bond() - put a queue into the bond of its process
 * @queue: locked, not started, without address space
 * @faults: with page faults
 * @space: from qm_queue_mm(); this sets it to NULL if a new bond takes it over
 *
 * Return: 0, with @queue->bond set; -EPERM if the caller is not the process that opened the file;
 * -EAGAIN if the queue did not need @space when qm_queue_mm() checked, but does now; -EOPNOTSUPP;
 * -ENOSPC; -ENOMEM; -EINTR if the caller is being killed.
 */
int qm_queue_bond(struct qm_queue *queue, bool faults, struct wd_sva_mm **space)
{
	struct qm *qm = queue->qm;
	struct qm_bond *bond;
	int ret;

	lockdep_assert_held(&queue->lock);
	if (!current->mm || current->mm != queue->mm)
		return -EPERM;
	if (!*space)
		return -EAGAIN;
	ret = mutex_lock_killable(&qm->sva_lock);
	if (ret)
		return ret;
	bond = bond_find(qm, queue->mm, faults, space);
	if (!IS_ERR(bond)) {
		bond->users++;
		list_add_tail(&queue->bond_node, &bond->queues);
		queue->bond = bond;
	}
	mutex_unlock(&qm->sva_lock);
	return PTR_ERR_OR_ZERO(bond);
}

/**
 * qm_queue_bond_pasid() - the PASID of a queue's bond
 * @queue: locked, with a bond
 */
u32 qm_queue_bond_pasid(const struct qm_queue *queue)
{
	return queue->bond->pasid->value;
}

/**
 * qm_queue_bond_cut() - let the device reach no memory of the process any more
 * @queue: locked; the device did not stop it
 *
 * Other queues of the process on the device cannot reach memory any more, either.
 */
void qm_queue_bond_cut(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (!queue->bond)
		return;
	bond_close(queue->bond);
	wd_iommu_sva_cut(queue->bond->sva);
}

/**
 * qm_queue_bond_refuse() - refuse the outstanding page faults of a queue's bond
 * @queue: locked
 *
 * This refuses page faults of other queues in the bond, too.
 */
void qm_queue_bond_refuse(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (queue->bond)
		wd_iommu_sva_refuse(queue->bond->sva);
}

/**
 * qm_queue_unbond() - take a halted queue out of its bond; the last one ends the bond
 * @queue: locked
 */
void qm_queue_unbond(struct qm_queue *queue)
{
	struct qm_bond *bond = queue->bond;
	struct qm *qm = queue->qm;
	struct qm_pasid *pasid;
	bool last;

	lockdep_assert_held(&queue->lock);
	if (!bond)
		return;
	queue->bond = NULL;
	mutex_lock(&qm->sva_lock);
	list_del_init(&queue->bond_node);
	last = !--bond->users;
	if (last)
		list_del_init(&bond->node);
	pasid = bond->pasid;
	qm_pasid_leave(pasid, queue->qp);
	mutex_unlock(&qm->sva_lock);
	if (!last)
		return;
	wd_iommu_sva_unbind(bond->sva);
	/* @bond may be freed by now. Only after the unbind others may have its PASID. */
	qm_pasid_put(pasid);
}
