// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backings of dma-bufs: memory of a device, which its driver can revoke (IOMMUFD-DMABUF-1,
 * IOMMUFD-DMABUF-2).
 *
 * Such a backing is contiguous, costs no pin and no charge, and does not change until it is revoked.
 * It knows in which page tables it is. So a revoke takes it out of them without a lock of an IOAS,
 * and from then on no page table gets it. Its areas keep their IOVA until they are unmapped. That holds
 * for ever: a buffer that comes back is mapped anew, as another backing.
 *
 * Lock order: lock of the dma-buf, iopt_pages.mutex.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/slab.h>

#include "dmabuf.h"
#include "io_pagetable.h"

/**
 * struct iopt_dmabuf_pages - backing: memory of a dma-buf
 * @pages: all that every backing has
 * @dmabuf: held
 * @attach: of iommufd to @dmabuf
 * @phys: where the first page is
 * @uses: iopt_dmabuf_use.item, under @pages.mutex
 */
struct iopt_dmabuf_pages {
	struct iopt_pages pages;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	phys_addr_t phys;
	struct list_head uses;
};

/**
 * struct iopt_dmabuf_area - an area over a dma-buf
 * @area: all that every area has
 * @uses: iopt_dmabuf_use.area_item, under the mutex of the backing
 */
struct iopt_dmabuf_area {
	struct iopt_area area;
	struct list_head uses;
};

/**
 * struct iopt_dmabuf_use - an area is in a page table
 * @item: in iopt_dmabuf_pages.uses
 * @area_item: in iopt_dmabuf_area.uses
 * @area: the area
 * @domain: the page table
 */
struct iopt_dmabuf_use {
	struct list_head item;
	struct list_head area_item;
	struct iopt_area *area;
	struct iommu_domain *domain;
};

/* Stands for iommufd, where the API wants a device. */
static struct device *iopt_dmabuf_dev;

static struct iopt_dmabuf_pages *iopt_dmabuf_pages_of(struct iopt_pages *pages)
{
	return container_of(pages, struct iopt_dmabuf_pages, pages);
}

static struct iopt_dmabuf_area *iopt_dmabuf_area_of(struct iopt_area *area)
{
	return container_of(area, struct iopt_dmabuf_area, area);
}

static void iopt_dmabuf_end_use(struct iopt_dmabuf_use *use)
{
	lockdep_assert_held(&use->area->pages->mutex);

	iopt_area_clear(use->area, use->domain, use->area->length);
	list_del(&use->item);
	list_del(&use->area_item);
	kfree(use);
}

/* The buffer is revoked, or comes back: its lock is held. */
static void iopt_dmabuf_move_notify(struct dma_buf_attachment *attach)
{
	struct iopt_dmabuf_pages *buffer = attach->importer_priv;
	struct iopt_dmabuf_use *use, *next;

	mutex_lock(&buffer->pages.mutex);
	WRITE_ONCE(buffer->pages.revoked, true);
	list_for_each_entry_safe (use, next, &buffer->uses, item)
		iopt_dmabuf_end_use(use);
	mutex_unlock(&buffer->pages.mutex);
}

static const struct dma_buf_attach_ops iopt_dmabuf_attach_ops = {
	.allow_peer2peer = true,
	.move_notify = iopt_dmabuf_move_notify,
};

/**
 * iopt_dmabuf_init() - let dma-bufs be mapped
 * @dev: device of /dev/iommu
 */
void iopt_dmabuf_init(struct device *dev)
{
	iommufd_dmabuf_importer = &iopt_dmabuf_attach_ops;
	iopt_dmabuf_dev = dev;
}

/* Find the memory. Return: 0, -EOPNOTSUPP, -ENODEV as iommufd_dmabuf_phys() */
static int iopt_dmabuf_locate(struct iopt_dmabuf_pages *buffer)
{
	phys_addr_t phys;
	int rc;

	dma_resv_lock(buffer->dmabuf->resv, NULL);
	rc = iommufd_dmabuf_phys(buffer->dmabuf, &phys);
	/* It was revoked between the attach and now, and allowed again. */
	if (!rc && buffer->pages.revoked)
		rc = -ENODEV;
	dma_resv_unlock(buffer->dmabuf->resv);
	if (!rc)
		buffer->phys = phys + buffer->pages.start;
	return rc;
}

/**
 * iopt_pages_alloc_dmabuf() - make a backing for memory of a dma-buf
 * @account: an account, which pays nothing. Takes a reference
 * @dmabuf: the buffer. Takes a reference
 * @start: first byte in the buffer
 * @length: bytes, not 0
 * @writable: devices may be allowed to write it
 *
 * Return: the backing with one reference, or ERR_PTR: -EINVAL the range leaves the buffer, or has
 * 2^32 - 1 pages or more, -EOPNOTSUPP another exporter than iommufd_dmabuf_export(), or memory that
 * is not contiguous, -ENODEV the buffer is revoked, -ENOMEM
 */
struct iopt_pages *iopt_pages_alloc_dmabuf(struct iopt_account *account, struct dma_buf *dmabuf,
					   unsigned long start, unsigned long length, bool writable)
{
	struct iopt_dmabuf_pages *made;
	int rc;

	if (start > dmabuf->size || length > dmabuf->size - start ||
	    ((offset_in_page(start) + length - 1) >> PAGE_SHIFT) + 1 >= U32_MAX)
		return ERR_PTR(-EINVAL);
	made = kzalloc(sizeof(*made), GFP_KERNEL_ACCOUNT);
	if (!made)
		return ERR_PTR(-ENOMEM);
	iopt_pages_init(&made->pages, account, IOPT_ACCOUNT_NONE, start, writable);
	made->pages.from_dmabuf = true;
	made->dmabuf = dmabuf;
	INIT_LIST_HEAD(&made->uses);
	/* Another exporter gets no importer from here. */
	rc = iopt_dmabuf_locate(made);
	if (rc)
		goto err_free;
	made->attach =
		dma_buf_dynamic_attach(dmabuf, iopt_dmabuf_dev, &iopt_dmabuf_attach_ops, made);
	if (IS_ERR(made->attach)) {
		rc = PTR_ERR(made->attach);
		goto err_free;
	}
	rc = iopt_dmabuf_locate(made);
	if (rc)
		goto err_detach;
	get_dma_buf(dmabuf);
	return &made->pages;

err_detach:
	dma_buf_detach(dmabuf, made->attach);
err_free:
	iopt_account_put(account);
	mutex_destroy(&made->pages.mutex);
	kfree(made);
	return ERR_PTR(rc);
}

/* The last reference of a backing has gone: it is revoked no more. The caller holds no lock. */
void iopt_dmabuf_detach(struct iopt_pages *pages)
{
	struct iopt_dmabuf_pages *buffer = iopt_dmabuf_pages_of(pages);

	WARN_ON(!list_empty(&buffer->uses));
	dma_buf_detach(buffer->dmabuf, buffer->attach);
	dma_buf_put(buffer->dmabuf);
}

void iopt_pages_free_dmabuf(struct iopt_pages *pages)
{
	kfree(iopt_dmabuf_pages_of(pages));
}

/* "Pin" a segment: name its memory, which is there in any case. Return: 0, -ENOMEM */
int iopt_dmabuf_fill_seg(struct iopt_pages *pages, struct iopt_seg *seg)
{
	struct iopt_dmabuf_pages *buffer = iopt_dmabuf_pages_of(pages);
	unsigned long npages = iopt_seg_npages(seg), done, step;
	unsigned int capacity = 1;
	int rc = 0;

	for (done = 0; !rc && done < npages; done += step) {
		step = min(npages - done, IOPT_RUN_MAX_PAGES);
		rc = iopt_seg_append(seg, PHYS_PFN(buffer->phys) + seg->node.start + done, step,
				     &capacity);
	}
	return rc;
}

/* An area over a dma-buf. Return: NULL without memory */
struct iopt_area *iopt_dmabuf_area_alloc(void)
{
	struct iopt_dmabuf_area *area = kmalloc(sizeof(*area), GFP_KERNEL_ACCOUNT);

	if (!area)
		return NULL;
	INIT_LIST_HEAD(&area->uses);
	return &area->area;
}

/* Free an area that is in no page table. */
void iopt_dmabuf_area_free(struct iopt_area *area)
{
	struct iopt_dmabuf_area *own = iopt_dmabuf_area_of(area);

	WARN_ON(!list_empty(&own->uses));
	kfree(own);
}

/**
 * iopt_dmabuf_mapped() - note that an area is in a page table
 * @area: area over a dma-buf that is not revoked; the mutex of its backing is held
 * @domain: the page table
 *
 * Return: 0, -ENOMEM
 */
int iopt_dmabuf_mapped(struct iopt_area *area, struct iommu_domain *domain)
{
	struct iopt_dmabuf_use *use = kmalloc(sizeof(*use), GFP_KERNEL_ACCOUNT);

	lockdep_assert_held(&area->pages->mutex);

	if (!use)
		return -ENOMEM;
	use->area = area;
	use->domain = domain;
	list_add(&use->item, &iopt_dmabuf_pages_of(area->pages)->uses);
	list_add(&use->area_item, &iopt_dmabuf_area_of(area)->uses);
	return 0;
}

/**
 * iopt_dmabuf_unmap() - take an area out of a page table, if it is still there
 * @area: area over a dma-buf
 * @domain: the page table
 */
void iopt_dmabuf_unmap(struct iopt_area *area, struct iommu_domain *domain)
{
	struct iopt_dmabuf_use *use, *next;

	mutex_lock(&area->pages->mutex);
	list_for_each_entry_safe (use, next, &iopt_dmabuf_area_of(area)->uses, area_item)
		if (use->domain == domain)
			iopt_dmabuf_end_use(use);
	mutex_unlock(&area->pages->mutex);
}
