// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each attachment has three records: one of iommufd, one of the layer, one of the driver. Each
 * answers other questions (Documentation/design/iommu.rst, "One attachment, three ledgers"). This
 * file compares them, for tests and with WD_DEBUG.
 */
#include <linux/module.h>

#include "iommu_layer.h"

static bool wd_driver_has(struct wd_device *device, ioasid_t pasid, struct iommu_domain *domain,
			  struct wd_pgtable *table)
{
	const struct wd_iommu_ops *ops = device->iommu->ops;

	return !ops->is_attached || ops->is_attached(device->dev, pasid, domain, table);
}

/**
 * wd_attach_agrees - do the layer and the driver have the same attachment?
 * @device: in use
 * @pasid: PASID. IOMMU_NO_PASID is not compared, since the core may change the requester id at any
 *	time: the result is true
 */
bool wd_attach_agrees(struct wd_device *device, ioasid_t pasid)
{
	const struct wd_attach *record;

	lockdep_assert_held(&device->lock);
	if (pasid == IOMMU_NO_PASID)
		return true;
	record = xa_load(&device->pasids, pasid);
	if (!record)
		return wd_driver_has(device, pasid, NULL, NULL);
	return wd_driver_has(device, pasid, record->domain->domain, record->table);
}

/**
 * wd_iommu_attach_agrees - do the layer and the driver have the caller's attachment?
 * @domain: as the caller has attached it
 * @table: user-managed table on it that the caller has bound, or NULL
 * @dev: device
 * @pasid: PASID, or IOMMU_NO_PASID, which is not compared
 *
 * Return: true also if @dev is not claimed: its release has detached everything.
 */
bool wd_iommu_attach_agrees(struct iommu_domain *domain, struct wd_pgtable *table,
			    struct device *dev, ioasid_t pasid)
{
	struct wd_device *device = wd_device_use(dev);
	const struct wd_attach *record;
	bool agrees = true;

	if (!device)
		return true;
	if (pasid != IOMMU_NO_PASID) {
		record = xa_load(&device->pasids, pasid);
		agrees = record && record->domain->domain == domain && record->table == table &&
			 wd_attach_agrees(device, pasid);
	}
	wd_device_unuse(device);
	return agrees;
}
EXPORT_SYMBOL_GPL(wd_iommu_attach_agrees);
