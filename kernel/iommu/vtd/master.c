// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bus mastering of functions. A function of the machine may have it only while a live unit
 * translates for it: when the unit's driver goes, requests reach memory untranslated; after a sleep
 * of the machine a function is routed nowhere; and translations that a dead unit has cached may
 * lead anywhere.
 *
 * Bus mastering is given under the lock of the invalidation queue, under which a unit dies. So it
 * is not given to a function while the death of its unit takes it away.
 */
#include <linux/errno.h>
#include <linux/pci.h>

#include "iommu_master.h"
#include "vtd.h"

/* The routing word; 0 if it cannot be read. */
static u32 vtd_routing(struct pci_dev *pdev, int vsec)
{
	u32 routing = 0;

	if (pci_read_config_dword(pdev, vsec + VTD_VSEC_ROUTING, &routing))
		return 0;
	return routing;
}

/* Its requests go through the unit, with its own requester id. */
static bool vtd_routed_here(const struct vtd_dev *dev)
{
	return vtd_routing(dev->pdev, dev->vsec) == (dev->rid | VTD_VSEC_ROUTING_VALID);
}

/*
 * From now on the function's requests go through the unit with its requester id, until the machine
 * is reset: the word cannot be changed once it is valid, since otherwise a later owner of the
 * function (VFIO lets its user write vendor-specific capabilities) could leave the unit's scope
 * with it. A function that an earlier kernel has routed here is accepted, one that has another
 * address since then is not.
 */
int vtd_route(struct vtd_dev *dev)
{
	pci_write_config_dword(dev->pdev, dev->vsec + VTD_VSEC_ROUTING,
			       dev->rid | VTD_VSEC_ROUTING_VALID);
	return vtd_routed_here(dev) ? 0 : -EIO;
}

static int vtd_unit_set_master(struct vtd_unit *unit, struct pci_dev *pdev)
{
	struct vtd_dev *dev;
	unsigned long flags;
	int ret = -ENODEV;

	if (!unit->live)
		return ret;
	spin_lock_irqsave(&unit->qi.lock, flags);
	if (unit->dead)
		goto out;
	dev = xa_load(&unit->devices, PCI_DEVID(pdev->bus->number, pdev->devfn));
	if (dev && dev->pdev == pdev)
		ret = vtd_routed_here(dev) ? 0 : -EIO;
	/* The end of a reset restores the state from before it. */
	if (!ret && dev->resetting)
		ret = -EAGAIN;
	if (!ret)
		wd_iommu_mark_master(pdev);
out:
	spin_unlock_irqrestore(&unit->qi.lock, flags);
	return ret;
}

/* There is no unit: only a function that is routed to none may master the bus. */
static int vtd_set_master_alone(struct pci_dev *pdev, int vsec)
{
	if (vtd_routing(pdev, vsec) & VTD_VSEC_ROUTING_VALID)
		return -ENODEV;
	wd_iommu_mark_master(pdev);
	return 0;
}

/**
 * vtd_set_master - make a function of the machine bus master, if it may be
 * @pdev: any function
 *
 * Return: as wd_iommu_set_master(); -EOPNOTSUPP for a function without the machine's capability.
 */
int vtd_set_master(struct pci_dev *pdev)
{
	struct vtd_unit *unit;
	int vsec, ret;
	u32 flags;

	vsec = vtd_find_vsec(pdev, &flags);
	if (!vsec)
		return -EOPNOTSUPP;
	mutex_lock(&vtd_units_lock);
	unit = vtd_unit_of_segment(pdev);
	ret = unit ? vtd_unit_set_master(unit, pdev) : vtd_set_master_alone(pdev, vsec);
	mutex_unlock(&vtd_units_lock);
	return ret;
}
