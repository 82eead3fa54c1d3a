// SPDX-License-Identifier: GPL-2.0-only
/*
 * BARs as dma-bufs, so that other devices of the owner can reach them (IOMMUFD-DMABUF-3).
 *
 * While memory is off, and in low power, a buffer is revoked: no device reaches it. It is revoked for ever when the
 * ownership ends.
 *
 * Lock order: wd_vfio.lock, wd_vfio.dmabufs_lock, the lock of the dma-buf.
 */
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd.h"
#include "trace.h"
#include "wd_vfio.h"

/**
 * struct wd_vfio_dmabuf - a part of a BAR that the owner has exported
 * @wd: function, held
 * @dmabuf: the buffer, until its release
 * @item: in wd_vfio.dmabufs while the ownership lasts
 */
struct wd_vfio_dmabuf {
	struct wd_vfio *wd;
	struct dma_buf *dmabuf;
	struct list_head item;
};

static void wd_vfio_dmabuf_free(struct wd_vfio_dmabuf *buffer)
{
	put_device(&buffer->wd->dev);
	kfree(buffer);
}

static void wd_vfio_dmabuf_release(void *data)
{
	struct wd_vfio_dmabuf *buffer = data;

	mutex_lock(&buffer->wd->dmabufs_lock);
	list_del(&buffer->item);
	mutex_unlock(&buffer->wd->dmabufs_lock);
	wd_vfio_dmabuf_free(buffer);
}

static const struct iommufd_dmabuf_ops wd_vfio_dmabuf_ops = {
	.owner = THIS_MODULE,
	.release = wd_vfio_dmabuf_release,
};

/**
 * wd_vfio_dmabufs_revoke() - take all exported buffers away from devices, or allow them again
 * @wd: locked
 * @revoked: take them away
 */
void wd_vfio_dmabufs_revoke(struct wd_vfio *wd, bool revoked)
{
	struct wd_vfio_dmabuf *buffer;

	lockdep_assert_held(&wd->lock);
	mutex_lock(&wd->dmabufs_lock);
	/* A buffer that is being released waits for the lock, and so exists until then. */
	list_for_each_entry (buffer, &wd->dmabufs, item)
		iommufd_dmabuf_revoke(buffer->dmabuf, revoked);
	mutex_unlock(&wd->dmabufs_lock);
}

static bool wd_vfio_dmabufs_allowed(struct wd_vfio *wd)
{
	return wd->memory && !wd->in_reset && !wd->low_power;
}

/**
 * wd_vfio_dmabufs_allow() - allow all exported buffers again, if nothing forbids them any more
 * @wd: locked
 */
void wd_vfio_dmabufs_allow(struct wd_vfio *wd)
{
	if (wd_vfio_dmabufs_allowed(wd))
		wd_vfio_dmabufs_revoke(wd, false);
}

/**
 * wd_vfio_dmabufs_forget() - leave all exported buffers revoked for ever
 * @wd: locked, without memory
 */
void wd_vfio_dmabufs_forget(struct wd_vfio *wd)
{
	struct wd_vfio_dmabuf *buffer, *next;

	lockdep_assert_held(&wd->lock);
	mutex_lock(&wd->dmabufs_lock);
	list_for_each_entry_safe (buffer, next, &wd->dmabufs, item)
		list_del_init(&buffer->item);
	mutex_unlock(&wd->dmabufs_lock);
}

/*
 * Read the ranges of the caller, and find what they make together. Each lies in a part of the BAR
 * that can be mapped.
 */
static int wd_vfio_dmabuf_ranges(struct wd_vfio *wd, const struct vfio_device_feature_dma_buf *get,
				 const struct vfio_region_dma_range __user *ranges,
				 struct iommufd_dmabuf_memory *memory)
{
	const struct wd_vfio_bar *bar = &wd->bars[get->region_index];
	const u64 start = pci_resource_start(wd->pdev, get->region_index);
	u64 at, end;
	u32 i;

	memory->contiguous = get->nr_ranges == 1;
	for (i = 0; i < get->nr_ranges; i++) {
		struct vfio_region_dma_range range;

		if (copy_from_user(&range, &ranges[i], sizeof(range)))
			return -EFAULT;
		if (!range.length || !PAGE_ALIGNED(range.offset) || !PAGE_ALIGNED(range.length) ||
		    check_add_overflow(memory->size, (size_t)range.length, &memory->size))
			return -EINVAL;
		if (check_add_overflow(start, range.offset, &at) ||
		    check_add_overflow(at, range.length, &end))
			return -EOVERFLOW;
		if (!wd_vfio_can_map(bar, range.offset, range.length))
			return -EINVAL;
		if (!i)
			memory->phys = at;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static struct dma_buf *wd_vfio_dmabuf_export(struct wd_vfio *wd,
					     struct iommufd_dmabuf_memory *memory, int flags)
{
	struct wd_vfio_dmabuf *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	struct dma_buf *dmabuf;

	lockdep_assert_held(&wd->lock);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->wd = wd;
	get_device(&wd->dev);
	memory->revoked = !wd_vfio_dmabufs_allowed(wd);
	dmabuf = iommufd_dmabuf_export(&wd_vfio_dmabuf_ops, buffer, memory, flags);
	if (IS_ERR(dmabuf)) {
		wd_vfio_dmabuf_free(buffer);
		return dmabuf;
	}
	buffer->dmabuf = dmabuf;
	mutex_lock(&wd->dmabufs_lock);
	list_add_tail(&buffer->item, &wd->dmabufs);
	mutex_unlock(&wd->dmabufs_lock);
	return dmabuf;
}

/**
 * wd_vfio_dmabuf_get() - VFIO_DEVICE_FEATURE_DMA_BUF
 * @vfile: file
 * @arg: the caller's structure, followed by its ranges
 *
 * Return: a descriptor; -EINVAL no ranges, unknown flags, or ranges that cannot be mapped, -EOVERFLOW
 * a range that wraps, -ENODEV no such BAR, -EFAULT, -EINTR, -ENOMEM, -EMFILE
 */
int wd_vfio_dmabuf_get(struct wd_vfio_file *vfile, void __user *arg)
{
	struct vfio_device_feature_dma_buf __user *uget = arg;
	struct vfio_device_feature_dma_buf get;
	struct iommufd_dmabuf_memory memory = {};
	struct wd_vfio *wd = vfile->wd;
	struct dma_buf *dmabuf;
	int ret;

	if (copy_from_user(&get, uget, sizeof(get)))
		return -EFAULT;
	if (!get.nr_ranges || get.flags)
		return -EINVAL;
	if (get.region_index >= PCI_STD_NUM_BARS || !wd->bars[get.region_index].size)
		return -ENODEV;
	ret = wd_vfio_dmabuf_ranges(wd, &get, uget->dma_ranges, &memory);
	if (ret)
		return ret;
	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	dmabuf = wd_vfio_dmabuf_export(wd, &memory, get.open_flags);
	mutex_unlock(&wd->lock);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = dma_buf_fd(dmabuf, get.open_flags);
	if (ret < 0)
		dma_buf_put(dmabuf);
	return ret;
}
