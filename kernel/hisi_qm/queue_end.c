// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a queue. The device executes STOP_QP only after it has finished the requests that it
 * has taken, and meanwhile the mailbox, which all queues need, is busy. So the driver first waits
 * for the queue to drain; then it answers the page faults instead of the owner. If nobody needs the
 * results any more, it also wipes the requests that the device has not fetched, so that they fail
 * at once.
 *
 * If the device does not stop a queue in time, the driver takes the address space away, and tries
 * again. If that fails, too, the queue is broken: it keeps its number, its memory and its PASID,
 * since the device may still use them (broken.c).
 */
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "iommufd.h"
#include "queue.h"

/* Let the device reach no memory of the queue's address space. The PASID stays reserved. */
static void qm_queue_block(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	qm_queue_bond_cut(queue);
	if (!queue->attached)
		return;
	iommufd_device_detach(queue->idev, queue->pasid->value);
	queue->attached = false;
}

/* Free the PASID, unless the hardware queue may still use it. */
static void qm_queue_free_pasid(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (queue->attached)
		return;
	qm_pasid_leave(queue->pasid, queue->qp);
	qm_pasid_put(queue->pasid);
	queue->pasid = NULL;
}

/* The page faults that the driver refuses while a queue drains. */
enum qm_queue_refuse {
	QM_REFUSE_NONE,
	QM_REFUSE_OWN, /* those of the PASID where the queue is attached */
	QM_REFUSE_ALL, /* also those of its bond, perhaps of other queues */
};

static void qm_queue_refuse_faults(struct qm_queue *queue, enum qm_queue_refuse whose)
{
	if (whose == QM_REFUSE_NONE)
		return;
	if (queue->attached)
		iommufd_device_refuse_faults(queue->idev, queue->pasid->value);
	else if (whose == QM_REFUSE_ALL)
		qm_queue_bond_refuse(queue);
}

/* Wait until the queue is idle, or until the time @until, as from ktime_get_ns(). */
static int qm_queue_drain(struct qm_queue *queue, u64 until, enum qm_queue_refuse refuse)
{
	u64 now, step = QM_QUEUE_STEP_US * (u64)NSEC_PER_USEC;
	int ret;

	do {
		qm_queue_refuse_faults(queue, refuse);
		now = ktime_get_ns();
		ret = qm_qp_drain_until(queue->qp, min(until, now + step));
	} while (ret == -ETIMEDOUT && now < until && (refuse || !fatal_signal_pending(current)));
	return ret;
}

static u64 qm_queue_until(unsigned int patience_ms)
{
	return ktime_get_ns() + patience_ms * (u64)NSEC_PER_MSEC;
}

/* Stop the hardware queue; if the device does not, take the address space away and try again. */
static int qm_queue_stop(struct qm_queue *queue)
{
	struct qm_qp *qp = queue->qp;

	if (!qm_qp_stop(qp)) {
		queue->state = QM_QUEUE_INIT;
		return 0;
	}
	qm_queue_block(queue);
	if (qm_qp_stop(qp))
		qm_qp_break(qp);
	qm_queue_zombie(queue);
	qm_queue_free_pasid(queue);
	return -EIO;
}

/**
 * qm_queue_halt() - stop a queue for its owner
 * @queue: locked, in any state
 *
 * The device gets some time to finish the requests, and the owner to answer page faults.
 *
 * Return: 0: the device does not work on the queue; it is in INIT if it was STARTED, and still
 * attached. -EIO: the device did not stop the queue in time; it is a zombie without address space.
 */
int qm_queue_halt(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (!qm_queue_started(queue))
		return 0;
	qm_qp_flag_stop(queue->qp);
	if (qm_queue_drain(queue, qm_queue_until(QM_QUEUE_PATIENCE_MS), QM_REFUSE_NONE))
		qm_queue_drain(queue, qm_queue_until(QM_QUEUE_PATIENCE_MS), QM_REFUSE_ALL);
	return qm_queue_stop(queue);
}

/**
 * qm_queue_end() - stop a queue when nobody needs its results any more
 * @queue: locked, in any state
 */
void qm_queue_end(struct qm_queue *queue)
{
	/* A process that exits may have a thousand queues: do not wait for each. */
	unsigned int patience = current->flags & PF_EXITING ? 0 : QM_QUEUE_PATIENCE_CLOSE_MS;

	lockdep_assert_held(&queue->lock);
	if (!qm_queue_started(queue))
		return;
	qm_qp_flag_stop(queue->qp);
	if (qm_queue_drain(queue, qm_queue_until(patience), QM_REFUSE_OWN)) {
		qm_qp_wipe(queue->qp);
		qm_queue_drain(queue, qm_queue_until(QM_QUEUE_PATIENCE_MS), QM_REFUSE_ALL);
	}
	qm_queue_stop(queue);
}

/**
 * qm_queue_detach() - take the address space of an iommufd from a halted queue
 * @queue: locked
 */
void qm_queue_detach(struct qm_queue *queue)
{
	qm_queue_block(queue);
	qm_queue_free_pasid(queue);
}

/**
 * qm_queue_unbind() - unbind a queue without address space from its iommufd
 * @queue: locked
 */
void qm_queue_unbind(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (!queue->idev)
		return;
	iommufd_device_unbind(queue->idev);
	queue->idev = NULL;
}
