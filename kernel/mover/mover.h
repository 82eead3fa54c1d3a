/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data mover: an accelerator in software. Its workers reach memory by an access to an IOAS of
 * /dev/iommu, as a driver of a mediated device does, and there is no IOMMU and no device behind it.
 */
#ifndef _WD_MOVER_H
#define _WD_MOVER_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <misc/uacce/mover.h>

struct eventfd_ctx;
struct iommufd_access;
struct mover_user;
struct mover_worker;
struct page;
struct vfio_verbs;

/**
 * struct mover_ring - a ring in the memory of the user
 * @iova: its first address
 * @bytes: whole pages
 * @pages: room for its pages; valid while it is pinned
 * @writable: the mover writes it
 * @pinned: the workers may use it; queue->ring_lock
 */
struct mover_ring {
	unsigned long iova;
	unsigned long bytes;
	struct page **pages;
	bool writable;
	bool pinned;
};

/*
 * What the workers are to do: take descriptors; finish those that were submitted at a certain time;
 * end at once, since nobody will read the results.
 */
enum mover_order { MOVER_RUN, MOVER_DRAIN, MOVER_ABORT };

/**
 * struct mover_queue - open file
 * @ref: the file, and each worker that has not ended
 * @user: the user that opened the file
 * @control: page that is shared with the user, who may write anything to it at any time
 * @busy: 1: a call has entered the queue, see mover_queue_enter(). It may wait for memory of the
 *	user, so only calls of the user enter, and a kill ends their wait
 * @turn: waits until @busy is 0
 * @access: the access to an iommufd, or NULL; for the call that has entered, and workers
 * @attached: the access has an IOAS; for the call that has entered
 * @workers: as many as @nr_workers; for the call that has entered
 * @nr_workers: 0: the queue is not started; for the call that has entered
 * @running: workers that have not ended
 * @idle: waits until @running is 0
 * @work: workers wait here for descriptors
 * @wait: poll()
 * @reaper: destroys a queue whose file was closed before its workers ended
 * @orphan: the file was closed before the workers ended; set before its @ref goes
 * @ring_lock: for the rest. Held for short copies from and to pinned pages; inside are only locks
 *	of /dev/iommu. The unmap operation takes it
 * @sq: ring of descriptors
 * @cq: ring of completions
 * @depth: entries of each ring; 0: no rings were set
 * @order: what the workers are to do
 * @started: workers exist; a ring that is unmapped stops the queue
 * @replacing: the access goes to another IOAS; lost rings come back
 * @failed: WD_MOVER_RING_LOST, WD_MOVER_BAD_TAIL, or 0
 * @drain_tail: where MOVER_DRAIN ends
 * @head: next descriptor
 * @cq_tail: next completion
 * @sleepers: workers that sleep, or are about to
 * @kicked: the user has kicked since a worker went to sleep
 * @event: eventfd, or NULL
 */
struct mover_queue {
	refcount_t ref;
	struct mover_user *user;
	struct wd_mover_control *control;

	atomic_t busy;
	wait_queue_head_t turn;
	struct iommufd_access *access;
	bool attached;
	struct mover_worker *workers;
	unsigned int nr_workers;

	atomic_t running;
	wait_queue_head_t idle;
	wait_queue_head_t work;
	wait_queue_head_t wait;
	struct work_struct reaper;
	bool orphan;

	struct mutex ring_lock;
	struct mover_ring sq;
	struct mover_ring cq;
	u32 depth;
	enum mover_order order;
	bool started;
	bool replacing;
	u32 failed;
	u32 drain_tail;
	u32 head;
	u32 cq_tail;
	unsigned int sleepers;
	bool kicked;
	struct eventfd_ctx *event;
};

/* Bytes that a worker moves at a time. A multiple of the size of a pattern. */
#define MOVER_PIECE 65536U

/**
 * struct mover_worker - kernel thread of a queue
 * @queue: its queue
 * @task: the thread, held
 * @buffer: two pieces
 */
struct mover_worker {
	struct mover_queue *queue;
	struct task_struct *task;
	u8 *buffer;
};

/* file.c */
extern const struct file_operations mover_fops;

/* verbs.c */
extern const struct vfio_verbs mover_verbs;

/* queue.c */
struct mover_queue *mover_queue_alloc(void);
void mover_queue_close(struct mover_queue *queue);
int mover_queue_enter(struct mover_queue *queue);
void mover_queue_leave(struct mover_queue *queue);
int mover_queue_set_ring(struct mover_queue *queue, const struct wd_mover_ring *arg);
int mover_queue_start(struct mover_queue *queue);
int mover_queue_halt(struct mover_queue *queue);
int mover_queue_replace(struct mover_queue *queue, u32 ioas_id);

/* worker.c */
int mover_workers_init(void);
void mover_workers_exit(void);
int mover_workers_create(struct mover_queue *queue);
void mover_workers_go(struct mover_queue *queue);
void mover_workers_join(struct mover_queue *queue);

/* execute.c */
void mover_execute(struct mover_worker *worker, const struct wd_mover_desc *desc,
		   struct wd_mover_completion *completion);

/* ring.c */
int mover_ring_setup(struct mover_ring *ring, u64 iova, size_t bytes, bool writable);
void mover_ring_cleanup(struct mover_ring *ring);
int mover_rings_pin(struct mover_queue *queue);
void mover_rings_unpin(struct mover_queue *queue, unsigned long first, unsigned long last);
void mover_rings_unmap(void *data, unsigned long iova, unsigned long length);
void mover_rings_replacing(struct mover_queue *queue, bool replacing);
bool mover_rings_ready(struct mover_queue *queue);
int mover_rings_fetch(struct mover_queue *queue, struct wd_mover_desc *desc);
int mover_rings_complete(struct mover_queue *queue, const struct wd_mover_completion *completion);
void mover_rings_sleep(struct mover_queue *queue);
void mover_rings_wake(struct mover_queue *queue);
void mover_rings_kick(struct mover_queue *queue);

/* user.c */
struct mover_user *mover_user_charge(void);
void mover_user_uncharge(struct mover_user *user);

#endif /* _WD_MOVER_H */
