// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domain identifiers: the unit tags its cache entries with them, one for each page table that it
 * walks. A unit has at most 2^16, and a user must not take them all. So a function may use no more
 * than its share, and the last ones are reserved for the kernel's own domains: without one, no
 * function can be claimed.
 */
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sysfs.h>
#include <linux/xarray.h>

#include "regs.h"
#include "vtd.h"

/* A function's share is 1/16 of the identifiers, but never less than VTD_DID_SHARE_MIN. */
#define VTD_DID_SHARES 16
#define VTD_DID_SHARE_MIN 8
/* 1/64 of the identifiers is reserved for the kernel. */
#define VTD_DID_RESERVES 64

static unsigned int vtd_did_last(const struct vtd_unit *unit)
{
	return (1U << min(vtd_cap_domain_bits(unit->cap), 16U)) - 1;
}

static unsigned int vtd_did_count(const struct vtd_unit *unit)
{
	return vtd_did_last(unit) - VTD_DID_FIRST + 1;
}

/* How many identifiers the attachments of a function's users may have. */
static unsigned int vtd_did_share(const struct vtd_unit *unit)
{
	return max(vtd_did_count(unit) / VTD_DID_SHARES, (unsigned int)VTD_DID_SHARE_MIN);
}

/**
 * vtd_did_alloc - allocate an identifier of a unit
 * @unit: the unit
 * @kernel: for a domain of the kernel's own
 *
 * Return: the identifier; -ENOSPC if none is left; -ENOMEM.
 */
int vtd_did_alloc(struct vtd_unit *unit, bool kernel)
{
	unsigned int last = vtd_did_last(unit);
	int did;

	if (!kernel)
		last -= max(vtd_did_count(unit) / VTD_DID_RESERVES, 1U);
	did = ida_alloc_range(&unit->dids, VTD_DID_FIRST, last,
			      kernel ? GFP_KERNEL : GFP_KERNEL_ACCOUNT);
	if (did == -ENOSPC)
		dev_warn_ratelimited(&unit->pdev->dev, "all %u domain identifiers are in use\n",
				     vtd_did_count(unit));
	else if (did >= 0)
		atomic_inc(&unit->dids_used);
	return did;
}

/* Free @did. No cache entry has it any more; if the unit is dead one may, so keep it reserved. */
void vtd_did_free(struct vtd_unit *unit, u16 did)
{
	if (vtd_unit_dead(unit))
		return;
	ida_free(&unit->dids, did);
	atomic_dec(&unit->dids_used);
}

/**
 * vtd_did_charge - count one more place of a function that uses an identifier
 * @dev: function
 * @did: identifier
 *
 * The share limits the number of different identifiers of the function, not of places.
 *
 * Return: 0; -ENOSPC if the function would exceed its share; -ENOMEM.
 */
int vtd_did_charge(struct vtd_dev *dev, u16 did)
{
	unsigned int share = vtd_did_share(dev->unit);
	void *places;
	int ret = 0;

	mutex_lock(&dev->dids_lock);
	places = xa_load(&dev->dids, did);
	if (places)
		places = xa_mk_value(xa_to_value(places) + 1);
	else if (dev->nr_dids < share)
		places = xa_mk_value(1);
	else
		ret = -ENOSPC;
	if (!ret)
		ret = xa_err(xa_store(&dev->dids, did, places, GFP_KERNEL_ACCOUNT));
	if (!ret && xa_to_value(places) == 1)
		dev->nr_dids++;
	mutex_unlock(&dev->dids_lock);
	if (ret == -ENOSPC)
		dev_warn_ratelimited(&dev->pdev->dev,
				     "its share of %u domain identifiers is in use\n", share);
	return ret;
}

/* Undo vtd_did_charge(). */
void vtd_did_uncharge(struct vtd_dev *dev, u16 did)
{
	unsigned long places;

	mutex_lock(&dev->dids_lock);
	places = xa_to_value(xa_load(&dev->dids, did));
	if (places > 1) {
		/* This replaces an entry of the xarray, so it allocates nothing. */
		xa_store(&dev->dids, did, xa_mk_value(places - 1), GFP_KERNEL_ACCOUNT);
	} else {
		xa_erase(&dev->dids, did);
		dev->nr_dids--;
	}
	mutex_unlock(&dev->dids_lock);
}

/* --- /sys/class/iommu/<name>/ --- */

static ssize_t domain_ids_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vtd_unit *unit = vtd_unit_of(dev);

	return sysfs_emit(buf, "%d of %u, %u a function\n", atomic_read(&unit->dids_used),
			  vtd_did_count(unit), vtd_did_share(unit));
}
static DEVICE_ATTR_RO(domain_ids);

static struct attribute *vtd_did_attrs[] = {
	&dev_attr_domain_ids.attr,
	NULL,
};

const struct attribute_group vtd_did_group = {
	.attrs = vtd_did_attrs,
};
