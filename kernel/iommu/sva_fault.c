// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of bonds with address spaces.
 *
 * A page may never come: a user controls its file system or its userfaultfd. So every bond has a
 * worker of its own, in which faults of no other bond wait, and no thread waits for that worker:
 * the end of the bond takes the worker's groups away and answers them. The worker only uses the
 * pager, which outlives the bond until the worker returns. The pager keeps this module loaded, too.
 *
 * Locks: wd_sva_pager.lock, a spinlock, is over the driver's mm_table_fill.
 */
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "sva.h"

/**
 * struct wd_sva_pager - handles the page faults of a bond
 * @ref: the bond's, and one for each queued or running instance of @work
 * @mm: its structure is held
 * @wq: of this pager alone; ordered
 * @work: handles @groups
 * @lock: see the top of the file
 * @table: of the bond; NULL once that is closed
 * @groups: struct wd_fault_group that wait
 * @handling: the group that @work is at, or NULL
 * @answering: @work is about to answer a group that it was at
 * @answered: waits for the end of @answering
 * @reap: frees the pager, where @wq can be destroyed
 */
struct wd_sva_pager {
	struct kref ref;
	struct mm_struct *mm;
	struct workqueue_struct *wq;
	struct work_struct work;
	spinlock_t lock;
	struct wd_pgtable *table;
	struct list_head groups;
	struct wd_fault_group *handling;
	bool answering;
	wait_queue_head_t answered;
	struct work_struct reap;
};

static struct workqueue_struct *wd_sva_reaper;
static atomic_t wd_sva_pagers;
static DECLARE_WAIT_QUEUE_HEAD(wd_sva_pagers_gone);

/* --- life --- */

static void wd_sva_pager_destroy(struct wd_sva_pager *pager)
{
	destroy_workqueue(pager->wq);
	mmdrop(pager->mm);
	kfree(pager);
	if (atomic_dec_and_test(&wd_sva_pagers))
		wake_up(&wd_sva_pagers_gone);
	module_put(THIS_MODULE);
}

static void wd_sva_pager_reap(struct work_struct *work)
{
	wd_sva_pager_destroy(container_of(work, struct wd_sva_pager, reap));
}

/* The last one may be the worker, which cannot end itself. */
static void wd_sva_pager_last(struct kref *ref)
{
	struct wd_sva_pager *pager = container_of(ref, struct wd_sva_pager, ref);

	queue_work(wd_sva_reaper, &pager->reap);
}

static void wd_sva_pager_put(struct wd_sva_pager *pager)
{
	kref_put(&pager->ref, wd_sva_pager_last);
}

/* --- the worker --- */

static bool wd_sva_allowed(const struct vm_area_struct *vma, u8 perm)
{
	/* No supervisor requests, and nothing is ever executed. Device memory is no place for DMA.
	 */
	if (perm & ~(WD_FAULT_READ | WD_FAULT_WRITE) || !perm)
		return false;
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return false;
	return (!(perm & WD_FAULT_READ) || vma->vm_flags & VM_READ) &&
	       (!(perm & WD_FAULT_WRITE) || vma->vm_flags & VM_WRITE);
}

/* One attempt. The mmap lock is held, and is not any more where that says so. */
static vm_fault_t wd_sva_try_fault(struct mm_struct *mm, const struct wd_fault *fault)
{
	/*
	 * Not FAULT_FLAG_USER: this is a thread of the kernel. Signals, which it has none of, may
	 * end its wait, so that a page which never comes is no hung task.
	 */
	unsigned int flags = FAULT_FLAG_REMOTE | FAULT_FLAG_DEFAULT;
	struct vm_area_struct *vma = vma_lookup(mm, fault->addr);

	if (!vma || !wd_sva_allowed(vma, fault->perm))
		return VM_FAULT_SIGSEGV;
	if (fault->perm & WD_FAULT_WRITE)
		flags |= FAULT_FLAG_WRITE;
	return handle_mm_fault(vma, fault->addr, flags, NULL);
}

static bool wd_sva_closed(struct wd_sva_pager *pager)
{
	bool closed;

	spin_lock(&pager->lock);
	closed = !pager->table;
	spin_unlock(&pager->lock);
	return closed;
}

/*
 * The device gets the page if the process would get it by touching it. The mmap lock is not held
 * while this waits for the page; every attempt is a first one, since later attempts would hold it.
 */
static bool wd_sva_page_in(struct wd_sva_pager *pager, const struct wd_fault *fault)
{
	struct mm_struct *mm = pager->mm;
	vm_fault_t ret;

	do {
		mmap_read_lock(mm);
		ret = wd_sva_try_fault(mm, fault);
		if (!(ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
			mmap_read_unlock(mm);
		cond_resched();
	} while (ret & VM_FAULT_RETRY && !wd_sva_closed(pager));
	return !(ret & (VM_FAULT_ERROR | VM_FAULT_RETRY));
}

/* The page is in the process's table: the bond's has to lead there. */
static void wd_sva_fill(struct wd_sva_pager *pager, const struct wd_fault *fault)
{
	spin_lock(&pager->lock);
	if (pager->table)
		pager->table->ops->mm_table_fill(pager->table, fault->addr, fault->addr + 1);
	spin_unlock(&pager->lock);
}

/* A copy of request @index of the group in work, which may be taken away at any time. */
static bool wd_sva_request(struct wd_sva_pager *pager, unsigned int index, struct wd_fault *fault)
{
	bool there;

	spin_lock(&pager->lock);
	there = pager->handling && index < pager->handling->count;
	if (there)
		*fault = pager->handling->faults[index];
	spin_unlock(&pager->lock);
	return there;
}

static enum wd_fault_code wd_sva_handle(struct wd_sva_pager *pager)
{
	enum wd_fault_code code = WD_FAULT_SUCCESS;
	struct wd_fault fault;
	unsigned int i;

	if (!mmget_not_zero(pager->mm))
		return WD_FAULT_INVALID;
	for (i = 0; code == WD_FAULT_SUCCESS && wd_sva_request(pager, i, &fault); i++) {
		if (wd_sva_page_in(pager, &fault))
			wd_sva_fill(pager, &fault);
		else
			code = WD_FAULT_INVALID;
	}
	/* Not here: the end of the mm stops queues. */
	mmput_async(pager->mm);
	return code;
}

static bool wd_sva_next_group(struct wd_sva_pager *pager)
{
	struct wd_fault_group *group;

	spin_lock(&pager->lock);
	group = list_first_entry_or_null(&pager->groups, struct wd_fault_group, node);
	if (group)
		list_del_init(&group->node);
	pager->handling = group;
	spin_unlock(&pager->lock);
	return group;
}

/* Unless it has been answered already. */
static void wd_sva_answer(struct wd_sva_pager *pager, enum wd_fault_code code)
{
	struct wd_fault_group *group;

	spin_lock(&pager->lock);
	group = pager->handling;
	pager->handling = NULL;
	pager->answering = group;
	spin_unlock(&pager->lock);
	if (!group)
		return;
	wd_iommu_fault_respond(group, code);
	spin_lock(&pager->lock);
	pager->answering = false;
	spin_unlock(&pager->lock);
	wake_up(&pager->answered);
}

static bool wd_sva_answering(struct wd_sva_pager *pager)
{
	bool answering;

	spin_lock(&pager->lock);
	answering = pager->answering;
	spin_unlock(&pager->lock);
	return answering;
}

static void wd_sva_work(struct work_struct *work)
{
	struct wd_sva_pager *pager = container_of(work, struct wd_sva_pager, work);

	while (wd_sva_next_group(pager))
		wd_sva_answer(pager,
			      wd_sva_closed(pager) ? WD_FAULT_INVALID : wd_sva_handle(pager));
	wd_sva_pager_put(pager);
}

/* --- for bonds --- */

/**
 * wd_sva_pager_fault - the handler of a bond's page faults
 * @group: its data is the pager
 */
void wd_sva_pager_fault(struct wd_fault_group *group)
{
	struct wd_sva_pager *pager = group->data;

	spin_lock(&pager->lock);
	list_add_tail(&group->node, &pager->groups);
	spin_unlock(&pager->lock);
	kref_get(&pager->ref);
	if (!queue_work(pager->wq, &pager->work))
		wd_sva_pager_put(pager);
}

/**
 * wd_sva_pager_refuse - answer outstanding groups
 * @pager: pager
 *
 * When it returns every group that there was has its answer. Waits for no page.
 */
void wd_sva_pager_refuse(struct wd_sva_pager *pager)
{
	struct wd_fault_group *group, *next;
	LIST_HEAD(refused);

	spin_lock(&pager->lock);
	list_splice_init(&pager->groups, &refused);
	if (pager->handling)
		list_add(&pager->handling->node, &refused);
	pager->handling = NULL;
	spin_unlock(&pager->lock);
	list_for_each_entry_safe (group, next, &refused, node) {
		list_del_init(&group->node);
		wd_iommu_fault_respond(group, WD_FAULT_INVALID);
	}
	wait_event(pager->answered, !wd_sva_answering(pager));
}

/**
 * wd_sva_pager_close - the same, and find no more pages
 * @pager: pager
 *
 * Groups that arrive later are answered INVALID, by the worker or by the next call. Afterwards the
 * bond's table is not touched any more.
 */
void wd_sva_pager_close(struct wd_sva_pager *pager)
{
	spin_lock(&pager->lock);
	pager->table = NULL;
	spin_unlock(&pager->lock);
	wd_sva_pager_refuse(pager);
}

/**
 * wd_sva_pager_alloc - a pager for a bond
 * @mm: address space
 * @table: of the bond
 *
 * Return: the pager, which has no groups yet; NULL without memory.
 */
struct wd_sva_pager *wd_sva_pager_alloc(struct mm_struct *mm, struct wd_pgtable *table)
{
	struct wd_sva_pager *pager = kzalloc(sizeof(*pager), GFP_KERNEL_ACCOUNT);

	if (!pager)
		return NULL;
	pager->wq = alloc_ordered_workqueue("wd_sva", 0);
	if (!pager->wq) {
		kfree(pager);
		return NULL;
	}
	__module_get(THIS_MODULE);
	atomic_inc(&wd_sva_pagers);
	kref_init(&pager->ref);
	mmgrab(mm);
	pager->mm = mm;
	pager->table = table;
	spin_lock_init(&pager->lock);
	INIT_LIST_HEAD(&pager->groups);
	init_waitqueue_head(&pager->answered);
	INIT_WORK(&pager->work, wd_sva_work);
	INIT_WORK(&pager->reap, wd_sva_pager_reap);
	return pager;
}

/**
 * wd_sva_pager_free - the bond is gone
 * @pager: closed, and no handler any more; NULL is fine
 */
void wd_sva_pager_free(struct wd_sva_pager *pager)
{
	if (pager)
		wd_sva_pager_put(pager);
}

/* --- module --- */

int wd_sva_pagers_init(void)
{
	wd_sva_reaper = alloc_workqueue("wd_sva_reaper", WQ_UNBOUND, 0);
	return wd_sva_reaper ? 0 : -ENOMEM;
}

/* No bonds are left, nor pagers: they keep the module. The last one may be on its way out. */
void wd_sva_pagers_exit(void)
{
	wait_event(wd_sva_pagers_gone, !atomic_read(&wd_sva_pagers));
	destroy_workqueue(wd_sva_reaper);
}
