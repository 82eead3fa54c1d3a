// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers that reach the memory of an IOAS themselves, without an IOMMU (IOMMUFD-ACCESS-1 to
 * IOMMUFD-ACCESS-5): they pin ranges, or copy from and to them.
 *
 * Both go from area to area. A process can make each step wait for ever, so no lock is held
 * meanwhile: the call is a visitor of the area, which so stays where it is. A pin stays with the
 * area until the driver gives it back.
 */
#include <linux/highmem.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "io_pagetable.h"

/* Pages to pin at a time, to copy from or to them. */
#define IOPT_COPY_STEP 16

/**
 * struct iopt_part - the part of a range that lies in one area
 * @area: the area; the call is its visitor
 * @byte: offset of the part in the area's backing
 * @last: last IOVA of the part
 */
struct iopt_part {
	struct iopt_area *area;
	unsigned long byte;
	unsigned long last;
};

static unsigned long iopt_part_first_index(const struct iopt_part *part)
{
	return part->byte >> PAGE_SHIFT;
}

static unsigned long iopt_part_last_index(const struct iopt_part *part, unsigned long iova)
{
	return (part->byte + (part->last - iova)) >> PAGE_SHIFT;
}

static int iopt_check_part(const struct iopt_area *area, bool write)
{
	if (area->busy)
		return -ENOENT;
	if (area->leaving)
		return -EINVAL;
	if (!(area->prot & (write ? IOMMU_WRITE : IOMMU_READ)))
		return -EPERM;
	/* Memory of a device: it has no pages. */
	if (area->pages->from_dmabuf)
		return -EINVAL;
	/* Each visitor may become a pin. */
	if (area->visitors == U8_MAX || area->pins >= U32_MAX - U8_MAX)
		return -EBUSY;
	return 0;
}

/* Find the part of [iova, last] that begins at @iova, and become a visitor of its area. */
static int iopt_visit(struct io_pagetable *iopt, unsigned long iova, unsigned long last, bool write,
		      struct iopt_part *part)
{
	struct interval_tree_node *node;
	int rc = -ENOENT;

	mutex_lock(&iopt->iova_lock);
	node = interval_tree_iter_first(&iopt->areas, iova, iova);
	if (node) {
		part->area = container_of(node, struct iopt_area, node);
		part->byte = part->area->start_byte + (iova - node->start);
		part->last = min(last, node->last);
		rc = iopt_check_part(part->area, write);
		if (!rc)
			part->area->visitors++;
	}
	mutex_unlock(&iopt->iova_lock);
	return rc;
}

/* End the visit. @pinned: the part has been pinned. */
static void iopt_leave(struct io_pagetable *iopt, const struct iopt_part *part, bool pinned)
{
	mutex_lock(&iopt->iova_lock);
	part->area->visitors--;
	part->area->pins += pinned;
	mutex_unlock(&iopt->iova_lock);
}

/* Write the pages of a pinned range to an array. Return: where the next page goes. */
static struct page **iopt_list_pages(struct iopt_pages *pages, unsigned long first,
				     unsigned long last, struct page **out)
{
	struct iopt_run_iter iter;
	unsigned long i;

	mutex_lock(&pages->mutex);
	iopt_run_first(&iter, pages, first, last);
	while (iopt_run_next(&iter)) {
		for (i = 0; i < iter.npages; i++)
			*out++ = pfn_to_page(iter.pfn + i);
		cond_resched();
	}
	mutex_unlock(&pages->mutex);
	return out;
}

static void iopt_part_unpin(struct iopt_pages *pages, unsigned long first, unsigned long last)
{
	mutex_lock(&pages->mutex);
	iopt_pages_unpin(pages, first, last);
	mutex_unlock(&pages->mutex);
}

/* Pin the part of [iova, last] that begins at @iova. @next: the address after it; 0: all is done. */
static int iopt_pin_part(struct io_pagetable *iopt, unsigned long iova, unsigned long last,
			 bool write, bool stay, struct page ***pages, unsigned long *next)
{
	struct iopt_part part;
	unsigned long first_index, last_index;
	int rc;

	rc = iopt_visit(iopt, iova, last, write, &part);
	if (rc)
		return rc;
	first_index = iopt_part_first_index(&part);
	last_index = iopt_part_last_index(&part, iova);
	if (offset_in_page(part.byte) || offset_in_page(part.last - iova + 1))
		rc = -EINVAL;
	else
		rc = iopt_pages_pin(part.area->pages, first_index, last_index);
	if (!rc)
		*pages = iopt_list_pages(part.area->pages, first_index, last_index, *pages);
	*next = part.last == last ? 0 : part.last + 1;
	if (rc || !stay)
		iopt_leave(iopt, &part, !rc);
	return rc;
}

/**
 * iopt_access_pin() - pin a mapped range for a driver
 * @iopt: IOAS that iopt_want_whole_pages()
 * @iova: first address
 * @last: last address
 * @write: the driver writes the memory, so the mapping must allow it
 * @stay: the pin is a visitor: until it is given back, the areas cannot be unmapped (-EBUSY)
 * @pages: gets each page, in order
 *
 * The process can make this wait for ever, so the caller holds no lock that others need.
 *
 * Return: 0; -EINVAL the memory does not consist of whole pages, or is being unmapped, -ENOENT not
 * all is mapped, -EPERM the mapping does not allow it, -EBUSY too many calls at once, -EFAULT,
 * -ENOMEM, -EINTR from pinning; after an error nothing has changed
 */
int iopt_access_pin(struct io_pagetable *iopt, unsigned long iova, unsigned long last, bool write,
		    bool stay, struct page **pages)
{
	unsigned long at = iova, next;
	int rc;

	for (;;) {
		rc = fatal_signal_pending(current) ? -EINTR : 0;
		if (!rc)
			rc = iopt_pin_part(iopt, at, last, write, stay, &pages, &next);
		if (rc || !next)
			break;
		at = next;
	}
	if (rc && at > iova)
		iopt_access_unpin(iopt, iova, at - 1, stay);
	return rc;
}

/* Give back the part of a pinned range that begins at @iova. Return: as @next in iopt_pin_part(). */
static unsigned long iopt_unpin_part(struct io_pagetable *iopt, unsigned long iova,
				     unsigned long last, bool stays)
{
	struct interval_tree_node *node;
	struct iopt_part part = {};
	bool there = false;

	mutex_lock(&iopt->iova_lock);
	node = interval_tree_iter_first(&iopt->areas, iova, iova);
	if (node) {
		part.area = container_of(node, struct iopt_area, node);
		part.byte = part.area->start_byte + (iova - node->start);
		part.last = min(last, node->last);
		there = stays ? part.area->visitors : part.area->pins;
	}
	mutex_unlock(&iopt->iova_lock);
	/* The pins of the range keep the area there. */
	if (WARN_ON(!there))
		return 0;
	iopt_part_unpin(part.area->pages, iopt_part_first_index(&part),
			iopt_part_last_index(&part, iova));
	mutex_lock(&iopt->iova_lock);
	if (stays)
		part.area->visitors--;
	else
		part.area->pins--;
	mutex_unlock(&iopt->iova_lock);
	return part.last == last ? 0 : part.last + 1;
}

/**
 * iopt_access_unpin() - undo iopt_access_pin()
 * @iopt: IOAS
 * @iova: as given there
 * @last: as given there
 * @stays: as given there
 */
void iopt_access_unpin(struct io_pagetable *iopt, unsigned long iova, unsigned long last,
		       bool stays)
{
	do {
		iova = iopt_unpin_part(iopt, iova, last, stays);
		cond_resched();
	} while (iova);
}

/* Copy from or to pinned pages. @byte: offset of the first byte in the backing. */
static void iopt_copy_pinned(struct iopt_pages *pages, unsigned long byte, void *data,
			     size_t length, bool write)
{
	struct iopt_run_iter iter;
	size_t done = 0;

	mutex_lock(&pages->mutex);
	iopt_run_first(&iter, pages, byte >> PAGE_SHIFT, (byte + length - 1) >> PAGE_SHIFT);
	while (iopt_run_next(&iter)) {
		unsigned long i;

		for (i = 0; i < iter.npages && done < length; i++) {
			struct page *page = pfn_to_page(iter.pfn + i);
			size_t offset = offset_in_page(byte + done);
			size_t step = min_t(size_t, PAGE_SIZE - offset, length - done);

			if (write)
				memcpy_to_page(page, offset, data + done, step);
			else
				memcpy_from_page(data + done, page, offset, step);
			done += step;
		}
	}
	mutex_unlock(&pages->mutex);
}

static int iopt_rw_pinned(struct iopt_pages *pages, unsigned long byte, void *data, size_t length,
			  bool write)
{
	int rc;

	while (length) {
		unsigned long first = byte >> PAGE_SHIFT;
		size_t step =
			min_t(size_t, length, ((first + IOPT_COPY_STEP) << PAGE_SHIFT) - byte);
		unsigned long last = (byte + step - 1) >> PAGE_SHIFT;

		if (fatal_signal_pending(current))
			return -EINTR;
		rc = iopt_pages_pin(pages, first, last);
		if (rc)
			return rc;
		iopt_copy_pinned(pages, byte, data, step, write);
		iopt_part_unpin(pages, first, last);
		byte += step;
		data += step;
		length -= step;
		cond_resched();
	}
	return 0;
}

/* The memory is the calling process's own. */
static int iopt_rw_direct(struct iopt_pages *pages, unsigned long byte, void *data, size_t length,
			  bool write)
{
	void __user *uptr = (void __user *)(pages->start + byte);
	unsigned long left =
		write ? copy_to_user(uptr, data, length) : copy_from_user(data, uptr, length);

	return left ? -EFAULT : 0;
}

/**
 * iopt_access_rw() - copy from or to a mapped range
 * @iopt: IOAS
 * @iova: first address
 * @last: last address
 * @write: copy to the range
 * @direct: the caller is a system call: copy memory of its own process without pinning it
 * @data: the other side, memory of the kernel
 *
 * The process can make this wait for ever, so the caller holds no lock that others need.
 *
 * Return: 0; -EINVAL the range is being unmapped, -ENOENT, -EPERM, -EBUSY, -EFAULT, -ENOMEM, -EINTR
 * as iopt_access_pin(); after an error a part may have been copied
 */
int iopt_access_rw(struct io_pagetable *iopt, unsigned long iova, unsigned long last, bool write,
		   bool direct, void *data)
{
	struct iopt_part part;
	int rc;

	for (;;) {
		struct iopt_pages *pages;
		size_t length;

		rc = iopt_visit(iopt, iova, last, write, &part);
		if (rc)
			return rc;
		pages = part.area->pages;
		length = part.last - iova + 1;
		if (direct && !pages->from_file && pages->account->mm == current->mm)
			rc = iopt_rw_direct(pages, part.byte, data, length, write);
		else
			rc = iopt_rw_pinned(pages, part.byte, data, length, write);
		iopt_leave(iopt, &part, false);
		if (rc || part.last == last)
			return rc;
		data += length;
		iova = part.last + 1;
		cond_resched();
	}
}
