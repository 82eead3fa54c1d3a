// SPDX-License-Identifier: GPL-2.0-only
/* Life of a queue: rings, start, stop, end. */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommufd.h"
#include "mover.h"

/* Time for the workers to end when a file is closed, before it is closed without them. */
#define MOVER_CLOSE_MS 200

/* Take the threads and the pins from a queue whose workers have ended. */
static void mover_queue_clear(struct mover_queue *queue)
{
	mover_workers_join(queue);
	mutex_lock(&queue->ring_lock);
	queue->started = false;
	/* A descriptor may have no completion, so the indices are of no use any more. */
	if (queue->failed)
		queue->depth = 0;
	mutex_unlock(&queue->ring_lock);
	mover_rings_unpin(queue, 0, ULONG_MAX);
}

/* Nobody uses the queue any more. */
static void mover_queue_destroy(struct mover_queue *queue)
{
	bool orphan = queue->orphan;

	mover_queue_clear(queue);
	if (queue->access)
		iommufd_access_destroy(queue->access);
	mover_ring_cleanup(&queue->sq);
	mover_ring_cleanup(&queue->cq);
	if (queue->event)
		eventfd_ctx_put(queue->event);
	free_page((unsigned long)queue->control);
	mover_user_uncharge(queue->user);
	mutex_destroy(&queue->ring_lock);
	kfree(queue);
	if (orphan)
		module_put(THIS_MODULE);
}

static void mover_queue_reap(struct work_struct *work)
{
	mover_queue_destroy(container_of(work, struct mover_queue, reaper));
}

/**
 * mover_queue_alloc() - make a queue for the calling user
 *
 * Return: the queue, for mover_queue_close(); ERR_PTR(-ENOMEM, -EDQUOT)
 */
struct mover_queue *mover_queue_alloc(void)
{
	struct mover_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	int ret = -ENOMEM;

	if (!queue)
		return ERR_PTR(-ENOMEM);
	queue->control = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!queue->control)
		goto err_free;
	queue->user = mover_user_charge();
	if (IS_ERR(queue->user)) {
		ret = PTR_ERR(queue->user);
		goto err_page;
	}
	refcount_set(&queue->ref, 1);
	atomic_set(&queue->busy, 0);
	init_waitqueue_head(&queue->turn);
	mutex_init(&queue->ring_lock);
	atomic_set(&queue->running, 0);
	init_waitqueue_head(&queue->idle);
	init_waitqueue_head(&queue->work);
	init_waitqueue_head(&queue->wait);
	INIT_WORK(&queue->reaper, mover_queue_reap);
	return queue;

err_page:
	free_page((unsigned long)queue->control);
err_free:
	kfree(queue);
	return ERR_PTR(ret);
}

/**
 * mover_queue_enter() - wait until no other call changes the queue
 * @queue: queue
 *
 * This is no mutex, since the calls may wait for memory of the user.
 *
 * Return: 0, or -EINTR the caller is killed
 */
int mover_queue_enter(struct mover_queue *queue)
{
	return wait_event_killable(queue->turn, !atomic_cmpxchg(&queue->busy, 0, 1)) ? -EINTR : 0;
}

void mover_queue_leave(struct mover_queue *queue)
{
	/* Orders what the call has done before it, unlike atomic_set(). */
	atomic_cmpxchg(&queue->busy, 1, 0);
	wake_up(&queue->turn);
}

static void mover_queue_order(struct mover_queue *queue, enum mover_order order)
{
	mutex_lock(&queue->ring_lock);
	if (order == MOVER_DRAIN)
		WRITE_ONCE(queue->drain_tail, smp_load_acquire(&queue->control->tail));
	WRITE_ONCE(queue->order, order);
	mutex_unlock(&queue->ring_lock);
	wake_up_all(&queue->work);
}

/**
 * mover_queue_close() - end a queue whose file is closed
 * @queue: no other thread but its workers uses it
 *
 * If a worker waits for memory of the user, it destroys the queue later.
 */
void mover_queue_close(struct mover_queue *queue)
{
	mover_queue_order(queue, MOVER_ABORT);
	if (!wait_event_timeout(queue->idle, !atomic_read(&queue->running),
				msecs_to_jiffies(MOVER_CLOSE_MS))) {
		__module_get(THIS_MODULE);
		queue->orphan = true;
	} else {
		/* Each worker gives its reference back before it can be joined. */
		mover_workers_join(queue);
	}
	if (refcount_dec_and_test(&queue->ref))
		mover_queue_destroy(queue);
}

static bool mover_queue_busy(struct mover_queue *queue)
{
	return atomic_read(&queue->running);
}

/* If the workers have ended by themselves, take notice of it. */
static void mover_queue_settle(struct mover_queue *queue)
{
	if (queue->nr_workers && !mover_queue_busy(queue))
		mover_queue_clear(queue);
}

static int mover_queue_new_rings(const struct wd_mover_ring *arg, struct mover_ring *sq,
				 struct mover_ring *cq)
{
	int ret;

	if (arg->flags || !is_power_of_2(arg->depth) || arg->depth < WD_MOVER_MIN_DEPTH ||
	    arg->depth > WD_MOVER_MAX_DEPTH)
		return -EINVAL;
	ret = mover_ring_setup(sq, arg->sq_iova, arg->depth * sizeof(struct wd_mover_desc), false);
	if (ret)
		return ret;
	ret = mover_ring_setup(cq, arg->cq_iova, arg->depth * sizeof(struct wd_mover_completion),
			       true);
	if (ret)
		mover_ring_cleanup(sq);
	return ret;
}

/* Begin at index 0. */
static void mover_queue_reset(struct mover_queue *queue)
{
	struct wd_mover_control *control = queue->control;

	lockdep_assert_held(&queue->ring_lock);
	WRITE_ONCE(queue->failed, 0);
	queue->head = 0;
	WRITE_ONCE(queue->cq_tail, 0);
	WRITE_ONCE(control->tail, 0);
	WRITE_ONCE(control->cq_head, 0);
	WRITE_ONCE(control->head, 0);
	WRITE_ONCE(control->cq_tail, 0);
	WRITE_ONCE(control->state, WD_MOVER_INIT);
}

/**
 * mover_queue_set_ring() - choose other rings
 * @queue: entered
 * @arg: copy of what the user wants
 *
 * Return: 0, -EINVAL, -ENOMEM, -EBUSY the queue is started
 */
int mover_queue_set_ring(struct mover_queue *queue, const struct wd_mover_ring *arg)
{
	struct mover_ring sq, cq;
	int ret;

	mover_queue_settle(queue);
	if (queue->nr_workers)
		return -EBUSY;
	ret = mover_queue_new_rings(arg, &sq, &cq);
	if (ret)
		return ret;
	mutex_lock(&queue->ring_lock);
	swap(queue->sq, sq);
	swap(queue->cq, cq);
	queue->depth = arg->depth;
	mover_queue_reset(queue);
	mutex_unlock(&queue->ring_lock);
	mover_ring_cleanup(&sq);
	mover_ring_cleanup(&cq);
	return 0;
}

/* The workers are there. Return: -ENOENT the user has unmapped a ring meanwhile. */
static int mover_queue_begin(struct mover_queue *queue)
{
	int ret = 0;

	mutex_lock(&queue->ring_lock);
	if (queue->sq.pinned && queue->cq.pinned) {
		WRITE_ONCE(queue->order, MOVER_RUN);
		queue->started = true;
		WRITE_ONCE(queue->control->state, WD_MOVER_STARTED);
		WRITE_ONCE(queue->control->flags, 0);
	} else {
		ret = -ENOENT;
	}
	mutex_unlock(&queue->ring_lock);
	return ret;
}

/**
 * mover_queue_start() - let workers take descriptors
 * @queue: entered
 *
 * Return: 0; -EINVAL it is started, or has no rings; -EOPNOTSUPP it is not attached; errors of
 * iommufd_access_pin_pages() for the rings, and of mover_workers_create()
 */
int mover_queue_start(struct mover_queue *queue)
{
	int ret;

	mover_queue_settle(queue);
	if (queue->nr_workers)
		return -EINVAL;
	if (!queue->attached)
		return -EOPNOTSUPP;
	if (!queue->depth)
		return -EINVAL;
	ret = mover_rings_pin(queue);
	if (ret)
		goto err_unpin;
	ret = mover_workers_create(queue);
	if (ret)
		goto err_unpin;
	ret = mover_queue_begin(queue);
	if (ret)
		goto err_join;
	mover_workers_go(queue);
	return 0;

err_join:
	mover_workers_join(queue);
err_unpin:
	mover_rings_unpin(queue, 0, ULONG_MAX);
	return ret;
}

/**
 * mover_queue_halt() - let the workers finish what is submitted, and stop
 * @queue: entered
 *
 * Return: 0, also if it is not started; -EINTR the caller is killed, and the queue stops later
 */
int mover_queue_halt(struct mover_queue *queue)
{
	int ret;

	if (queue->nr_workers) {
		mover_queue_order(queue, MOVER_DRAIN);
		ret = wait_event_killable(queue->idle, !mover_queue_busy(queue));
		if (ret)
			return -EINTR;
		mover_queue_clear(queue);
	}
	mutex_lock(&queue->ring_lock);
	WRITE_ONCE(queue->failed, 0);
	WRITE_ONCE(queue->control->state, WD_MOVER_INIT);
	mutex_unlock(&queue->ring_lock);
	return 0;
}

/**
 * mover_queue_replace() - let an attached queue go to another IOAS
 * @queue: entered
 * @ioas_id: id from user space
 *
 * A started queue goes on there with the rings at the same addresses. If they are not there it stops
 * (WD_MOVER_RING_LOST).
 *
 * Return: 0, or an error of iommufd_access_replace(), which changes nothing
 */
int mover_queue_replace(struct mover_queue *queue, u32 ioas_id)
{
	int ret;

	mover_queue_settle(queue);
	mover_rings_replacing(queue, true);
	ret = iommufd_access_replace(queue->access, ioas_id);
	/* A failure stops the queue below. */
	if (!ret && queue->nr_workers && !READ_ONCE(queue->failed))
		mover_rings_pin(queue);
	mover_rings_replacing(queue, false);
	return ret;
}
