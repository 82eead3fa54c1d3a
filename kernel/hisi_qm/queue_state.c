// SPDX-License-Identifier: GPL-2.0-only
/* State of a queue file: queries and changes for the other source files of the module. */
#include <linux/device.h>
#include <linux/kref.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "queue.h"

static void qm_queue_destroy(struct kref *ref)
{
	struct qm_queue *queue = container_of(ref, struct qm_queue, ref);
	struct qm *qm = queue->qm;

	if (queue->mm)
		mmdrop(queue->mm);
	mutex_destroy(&queue->lock);
	kfree(queue);
	put_device(&qm->dev);
}

void qm_queue_put(struct qm_queue *queue)
{
	kref_put(&queue->ref, qm_queue_destroy);
}

/**
 * qm_queue_started() - does the device work on a queue?
 * @queue: locked
 *
 * Return: false also if qm_halt() has stopped the whole device.
 */
bool qm_queue_started(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (queue->state == QM_QUEUE_STARTED && !qm_qp_started(queue->qp))
		queue->state = QM_QUEUE_INIT;
	return queue->state == QM_QUEUE_STARTED;
}

/**
 * qm_queue_zombie() - make a queue unusable while its file is open
 * @queue: locked
 */
void qm_queue_zombie(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	queue->state = QM_QUEUE_ZOMBIE;
	mutex_lock(&queue->qp->lock);
	queue->dead = true;
	mutex_unlock(&queue->qp->lock);
	wake_up_interruptible(&queue->qp->wait);
}

/**
 * qm_queue_orphan() - note that the address space of a stopped queue has ended
 * @queue: locked
 */
void qm_queue_orphan(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	mutex_lock(&queue->qp->lock);
	queue->orphan = true;
	mutex_unlock(&queue->qp->lock);
	wake_up_interruptible(&queue->qp->wait);
}
