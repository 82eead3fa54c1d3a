// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleep, wake-up and shutdown of a unit.
 *
 * In a sleep (ACPI S3) the unit loses its registers and the functions lose their routing. After it,
 * the PCI core restores bus mastering of every function. So before the PCI core restores the first
 * function, the unit must translate, and every claimed function must be routed to it. Device links
 * make sure of this order:
 *
 *	bridges <- unit <- functions	(the arrow points at the one that wakes first)
 *
 * The unit depends on the bridges, since it reaches the functions through them. All of this happens
 * in the "noirq" phase, when no driver runs that could make a function send requests.
 *
 * The tables stay in memory. An attach or detach during the sleep changes them as usual. A flush
 * during the sleep does nothing, since the unit wakes with empty caches.
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
 * Linux unbinds the function's driver before it unbinds the unit's driver, and probes the function
 * again after the unit. This link stays as long as both devices exist.
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

/* Remove the link to the bridge, if the removal of a device has not done so. */
void vtd_power_unlink(struct vtd_unit *unit, struct pci_dev *pdev)
{
	struct pci_dev *bridge = pci_upstream_bridge(pdev);

	if (bridge)
		device_link_remove(&unit->pdev->dev, &bridge->dev);
}

/*
 * Let the function send no requests and keep no translations. This changes only registers, which
 * the PCI core has saved and restores when the function wakes, and not the bits in struct pci_dev.
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

/* Keep the PCI core from restoring bus mastering: requests would reach memory untranslated. */
static void vtd_dev_distrust(struct vtd_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;

	wd_iommu_clear_master(pdev);
	pdev->saved_config_space[PCI_COMMAND / 4] &= ~PCI_COMMAND_MASTER;
	dev_err(&pdev->dev, "not behind the IOMMU after the sleep: no bus mastering\n");
}

/**
 * vtd_unit_sleep - end the work of a unit, for a sleep or for good
 * @unit: the unit; drivers have stopped its functions, or do not run any more
 *
 * This silences the functions before it switches translation off: after that, requests would reach
 * memory.
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
	 * Report and answer all page requests: after the sleep the functions do not know them.
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
	/* A unit that does not follow may keep translations in its caches. */
	if (vtd_qi_disable(unit) || vtd_unit_command(unit, VTD_GCMD_TE, false))
		vtd_unit_kill(unit);
}

/**
 * vtd_unit_wake - let a unit work again after a sleep
 * @unit: asleep; its functions have no bus mastering yet
 *
 * Return: 0, or an error if the unit does not work any more; then its functions get no bus
 * mastering.
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
		/* If the unit does not work, requests may reach memory untranslated. */
		if (vtd_route(dev) || ret)
			vtd_dev_distrust(dev);
	mutex_unlock(&unit->devices_lock);
	if (!ret)
		vtd_unit_events(unit, true);
	return ret;
}
