// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program signals an event counter (eventfd), and the driver acts. An entry in the counter's wait
 * queue gets each signal.
 *
 * Only the work item @release takes the entry out of the queue, so the end of the counter and
 * wd_vfio_wake_destroy() cannot do it both.
 */
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/kernel.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "eventfd_wake.h"

/**
 * struct wd_vfio_wake - the connection of a counter with an action
 * @ops: the action
 * @data: its argument
 * @counter: the counter, held; NULL after @release has run
 * @wait: in the wait queue of @counter
 * @table: puts @wait there
 * @inject: runs the action's thread part
 * @release: leaves the counter
 */
struct wd_vfio_wake {
	const struct wd_vfio_wake_ops *ops;
	void *data;
	struct eventfd_ctx *counter;
	wait_queue_entry_t wait;
	poll_table table;
	struct work_struct inject;
	struct work_struct release;
};

static void wd_vfio_wake_act(struct wd_vfio_wake *wake)
{
	if (wake->ops->wake(wake->data))
		schedule_work(&wake->inject);
}

/* Runs under the lock of the wait queue. */
static int wd_vfio_wake_signalled(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct wd_vfio_wake *wake = container_of(wait, struct wd_vfio_wake, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		/* So that the counter does not fill up. */
		eventfd_ctx_do_read(wake->counter, &count);
		wd_vfio_wake_act(wake);
	}
	/* The program has closed the counter: nobody can signal it any more. */
	if (events & EPOLLHUP)
		schedule_work(&wake->release);
	return 0;
}

static void wd_vfio_wake_enqueue(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	struct wd_vfio_wake *wake = container_of(table, struct wd_vfio_wake, table);

	add_wait_queue(queue, &wake->wait);
}

static void wd_vfio_wake_inject(struct work_struct *work)
{
	struct wd_vfio_wake *wake = container_of(work, struct wd_vfio_wake, inject);

	wake->ops->thread(wake->data);
}

static void wd_vfio_wake_release(struct work_struct *work)
{
	struct wd_vfio_wake *wake = container_of(work, struct wd_vfio_wake, release);
	u64 count;

	if (!wake->counter)
		return;
	eventfd_ctx_remove_wait_queue(wake->counter, &wake->wait, &count);
	flush_work(&wake->inject);
	eventfd_ctx_put(wake->counter);
	WRITE_ONCE(wake->counter, NULL);
}

/**
 * wd_vfio_wake_create() - act whenever a program signals an event counter
 * @fd: descriptor of the counter
 * @ops: the action, constant
 * @data: argument of the action
 *
 * The action may run before this returns; it does so if the counter is not 0. After the program has
 * closed the counter the action does not run any more.
 *
 * Return: to be given to wd_vfio_wake_destroy(); ERR_PTR: -EBADF, -EINVAL @fd is no counter, -ENOMEM
 */
struct wd_vfio_wake *wd_vfio_wake_create(int fd, const struct wd_vfio_wake_ops *ops, void *data)
{
	struct wd_vfio_wake *wake;
	struct fd file;
	int ret;

	wake = kzalloc(sizeof(*wake), GFP_KERNEL_ACCOUNT);
	if (!wake)
		return ERR_PTR(-ENOMEM);
	file = fdget(fd);
	if (!wd_fd_file(file)) {
		ret = -EBADF;
		goto err_free;
	}
	wake->counter = eventfd_ctx_fileget(wd_fd_file(file));
	if (IS_ERR(wake->counter)) {
		ret = PTR_ERR(wake->counter);
		goto err_file;
	}
	wake->ops = ops;
	wake->data = data;
	INIT_WORK(&wake->inject, wd_vfio_wake_inject);
	INIT_WORK(&wake->release, wd_vfio_wake_release);
	init_waitqueue_func_entry(&wake->wait, wd_vfio_wake_signalled);
	init_poll_funcptr(&wake->table, wd_vfio_wake_enqueue);
	if (vfs_poll(wd_fd_file(file), &wake->table) & EPOLLIN)
		wd_vfio_wake_act(wake);
	fdput(file);
	return wake;

err_file:
	fdput(file);
err_free:
	kfree(wake);
	return ERR_PTR(ret);
}

/**
 * wd_vfio_wake_ended() - has the program closed the counter?
 * @wake: of wd_vfio_wake_create()
 */
bool wd_vfio_wake_ended(const struct wd_vfio_wake *wake)
{
	return !READ_ONCE(wake->counter);
}

/**
 * wd_vfio_wake_destroy() - end the action
 * @wake: of wd_vfio_wake_create(). The caller holds no lock that the action takes
 *
 * When this returns neither part of the action runs any more.
 */
void wd_vfio_wake_destroy(struct wd_vfio_wake *wake)
{
	schedule_work(&wake->release);
	flush_work(&wake->release);
	/* The counter may have ended while the item ran, which has queued it once more. */
	cancel_work_sync(&wake->release);
	kfree(wake);
}
