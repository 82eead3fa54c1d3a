// SPDX-License-Identifier: GPL-2.0-only
/*
 * State of a queue file: what every file that works on it may ask and say.
 */
#include <linux/device.h>
#include <linux/kref.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "queue.h"

static void wd_queue_destroy(struct kref *ref)
{
	struct wd_queue *queue = container_of(ref, struct wd_queue, ref);
	struct wd_qm *qm = queue->qm;

	if (queue->mm)
		mmdrop(queue->mm);
	mutex_destroy(&queue->lock);
	kfree(queue);
	put_device(&qm->dev);
}

void wd_queue_put(struct wd_queue *queue)
{
	kref_put(&queue->ref, wd_queue_destroy);
}

/**
 * wd_queue_started() - does the device work on a queue
 * @queue: locked
 *
 * Return: false also if the device has been stopped under it.
 */
bool wd_queue_started(struct wd_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (queue->state == WD_QUEUE_STARTED && !qm_qp_started(queue->qp))
		queue->state = WD_QUEUE_INIT;
	return queue->state == WD_QUEUE_STARTED;
}

/**
 * wd_queue_zombie() - the end of a queue whose file is still open
 * @queue: locked
 */
void wd_queue_zombie(struct wd_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	queue->state = WD_QUEUE_ZOMBIE;
	mutex_lock(&queue->qp->lock);
	queue->dead = true;
	mutex_unlock(&queue->qp->lock);
	wake_up_interruptible(&queue->qp->wait);
}

/**
 * wd_queue_orphan() - the address space that a stopped queue worked in is gone
 * @queue: locked
 */
void wd_queue_orphan(struct wd_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	mutex_lock(&queue->qp->lock);
	queue->orphan = true;
	mutex_unlock(&queue->qp->lock);
	wake_up_interruptible(&queue->qp->wait);
}
