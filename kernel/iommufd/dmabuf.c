// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backings of dma-bufs: memory of a device, which its driver can revoke (IOMMUFD-DMABUF-1,
 * IOMMUFD-DMABUF-2).
 *
 * Such a backing is contiguous, costs no pin and no charge, and does not change until it is revoked
 * (dmabuf_revoke.c).
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/slab.h>

#include "dmabuf.h"
#include "io_pagetable.h"

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
	mutex_init(&made->areas_lock);
	INIT_LIST_HEAD(&made->areas);
	/* Another exporter gets no importer from here. */
	rc = iopt_dmabuf_locate(made);
	if (rc)
		goto err_free;
	made->attach =
		dma_buf_dynamic_attach(dmabuf, iommufd_dmabuf_dev, iommufd_dmabuf_importer, made);
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
	mutex_destroy(&made->areas_lock);
	mutex_destroy(&made->pages.mutex);
	kfree(made);
	return ERR_PTR(rc);
}

/* The last reference of a backing has gone. The caller holds no lock. */
void iopt_pages_free_dmabuf(struct iopt_pages *pages)
{
	struct iopt_dmabuf_pages *buffer = iopt_dmabuf_pages_of(pages);

	WARN_ON(!list_empty(&buffer->areas));
	dma_buf_detach(buffer->dmabuf, buffer->attach);
	dma_buf_put(buffer->dmabuf);
	mutex_destroy(&buffer->areas_lock);
	kfree(buffer);
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

/* An area over a dma-buf, not in the list. Return: NULL without memory */
struct iopt_area *iopt_dmabuf_area_alloc(void)
{
	struct iopt_dmabuf_area *area = kmalloc(sizeof(*area), GFP_KERNEL_ACCOUNT);

	if (!area)
		return NULL;
	INIT_LIST_HEAD(&area->item);
	return &area->area;
}

/* @area is going to be in the page tables of @iopt. The caller holds no lock of @iopt. */
void iopt_dmabuf_enlist(struct io_pagetable *iopt, struct iopt_area *area)
{
	struct iopt_dmabuf_pages *buffer = iopt_dmabuf_pages_of(area->pages);
	struct iopt_dmabuf_area *own = iopt_dmabuf_area_of(area);

	mutex_lock(&buffer->areas_lock);
	own->iopt = iopt;
	list_add_tail(&own->item, &buffer->areas);
	mutex_unlock(&buffer->areas_lock);
}

/* @area is in no page table any more. The caller holds no lock of its IOAS. */
void iopt_dmabuf_area_free(struct iopt_area *area)
{
	struct iopt_dmabuf_pages *buffer = iopt_dmabuf_pages_of(area->pages);
	struct iopt_dmabuf_area *own = iopt_dmabuf_area_of(area);

	mutex_lock(&buffer->areas_lock);
	list_del(&own->item);
	mutex_unlock(&buffer->areas_lock);
	kfree(own);
}
