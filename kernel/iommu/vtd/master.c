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
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sysfs.h>

#include "iommu_master.h"
#include "iommu_pasid.h"
#include "vtd.h"

/*
 * struct pci_dev notes bus mastering, ATS and page requests as bits of one word, so of two writes
 * at the same time one is lost. The PCI core writes them under the device's lock, which attaching
 * and detaching cannot take; nothing is attached then, or the function is being reset. All writers
 * of ours hold this one, the innermost.
 */
DEFINE_SPINLOCK(vtd_marks_lock);

/* The routing word; 0 if it cannot be read. */
static u32 vtd_routing(struct pci_dev *pdev, int vsec)
{
	u32 routing = 0;

	if (pci_read_config_dword(pdev, vsec + VTD_VSEC_ROUTING, &routing))
		return 0;
	return routing;
}

/* Its requests go through the unit, with its own requester id. */
bool vtd_routed_here(const struct vtd_dev *dev)
{
	return vtd_routing(dev->pdev, dev->vsec) == (dev->rid | VTD_VSEC_ROUTING_VALID);
}

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

/* --- the death of a unit --- */

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

/*
 * Once more: code that changes another bit of a command register reads, changes and writes it
 * without any lock, so it may have written the old state of this bit.
 */
static void vtd_death_work(struct work_struct *work)
{
	struct vtd_unit *unit = container_of(work, struct vtd_unit, death);
	struct vtd_dev *dev;
	unsigned long rid;

	mutex_lock(&unit->devices_lock);
	xa_for_each (&unit->devices, rid, dev)
		vtd_clear_master(dev->pdev);
	mutex_unlock(&unit->devices_lock);
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

/* --- permission --- */

static void vtd_set_master(struct pci_dev *pdev)
{
	unsigned long flags;

	spin_lock_irqsave(&vtd_marks_lock, flags);
	pci_set_master(pdev);
	spin_unlock_irqrestore(&vtd_marks_lock, flags);
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
		vtd_set_master(pdev);
out:
	spin_unlock_irqrestore(&unit->qi.lock, flags);
	return ret;
}

/* There is no unit: only a function that is routed to none may master the bus. */
static int vtd_set_master_alone(struct pci_dev *pdev, int vsec)
{
	if (vtd_routing(pdev, vsec) & VTD_VSEC_ROUTING_VALID)
		return -ENODEV;
	vtd_set_master(pdev);
	return 0;
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
	struct vtd_unit *unit;
	int vsec, ret;
	u32 flags;

	vsec = vtd_find_vsec(pdev, &flags);
	if (!vsec) {
		vtd_set_master(pdev);
		return 0;
	}
	mutex_lock(&vtd_units_lock);
	unit = vtd_unit_of_segment(pdev);
	ret = unit ? vtd_unit_set_master(unit, pdev) : vtd_set_master_alone(pdev, vsec);
	mutex_unlock(&vtd_units_lock);
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

	spin_lock_irqsave(&vtd_marks_lock, flags);
	pci_clear_master(pdev);
	spin_unlock_irqrestore(&vtd_marks_lock, flags);
}
EXPORT_SYMBOL_GPL(wd_iommu_clear_master);
