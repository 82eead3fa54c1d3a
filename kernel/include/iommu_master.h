/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bus mastering of functions (Documentation/design/iommu.rst, "Bus mastering"). If a unit of this
 * project may translate for a function, the function's driver calls these instead of
 * pci_set_master() and pci_clear_master().
 */
#ifndef _WD_IOMMU_MASTER_H
#define _WD_IOMMU_MASTER_H

#include <linux/list.h>
#include <linux/spinlock.h>

struct device_driver;
struct pci_dev;

/**
 * struct wd_iommu_asker - a driver that uses wd_iommu_set_master() for all its functions
 * @node: for the layer
 * @driver: the driver
 */
struct wd_iommu_asker {
	struct list_head node;
	struct device_driver *driver;
};

int wd_iommu_set_master(struct pci_dev *pdev);
void wd_iommu_clear_master(struct pci_dev *pdev);
void wd_iommu_asker_add(struct wd_iommu_asker *asker);
void wd_iommu_asker_remove(struct wd_iommu_asker *asker);

/* --- for IOMMU drivers in this module --- */
void wd_iommu_master_hook(int (*hook)(struct pci_dev *pdev));
void wd_iommu_mark_master(struct pci_dev *pdev);
bool wd_iommu_driver_asks(const struct device_driver *driver);
/* For code that changes the bits of struct pci_dev about ATS and page requests, see master.c. */
extern spinlock_t wd_iommu_marks_lock;

#endif /* _WD_IOMMU_MASTER_H */
