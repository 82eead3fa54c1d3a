// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a queue. A queue whose owner left it full of work, or page faults unanswered, would
 * hold the mailbox, which everybody needs, through STOP_QP until the device is done with it. So it
 * is drained with patience first; then its page faults are answered for its owner, and where nobody
 * wants the results any more what the device has not fetched is wiped, so that it fails at once.
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
static void wd_queue_block(struct wd_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	wd_queue_bond_cut(queue);
	if (!queue->attached)
		return;
	iommufd_device_detach(queue->idev, queue->pasid->value);
	queue->attached = false;
}

/* Others may have the PASID, unless the hardware queue may still use it. */
static void wd_queue_free_pasid(struct wd_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (queue->attached)
		return;
	wd_pasid_leave(queue->pasid, queue->qp);
	wd_pasid_put(queue->pasid);
	queue->pasid = NULL;
}

/* Whose page faults are answered while a queue drains. */
enum wd_queue_refuse {
	WD_REFUSE_NONE,
	WD_REFUSE_OWN, /* of the PASID that the queue is attached at */
	WD_REFUSE_ALL, /* those of its process, which has other queues perhaps, too */
};

static void wd_queue_refuse_faults(struct wd_queue *queue, enum wd_queue_refuse whose)
{
	if (whose == WD_REFUSE_NONE)
		return;
	if (queue->attached)
		iommufd_device_refuse_faults(queue->idev, queue->pasid->value);
	else if (whose == WD_REFUSE_ALL)
		wd_queue_bond_refuse(queue);
}

/* Until the queue is idle or @until, as of ktime_get_ns(). */
static int wd_queue_drain(struct wd_queue *queue, u64 until, enum wd_queue_refuse refuse)
{
	u64 now, step = WD_QUEUE_STEP_US * (u64)NSEC_PER_USEC;
	int ret;

	do {
		wd_queue_refuse_faults(queue, refuse);
		now = ktime_get_ns();
		ret = qm_qp_drain_until(queue->qp, min(until, now + step));
	} while (ret == -ETIMEDOUT && now < until && (refuse || !fatal_signal_pending(current)));
	return ret;
}

static u64 wd_queue_until(unsigned int patience_ms)
{
	return ktime_get_ns() + patience_ms * (u64)NSEC_PER_MSEC;
}

/* Tell the device; if need be with the address space out of its reach. */
static int wd_queue_stop(struct wd_queue *queue)
{
	struct wd_qp *qp = queue->qp;

	if (!wd_qp_stop(qp)) {
		queue->state = WD_QUEUE_INIT;
		return 0;
	}
	wd_queue_block(queue);
	if (wd_qp_stop(qp))
		qm_qp_break(qp);
	wd_queue_zombie(queue);
	wd_queue_free_pasid(queue);
	return -EIO;
}

/**
 * wd_queue_halt() - stop the hardware queue, come what may
 * @queue: locked, in any state
 *
 * Its requests have some time to finish, and its page faults to be answered.
 *
 * Return: 0: the hardware is not working on the queue; it is in INIT if it was STARTED, and still
 * attached. -EIO: the hardware had to be cut off; the queue is a zombie without address space.
 */
int wd_queue_halt(struct wd_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (!wd_queue_started(queue))
		return 0;
	qm_qp_flag_stop(queue->qp);
	if (wd_queue_drain(queue, wd_queue_until(WD_QUEUE_PATIENCE_MS), WD_REFUSE_NONE))
		wd_queue_drain(queue, wd_queue_until(WD_QUEUE_PATIENCE_MS), WD_REFUSE_ALL);
	return wd_queue_stop(queue);
}

/**
 * wd_queue_end() - the same, when nobody is interested in the results
 * @queue: locked, in any state
 */
void wd_queue_end(struct wd_queue *queue)
{
	/* A process may have a thousand of them. */
	unsigned int patience = current->flags & PF_EXITING ? 0 : WD_QUEUE_PATIENCE_CLOSE_MS;

	lockdep_assert_held(&queue->lock);
	if (!wd_queue_started(queue))
		return;
	qm_qp_flag_stop(queue->qp);
	if (wd_queue_drain(queue, wd_queue_until(patience), WD_REFUSE_OWN)) {
		qm_qp_wipe(queue->qp);
		wd_queue_drain(queue, wd_queue_until(WD_QUEUE_PATIENCE_MS), WD_REFUSE_ALL);
	}
	wd_queue_stop(queue);
}

/**
 * wd_queue_detach() - no address space for a queue that is halted
 * @queue: locked
 */
void wd_queue_detach(struct wd_queue *queue)
{
	wd_queue_block(queue);
	wd_queue_free_pasid(queue);
}

/**
 * wd_queue_unbind() - end the binding of a queue without address space
 * @queue: locked
 */
void wd_queue_unbind(struct wd_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (!queue->idev)
		return;
	iommufd_device_unbind(queue->idev);
	queue->idev = NULL;
}
