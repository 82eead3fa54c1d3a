// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains: allocation (LINUX-DOM-5), attaching to groups, and ownership of a group's DMA
 * (LINUX-OWN-1 to LINUX-OWN-4).
 */
#include "group.h"

#include <hosted/test_hooks.h>
#include <linux/bug.h>
#include <linux/printk.h>

#include "dma_domain.h"

using namespace wd::hostkernel;

namespace wd::hostkernel
{

iommu_domain *iommuAllocDomain(bus_type *bus, unsigned type)
{
	const iommu_ops *ops = bus ? bus->iommu_ops : nullptr;
	iommu_domain *domain = ops && ops->domain_alloc ? ops->domain_alloc(type) : nullptr;

	if (!domain)
		return nullptr;
	/*
	 * Write only what differs: a driver may have one object for all (as a blocking domain),
	 * which other threads read at the same time.
	 */
	if (domain->type != type)
		domain->type = type;
	if ((domain->type & __IOMMU_DOMAIN_PAGING) && !domain->pgsize_bitmap)
		domain->pgsize_bitmap = ops->pgsize_bitmap;
	if (!domain->ops)
		domain->ops = ops->default_domain_ops;
	if (iommu_is_dma_domain(domain) && !dmaCookieCreate(domain)) {
		iommu_domain_free(domain);
		return nullptr;
	}
	return domain;
}

int iommuAttachOne(iommu_domain *domain, device *dev)
{
	return domain->ops->attach_dev ? domain->ops->attach_dev(domain, dev) : -ENODEV;
}

} // namespace wd::hostkernel

namespace
{

/* For a driver without default domains: call its detach_dev. */
int detachAll(iommu_group *group)
{
	iommu_domain *domain = group->domain;

	if (WARN_ON(!domain->ops->detach_dev))
		return -EINVAL;
	for (const GroupDevice &member : group->devices)
		domain->ops->detach_dev(domain, member.dev);
	group->domain = nullptr;
	return 0;
}

bool foreignDomain(const iommu_group *group)
{
	return group->domain && group->domain != group->defaultDomain &&
	       group->domain != group->blockingDomain;
}

int attachGroup(iommu_domain *domain, iommu_group *group)
{
	return foreignDomain(group) ? -EBUSY : groupSetDomain(group, domain);
}

/*
 * LINUX-OWN-1: attach the domain that the core chooses: the blocking domain while the group has an
 * owner, else the default domain.
 */
void setCoreDomain(iommu_group *group)
{
	iommu_domain *domain = group->owner ? group->blockingDomain : group->defaultDomain;

	WARN(groupSetDomain(group, domain), "iommu driver failed to attach the core's domain\n");
}

int allocBlockingDomain(iommu_group *group)
{
	if (group->blockingDomain)
		return 0;
	if (group->devices.empty())
		return -ENODEV;
	bus_type *bus = group->devices.front().dev->bus;

	group->blockingDomain = iommuAllocDomain(bus, IOMMU_DOMAIN_BLOCKED);
	/* LINUX-OWN-2: an unmanaged domain in which nothing is mapped blocks just as well. */
	if (!group->blockingDomain)
		group->blockingDomain = iommuAllocDomain(bus, IOMMU_DOMAIN_UNMANAGED);
	return group->blockingDomain ? 0 : -EINVAL;
}

int claim(iommu_group *group, void *owner)
{
	if (group->ownerCount)
		return -EPERM;
	if (group->domain && group->domain != group->defaultDomain)
		return -EBUSY;
	int rc = allocBlockingDomain(group);

	if (rc)
		return rc;
	rc = groupSetDomain(group, group->blockingDomain);
	if (rc)
		return rc;
	group->owner = owner;
	group->ownerCount = 1;
	return 0;
}

bool usesDefaultDomain(const iommu_group *group)
{
	if (group->domain == group->defaultDomain)
		return true;
	const iommu_domain *domain = group->domain;

	return domain && group->defaultDomain && domain->type == IOMMU_DOMAIN_IDENTITY &&
	       group->defaultDomain->type == IOMMU_DOMAIN_IDENTITY;
}

/** Holds a reference to a device's group for one call. */
class GroupRef
{
public:
	explicit GroupRef(device *dev) : group_(iommu_group_get(dev)) {}
	~GroupRef() { iommu_group_put(group_); }
	GroupRef(const GroupRef &) = delete;
	GroupRef &operator=(const GroupRef &) = delete;
	explicit operator bool() const { return group_; }
	iommu_group *operator->() const { return group_; }
	iommu_group *get() const { return group_; }

private:
	iommu_group *group_;
};

} // namespace

namespace wd::hostkernel
{

int groupSetDomain(iommu_group *group, iommu_domain *domain)
{
	if (group->domain == domain)
		return 0;
	if (!domain)
		return detachAll(group);
	for (const GroupDevice &member : group->devices) {
		const int rc = iommuAttachOne(domain, member.dev);

		if (!rc)
			continue;
		if (group->domain) {
			for (const GroupDevice &back : group->devices)
				WARN_ON(iommuAttachOne(group->domain, back.dev));
		}
		return rc;
	}
	group->domain = domain;
	return 0;
}

} // namespace wd::hostkernel

iommu_domain *iommu_domain_alloc(bus_type *bus)
{
	return iommuAllocDomain(bus, IOMMU_DOMAIN_UNMANAGED);
}

void iommu_domain_free(iommu_domain *domain)
{
	dmaCookieDestroy(domain);
	domain->ops->free(domain);
}

int iommu_attach_group(iommu_domain *domain, iommu_group *group)
{
	MutexLock lock(group->mutex);

	return attachGroup(domain, group);
}

void iommu_detach_group(iommu_domain *, iommu_group *group)
{
	MutexLock lock(group->mutex);

	setCoreDomain(group);
}

iommu_domain *iommu_get_domain_for_dev(device *dev)
{
	const GroupRef group(dev);

	return group ? group->domain.load(std::memory_order_relaxed) : nullptr;
}

iommu_domain *iommu_get_dma_domain(device *dev)
{
	return dev->iommu_group->defaultDomain;
}

int iommu_group_claim_dma_owner(iommu_group *group, void *owner)
{
	if (WARN_ON(!owner))
		return -EINVAL;
	MutexLock lock(group->mutex);

	return claim(group, owner);
}

bool iommu_group_dma_owner_claimed(iommu_group *group)
{
	MutexLock lock(group->mutex);

	return group->ownerCount;
}

void iommu_group_release_dma_owner(iommu_group *group)
{
	MutexLock lock(group->mutex);

	if (WARN_ON(!group->ownerCount || !group->owner))
		return;
	group->ownerCount = 0;
	group->owner = nullptr;
	WARN(groupSetDomain(group, group->defaultDomain),
	     "iommu driver failed to attach the default domain\n");
}

/* LINUX-OWN-3 */
int iommu_device_use_default_domain(device *dev)
{
	const GroupRef group(dev);

	if (!group)
		return 0;
	MutexLock lock(group->mutex);

	if (group->ownerCount && (group->owner || !usesDefaultDomain(group.get())))
		return -EBUSY;
	group->ownerCount++;
	return 0;
}

void iommu_device_unuse_default_domain(device *dev)
{
	const GroupRef group(dev);

	if (!group)
		return;
	MutexLock lock(group->mutex);

	if (!WARN_ON(!group->ownerCount))
		group->ownerCount--;
}
