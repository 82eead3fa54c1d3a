// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware queues that the device did not stop in time. It may still use their memory and their
 * PASID, so they keep both, and their number, until it says that it has let go: it is asked again
 * and again, less and less often, since a command that finishes late must not cost a queue for
 * good. A reset of the function settles the matter, too.
 */
#include <linux/idr.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/workqueue.h>

#include "qm.h"

/* When to ask for the first time, and how long at most between two times. */
#define QM_ASK_FIRST_MS 100
#define QM_ASK_LATEST_MS 60000

/**
 * qm_qp_break() - give up a queue that the device would not stop
 * @qp: the queue
 */
void qm_qp_break(struct wd_qp *qp)
{
	struct wd_qm *qm = qp->qm;

	mutex_lock(&qp->lock);
	qp->broken = true;
	mutex_unlock(&qp->lock);
	dev_err_ratelimited(&qm->pdev->dev, "queue %u does not stop, not used for now\n", qp->id);
	WRITE_ONCE(qm->ask_ms, QM_ASK_FIRST_MS);
	mod_delayed_work(system_wq, &qm->ask, msecs_to_jiffies(QM_ASK_FIRST_MS));
}

/**
 * qm_qp_leave() - the owner has no more use for a queue
 * @qp: the queue, locked; nobody has it mapped
 * @ss: memory for physical addresses, or NULL
 *
 * Return: true if it can be given back; otherwise that is done when the device has let go of it.
 */
bool qm_qp_leave(struct wd_qp *qp, struct wd_ss *ss)
{
	lockdep_assert_held(&qp->lock);
	if (qp->broken) {
		qp->ss = ss;
		qp->left = true;
		return false;
	}
	qm_dus_free(qp);
	wd_ss_free(ss);
	return true;
}

/* --- PASIDs --- */

static bool qm_pasid_kept(struct wd_qm *qm, u32 pasid)
{
	unsigned int i;

	lockdep_assert_held(&qm->sva_lock);
	for (i = 0; i < qm->qp_num; i++)
		if (qm->qps[i].kept_pasid == pasid)
			return true;
	return false;
}

/**
 * qm_pasid_keep() - a broken queue keeps a PASID
 * @qp: the queue; sva_lock is held
 * @pasid: its owner's
 */
void qm_pasid_keep(struct wd_qp *qp, u32 pasid)
{
	lockdep_assert_held(&qp->qm->sva_lock);
	qp->kept_pasid = pasid;
}

/**
 * qm_pasid_free() - the owner has no more use for a PASID
 * @qm: queue manager; sva_lock is held
 * @pasid: nothing is attached there
 *
 * Others may have it, unless a broken queue keeps it.
 */
void qm_pasid_free(struct wd_qm *qm, u32 pasid)
{
	lockdep_assert_held(&qm->sva_lock);
	if (!qm_pasid_kept(qm, pasid))
		ida_free(&qm->pasids, pasid);
}

static void qm_pasid_release(struct wd_qp *qp)
{
	struct wd_qm *qm = qp->qm;
	u32 pasid;

	mutex_lock(&qm->sva_lock);
	pasid = qp->kept_pasid;
	qp->kept_pasid = 0;
	if (pasid && !wd_bond_has_pasid(qm, pasid))
		qm_pasid_free(qm, pasid);
	mutex_unlock(&qm->sva_lock);
}

/* --- the way back --- */

/* The device has let go of a queue. */
static void qm_qp_mend(struct wd_qp *qp)
{
	struct wd_qm *qm = qp->qm;
	bool left;

	mutex_lock(&qp->lock);
	qp->broken = false;
	qp->started = false;
	left = qp->left;
	qp->left = false;
	if (left) {
		qm_dus_free(qp);
		wd_ss_free(qp->ss);
		qp->ss = NULL;
		WRITE_ONCE(qp->kernel, false);
	}
	mutex_unlock(&qp->lock);
	qm_pasid_release(qp);
	if (!left)
		return;
	mutex_lock(&qm->lock);
	qm_qp_put(qp);
	mutex_unlock(&qm->lock);
}

static bool qm_qp_broken(struct wd_qp *qp)
{
	bool broken;

	mutex_lock(&qp->lock);
	broken = qp->broken;
	mutex_unlock(&qp->lock);
	return broken;
}

/**
 * qm_mend_all() - no queue is at work
 * @qm: queue manager whose function has been reset
 */
void qm_mend_all(struct wd_qm *qm)
{
	unsigned int i;

	for (i = 0; i < qm->qp_num; i++)
		if (qm_qp_broken(&qm->qps[i]))
			qm_qp_mend(&qm->qps[i]);
}

/* One that does not answer is the last that is asked: the others would not be answered either. */
static void qm_ask_fn(struct work_struct *work)
{
	struct wd_qm *qm = container_of(to_delayed_work(work), struct wd_qm, ask);
	unsigned int i, left = 0;
	int ret = 0;

	for (i = 0; i < qm->qp_num && ret != -EBUSY && ret != -ETIMEDOUT; i++) {
		if (!qm_qp_broken(&qm->qps[i]))
			continue;
		ret = qm_mailbox_idle_now(qm) ? qm_mailbox_stop_qp(qm, i) : -EBUSY;
		if (!ret)
			qm_qp_mend(&qm->qps[i]);
		else
			left++;
	}
	if (!left || ret == -ESHUTDOWN || ret == -ENODEV)
		return;
	WRITE_ONCE(qm->ask_ms, min(2 * READ_ONCE(qm->ask_ms), (unsigned int)QM_ASK_LATEST_MS));
	queue_delayed_work(system_wq, &qm->ask, msecs_to_jiffies(READ_ONCE(qm->ask_ms)));
}

/* With the object. */
void qm_ask_setup(struct wd_qm *qm)
{
	INIT_DELAYED_WORK(&qm->ask, qm_ask_fn);
}

/* Nothing breaks any more: the mailbox is shut, or no queue is started. */
void qm_ask_cancel(struct wd_qm *qm)
{
	cancel_delayed_work_sync(&qm->ask);
}
