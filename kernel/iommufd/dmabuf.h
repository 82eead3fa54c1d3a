/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dma-bufs in iommufd: dmabuf_export.c exports memory for drivers, dmabuf.c has the backings of
 * buffers that are mapped, and dmabuf_revoke.c takes them away again.
 *
 * Lock order: lock of the dma-buf, iopt_dmabuf_pages.areas_lock, io_pagetable.domains_rwsem,
 * iopt_pages.mutex.
 */
#ifndef _IOMMUFD_DMABUF_H
#define _IOMMUFD_DMABUF_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "io_pagetable.h"

struct device;
struct dma_buf;
struct dma_buf_attach_ops;
struct dma_buf_attachment;

/**
 * struct iopt_dmabuf_pages - backing: memory of a dma-buf
 * @pages: all that every backing has
 * @dmabuf: held
 * @attach: of iommufd to @dmabuf
 * @phys: where the first page is
 * @areas_lock: for @areas and @pages.revoked
 * @areas: iopt_dmabuf_area.item: all that may be in a page table
 */
struct iopt_dmabuf_pages {
	struct iopt_pages pages;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	phys_addr_t phys;
	struct mutex areas_lock;
	struct list_head areas;
};

/**
 * struct iopt_dmabuf_area - an area over a dma-buf
 * @area: all that every area has
 * @iopt: IOAS of the area, while it is in the list
 * @item: in iopt_dmabuf_pages.areas
 */
struct iopt_dmabuf_area {
	struct iopt_area area;
	struct io_pagetable *iopt;
	struct list_head item;
};

static inline struct iopt_dmabuf_pages *iopt_dmabuf_pages_of(struct iopt_pages *pages)
{
	return container_of(pages, struct iopt_dmabuf_pages, pages);
}

static inline struct iopt_dmabuf_area *iopt_dmabuf_area_of(struct iopt_area *area)
{
	return container_of(area, struct iopt_dmabuf_area, area);
}

/* --- dmabuf_export.c --- */
extern const struct dma_buf_attach_ops *iommufd_dmabuf_importer;
extern struct device *iommufd_dmabuf_dev;
int iommufd_dmabuf_phys(struct dma_buf *dmabuf, phys_addr_t *phys);

#endif /* _IOMMUFD_DMABUF_H */
