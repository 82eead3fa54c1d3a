// SPDX-License-Identifier: GPL-2.0-only
/* Groups of the IOMMU core: reference counts, members and numbers. */
#include "group.h"
#include "core/immortal.h"

#include <linux/bug.h>
#include <linux/slab.h>

#include <map>
#include <mutex>
#include <new>

using namespace wd::hostkernel;

namespace
{

/* A new group gets the lowest free number. */
struct GroupTable {
	std::mutex mutex;
	std::map<int, iommu_group *> groups;

	int insert(iommu_group *group)
	{
		std::lock_guard lock(mutex);
		int id = 0;

		for (const auto &[number, other] : groups) {
			if (number != id)
				break;
			id++;
		}
		groups.emplace(id, group);
		return id;
	}
};

GroupTable &table()
{
	static Immortal<GroupTable> instance;

	return *instance;
}

/* LINUX-DOM-3 */
void release(iommu_group *group)
{
	{
		GroupTable &t = table();
		std::lock_guard lock(t.mutex);

		t.groups.erase(group->id);
	}
	groupSysfsDestroy(group->sysfs);
	if (group->dataRelease)
		group->dataRelease(group->data);
	if (group->defaultDomain)
		iommu_domain_free(group->defaultDomain);
	if (group->blockingDomain)
		iommu_domain_free(group->blockingDomain);
	mutex_destroy(&group->mutex);
	group->~iommu_group();
	kfree(group);
}

} // namespace

iommu_group *iommu_group_alloc(void)
{
	/*
	 * From the kernel's allocator, so that the leak report shows a reference that is never
	 * dropped.
	 */
	void *memory = kzalloc(sizeof(iommu_group), GFP_KERNEL);

	if (!memory)
		return static_cast<iommu_group *>(ERR_PTR(-ENOMEM));
	auto *group = new (memory) iommu_group;

	mutex_init(&group->mutex);
	group->id = table().insert(group);
	group->sysfs = groupSysfsCreate(group);
	if (IS_ERR(group->sysfs)) {
		const long rc = PTR_ERR(group->sysfs);

		group->sysfs = nullptr;
		release(group);
		return static_cast<iommu_group *>(ERR_PTR(rc));
	}
	return group;
}

iommu_group *iommu_group_ref_get(iommu_group *group)
{
	group->refs.fetch_add(1, std::memory_order_relaxed);
	return group;
}

iommu_group *iommu_group_get(device *dev)
{
	return dev->iommu_group ? iommu_group_ref_get(dev->iommu_group) : nullptr;
}

void iommu_group_put(iommu_group *group)
{
	if (group && group->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
		release(group);
}

int iommu_group_id(iommu_group *group)
{
	return group->id;
}

int iommu_group_add_device(iommu_group *group, device *dev)
{
	GroupDevice member{dev, {}};
	int rc = groupSysfsLink(group->sysfs, member);

	if (rc)
		return rc;
	iommu_group_ref_get(group);
	dev->iommu_group = group;
	{
		MutexLock lock(group->mutex);

		group->devices.push_back(member);
		/* The group has a domain already: attach the new device to it at once. */
		if (group->domain)
			rc = iommuAttachOne(group->domain, dev);
		if (rc)
			group->devices.pop_back();
	}
	if (rc) {
		dev->iommu_group = nullptr;
		groupSysfsUnlink(group->sysfs, member);
		iommu_group_put(group);
		return rc;
	}
	dev_info(dev, "Adding to iommu group %d\n", group->id);
	return 0;
}

void iommu_group_remove_device(device *dev)
{
	iommu_group *group = dev->iommu_group;
	GroupDevice member{};

	if (!group)
		return;
	dev_info(dev, "Removing from iommu group %d\n", group->id);
	{
		MutexLock lock(group->mutex);

		for (auto it = group->devices.begin(); it != group->devices.end(); ++it) {
			if (it->dev != dev)
				continue;
			member = *it;
			group->devices.erase(it);
			break;
		}
	}
	if (!member.dev)
		return;
	groupSysfsUnlink(group->sysfs, member);
	dev->iommu_group = nullptr;
	iommu_group_put(group);
}

int iommu_group_for_each_dev(iommu_group *group, void *data, int (*fn)(device *, void *))
{
	MutexLock lock(group->mutex);

	for (const GroupDevice &member : group->devices) {
		const int rc = fn(member.dev, data);

		if (rc)
			return rc;
	}
	return 0;
}

iommu_group *generic_device_group(device *)
{
	return iommu_group_alloc();
}
