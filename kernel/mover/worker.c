// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel threads of a queue. A worker polls the producer index for a while; then it asks the user
 * for a kick, and sleeps.
 *
 * A worker may wait for memory of the user, perhaps for ever: then only the user's own calls wait for
 * it. If the user closes the file meanwhile, the queue stays until the worker has ended, and counts
 * against the user's limit.
 */
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "mover.h"

#define MOVER_MAX_WORKERS 8U

static unsigned int threads = 1;
module_param(threads, uint, 0644);
MODULE_PARM_DESC(threads, "Kernel threads of each queue, 1 to 8 (default 1)");

static unsigned int spin_us = 50;
module_param(spin_us, uint, 0644);
MODULE_PARM_DESC(
	spin_us,
	"Microseconds that an idle worker polls before it sleeps, up to 10000 (default 50)");

#define MOVER_MAX_SPIN_US 10000U

static struct workqueue_struct *mover_reapers;

int mover_workers_init(void)
{
	mover_reapers = alloc_workqueue("wd_mover", WQ_UNBOUND, 0);
	return mover_reapers ? 0 : -ENOMEM;
}

/* No queue is left, but the work that has destroyed the last one may still run. */
void mover_workers_exit(void)
{
	destroy_workqueue(mover_reapers);
}

/* Return: true if there is something to do, false if the time to poll is over. */
static bool mover_worker_poll(struct mover_queue *queue)
{
	u64 spin = min(READ_ONCE(spin_us), MOVER_MAX_SPIN_US) * (u64)NSEC_PER_USEC;
	u64 until = ktime_get_ns() + spin;

	while (!mover_rings_ready(queue)) {
		if (ktime_get_ns() >= until)
			return false;
		cpu_relax();
		cond_resched();
	}
	return true;
}

static void mover_worker_rest(struct mover_queue *queue)
{
	if (mover_worker_poll(queue))
		return;
	mover_rings_sleep(queue);
	wait_event_interruptible(queue->work, READ_ONCE(queue->kicked) || mover_rings_ready(queue));
	mover_rings_wake(queue);
}

/* Return: 0, or -ESHUTDOWN */
static int mover_worker_complete(struct mover_queue *queue,
				 const struct wd_mover_completion *completion)
{
	int ret;

	while ((ret = mover_rings_complete(queue, completion)) == -EAGAIN)
		wait_event_interruptible(queue->work,
					 !READ_ONCE(queue->replacing) || READ_ONCE(queue->failed) ||
						 READ_ONCE(queue->order) == MOVER_ABORT);
	return ret;
}

static int mover_worker_run(void *data)
{
	struct mover_worker *worker = data;
	struct mover_queue *queue = worker->queue;
	struct wd_mover_completion completion;
	struct wd_mover_desc desc;
	int ret;

	do {
		ret = mover_rings_fetch(queue, &desc);
		if (ret == 1) {
			mover_execute(worker, &desc, &completion);
			ret = mover_worker_complete(queue, &completion);
		} else if (!ret) {
			mover_worker_rest(queue);
		}
		cond_resched();
	} while (!ret);

	/* The reference keeps the queue until here. */
	if (atomic_dec_and_test(&queue->running))
		wake_up_all(&queue->idle);
	if (refcount_dec_and_test(&queue->ref))
		queue_work(mover_reapers, &queue->reaper);
	return 0;
}

static void mover_worker_stop(struct mover_worker *worker)
{
	if (worker->task) {
		kthread_stop(worker->task);
		put_task_struct(worker->task);
	}
	kvfree(worker->buffer);
}

static int mover_worker_create(struct mover_queue *queue, struct mover_worker *worker)
{
	struct task_struct *task;

	worker->queue = queue;
	worker->buffer = kvmalloc(2 * MOVER_PIECE, GFP_KERNEL_ACCOUNT);
	if (!worker->buffer)
		return -ENOMEM;
	task = kthread_create(mover_worker_run, worker, "wd_mover");
	if (IS_ERR(task)) {
		kvfree(worker->buffer);
		return PTR_ERR(task);
	}
	/* It may end before somebody waits for it. */
	worker->task = get_task_struct(task);
	return 0;
}

/**
 * mover_workers_create() - make the threads of a queue, which do nothing yet
 * @queue: entered, without workers
 *
 * Return: 0, -ENOMEM, -EAGAIN, -EINTR
 */
int mover_workers_create(struct mover_queue *queue)
{
	unsigned int i, number = min(max(READ_ONCE(threads), 1U), MOVER_MAX_WORKERS);
	struct mover_worker *workers;
	int ret;

	workers = kcalloc(number, sizeof(*workers), GFP_KERNEL_ACCOUNT);
	if (!workers)
		return -ENOMEM;
	for (i = 0; i < number; i++) {
		ret = mover_worker_create(queue, &workers[i]);
		if (ret)
			goto err_stop;
	}
	queue->workers = workers;
	queue->nr_workers = number;
	return 0;

err_stop:
	while (i--)
		mover_worker_stop(&workers[i]);
	kfree(workers);
	return ret;
}

/* Let the new threads begin. */
void mover_workers_go(struct mover_queue *queue)
{
	unsigned int i;

	atomic_set(&queue->running, queue->nr_workers);
	for (i = 0; i < queue->nr_workers; i++)
		refcount_inc(&queue->ref);
	for (i = 0; i < queue->nr_workers; i++)
		wake_up_process(queue->workers[i].task);
}

/* Free threads that have ended, or have not begun. Nobody else uses the queue's verbs. */
void mover_workers_join(struct mover_queue *queue)
{
	unsigned int i;

	for (i = 0; i < queue->nr_workers; i++)
		mover_worker_stop(&queue->workers[i]);
	kfree(queue->workers);
	queue->workers = NULL;
	queue->nr_workers = 0;
}
