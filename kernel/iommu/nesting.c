// SPDX-License-Identifier: GPL-2.0-only
/*
 * User-managed tables: allocate, free, and bind at [device, PASID] or at a requester id. The
 * record of a bound table is in the list of the parent, so the parent cannot be freed.
 */
#include <linux/err.h>
#include <linux/module.h>

#include "iommu_layer.h"

static bool wd_ops_nest(const struct wd_iommu_ops *ops)
{
	return ops->pgtable_alloc && ops->pgtable_free && ops->bind_pgtable && ops->unbind_pgtable;
}

/**
 * wd_iommu_can_nest - does the IOMMU of a device support user-managed tables?
 * @dev: device
 *
 * Return: false also for an unclaimed device.
 */
bool wd_iommu_can_nest(struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	bool can;

	if (!device)
		return false;
	can = wd_ops_nest(device->iommu->ops);
	wd_device_unuse(device);
	return can;
}
EXPORT_SYMBOL_GPL(wd_iommu_can_nest);

static struct wd_pgtable *wd_pgtable_alloc(struct wd_device *device, struct iommu_domain *parent,
					   u32 flags, const struct wd_user_data *data)
{
	const struct wd_iommu_ops *ops = device->iommu->ops;
	struct wd_pgtable *table;

	if (!wd_ops_nest(ops))
		return ERR_PTR(-EOPNOTSUPP);
	if (!wd_fits_parent(device, parent))
		return ERR_PTR(-EINVAL);
	if (!try_module_get(ops->owner))
		return ERR_PTR(-ENODEV);
	table = ops->pgtable_alloc(device->dev, parent, flags, data);
	if (IS_ERR(table)) {
		module_put(ops->owner);
		return table;
	}
	table->parent = parent;
	table->ops = ops;
	table->binds = 0;
	return table;
}

/**
 * wd_iommu_pgtable_alloc - allocate a user-managed table
 * @dev: device that it is for; it may also be bound to other devices of IOMMUs of the same driver
 * @parent: nesting parent, kept by the caller until the table is freed
 * @flags: IOMMU_HWPT_ALLOC_PASID
 * @data: the user's description of the table
 *
 * Return: the table; ERR_PTR of -ENODEV if @dev is not claimed, -EOPNOTSUPP if its IOMMU does not
 * nest or does not know the type or a flag, -EINVAL for a parent of another driver or bad data,
 * -ENOMEM.
 */
struct wd_pgtable *wd_iommu_pgtable_alloc(struct device *dev, struct iommu_domain *parent,
					  u32 flags, const struct wd_user_data *data)
{
	struct wd_device *device = wd_device_use(dev);
	struct wd_pgtable *table;

	if (!device)
		return ERR_PTR(-ENODEV);
	table = wd_pgtable_alloc(device, parent, flags, data);
	wd_device_unuse(device);
	return table;
}
EXPORT_SYMBOL_GPL(wd_iommu_pgtable_alloc);

/**
 * wd_iommu_pgtable_free - undo wd_iommu_pgtable_alloc()
 * @table: not bound any more. Otherwise this warns and keeps it, since devices still use it
 */
void wd_iommu_pgtable_free(struct wd_pgtable *table)
{
	const struct wd_iommu_ops *ops = table->ops;

	if (WARN_ON(!wd_pgtable_unused(table)))
		return;
	ops->pgtable_free(table);
	module_put(ops->owner);
}
EXPORT_SYMBOL_GPL(wd_iommu_pgtable_free);

/* --- bind and unbind, with the device's lock held --- */

static int wd_bind_pasid(struct wd_device *device, struct wd_pgtable *table, ioasid_t pasid)
{
	struct wd_attach *record;
	int ret;

	ret = wd_check_pasid(device, pasid);
	if (ret)
		return ret;
	record = wd_attach_add(table->parent, device, pasid, table);
	if (IS_ERR(record))
		return PTR_ERR(record);
	ret = table->ops->bind_pgtable(table, device->dev, pasid);
	if (ret)
		wd_attach_remove(record);
	return ret;
}

static int wd_bind_rid(struct wd_device *device, struct wd_pgtable *table)
{
	int ret;

	lockdep_assert_held(&device->lock);
	ret = wd_rid_take(device, table->parent, table);
	if (ret)
		return ret;
	ret = table->ops->bind_pgtable(table, device->dev, IOMMU_NO_PASID);
	if (ret)
		wd_rid_give_back(device);
	return ret;
}

static int wd_bind(struct iommu_domain *parent, struct device *dev, struct wd_pgtable *table,
		   ioasid_t pasid)
{
	struct wd_device *device = wd_device_use(dev);
	int ret = -EINVAL;

	if (!device)
		return -ENODEV;
	if (table->parent == parent && table->ops == device->iommu->ops)
		ret = pasid == IOMMU_NO_PASID ? wd_bind_rid(device, table)
					      : wd_bind_pasid(device, table, pasid);
	WD_DEBUG_ON(!wd_attach_agrees(device, pasid));
	wd_device_unuse(device);
	return ret;
}

/**
 * wd_iommu_bind_pgtable - bind a user-managed table at the requester id of a device
 * @parent: the parent of @table
 * @dev: device. The core has blocked its requester id, since the caller owns its group's DMA; or
 *	the core has attached @parent there
 * @table: user-managed table, kept by the caller until the unbind
 *
 * If the requester id was blocked, the bind is one step: no request ever uses @parent alone.
 *
 * Return: 0; -ENODEV if @dev is not claimed; -EINVAL if something else is attached there, @parent
 * is not the parent of @table, or the device's IOMMU cannot use the table; -EBUSY if the layer has
 * attached something there; -ENOSPC if the IOMMU has no room for more tables; -ENOMEM.
 */
int wd_iommu_bind_pgtable(struct iommu_domain *parent, struct device *dev, struct wd_pgtable *table)
{
	return wd_bind(parent, dev, table, IOMMU_NO_PASID);
}
EXPORT_SYMBOL_GPL(wd_iommu_bind_pgtable);

/**
 * wd_iommu_bind_pgtable_pasid - attach a parent at [device, PASID], and a table nested on it
 * @parent: the parent of @table
 * @dev: device
 * @table: user-managed table, kept by the caller until the unbind
 * @pasid: PASID, free
 *
 * Return: 0; -ENODEV if @dev is not claimed; -EOPNOTSUPP without PASIDs; -EINVAL for a PASID out of
 * range (0 too), a wrong @parent, or a table that the device's IOMMU cannot use; -EBUSY if (@dev,
 * @pasid) is taken; -ENOMEM.
 */
int wd_iommu_bind_pgtable_pasid(struct iommu_domain *parent, struct device *dev,
				struct wd_pgtable *table, ioasid_t pasid)
{
	return pasid == IOMMU_NO_PASID ? -EINVAL : wd_bind(parent, dev, table, pasid);
}
EXPORT_SYMBOL_GPL(wd_iommu_bind_pgtable_pasid);

/**
 * wd_iommu_unbind_pgtable - undo wd_iommu_bind_pgtable()
 * @parent: the domain given then
 * @dev: device
 * @table: the table given then
 *
 * In one step this goes back to the core's attachment: blocked, or @parent. When it returns no
 * request uses @table. Nothing happens if the device has been released meanwhile, or if the core
 * has attached something: both have unbound the table.
 */
void wd_iommu_unbind_pgtable(struct iommu_domain *parent, struct device *dev,
			     struct wd_pgtable *table)
{
	wd_detach_from(parent, table, dev, IOMMU_NO_PASID);
}
EXPORT_SYMBOL_GPL(wd_iommu_unbind_pgtable);

/**
 * wd_iommu_unbind_pgtable_pasid - undo wd_iommu_bind_pgtable_pasid()
 * @parent: the domain given then; this detaches it, too
 * @dev: device
 * @table: the table given then
 * @pasid: PASID
 *
 * When it returns no request of [@dev, @pasid] reaches memory. Nothing happens if the device has
 * been released meanwhile.
 */
void wd_iommu_unbind_pgtable_pasid(struct iommu_domain *parent, struct device *dev,
				   struct wd_pgtable *table, ioasid_t pasid)
{
	if (pasid != IOMMU_NO_PASID)
		wd_detach_from(parent, table, dev, pasid);
}
EXPORT_SYMBOL_GPL(wd_iommu_unbind_pgtable_pasid);

/**
 * wd_iommu_cache_invalidate - invalidate translations of a user-managed table after a change
 * @table: kept by the caller; need not be bound
 * @type: enum iommu_hwpt_invalidate_data_type
 * @entries: kernel copy of the user's entries
 * @entry_len: bytes of each
 * @count: number; 0 only asks whether @type is known
 * @done: receives the number of entries that were done, also on error
 *
 * Return: 0; -EOPNOTSUPP if the IOMMU cannot do this, or for an unknown flag in an entry; -EINVAL
 * if @type does not fit the table, for a wrong length or a bad entry.
 */
int wd_iommu_cache_invalidate(struct wd_pgtable *table, u32 type, const void *entries,
			      u32 entry_len, u32 count, u32 *done)
{
	*done = 0;
	if (!table->ops->cache_invalidate)
		return -EOPNOTSUPP;
	return table->ops->cache_invalidate(table, type, entries, entry_len, count, done);
}
EXPORT_SYMBOL_GPL(wd_iommu_cache_invalidate);
