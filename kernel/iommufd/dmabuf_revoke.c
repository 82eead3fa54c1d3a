// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backings of dma-bufs that their driver revokes: they leave every page table, and from then on no
 * page table gets them (IOMMUFD-DMABUF-2). Their areas keep their IOVA until they are unmapped. That
 * holds for ever: a buffer that comes back is mapped anew, as another backing.
 */
#include <linux/dma-buf.h>

#include "dmabuf.h"

/* The buffer has changed, or is to be given up: its lock is held. */
static void iopt_dmabuf_move_notify(struct dma_buf_attachment *attach)
{
	struct iopt_dmabuf_pages *buffer = attach->importer_priv;
	struct iopt_dmabuf_area *each;

	mutex_lock(&buffer->areas_lock);
	mutex_lock(&buffer->pages.mutex);
	buffer->pages.revoked = true;
	mutex_unlock(&buffer->pages.mutex);
	list_for_each_entry (each, &buffer->areas, item)
		iopt_revoke_area(each->iopt, &each->area);
	mutex_unlock(&buffer->areas_lock);
}

static const struct dma_buf_attach_ops iopt_dmabuf_attach_ops = {
	.allow_peer2peer = true,
	.move_notify = iopt_dmabuf_move_notify,
};

/**
 * iopt_dmabuf_init() - let dma-bufs be mapped
 * @dev: device of /dev/iommu, which stands for iommufd where the API wants a device
 */
void iopt_dmabuf_init(struct device *dev)
{
	iommufd_dmabuf_importer = &iopt_dmabuf_attach_ops;
	iommufd_dmabuf_dev = dev;
}
