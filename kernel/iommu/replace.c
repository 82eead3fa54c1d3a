// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replace one attachment by another. All steps that may fail come before any change. So a caller
 * can change several devices together, or none: it prepares all of them, then commits or aborts.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommu_layer.h"

/**
 * struct wd_replace - a prepared replacement
 * @device: the device, held
 * @node: in wd_device.replaces, as long as the device is claimed; under its lock
 * @pasid: PASID, or IOMMU_NO_PASID
 * @domain: the new domain
 * @table: user-managed table on @domain, or NULL
 * @entry: prepared by the driver; NULL after the release of the device has aborted it
 */
struct wd_replace {
	struct wd_device *device;
	struct list_head node;
	ioasid_t pasid;
	struct iommu_domain *domain;
	struct wd_pgtable *table;
	struct wd_new_entry *entry;
};

static int wd_replace_check(struct wd_device *device, const struct wd_replace *replace)
{
	const struct wd_iommu_ops *ops = device->iommu->ops;

	if (!ops->replace_prepare || !ops->replace_commit || !ops->replace_abort)
		return -EOPNOTSUPP;
	if (!wd_fits_parent(device, replace->domain))
		return -EINVAL;
	if (replace->table &&
	    (replace->table->parent != replace->domain || replace->table->ops != ops))
		return -EINVAL;
	return wd_attach_at(device, replace->pasid) ? 0 : -EINVAL;
}

static int wd_replace_prepare(struct wd_device *device, struct wd_replace *replace)
{
	int ret;

	lockdep_assert_held(&device->lock);
	ret = wd_replace_check(device, replace);
	if (ret)
		return ret;
	replace->entry = device->iommu->ops->replace_prepare(replace->domain, replace->table,
							     device->dev, replace->pasid);
	if (IS_ERR(replace->entry))
		return PTR_ERR(replace->entry);
	list_add_tail(&replace->node, &device->replaces);
	return 0;
}

/**
 * wd_iommu_replace_prepare - prepare to replace an attachment
 * @domain: new paging domain, of the device's IOMMU driver
 * @table: new user-managed table on @domain, or NULL
 * @dev: device
 * @pasid: PASID, or IOMMU_NO_PASID for a requester id that wd_iommu_attach_rid() or
 *	wd_iommu_bind_pgtable() was called for
 *
 * This changes nothing yet. The caller keeps @domain and @table, and then commits or aborts.
 *
 * Return: the replacement; ERR_PTR of -ENODEV if @dev is not claimed; -EOPNOTSUPP if its IOMMU
 * cannot replace; -EINVAL if nothing is attached there, or @domain or @table does not fit; -ENOSPC
 * if the IOMMU has no room for more tables; -ENOMEM.
 */
struct wd_replace *wd_iommu_replace_prepare(struct iommu_domain *domain, struct wd_pgtable *table,
					    struct device *dev, ioasid_t pasid)
{
	struct wd_device *device = wd_device_use(dev);
	struct wd_replace *replace;
	int ret;

	if (!device)
		return ERR_PTR(-ENODEV);
	replace = kzalloc(sizeof(*replace), GFP_KERNEL_ACCOUNT);
	if (!replace) {
		wd_device_unuse(device);
		return ERR_PTR(-ENOMEM);
	}
	replace->device = device;
	replace->pasid = pasid;
	replace->domain = domain;
	replace->table = table;
	ret = wd_replace_prepare(device, replace);
	if (ret) {
		wd_device_unuse(device);
		kfree(replace);
		return ERR_PTR(ret);
	}
	/* Drop only the lock: @replace keeps the reference to the device. */
	mutex_unlock(&device->lock);
	return replace;
}
EXPORT_SYMBOL_GPL(wd_iommu_replace_prepare);

static void wd_replace_free(struct wd_replace *replace)
{
	wd_device_unuse(replace->device);
	kfree(replace);
}

/**
 * wd_iommu_replace_commit - make the prepared change
 * @replace: the replacement, which this frees
 *
 * Each request finds either the old attachment or the new one. After the return no request finds
 * the old one. If the old attachment has ended meanwhile, this attaches nothing: the device was
 * released, or the core has attached something to the requester id.
 */
void wd_iommu_replace_commit(struct wd_replace *replace)
{
	struct wd_device *device = replace->device;

	mutex_lock(&device->lock);
	if (replace->entry) {
		list_del(&replace->node);
		if (device->iommu->ops->replace_commit(device->dev, replace->entry))
			wd_attach_move(device, replace->pasid, replace->domain, replace->table);
		WD_DEBUG_ON(!wd_attach_agrees(device, replace->pasid));
	}
	wd_replace_free(replace);
}
EXPORT_SYMBOL_GPL(wd_iommu_replace_commit);

static void wd_replace_abort(struct wd_replace *replace)
{
	struct wd_device *device = replace->device;

	lockdep_assert_held(&device->lock);
	list_del(&replace->node);
	device->iommu->ops->replace_abort(replace->entry);
	replace->entry = NULL;
}

/**
 * wd_iommu_replace_abort - undo wd_iommu_replace_prepare()
 * @replace: the replacement, which this frees
 */
void wd_iommu_replace_abort(struct wd_replace *replace)
{
	mutex_lock(&replace->device->lock);
	if (replace->entry)
		wd_replace_abort(replace);
	wd_replace_free(replace);
}
EXPORT_SYMBOL_GPL(wd_iommu_replace_abort);

/* The device is being released: abort all prepared replacements. */
void wd_replaces_release(struct wd_device *device)
{
	struct wd_replace *replace, *next;

	list_for_each_entry_safe (replace, next, &device->replaces, node)
		wd_replace_abort(replace);
}
