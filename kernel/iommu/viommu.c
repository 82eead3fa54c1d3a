// SPDX-License-Identifier: GPL-2.0-only
/* Virtual IOMMUs: what all drivers have in common (IOMMUFD-VIOMMU-1 to IOMMUFD-VIOMMU-3). */
#include <linux/export.h>
#include <linux/module.h>

#include "iommu_layer.h"
#include "iommu_viommu.h"

/**
 * wd_viommu_supported - does the IOMMU of a device have this kind of virtual IOMMU?
 * @dev: device
 * @type: enum iommu_viommu_type
 *
 * Return: false also for an unclaimed device.
 */
bool wd_viommu_supported(struct device *dev, u32 type)
{
	struct wd_device *device = wd_device_use(dev);
	const struct wd_iommu_ops *ops;
	bool known;

	if (!device)
		return false;
	ops = device->iommu->ops;
	known = ops->viommu_alloc && ops->viommu_type == type;
	wd_device_unuse(device);
	return known;
}
EXPORT_SYMBOL_GPL(wd_viommu_supported);

static struct wd_viommu *wd_viommu_make(struct wd_device *device, struct iommu_domain *parent,
					u32 type, u64 region_offset, struct wd_user_data *user)
{
	const struct wd_iommu_ops *ops = device->iommu->ops;
	struct wd_viommu *viommu;

	if (!ops->viommu_alloc || ops->viommu_type != type)
		return ERR_PTR(-EOPNOTSUPP);
	if (!wd_fits_parent(device, parent))
		return ERR_PTR(-EINVAL);
	if (!try_module_get(ops->owner))
		return ERR_PTR(-ENODEV);
	viommu = ops->viommu_alloc(device->dev, parent, region_offset, user);
	if (IS_ERR(viommu)) {
		module_put(ops->owner);
		return viommu;
	}
	viommu->parent = parent;
	viommu->ops = ops;
	viommu->iommu = device->iommu;
	init_rwsem(&viommu->lock);
	xa_init(&viommu->devices);
	return viommu;
}

/**
 * wd_viommu_alloc - make a virtual IOMMU
 * @dev: a device of the physical IOMMU
 * @parent: nesting parent, kept by the caller until the virtual IOMMU is freed
 * @type: enum iommu_viommu_type
 * @region_offset: where the user can map its region, for the driver to tell
 * @user: in: what the user says of it, or NULL; out: the driver's answer
 * @report: takes its events
 * @data: for @report
 *
 * Return: the virtual IOMMU; ERR_PTR of -ENODEV @dev is not claimed, -EOPNOTSUPP, -EINVAL @parent is
 * of another driver or @user is bad, -ENOMEM.
 */
struct wd_viommu *wd_viommu_alloc(struct device *dev, struct iommu_domain *parent, u32 type,
				  u64 region_offset, struct wd_user_data *user,
				  wd_viommu_report_t report, void *data)
{
	struct wd_device *device = wd_device_use(dev);
	struct wd_viommu *viommu;

	if (!device)
		return ERR_PTR(-ENODEV);
	viommu = wd_viommu_make(device, parent, type, region_offset, user);
	if (!IS_ERR(viommu)) {
		viommu->report = report;
		viommu->data = data;
	}
	wd_device_unuse(device);
	return viommu;
}
EXPORT_SYMBOL_GPL(wd_viommu_alloc);

/**
 * wd_viommu_free - undo wd_viommu_alloc()
 * @viommu: without devices, tables and queues
 */
void wd_viommu_free(struct wd_viommu *viommu)
{
	const struct wd_iommu_ops *ops = viommu->ops;

	WARN_ON(!xa_empty(&viommu->devices));
	xa_destroy(&viommu->devices);
	ops->viommu_free(viommu);
	module_put(ops->owner);
}
EXPORT_SYMBOL_GPL(wd_viommu_free);

/**
 * wd_viommu_owns - is a device behind the IOMMU of a virtual IOMMU?
 * @viommu: virtual IOMMU
 * @dev: device
 *
 * Return: false also for a device without an IOMMU.
 */
bool wd_viommu_owns(const struct wd_viommu *viommu, struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	bool same;

	if (!device)
		return false;
	/* The IOMMU may be gone, and another one may be at its address. */
	same = device->iommu == viommu->iommu && device->iommu->ops == viommu->ops;
	wd_device_unuse(device);
	return same;
}
EXPORT_SYMBOL_GPL(wd_viommu_owns);

/**
 * wd_viommu_add_device - give a device an id of the virtual machine
 * @viommu: virtual IOMMU
 * @dev: device, kept by the caller until wd_viommu_remove_device()
 * @virt_id: the id
 *
 * Return: 0; -EINVAL the device belongs to another IOMMU; -EEXIST the id is taken; -ENOMEM.
 */
int wd_viommu_add_device(struct wd_viommu *viommu, struct device *dev, unsigned long virt_id)
{
	int ret;

	if (!wd_viommu_owns(viommu, dev))
		return -EINVAL;
	down_write(&viommu->lock);
	ret = xa_insert(&viommu->devices, virt_id, dev, GFP_KERNEL_ACCOUNT);
	up_write(&viommu->lock);
	return ret == -EBUSY ? -EEXIST : ret;
}
EXPORT_SYMBOL_GPL(wd_viommu_add_device);

/* Undo wd_viommu_add_device(). When this returns no call uses the device by this id. */
void wd_viommu_remove_device(struct wd_viommu *viommu, unsigned long virt_id)
{
	down_write(&viommu->lock);
	xa_erase(&viommu->devices, virt_id);
	up_write(&viommu->lock);
}
EXPORT_SYMBOL_GPL(wd_viommu_remove_device);

/**
 * wd_viommu_table_alloc - allocate a user-managed table of a virtual IOMMU
 * @viommu: kept by the caller until the table is freed by wd_iommu_pgtable_free()
 * @dev: device that it is for
 * @flags: IOMMU_HWPT_ALLOC_PASID
 * @data: the user's description of the table
 *
 * Return: the table; ERR_PTR of -EINVAL @dev belongs to another IOMMU or bad data, -EOPNOTSUPP the
 * virtual IOMMU has none, or does not know the type or a flag, -ENOMEM.
 */
struct wd_pgtable *wd_viommu_table_alloc(struct wd_viommu *viommu, struct device *dev, u32 flags,
					 const struct wd_user_data *data)
{
	const struct wd_iommu_ops *ops = viommu->ops;
	struct wd_pgtable *table;

	if (!wd_viommu_owns(viommu, dev))
		return ERR_PTR(-EINVAL);
	if (!ops->viommu_table_alloc)
		return ERR_PTR(-EOPNOTSUPP);
	__module_get(ops->owner);
	table = ops->viommu_table_alloc(viommu, flags, data);
	if (IS_ERR(table)) {
		module_put(ops->owner);
		return table;
	}
	table->parent = viommu->parent;
	table->ops = ops;
	table->binds = 0;
	return table;
}
EXPORT_SYMBOL_GPL(wd_viommu_table_alloc);

/**
 * wd_viommu_invalidate - invalidate what devices of a virtual IOMMU have cached
 * @viommu: virtual IOMMU
 * @type: enum iommu_hwpt_invalidate_data_type
 * @entries: as for wd_iommu_cache_invalidate()
 * @entry_len: likewise
 * @count: likewise
 * @done: likewise
 *
 * Return: as wd_iommu_cache_invalidate().
 */
int wd_viommu_invalidate(struct wd_viommu *viommu, u32 type, const void *entries, u32 entry_len,
			 u32 count, u32 *done)
{
	int ret;

	*done = 0;
	if (!viommu->ops->viommu_invalidate)
		return -EOPNOTSUPP;
	down_read(&viommu->lock);
	ret = viommu->ops->viommu_invalidate(viommu, type, entries, entry_len, count, done);
	up_read(&viommu->lock);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_viommu_invalidate);

/* Does it have queues of this enum iommu_hw_queue_type? */
bool wd_viommu_has_queues(const struct wd_viommu *viommu, u32 type)
{
	return viommu->ops->viommu_queue_add && viommu->ops->viommu_queue_type == type;
}
EXPORT_SYMBOL_GPL(wd_viommu_has_queues);

u32 wd_viommu_nr_queues(const struct wd_viommu *viommu)
{
	return viommu->ops->viommu_nr_queues;
}
EXPORT_SYMBOL_GPL(wd_viommu_nr_queues);

/**
 * wd_viommu_queue_add - give the hardware memory for a queue
 * @viommu: virtual IOMMU that wd_viommu_has_queues()
 * @index: number of the queue, below wd_viommu_nr_queues(); those with lower numbers exist
 * @base: physical address of its memory, which stays until wd_viommu_queue_remove()
 * @length: bytes
 *
 * Return: 0; -EINVAL the memory does not fit; other errors of the driver.
 */
int wd_viommu_queue_add(struct wd_viommu *viommu, u32 index, phys_addr_t base, size_t length)
{
	return viommu->ops->viommu_queue_add(viommu, index, base, length);
}
EXPORT_SYMBOL_GPL(wd_viommu_queue_add);

void wd_viommu_queue_remove(struct wd_viommu *viommu, u32 index)
{
	viommu->ops->viommu_queue_remove(viommu, index);
}
EXPORT_SYMBOL_GPL(wd_viommu_queue_remove);

struct device *wd_viommu_find_device(struct wd_viommu *viommu, unsigned long virt_id)
{
	lockdep_assert_held(&viommu->lock);
	return xa_load(&viommu->devices, virt_id);
}
EXPORT_SYMBOL_GPL(wd_viommu_find_device);

bool wd_viommu_find_id(struct wd_viommu *viommu, const struct device *dev, unsigned long *virt_id)
{
	unsigned long id;
	void *entry;
	bool found = false;

	down_read(&viommu->lock);
	xa_for_each (&viommu->devices, id, entry) {
		found = entry == dev;
		if (found) {
			*virt_id = id;
			break;
		}
	}
	up_read(&viommu->lock);
	return found;
}
EXPORT_SYMBOL_GPL(wd_viommu_find_id);
