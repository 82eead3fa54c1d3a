// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions of a dead unit whose driver does not use wd_iommu_set_master(), as Linux's own drivers,
 * or vfio-pci on behalf of its user. The unit's driver unbinds such a driver from the function. No
 * other driver can be bound to it until the unit's driver is bound again.
 *
 * To keep drivers off, a managed device link makes the function depend on a device that never has a
 * driver: the unit's entry in class iommu. The link ends with that entry.
 *
 * An unbind may take long: vfio-pci waits for its user. So each function has a work of its own, and
 * no thread waits for it with a lock held. The memory for it is allocated at the claim.
 *
 * This work, and the one that tells drivers of a death, do not run while the machine sleeps: the
 * bus puts some functions to sleep and wakes them without their locks. If an unbind does not end,
 * the machine cannot go to sleep.
 */
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "iommu_master.h"
#include "vtd.h"

/**
 * struct vtd_eviction - takes a function from its driver
 * @work: on vtd_evictions
 * @pdev: the function
 * @entry: the dead unit's device in class iommu
 */
struct vtd_eviction {
	struct work_struct work;
	struct pci_dev *pdev;
	struct device *entry;
};

static struct workqueue_struct *vtd_evictions;

/*
 * The unit's driver may have been bound again since, and drivers to its functions: then keep them.
 * If this happens while device_release_driver() waits for the function's lock, that call has
 * unbound the wrong driver: bind one again.
 */
static void vtd_evict_work(struct work_struct *work)
{
	struct vtd_eviction *eviction = container_of(work, struct vtd_eviction, work);
	struct device *dev = &eviction->pdev->dev;

	if (device_is_registered(eviction->entry)) {
		device_release_driver(dev);
		dev_warn(dev, "has lost its driver: its IOMMU is dead\n");
		if (!device_is_registered(eviction->entry) && device_attach(dev) < 0)
			dev_warn(dev, "has no driver, although its IOMMU is back\n");
	}
	put_device(eviction->entry);
	pci_dev_put(eviction->pdev);
	kfree(eviction);
}

struct vtd_eviction *vtd_eviction_alloc(void)
{
	return kzalloc(sizeof(struct vtd_eviction), GFP_KERNEL);
}

void vtd_eviction_free(struct vtd_eviction *eviction)
{
	kfree(eviction);
}

/**
 * vtd_evict - let a work unbind the driver of a function of a dead unit
 * @dev: function; this uses its eviction, so later calls do nothing
 */
void vtd_evict(struct vtd_dev *dev)
{
	struct vtd_eviction *eviction = dev->eviction;

	lockdep_assert_held(&dev->unit->devices_lock);
	if (!eviction)
		return;
	dev->eviction = NULL;
	INIT_WORK(&eviction->work, vtd_evict_work);
	eviction->pdev = pci_dev_get(dev->pdev);
	eviction->entry = get_device(dev->unit->entry);
	queue_work(vtd_evictions, &eviction->work);
}

/**
 * vtd_keep_drivers_off - let no driver be bound to a function any more
 * @unit: dead unit
 * @pdev: function of it; the caller holds its lock, so no probe is running
 *
 * Return: false without memory.
 */
bool vtd_keep_drivers_off(struct vtd_unit *unit, struct pci_dev *pdev)
{
	device_lock_assert(&pdev->dev);
	return device_link_add(&pdev->dev, unit->entry, 0);
}

int vtd_evictions_init(void)
{
	vtd_evictions = alloc_workqueue("wd_iommu_evict", WQ_UNBOUND | WQ_FREEZABLE, 0);
	return vtd_evictions ? 0 : -ENOMEM;
}

void vtd_evictions_exit(void)
{
	destroy_workqueue(vtd_evictions);
}
