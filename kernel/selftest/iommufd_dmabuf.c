// SPDX-License-Identifier: GPL-2.0-only
/* Buffers of the module of tests: memory of the kernel that stands for memory of a device. */
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommufd.h"
#include "iommufd_test.h"

#define WD_TEST_MAX_BUFFER (512 * PAGE_SIZE)

struct wd_test_buffer {
	struct page *pages;
	unsigned int order;
};

static void wd_test_buffer_release(void *data)
{
	struct wd_test_buffer *buffer = data;

	__free_pages(buffer->pages, buffer->order);
	kfree(buffer);
}

static const struct iommufd_dmabuf_ops wd_test_buffer_ops = {
	.owner = THIS_MODULE,
	.release = wd_test_buffer_release,
};

/* Return: the descriptor of a new buffer, or an error. */
int wd_test_dmabuf_get(const struct iommu_test_cmd *cmd)
{
	struct iommufd_dmabuf_memory memory = {.contiguous = true};
	struct wd_test_buffer *buffer;
	struct dma_buf *dmabuf;
	int fd;

	if (!cmd->dmabuf_get.length || cmd->dmabuf_get.length > WD_TEST_MAX_BUFFER)
		return -EINVAL;
	memory.size = PAGE_ALIGN(cmd->dmabuf_get.length);
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	buffer->order = get_order(memory.size);
	buffer->pages = alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO, buffer->order);
	if (!buffer->pages) {
		kfree(buffer);
		return -ENOMEM;
	}
	memory.phys = page_to_phys(buffer->pages);
	dmabuf = iommufd_dmabuf_export(&wd_test_buffer_ops, buffer, &memory,
				       cmd->dmabuf_get.open_flags);
	if (IS_ERR(dmabuf)) {
		wd_test_buffer_release(buffer);
		return PTR_ERR(dmabuf);
	}
	fd = dma_buf_fd(dmabuf, cmd->dmabuf_get.open_flags);
	if (fd < 0)
		dma_buf_put(dmabuf);
	return fd;
}

int wd_test_dmabuf_revoke(const struct iommu_test_cmd *cmd)
{
	struct dma_buf *dmabuf = dma_buf_get(cmd->dmabuf_revoke.dmabuf_fd);
	int rc = 0;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	if (iommufd_dmabuf_data(dmabuf, &wd_test_buffer_ops))
		iommufd_dmabuf_revoke(dmabuf, cmd->dmabuf_revoke.revoked);
	else
		rc = -EOPNOTSUPP;
	dma_buf_put(dmabuf);
	return rc;
}
