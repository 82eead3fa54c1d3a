// SPDX-License-Identifier: GPL-2.0-only
/* Reserved regions of devices and groups, and the direct mappings that some regions need. */
#include "group.h"

#include <linux/bug.h>
#include <linux/list.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include <algorithm>
#include <cstddef>
#include <vector>

using namespace wd::hostkernel;

namespace
{

iommu_resv_region *regionOf(list_head *entry)
{
	return reinterpret_cast<iommu_resv_region *>(reinterpret_cast<char *>(entry) -
						     offsetof(iommu_resv_region, list));
}

std::vector<iommu_resv_region *> toVector(list_head *head)
{
	std::vector<iommu_resv_region *> regions;

	for (list_head *entry = head->next; entry != head; entry = entry->next)
		regions.push_back(regionOf(entry));
	return regions;
}

phys_addr_t lastOf(const iommu_resv_region *region)
{
	return region->start + region->length - 1;
}

/*
 * Put a copy of @region into @head, sorted by start and then by type. Regions of one type that
 * overlap are joined.
 */
int insertRegion(const iommu_resv_region *region, list_head *head)
{
	iommu_resv_region *copy = iommu_alloc_resv_region(region->start, region->length,
							  region->prot, region->type, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	for (iommu_resv_region *other : toVector(head)) {
		if (other->type != copy->type || other->start > lastOf(copy) ||
		    lastOf(other) < copy->start)
			continue;
		const phys_addr_t last = std::max(lastOf(other), lastOf(copy));

		copy->start = std::min(other->start, copy->start);
		copy->length = last - copy->start + 1;
		list_del(&other->list);
		kfree(other);
	}
	list_head *position = head;

	for (iommu_resv_region *other : toVector(head)) {
		if (other->start > copy->start ||
		    (other->start == copy->start && other->type > copy->type)) {
			position = &other->list;
			break;
		}
	}
	list_add_tail(&copy->list, position);
	return 0;
}

bool mappedDirect(const iommu_resv_region *region)
{
	return region->type == IOMMU_RESV_DIRECT || region->type == IOMMU_RESV_DIRECT_RELAXABLE;
}

/* LINUX-DOM-4: map the pages of @region that are not mapped yet, in runs. */
int mapRegion(iommu_domain *domain, const iommu_resv_region *region)
{
	const size_t page = domain->pgsize_bitmap & -domain->pgsize_bitmap;
	const dma_addr_t start = (region->start + page - 1) & ~(page - 1);
	const dma_addr_t end = (region->start + region->length + page - 1) & ~(page - 1);
	size_t run = 0;

	for (dma_addr_t address = start; address <= end; address += page) {
		if (address < end && !iommu_iova_to_phys(domain, address)) {
			run += page;
			continue;
		}
		if (!run)
			continue;
		const int rc = iommu_map(domain, address - run, address - run, run, region->prot);

		if (rc)
			return rc;
		run = 0;
	}
	return 0;
}

} // namespace

namespace wd::hostkernel
{

int groupMapDirect(iommu_group *group, device *dev)
{
	iommu_domain *domain = group->defaultDomain;
	list_head regions;
	int rc = 0;

	if (!domain || !iommu_is_dma_domain(domain))
		return 0;
	BUG_ON(!domain->pgsize_bitmap);
	INIT_LIST_HEAD(&regions);
	iommu_get_resv_regions(dev, &regions);
	for (iommu_resv_region *region : toVector(&regions)) {
		if (!rc && mappedDirect(region))
			rc = mapRegion(domain, region);
	}
	iommu_flush_iotlb_all(domain);
	iommu_put_resv_regions(dev, &regions);
	return rc;
}

} // namespace wd::hostkernel

iommu_resv_region *iommu_alloc_resv_region(phys_addr_t start, size_t length, int prot,
					   iommu_resv_type type, gfp_t gfp)
{
	auto *region = static_cast<iommu_resv_region *>(kzalloc(sizeof(iommu_resv_region), gfp));

	if (!region)
		return nullptr;
	INIT_LIST_HEAD(&region->list);
	region->start = start;
	region->length = length;
	region->prot = prot;
	region->type = type;
	return region;
}

void iommu_get_resv_regions(device *dev, list_head *list)
{
	const iommu_ops *ops = dev_iommu_ops(dev);

	if (ops->get_resv_regions)
		ops->get_resv_regions(dev, list);
}

void iommu_put_resv_regions(device *dev, list_head *list)
{
	for (iommu_resv_region *region : toVector(list)) {
		if (region->free)
			region->free(dev, region);
		else
			kfree(region);
	}
}

int iommu_get_group_resv_regions(iommu_group *group, list_head *head)
{
	MutexLock lock(group->mutex);

	for (const GroupDevice &member : group->devices) {
		list_head regions;
		int rc = 0;

		INIT_LIST_HEAD(&regions);
		if (member.dev->iommu)
			iommu_get_resv_regions(member.dev, &regions);
		for (iommu_resv_region *region : toVector(&regions)) {
			if (!rc)
				rc = insertRegion(region, head);
		}
		iommu_put_resv_regions(member.dev, &regions);
		if (rc)
			return rc;
	}
	return 0;
}
