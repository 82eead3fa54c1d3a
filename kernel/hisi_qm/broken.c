// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware queues that the device did not stop in time. It may still use their memory and their
 * PASID, so they keep both, and their number, until it says that it has let go: it is asked again
 * and again, less and less often, since a command that finishes late must not cost a queue for
 * good. A reset of the function settles the matter, too.
 */
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/workqueue.h>

#include "queue.h"

/* How long at most between two times. */
#define QM_ASK_LATEST_MS 60000u

/* The device has stopped a queue; an owner that still has it gives it back in the usual way. */
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
 * qm_mend_all() - no queue is at work
 * @qm: queue manager; its function has been reset
 */
void qm_mend_all(struct qm *qm)
{
	unsigned int i;

	for (i = 0; i < qm->qp_num; i++)
		if (qm_qp_broken(&qm->qps[i]))
			qm_qp_mend(&qm->qps[i]);
}

/* One that is not answered in time is the last that is asked for: nor would the others be. */
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
	if (!again || ret == -ESHUTDOWN)
		return;
	WRITE_ONCE(qm->ask_ms, min(2 * READ_ONCE(qm->ask_ms), QM_ASK_LATEST_MS));
	queue_delayed_work(system_wq, &qm->ask, msecs_to_jiffies(READ_ONCE(qm->ask_ms)));
}

/* With the object. */
void qm_ask_setup(struct qm *qm)
{
	INIT_DELAYED_WORK(&qm->ask, qm_ask);
}

/* No queue is started any more, or the mailbox is shut. */
void qm_ask_cancel(struct qm *qm)
{
	cancel_delayed_work_sync(&qm->ask);
}
