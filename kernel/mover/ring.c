// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rings of a queue: pinned memory of the user's address space, and the control page.
 *
 * The memory belongs to the user, who may write anything at any time. So each word is read once, each
 * descriptor is copied once, and the indices that count are the queue's own. When the user unmaps a
 * ring, the kernel gives it up at once (IOMMUFD-ACCESS-2), and the queue stops.
 */
#include <linux/eventfd.h>
#include <linux/highmem.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "iommufd.h"
#include "mover.h"

/**
 * mover_ring_setup() - note where a ring is
 * @ring: without memory
 * @iova: first address
 * @bytes: size of the ring
 * @writable: the mover writes it
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int mover_ring_setup(struct mover_ring *ring, u64 iova, size_t bytes, bool writable)
{
	unsigned long last;

	bytes = PAGE_ALIGN(bytes);
	if (offset_in_page(iova) || check_add_overflow((unsigned long)iova, bytes - 1, &last))
		return -EINVAL;
	ring->pages = kcalloc(bytes >> PAGE_SHIFT, sizeof(*ring->pages), GFP_KERNEL_ACCOUNT);
	if (!ring->pages)
		return -ENOMEM;
	ring->iova = iova;
	ring->bytes = bytes;
	ring->writable = writable;
	ring->pinned = false;
	return 0;
}

void mover_ring_cleanup(struct mover_ring *ring)
{
	kfree(ring->pages);
	ring->pages = NULL;
}

/* Pin a ring that is not pinned. The user can make this wait for ever, unless it is killed. */
static int mover_ring_pin(struct mover_queue *queue, struct mover_ring *ring)
{
	int ret;

	if (READ_ONCE(ring->pinned))
		return 0;
	ret = iommufd_access_pin_pages(queue->access, ring->iova, ring->bytes, ring->pages,
				       ring->writable ? IOMMUFD_ACCESS_RW_WRITE : 0);
	if (ret)
		return ret;
	mutex_lock(&queue->ring_lock);
	WRITE_ONCE(ring->pinned, true);
	mutex_unlock(&queue->ring_lock);
	return 0;
}

/**
 * mover_rings_pin() - pin the rings that are not pinned
 * @queue: attached, with rings; entered
 *
 * Return: 0, or an error of iommufd_access_pin_pages(); then one of them may be pinned
 */
int mover_rings_pin(struct mover_queue *queue)
{
	int ret;

	ret = mover_ring_pin(queue, &queue->sq);
	return ret ?: mover_ring_pin(queue, &queue->cq);
}

static bool mover_rings_pinned(const struct mover_queue *queue)
{
	return READ_ONCE(queue->sq.pinned) && READ_ONCE(queue->cq.pinned);
}

static void mover_ring_unpin(struct mover_queue *queue, struct mover_ring *ring,
			     unsigned long first, unsigned long last)
{
	lockdep_assert_held(&queue->ring_lock);
	if (!ring->pinned || ring->iova > last || first > ring->iova + (ring->bytes - 1))
		return;
	WRITE_ONCE(ring->pinned, false);
	iommufd_access_unpin_pages(queue->access, ring->iova, ring->bytes);
}

/* Signal the user. */
static void mover_rings_signal(struct mover_queue *queue)
{
	lockdep_assert_held(&queue->ring_lock);
	if (queue->event)
		eventfd_signal(queue->event, 1);
	wake_up_interruptible(&queue->wait);
}

/* Let the workers of a started queue end, and tell the user. */
static void mover_rings_fail(struct mover_queue *queue, u32 reason)
{
	lockdep_assert_held(&queue->ring_lock);
	if (queue->failed)
		return;
	WRITE_ONCE(queue->failed, reason);
	WRITE_ONCE(queue->control->state, reason);
	mover_rings_signal(queue);
	wake_up_all(&queue->work);
}

static void mover_rings_check(struct mover_queue *queue)
{
	lockdep_assert_held(&queue->ring_lock);
	if (queue->started && !queue->replacing && !mover_rings_pinned(queue))
		mover_rings_fail(queue, WD_MOVER_RING_LOST);
}

/**
 * mover_rings_replacing() - the access goes to another IOAS
 * @queue: queue
 * @replacing: it begins to go: the workers wait for the rings. false: the rings are there, or lost
 */
void mover_rings_replacing(struct mover_queue *queue, bool replacing)
{
	mutex_lock(&queue->ring_lock);
	WRITE_ONCE(queue->replacing, replacing);
	mover_rings_check(queue);
	mutex_unlock(&queue->ring_lock);
	wake_up_all(&queue->work);
}

/**
 * mover_rings_unpin() - give up pins
 * @queue: queue; if there are pins it has an access
 * @first: first address
 * @last: last address; a ring that has an address in between goes completely
 */
void mover_rings_unpin(struct mover_queue *queue, unsigned long first, unsigned long last)
{
	mutex_lock(&queue->ring_lock);
	mover_ring_unpin(queue, &queue->sq, first, last);
	mover_ring_unpin(queue, &queue->cq, first, last);
	mover_rings_check(queue);
	mutex_unlock(&queue->ring_lock);
}

/* iommufd_access_ops.unmap (IOMMUFD-ACCESS-2) */
void mover_rings_unmap(void *data, unsigned long iova, unsigned long length)
{
	mover_rings_unpin(data, iova, iova + (length - 1));
}

/* The producer index of the user. Descriptors before it are complete. */
static u32 mover_rings_tail(struct mover_queue *queue)
{
	if (READ_ONCE(queue->order) == MOVER_DRAIN)
		return READ_ONCE(queue->drain_tail);
	return smp_load_acquire(&queue->control->tail);
}

/*
 * Is there room for the completion of one more descriptor? A consumer index that makes no sense means
 * that there is none.
 */
static bool mover_rings_room(struct mover_queue *queue)
{
	return READ_ONCE(queue->head) - READ_ONCE(queue->control->cq_head) < queue->depth;
}

/**
 * mover_rings_ready() - is there anything to do for a worker?
 * @queue: started
 */
bool mover_rings_ready(struct mover_queue *queue)
{
	enum mover_order order = READ_ONCE(queue->order);

	if (order == MOVER_ABORT || READ_ONCE(queue->failed))
		return true;
	/* They come back, or the queue fails: both wake the workers up. */
	if (!mover_rings_pinned(queue))
		return false;
	return order == MOVER_DRAIN ||
	       (mover_rings_tail(queue) != READ_ONCE(queue->head) && mover_rings_room(queue));
}

static void mover_ring_read(const struct mover_ring *ring, size_t offset, void *to, size_t length)
{
	memcpy_from_page(to, ring->pages[offset >> PAGE_SHIFT], offset_in_page(offset), length);
}

static void mover_ring_write(const struct mover_ring *ring, size_t offset, const void *from,
			     size_t length)
{
	memcpy_to_page(ring->pages[offset >> PAGE_SHIFT], offset_in_page(offset), from, length);
}

static int mover_rings_fetch_locked(struct mover_queue *queue, struct wd_mover_desc *desc)
{
	u32 tail, head = queue->head;

	lockdep_assert_held(&queue->ring_lock);
	if (queue->order == MOVER_ABORT || queue->failed)
		return -ESHUTDOWN;
	if (!mover_rings_pinned(queue))
		return 0;
	tail = mover_rings_tail(queue);
	if (tail - head > queue->depth) {
		mover_rings_fail(queue, WD_MOVER_BAD_TAIL);
		return -ESHUTDOWN;
	}
	if (tail == head || !mover_rings_room(queue))
		return queue->order == MOVER_DRAIN ? -ESHUTDOWN : 0;
	mover_ring_read(&queue->sq, (head & (queue->depth - 1)) * sizeof(*desc), desc,
			sizeof(*desc));
	WRITE_ONCE(queue->head, head + 1);
	WRITE_ONCE(queue->control->head, head + 1);
	return 1;
}

/**
 * mover_rings_fetch() - take the next descriptor
 * @queue: started
 * @desc: gets a copy, which the user cannot change
 *
 * Return: 1; 0 there is none now; -ESHUTDOWN the worker is to end
 */
int mover_rings_fetch(struct mover_queue *queue, struct wd_mover_desc *desc)
{
	int ret;

	mutex_lock(&queue->ring_lock);
	ret = mover_rings_fetch_locked(queue, desc);
	mutex_unlock(&queue->ring_lock);
	return ret;
}

static int mover_rings_complete_locked(struct mover_queue *queue,
				       const struct wd_mover_completion *completion)
{
	u32 tail = queue->cq_tail, sequence = tail + 1;
	size_t offset = (tail & (queue->depth - 1)) * sizeof(*completion);

	lockdep_assert_held(&queue->ring_lock);
	if (queue->order == MOVER_ABORT || queue->failed)
		return -ESHUTDOWN;
	if (!mover_rings_pinned(queue))
		return -EAGAIN;
	mover_ring_write(&queue->cq, offset, completion,
			 offsetof(struct wd_mover_completion, sequence));
	/* The user sees the number only with the rest. It reads it with acquire order. */
	smp_wmb();
	mover_ring_write(&queue->cq, offset + offsetof(struct wd_mover_completion, sequence),
			 &sequence, sizeof(sequence));
	WRITE_ONCE(queue->cq_tail, sequence);
	smp_store_release(&queue->control->cq_tail, sequence);
	mover_rings_signal(queue);
	return 0;
}

/**
 * mover_rings_complete() - write a completion
 * @queue: started; mover_rings_fetch() has seen that there is room
 * @completion: without its sequence
 *
 * Return: 0; -EAGAIN the rings are elsewhere for a moment; -ESHUTDOWN the worker is to end, and the
 * user gets no completion
 */
int mover_rings_complete(struct mover_queue *queue, const struct wd_mover_completion *completion)
{
	int ret;

	mutex_lock(&queue->ring_lock);
	ret = mover_rings_complete_locked(queue, completion);
	mutex_unlock(&queue->ring_lock);
	return ret;
}

static void mover_rings_flag(struct mover_queue *queue)
{
	lockdep_assert_held(&queue->ring_lock);
	WRITE_ONCE(queue->control->flags,
		   queue->sleepers && !queue->kicked ? WD_MOVER_NEED_WAKEUP : 0);
}

/**
 * mover_rings_sleep() - tell the user that it has to kick
 * @queue: started
 *
 * After this the worker checks mover_rings_ready() once more. The user stores an index, and then loads
 * the flag. One of them sees what the other has written.
 */
void mover_rings_sleep(struct mover_queue *queue)
{
	mutex_lock(&queue->ring_lock);
	queue->sleepers++;
	WRITE_ONCE(queue->kicked, false);
	mover_rings_flag(queue);
	mutex_unlock(&queue->ring_lock);
	smp_mb();
}

/* A worker has woken up. If the user has to kick again, a worker calls mover_rings_sleep() again. */
void mover_rings_wake(struct mover_queue *queue)
{
	mutex_lock(&queue->ring_lock);
	queue->sleepers--;
	mover_rings_flag(queue);
	mutex_unlock(&queue->ring_lock);
}

/**
 * mover_rings_kick() - wake the workers up for the user
 * @queue: in any state
 *
 * From now on the user need not kick, although the workers are not awake yet: each will look for
 * descriptors before it sleeps again.
 */
void mover_rings_kick(struct mover_queue *queue)
{
	mutex_lock(&queue->ring_lock);
	WRITE_ONCE(queue->kicked, true);
	mover_rings_flag(queue);
	mutex_unlock(&queue->ring_lock);
	wake_up_all(&queue->work);
}
