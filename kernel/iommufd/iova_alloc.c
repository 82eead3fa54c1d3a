// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which IOVA may be used: placement of mappings, reservations and the allow list.
 *
 * The caller of a function with an iopt holds iova_lock, unless the function says that it takes it.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "io_pagetable.h"

/* The kernel's cap for the alignment of automatic placement (IOMMUFD-IOVA-5). */
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#define IOPT_MAX_AUTO_ALIGN HPAGE_PMD_SIZE
#else
#define IOPT_MAX_AUTO_ALIGN PAGE_SIZE
#endif

/*
 * Find the first free interval in [from, limit]: not reserved and, if @areas is set, not mapped.
 * The lowest node in the window either covers its beginning, so the search goes on after the node,
 * or ends the gap.
 */
static bool iopt_next_gap(struct io_pagetable *iopt, unsigned long from, unsigned long limit,
			  bool areas, unsigned long *start, unsigned long *last)
{
	struct interval_tree_node *node;

	while (from <= limit) {
		unsigned long end = limit;

		node = interval_tree_iter_first(&iopt->reserved, from, limit);
		if (!node || node->start > from) {
			if (node)
				end = node->start - 1;
			node = areas ? interval_tree_iter_first(&iopt->areas, from, end) : NULL;
			if (!node || node->start > from) {
				if (node)
					end = node->start - 1;
				*start = from;
				*last = end;
				return true;
			}
		}
		if (node->last >= limit)
			return false;
		from = node->last + 1;
	}
	return false;
}

/**
 * iopt_next_usable() - interval of IOVA that is not reserved
 * @iopt: IOAS
 * @from: where to begin
 * @start: first IOVA of the interval
 * @last: last one
 *
 * Return: false if everything from @from is reserved
 */
bool iopt_next_usable(struct io_pagetable *iopt, unsigned long from, unsigned long *start,
		      unsigned long *last)
{
	lockdep_assert_held(&iopt->iova_lock);

	return iopt_next_gap(iopt, from, ULONG_MAX, false, start, last);
}

/* To be called after the removal of an area or a reservation that began at @start. */
void iopt_iova_freed(struct io_pagetable *iopt, unsigned long start)
{
	lockdep_assert_held(&iopt->iova_lock);

	if (start < iopt->full_below)
		iopt->full_below = max(start, PAGE_SIZE);
}

/**
 * iopt_place_fixed() - may a mapping be made at this IOVA?
 * @iopt: IOAS
 * @iova: first IOVA
 * @length: bytes, not 0
 *
 * Return: 0; -EINVAL not aligned or reserved, -EOVERFLOW, -EEXIST taken
 *
 * Rules: IOMMUFD-MAP-3.
 */
int iopt_place_fixed(struct io_pagetable *iopt, unsigned long iova, unsigned long length)
{
	unsigned long last;

	lockdep_assert_held(&iopt->iova_lock);

	if (iova & (iopt->alignment - 1))
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	if (interval_tree_iter_first(&iopt->reserved, iova, last))
		return -EINVAL;
	if (interval_tree_iter_first(&iopt->areas, iova, last))
		return -EEXIST;
	return 0;
}

/*
 * First fit in a window: take the first multiple of @align in a gap, plus the offset in the page.
 */
static bool iopt_fit(struct io_pagetable *iopt, unsigned long from, unsigned long limit,
		     unsigned long align, unsigned long offset, unsigned long length,
		     unsigned long *iova)
{
	unsigned long start, last, candidate;

	while (iopt_next_gap(iopt, from, limit, true, &start, &last)) {
		if (from <= iopt->full_below && start > iopt->full_below)
			iopt->full_below = start;
		if (!check_add_overflow(start, align - 1, &candidate)) {
			candidate = (candidate & ~(align - 1)) | offset;
			if (candidate >= start && candidate < last &&
			    last - candidate >= length - 1) {
				*iova = candidate;
				return true;
			}
		}
		if (last >= limit)
			return false;
		from = last + 1;
		cond_resched();
	}
	return false;
}

/*
 * Find the window that begins with this entry of the allow list: entries that follow without a gap
 * belong to it. Return: the first entry after the window.
 */
static struct interval_tree_node *iopt_allowed_window(struct interval_tree_node *node,
						      unsigned long *last)
{
	*last = node->last;
	while ((node = interval_tree_iter_next(node, PAGE_SIZE, ULONG_MAX - PAGE_SIZE))) {
		if (node->start - 1 != *last)
			break;
		*last = node->last;
	}
	return node;
}

/**
 * iopt_place_auto() - choose an IOVA
 * @iopt: IOAS
 * @addr: address of the source; the IOVA gets the same alignment, so that large pages can be used
 * @length: bytes, not 0
 * @iova: receives the lowest IOVA that fits; never 0 nor in the last page
 *
 * The algorithm is part of the ABI (IOMMUFD-IOVA-5).
 *
 * Return: 0; -EOVERFLOW, -EINVAL the source is aligned less than the IOAS needs, -ENOSPC
 */
int iopt_place_auto(struct io_pagetable *iopt, unsigned long addr, unsigned long length,
		    unsigned long *iova)
{
	unsigned long offset = addr & (PAGE_SIZE - 1), align, first, last;
	struct interval_tree_node *node;

	lockdep_assert_held(&iopt->iova_lock);

	if (length >= ULONG_MAX / 2)
		return -EOVERFLOW;
	align = roundup_pow_of_two(length);
	if (addr)
		align = min(align, 1UL << __ffs(addr));
	align = min_t(unsigned long, align, IOPT_MAX_AUTO_ALIGN);
	if (align < iopt->alignment)
		return -EINVAL;

	if (RB_EMPTY_ROOT(&iopt->allowed.rb_root)) {
		if (iopt_fit(iopt, iopt->full_below, ULONG_MAX - PAGE_SIZE, align, offset, length,
			     iova))
			return 0;
		return -ENOSPC;
	}
	node = interval_tree_iter_first(&iopt->allowed, PAGE_SIZE, ULONG_MAX - PAGE_SIZE);
	while (node) {
		first = node->start;
		node = iopt_allowed_window(node, &last);
		if (iopt_fit(iopt, max(first, iopt->full_below), min(last, ULONG_MAX - PAGE_SIZE),
			     align, offset, length, iova))
			return 0;
	}
	return -ENOSPC;
}

/* IOMMUFD-IOVA-4: reserve with the caller's node. -EADDRINUSE if the range is mapped or allowed. */
int __iopt_reserve(struct io_pagetable *iopt, struct iopt_reserved *resv, unsigned long start,
		   unsigned long last)
{
	lockdep_assert_held(&iopt->iova_lock);

	if (interval_tree_iter_first(&iopt->areas, start, last) ||
	    interval_tree_iter_first(&iopt->allowed, start, last))
		return -EADDRINUSE;
	resv->node.start = start;
	resv->node.last = last;
	interval_tree_insert(&resv->node, &iopt->reserved);
	return 0;
}

/**
 * iopt_reserve() - take an interval of IOVA out of use
 * @iopt: IOAS, iova_lock is taken here
 * @start: first IOVA
 * @last: last IOVA
 * @owner: names the reservation for iopt_unreserve(); not NULL
 *
 * Return: 0; -ENOMEM, -EADDRINUSE mapped or allowed
 */
int iopt_reserve(struct io_pagetable *iopt, unsigned long start, unsigned long last,
		 const void *owner)
{
	struct iopt_reserved *resv = kzalloc(sizeof(*resv), GFP_KERNEL_ACCOUNT);
	int rc;

	if (!resv)
		return -ENOMEM;
	resv->owner = owner;
	mutex_lock(&iopt->iova_lock);
	rc = __iopt_reserve(iopt, resv, start, last);
	mutex_unlock(&iopt->iova_lock);
	if (rc)
		kfree(resv);
	return rc;
}

/**
 * iopt_unreserve() - give back every reservation of an owner
 * @iopt: IOAS, iova_lock is taken here
 * @owner: as given to iopt_reserve()
 */
void iopt_unreserve(struct io_pagetable *iopt, const void *owner)
{
	struct interval_tree_node *node, *next;

	mutex_lock(&iopt->iova_lock);
	for (node = interval_tree_iter_first(&iopt->reserved, 0, ULONG_MAX); node; node = next) {
		struct iopt_reserved *resv = container_of(node, struct iopt_reserved, node);

		next = interval_tree_iter_next(node, 0, ULONG_MAX);
		if (resv->owner != owner)
			continue;
		interval_tree_remove(node, &iopt->reserved);
		iopt_iova_freed(iopt, node->start);
		kfree(resv);
	}
	mutex_unlock(&iopt->iova_lock);
}

/* Add an entry to a new allow list. -EINVAL if it overlaps an earlier entry. */
int iopt_allow(struct rb_root_cached *list, unsigned long start, unsigned long last)
{
	struct iopt_allowed *allowed;

	if (interval_tree_iter_first(list, start, last))
		return -EINVAL;
	allowed = kzalloc(sizeof(*allowed), GFP_KERNEL_ACCOUNT);
	if (!allowed)
		return -ENOMEM;
	allowed->node.start = start;
	allowed->node.last = last;
	interval_tree_insert(&allowed->node, list);
	return 0;
}

void iopt_free_allowed(struct rb_root_cached *list)
{
	struct interval_tree_node *node;

	while ((node = interval_tree_iter_first(list, 0, ULONG_MAX))) {
		interval_tree_remove(node, list);
		kfree(container_of(node, struct iopt_allowed, node));
		cond_resched();
	}
}

/**
 * iopt_set_allowed() - replace the allow list
 * @iopt: IOAS, iova_lock is taken here
 * @list: in: the new list; out after success: the old one
 *
 * Return: 0; -EADDRINUSE an entry overlaps a reservation, nothing is changed
 */
int iopt_set_allowed(struct io_pagetable *iopt, struct rb_root_cached *list)
{
	struct interval_tree_node *node;
	int rc = 0;

	mutex_lock(&iopt->iova_lock);
	for (node = interval_tree_iter_first(list, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		if (interval_tree_iter_first(&iopt->reserved, node->start, node->last)) {
			rc = -EADDRINUSE;
			break;
		}
		cond_resched();
	}
	if (!rc)
		swap(iopt->allowed, *list);
	mutex_unlock(&iopt->iova_lock);
	return rc;
}
