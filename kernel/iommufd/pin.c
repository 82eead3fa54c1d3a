// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinning memory of a process and charging for it (iommufd-uapi sheet 2.0 and 2.8).
 *
 * Pins are long-term, and dirty pages only if the backing is writable. They are taken batch by
 * batch and kept as runs of contiguous pages, so that 1 GiB of contiguous memory is one word.
 */
#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "io_pagetable.h"

#define IOPT_STACK_BATCH 8
#define IOPT_BATCH (PAGE_SIZE / sizeof(struct page *))

static long iopt_pin_some(struct iopt_pages *pages, unsigned long addr, unsigned long npages,
			  unsigned int flags, struct page **batch)
{
	long pinned;

	if (current->mm == pages->source_mm)
		return pin_user_pages_fast(addr, npages, flags, batch);

	/* The process may have gone, or may be another one than that which runs. */
	if (!mmget_not_zero(pages->source_mm))
		return -EFAULT;
	mmap_read_lock(pages->source_mm);
	pinned = pin_user_pages_remote(pages->source_mm, addr, npages, flags, batch, NULL, NULL);
	mmap_read_unlock(pages->source_mm);
	/* The end of an mm stops queues that work in it: not in here, under the locks of an IOAS.
	 */
	mmput_async(pages->source_mm);
	return pinned;
}

static long iopt_pin_batch(struct iopt_pages *pages, unsigned long addr, unsigned long npages,
			   struct page **batch)
{
	long pinned;

	if (pages->writable)
		return iopt_pin_some(pages, addr, npages, FOLL_LONGTERM | FOLL_WRITE, batch);
	pinned = iopt_pin_some(pages, addr, npages, FOLL_LONGTERM | WD_FOLL_UNSHARE, batch);
	/* Only this page: what comes behind memory without copy-on-write may have it. */
	if (WD_FOLL_UNSHARE && pinned == -EFAULT)
		pinned = iopt_pin_some(pages, addr, 1, FOLL_LONGTERM, batch);
	return pinned;
}

/* Room for one more run: from the one inside the segment to an array that doubles. */
static int iopt_seg_grow(struct iopt_seg *seg, unsigned int *capacity)
{
	unsigned int wanted = max(*capacity * 2, 16U);
	struct iopt_run *runs;

	if (seg->nr_runs < *capacity)
		return 0;
	runs = kvmalloc_array(wanted, sizeof(*runs), GFP_KERNEL_ACCOUNT);
	if (!runs)
		return -ENOMEM;
	memcpy(runs, seg->runs, seg->nr_runs * sizeof(*runs));
	if (seg->runs != &seg->inline_run)
		kvfree(seg->runs);
	seg->runs = runs;
	*capacity = wanted;
	return 0;
}

static int iopt_seg_append(struct iopt_seg *seg, struct page *page, unsigned int *capacity)
{
	unsigned long pfn = page_to_pfn(page);
	int rc;

	if (seg->nr_runs) {
		struct iopt_run *run = &seg->runs[seg->nr_runs - 1];

		if (pfn == run->pfn + run->npages && run->npages < IOPT_RUN_MAX_PAGES) {
			run->npages++;
			return 0;
		}
	}
	rc = iopt_seg_grow(seg, capacity);
	if (rc)
		return rc;
	seg->runs[seg->nr_runs].pfn = pfn;
	seg->runs[seg->nr_runs].npages = 1;
	seg->nr_runs++;
	return 0;
}

static void iopt_seg_release(struct iopt_pages *pages, struct iopt_seg *seg)
{
	unsigned int i;

	for (i = 0; i < seg->nr_runs; i++)
		unpin_user_page_range_dirty_lock(pfn_to_page(seg->runs[i].pfn), seg->runs[i].npages,
						 pages->writable);
	seg->nr_runs = 0;
}

static int iopt_seg_fill(struct iopt_pages *pages, struct iopt_seg *seg, struct page **batch,
			 unsigned long max_batch)
{
	unsigned long npages = seg->node.last - seg->node.start + 1, done = 0;
	unsigned long addr = pages->uptr + (seg->node.start << PAGE_SHIFT);
	unsigned int capacity = 1;
	long i, pinned;
	int rc = 0;

	while (done < npages) {
		pinned = iopt_pin_batch(pages, addr + (done << PAGE_SHIFT),
					min(npages - done, max_batch), batch);
		if (pinned <= 0)
			return pinned ?: -EFAULT;
		for (i = 0; i < pinned; i++) {
			rc = iopt_seg_append(seg, batch[i], &capacity);
			if (rc) {
				unpin_user_pages(batch + i, pinned - i);
				return rc;
			}
		}
		done += pinned;
		cond_resched();
	}
	return 0;
}

static int iopt_charge_user(struct iopt_pages *pages, unsigned long npages)
{
	atomic_long_t *locked = &pages->source_user->locked_vm;
	long old, new;

	do {
		old = atomic_long_read(locked);
		new = old + npages;
		if (new > pages->lock_limit)
			return -ENOMEM;
	} while (atomic_long_cmpxchg(locked, old, new) != old);
	return 0;
}

static int iopt_charge_mm(struct iopt_pages *pages, unsigned long npages)
{
	struct mm_struct *mm = pages->source_mm;
	int rc = 0;

	mmap_write_lock(mm);
	if (mm->locked_vm + npages > pages->lock_limit)
		rc = -ENOMEM;
	else
		mm->locked_vm += npages;
	mmap_write_unlock(mm);
	return rc;
}

static int iopt_charge(struct iopt_pages *pages, unsigned long npages)
{
	int rc = 0;

	if (pages->account_mode == IOPT_ACCOUNT_USER)
		rc = iopt_charge_user(pages, npages);
	else if (pages->account_mode == IOPT_ACCOUNT_MM)
		rc = iopt_charge_mm(pages, npages);
	if (!rc)
		atomic64_add(npages, &pages->source_mm->pinned_vm);
	return rc;
}

static void iopt_uncharge(struct iopt_pages *pages, unsigned long npages)
{
	struct mm_struct *mm = pages->source_mm;

	atomic64_sub(npages, &mm->pinned_vm);
	if (pages->account_mode == IOPT_ACCOUNT_USER) {
		atomic_long_sub(npages, &pages->source_user->locked_vm);
	} else if (pages->account_mode == IOPT_ACCOUNT_MM) {
		mmap_write_lock(mm);
		WARN_ON(mm->locked_vm < npages);
		mm->locked_vm -= npages;
		mmap_write_unlock(mm);
	}
}

static unsigned long iopt_seg_npages(const struct iopt_seg *seg)
{
	return seg->node.last - seg->node.start + 1;
}

/**
 * iopt_seg_pin() - pin the pages of a new segment and charge for them
 * @pages: backing, mutex held
 * @seg: has its indexes, and no runs
 *
 * The limit is tested after pinning. On error nothing stays pinned; iopt_seg_free() by the caller.
 *
 * Return: 0; -EFAULT, -ENOMEM, errors of pinning
 */
int iopt_seg_pin(struct iopt_pages *pages, struct iopt_seg *seg)
{
	struct page *stack_batch[IOPT_STACK_BATCH];
	struct page **batch = stack_batch;
	unsigned long max_batch = IOPT_STACK_BATCH;
	int rc;

	lockdep_assert_held(&pages->mutex);

	if (iopt_seg_npages(seg) > max_batch) {
		max_batch = min_t(unsigned long, iopt_seg_npages(seg), IOPT_BATCH);
		batch = kmalloc_array(max_batch, sizeof(*batch), GFP_KERNEL);
		if (!batch)
			return -ENOMEM;
	}
	rc = iopt_seg_fill(pages, seg, batch, max_batch);
	if (!rc)
		rc = iopt_charge(pages, iopt_seg_npages(seg));
	if (rc)
		iopt_seg_release(pages, seg);
	if (batch != stack_batch)
		kfree(batch);
	return rc;
}

/* Give the pages of a segment back. */
void iopt_seg_unpin(struct iopt_pages *pages, struct iopt_seg *seg)
{
	lockdep_assert_held(&pages->mutex);

	iopt_seg_release(pages, seg);
	iopt_uncharge(pages, iopt_seg_npages(seg));
}
