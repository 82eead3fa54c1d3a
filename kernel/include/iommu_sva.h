/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared virtual addresses: a device walks the page table of a process
 * (Documentation/guide/sva.rst).
 */
#ifndef _WD_IOMMU_SVA_H
#define _WD_IOMMU_SVA_H

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/types.h>

struct mm_struct;
struct wd_sva;
struct wd_sva_mm;

/**
 * struct wd_sva_ops - callbacks to the user of a bond
 * @mm_exit: the address space ends: the user must send no more requests for it to the device.
 *	Called at most once, in the process that dropped the last reference to the address space;
 *	may sleep, and may unbind. Afterwards requests of [device, PASID] fail and are not recorded
 * @release: the bond is gone, and mm_exit is not running and will not be called. May sleep
 */
struct wd_sva_ops {
	void (*mm_exit)(void *data);
	void (*release)(void *data);
};

bool wd_iommu_sva_supported(struct device *dev, bool faults);
struct wd_sva_mm *wd_iommu_sva_mm_get(struct mm_struct *mm);
void wd_iommu_sva_mm_put(struct wd_sva_mm *space);
void wd_iommu_sva_filled(struct mm_struct *mm, unsigned long start, unsigned long end);
struct wd_sva *wd_iommu_sva_bind(struct device *dev, struct wd_sva_mm *space, ioasid_t pasid,
				 bool faults, const struct wd_sva_ops *ops, void *data);
void wd_iommu_sva_cut(struct wd_sva *sva);
void wd_iommu_sva_refuse(struct wd_sva *sva);
void wd_iommu_sva_unbind(struct wd_sva *sva);

/* --- for the module that the layer is part of --- */
int wd_iommu_sva_init(void);
void wd_iommu_sva_exit(void);

#endif /* _WD_IOMMU_SVA_H */
