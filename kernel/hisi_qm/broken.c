// SPDX-License-Identifier: GPL-2.0-only
/*
 * Broken queues: hardware queues that the device did not stop in time. The device may still use
 * their memory and their PASID, so a broken queue keeps both, and its number, until the device has
 * stopped it. A work asks for that again and again, at growing intervals: a command that is only
 * late must not cost a queue for ever. A reset of the function stops all queues, too.
 */
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/workqueue.h>

#include "queue.h"

/* Longest interval between two runs of the work. */
#define QM_ASK_LATEST_MS 60000u

/* The device has stopped a broken queue. Free it if its owner has left it already. */
static void qm_qp_mend(struct qm_qp *qp)
{
	struct qm_pasid *kept;
	struct qm_ss *ss;
	bool left;

	mutex_lock(&qp->lock);
	qp->broken = false;
	qp->started = false;
	kept = qp->kept;
	qp->kept = NULL;
	ss = qp->ss;
	qp->ss = NULL;
	left = qp->left;
	qp->left = false;
	mutex_unlock(&qp->lock);
	qm_pasid_put(kept);
	if (left)
		qm_qp_leave(qp, ss);
}

static bool qm_qp_broken(struct qm_qp *qp)
{
	bool broken;

	mutex_lock(&qp->lock);
	broken = qp->broken;
	mutex_unlock(&qp->lock);
	return broken;
}

/**
 * qm_mend_all() - end the state of all broken queues
 * @qm: queue manager; the device works on no queue and does no DMA
 */
void qm_mend_all(struct qm *qm)
{
	unsigned int i;

	for (i = 0; i < qm->qp_num; i++)
		if (qm_qp_broken(&qm->qps[i]))
			qm_qp_mend(&qm->qps[i]);
}

/*
 * Stop at the first command that times out: the others would time out, too. If the mailbox is shut
 * for a reset, come back after it: the thread that found the queue broken may have said so only
 * after qm_halt() had mended the others.
 */
static void qm_ask(struct work_struct *work)
{
	struct qm *qm = container_of(to_delayed_work(work), struct qm, ask);
	bool again = false;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < qm->qp_num && ret != -EBUSY && ret != -ETIMEDOUT; i++) {
		if (!qm_qp_broken(&qm->qps[i]))
			continue;
		ret = qm_mailbox_busy(qm) ? -EBUSY : qm_qp_tell_stop(&qm->qps[i]);
		if (ret)
			again = true;
		else
			qm_qp_mend(&qm->qps[i]);
	}
	if (!again)
		return;
	WRITE_ONCE(qm->ask_ms, min(2 * READ_ONCE(qm->ask_ms), QM_ASK_LATEST_MS));
	queue_delayed_work(system_wq, &qm->ask, msecs_to_jiffies(READ_ONCE(qm->ask_ms)));
}

/* Initialise the work, when the queue manager is allocated. */
void qm_ask_setup(struct qm *qm)
{
	INIT_DELAYED_WORK(&qm->ask, qm_ask);
}

/* End the work. Queues cannot be started any more, or the mailbox is shut. */
void qm_ask_cancel(struct qm *qm)
{
	cancel_delayed_work_sync(&qm->ask);
}
