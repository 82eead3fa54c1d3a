// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets of a device. From 7.0 on, Linux itself tells the IOMMU driver about a reset. On older
 * kernels the code that resets the device calls these functions: a PCI driver in its reset_prepare
 * and reset_done.
 */
#include <linux/module.h>

#include "iommu_layer.h"

/**
 * wd_iommu_reset_prepare - a device is about to be reset
 * @dev: device; if it is not claimed nothing happens
 *
 * When it returns no request of the device reaches memory, and all its page requests have an
 * answer. Page requests after the reset may have the same group indices, and must not get answers
 * to the old ones: an owner that answers an old one later gets -ECANCELED. Attach and detach are
 * possible during the reset, and take effect after it. May sleep. Calls nest.
 */
void wd_iommu_reset_prepare(struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	const struct wd_iommu_ops *ops;

	if (!device)
		return;
	ops = device->iommu->ops;
	if (!device->resets++ && ops->reset_prepare) {
		ops->reset_prepare(dev);
		wd_faults_cancel(device);
	}
	wd_device_unuse(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_reset_prepare);

/**
 * wd_iommu_reset_done - a device has been reset, and its configuration space is restored
 * @dev: as given to wd_iommu_reset_prepare(); this undoes that call
 */
void wd_iommu_reset_done(struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	const struct wd_iommu_ops *ops;

	if (!device)
		return;
	ops = device->iommu->ops;
	/* The count is 0 if the device was claimed during the reset. */
	if (device->resets && !--device->resets && ops->reset_done)
		ops->reset_done(dev);
	wd_device_unuse(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_reset_done);
