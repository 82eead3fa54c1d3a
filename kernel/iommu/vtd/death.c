// SPDX-License-Identifier: GPL-2.0-only
/*
 * The death of a unit: translations that a silent unit has cached may lead anywhere, so its
 * functions must send nothing any more, and memory that it may still use is not given to others.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sysfs.h>

#include "../trace.h"
#include "iommu_pasid.h"
#include "vtd.h"

/* How long to wait for the lock of a function, the first time and at most. */
#define VTD_LOCK_RETRY_MS 5u
#define VTD_LOCK_RETRY_MOST_MS 320u

/*
 * The function issues no requests any more. Only its register is changed: the function's driver has
 * to change the PCI core's note in struct pci_dev. Atomic.
 */
void vtd_clear_master(struct pci_dev *pdev)
{
	u16 command = 0;

	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (command & PCI_COMMAND_MASTER)
		pci_write_config_word(pdev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
}

/**
 * vtd_unit_died - a unit has not answered
 * @unit: the unit; its queue is locked
 *
 * The unit may use its cached translations for ever. So its functions must send nothing any more,
 * and the queue is not touched again, since the unit may continue to read it some day. Atomic.
 */
void vtd_unit_died(struct vtd_unit *unit)
{
	unsigned int functions = 0;
	struct vtd_dev *dev;
	unsigned long rid;

	lockdep_assert_held(&unit->qi.lock);
	if (unit->dead)
		return;
	WRITE_ONCE(unit->dead, true);
	xa_for_each (&unit->devices, rid, dev) {
		vtd_clear_master(dev->pdev);
		functions++;
	}
	trace_vtd_unit_dead(&unit->pdev->dev, functions);
	schedule_work(&unit->death);
	dev_err(&unit->pdev->dev,
		"does not answer: it is given up, and its %u functions are no bus masters any "
		"more\n",
		functions);
}

/* As vtd_unit_died(), for a unit that refuses a command which it must accept. Any context. */
void vtd_unit_kill(struct vtd_unit *unit)
{
	unsigned long flags;

	spin_lock_irqsave(&unit->qi.lock, flags);
	vtd_unit_died(unit);
	spin_unlock_irqrestore(&unit->qi.lock, flags);
}

/* The next function from *@rid on whose driver has not been told, or NULL; *@rid becomes its own. */
static struct pci_dev *vtd_function_from(struct vtd_unit *unit, unsigned long *rid)
{
	struct pci_dev *pdev = NULL;
	struct vtd_dev *dev;
	unsigned long at;

	mutex_lock(&unit->devices_lock);
	xa_for_each_start (&unit->devices, at, dev, *rid) {
		if (dev->told)
			continue;
		pdev = pci_dev_get(dev->pdev);
		*rid = at;
		break;
	}
	mutex_unlock(&unit->devices_lock);
	return pdev;
}

static void vtd_function_told(struct vtd_unit *unit, unsigned long rid)
{
	struct vtd_dev *dev;

	mutex_lock(&unit->devices_lock);
	dev = xa_load(&unit->devices, rid);
	if (dev)
		dev->told = true;
	mutex_unlock(&unit->devices_lock);
}

static bool vtd_unit_live(struct vtd_unit *unit)
{
	bool live;

	mutex_lock(&vtd_units_lock);
	live = unit->live;
	mutex_unlock(&vtd_units_lock);
	return live;
}

/*
 * As after any error from which a device does not recover: its driver tells the users. The PCI
 * core's own state of the channel stays as it is, since registers can be reached. False if the
 * function is locked: its driver may wait for a user of its own with the lock held.
 */
static bool vtd_report_death(struct pci_dev *pdev)
{
	const struct pci_error_handlers *handlers;

	if (!device_trylock(&pdev->dev))
		return false;
	handlers = pdev->driver ? pdev->driver->err_handler : NULL;
	if (handlers && handlers->error_detected)
		handlers->error_detected(pdev, pci_channel_io_perm_failure);
	device_unlock(&pdev->dev);
	return true;
}

/* Tell those that have not been told. False if the work has to come back for some. */
static bool vtd_report_round(struct vtd_unit *unit)
{
	struct pci_dev *pdev;
	unsigned long rid;
	bool all = true;

	for (rid = 0; (pdev = vtd_function_from(unit, &rid)); rid++) {
		if (vtd_report_death(pdev))
			vtd_function_told(unit, rid);
		else
			all = false;
		pci_dev_put(pdev);
	}
	return all;
}

/*
 * Bus mastering goes once more: code that changes another bit of a command register reads, changes
 * and writes it without any lock, so it may have written the old state of this bit. Then the drivers
 * are told, without any lock of this driver. A function that is locked keeps none of the others
 * waiting.
 *
 * The removal of the unit waits for this work with the unit's lock held, and the reset of a bus
 * locks all devices on it, a function perhaps before the unit. So the work stops coming back when
 * the unit goes: its functions have lost their drivers before.
 */
static void vtd_death_work(struct work_struct *work)
{
	struct vtd_unit *unit = container_of(work, struct vtd_unit, death);
	unsigned int pause_ms = VTD_LOCK_RETRY_MS;
	struct vtd_dev *dev;
	unsigned long rid;

	mutex_lock(&unit->devices_lock);
	xa_for_each (&unit->devices, rid, dev)
		vtd_clear_master(dev->pdev);
	mutex_unlock(&unit->devices_lock);
	while (!vtd_report_round(unit) && vtd_unit_live(unit)) {
		msleep(pause_ms);
		pause_ms = min(2 * pause_ms, VTD_LOCK_RETRY_MOST_MS);
	}
}

void vtd_death_init(struct vtd_unit *unit)
{
	INIT_WORK(&unit->death, vtd_death_work);
}

/* Free pages that the unit does not use any more; a dead unit keeps them. */
void vtd_pages_free(const struct vtd_unit *unit, unsigned long pages, unsigned int order)
{
	if (vtd_unit_dead(unit))
		wd_iommu_leaked(1UL << order);
	else
		free_pages(pages, order);
}

/* --- /sys/class/iommu/<name>/ --- */

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", vtd_unit_dead(vtd_unit_of(dev)) ? "dead" : "live");
}
static DEVICE_ATTR_RO(state);

static struct attribute *vtd_state_attrs[] = {
	&dev_attr_state.attr,
	NULL,
};

const struct attribute_group vtd_state_group = {
	.attrs = vtd_state_attrs,
};
