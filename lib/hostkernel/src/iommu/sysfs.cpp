// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOMMU core in sysfs: /sys/kernel/iommu_groups/<n>/{type,reserved_regions,devices/},
 * /sys/class/iommu/<instance>/devices/, and the links of devices to both.
 */
#include "group.h"

#include <linux/bug.h>
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include <cstdarg>
#include <cstddef>
#include <cstdio>

namespace wd::hostkernel
{

struct GroupSysfs {
	kobject kobj;
	kobject *devices;
	iommu_group *group;
};

namespace
{

kset *groupSet;

struct GroupAttribute {
	attribute attr;
	ssize_t (*show)(iommu_group *group, char *buf);
	ssize_t (*store)(iommu_group *group, const char *buf, size_t count);
};

GroupSysfs *sysfsOf(kobject *kobj)
{
	return reinterpret_cast<GroupSysfs *>(reinterpret_cast<char *>(kobj) -
					      offsetof(GroupSysfs, kobj));
}

const GroupAttribute *attributeOf(attribute *attr)
{
	return reinterpret_cast<GroupAttribute *>(attr);
}

ssize_t showAttribute(kobject *kobj, attribute *attr, char *buf)
{
	return attributeOf(attr)->show(sysfsOf(kobj)->group, buf);
}

ssize_t storeAttribute(kobject *kobj, attribute *attr, const char *buf, size_t count)
{
	const GroupAttribute *group = attributeOf(attr);

	return group->store ? group->store(sysfsOf(kobj)->group, buf, count) : -EIO;
}

const char *typeName(const iommu_domain *domain)
{
	if (!domain)
		return "unknown";
	switch (domain->type) {
	case IOMMU_DOMAIN_BLOCKED:
		return "blocked";
	case IOMMU_DOMAIN_IDENTITY:
		return "identity";
	case IOMMU_DOMAIN_UNMANAGED:
		return "unmanaged";
	case IOMMU_DOMAIN_DMA:
		return "DMA";
	case IOMMU_DOMAIN_DMA_FQ:
		return "DMA-FQ";
	default:
		return "unknown";
	}
}

ssize_t typeShow(iommu_group *group, char *buf)
{
	MutexLock lock(group->mutex);

	return sysfs_emit(buf, "%s\n", typeName(group->defaultDomain));
}

const char *regionName(iommu_resv_type type)
{
	switch (type) {
	case IOMMU_RESV_DIRECT:
		return "direct";
	case IOMMU_RESV_DIRECT_RELAXABLE:
		return "direct-relaxable";
	case IOMMU_RESV_RESERVED:
		return "reserved";
	default:
		return "msi";
	}
}

ssize_t regionsShow(iommu_group *group, char *buf)
{
	list_head regions;
	int length = 0;

	INIT_LIST_HEAD(&regions);
	iommu_get_group_resv_regions(group, &regions);
	for (list_head *entry = regions.next, *next; entry != &regions; entry = next) {
		auto *region = reinterpret_cast<iommu_resv_region *>(
			reinterpret_cast<char *>(entry) - offsetof(iommu_resv_region, list));

		next = entry->next;
		length += sysfs_emit_at(
			buf, length, "0x%016llx 0x%016llx %s\n",
			static_cast<unsigned long long>(region->start),
			static_cast<unsigned long long>(region->start + region->length - 1),
			regionName(region->type));
		kfree(region);
	}
	return length;
}

GroupAttribute typeAttribute = {{"type", 0644}, typeShow, groupStoreType};
GroupAttribute regionsAttribute = {{"reserved_regions", 0444}, regionsShow, nullptr};

void releaseGroup(kobject *kobj)
{
	kfree(sysfsOf(kobj));
}

const sysfs_ops groupOps = {showAttribute, storeAttribute};
const kobj_type groupType = {releaseGroup, &groupOps, nullptr};

int fillGroup(GroupSysfs *sysfs)
{
	sysfs->devices = kobject_create_and_add("devices", &sysfs->kobj);
	if (!sysfs->devices)
		return -ENOMEM;
	int rc = sysfs_create_file(&sysfs->kobj, &regionsAttribute.attr);

	if (!rc)
		rc = sysfs_create_file(&sysfs->kobj, &typeAttribute.attr);
	return rc;
}

/* --- instances --- */

attribute *noAttributes[] = {nullptr};
attribute_group devicesGroup = {"devices", nullptr, nullptr, noAttributes, nullptr};
const attribute_group *instanceGroups[] = {&devicesGroup, nullptr};

void releaseInstance(device *dev)
{
	kfree(dev);
}

class_ iommuClass;

} // namespace

GroupSysfs *groupSysfsCreate(iommu_group *group)
{
	auto *sysfs = static_cast<GroupSysfs *>(kzalloc(sizeof(GroupSysfs), GFP_KERNEL));

	if (!sysfs)
		return static_cast<GroupSysfs *>(ERR_PTR(-ENOMEM));
	sysfs->group = group;
	sysfs->kobj.kset = groupSet;
	int rc = kobject_init_and_add(&sysfs->kobj, &groupType, nullptr, "%d", group->id);

	if (!rc)
		rc = fillGroup(sysfs);
	if (!rc)
		return sysfs;
	kobject_put(sysfs->devices);
	kobject_put(&sysfs->kobj);
	return static_cast<GroupSysfs *>(ERR_PTR(rc));
}

void groupSysfsDestroy(GroupSysfs *sysfs)
{
	if (!sysfs)
		return;
	sysfs_remove_file(&sysfs->kobj, &typeAttribute.attr);
	sysfs_remove_file(&sysfs->kobj, &regionsAttribute.attr);
	kobject_put(sysfs->devices);
	kobject_put(&sysfs->kobj);
}

int groupSysfsLink(GroupSysfs *sysfs, GroupDevice &member)
{
	int rc = sysfs_create_link(&member.dev->kobj, &sysfs->kobj, "iommu_group");

	if (rc)
		return rc;
	member.name = dev_name(member.dev);
	/* Devices of two buses may have one name. */
	for (int i = 0;; i++) {
		rc = sysfs_create_link_nowarn(sysfs->devices, &member.dev->kobj,
					      member.name.c_str());
		if (rc != -EEXIST || i > 100)
			break;
		member.name = std::string(dev_name(member.dev)) + "." + std::to_string(i);
	}
	if (rc)
		sysfs_remove_link(&member.dev->kobj, "iommu_group");
	return rc;
}

void groupSysfsUnlink(GroupSysfs *sysfs, const GroupDevice &member)
{
	sysfs_remove_link(sysfs->devices, member.name.c_str());
	sysfs_remove_link(&member.dev->kobj, "iommu_group");
}

int iommuSysfsInit()
{
	iommuClass = {};
	iommuClass.name = "iommu";
	iommuClass.dev_groups = instanceGroups;
	iommuClass.dev_release = releaseInstance;
	const int rc = class_register(&iommuClass);

	if (rc)
		return rc;
	groupSet = kset_create_and_add("iommu_groups", nullptr, kernel_kobj);
	if (groupSet)
		return 0;
	class_unregister(&iommuClass);
	return -ENOMEM;
}

void iommuSysfsExit()
{
	if (!groupSet)
		return;
	kset_unregister(groupSet);
	groupSet = nullptr;
	class_unregister(&iommuClass);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

/* LINUX-REG-2 */
int iommu_device_sysfs_add(iommu_device *iommu, device *parent, const attribute_group **groups,
			   const char *fmt, ...)
{
	char name[64];
	va_list args;

	va_start(args, fmt);
	std::vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	auto *dev = static_cast<device *>(kzalloc(sizeof(device), GFP_KERNEL));

	if (!dev)
		return -ENOMEM;
	device_initialize(dev);
	dev->class_ = &iommuClass;
	dev->parent = parent;
	dev->groups = groups;
	int rc = dev_set_name(dev, "%s", name);

	if (!rc)
		rc = device_add(dev);
	if (rc) {
		put_device(dev);
		return rc;
	}
	dev_set_drvdata(dev, iommu);
	iommu->dev = dev;
	return 0;
}

void iommu_device_sysfs_remove(iommu_device *iommu)
{
	dev_set_drvdata(iommu->dev, nullptr);
	device_unregister(iommu->dev);
	iommu->dev = nullptr;
}

int iommu_device_link(iommu_device *iommu, device *link)
{
	if (!iommu || IS_ERR(iommu))
		return -ENODEV;
	int rc = sysfs_add_link_to_group(&iommu->dev->kobj, "devices", &link->kobj, dev_name(link));

	if (rc)
		return rc;
	rc = sysfs_create_link_nowarn(&link->kobj, &iommu->dev->kobj, "iommu");
	if (rc)
		sysfs_remove_link_from_group(&iommu->dev->kobj, "devices", dev_name(link));
	return rc;
}

void iommu_device_unlink(iommu_device *iommu, device *link)
{
	if (!iommu || IS_ERR(iommu))
		return;
	sysfs_remove_link(&link->kobj, "iommu");
	sysfs_remove_link_from_group(&iommu->dev->kobj, "devices", dev_name(link));
}
