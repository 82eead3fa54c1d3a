// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page tables of an IOAS: each of them contains all areas at any time (IOMMUFD-MAP-6).
 * A long run of memory goes to the IOMMU layer in one call, so that the layer can use large pages.
 */
#include <linux/sched.h>

#include "io_pagetable.h"

static int iopt_map_run(struct io_pagetable *iopt, struct iommu_domain *domain, unsigned long iova,
			phys_addr_t phys, size_t length, int prot, size_t *mapped)
{
	while (*mapped < length) {
		size_t step = length - *mapped;
		int rc;

		if (!iopt->large_pages)
			step = min_t(size_t, step, PAGE_SIZE - ((phys + *mapped) & ~PAGE_MASK));
		rc = iommu_map(domain, iova + *mapped, phys + *mapped, step, prot);
		if (rc)
			return rc;
		*mapped += step;
		/* A mapping of scattered memory has millions of runs, or of steps of one page. */
		cond_resched();
	}
	return 0;
}

/*
 * Take an area out of a page table. A backing that can be revoked knows in which tables it is: it
 * may have left this one.
 */
static void iopt_area_unmap(struct iopt_area *area, struct iommu_domain *domain)
{
	if (area->pages->from_dmabuf)
		iopt_dmabuf_unmap(area, domain);
	else
		iopt_area_clear(area, domain, area->length);
}

/* Write an area with pinned pages into a page table, all or nothing, unless it was revoked. */
static int iopt_area_map(struct io_pagetable *iopt, struct iopt_area *area,
			 struct iommu_domain *domain)
{
	size_t offset = area->start_byte & ~PAGE_MASK, done = 0;
	struct iopt_run_iter iter;
	int rc;

	lockdep_assert_held(&area->pages->mutex);

	if (area->pages->revoked)
		return 0;
	iopt_run_first(&iter, area->pages, iopt_area_first_index(area), iopt_area_last_index(area));
	while (iopt_run_next(&iter)) {
		size_t length =
			min_t(size_t, (iter.npages << PAGE_SHIFT) - offset, area->length - done);
		size_t mapped = 0;

		rc = iopt_map_run(iopt, domain, area->node.start + done,
				  PFN_PHYS((phys_addr_t)iter.pfn) + offset, length, area->prot,
				  &mapped);
		done += mapped;
		if (rc)
			goto err_unmap;
		offset = 0;
	}
	if (WARN_ON(done != area->length)) {
		rc = -EINVAL;
		goto err_unmap;
	}
	rc = area->pages->from_dmabuf ? iopt_dmabuf_mapped(area, domain) : 0;
	if (rc)
		goto err_unmap;
	return 0;

err_unmap:
	if (done)
		iopt_area_clear(area, domain, done);
	return rc;
}

static void iopt_area_unpin(struct iopt_area *area)
{
	mutex_lock(&area->pages->mutex);
	iopt_pages_unpin(area->pages, iopt_area_first_index(area), iopt_area_last_index(area));
	mutex_unlock(&area->pages->mutex);
	cond_resched();
}

/* Write an area into every page table. */
static int iopt_area_map_all(struct io_pagetable *iopt, struct iopt_area *area)
{
	struct iopt_domain *link;
	int rc = 0;

	mutex_lock(&area->pages->mutex);
	list_for_each_entry (link, &iopt->domains, item) {
		rc = iopt_area_map(iopt, area, link->domain);
		if (rc)
			break;
	}
	mutex_unlock(&area->pages->mutex);
	if (!rc)
		return 0;
	list_for_each_entry_continue_reverse (link, &iopt->domains, item)
		iopt_area_unmap(area, link->domain);
	return rc;
}

/**
 * iopt_areas_pin() - pin the memory of busy areas, before they are written into page tables
 * @list: areas by build_item
 *
 * The process can make this wait for ever, so the caller holds no lock that others need.
 *
 * Return: 0, or an error from pinning, with nothing pinned
 */
int iopt_areas_pin(struct list_head *list)
{
	struct iopt_area *area;
	int rc;

	list_for_each_entry (area, list, build_item) {
		rc = iopt_pages_pin(area->pages, iopt_area_first_index(area),
				    iopt_area_last_index(area));
		if (rc)
			goto err_unpin;
	}
	return 0;

err_unpin:
	list_for_each_entry_continue_reverse (area, list, build_item)
		iopt_area_unpin(area);
	return rc;
}

/* Undo iopt_areas_pin(). */
void iopt_areas_unpin(struct list_head *list)
{
	struct iopt_area *area;

	list_for_each_entry (area, list, build_item)
		iopt_area_unpin(area);
}

/**
 * iopt_areas_fill() - write busy areas into every page table
 * @iopt: IOAS, which has page tables
 * @list: pinned areas by build_item, which keep their pins
 *
 * Return: 0, or an error from a page table, with nothing written
 */
int iopt_areas_fill(struct io_pagetable *iopt, struct list_head *list)
{
	struct iopt_domain *link;
	struct iopt_area *area;
	int rc;

	lockdep_assert_held(&iopt->domains_rwsem);

	list_for_each_entry (area, list, build_item) {
		rc = iopt_area_map_all(iopt, area);
		if (rc)
			goto err_unmap;
		area->filled = true;
	}
	return 0;

err_unmap:
	list_for_each_entry_continue_reverse (area, list, build_item) {
		list_for_each_entry (link, &iopt->domains, item)
			iopt_area_unmap(area, link->domain);
		area->filled = false;
	}
	return rc;
}

/**
 * iopt_area_unfill() - take a busy area out of every page table, and unpin its memory
 * @iopt: IOAS
 * @area: busy area
 *
 * Afterwards no device reaches the memory through the area. If an IOMMU is dead, which may still
 * reach it, the pages stay pinned.
 *
 * Rules: IOMMUFD-UNMAP-3.
 */
void iopt_area_unfill(struct io_pagetable *iopt, struct iopt_area *area)
{
	struct iopt_domain *link;

	lockdep_assert_held(&iopt->domains_rwsem);

	if (!area->filled)
		return;
	list_for_each_entry (link, &iopt->domains, item)
		iopt_area_unmap(area, link->domain);
	iopt_area_unpin(area);
	area->filled = false;
}

static struct iopt_area *iopt_area_at(struct interval_tree_node *node)
{
	return node ? container_of(node, struct iopt_area, node) : NULL;
}

struct iopt_area *iopt_first_area(struct io_pagetable *iopt)
{
	return iopt_area_at(interval_tree_iter_first(&iopt->areas, 0, ULONG_MAX));
}

struct iopt_area *iopt_next_area(struct iopt_area *area)
{
	return iopt_area_at(interval_tree_iter_next(&area->node, 0, ULONG_MAX));
}

/* Return: -EAGAIN if the memory of the area is not pinned. */
static int iopt_area_fill_one(struct io_pagetable *iopt, struct iopt_area *area,
			      struct iommu_domain *domain)
{
	struct iopt_pages *pages = area->pages;
	unsigned long first = iopt_area_first_index(area), last = iopt_area_last_index(area);
	int rc = 0;

	mutex_lock(&pages->mutex);
	if (!area->filled)
		rc = iopt_pages_pin_again(pages, first, last);
	if (!rc) {
		rc = iopt_area_map(iopt, area, domain);
		if (!rc)
			area->filled = true;
		else if (!area->filled)
			iopt_pages_unpin(pages, first, last);
	}
	mutex_unlock(&pages->mutex);
	return rc;
}

/* Take all areas before @end out of a page table. @unpin: no other table needs their pages. */
static void iopt_empty_domain(struct io_pagetable *iopt, struct iommu_domain *domain,
			      const struct iopt_area *end, bool unpin)
{
	struct iopt_area *area;

	for (area = iopt_first_area(iopt); area && area != end; area = iopt_next_area(area)) {
		if (!area->filled)
			continue;
		iopt_area_unmap(area, domain);
		if (unpin) {
			iopt_area_unpin(area);
			area->filled = false;
		}
	}
}

/*
 * This skips busy areas: the thread that builds such an area writes it into the new table, too,
 * once it can take domains_rwsem again.
 */
static int iopt_fill_domain(struct io_pagetable *iopt, struct iommu_domain *domain)
{
	bool first = list_empty(&iopt->domains);
	struct iopt_area *area;
	int rc;

	lockdep_assert_held_write(&iopt->domains_rwsem);

	for (area = iopt_first_area(iopt); area; area = iopt_next_area(area)) {
		if (area->busy)
			continue;
		rc = iopt_area_fill_one(iopt, area, domain);
		if (rc) {
			iopt_empty_domain(iopt, domain, area, first);
			return rc;
		}
		cond_resched();
	}
	return 0;
}

/* Do the existing areas fit a new alignment? */
static int iopt_check_alignment(struct io_pagetable *iopt, unsigned long alignment)
{
	struct iopt_area *area;

	if (alignment <= iopt->alignment)
		return 0;
	for (area = iopt_first_area(iopt); area; area = iopt_next_area(area)) {
		if ((area->node.start | area->length | area->start_byte) & (alignment - 1))
			return -EADDRINUSE;
		cond_resched();
	}
	return 0;
}

static unsigned long iopt_wanted_alignment(struct io_pagetable *iopt)
{
	unsigned int shift = PAGE_SHIFT;

	if (iopt->large_pages)
		while (shift && !iopt->nr_min_pages[shift])
			shift--;
	return 1UL << shift;
}

static void iopt_unreserve_outside(struct io_pagetable *iopt, struct iopt_domain *link)
{
	while (link->nr_outside) {
		struct iopt_reserved *resv = &link->outside[--link->nr_outside];

		interval_tree_remove(&resv->node, &iopt->reserved);
		iopt_iova_freed(iopt, resv->node.start);
	}
}

/*
 * IOVA outside the aperture is reserved as long as the page table is in the IOAS (IOMMUFD-IOVA-1).
 */
static int iopt_reserve_outside(struct io_pagetable *iopt, struct iopt_domain *link)
{
	const struct iommu_domain_geometry *geometry = &link->domain->geometry;
	int rc;

	link->nr_outside = 0;
	if (geometry->aperture_start) {
		rc = __iopt_reserve(iopt, &link->outside[link->nr_outside], 0,
				    geometry->aperture_start - 1);
		if (rc)
			return rc;
		link->nr_outside++;
	}
	if (geometry->aperture_end < ULONG_MAX) {
		rc = __iopt_reserve(iopt, &link->outside[link->nr_outside],
				    geometry->aperture_end + 1, ULONG_MAX);
		if (rc) {
			iopt_unreserve_outside(iopt, link);
			return rc;
		}
		link->nr_outside++;
	}
	return 0;
}

/**
 * iopt_add_domain() - let a page table follow the IOAS
 * @iopt: IOAS
 * @link: its entry in the IOAS, zeroed
 * @domain: empty page table
 *
 * This touches no memory of a process.
 *
 * Return: 0; -EAGAIN memory has to be pinned first, see iopt_hold_get(); -EINVAL the smallest page
 * of the table is too large, -EADDRINUSE areas or allowed ranges do not fit it, errors from the
 * table
 */
int iopt_add_domain(struct io_pagetable *iopt, struct iopt_domain *link,
		    struct iommu_domain *domain)
{
	unsigned long alignment;
	int rc;

	if (!domain->pgsize_bitmap)
		return -EINVAL;
	link->domain = domain;
	link->min_page_shift = __ffs(domain->pgsize_bitmap);
	if (link->min_page_shift > PAGE_SHIFT)
		return -EINVAL;

	down_write(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	alignment = max(iopt->alignment, 1UL << link->min_page_shift);
	rc = iopt_check_alignment(iopt, alignment);
	if (!rc)
		rc = iopt_reserve_outside(iopt, link);
	mutex_unlock(&iopt->iova_lock);
	if (rc)
		goto out;

	rc = iopt_fill_domain(iopt, domain);
	mutex_lock(&iopt->iova_lock);
	if (rc) {
		iopt_unreserve_outside(iopt, link);
	} else {
		iopt->alignment = alignment;
		iopt->nr_min_pages[link->min_page_shift]++;
		list_add_tail(&link->item, &iopt->domains);
	}
	mutex_unlock(&iopt->iova_lock);
out:
	up_write(&iopt->domains_rwsem);
	return rc;
}

/**
 * iopt_remove_domain() - undo iopt_add_domain()
 * @iopt: IOAS
 * @link: as given there
 *
 * The table is empty afterwards. If it was the last table, this unpins the memory.
 */
void iopt_remove_domain(struct io_pagetable *iopt, struct iopt_domain *link)
{
	down_write(&iopt->domains_rwsem);
	list_del(&link->item);
	iopt_empty_domain(iopt, link->domain, NULL, list_empty(&iopt->domains));
	mutex_lock(&iopt->iova_lock);
	iopt_unreserve_outside(iopt, link);
	iopt->nr_min_pages[link->min_page_shift]--;
	iopt->alignment = iopt_wanted_alignment(iopt);
	mutex_unlock(&iopt->iova_lock);
	up_write(&iopt->domains_rwsem);
}

/**
 * iopt_want_whole_pages() - allow areas of whole pages only, as for a page table that has no smaller
 * ones
 * @iopt: IOAS
 *
 * Return: 0; -EADDRINUSE an area or an allowed range does not consist of whole pages
 */
int iopt_want_whole_pages(struct io_pagetable *iopt)
{
	int rc;

	down_write(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	rc = iopt_check_alignment(iopt, PAGE_SIZE);
	if (!rc) {
		iopt->nr_min_pages[PAGE_SHIFT]++;
		iopt->alignment = PAGE_SIZE;
	}
	mutex_unlock(&iopt->iova_lock);
	up_write(&iopt->domains_rwsem);
	return rc;
}

/* Undo iopt_want_whole_pages(). */
void iopt_want_no_whole_pages(struct io_pagetable *iopt)
{
	down_write(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	iopt->nr_min_pages[PAGE_SHIFT]--;
	iopt->alignment = iopt_wanted_alignment(iopt);
	mutex_unlock(&iopt->iova_lock);
	up_write(&iopt->domains_rwsem);
}

/**
 * iopt_set_large_pages() - IOMMU_OPTION_HUGE_PAGES
 * @iopt: IOAS
 * @enable: value of the option
 *
 * Return: 0; -EINVAL to disable while page tables and areas exist, -EADDRINUSE to disable while an
 * area is not page aligned
 */
int iopt_set_large_pages(struct io_pagetable *iopt, bool enable)
{
	int rc = 0;

	down_write(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	if (enable == iopt->large_pages)
		goto out;
	if (!enable) {
		if (!list_empty(&iopt->domains) && iopt_first_area(iopt))
			rc = -EINVAL;
		else
			rc = iopt_check_alignment(iopt, PAGE_SIZE);
		if (rc)
			goto out;
	}
	/* iommufd_compat_cut() looks without a lock. */
	WRITE_ONCE(iopt->large_pages, enable);
	iopt->alignment = iopt_wanted_alignment(iopt);
out:
	mutex_unlock(&iopt->iova_lock);
	up_write(&iopt->domains_rwsem);
	return rc;
}
