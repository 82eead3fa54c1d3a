// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of VFIO containers on /dev/iommu, for programs that were written for /dev/vfio/vfio
 * (IOMMUFD-COMPAT-1 to IOMMUFD-COMPAT-5). They act on the IOAS that IOMMU_VFIO_IOAS has set.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "iommufd.h"
#include "iommufd_private.h"
#include "trace.h"

/* Return: ERR_PTR(-ENODEV) without a compatibility IOAS. */
static struct iommufd_ioas *iommufd_compat_ioas(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	xa_lock(&ictx->objects);
	ioas = ictx->vfio_ioas;
	/* An IOAS that is being destroyed is still named here, but has no id any more. */
	if (ioas && xa_load(&ictx->objects, ioas->obj.id) == &ioas->obj)
		refcount_inc(&ioas->obj.wait_cnt);
	else
		ioas = ERR_PTR(-ENODEV);
	xa_unlock(&ictx->objects);
	return ioas;
}

/**
 * iommufd_vfio_compat_ioas_get_id() - the compatibility IOAS of a context
 * @ictx: context
 * @id: gets its id
 *
 * Return: 0, -ENODEV there is none
 */
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *id)
{
	struct iommufd_ioas *ioas = iommufd_compat_ioas(ictx);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	*id = ioas->obj.id;
	iommufd_put_object(ictx, &ioas->obj);
	return 0;
}
EXPORT_SYMBOL_GPL(iommufd_vfio_compat_ioas_get_id);

/**
 * iommufd_vfio_compat_ioas_create() - make a compatibility IOAS if a context has none
 * @ictx: context
 *
 * Return: 0, -ENOMEM
 */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = iommufd_ioas_alloc(ictx);
	struct iommufd_ioas *before;
	bool had;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	xa_lock(&ictx->objects);
	before = ictx->vfio_ioas;
	/* One that is being destroyed is none. */
	had = before && xa_load(&ictx->objects, before->obj.id) == &before->obj;
	if (!had) {
		__iommufd_object_finalize(ictx, &ioas->obj);
		ictx->vfio_ioas = ioas;
	}
	xa_unlock(&ictx->objects);
	if (had)
		iommufd_object_abort_and_destroy(ictx, &ioas->obj);
	return 0;
}
EXPORT_SYMBOL_GPL(iommufd_vfio_compat_ioas_create);

/* Is every page table of the IOAS coherent whatever devices request? */
static bool iommufd_compat_coherent(struct iommufd_ioas *ioas)
{
	struct iommufd_table *table;
	bool coherent = true;

	mutex_lock(&ioas->tables_lock);
	list_for_each_entry (table, &ioas->tables, item)
		coherent &= table->coherent;
	mutex_unlock(&ioas->tables_lock);
	return coherent;
}

/* IOMMUFD-COMPAT-1 */
static long iommufd_compat_extension(struct iommufd_ctx *ictx, unsigned long extension)
{
	struct iommufd_ioas *ioas;
	long rc;

	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		ioas = iommufd_compat_ioas(ictx);
		if (IS_ERR(ioas))
			return PTR_ERR(ioas);
		rc = iommufd_compat_coherent(ioas);
		iommufd_put_object(ictx, &ioas->obj);
		return rc;
	default:
		return 0;
	}
}

/* IOMMUFD-COMPAT-1: programs for type 1 unmap parts of what they have mapped. */
static long iommufd_compat_set_iommu(struct iommufd_ctx *ictx, unsigned long type)
{
	struct iommufd_ioas *ioas;
	int rc = 0;

	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;
	ioas = iommufd_compat_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (type == VFIO_TYPE1_IOMMU)
		rc = iopt_set_large_pages(&ioas->iopt, false);
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}

/* IOMMUFD-COMPAT-3 */
static long iommufd_compat_map(struct iommufd_ctx *ictx, void __user *arg)
{
	const u32 known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct vfio_iommu_type1_dma_map map;
	struct iommu_ioas_map cmd = {};
	struct iommufd_ioas *ioas;
	unsigned long iova;
	int rc;

	if (copy_from_user(&map, arg, sizeof(map)))
		return -EFAULT;
	if (map.argsz < sizeof(map) || map.flags & ~known)
		return -EINVAL;
	ioas = iommufd_compat_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	cmd.ioas_id = ioas->obj.id;
	cmd.flags = IOMMU_IOAS_MAP_FIXED_IOVA;
	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		cmd.flags |= IOMMU_IOAS_MAP_READABLE;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		cmd.flags |= IOMMU_IOAS_MAP_WRITEABLE;
	cmd.user_va = map.vaddr;
	cmd.length = map.size;
	cmd.iova = map.iova;
	iova = map.iova;
	rc = iommufd_map_user(ictx, ioas, &cmd, &iova);
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}

/* Type 1 may unmap parts of mappings: cut them at both ends of the range. */
static int iommufd_compat_cut(struct io_pagetable *iopt, unsigned long start, unsigned long last)
{
	int rc = 0;

	if (READ_ONCE(iopt->large_pages))
		return 0;
	if (last != ULONG_MAX)
		rc = iopt_cut(iopt, last + 1);
	if (!rc && start)
		rc = iopt_cut(iopt, start);
	return rc;
}

static int iommufd_compat_unmap_range(struct iommufd_ioas *ioas,
				      const struct vfio_iommu_type1_dma_unmap *unmap,
				      unsigned long *unmapped, bool *tried)
{
	unsigned long start = unmap->iova, last;
	int rc;

	*tried = false;
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		if (unmap->iova || unmap->size)
			return -EINVAL;
		last = ULONG_MAX;
	} else {
		if (!unmap->size)
			return -EINVAL;
		if (check_add_overflow(start, (unsigned long)unmap->size - 1, &last))
			return -EOVERFLOW;
		rc = iommufd_compat_cut(&ioas->iopt, start, last);
		if (rc)
			return rc;
	}
	*tried = true;
	rc = iopt_unmap(&ioas->iopt, start, last, unmapped);
	trace_iommufd_unmap(ioas->obj.id, start, last - start + 1, *unmapped, rc);
	return rc;
}

/* IOMMUFD-COMPAT-4 */
static long iommufd_compat_unmap(struct iommufd_ctx *ictx, void __user *arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	unsigned long unmapped = 0;
	struct iommufd_ioas *ioas;
	bool tried;
	int rc;

	if (copy_from_user(&unmap, arg, sizeof(unmap)))
		return -EFAULT;
	if (unmap.argsz < sizeof(unmap) || unmap.flags & ~VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	ioas = iommufd_compat_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iommufd_compat_unmap_range(ioas, &unmap, &unmapped, &tried);
	iommufd_put_object(ictx, &ioas->obj);
	if (!tried)
		return rc;
	unmap.size = unmapped;
	if (copy_to_user(arg, &unmap, sizeof(unmap)) && !rc)
		rc = -EFAULT;
	return rc;
}

/* The page sizes that every table of the IOAS has, at least those of the CPU. */
static u64 iommufd_compat_pgsizes(struct iommufd_ioas *ioas)
{
	unsigned long pgsizes = ULONG_MAX;
	struct iommufd_table *table;

	mutex_lock(&ioas->tables_lock);
	list_for_each_entry (table, &ioas->tables, item)
		pgsizes &= table->domain->pgsize_bitmap;
	mutex_unlock(&ioas->tables_lock);
	if (pgsizes & ~PAGE_MASK)
		pgsizes = (pgsizes & PAGE_MASK) | PAGE_SIZE;
	return pgsizes;
}

/* Capabilities begin at multiples of 8. */
#define IOMMUFD_COMPAT_AVAIL_SIZE ALIGN(sizeof(struct vfio_iommu_type1_info_dma_avail), 8)

/* Make the answer of GET_INFO, of *@size bytes. @ranges: usable IOVA. Return: NULL, no memory. */
static struct vfio_iommu_type1_info *iommufd_compat_info(struct iommufd_ioas *ioas,
							 const struct iommu_iova_range *ranges,
							 u32 count, size_t *size)
{
	const size_t avail_at = sizeof(struct vfio_iommu_type1_info);
	const size_t ranges_at = avail_at + IOMMUFD_COMPAT_AVAIL_SIZE;
	struct vfio_iommu_type1_info_cap_iova_range *range;
	struct vfio_iommu_type1_info_dma_avail *avail;
	struct vfio_iommu_type1_info *info;
	u32 i;

	*size = ranges_at + struct_size(range, iova_ranges, count);
	info = kvzalloc(*size, GFP_KERNEL_ACCOUNT);
	if (!info)
		return NULL;
	info->argsz = *size;
	info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info->iova_pgsizes = iommufd_compat_pgsizes(ioas);

	avail = (void *)info + avail_at;
	avail->header.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
	avail->header.version = 1;
	avail->header.next = ranges_at;
	/* There is no such limit, and programs take a small number seriously. */
	avail->avail = U32_MAX;

	range = (void *)info + ranges_at;
	range->header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	range->header.version = 1;
	range->nr_iovas = count;
	for (i = 0; i < count; i++) {
		range->iova_ranges[i].start = ranges[i].start;
		range->iova_ranges[i].end = ranges[i].last;
	}
	return info;
}

/* Write what the caller has room for. Room for a part of the capabilities is room for none. */
static int iommufd_compat_tell(void __user *arg, u32 argsz, struct vfio_iommu_type1_info *info,
			       size_t size)
{
	if (argsz >= size)
		info->cap_offset = sizeof(*info);
	else
		size = min_t(size_t, argsz, sizeof(*info));
	return copy_to_user(arg, info, size) ? -EFAULT : 0;
}

static struct vfio_iommu_type1_info *iommufd_compat_ask(struct iommufd_ioas *ioas, size_t *size)
{
	struct vfio_iommu_type1_info *info;
	struct iommu_iova_range *ranges;
	u64 alignment;
	u32 count;

	ranges = iommufd_get_ranges(&ioas->iopt, U32_MAX, &count, &alignment);
	if (IS_ERR(ranges))
		return ERR_CAST(ranges);
	info = iommufd_compat_info(ioas, ranges, count, size);
	kvfree(ranges);
	return info ?: ERR_PTR(-ENOMEM);
}

/* IOMMUFD-COMPAT-5 */
static long iommufd_compat_get_info(struct iommufd_ctx *ictx, void __user *arg)
{
	struct vfio_iommu_type1_info *info;
	struct iommufd_ioas *ioas;
	size_t size;
	u32 argsz;
	int rc;

	if (copy_from_user(&argsz, arg, sizeof(argsz)))
		return -EFAULT;
	if (argsz < offsetofend(struct vfio_iommu_type1_info, iova_pgsizes))
		return -EINVAL;
	ioas = iommufd_compat_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	info = iommufd_compat_ask(ioas, &size);
	iommufd_put_object(ictx, &ioas->obj);
	if (IS_ERR(info))
		return PTR_ERR(info);
	rc = iommufd_compat_tell(arg, argsz, info, size);
	kvfree(info);
	return rc;
}

/**
 * iommufd_vfio_compat_ioctl() - a request that is none of /dev/iommu's own
 * @ictx: context
 * @request: ioctl number
 * @arg: its argument
 *
 * Return: the answer; -ENOTTY also for container requests that a VFIO container answers, but not
 * /dev/iommu
 */
long iommufd_vfio_compat_ioctl(struct iommufd_ctx *ictx, unsigned int request, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (request) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return iommufd_compat_extension(ictx, arg);
	case VFIO_SET_IOMMU:
		return iommufd_compat_set_iommu(ictx, arg);
	case VFIO_IOMMU_GET_INFO:
		return iommufd_compat_get_info(ictx, uarg);
	case VFIO_IOMMU_MAP_DMA:
		return iommufd_compat_map(ictx, uarg);
	case VFIO_IOMMU_UNMAP_DMA:
		return iommufd_compat_unmap(ictx, uarg);
	default:
		return -ENOTTY;
	}
}
