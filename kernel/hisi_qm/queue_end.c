// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a queue. If the owner left a queue full of work, or page faults unanswered, STOP_QP
 * would occupy the mailbox, which all queues need, until the device has finished the queue. So the
 * driver waits for the queue to drain first; then it answers the page faults for the owner. If the
 * results are not wanted any more, it also wipes the requests that the device has not fetched, so
 * that they fail at once.
 *
 * If the device does not stop a queue within the mailbox's time, its address space is taken away,
 * and it is stopped again. A hardware queue that does not stop even so keeps its number, its memory
 * and its PASID until the device is reset, because the device may still use them.
 */
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "iommufd.h"
#include "queue.h"

/* Put the address space out of the device's reach. The PASID stays reserved. */
static void qm_queue_block(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	qm_queue_bond_cut(queue);
	if (!queue->attached)
		return;
	iommufd_device_detach(queue->idev, queue->pasid->value);
	queue->attached = false;
}

/* Others may have the PASID, unless the hardware queue may still use it. */
static void qm_queue_free_pasid(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (queue->attached)
		return;
	qm_pasid_leave(queue->pasid, queue->qp);
	qm_pasid_put(queue->pasid);
	queue->pasid = NULL;
}

/* The page faults that are answered while a queue drains. */
enum qm_queue_refuse {
	QM_REFUSE_NONE,
	QM_REFUSE_OWN, /* of the PASID that the queue is attached at */
	QM_REFUSE_ALL, /* of its process, perhaps with other queues */
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

/* Until the queue is idle or @until, as of ktime_get_ns(). */
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

/* Tell the device; if need be with the address space out of its reach. */
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
 * qm_queue_halt() - stop the hardware queue in any case
 * @queue: locked, in any state
 *
 * Its requests have some time to finish, and its page faults to be answered.
 *
 * Return: 0: the hardware is not working on the queue; it is in INIT if it was STARTED, and still
 * attached. -EIO: the hardware had to be cut off; the queue is a zombie without address space.
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
 * qm_queue_end() - the same, when the results are not wanted any more
 * @queue: locked, in any state
 */
void qm_queue_end(struct qm_queue *queue)
{
	/* A process may have a thousand of them. */
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
 * qm_queue_detach() - no address space for a queue that is halted
 * @queue: locked
 */
void qm_queue_detach(struct qm_queue *queue)
{
	qm_queue_block(queue);
	qm_queue_free_pasid(queue);
}

/**
 * qm_queue_unbind() - end the binding of a queue without address space
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
