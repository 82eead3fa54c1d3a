// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of bonds with address spaces.
 *
 * A page may never arrive: a user controls its file system or its userfaultfd. So every bond has a
 * worker of its own: faults of other bonds do not wait there. No thread waits for the worker,
 * either: the end of the bond takes the worker's groups away and answers them. The worker uses only
 * the pager, which stays after the bond until the worker returns, and keeps this module loaded.
 *
 * Locks: wd_sva_pager.lock is a spinlock. The driver's mm_table_fill runs under it; it is taken
 * under wd_device.wait_lock.
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
 * @ref: one for the bond, and one for each queued or running instance of @work
 * @mm: held by mmgrab()
 * @wq: ordered workqueue of this pager alone
 * @work: handles @groups
 * @lock: see the top of the file
 * @table: table of the bond; NULL after the pager is closed
 * @groups: struct wd_fault_group that wait for @work
 * @refused: struct wd_fault_group that a thread is going to answer INVALID
 * @handling: the group that @work handles, or NULL
 * @answering: @work is about to answer a group
 * @answered: woken when @answering becomes false
 * @reap: frees the pager on another workqueue, since @wq cannot destroy itself
 */
struct wd_sva_pager {
	struct kref ref;
	struct mm_struct *mm;
	struct workqueue_struct *wq;
	struct work_struct work;
	spinlock_t lock;
	struct wd_pgtable *table;
	struct list_head groups;
	struct list_head refused;
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

/* The worker may drop the last reference, but cannot destroy its own workqueue. */
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
	/* Allow no supervisor requests, no execution, and no access to device memory. */
	if (perm & ~(WD_FAULT_READ | WD_FAULT_WRITE) || !perm)
		return false;
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return false;
	return (!(perm & WD_FAULT_READ) || vma->vm_flags & VM_READ) &&
	       (!(perm & WD_FAULT_WRITE) || vma->vm_flags & VM_WRITE);
}

/*
 * Try once to bring the page in. The caller holds the mmap lock; with VM_FAULT_RETRY or
 * VM_FAULT_COMPLETED it is dropped on return.
 */
static vm_fault_t wd_sva_try_fault(struct mm_struct *mm, const struct wd_fault *fault)
{
	/*
	 * Not FAULT_FLAG_USER: this is a thread of the kernel. The default flags let a signal end
	 * the wait. The thread never gets one, but such a wait does not count as a hung task.
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
 * Bring a page in if the process itself could access it. This must not hold the mmap lock while it
 * waits for the page. So it never sets FAULT_FLAG_TRIED: with that flag Linux would keep the lock.
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

/* The page is in the process's page table now: let the bond's table lead there. */
static void wd_sva_fill(struct wd_sva_pager *pager, const struct wd_fault *fault)
{
	spin_lock(&pager->lock);
	if (pager->table)
		pager->table->ops->mm_table_fill(pager->table, fault->addr, fault->addr + 1);
	spin_unlock(&pager->lock);
}

/*
 * Copy the request after *@request of the group that @work handles, or the first one if that is
 * NULL. Another thread may take the group away at any time, with its requests. Return: false if
 * there is no next request.
 */
static bool wd_sva_request(struct wd_sva_pager *pager, struct wd_fault_request **request,
			   struct wd_fault *fault)
{
	struct wd_fault_request *next = *request;
	struct wd_fault_group *group;
	bool there = false;

	spin_lock(&pager->lock);
	group = pager->handling;
	if (group) {
		next = next ? list_next_entry(next, node)
			    : list_first_entry(&group->requests, struct wd_fault_request, node);
		there = !list_entry_is_head(next, &group->requests, node);
	}
	if (there)
		*fault = next->fault;
	spin_unlock(&pager->lock);
	*request = next;
	return there;
}

static enum wd_fault_code wd_sva_handle(struct wd_sva_pager *pager)
{
	enum wd_fault_code code = WD_FAULT_SUCCESS;
	struct wd_fault_request *request = NULL;
	struct wd_fault fault;

	if (!mmget_not_zero(pager->mm))
		return WD_FAULT_INVALID;
	while (code == WD_FAULT_SUCCESS && wd_sva_request(pager, &request, &fault)) {
		if (wd_sva_page_in(pager, &fault))
			wd_sva_fill(pager, &fault);
		else
			code = WD_FAULT_INVALID;
	}
	/*
	 * The last put of an mm ends its bonds, and so stops queues: this worker must not do that.
	 */
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

/* Answer the group that @work handles, unless another thread has taken it away. */
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
 * wd_sva_pager_fault - handler of a bond's page faults
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
 * wd_sva_pager_take_back - take a group away from a pager, since the layer answers it
 * @group: as given to wd_sva_pager_fault()
 *
 * Otherwise a process that waits for a page could keep all slots of its user busy.
 *
 * Return: false if the pager is about to give the group back itself.
 */
bool wd_sva_pager_take_back(struct wd_fault_group *group)
{
	struct wd_sva_pager *pager = group->data;
	bool taken;

	spin_lock(&pager->lock);
	taken = group == pager->handling || !list_empty(&group->node);
	list_del_init(&group->node);
	if (group == pager->handling)
		pager->handling = NULL;
	spin_unlock(&pager->lock);
	return taken;
}

static struct wd_fault_group *wd_sva_next_refused(struct wd_sva_pager *pager)
{
	struct wd_fault_group *group;

	spin_lock(&pager->lock);
	group = list_first_entry_or_null(&pager->refused, struct wd_fault_group, node);
	if (group)
		list_del_init(&group->node);
	spin_unlock(&pager->lock);
	return group;
}

/**
 * wd_sva_pager_refuse - answer INVALID to all outstanding groups
 * @pager: pager
 *
 * When this returns every group that had arrived before has an answer. This never waits for a page.
 */
void wd_sva_pager_refuse(struct wd_sva_pager *pager)
{
	struct wd_fault_group *group;

	spin_lock(&pager->lock);
	list_splice_init(&pager->groups, &pager->refused);
	if (pager->handling)
		list_add(&pager->handling->node, &pager->refused);
	pager->handling = NULL;
	spin_unlock(&pager->lock);
	while ((group = wd_sva_next_refused(pager)))
		wd_iommu_fault_respond(group, WD_FAULT_INVALID);
	wait_event(pager->answered, !wd_sva_answering(pager));
}

/**
 * wd_sva_pager_close - refuse all outstanding groups, and all later ones
 * @pager: pager
 *
 * The worker, or another call of this, answers INVALID to groups that arrive later. After the
 * return the pager does not use the bond's table any more.
 */
void wd_sva_pager_close(struct wd_sva_pager *pager)
{
	spin_lock(&pager->lock);
	pager->table = NULL;
	spin_unlock(&pager->lock);
	wd_sva_pager_refuse(pager);
}

/**
 * wd_sva_pager_alloc - make a pager for a bond
 * @mm: address space
 * @table: table of the bond
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
	INIT_LIST_HEAD(&pager->refused);
	init_waitqueue_head(&pager->answered);
	INIT_WORK(&pager->work, wd_sva_work);
	INIT_WORK(&pager->reap, wd_sva_pager_reap);
	return pager;
}

/**
 * wd_sva_pager_free - drop the bond's reference to its pager
 * @pager: closed, and its handler is not registered any more; may be NULL
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

/* Each pager holds the module, so the last one has dropped it; but its thread may still run. */
void wd_sva_pagers_exit(void)
{
	wait_event(wd_sva_pagers_gone, !atomic_read(&wd_sva_pagers));
	destroy_workqueue(wd_sva_reaper);
}
