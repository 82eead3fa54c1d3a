// SPDX-License-Identifier: GPL-2.0-only
/*
 * Services of the IOMMU layer that Linux 6.1 lacks: attach of kernel-managed page tables at PASIDs,
 * and at requester ids that the core has blocked, and queries about a device's IOMMU.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iommu_layer.h"

/**
 * wd_iommu_takes_domain_data - may user space describe domains of the IOMMU of a device?
 * @dev: device
 *
 * Return: false also for an unclaimed device.
 */
bool wd_iommu_takes_domain_data(struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	bool takes;

	if (!device)
		return false;
	takes = device->iommu->ops->domain_data;
	wd_device_unuse(device);
	return takes;
}
EXPORT_SYMBOL_GPL(wd_iommu_takes_domain_data);

/**
 * wd_iommu_domain_alloc_user - allocate a paging domain for user space
 * @dev: device that it is for; it may be attached to other devices of the same IOMMU, too
 * @flags: IOMMU_HWPT_ALLOC_*
 * @data: what user space says of the domain, if wd_iommu_takes_domain_data(); or NULL
 *
 * Free it with iommu_domain_free().
 *
 * Return: the domain; ERR_PTR of -ENODEV if @dev is not claimed, -EOPNOTSUPP, -ENOMEM.
 */
struct iommu_domain *wd_iommu_domain_alloc_user(struct device *dev, u32 flags,
						const struct wd_user_data *data)
{
	struct wd_device *device = wd_device_use(dev);
	struct iommu_domain *domain;

	if (!device)
		return ERR_PTR(-ENODEV);
	if (data && !device->iommu->ops->domain_data)
		domain = ERR_PTR(-EOPNOTSUPP);
	else
		domain = device->iommu->ops->domain_alloc_user(dev, flags, data);
	if (!IS_ERR_OR_NULL(domain))
		wd_domain_peek(domain)->ops = device->iommu->ops;
	wd_device_unuse(device);
	return domain;
}
EXPORT_SYMBOL_GPL(wd_iommu_domain_alloc_user);

/**
 * wd_iommu_domain_serves - can an existing domain be used instead of a new one?
 * @domain: from wd_iommu_domain_alloc_user(), kept by the caller
 * @dev: device that needs a domain
 * @flags: IOMMU_HWPT_ALLOC_*
 *
 * Return: true if wd_iommu_domain_alloc_user() would make a domain that differs only in its
 * mappings.
 */
bool wd_iommu_domain_serves(struct iommu_domain *domain, struct device *dev, u32 flags)
{
	struct wd_device *device = wd_device_use(dev);
	const struct wd_iommu_ops *ops;
	bool serves;

	if (!device)
		return false;
	ops = device->iommu->ops;
	serves = ops->domain_serves && wd_fits_parent(device, domain) &&
		 ops->domain_serves(domain, dev, flags);
	wd_device_unuse(device);
	return serves;
}
EXPORT_SYMBOL_GPL(wd_iommu_domain_serves);

/**
 * wd_iommu_read_dirty - look for pages that devices have written
 * @domain: from wd_iommu_domain_alloc_user() with IOMMU_HWPT_ALLOC_DIRTY_TRACKING, kept by the
 *	caller
 * @read: what to look for, and whom to tell
 *
 * The caller may get the same page reported twice, but none is left out that was written before the
 * call and not reported since: it clears what it has reported, and reads the pages after the call.
 *
 * Return: 0; -EIO if an IOMMU does not answer; then all of it may be dirty.
 */
int wd_iommu_read_dirty(struct iommu_domain *domain, const struct wd_dirty_read *read)
{
	return wd_domain_peek(domain)->ops->read_dirty(domain, read);
}
EXPORT_SYMBOL_GPL(wd_iommu_read_dirty);

/**
 * wd_iommu_mark_dirty - take pages for dirty again, of which nobody could be told
 * @domain: as for wd_iommu_read_dirty()
 * @first: first address
 * @last: last address
 */
void wd_iommu_mark_dirty(struct iommu_domain *domain, u64 first, u64 last)
{
	wd_domain_peek(domain)->ops->mark_dirty(domain, first, last);
}
EXPORT_SYMBOL_GPL(wd_iommu_mark_dirty);

static int wd_attach_pasid(struct iommu_domain *domain, struct wd_device *device, ioasid_t pasid)
{
	struct wd_attach *record;
	int ret;

	ret = wd_check_pasid(device, pasid);
	if (ret)
		return ret;
	record = wd_attach_add(domain, device, pasid, NULL);
	if (IS_ERR(record))
		return PTR_ERR(record);
	ret = device->iommu->ops->set_dev_pasid(domain, device->dev, pasid);
	if (!ret)
		return 0;
	wd_attach_remove(record);
	return ret;
}

/**
 * wd_iommu_attach_device_pasid - install a domain at [device, PASID]
 * @domain: paging domain of the device's IOMMU driver; may be attached at many places
 * @dev: device
 * @pasid: PASID, 1 .. wd_iommu_max_pasids() - 1
 *
 * The caller keeps @domain until the detach.
 *
 * Return: 0; -ENODEV if @dev is not claimed; -EOPNOTSUPP without PASIDs; -EINVAL for a PASID out of
 * range or a domain that cannot be attached there; -EBUSY if (@dev, @pasid) is taken; -ENOSPC if
 * the IOMMU has no place for more tables; -ENOMEM.
 */
int wd_iommu_attach_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	struct wd_device *device = wd_device_use(dev);
	int ret;

	if (!device)
		return -ENODEV;
	ret = wd_attach_pasid(domain, device, pasid);
	WD_DEBUG_ON(!wd_attach_agrees(device, pasid));
	wd_device_unuse(device);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_attach_device_pasid);

static int wd_attach_rid(struct iommu_domain *domain, struct wd_device *device)
{
	int ret;

	ret = wd_rid_take(device, domain, NULL);
	if (ret)
		return ret;
	ret = device->iommu->ops->set_dev_pasid(domain, device->dev, IOMMU_NO_PASID);
	if (ret)
		wd_rid_give_back(device);
	return ret;
}

/**
 * wd_iommu_attach_rid - attach a domain at a requester id that the core has blocked
 * @domain: as in wd_iommu_attach_device_pasid()
 * @dev: device; the caller owns its group's DMA, so the core has blocked the requester id
 *
 * For the core the requester id stays blocked. So the layer can replace this attachment in one
 * step, which the core cannot do.
 *
 * Return: as wd_iommu_attach_device_pasid(); -EINVAL also if the requester id is not blocked.
 */
int wd_iommu_attach_rid(struct iommu_domain *domain, struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	int ret;

	if (!device)
		return -ENODEV;
	ret = wd_attach_rid(domain, device);
	wd_device_unuse(device);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_attach_rid);

/**
 * wd_iommu_detach_device_pasid - undo wd_iommu_attach_device_pasid()
 * @domain: the domain given then
 * @dev: device
 * @pasid: PASID
 *
 * When it returns no request of [@dev, @pasid] reaches memory through @domain. Nothing happens if
 * the device has been released meanwhile, which detached it.
 */
void wd_iommu_detach_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	if (pasid != IOMMU_NO_PASID)
		wd_detach_from(domain, NULL, dev, pasid);
}
EXPORT_SYMBOL_GPL(wd_iommu_detach_device_pasid);

/**
 * wd_iommu_detach_rid - undo wd_iommu_attach_rid()
 * @domain: the domain given then
 * @dev: device
 *
 * When it returns the requester id is blocked. Nothing happens if the device has been released
 * meanwhile, or the core has attached something there.
 */
void wd_iommu_detach_rid(struct iommu_domain *domain, struct device *dev)
{
	wd_detach_from(domain, NULL, dev, IOMMU_NO_PASID);
}
EXPORT_SYMBOL_GPL(wd_iommu_detach_rid);

/**
 * wd_iommu_max_pasids - how many PASIDs a device can use
 * @dev: device
 *
 * Return: PASIDs 1 .. n-1 can be attached; 0 if none, also for an unclaimed device.
 */
u32 wd_iommu_max_pasids(struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	u32 max;

	if (!device)
		return 0;
	max = device->iommu->ops->max_pasids(dev);
	wd_device_unuse(device);
	return max;
}
EXPORT_SYMBOL_GPL(wd_iommu_max_pasids);

/**
 * wd_iommu_hw_info - describe a device's IOMMU
 * @dev: device
 * @info: filled
 *
 * Return: 0; -ENODEV if @dev is not claimed.
 */
int wd_iommu_hw_info(struct device *dev, struct wd_iommu_hw_info *info)
{
	struct wd_device *device = wd_device_use(dev);
	int ret;

	if (!device)
		return -ENODEV;
	memset(info, 0, sizeof(*info));
	ret = device->iommu->ops->hw_info(dev, info);
	wd_device_unuse(device);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_hw_info);
