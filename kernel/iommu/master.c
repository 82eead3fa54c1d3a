// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bus mastering of functions, for any IOMMU. The driver of an IOMMU decides in a hook which
 * functions may be bus masters.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>

#include "iommu_master.h"

/*
 * struct pci_dev has bits for bus mastering, ATS and page requests in one word: if two threads
 * change them at the same time, one change is lost. So all code of this project changes them under
 * this lock, the innermost one. The PCI core changes them under the device's lock, which attach and
 * detach cannot take; but it does so only while nothing is attached, or during a reset.
 */
DEFINE_SPINLOCK(wd_iommu_marks_lock);

static int (*wd_master_hook)(struct pci_dev *pdev);

static LIST_HEAD(wd_askers);
static DEFINE_MUTEX(wd_askers_lock); /* no other lock is taken under it */

/**
 * wd_iommu_master_hook - let the driver of an IOMMU decide about bus mastering
 * @hook: decides for wd_iommu_set_master(), and calls wd_iommu_mark_master() if it allows it;
 *	-EOPNOTSUPP for a function of another IOMMU. To be set before the driver has any device
 */
void wd_iommu_master_hook(int (*hook)(struct pci_dev *pdev))
{
	wd_master_hook = hook;
}

/* Make a function bus master; for hooks, which have checked that it may be. In any context. */
void wd_iommu_mark_master(struct pci_dev *pdev)
{
	unsigned long flags;

	spin_lock_irqsave(&wd_iommu_marks_lock, flags);
	pci_set_master(pdev);
	spin_unlock_irqrestore(&wd_iommu_marks_lock, flags);
}

/**
 * wd_iommu_set_master - make a function bus master, if that is safe
 * @pdev: function of the calling driver
 *
 * A function without the machine's vendor-specific capability is always allowed: another IOMMU
 * translates for it. A function with it is allowed if the live unit of its segment has claimed it
 * and its routing word agrees, or if there never was a unit. The driver calls this again after each
 * step that restores the function's configuration space. May sleep.
 *
 * Return: 0; -ENODEV without a live unit, -EIO if the function is not routed to it: then the
 * function is no bus master. -EAGAIN during a reset of the function.
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
 * wd_iommu_clear_master - take bus mastering from a function
 * @pdev: function of the calling driver
 *
 * Always allowed. Does not sleep.
 */
void wd_iommu_clear_master(struct pci_dev *pdev)
{
	unsigned long flags;

	spin_lock_irqsave(&wd_iommu_marks_lock, flags);
	pci_clear_master(pdev);
	spin_unlock_irqrestore(&wd_iommu_marks_lock, flags);
}
EXPORT_SYMBOL_GPL(wd_iommu_clear_master);

/**
 * wd_iommu_asker_add - note that a driver uses only wd_iommu_set_master() for bus mastering
 * @asker: names the driver, which has no device yet
 *
 * When a unit dies, the unit's driver tells such drivers, and they keep their functions. It unbinds
 * other drivers from their functions.
 */
void wd_iommu_asker_add(struct wd_iommu_asker *asker)
{
	mutex_lock(&wd_askers_lock);
	list_add_tail(&asker->node, &wd_askers);
	mutex_unlock(&wd_askers_lock);
}
EXPORT_SYMBOL_GPL(wd_iommu_asker_add);

/* Undo wd_iommu_asker_add(). The driver has no device any more. */
void wd_iommu_asker_remove(struct wd_iommu_asker *asker)
{
	mutex_lock(&wd_askers_lock);
	list_del(&asker->node);
	mutex_unlock(&wd_askers_lock);
}
EXPORT_SYMBOL_GPL(wd_iommu_asker_remove);

bool wd_iommu_driver_asks(const struct device_driver *driver)
{
	struct wd_iommu_asker *asker;
	bool asks = false;

	mutex_lock(&wd_askers_lock);
	list_for_each_entry (asker, &wd_askers, node)
		asks |= asker->driver == driver;
	mutex_unlock(&wd_askers_lock);
	return asks;
}
