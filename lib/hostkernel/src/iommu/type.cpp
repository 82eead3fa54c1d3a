// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of a group's default domain by user space (LINUX-DOM-2): only for a group of one device
 * that has no driver. Only the change from strict to flush queue is possible with a driver too.
 */
#include "group.h"

#include <linux/capability.h>

#include <string_view>

#include "dma_domain.h"

using namespace wd::hostkernel;

namespace
{

/* @return the type, 0 for "auto", or -EINVAL. */
int parseType(std::string_view text)
{
	if (!text.empty() && text.back() == '\n')
		text.remove_suffix(1);
	if (text == "identity")
		return IOMMU_DOMAIN_IDENTITY;
	if (text == "DMA")
		return IOMMU_DOMAIN_DMA;
	if (text == "DMA-FQ")
		return IOMMU_DOMAIN_DMA_FQ;
	return text == "auto" ? 0 : -EINVAL;
}

/* The only device of @group with a reference; NULL if it has none or several. */
device *onlyDevice(iommu_group *group)
{
	MutexLock lock(group->mutex);

	return group->devices.size() == 1 ? get_device(group->devices.front().dev) : nullptr;
}

int replaceDefault(iommu_group *group, device *dev, iommu_domain *domain)
{
	iommu_domain *old = group->defaultDomain;

	group->defaultDomain = domain;
	int rc = groupMapDirect(group, dev);

	if (!rc)
		rc = groupSetDomain(group, domain);
	if (rc)
		group->defaultDomain = old;
	return rc;
}

/*
 * The caller holds the device lock. @retired gets the old domain; the caller frees it when nothing
 * refers to it any more.
 */
int change(iommu_group *group, device *dev, unsigned type, iommu_domain **retired)
{
	MutexLock lock(group->mutex);
	const iommu_ops *ops = dev->iommu ? dev_iommu_ops(dev) : nullptr;

	if (group->devices.size() != 1 || group->devices.front().dev != dev || !ops)
		return -EBUSY;
	if (!group->defaultDomain)
		return -EINVAL;
	const bool toQueue =
		type == IOMMU_DOMAIN_DMA_FQ && group->defaultDomain->type == IOMMU_DOMAIN_DMA;

	if ((dev->driver && !toQueue) || group->owner)
		return -EBUSY;
	const int wanted = ops->def_domain_type ? ops->def_domain_type(dev) : 0;

	if (!type)
		type = wanted ? static_cast<unsigned>(wanted) : iommuDefaultType();
	if (wanted && static_cast<unsigned>(wanted) != type)
		return -EINVAL;
	if (group->defaultDomain->type == type)
		return 0;
	if (toQueue) {
		dmaStartFlushQueue(group->defaultDomain);
		return 0;
	}
	iommu_domain *domain = iommuAllocDomain(dev->bus, type);

	if (!domain)
		return -EINVAL;
	*retired = group->defaultDomain;
	const int rc = replaceDefault(group, dev, domain);

	if (rc)
		*retired = domain;
	return rc;
}

} // namespace

namespace wd::hostkernel
{

ssize_t groupStoreType(iommu_group *group, const char *buf, size_t count)
{
	const int type = parseType({buf, count});
	iommu_domain *retired = nullptr;

	if (!capable(CAP_SYS_ADMIN) || !capable(CAP_SYS_RAWIO))
		return -EACCES;
	if (type < 0)
		return type;
	device *dev = onlyDevice(group);

	if (!dev)
		return -EINVAL;
	device_lock(dev);
	const int rc = change(group, dev, static_cast<unsigned>(type), &retired);

	if (!rc && retired && dev->iommu && dev_iommu_ops(dev)->probe_finalize)
		dev_iommu_ops(dev)->probe_finalize(dev);
	if (retired)
		iommu_domain_free(retired);
	device_unlock(dev);
	put_device(dev);
	return rc ? rc : static_cast<ssize_t>(count);
}

} // namespace wd::hostkernel
