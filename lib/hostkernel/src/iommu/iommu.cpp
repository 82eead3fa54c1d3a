// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU core: instances, and the offer of each device to the IOMMU driver. LINUX-REG-1: the
 * callbacks for one device come in the order probe_device, device_group, def_domain_type,
 * domain_alloc, get_resv_regions, attach_dev, probe_finalize.
 */
#include <linux/iommu.h>

#include <linux/bug.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "core/immortal.h"
#include "group.h"

using namespace wd::hostkernel;

namespace
{

/* One for all instances: only one device at a time goes through probe_device and device_group. */
mutex probeMutex = __MUTEX_INITIALIZER(probeMutex);

/* Buses in the order in which registration walks them. */
bus_type *const kBuses[] = {&platform_bus_type, &pci_bus_type};

struct Instances {
	std::mutex mutex;
	std::vector<iommu_device *> list;
};

Instances &instances()
{
	static Immortal<Instances> object;

	return *object;
}

/*
 * Type of the default domain if the driver has no preference. Linux sets it by "iommu.passthrough"
 * and "iommu.strict".
 */
std::atomic<unsigned> defaultType{IOMMU_DOMAIN_DMA_FQ};

/* --- one device --- */

int makeDevIommu(device *dev)
{
	if (dev->iommu)
		return 0;
	auto *param = static_cast<dev_iommu *>(kzalloc(sizeof(dev_iommu), GFP_KERNEL));

	if (!param)
		return -ENOMEM;
	mutex_init(&param->lock);
	dev->iommu = param;
	return 0;
}

void freeDevIommu(device *dev)
{
	dev_iommu *param = dev->iommu;

	dev->iommu = nullptr;
	if (!param)
		return;
	mutex_destroy(&param->lock);
	kfree(param);
}

/* Put @dev into its group. @return a reference to the group, or ERR_PTR. */
iommu_group *joinGroup(device *dev)
{
	iommu_group *group = iommu_group_get(dev);

	if (group)
		return group;
	group = dev_iommu_ops(dev)->device_group(dev);
	if (WARN_ON_ONCE(!group))
		return static_cast<iommu_group *>(ERR_PTR(-EINVAL));
	if (IS_ERR(group))
		return group;
	const int rc = iommu_group_add_device(group, dev);

	if (rc) {
		iommu_group_put(group);
		return static_cast<iommu_group *>(ERR_PTR(rc));
	}
	return group;
}

/* LINUX-REG-4, LINUX-REG-5: offer @dev to the driver. The caller holds the probe mutex. */
int claimLocked(device *dev, const iommu_ops *ops, std::vector<iommu_group *> *fresh)
{
	int rc = makeDevIommu(dev);

	if (rc)
		return rc;
	if (!try_module_get(ops->owner)) {
		freeDevIommu(dev);
		return -EINVAL;
	}
	iommu_device *instance = ops->probe_device(dev);

	if (IS_ERR(instance)) {
		module_put(ops->owner);
		freeDevIommu(dev);
		return static_cast<int>(PTR_ERR(instance));
	}
	dev->iommu->iommu_dev = instance;
	iommu_group *group = joinGroup(dev);

	if (IS_ERR(group)) {
		if (ops->release_device)
			ops->release_device(dev);
		module_put(ops->owner);
		freeDevIommu(dev);
		return static_cast<int>(PTR_ERR(group));
	}
	if (fresh && !group->defaultDomain &&
	    std::find(fresh->begin(), fresh->end(), group) == fresh->end())
		fresh->push_back(iommu_group_ref_get(group));
	iommu_group_put(group);
	return 0;
}

/*
 * Offer @dev to the driver of its bus. @fresh collects groups that need a default domain, with a
 * reference.
 */
int claimDevice(device *dev, std::vector<iommu_group *> *fresh)
{
	const iommu_ops *ops = dev->bus ? dev->bus->iommu_ops : nullptr;

	if (!ops)
		return -ENODEV;
	{
		MutexLock lock(probeMutex);
		const int rc = claimLocked(dev, ops, fresh);

		if (rc)
			return rc;
	}
	// NOLINTNEXTLINE(clang-analyzer-core.NullDereference): claimLocked() has set it
	iommu_device_link(dev->iommu->iommu_dev, dev);
	return 0;
}

void releaseDevice(device *dev)
{
	if (!dev->iommu)
		return;
	const iommu_ops *ops = dev_iommu_ops(dev);

	iommu_device_unlink(dev->iommu->iommu_dev, dev);
	if (ops->release_device)
		ops->release_device(dev);
	{
		/* device_group() of another device may just have found this group. */
		MutexLock lock(probeMutex);

		iommu_group_remove_device(dev);
	}
	module_put(ops->owner);
	freeDevIommu(dev);
}

void finalize(device *dev)
{
	const iommu_ops *ops = dev_iommu_ops(dev);

	if (ops->probe_finalize)
		ops->probe_finalize(dev);
}

bool deferred(device *dev)
{
	const iommu_ops *ops = dev_iommu_ops(dev);

	return ops->is_attach_deferred && ops->is_attach_deferred(dev);
}

/* --- a device that appears after its bus got a driver --- */

int attachLate(iommu_group *group, device *dev)
{
	MutexLock lock(group->mutex);

	groupAllocDefaultDomain(group, dev->bus);
	if (!group->defaultDomain)
		return 0;
	groupMapDirect(group, dev);
	/*
	 * If the group has an owner it keeps the owner's domain. The device has joined that
	 * already.
	 */
	if (group->owner || group->domain != nullptr)
		return 0;
	if (!deferred(dev)) {
		const int rc = iommuAttachOne(group->defaultDomain, dev);

		if (rc)
			return rc;
	}
	group->domain = group->defaultDomain;
	return 0;
}

int probeDevice(device *dev)
{
	int rc = claimDevice(dev, nullptr);

	if (rc)
		return rc;
	iommu_group *group = iommu_group_get(dev);

	if (!group) {
		releaseDevice(dev);
		return -ENODEV;
	}
	rc = attachLate(group, dev);
	iommu_group_put(group);
	if (rc) {
		releaseDevice(dev);
		return rc;
	}
	finalize(dev);
	return 0;
}

/* LINUX-REG-7 */
int onBusEvent(notifier_block *, unsigned long action, void *data)
{
	auto *dev = static_cast<device *>(data);

	if (action == BUS_NOTIFY_ADD_DEVICE)
		return probeDevice(dev) ? NOTIFY_DONE : NOTIFY_OK;
	if (action == BUS_NOTIFY_REMOVED_DEVICE) {
		releaseDevice(dev);
		return NOTIFY_OK;
	}
	return NOTIFY_DONE;
}

notifier_block busNotifiers[std::size(kBuses)];

/* --- all devices of a bus --- */

int attachFirst(iommu_group *group)
{
	for (const GroupDevice &member : group->devices) {
		if (deferred(member.dev))
			continue;
		const int rc = iommuAttachOne(group->defaultDomain, member.dev);

		if (rc)
			return rc;
	}
	group->domain = group->defaultDomain;
	return 0;
}

int finalizeGroup(iommu_group *group, bus_type *bus)
{
	std::vector<device *> devices;
	{
		MutexLock lock(group->mutex);

		groupAllocDefaultDomain(group, bus);
		/* Without memory the devices stay without domain. */
		if (!group->defaultDomain)
			return 0;
		for (const GroupDevice &member : group->devices) {
			groupMapDirect(group, member.dev);
			devices.push_back(member.dev);
		}
		if (!group->domain) {
			const int rc = attachFirst(group);

			if (rc)
				return rc;
		}
	}
	for (device *dev : devices)
		finalize(dev);
	return 0;
}

int offer(device *dev, void *data)
{
	if (dev->iommu_group)
		return 0;
	const int rc = claimDevice(dev, static_cast<std::vector<iommu_group *> *>(data));

	return rc == -ENODEV ? 0 : rc;
}

int probeBus(bus_type *bus)
{
	std::vector<iommu_group *> fresh;
	int rc = bus_for_each_dev(bus, nullptr, &fresh, offer);

	for (iommu_group *group : fresh) {
		if (!rc)
			rc = finalizeGroup(group, bus);
		iommu_group_put(group);
	}
	return rc;
}

int releaseOf(device *dev, void *instance)
{
	if (dev->iommu && dev->iommu->iommu_dev == instance)
		releaseDevice(dev);
	return 0;
}

/* --- default domain --- */

/* LINUX-DOM-1: the type that all members want, or the global default. */
unsigned groupDefaultType(iommu_group *group)
{
	int type = 0;

	for (const GroupDevice &member : group->devices) {
		const iommu_ops *ops = dev_iommu_ops(member.dev);
		int wanted = 0;

		if (dev_is_pci(member.dev) && to_pci_dev(member.dev)->untrusted)
			wanted = IOMMU_DOMAIN_DMA;
		else if (ops->def_domain_type)
			wanted = ops->def_domain_type(member.dev);
		if (!wanted)
			continue;
		if (type && type != wanted) {
			dev_warn(member.dev,
				 "Device needs domain type %d, but another device of "
				 "iommu group %d needs type %d - using default\n",
				 wanted, group->id, type);
			return iommuDefaultType();
		}
		type = wanted;
	}
	return type ? static_cast<unsigned>(type) : iommuDefaultType();
}

} // namespace

namespace wd::hostkernel
{

unsigned iommuDefaultType()
{
	return defaultType;
}

int groupAllocDefaultDomain(iommu_group *group, bus_type *bus)
{
	if (group->defaultDomain)
		return 0;
	const unsigned type = groupDefaultType(group);
	iommu_domain *domain = iommuAllocDomain(bus, type);

	if (!domain && type != IOMMU_DOMAIN_DMA) {
		domain = iommuAllocDomain(bus, IOMMU_DOMAIN_DMA);
		if (domain)
			_printk(KERN_INFO "iommu: no default domain of type %u for group %d - "
					  "falling back to type %u\n",
				type, group->id, IOMMU_DOMAIN_DMA);
	}
	if (!domain)
		return -ENOMEM;
	group->defaultDomain = domain;
	return 0;
}

int iommuInit()
{
	defaultType = IOMMU_DOMAIN_DMA_FQ;
	int rc = iommuSysfsInit();

	for (size_t i = 0; !rc && i < std::size(kBuses); i++) {
		busNotifiers[i] = {};
		busNotifiers[i].notifier_call = onBusEvent;
		rc = bus_register_notifier(kBuses[i], &busNotifiers[i]);
	}
	return rc;
}

void iommuExit()
{
	for (size_t i = 0; i < std::size(kBuses); i++) {
		bus_unregister_notifier(kBuses[i], &busNotifiers[i]);
		kBuses[i]->iommu_ops = nullptr;
	}
	iommuSysfsExit();
}

} // namespace wd::hostkernel

bool iommu_default_passthrough(void)
{
	return iommuDefaultType() == IOMMU_DOMAIN_IDENTITY;
}

int iommu_device_register(iommu_device *iommu, const iommu_ops *ops, device *hwdev)
{
	/* An IOMMU driver of the hosted kernel is always a module, so it has an owner. */
	if (WARN_ON(!ops->owner))
		return -EINVAL;
	/* LINUX-REG-3 */
	if (kBuses[0]->iommu_ops && kBuses[0]->iommu_ops != ops)
		return -EBUSY;
	/* Linux would dereference the missing device later. Here it is an error at once. */
	if (WARN_ON(!iommu->dev))
		return -EINVAL;
	iommu->ops = ops;
	iommu->fwnode = hwdev ? hwdev->fwnode : nullptr;
	{
		Instances &all = instances();
		std::lock_guard lock(all.mutex);

		all.list.push_back(iommu);
	}
	for (bus_type *bus : kBuses) {
		bus->iommu_ops = ops;
		const int rc = probeBus(bus);

		if (rc) {
			iommu_device_unregister(iommu);
			return rc;
		}
	}
	return 0;
}

/* LINUX-REG-6, LINUX-REG-8 */
void iommu_device_unregister(iommu_device *iommu)
{
	for (bus_type *bus : kBuses)
		bus_for_each_dev(bus, nullptr, iommu, releaseOf);
	Instances &all = instances();
	std::lock_guard lock(all.mutex);

	std::erase(all.list, iommu);
}

bool device_iommu_capable(device *dev, iommu_cap cap)
{
	if (!dev->iommu || !dev->iommu->iommu_dev)
		return false;
	const iommu_ops *ops = dev_iommu_ops(dev);

	return ops->capable && ops->capable(dev, cap);
}
