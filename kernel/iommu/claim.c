// SPDX-License-Identifier: GPL-2.0-only
/*
 * The claim of a device, and its end, which detaches everything.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "iommu_layer.h"

/**
 * wd_iommu_device_claimed - let something be attached at a device from now on
 * @iommu: registered IOMMU that translates for it
 * @dev: device
 *
 * Return: 0; -ENODEV if @iommu is not registered; -EBUSY if @dev is claimed; -ENOMEM.
 */
int wd_iommu_device_claimed(struct iommu_device *iommu, struct device *dev)
{
	struct wd_device *device = kzalloc(sizeof(*device), GFP_KERNEL);
	int ret;

	if (!device)
		return -ENOMEM;
	kref_init(&device->kref);
	mutex_init(&device->lock);
	xa_init(&device->pasids);
	INIT_LIST_HEAD(&device->rid.node);
	INIT_LIST_HEAD(&device->replaces);
	device->rid.device = device;
	device->rid.pasid = IOMMU_NO_PASID;
	device->dev = dev;
	wd_faults_init(device);

	ret = wd_device_insert(device, iommu);
	if (ret)
		wd_device_put(device);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_device_claimed);

/**
 * wd_iommu_device_released - a device leaves its IOMMU
 * @dev: device; if it is not claimed nothing happens
 *
 * The driver has blocked the requester id already. When this returns no call for @dev is running;
 * later calls fail with -ENODEV, and the layer drops later answers to page requests of @dev.
 */
void wd_iommu_device_released(struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	struct wd_attach *record;
	unsigned long pasid;

	if (!device)
		return;
	device->gone = true;
	wd_replaces_release(device);
	xa_for_each (&device->pasids, pasid, record)
		wd_detach(device, record);
	record = wd_attach_at(device, IOMMU_NO_PASID);
	if (record)
		wd_detach(device, record);
	wd_faults_release(device);
	mutex_lock(&wd_lock);
	wd_rid_forget(device);
	wd_device_remove(device);
	mutex_unlock(&wd_lock);
	wd_device_unuse(device);
	wd_device_put(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_device_released);
