// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pin memory of a process or a file and charge for it (IOMMUFD-PIN-1, IOMMUFD-PIN-2).
 *
 * Pins are long-term. Unpinning makes pages dirty only if the backing is writable. iommufd pins
 * batch by batch and stores runs of contiguous pages: 1 GiB of contiguous memory takes one word.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "io_pagetable.h"
#include "iommu_pasid.h"

#define IOPT_STACK_BATCH 8
#define IOPT_BATCH (PAGE_SIZE / sizeof(struct page *))
/* Pages to unpin between two calls of cond_resched(). */
#define IOPT_RELEASE_STEP 0x1000

/*
 * Pin memory for reading on a kernel where such a pin leaves copy-on-write in place: a later write
 * of the process would give it another page than the device has. WD_FOLL_UNSHARE makes the copy
 * now. It is only for copy-on-write mappings; it would make others dirty, above all a shared
 * mapping of a file. It does not check whether the process may read, so this function does.
 */
static long iopt_pin_unshared(struct iopt_pages *pages, unsigned long addr, unsigned long npages,
			      struct page **batch)
{
	struct mm_struct *mm = pages->account->mm;
	unsigned int flags = FOLL_LONGTERM;
	struct vm_area_struct *vma = vma_lookup(mm, addr);
	long pinned;

	if (!vma || !(vma->vm_flags & VM_READ))
		return -EFAULT;
	npages = min(npages, (vma->vm_end - addr) >> PAGE_SHIFT);
	if (is_cow_mapping(vma->vm_flags)) {
		pinned = pin_user_pages_remote(mm, addr, npages, flags | WD_FOLL_UNSHARE, batch,
					       NULL, NULL);
		/* -EFAULT: hugetlbfs cannot unshare a huge page that the process may not write. */
		if (pinned != -EFAULT)
			return pinned;
		npages = 1;
	}
	return pin_user_pages_remote(mm, addr, npages, flags, batch, NULL, NULL);
}

static long iopt_pin_locked(struct iopt_pages *pages, unsigned long addr, unsigned long npages,
			    struct page **batch)
{
	unsigned int flags = FOLL_LONGTERM | (pages->writable ? FOLL_WRITE : 0);

	if (!pages->writable && WD_FOLL_UNSHARE)
		return iopt_pin_unshared(pages, addr, npages, batch);
	return pin_user_pages_remote(pages->account->mm, addr, npages, flags, batch, NULL, NULL);
}

static long iopt_pin_batch(struct iopt_pages *pages, unsigned long addr, unsigned long npages,
			   struct page **batch)
{
	unsigned int flags = FOLL_LONGTERM | (pages->writable ? FOLL_WRITE : 0);
	struct mm_struct *mm;
	long pinned = -EINTR;
	bool own;

	if (pages->from_file)
		return iopt_pin_file(pages, addr, npages, batch);
	mm = pages->account->mm;
	own = current->mm == mm;
	if (own && (pages->writable || !WD_FOLL_UNSHARE))
		return pin_user_pages_fast(addr, npages, flags, batch);

	/* Another process may have made the mapping, and may have ended since. */
	if (!own && !mmget_not_zero(mm))
		return -EFAULT;
	if (!mmap_read_lock_killable(mm)) {
		pinned = iopt_pin_locked(pages, addr, npages, batch);
		mmap_read_unlock(mm);
	}
	/*
	 * The last put of an mm stops the queues that work in it, which takes locks: do it
	 * elsewhere.
	 */
	if (!own)
		mmput_async(mm);
	return pinned;
}

static void iopt_seg_release(struct iopt_pages *pages, struct iopt_seg *seg)
{
	unsigned int i;

	for (i = 0; i < seg->nr_runs; i++) {
		const struct iopt_run *run = &seg->runs[i];
		unsigned long done, step;

		for (done = 0; done < run->npages; done += step) {
			step = min_t(unsigned long, run->npages - done, IOPT_RELEASE_STEP);
			unpin_user_page_range_dirty_lock(pfn_to_page(run->pfn + done), step,
							 pages->writable);
			cond_resched();
		}
	}
	seg->nr_runs = 0;
}

/*
 * Charge and pin batch by batch. So a process never has more memory pinned than its limit allows,
 * and a killed process soon stops. @charged: pages charged, also after an error. (IOMMUFD-PIN-3)
 */
static int iopt_seg_fill(struct iopt_pages *pages, struct iopt_seg *seg, struct page **batch,
			 unsigned long max_batch, unsigned long *charged)
{
	unsigned long npages = iopt_seg_npages(seg), done = 0;
	unsigned long addr = pages->start + (seg->node.start << PAGE_SHIFT);
	unsigned int capacity = 1;
	long i, pinned;
	int rc = 0;

	while (done < npages) {
		unsigned long step = min(npages - done, max_batch);

		if (fatal_signal_pending(current))
			return -EINTR;
		if (done + step > *charged) {
			rc = iopt_charge(seg->account, pages->account_mode, done + step - *charged);
			if (rc)
				return rc;
			*charged = done + step;
		}
		pinned = iopt_pin_batch(pages, addr + (done << PAGE_SHIFT), step, batch);
		if (pinned <= 0)
			return pinned ?: -EFAULT;
		for (i = 0; i < pinned; i++) {
			rc = iopt_seg_append(seg, page_to_pfn(batch[i]), 1, &capacity);
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

/**
 * iopt_seg_pin() - pin the pages of a new segment and charge for them
 * @pages: backing. The caller does not hold its mutex, since a page may never arrive
 * @seg: has its indexes and its account, and no runs; not in the tree yet
 *
 * After an error nothing stays pinned; the caller frees @seg.
 *
 * Return: 0; -EFAULT, -ENOMEM, -EINTR the caller is being killed, errors of pinning
 */
int iopt_seg_pin(struct iopt_pages *pages, struct iopt_seg *seg)
{
	struct page *stack_batch[IOPT_STACK_BATCH];
	struct page **batch = stack_batch;
	unsigned long max_batch = IOPT_STACK_BATCH, charged = 0;
	int rc;

	if (pages->from_dmabuf)
		return iopt_dmabuf_fill_seg(pages, seg);
	if (iopt_seg_npages(seg) > max_batch) {
		max_batch = min_t(unsigned long, iopt_seg_npages(seg), IOPT_BATCH);
		batch = kmalloc_array(max_batch, sizeof(*batch), GFP_KERNEL);
		if (!batch)
			return -ENOMEM;
	}
	rc = iopt_seg_fill(pages, seg, batch, max_batch, &charged);
	if (rc) {
		iopt_seg_release(pages, seg);
		iopt_uncharge(seg->account, pages->account_mode, charged);
	}
	if (batch != stack_batch)
		kfree(batch);
	return rc;
}

/* Unpin the pages of a segment. Keep them pinned if a dead IOMMU may still use them. */
void iopt_seg_unpin(struct iopt_pages *pages, struct iopt_seg *seg)
{
	lockdep_assert_held(&pages->mutex);

	if (pages->from_dmabuf)
		return;
	if (READ_ONCE(pages->lost))
		wd_iommu_leaked(iopt_seg_npages(seg));
	else
		iopt_seg_release(pages, seg);
	iopt_uncharge(seg->account, pages->account_mode, iopt_seg_npages(seg));
}
