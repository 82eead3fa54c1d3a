// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers that drivers share by a file (dma-buf). The file holds the exporter's module, and each
 * importer holds the file.
 */
#include <linux/dma-buf.h>

#include <cerrno>

#include <linux/anon_inodes.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>

namespace
{

/* A buffer with its own lock. */
struct Buffer {
	dma_buf dmabuf;
	dma_resv resv;
};

int release(inode *, file *filp)
{
	auto *buffer = static_cast<Buffer *>(filp->private_data);
	module *owner = buffer->dmabuf.owner;

	buffer->dmabuf.ops->release(&buffer->dmabuf);
	WARN_ON(!list_empty(&buffer->dmabuf.attachments));
	mutex_destroy(&buffer->resv.lock);
	kfree(buffer);
	module_put(owner);
	return 0;
}

const file_operations &operations()
{
	static const file_operations ops = [] {
		file_operations made = {};
		made.release = release;
		return made;
	}();
	return ops;
}

template <typename T>
T *error(int number)
{
	return static_cast<T *>(ERR_PTR(number));
}

} // namespace

dma_buf *dma_buf_export(const dma_buf_export_info *info)
{
	if (WARN_ON(!info->priv || !info->ops || !info->ops->map_dma_buf ||
		    !info->ops->unmap_dma_buf || !info->ops->release || !info->ops->pin ||
		    !info->ops->unpin))
		return error<dma_buf>(-EINVAL);
	if (!try_module_get(info->owner))
		return error<dma_buf>(-ENOENT);
	auto *buffer = static_cast<Buffer *>(kzalloc(sizeof(Buffer), GFP_KERNEL));
	file *filp = buffer ? anon_inode_getfile("[dmabuf]", &operations(), buffer, info->flags)
			    : error<file>(-ENOMEM);
	if (IS_ERR(filp)) {
		kfree(buffer);
		module_put(info->owner);
		return error<dma_buf>(static_cast<int>(PTR_ERR(filp)));
	}
	dma_buf *dmabuf = &buffer->dmabuf;
	mutex_init(&buffer->resv.lock);
	INIT_LIST_HEAD(&dmabuf->attachments);
	dmabuf->size = info->size;
	dmabuf->file = filp;
	dmabuf->ops = info->ops;
	dmabuf->owner = info->owner;
	dmabuf->priv = info->priv;
	dmabuf->resv = info->resv ? info->resv : &buffer->resv;
	return dmabuf;
}

int dma_buf_fd(dma_buf *dmabuf, int flags)
{
	const int fd = get_unused_fd_flags(static_cast<unsigned>(flags));

	if (fd >= 0)
		fd_install(static_cast<unsigned>(fd), dmabuf->file);
	return fd;
}

dma_buf *dma_buf_get(int fd)
{
	file *filp = fd < 0 ? nullptr : fget(static_cast<unsigned>(fd));

	if (!filp)
		return error<dma_buf>(-EBADF);
	if (filp->f_op != &operations()) {
		fput(filp);
		return error<dma_buf>(-EINVAL);
	}
	return &static_cast<Buffer *>(filp->private_data)->dmabuf;
}

void dma_buf_put(dma_buf *dmabuf)
{
	fput(dmabuf->file);
}

dma_buf_attachment *dma_buf_dynamic_attach(dma_buf *dmabuf, device *dev,
					   const dma_buf_attach_ops *importer_ops,
					   void *importer_priv)
{
	if (WARN_ON(!dmabuf || !dev || !importer_ops || !importer_ops->move_notify))
		return error<dma_buf_attachment>(-EINVAL);
	auto *attach =
		static_cast<dma_buf_attachment *>(kzalloc(sizeof(dma_buf_attachment), GFP_KERNEL));
	if (!attach)
		return error<dma_buf_attachment>(-ENOMEM);
	attach->dmabuf = dmabuf;
	attach->dev = dev;
	attach->importer_ops = importer_ops;
	attach->importer_priv = importer_priv;
	if (dmabuf->ops->attach) {
		const int rc = dmabuf->ops->attach(dmabuf, attach);

		if (rc) {
			kfree(attach);
			return error<dma_buf_attachment>(rc);
		}
	}
	dma_resv_lock(dmabuf->resv, nullptr);
	list_add(&attach->node, &dmabuf->attachments);
	dma_resv_unlock(dmabuf->resv);
	return attach;
}

void dma_buf_detach(dma_buf *dmabuf, dma_buf_attachment *attach)
{
	dma_resv_lock(dmabuf->resv, nullptr);
	list_del(&attach->node);
	dma_resv_unlock(dmabuf->resv);
	if (dmabuf->ops->detach)
		dmabuf->ops->detach(dmabuf, attach);
	kfree(attach);
}

void dma_buf_move_notify(dma_buf *dmabuf)
{
	dma_buf_attachment *attach;

	WARN_ON(!wd_mutex_held(&dmabuf->resv->lock));
	list_for_each_entry (attach, &dmabuf->attachments, node)
		attach->importer_ops->move_notify(attach);
}
