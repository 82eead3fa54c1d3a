// SPDX-License-Identifier: GPL-2.0-only
/*
 * Make and remove the areas of an IOAS.
 *
 * iommufd first puts an area into the tree, marked busy, which takes its IOVA. Then it pins the
 * memory without a lock, since that may take for ever. Then it writes the area into the page
 * tables, and the area stops being busy. Removal takes the same steps backwards. Another call that
 * finds a busy area fails; user space may try it again.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "io_pagetable.h"

void iopt_init(struct io_pagetable *iopt)
{
	init_rwsem(&iopt->domains_rwsem);
	INIT_LIST_HEAD(&iopt->domains);
	mutex_init(&iopt->iova_lock);
	iopt->areas = RB_ROOT_CACHED;
	iopt->reserved = RB_ROOT_CACHED;
	iopt->allowed = RB_ROOT_CACHED;
	iopt->full_below = PAGE_SIZE;
	iopt->alignment = 1;
	iopt->large_pages = true;
}

/* No page table is left, so no area is in hardware or has pinned memory. */
void iopt_destroy(struct io_pagetable *iopt)
{
	struct interval_tree_node *node;

	WARN_ON(!list_empty(&iopt->domains));
	while ((node = interval_tree_iter_first(&iopt->areas, 0, ULONG_MAX))) {
		interval_tree_remove(node, &iopt->areas);
		iopt_area_free(container_of(node, struct iopt_area, node));
		cond_resched();
	}
	while ((node = interval_tree_iter_first(&iopt->reserved, 0, ULONG_MAX))) {
		interval_tree_remove(node, &iopt->reserved);
		kfree(container_of(node, struct iopt_reserved, node));
		cond_resched();
	}
	iopt_free_allowed(&iopt->allowed);
	mutex_destroy(&iopt->iova_lock);
}

static void iopt_area_init(struct iopt_area *area, struct iopt_pages *pages,
			   unsigned long start_byte, unsigned long length)
{
	area->pages = pages;
	area->start_byte = start_byte;
	area->length = length;
	area->busy = false;
	area->filled = false;
	area->leaving = false;
	area->visitors = 0;
	area->pins = 0;
}

/* Takes over the caller's reference to @pages, also on failure. */
static struct iopt_area *iopt_area_alloc(struct iopt_pages *pages, unsigned long start_byte,
					 unsigned long length)
{
	struct iopt_area *area;

	if (pages->from_dmabuf)
		area = iopt_dmabuf_area_alloc();
	else
		area = kmalloc(sizeof(*area), GFP_KERNEL_ACCOUNT);
	if (!area) {
		iopt_pages_put(pages);
		return NULL;
	}
	iopt_area_init(area, pages, start_byte, length);
	return area;
}

/* The caller holds no lock of an IOAS or a backing. */
void iopt_area_free(struct iopt_area *area)
{
	struct iopt_pages *pages = area->pages;

	WARN_ON(area->filled || area->pins || area->visitors);
	if (pages->from_dmabuf)
		iopt_dmabuf_area_free(area);
	else if (area != &pages->first_area)
		kfree(area);
	iopt_pages_put(pages);
}

static int iopt_check_area(struct io_pagetable *iopt, const struct iopt_area *area, int prot)
{
	if ((prot & IOMMU_WRITE) && !area->pages->writable)
		return -EPERM;
	if ((area->start_byte | area->length) & (iopt->alignment - 1))
		return -EINVAL;
	return 0;
}

/* Choose the IOVA for the whole list and put the areas there side by side. */
static int iopt_insert_areas(struct io_pagetable *iopt, struct list_head *list,
			     unsigned long length, unsigned long *iova, int prot, bool fixed)
{
	struct iopt_area *area = list_first_entry(list, struct iopt_area, build_item);
	unsigned long addr = area->pages->start + area->start_byte, next;
	int rc;

	lockdep_assert_held(&iopt->iova_lock);

	if (length & (iopt->alignment - 1))
		return -EINVAL;
	rc = fixed ? iopt_place_fixed(iopt, *iova, length)
		   : iopt_place_auto(iopt, addr, length, iova);
	if (rc)
		return rc;
	list_for_each_entry (area, list, build_item) {
		rc = iopt_check_area(iopt, area, prot);
		if (rc)
			return rc;
		cond_resched();
	}

	next = *iova;
	list_for_each_entry (area, list, build_item) {
		area->prot = prot;
		if (area->pages->from_dmabuf)
			area->prot = (prot & ~IOMMU_CACHE) | IOMMU_MMIO;
		area->busy = true;
		area->node.start = next;
		area->node.last = next + (area->length - 1);
		next += area->length;
		interval_tree_insert(&area->node, &iopt->areas);
		cond_resched();
	}
	return 0;
}

/* Take areas out of the tree again. They were busy all the time, so no other call uses them. */
static void iopt_withdraw_areas(struct io_pagetable *iopt, struct list_head *list)
{
	struct iopt_area *area;

	lockdep_assert_held(&iopt->domains_rwsem);

	mutex_lock(&iopt->iova_lock);
	list_for_each_entry (area, list, build_item) {
		interval_tree_remove(&area->node, &iopt->areas);
		iopt_iova_freed(iopt, area->node.start);
		cond_resched();
	}
	mutex_unlock(&iopt->iova_lock);
}

static void iopt_publish_areas(struct io_pagetable *iopt, struct list_head *list)
{
	struct iopt_area *area, *next;

	lockdep_assert_held(&iopt->domains_rwsem);

	mutex_lock(&iopt->iova_lock);
	list_for_each_entry_safe (area, next, list, build_item) {
		list_del(&area->build_item);
		area->busy = false;
		cond_resched();
	}
	mutex_unlock(&iopt->iova_lock);
}

/*
 * Pin areas that have their IOVA, and write them into the page tables. A page may never arrive, so
 * this drops domains_rwsem while it pins. Page tables may come and go meanwhile: if none is left
 * afterwards, nothing has to stay pinned.
 */
static int iopt_fill_areas(struct io_pagetable *iopt, struct list_head *list)
{
	int rc;

	up_read(&iopt->domains_rwsem);
	rc = iopt_areas_pin(list);
	down_read(&iopt->domains_rwsem);
	if (rc)
		return rc;
	if (!list_empty(&iopt->domains)) {
		rc = iopt_areas_fill(iopt, list);
		if (!rc)
			return 0;
	}
	iopt_areas_unpin(list);
	return rc;
}

/**
 * iopt_map_areas() - place areas one after the other and fill them, all or nothing
 * @iopt: IOAS
 * @list: areas by build_item, not empty; empty after success, unchanged otherwise
 * @length: sum of their lengths
 * @iova: in: the first IOVA, if @fixed; out: the first IOVA
 * @prot: IOMMU_READ, ...
 * @fixed: use the given IOVA; false: choose one
 *
 * Return: 0; placement errors of iopt_place_fixed() or iopt_place_auto(); -EPERM, -EINVAL a backing
 * does not fit @prot or the alignment; errors from pinning and from the page tables
 */
int iopt_map_areas(struct io_pagetable *iopt, struct list_head *list, unsigned long length,
		   unsigned long *iova, int prot, bool fixed)
{
	int rc;

	down_read(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	rc = iopt_insert_areas(iopt, list, length, iova, prot, fixed);
	mutex_unlock(&iopt->iova_lock);
	if (rc)
		goto out;
	if (!list_empty(&iopt->domains))
		rc = iopt_fill_areas(iopt, list);
	if (rc)
		iopt_withdraw_areas(iopt, list);
	else
		iopt_publish_areas(iopt, list);
out:
	up_read(&iopt->domains_rwsem);
	return rc;
}

/* Map an area that no IOAS has yet. */
static int iopt_map_area(struct io_pagetable *iopt, struct iopt_area *area, unsigned long length,
			 unsigned long *iova, int prot, bool fixed)
{
	LIST_HEAD(list);
	int rc;

	list_add(&area->build_item, &list);
	rc = iopt_map_areas(iopt, &list, length, iova, prot, fixed);
	if (rc)
		iopt_area_free(area);
	return rc;
}

/* Map a backing that nobody else has yet. @byte: where the area begins in its first page. */
static int iopt_map_pages(struct io_pagetable *iopt, struct iopt_pages *pages, unsigned long byte,
			  unsigned long length, unsigned long *iova, int prot, bool fixed)
{
	iopt_area_init(&pages->first_area, pages, byte, length);
	return iopt_map_area(iopt, &pages->first_area, length, iova, prot, fixed);
}

/**
 * iopt_map_user() - map memory of the calling process
 * @iopt: IOAS
 * @account: an account of the calling process
 * @mode: what to charge there
 * @uptr: first byte
 * @length: bytes; not 0, and @uptr + @length does not wrap
 * @iova: as in iopt_map_areas()
 * @prot: as in iopt_map_areas()
 * @fixed: as in iopt_map_areas()
 *
 * Return: as iopt_map_areas(), -ENOMEM
 */
int iopt_map_user(struct io_pagetable *iopt, struct iopt_account *account,
		  enum iopt_account_mode mode, unsigned long uptr, unsigned long length,
		  unsigned long *iova, int prot, bool fixed)
{
	struct iopt_pages *pages = iopt_pages_alloc(account, mode, uptr, prot & IOMMU_WRITE);

	if (IS_ERR(pages))
		return PTR_ERR(pages);
	return iopt_map_pages(iopt, pages, offset_in_page(uptr), length, iova, prot, fixed);
}

/**
 * iopt_map_file() - map memory of a file
 * @iopt: IOAS
 * @account: the account to charge
 * @mode: what to charge there
 * @file: the file
 * @start: first byte in the file
 * @length: bytes; not 0, and @start + @length - 1 does not wrap
 * @iova: as in iopt_map_areas()
 * @prot: as in iopt_map_areas()
 * @fixed: as in iopt_map_areas()
 *
 * Return: as iopt_map_areas(), -ENOMEM
 */
int iopt_map_file(struct io_pagetable *iopt, struct iopt_account *account,
		  enum iopt_account_mode mode, struct file *file, unsigned long start,
		  unsigned long length, unsigned long *iova, int prot, bool fixed)
{
	struct iopt_pages *pages =
		iopt_pages_alloc_file(account, mode, file, start, prot & IOMMU_WRITE);

	if (IS_ERR(pages))
		return PTR_ERR(pages);
	return iopt_map_pages(iopt, pages, offset_in_page(start), length, iova, prot, fixed);
}

/**
 * iopt_map_dmabuf() - map memory of a dma-buf
 * @iopt: IOAS
 * @account: an account, which pays nothing
 * @dmabuf: the buffer
 * @start: first byte in the buffer
 * @length: bytes; not 0, and @start + @length - 1 does not wrap
 * @iova: as in iopt_map_areas()
 * @prot: as in iopt_map_areas()
 * @fixed: as in iopt_map_areas()
 *
 * Return: as iopt_map_areas() and iopt_pages_alloc_dmabuf()
 */
int iopt_map_dmabuf(struct io_pagetable *iopt, struct iopt_account *account, struct dma_buf *dmabuf,
		    unsigned long start, unsigned long length, unsigned long *iova, int prot,
		    bool fixed)
{
	struct iopt_pages *pages;
	struct iopt_area *area;

	pages = iopt_pages_alloc_dmabuf(account, dmabuf, start, length, prot & IOMMU_WRITE);
	if (IS_ERR(pages))
		return PTR_ERR(pages);
	area = iopt_area_alloc(pages, offset_in_page(start), length);
	if (!area)
		return -ENOMEM;
	return iopt_map_area(iopt, area, length, iova, prot, fixed);
}

/* How often unmap asks drivers to give up their pins, before it gives up itself. */
#define IOPT_UNMAP_TRIES 100

/*
 * Mark the next area that iopt_unmap() has to remove as busy, or as leaving if drivers have pinned
 * memory of it. Return: NULL if there is none left.
 */
static struct iopt_area *iopt_claim_area(struct io_pagetable *iopt, unsigned long start,
					 unsigned long last)
{
	struct interval_tree_node *node;
	struct iopt_area *area;

	lockdep_assert_held(&iopt->iova_lock);

	node = interval_tree_iter_first(&iopt->areas, start, last);
	if (!node)
		return NULL;
	area = container_of(node, struct iopt_area, node);
	if (area->busy || area->visitors)
		return ERR_PTR(-EBUSY);
	/* Mappings are not split (IOMMUFD-UNMAP-1). */
	if (node->start < start || node->last > last)
		return ERR_PTR(-ENOENT);
	area->leaving = area->pins;
	area->busy = !area->leaving;
	return area;
}

/*
 * Let drivers give up what they have pinned in an area. It cannot go meanwhile, since it has pins.
 * This drops both locks. Return: 0, -EDEADLOCK after too many @tries.
 */
static int iopt_unmap_pins(struct io_pagetable *iopt, struct iopt_area *area, unsigned int *tries)
{
	const unsigned long start = area->node.start, last = area->node.last;

	if (++*tries > IOPT_UNMAP_TRIES) {
		area->leaving = false;
		return -EDEADLOCK;
	}
	mutex_unlock(&iopt->iova_lock);
	up_read(&iopt->domains_rwsem);
	iopt->unmap_pins(iopt, start, last);
	cond_resched();
	down_read(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	return 0;
}

/**
 * iopt_unmap() - remove every area inside [start, last]
 * @iopt: IOAS
 * @start: first IOVA
 * @last: last IOVA
 * @unmapped: bytes removed, also after an error
 *
 * This removes areas in ascending order. After an error the areas before it stay removed
 * (IOMMUFD-UNMAP-2).
 *
 * Return: 0, also if there was nothing; -EBUSY an area is being changed or read, -ENOENT one is only
 * partly inside, -EDEADLOCK a driver keeps memory of an area pinned
 *
 * Rules: IOMMUFD-ACCESS-2.
 */
int iopt_unmap(struct io_pagetable *iopt, unsigned long start, unsigned long last,
	       unsigned long *unmapped)
{
	struct iopt_area *area, *next;
	unsigned int tries = 0;
	LIST_HEAD(removed);
	int rc = 0;

	*unmapped = 0;
	down_read(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	for (;;) {
		area = iopt_claim_area(iopt, start, last);
		if (IS_ERR_OR_NULL(area)) {
			rc = PTR_ERR_OR_ZERO(area);
			break;
		}
		if (area->leaving) {
			/* Look for this area again, also if others have come before it. */
			start = area->node.start;
			rc = iopt_unmap_pins(iopt, area, &tries);
			if (rc)
				break;
			continue;
		}
		tries = 0;
		if (area->filled) {
			mutex_unlock(&iopt->iova_lock);
			iopt_area_unfill(iopt, area);
			mutex_lock(&iopt->iova_lock);
		}
		interval_tree_remove(&area->node, &iopt->areas);
		iopt_iova_freed(iopt, area->node.start);
		*unmapped += area->length;
		start = area->node.last;
		list_add_tail(&area->build_item, &removed);
		cond_resched();
		if (start == ULONG_MAX || ++start > last)
			break;
	}
	mutex_unlock(&iopt->iova_lock);
	up_read(&iopt->domains_rwsem);
	list_for_each_entry_safe (area, next, &removed, build_item) {
		iopt_area_free(area);
		cond_resched();
	}
	return rc;
}

/*
 * Divide an area, in the tree and in its backing. @tail becomes the part from @iova on. No page
 * table changes.
 */
static int iopt_cut_area(struct io_pagetable *iopt, struct iopt_area *area, unsigned long iova,
			 struct iopt_area *tail)
{
	struct iopt_pages *pages = area->pages;
	unsigned long head = iova - area->node.start;
	int rc = 0;

	if (area->filled) {
		mutex_lock(&pages->mutex);
		rc = iopt_pages_split(pages, (area->start_byte + head) >> PAGE_SHIFT);
		mutex_unlock(&pages->mutex);
	}
	if (rc) {
		mutex_lock(&iopt->iova_lock);
		area->leaving = false;
		mutex_unlock(&iopt->iova_lock);
		return rc;
	}
	kref_get(&pages->ref);
	iopt_area_init(tail, pages, area->start_byte + head, area->length - head);
	tail->prot = area->prot;
	tail->filled = area->filled;
	mutex_lock(&iopt->iova_lock);
	interval_tree_remove(&area->node, &iopt->areas);
	tail->node.start = iova;
	tail->node.last = area->node.last;
	area->length = head;
	area->node.last = iova - 1;
	interval_tree_insert(&area->node, &iopt->areas);
	interval_tree_insert(&tail->node, &iopt->areas);
	area->leaving = false;
	mutex_unlock(&iopt->iova_lock);
	return 0;
}

static int iopt_may_cut(const struct io_pagetable *iopt, const struct iopt_area *area,
			unsigned long iova)
{
	if (area->busy || area->visitors || area->leaving)
		return -EBUSY;
	if (area->pages->from_dmabuf)
		return -EOPNOTSUPP;
	if (iopt->large_pages || iova & (iopt->alignment - 1) || area->pins)
		return -EINVAL;
	return 0;
}

/**
 * iopt_cut() - let no area reach over an address
 * @iopt: IOAS without large pages in its page tables
 * @iova: address; the area that has it, and the one before, is divided there
 *
 * Return: 0, also if there is no such area; -EINVAL @iova is not aligned, a driver has pinned memory
 * of the area, or the pages may be large ones by now, -EBUSY the area is being changed, -EOPNOTSUPP it is of a
 * dma-buf, -ENOMEM
 */
int iopt_cut(struct io_pagetable *iopt, unsigned long iova)
{
	struct iopt_area *tail = kmalloc(sizeof(*tail), GFP_KERNEL_ACCOUNT), *area = NULL;
	struct interval_tree_node *node;
	int rc = 0;

	if (!tail)
		return -ENOMEM;
	/* No area changes while this holds domains_rwsem for writing. */
	down_write(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	node = interval_tree_iter_first(&iopt->areas, iova, iova);
	if (node && node->start != iova) {
		area = container_of(node, struct iopt_area, node);
		rc = iopt_may_cut(iopt, area, iova);
		/* Until it is divided no driver comes in: that would pin in one part only. */
		area->leaving |= !rc;
	}
	mutex_unlock(&iopt->iova_lock);
	if (!area || rc)
		goto out;
	rc = iopt_cut_area(iopt, area, iova, tail);
	if (!rc)
		tail = NULL;
out:
	up_write(&iopt->domains_rwsem);
	kfree(tail);
	return rc;
}

static int iopt_get_piece(struct io_pagetable *iopt, unsigned long start, unsigned long last,
			  struct list_head *list, unsigned long *end)
{
	struct interval_tree_node *node = interval_tree_iter_first(&iopt->areas, start, start);
	struct iopt_area *area, *piece;

	if (!node)
		return -ENOENT;
	area = container_of(node, struct iopt_area, node);
	if (area->busy)
		return -ENOENT;
	*end = min(last, node->last);
	kref_get(&area->pages->ref);
	piece = iopt_area_alloc(area->pages, area->start_byte + (start - node->start),
				*end - start + 1);
	if (!piece)
		return -ENOMEM;
	list_add_tail(&piece->build_item, list);
	return 0;
}

/**
 * iopt_get_pieces() - make new areas over the backings of a mapped range
 * @iopt: IOAS
 * @start: first IOVA
 * @length: bytes
 * @list: receives a new area for each area in the range; after an error some of them
 *
 * Return: 0; -EINVAL @length is 0, -EOVERFLOW, -ENOENT the range has a hole, -ENOMEM
 */
int iopt_get_pieces(struct io_pagetable *iopt, unsigned long start, unsigned long length,
		    struct list_head *list)
{
	unsigned long last, end;
	int rc;

	rc = iopt_range_last(start, length, &last);
	if (rc)
		return rc;

	mutex_lock(&iopt->iova_lock);
	for (;;) {
		rc = iopt_get_piece(iopt, start, last, list, &end);
		if (rc || end == last)
			break;
		start = end + 1;
		cond_resched();
	}
	mutex_unlock(&iopt->iova_lock);
	return rc;
}
