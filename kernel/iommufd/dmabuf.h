/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the two sides of dma-bufs in iommufd: dmabuf.c imports, dmabuf_export.c exports. */
#ifndef _IOMMUFD_DMABUF_H
#define _IOMMUFD_DMABUF_H

#include <linux/types.h>

struct device;
struct dma_buf;
struct dma_buf_attach_ops;

/* --- dmabuf_export.c --- */
extern const struct dma_buf_attach_ops *iommufd_dmabuf_importer;
int iommufd_dmabuf_phys(struct dma_buf *dmabuf, phys_addr_t *phys);

#endif /* _IOMMUFD_DMABUF_H */
