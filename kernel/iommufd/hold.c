// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds: pins that are taken before a page table is filled. iommufd fills a page table under locks
 * that others need, and must touch no memory of a process there. So it pins the pages before,
 * without a lock, and under the locks it only counts their pins up.
 */
#include <linux/err.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "io_pagetable.h"

/* Pins of one area's memory. */
struct iopt_held {
	struct list_head item;
	struct iopt_pages *pages;
	unsigned long first;
	unsigned long last;
};

struct iopt_hold {
	struct list_head ranges;
};

/*
 * Fill @held for the first area at or after *@from. Return: false if there is none, or if nothing
 * has to be pinned.
 */
static bool iopt_hold_next(struct io_pagetable *iopt, unsigned long *from, struct iopt_held *held)
{
	struct interval_tree_node *node = NULL;
	struct iopt_area *area;

	down_read(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	/* If the IOAS has a page table, each area is pinned, or a thread is about to pin it. */
	if (list_empty(&iopt->domains))
		node = interval_tree_iter_first(&iopt->areas, *from, ULONG_MAX);
	while (node && container_of(node, struct iopt_area, node)->busy)
		node = interval_tree_iter_next(node, *from, ULONG_MAX);
	if (node) {
		area = container_of(node, struct iopt_area, node);
		kref_get(&area->pages->ref);
		held->pages = area->pages;
		held->first = iopt_area_first_index(area);
		held->last = iopt_area_last_index(area);
		*from = node->last + 1;
	}
	mutex_unlock(&iopt->iova_lock);
	up_read(&iopt->domains_rwsem);
	return node;
}

static int iopt_hold_all(struct io_pagetable *iopt, struct iopt_hold *hold)
{
	unsigned long from = 0;
	struct iopt_held *held;
	int rc = 0;

	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		held = kmalloc(sizeof(*held), GFP_KERNEL_ACCOUNT);
		if (!held)
			return -ENOMEM;
		if (!iopt_hold_next(iopt, &from, held)) {
			kfree(held);
			return 0;
		}
		rc = iopt_pages_pin(held->pages, held->first, held->last);
		if (rc) {
			iopt_pages_put(held->pages);
			kfree(held);
			return rc;
		}
		list_add(&held->item, &hold->ranges);
	} while (from);
	return 0;
}

/**
 * iopt_hold_get() - pin the memory for the first page table of an IOAS
 * @iopt: IOAS
 * @hold: in: NULL, or an earlier result, whose pins are given back after the new ones are taken;
 *	out: the pins, also after an error
 *
 * The process can make this wait for ever, so the caller holds no lock that others need. Mappings
 * made meanwhile may be missing from the hold: then iopt_add_domain() fails with -EAGAIN again, and
 * its caller calls this once more.
 *
 * Return: 0; -ENOMEM, -EINTR the caller is being killed, errors of pinning
 */
int iopt_hold_get(struct io_pagetable *iopt, struct iopt_hold **hold)
{
	struct iopt_hold *fresh = kmalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	int rc;

	if (!fresh)
		return -ENOMEM;
	INIT_LIST_HEAD(&fresh->ranges);
	rc = iopt_hold_all(iopt, fresh);
	iopt_hold_put(*hold);
	*hold = fresh;
	return rc;
}

/**
 * iopt_hold_put() - give the pins of iopt_hold_get() back
 * @hold: as filled there, or NULL
 */
void iopt_hold_put(struct iopt_hold *hold)
{
	struct iopt_held *held, *next;

	if (!hold)
		return;
	list_for_each_entry_safe (held, next, &hold->ranges, item) {
		mutex_lock(&held->pages->mutex);
		iopt_pages_unpin(held->pages, held->first, held->last);
		mutex_unlock(&held->pages->mutex);
		iopt_pages_put(held->pages);
		kfree(held);
		cond_resched();
	}
	kfree(hold);
}
