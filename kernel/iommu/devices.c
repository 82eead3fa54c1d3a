// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMUs and their operations, and the devices that they have claimed.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "iommu_layer.h"

/* Threads of page request queues take this lock, so no code allocates under it. */
DEFINE_MUTEX(wd_lock);
static LIST_HEAD(wd_iommus);
static DEFINE_XARRAY(wd_devices); /* struct wd_device by struct device * */

static void wd_device_free(struct kref *kref)
{
	struct wd_device *device = container_of(kref, struct wd_device, kref);

	WARN_ON(!list_empty(&device->partial));
	xa_destroy(&device->handlers);
	mutex_destroy(&device->fault_lock);
	xa_destroy(&device->pasids);
	mutex_destroy(&device->lock);
	kfree(device);
}

void wd_device_get(struct wd_device *device)
{
	kref_get(&device->kref);
}

void wd_device_put(struct wd_device *device)
{
	kref_put(&device->kref, wd_device_free);
}

struct wd_device *wd_device_peek(struct device *dev)
{
	lockdep_assert_held(&wd_lock);
	return xa_load(&wd_devices, wd_index(dev));
}

/* Take a reference; NULL if @dev is not claimed. The claim may end at any time. */
struct wd_device *wd_device_find(struct device *dev)
{
	struct wd_device *device;

	mutex_lock(&wd_lock);
	device = wd_device_peek(dev);
	if (device)
		wd_device_get(device);
	mutex_unlock(&wd_lock);
	return device;
}

/*
 * Take a reference to a device and its lock. Until wd_device_unuse() the device stays claimed, and
 * the caller may call operations of the driver. Return: NULL if the device is not claimed.
 */
struct wd_device *wd_device_use(struct device *dev)
{
	struct wd_device *device = wd_device_find(dev);

	if (!device)
		return NULL;
	mutex_lock(&device->lock);
	if (!device->gone)
		return device;
	mutex_unlock(&device->lock);
	wd_device_put(device);
	return NULL;
}

void wd_device_unuse(struct wd_device *device)
{
	mutex_unlock(&device->lock);
	wd_device_put(device);
}

/* Whether the device can use the PASID. Return: 0, -EOPNOTSUPP without PASIDs, or -EINVAL. */
int wd_check_pasid(struct wd_device *device, ioasid_t pasid)
{
	u32 max = device->iommu->ops->max_pasids(device->dev);

	lockdep_assert_held(&device->lock);
	if (!max)
		return -EOPNOTSUPP;
	return pasid == IOMMU_NO_PASID || pasid >= max ? -EINVAL : 0;
}

static struct wd_iommu *wd_find_iommu(struct iommu_device *iommu)
{
	struct wd_iommu *found;

	lockdep_assert_held(&wd_lock);
	list_for_each_entry (found, &wd_iommus, node)
		if (found->iommu == iommu)
			return found;
	return NULL;
}

/**
 * wd_iommu_register - tell the layer of an IOMMU and its operations
 * @iommu: the IOMMU, before iommu_device_register()
 * @ops: operations, which stay until wd_iommu_unregister()
 *
 * Return: 0; -EBUSY if @iommu is registered already; -ENOMEM.
 */
int wd_iommu_register(struct iommu_device *iommu, const struct wd_iommu_ops *ops)
{
	struct wd_iommu *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL);
	int ret = 0;

	if (!fresh)
		return -ENOMEM;
	fresh->iommu = iommu;
	fresh->ops = ops;
	mutex_lock(&wd_lock);
	if (wd_find_iommu(iommu))
		ret = -EBUSY;
	else
		list_add_tail(&fresh->node, &wd_iommus);
	mutex_unlock(&wd_lock);
	if (ret)
		kfree(fresh);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_register);

/**
 * wd_iommu_unregister - undo wd_iommu_register()
 * @iommu: the IOMMU, after iommu_device_unregister(), which has released every device
 */
void wd_iommu_unregister(struct iommu_device *iommu)
{
	struct wd_iommu *found;

	mutex_lock(&wd_lock);
	found = wd_find_iommu(iommu);
	if (found && !WARN_ON(found->devices))
		list_del(&found->node);
	else
		found = NULL;
	mutex_unlock(&wd_lock);
	kfree(found);
}
EXPORT_SYMBOL_GPL(wd_iommu_unregister);

/**
 * wd_iommu_fault_count - how many groups of page requests the layer has answered itself
 * @iommu: registered IOMMU
 * @count: reason of the answers
 */
u64 wd_iommu_fault_count(struct iommu_device *iommu, enum wd_fault_count count)
{
	struct wd_iommu *found;
	u64 number = 0;

	mutex_lock(&wd_lock);
	found = wd_find_iommu(iommu);
	if (found)
		number = atomic64_read(&found->fault_counts[count]);
	mutex_unlock(&wd_lock);
	return number;
}
EXPORT_SYMBOL_GPL(wd_iommu_fault_count);

/**
 * wd_device_insert() - enter a device into the table of claimed devices
 * @device: complete, except for its IOMMU
 * @iommu: the device's IOMMU
 *
 * Return: 0; -ENODEV if @iommu is not registered; -EBUSY if the device is claimed; -ENOMEM.
 */
int wd_device_insert(struct wd_device *device, struct iommu_device *iommu)
{
	unsigned long index = wd_index(device->dev);
	int ret;

	ret = xa_reserve(&wd_devices, index, GFP_KERNEL);
	if (ret)
		return ret;
	mutex_lock(&wd_lock);
	device->iommu = wd_find_iommu(iommu);
	if (!device->iommu)
		ret = -ENODEV;
	else if (xa_load(&wd_devices, index))
		ret = -EBUSY;
	else
		ret = xa_err(xa_store(&wd_devices, index, device, 0));
	if (ret)
		xa_release(&wd_devices, index);
	else
		device->iommu->devices++;
	mutex_unlock(&wd_lock);
	return ret;
}

/* Undo wd_device_insert(). */
void wd_device_remove(struct wd_device *device)
{
	lockdep_assert_held(&wd_lock);
	xa_erase(&wd_devices, wd_index(device->dev));
	device->iommu->devices--;
}
