// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a device as a dma-buf, for drivers that give devices to user space (IOMMUFD-DMABUF-3).
 *
 * iommufd itself is the exporter, so that it recognizes these buffers: it may ask them for their
 * physical address, which no other dma-buf tells. They can be imported by /dev/iommu alone. Other
 * importers need DMA addresses of their device, which takes knowledge of the way between the two
 * devices on the bus; they get -EOPNOTSUPP.
 *
 * The lock of the dma-buf is for the revoked state.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dmabuf.h"
#include "iommufd.h"
#include "trace.h"

/**
 * struct iommufd_dmabuf - an exported buffer
 * @ops: operations of its driver
 * @data: for @ops
 * @phys: where it begins
 * @contiguous: it is all the memory from @phys on; otherwise /dev/iommu cannot map it
 * @revoked: devices must not use it now
 */
struct iommufd_dmabuf {
	const struct iommufd_dmabuf_ops *ops;
	void *data;
	phys_addr_t phys;
	bool contiguous;
	bool revoked;
};

/* The one importer. Set before the first exporter can be loaded, then constant. */
const struct dma_buf_attach_ops *iommufd_dmabuf_importer;

static int iommufd_dmabuf_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	return attach->importer_ops == iommufd_dmabuf_importer ? 0 : -EOPNOTSUPP;
}

/* The memory stays where it is. That it can be revoked all the same is what importers agree to. */
static int iommufd_dmabuf_pin(struct dma_buf_attachment *attach)
{
	return 0;
}

static void iommufd_dmabuf_unpin(struct dma_buf_attachment *attach) {}

static struct sg_table *iommufd_dmabuf_map(struct dma_buf_attachment *attach,
					   enum dma_data_direction direction)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void iommufd_dmabuf_unmap(struct dma_buf_attachment *attach, struct sg_table *table,
				 enum dma_data_direction direction)
{
}

static void iommufd_dmabuf_release(struct dma_buf *dmabuf)
{
	struct iommufd_dmabuf *buffer = dmabuf->priv;

	buffer->ops->release(buffer->data);
	kfree(buffer);
}

static const struct dma_buf_ops iommufd_dmabuf_ops = {
	.attach = iommufd_dmabuf_attach,
	.pin = iommufd_dmabuf_pin,
	.unpin = iommufd_dmabuf_unpin,
	.map_dma_buf = iommufd_dmabuf_map,
	.unmap_dma_buf = iommufd_dmabuf_unmap,
	.release = iommufd_dmabuf_release,
};

/**
 * iommufd_dmabuf_export() - make a dma-buf of a device's memory
 * @ops: operations of the driver; they and the driver's module stay until the release
 * @data: for @ops
 * @memory: the memory, of whole pages, and whether it is revoked from the start
 * @flags: O_* for the file
 *
 * Return: the buffer with one reference, for dma_buf_fd() or dma_buf_put(); ERR_PTR(-EINVAL, -ENOMEM,
 * -ENOENT). After an error @ops->release() was not called.
 */
struct dma_buf *iommufd_dmabuf_export(const struct iommufd_dmabuf_ops *ops, void *data,
				      const struct iommufd_dmabuf_memory *memory, int flags)
{
	struct dma_buf_export_info info = {
		.exp_name = "iommufd",
		.owner = ops->owner,
		.ops = &iommufd_dmabuf_ops,
		.size = memory->size,
		.flags = flags,
	};
	struct iommufd_dmabuf *buffer;
	struct dma_buf *dmabuf;

	if (!PAGE_ALIGNED(memory->phys) || !PAGE_ALIGNED(memory->size) || memory->size > LONG_MAX)
		return ERR_PTR(-EINVAL);
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->ops = ops;
	buffer->data = data;
	buffer->phys = memory->phys;
	buffer->contiguous = memory->contiguous;
	buffer->revoked = memory->revoked;
	info.priv = buffer;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		kfree(buffer);
	return dmabuf;
}
EXPORT_SYMBOL_GPL(iommufd_dmabuf_export);

static struct iommufd_dmabuf *iommufd_dmabuf_of(struct dma_buf *dmabuf)
{
	return dmabuf->ops == &iommufd_dmabuf_ops ? dmabuf->priv : NULL;
}

/**
 * iommufd_dmabuf_data() - recognize a buffer of a driver
 * @dmabuf: any dma-buf
 * @ops: as given to iommufd_dmabuf_export()
 *
 * Return: @data as given there, or NULL if the buffer was not exported with @ops
 */
void *iommufd_dmabuf_data(struct dma_buf *dmabuf, const struct iommufd_dmabuf_ops *ops)
{
	struct iommufd_dmabuf *buffer = iommufd_dmabuf_of(dmabuf);

	return buffer && buffer->ops == ops ? buffer->data : NULL;
}
EXPORT_SYMBOL_GPL(iommufd_dmabuf_data);

/**
 * iommufd_dmabuf_revoke() - take a buffer away from devices, or allow it again
 * @dmabuf: buffer that iommufd_dmabuf_export() made; its release has not returned
 * @revoked: true: it cannot be mapped from now on; false: it can be
 *
 * In both cases no page table has the memory when this returns. Old mappings do not come back: the
 * program has to map the buffer again. It waits for nothing but maps of this buffer that are
 * running.
 */
void iommufd_dmabuf_revoke(struct dma_buf *dmabuf, bool revoked)
{
	struct iommufd_dmabuf *buffer = dmabuf->priv;

	dma_resv_lock(dmabuf->resv, NULL);
	buffer->revoked = revoked;
	dma_buf_move_notify(dmabuf);
	dma_resv_unlock(dmabuf->resv);
	trace_iommufd_dmabuf_revoke(buffer->phys, dmabuf->size, revoked);
}
EXPORT_SYMBOL_GPL(iommufd_dmabuf_revoke);

/**
 * iommufd_dmabuf_phys() - the physical address of a buffer
 * @dmabuf: any dma-buf, locked
 * @phys: gets it
 *
 * Return: 0; -EOPNOTSUPP another exporter, or not contiguous; -ENODEV revoked
 */
int iommufd_dmabuf_phys(struct dma_buf *dmabuf, phys_addr_t *phys)
{
	struct iommufd_dmabuf *buffer = iommufd_dmabuf_of(dmabuf);

	dma_resv_assert_held(dmabuf->resv);
	if (!buffer)
		return -EOPNOTSUPP;
	if (buffer->revoked)
		return -ENODEV;
	if (!buffer->contiguous)
		return -EOPNOTSUPP;
	*phys = buffer->phys;
	return 0;
}
