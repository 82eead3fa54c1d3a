/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers that drivers share by a file: for importers that get told when the exporter takes the
 * memory away.
 */
#ifndef _LINUX_DMA_BUF_H
#define _LINUX_DMA_BUF_H

#include <linux/dma-direction.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/types.h>

struct device;
struct dma_buf;
struct dma_buf_attachment;
struct dma_resv;
struct module;
struct sg_table;

struct dma_buf_ops {
	int (*attach)(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);
	void (*detach)(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);
	/* With it the memory may move, and each importer is told. Under the lock of @dmabuf. */
	int (*pin)(struct dma_buf_attachment *attach);
	void (*unpin)(struct dma_buf_attachment *attach);
	struct sg_table *(*map_dma_buf)(struct dma_buf_attachment *attach,
					enum dma_data_direction direction);
	void (*unmap_dma_buf)(struct dma_buf_attachment *attach, struct sg_table *table,
			      enum dma_data_direction direction);
	void (*release)(struct dma_buf *dmabuf);
};

struct dma_buf {
	size_t size;
	struct file *file;
	struct list_head attachments; /* dma_buf_attachment.node, under the lock of @resv */
	const struct dma_buf_ops *ops;
	struct module *owner;
	void *priv;
	struct dma_resv *resv;
};

struct dma_buf_attach_ops {
	bool allow_peer2peer;
	/* The memory is where it was no longer. Under the lock of the buffer. */
	void (*move_notify)(struct dma_buf_attachment *attach);
};

struct dma_buf_attachment {
	struct dma_buf *dmabuf;
	struct device *dev;
	struct list_head node;
	const struct dma_buf_attach_ops *importer_ops;
	void *importer_priv;
};

struct dma_buf_export_info {
	const char *exp_name;
	struct module *owner;
	const struct dma_buf_ops *ops;
	size_t size;
	int flags;
	struct dma_resv *resv; /* NULL: the buffer has its own */
	void *priv;
};

WD_BEGIN_DECLS
/* A buffer with one reference; ERR_PTR: -EINVAL, -ENOENT the module is going, -ENOMEM. */
struct dma_buf *dma_buf_export(const struct dma_buf_export_info *info);
/* A descriptor of the caller, which takes over its reference. Return: it, or -EMFILE. */
int dma_buf_fd(struct dma_buf *dmabuf, int flags);
/* The buffer of a descriptor with a reference; ERR_PTR: -EBADF, -EINVAL it is no dma-buf. */
struct dma_buf *dma_buf_get(int fd);
void dma_buf_put(struct dma_buf *dmabuf);
/* Only for exporters with a pin(). ERR_PTR: -ENOMEM, errors of attach(). */
struct dma_buf_attachment *dma_buf_dynamic_attach(struct dma_buf *dmabuf, struct device *dev,
						  const struct dma_buf_attach_ops *importer_ops,
						  void *importer_priv);
void dma_buf_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);
/* Tell all importers. The caller holds the lock of the buffer. */
void dma_buf_move_notify(struct dma_buf *dmabuf);
WD_END_DECLS

static inline void get_dma_buf(struct dma_buf *dmabuf)
{
	get_file(dmabuf->file);
}

#endif /* _LINUX_DMA_BUF_H */
