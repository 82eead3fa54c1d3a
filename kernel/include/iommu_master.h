/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bus mastering of functions (Documentation/design/iommu.rst, "Bus mastering"). Drivers of
 * functions that one of our units may translate for call these in place of pci_set_master() and
 * pci_clear_master().
 */
#ifndef _WD_IOMMU_MASTER_H
#define _WD_IOMMU_MASTER_H

#include <linux/spinlock.h>

struct pci_dev;

int wd_iommu_set_master(struct pci_dev *pdev);
void wd_iommu_clear_master(struct pci_dev *pdev);

/* --- for IOMMU drivers in this module --- */
void wd_iommu_master_hook(int (*hook)(struct pci_dev *pdev));
void wd_iommu_mark_master(struct pci_dev *pdev);
/* For changes of struct pci_dev's notes of ATS and page requests. */
extern spinlock_t wd_iommu_marks_lock;

#endif /* _WD_IOMMU_MASTER_H */
