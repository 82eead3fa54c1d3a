// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets of a device. Linux does this by itself from 7.0 on; before, the code that resets the
 * device calls these functions: a PCI driver in its reset_prepare and reset_done.
 */
#include <linux/module.h>

#include "iommu_layer.h"

/**
 * wd_iommu_reset_prepare - a device is about to be reset
 * @dev: device; if it is not claimed nothing happens
 *
 * When it returns no request of the device reaches memory, and page requests that it has made are
 * answered: requests from after the reset may have the same group indices, and must not get answers
 * to the old ones. An owner that answers an old one gets -ECANCELED. Attaching and detaching are
 * possible meanwhile, and take effect after the reset. May sleep. Calls nest.
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
 * wd_iommu_reset_done - a device has been reset, and has its configuration again
 * @dev: as given to wd_iommu_reset_prepare(); this undoes that call
 */
void wd_iommu_reset_done(struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	const struct wd_iommu_ops *ops;

	if (!device)
		return;
	ops = device->iommu->ops;
	/* 0: it was claimed during the reset. */
	if (device->resets && !--device->resets && ops->reset_done)
		ops->reset_done(dev);
	wd_device_unuse(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_reset_done);
