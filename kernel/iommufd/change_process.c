// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_IOAS_CHANGE_PROCESS: the calling process takes over what the context has pinned
 * (IOMMUFD-CHANGE-1 to IOMMUFD-CHANGE-3).
 *
 * All areas of the context must be of files, since other memory belongs to its process. While this
 * holds the domains_rwsem of every IOAS for writing, no area changes. A thread that attaches may
 * still pin more pages of a backing; these stay with the account that has paid for them.
 *
 * The pages are charged to the new account before, without these locks: that may wait for the mmap
 * lock of the caller. If more is pinned by then, this tries again. After the change nothing can
 * fail. The old accounts get their pages back at the end, again without the locks.
 */
#include <linux/list.h>
#include <linux/sched/signal.h>

#include "iommufd_private.h"
#include "trace.h"

/**
 * struct iommufd_change - a change that is going on
 * @ictx: context, its change_lock held
 * @to: the new account, held
 * @mode: what the pages are charged as; the same for all pages that are charged
 * @charged: pages that @to has paid for, but does not have yet
 * @needed: pages that @to would have to pay for
 * @moved: pages that @to has got, paid or not
 * @ioases: iommufd_ioas.change_item; each is held, with its domains_rwsem locked for writing
 * @files: iopt_file_pages.change_item; kept by their areas
 * @accounts: iopt_account.change_item; held
 */
struct iommufd_change {
	struct iommufd_ctx *ictx;
	struct iopt_account *to;
	enum iopt_account_mode mode;
	unsigned long charged;
	unsigned long needed;
	unsigned long moved;
	struct list_head ioases;
	struct list_head files;
	struct list_head accounts;
};

/* Hold the IOAS with the lowest id at or after *@id. Return: NULL if there is none. */
static struct iommufd_ioas *iommufd_change_next(struct iommufd_ctx *ictx, unsigned long *id)
{
	struct iommufd_object *obj;
	bool found;

	do {
		xa_lock(&ictx->objects);
		obj = xa_find(&ictx->objects, id, ULONG_MAX, XA_PRESENT);
		found = obj && obj->type == IOMMUFD_OBJ_IOAS;
		if (found)
			refcount_inc(&obj->wait_cnt);
		xa_unlock(&ictx->objects);
		++*id;
		cond_resched();
	} while (obj && !found);
	return obj ? container_of(obj, struct iommufd_ioas, obj) : NULL;
}

static void iommufd_change_lock(struct iommufd_change *change)
{
	struct iommufd_ioas *ioas;
	unsigned long id = 0;

	while ((ioas = iommufd_change_next(change->ictx, &id))) {
		list_add_tail(&ioas->change_item, &change->ioases);
		down_write_nest_lock(&ioas->iopt.domains_rwsem, &change->ictx->change_lock);
	}
}

static void iommufd_change_unlock(struct iommufd_change *change)
{
	struct iopt_file_pages *file, *next_file;
	struct iommufd_ioas *ioas, *next;

	list_for_each_entry_safe (file, next_file, &change->files, change_item)
		list_del_init(&file->change_item);
	list_for_each_entry_safe (ioas, next, &change->ioases, change_item) {
		list_del(&ioas->change_item);
		up_write(&ioas->iopt.domains_rwsem);
		iommufd_put_object(change->ictx, &ioas->obj);
	}
}

/* List the files of an IOAS. Copies of an area share its backing, which is to be listed once. */
static int iommufd_change_collect(struct iommufd_change *change, struct io_pagetable *iopt)
{
	struct iopt_file_pages *file;
	struct iopt_area *area;

	for (area = iopt_first_area(iopt); area; area = iopt_next_area(area)) {
		if (area->busy)
			return -EBUSY;
		if (!area->pages->from_file)
			return -EINVAL;
		file = iopt_file_pages_of(area->pages);
		if (list_empty(&file->change_item))
			list_add_tail(&file->change_item, &change->files);
		cond_resched();
	}
	return 0;
}

static struct iopt_seg *iommufd_change_seg(struct interval_tree_node *node)
{
	return node ? container_of(node, struct iopt_seg, node) : NULL;
}

static struct iopt_seg *iommufd_change_first_seg(struct iopt_pages *pages)
{
	return iommufd_change_seg(interval_tree_iter_first(&pages->segs, 0, ULONG_MAX));
}

static struct iopt_seg *iommufd_change_next_seg(struct iopt_seg *seg)
{
	return iommufd_change_seg(interval_tree_iter_next(&seg->node, 0, ULONG_MAX));
}

/* Return: how many pages the new account has to pay for before it can get @seg. */
static unsigned long iommufd_change_price(const struct iommufd_change *change,
					  const struct iopt_pages *pages,
					  const struct iopt_seg *seg)
{
	if (iopt_account_same_limit(seg->account, change->to, pages->account_mode))
		return 0;
	return iopt_seg_npages(seg);
}

static void iommufd_change_count(struct iommufd_change *change, struct iopt_pages *pages)
{
	struct iopt_seg *seg;

	mutex_lock(&pages->mutex);
	for (seg = iommufd_change_first_seg(pages); seg; seg = iommufd_change_next_seg(seg)) {
		unsigned long price = iommufd_change_price(change, pages, seg);

		change->needed += price;
		if (price)
			change->mode = pages->account_mode;
		cond_resched();
	}
	mutex_unlock(&pages->mutex);
}

static void iommufd_change_move_seg(struct iommufd_change *change, struct iopt_pages *pages,
				    struct iopt_seg *seg)
{
	unsigned long npages = iopt_seg_npages(seg);
	unsigned long price = iommufd_change_price(change, pages, seg);
	struct iopt_account *from = seg->account;

	if (from == change->to || price > change->charged)
		return;
	change->charged -= price;
	change->moved += npages;
	from->moved += price;
	if (price && list_empty(&from->change_item))
		list_add_tail(&iopt_account_get(from)->change_item, &change->accounts);
	atomic64_add(npages, &change->to->mm->pinned_vm);
	atomic64_sub(npages, &from->mm->pinned_vm);
	seg->account = iopt_account_get(change->to);
	iopt_account_put(from);
}

static void iommufd_change_move(struct iommufd_change *change, struct iopt_pages *pages)
{
	struct iopt_account *from;
	struct iopt_seg *seg;

	mutex_lock(&pages->mutex);
	for (seg = iommufd_change_first_seg(pages); seg; seg = iommufd_change_next_seg(seg)) {
		iommufd_change_move_seg(change, pages, seg);
		cond_resched();
	}
	from = pages->account;
	pages->account = iopt_account_get(change->to);
	mutex_unlock(&pages->mutex);
	iopt_account_put(from);
}

/* Return: -EAGAIN if the new account has to pay for more pages first; then nothing has changed. */
static int iommufd_change_try(struct iommufd_change *change)
{
	struct iopt_file_pages *file;
	struct iommufd_ioas *ioas;
	int rc = 0;

	iommufd_change_lock(change);
	list_for_each_entry (ioas, &change->ioases, change_item) {
		rc = iommufd_change_collect(change, &ioas->iopt);
		if (rc)
			goto out;
	}
	change->needed = 0;
	list_for_each_entry (file, &change->files, change_item)
		iommufd_change_count(change, &file->pages);
	if (change->needed > change->charged) {
		rc = -EAGAIN;
		goto out;
	}
	list_for_each_entry (file, &change->files, change_item)
		iommufd_change_move(change, &file->pages);
out:
	iommufd_change_unlock(change);
	return rc;
}

static int iommufd_change_run(struct iommufd_change *change)
{
	int rc;

	while ((rc = iommufd_change_try(change)) == -EAGAIN) {
		if (fatal_signal_pending(current))
			return -EINTR;
		rc = iopt_charge_locked(change->to, change->mode, change->needed - change->charged);
		if (rc)
			return rc;
		change->charged = change->needed;
	}
	return rc;
}

static void iommufd_change_settle(struct iommufd_change *change)
{
	struct iopt_account *from, *next;

	if (change->charged)
		iopt_uncharge_locked(change->to, change->mode, change->charged);
	list_for_each_entry_safe (from, next, &change->accounts, change_item) {
		iopt_uncharge_locked(from, change->mode, from->moved);
		from->moved = 0;
		list_del_init(&from->change_item);
		iopt_account_put(from);
	}
}

int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_change_process *cmd = ucmd->cmd;
	struct iommufd_change change = {.ictx = ucmd->ictx};
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	INIT_LIST_HEAD(&change.ioases);
	INIT_LIST_HEAD(&change.files);
	INIT_LIST_HEAD(&change.accounts);
	change.to = iommufd_account_get(ucmd->ictx);
	if (!change.to)
		return -ENOMEM;
	rc = mutex_lock_killable(&ucmd->ictx->change_lock);
	if (rc)
		goto out_put;
	rc = iommufd_change_run(&change);
	iommufd_change_settle(&change);
	mutex_unlock(&ucmd->ictx->change_lock);
	trace_iommufd_change_process(change.moved, rc);
out_put:
	iopt_account_put(change.to);
	return rc;
}
