// SPDX-License-Identifier: GPL-2.0-only
/*
 * The death of a unit: a unit that does not answer may have cached translations that lead to memory
 * of others. So its functions must send nothing any more, and memory that it may use is kept.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sysfs.h>

#include "../trace.h"
#include "iommu_master.h"
#include "iommu_pasid.h"
#include "vtd.h"

/* Time until the work tries the lock of a function again: the first time, and at most. */
#define VTD_LOCK_RETRY_MS 5u
#define VTD_LOCK_RETRY_MOST_MS 320u

/**
 * vtd_unit_died - a unit has not answered
 * @unit: the unit; the caller holds the lock of its queue
 *
 * The unit may use its cached translations for ever. So this takes bus mastering from its
 * functions. The driver does not write to the queue again, since the unit may read on some day. A
 * driver that does not use wd_iommu_set_master() may switch bus mastering on again; so this also
 * gives the unit an empty root table, and a unit that still takes commands then refuses all
 * requests. Does not sleep.
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
	vtd_unit_shut(unit);
	trace_vtd_unit_dead(&unit->pdev->dev, functions);
	/* On a freezable workqueue: the work must not run while functions sleep or wake. */
	queue_delayed_work(system_freezable_wq, &unit->death, 0);
	dev_err(&unit->pdev->dev,
		"does not answer: it is given up, and its %u functions are no bus masters any "
		"more\n",
		functions);
}

/*
 * As vtd_unit_died(), without the lock, e.g. for a unit that refuses a valid command. Any context.
 */
void vtd_unit_kill(struct vtd_unit *unit)
{
	unsigned long flags;

	spin_lock_irqsave(&unit->qi.lock, flags);
	vtd_unit_died(unit);
	spin_unlock_irqrestore(&unit->qi.lock, flags);
}

/*
 * Find the next function from *@rid on whose driver is not told yet, and set *@rid to it.
 * *@leaving: its eviction has begun, so its driver was told before. Return: NULL if there is none.
 */
static struct pci_dev *vtd_function_from(struct vtd_unit *unit, unsigned long *rid, bool *leaving)
{
	struct pci_dev *pdev = NULL;
	struct vtd_dev *dev;
	unsigned long at;

	mutex_lock(&unit->devices_lock);
	xa_for_each_start (&unit->devices, at, dev, *rid) {
		if (dev->told)
			continue;
		pdev = pci_dev_get(dev->pdev);
		*leaving = !dev->eviction;
		*rid = at;
		break;
	}
	mutex_unlock(&unit->devices_lock);
	return pdev;
}

/* Result of telling the driver of a function. */
enum vtd_report {
	VTD_REPORT_LATER, /* try again: the function is locked, or there is no memory */
	VTD_REPORT_EVICT, /* unbind the driver: it does not use wd_iommu_set_master() */
	VTD_REPORT_DONE,  /* the driver knows, or there is none */
};

static void vtd_function_told(struct vtd_unit *unit, unsigned long rid, enum vtd_report report)
{
	struct vtd_dev *dev;

	mutex_lock(&unit->devices_lock);
	dev = xa_load(&unit->devices, rid);
	if (dev && report == VTD_REPORT_DONE)
		dev->told = true;
	else if (dev && report == VTD_REPORT_EVICT)
		vtd_evict(dev);
	mutex_unlock(&unit->devices_lock);
}

/*
 * Tell the driver of a function, as after any error from which a device does not recover; the
 * driver tells its users. The PCI core's error state of the function does not change, since its
 * registers can be reached. This only tries the lock: a driver may hold it while it waits for a
 * user.
 */
static enum vtd_report vtd_report_death(struct vtd_unit *unit, struct pci_dev *pdev, bool leaving)
{
	enum vtd_report report = VTD_REPORT_DONE;
	const struct pci_error_handlers *handlers;

	if (!device_trylock(&pdev->dev))
		return VTD_REPORT_LATER;
	if (!vtd_keep_drivers_off(unit, pdev)) {
		report = VTD_REPORT_LATER;
	} else if (pdev->dev.driver) {
		handlers = pdev->driver->err_handler;
		if (!leaving && handlers && handlers->error_detected)
			handlers->error_detected(pdev, pci_channel_io_perm_failure);
		if (!wd_iommu_driver_asks(pdev->dev.driver))
			report = VTD_REPORT_EVICT;
	}
	device_unlock(&pdev->dev);
	return report;
}

/* Tell all drivers that have not been told. Return: false if the work has to try some again. */
static bool vtd_report_round(struct vtd_unit *unit)
{
	bool all = true, leaving;
	struct pci_dev *pdev;
	unsigned long rid;

	for (rid = 0; (pdev = vtd_function_from(unit, &rid, &leaving)); rid++) {
		enum vtd_report report = vtd_report_death(unit, pdev, leaving);

		vtd_function_told(unit, rid, report);
		/* The driver, or its user, may have switched bus mastering on again. */
		if (report != VTD_REPORT_DONE)
			vtd_clear_master(pdev);
		all &= report == VTD_REPORT_DONE;
		pci_dev_put(pdev);
	}
	return all;
}

/*
 * This takes bus mastering away once more: other code reads, changes and writes the command
 * register without a lock, so it may have written the old value of the bit back. Then it tells the
 * drivers, and holds no lock of this driver meanwhile. One locked function does not delay the
 * others.
 *
 * The removal of the unit waits for this work and holds the unit's device lock; and the reset of a
 * bus locks all devices on it, perhaps a function before the unit. So, to avoid a deadlock, the
 * work waits neither for the lock of a function nor for the unbind of a driver: it tries again
 * later.
 */
static void vtd_death_work(struct work_struct *work)
{
	struct vtd_unit *unit = container_of(to_delayed_work(work), struct vtd_unit, death);
	struct vtd_dev *dev;
	unsigned long rid;

	mutex_lock(&unit->devices_lock);
	xa_for_each (&unit->devices, rid, dev)
		vtd_clear_master(dev->pdev);
	mutex_unlock(&unit->devices_lock);
	if (vtd_report_round(unit))
		return;
	queue_delayed_work(system_freezable_wq, &unit->death,
			   msecs_to_jiffies(unit->death_pause_ms));
	unit->death_pause_ms = min(2 * unit->death_pause_ms, VTD_LOCK_RETRY_MOST_MS);
}

void vtd_death_init(struct vtd_unit *unit)
{
	INIT_DELAYED_WORK(&unit->death, vtd_death_work);
	unit->death_pause_ms = VTD_LOCK_RETRY_MS;
}

/* Free pages that the unit does not use any more. If the unit is dead it may: then keep them. */
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
