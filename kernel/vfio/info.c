// SPDX-License-Identifier: GPL-2.0-only
/*
 * Properties of a function: GET_INFO, GET_REGION_INFO, GET_IRQ_INFO (IOMMUFD-VFIO-4). All of them
 * are constant, so no lock is needed.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "wd_vfio.h"

/* One area before the pages of the MSI-X table, and one after them. */
#define WD_VFIO_MAX_AREAS 2

struct wd_vfio_sparse {
	struct vfio_region_info_cap_sparse_mmap cap;
	struct vfio_region_sparse_mmap_area areas[WD_VFIO_MAX_AREAS];
};

int wd_vfio_info_ioctl(struct wd_vfio *wd, void __user *arg)
{
	size_t size = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info = {};

	if (copy_from_user(&info, arg, size))
		return -EFAULT;
	if (info.argsz < size)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PCI;
	if (wd->resettable)
		info.flags |= VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	if (copy_to_user(arg, &info, min_t(size_t, info.argsz, sizeof(info))))
		return -EFAULT;
	return 0;
}

/* Return: the size of the capability; 0 if the BAR has no pages with an MSI-X table. */
static size_t wd_vfio_sparse(const struct wd_vfio_bar *bar, struct wd_vfio_sparse *sparse)
{
	struct vfio_region_sparse_mmap_area *area = sparse->areas;

	if (bar->hole == bar->hole_end)
		return 0;
	if (bar->hole)
		*area++ = (struct vfio_region_sparse_mmap_area){.size = bar->hole};
	if (bar->hole_end < bar->size)
		*area++ = (struct vfio_region_sparse_mmap_area){.offset = bar->hole_end,
								.size = bar->size - bar->hole_end};
	sparse->cap.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	sparse->cap.header.version = 1;
	sparse->cap.nr_areas = area - sparse->areas;
	return sizeof(sparse->cap) + sparse->cap.nr_areas * sizeof(*area);
}

static int wd_vfio_bar_info(const struct wd_vfio_bar *bar, struct vfio_region_info *info,
			    void __user *arg)
{
	struct wd_vfio_sparse sparse = {};
	size_t size;

	if (!bar->size)
		return 0;
	info->size = bar->size;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (!bar->mappable)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	size = wd_vfio_sparse(bar, &sparse);
	if (!size)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	if (info->argsz < sizeof(*info) + size) {
		info->argsz = sizeof(*info) + size;
		return 0;
	}
	info->cap_offset = sizeof(*info);
	return copy_to_user(arg + sizeof(*info), &sparse, size) ? -EFAULT : 0;
}

int wd_vfio_region_ioctl(struct wd_vfio *wd, void __user *arg)
{
	struct vfio_region_info info;
	int ret = 0;

	if (copy_from_user(&info, arg, sizeof(info)))
		return -EFAULT;
	/* The function has neither a VGA region nor one with a higher index. */
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_VGA_REGION_INDEX)
		return -EINVAL;
	info.flags = 0;
	info.cap_offset = 0;
	info.size = 0;
	info.offset = (u64)info.index << WD_VFIO_OFFSET_SHIFT;
	if (info.index < PCI_STD_NUM_BARS) {
		ret = wd_vfio_bar_info(&wd->bars[info.index], &info, arg);
	} else if (info.index == VFIO_PCI_ROM_REGION_INDEX && wd->rom_size) {
		info.size = wd->rom_size;
		info.flags = VFIO_REGION_INFO_FLAG_READ;
	} else if (info.index == VFIO_PCI_CONFIG_REGION_INDEX) {
		info.size = wd->pdev->cfg_size;
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	}
	if (ret)
		return ret;
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

int wd_vfio_irq_info_ioctl(struct wd_vfio *wd, void __user *arg)
{
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (info.index == VFIO_PCI_ERR_IRQ_INDEX && !pci_is_pcie(wd->pdev))
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (info.index != VFIO_PCI_MSIX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_NORESIZE; /* IOMMUFD-VFIO-9 */
	info.count = wd_vfio_irq_count(wd, info.index);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}
