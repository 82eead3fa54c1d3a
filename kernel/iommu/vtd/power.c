// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleep, wake-up and shutdown of a unit.
 *
 * In a sleep (ACPI S3) the unit loses its registers and the functions lose their routing, while the
 * PCI core gives every function its bus mastering back as it was. So the unit must be translating
 * and every claimed function routed to it before the PCI core restores the first function. Device
 * links make it so:
 *
 *	bridges <- unit <- functions	(the arrow points at the one that wakes first)
 *
 * The unit depends on the bridges, since it reaches the functions through them. All of it happens
 * with interrupts off, when no code runs that could make a function issue requests.
 *
 * The tables stay in memory, and attaching and detaching meanwhile change them as usual. A flush
 * that finds the unit asleep has nothing to do: it wakes with empty caches.
 */
#include <linux/device.h>
#include <linux/io.h>
#include <linux/pci-ats.h>

#include "iommu_master.h"
#include "regs.h"
#include "vtd.h"

/**
 * vtd_power_link - let a function sleep before its unit, and wake after it
 * @unit: its unit
 * @pdev: the function
 *
 * The function has a driver only while the unit has one: it loses it before the unit does, and is
 * probed when the unit comes back. That link stays for as long as there are both devices.
 *
 * Return: 0 or -ENOMEM.
 */
int vtd_power_link(struct vtd_unit *unit, struct pci_dev *pdev)
{
	struct pci_dev *bridge = pci_upstream_bridge(pdev);
	struct device *dev = &unit->pdev->dev;

	if (!device_link_add(&pdev->dev, dev, DL_FLAG_AUTOPROBE_CONSUMER))
		return -ENOMEM;
	if (!bridge || device_link_add(dev, &bridge->dev, DL_FLAG_STATELESS))
		return 0;
	return -ENOMEM;
}

/* The link to the bridge may be gone, as it is with a device that was removed. */
void vtd_power_unlink(struct vtd_unit *unit, struct pci_dev *pdev)
{
	struct pci_dev *bridge = pci_upstream_bridge(pdev);

	if (bridge)
		device_link_remove(&unit->pdev->dev, &bridge->dev);
}

/*
 * The function issues no requests, and keeps no translations. The PCI core's notes are not changed:
 * it has saved the registers, and restores them when the function wakes.
 */
static void vtd_dev_silence(struct vtd_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;
	u16 word = 0;

	vtd_clear_master(pdev);
	if (!dev->ats_cap)
		return;
	pci_read_config_word(pdev, dev->ats_cap + PCI_ATS_CTRL, &word);
	pci_write_config_word(pdev, dev->ats_cap + PCI_ATS_CTRL, word & ~PCI_ATS_CTRL_ENABLE);
}

/* The PCI core must not give it bus mastering: its requests would reach memory untranslated. */
static void vtd_dev_distrust(struct vtd_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;

	wd_iommu_clear_master(pdev);
	pdev->saved_config_space[PCI_COMMAND / 4] &= ~PCI_COMMAND_MASTER;
	dev_err(&pdev->dev, "not behind the IOMMU after the sleep: no bus mastering\n");
}

/**
 * vtd_unit_sleep - end the work of a unit, for a sleep or for good
 * @unit: the unit; the users of its functions have stopped them, or are stopped themselves
 *
 * Functions first: their requests would reach memory when translation is off.
 */
void vtd_unit_sleep(struct vtd_unit *unit)
{
	struct vtd_dev *dev;
	unsigned long rid;

	mutex_lock(&unit->devices_lock);
	xa_for_each (&unit->devices, rid, dev)
		vtd_dev_silence(dev);
	mutex_unlock(&unit->devices_lock);
	/*
	 * Their page requests are reported and answered: when they wake they have forgotten them.
	 */
	vtd_prq_sync(unit);
	mutex_lock(&unit->devices_lock);
	xa_for_each (&unit->devices, rid, dev)
		if (dev->pri_cap)
			wd_iommu_faults_cancel(&dev->pdev->dev);
	mutex_unlock(&unit->devices_lock);
	vtd_unit_events(unit, false);
	vtd_unit_quiet(unit);
	vtd_prq_disable(unit);
	/* Its caches could not be emptied, otherwise. */
	if (vtd_qi_disable(unit) || vtd_unit_command(unit, VTD_GCMD_TE, false))
		vtd_unit_kill(unit);
}

/**
 * vtd_unit_wake - back to work after a sleep
 * @unit: asleep; its functions have no bus mastering yet
 *
 * Return: 0; an error if the unit does not work any more: then none of its functions does.
 */
int vtd_unit_wake(struct vtd_unit *unit)
{
	struct vtd_dev *dev;
	unsigned long rid;
	int ret = -ENODEV;

	if (readq(unit->regs + VTD_REG_CAP) == unit->cap &&
	    readq(unit->regs + VTD_REG_ECAP) == unit->ecap)
		ret = vtd_unit_enable(unit);
	if (!ret && vtd_unit_dead(unit))
		ret = -EIO;
	if (ret) {
		dev_err(&unit->pdev->dev, "does not wake: %d\n", ret);
		vtd_unit_kill(unit);
	}
	mutex_lock(&unit->devices_lock);
	xa_for_each (&unit->devices, rid, dev)
		if (ret || vtd_route(dev))
			vtd_dev_distrust(dev);
	mutex_unlock(&unit->devices_lock);
	if (!ret)
		vtd_unit_events(unit, true);
	return ret;
}
