// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bus mastering of functions. A function of the machine may be bus master only while a live unit
 * translates for it. Without the unit's driver its requests reach memory untranslated; after a
 * sleep of the machine the function is not routed to a unit; and a dead unit may have cached
 * translations that lead to memory of others.
 *
 * The driver gives bus mastering under the lock of the invalidation queue. A unit dies under the
 * same lock. So a function cannot get bus mastering while the death of its unit takes it away.
 */
#include <linux/errno.h>
#include <linux/pci.h>

#include "iommu_master.h"
#include "vtd.h"

/* Read the routing word. Return: 0 if it cannot be read. */
static u32 vtd_routing(struct pci_dev *pdev, int vsec)
{
	u32 routing = 0;

	if (pci_read_config_dword(pdev, vsec + VTD_VSEC_ROUTING, &routing))
		return 0;
	return routing;
}

/* Whether requests of the function go through the unit, with its own requester id. */
static bool vtd_routed_here(const struct vtd_dev *dev)
{
	return vtd_routing(dev->pdev, dev->vsec) == (dev->rid | VTD_VSEC_ROUTING_VALID);
}

/*
 * Route the function's requests through the unit with its requester id, until the machine is reset.
 * Once the word is valid the machine lets nobody change it: otherwise a later owner of the function
 * could leave the unit (VFIO lets its user write vendor-specific capabilities). So this accepts a
 * function that an earlier kernel has routed here, but not if its address has changed since.
 */
int vtd_route(struct vtd_dev *dev)
{
	pci_write_config_dword(dev->pdev, dev->vsec + VTD_VSEC_ROUTING,
			       dev->rid | VTD_VSEC_ROUTING_VALID);
	return vtd_routed_here(dev) ? 0 : -EIO;
}

/*
 * Let the function send no requests any more. This changes only the register; the function's driver
 * has to change the bit in struct pci_dev. Does not sleep.
 */
void vtd_clear_master(struct pci_dev *pdev)
{
	u16 command = 0;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (command & PCI_COMMAND_MASTER)
		pci_write_config_word(pdev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
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
	/* During a reset do nothing: its end restores the state from before. */
	if (!ret && dev->resetting)
		ret = -EAGAIN;
	if (!ret)
		wd_iommu_mark_master(pdev);
out:
	spin_unlock_irqrestore(&unit->qi.lock, flags);
	return ret;
}

/* Without a unit, only a function that was never routed may be bus master. */
static int vtd_set_master_alone(struct pci_dev *pdev, int vsec)
{
	if (vtd_routing(pdev, vsec) & VTD_VSEC_ROUTING_VALID)
		return -ENODEV;
	wd_iommu_mark_master(pdev);
	return 0;
}

/**
 * vtd_set_master - make a function of the machine bus master, if that is safe
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
