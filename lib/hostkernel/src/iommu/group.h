/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Groups of the IOMMU core. A group has the devices that the IOMMU cannot tell apart, the domain
 * that is attached to them, and the owner of their DMA.
 *
 * Lock order: probe mutex, then a group's mutex. Drivers' callbacks run under them: probe_device
 * and device_group under the first, def_domain_type and attach_dev under the second.
 */
#pragma once

#include <linux/iommu.h>

#include <atomic>
#include <list>
#include <string>

namespace wd::hostkernel
{

struct GroupSysfs;

/** One device of a group. */
struct GroupDevice {
	device *dev;
	std::string name; /**< name of its link in the group's devices folder */
};

/** Holds a kernel mutex for as long as the object lives. */
class MutexLock
{
public:
	explicit MutexLock(mutex &m) : mutex_(m) { mutex_lock(&mutex_); }
	~MutexLock() { mutex_unlock(&mutex_); }
	MutexLock(const MutexLock &) = delete;
	MutexLock &operator=(const MutexLock &) = delete;

private:
	mutex &mutex_;
};

/** Type of the default domain if the driver has no preference: 11, as in Debian's kernel. */
unsigned iommuDefaultType();

/** A domain of @type from the driver of @bus, with the core's fields filled in; NULL on failure. */
iommu_domain *iommuAllocDomain(bus_type *bus, unsigned type);

/** Call attach_dev. -ENODEV if the domain's driver has none. */
int iommuAttachOne(iommu_domain *domain, device *dev);

/* The functions below are called with the group's mutex held. */

/**
 * Attach @domain to every device of @group. After an error the previous domain is attached again.
 */
int groupSetDomain(iommu_group *group, iommu_domain *domain);
/** If there is no default domain, choose its type and allocate it. 0 or -ENOMEM. */
int groupAllocDefaultDomain(iommu_group *group, bus_type *bus);
/** Map the regions that @dev needs at their physical addresses (1:1) into the default domain. */
int groupMapDirect(iommu_group *group, device *dev);

/* Sysfs of groups and instances. These functions take no lock. */
GroupSysfs *groupSysfsCreate(iommu_group *group);
void groupSysfsDestroy(GroupSysfs *sysfs);
/** Make the links between group and device; sets @member.name. 0 or -errno. */
int groupSysfsLink(GroupSysfs *sysfs, GroupDevice &member);
void groupSysfsUnlink(GroupSysfs *sysfs, const GroupDevice &member);

/** A write of @buf to the group's file "type". @return @count or -errno. */
ssize_t groupStoreType(iommu_group *group, const char *buf, size_t count);

/** Set up and tear down the core (boot, shutdown). */
int iommuInit();
void iommuExit();
int iommuSysfsInit();
void iommuSysfsExit();

} // namespace wd::hostkernel

struct iommu_group {
	std::atomic<int> refs{1};
	int id = -1;
	struct mutex mutex;
	std::list<wd::hostkernel::GroupDevice> devices;

	void *data = nullptr;
	void (*dataRelease)(void *) = nullptr;

	iommu_domain *defaultDomain = nullptr;
	iommu_domain *blockingDomain = nullptr;
	/**
	 * The attached domain. Writers hold the mutex; iommu_get_domain_for_dev() reads without it.
	 */
	std::atomic<iommu_domain *> domain{nullptr};

	/** Number of bound drivers that use the default domain; or 1 if there is an @owner. */
	unsigned ownerCount = 0;
	void *owner = nullptr;

	wd::hostkernel::GroupSysfs *sysfs = nullptr;
};
