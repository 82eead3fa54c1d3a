// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bus mastering of functions, whichever IOMMU translates for them. A driver of an IOMMU says by a
 * hook which functions may have it.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/spinlock.h>

#include "iommu_master.h"

/*
 * struct pci_dev notes bus mastering, ATS and page requests as bits of one word, so of two writes
 * at the same time one is lost. The PCI core writes them under the device's lock, which attaching
 * and detaching cannot take; nothing is attached then, or the function is being reset. All writers
 * of ours hold this one, the innermost.
 */
DEFINE_SPINLOCK(wd_iommu_marks_lock);

static int (*wd_master_hook)(struct pci_dev *pdev);

/**
 * wd_iommu_master_hook - a driver of an IOMMU has a say in bus mastering from now on
 * @hook: carries out wd_iommu_set_master(), with wd_iommu_mark_master(); -EOPNOTSUPP for a function
 *	that is not the driver's. To be set before the driver has any device
 */
void wd_iommu_master_hook(int (*hook)(struct pci_dev *pdev))
{
	wd_master_hook = hook;
}

/* For hooks. In any context. */
void wd_iommu_mark_master(struct pci_dev *pdev)
{
	unsigned long flags;

	spin_lock_irqsave(&wd_iommu_marks_lock, flags);
	pci_set_master(pdev);
	spin_unlock_irqrestore(&wd_iommu_marks_lock, flags);
}

/**
 * wd_iommu_set_master - make a function bus master, if it may be
 * @pdev: function of the calling driver
 *
 * Functions without the machine's vendor-specific capability always may: other IOMMUs translate for
 * them. The others may if the live unit of their segment has claimed them, and their routing word
 * says so; or if there is no unit and never was one. A driver calls it again after each step that
 * restores the function's configuration space. May sleep.
 *
 * Return: 0; -ENODEV without a live unit; -EIO if the function is not routed to it: the function is
 * no bus master then. -EAGAIN while it is being reset.
 */
int wd_iommu_set_master(struct pci_dev *pdev)
{
	int ret = wd_master_hook ? wd_master_hook(pdev) : -EOPNOTSUPP;

	if (ret == -EOPNOTSUPP) {
		wd_iommu_mark_master(pdev);
		return 0;
	}
	if (ret && ret != -EAGAIN) {
		wd_iommu_clear_master(pdev);
		dev_err(&pdev->dev, "no live IOMMU translates for it: no bus mastering\n");
	}
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_set_master);

/**
 * wd_iommu_clear_master - a function is no bus master any more
 * @pdev: function of the calling driver
 *
 * Needs no permission. Atomic.
 */
void wd_iommu_clear_master(struct pci_dev *pdev)
{
	unsigned long flags;

	spin_lock_irqsave(&wd_iommu_marks_lock, flags);
	pci_clear_master(pdev);
	spin_unlock_irqrestore(&wd_iommu_marks_lock, flags);
}
EXPORT_SYMBOL_GPL(wd_iommu_clear_master);
