// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping and unmapping in a domain. The code splits a request into runs of one page size
 * (LINUX-MAP-1) and passes each to the driver as (page size, count). It takes no lock.
 */
#include <linux/iommu.h>

#include <linux/mm.h>
#include <linux/printk.h>

#include <algorithm>
#include <bit>

namespace
{

struct Run {
	size_t size;
	size_t count;
};

/*
 * The largest page size that fits @iova and @paddr, and the number of such pages up to the place
 * where a larger size fits, or to the end of the request.
 */
Run nextRun(unsigned long sizes, unsigned long iova, unsigned long paddr, size_t size)
{
	const unsigned long merged = iova | paddr;
	unsigned long usable = sizes & (~0UL >> std::countl_zero(size));

	if (merged)
		usable &= (merged & -merged) | ((merged & -merged) - 1);
	const size_t page = std::bit_floor(usable);
	const unsigned long larger = sizes & ~(page | (page - 1));

	const int shift = std::countr_zero(page);

	if (!larger)
		return {page, size >> shift};
	const size_t next = larger & -larger;
	/* A larger page can only follow if both addresses reach its boundary together. */
	if ((iova ^ paddr) & (next - 1))
		return {page, size >> shift};
	const size_t distance = next - (iova & (next - 1));

	if (distance < size && distance + next <= size)
		size = distance;
	return {page, size >> shift};
}

int mapRun(iommu_domain *domain, unsigned long iova, phys_addr_t paddr, Run run, int prot,
	   gfp_t gfp, size_t *mapped)
{
	const iommu_domain_ops *ops = domain->ops;

	if (ops->map_pages)
		return ops->map_pages(domain, iova, paddr, run.size, run.count, prot, gfp, mapped);
	/* A driver without map_pages takes one page at a time. */
	const int rc = ops->map(domain, iova, paddr, run.size, prot, gfp);

	if (!rc)
		*mapped = run.size;
	return rc;
}

size_t unmapRun(iommu_domain *domain, unsigned long iova, Run run, iommu_iotlb_gather *gather)
{
	const iommu_domain_ops *ops = domain->ops;

	return ops->unmap_pages ? ops->unmap_pages(domain, iova, run.size, run.count, gather)
				: ops->unmap(domain, iova, run.size, gather);
}

/* LINUX-MAP-5 */
bool canMap(const iommu_domain *domain)
{
	return (domain->type & __IOMMU_DOMAIN_PAGING) && domain->pgsize_bitmap &&
	       (domain->ops->map || domain->ops->map_pages);
}

/* LINUX-MAP-2, LINUX-MAP-3 */
size_t unmapRange(iommu_domain *domain, unsigned long iova, size_t size, iommu_iotlb_gather *gather)
{
	size_t done = 0;

	if (!(domain->type & __IOMMU_DOMAIN_PAGING) || !domain->pgsize_bitmap ||
	    !(domain->ops->unmap || domain->ops->unmap_pages)) [[unlikely]]
		return 0;
	const size_t smallest = domain->pgsize_bitmap & -domain->pgsize_bitmap;

	if ((iova | size) & (smallest - 1)) [[unlikely]] {
		_printk(KERN_ERR "unaligned: iova 0x%lx size 0x%zx min_pagesz 0x%zx\n", iova, size,
			smallest);
		return 0;
	}
	/* If a larger page is mapped there, the driver may remove more than asked for. */
	while (done < size) {
		const Run run = nextRun(domain->pgsize_bitmap, iova, iova, size - done);
		const size_t removed = unmapRun(domain, iova, run, gather);

		if (!removed)
			break;
		iova += removed;
		done += removed;
	}
	return done;
}

/* LINUX-MAP-2, LINUX-MAP-4 */
int mapRange(iommu_domain *domain, unsigned long iova, phys_addr_t paddr, size_t size, int prot,
	     gfp_t gfp)
{
	const unsigned long start = iova;
	const size_t total = size;

	if (!canMap(domain)) [[unlikely]]
		return (domain->type & __IOMMU_DOMAIN_PAGING) ? -ENODEV : -EINVAL;
	const size_t smallest = domain->pgsize_bitmap & -domain->pgsize_bitmap;

	if ((iova | paddr | size) & (smallest - 1)) [[unlikely]] {
		_printk(KERN_ERR "unaligned: iova 0x%lx pa 0x%llx size 0x%zx min_pagesz 0x%zx\n",
			iova, static_cast<unsigned long long>(paddr), size, smallest);
		return -EINVAL;
	}
	while (size) {
		const Run run = nextRun(domain->pgsize_bitmap, iova, paddr, size);
		size_t mapped = 0;
		const int rc = mapRun(domain, iova, paddr, run, prot, gfp, &mapped);

		size -= mapped;
		if (rc) {
			if (total != size)
				iommu_unmap(domain, start, total - size);
			return rc;
		}
		iova += mapped;
		paddr += mapped;
	}
	return 0;
}

int mapAndSync(iommu_domain *domain, unsigned long iova, phys_addr_t paddr, size_t size, int prot,
	       gfp_t gfp)
{
	const int rc = mapRange(domain, iova, paddr, size, prot, gfp);

	if (!rc && domain->ops->iotlb_sync_map)
		domain->ops->iotlb_sync_map(domain, iova, size);
	return rc;
}

} // namespace

/* LINUX-MAP-8 */
int iommu_map(iommu_domain *domain, unsigned long iova, phys_addr_t paddr, size_t size, int prot)
{
	return mapAndSync(domain, iova, paddr, size, prot, GFP_KERNEL);
}

int iommu_map_atomic(iommu_domain *domain, unsigned long iova, phys_addr_t paddr, size_t size,
		     int prot)
{
	return mapAndSync(domain, iova, paddr, size, prot, GFP_ATOMIC);
}

/* LINUX-MAP-6 */
size_t iommu_unmap(iommu_domain *domain, unsigned long iova, size_t size)
{
	iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	const size_t done = unmapRange(domain, iova, size, &gather);

	/* Linux calls this with an empty gather too. */
	iommu_iotlb_sync(domain, &gather);
	return done;
}

size_t iommu_unmap_fast(iommu_domain *domain, unsigned long iova, size_t size,
			iommu_iotlb_gather *iotlb_gather)
{
	return unmapRange(domain, iova, size, iotlb_gather);
}

phys_addr_t iommu_iova_to_phys(iommu_domain *domain, dma_addr_t iova)
{
	if (domain->type == IOMMU_DOMAIN_IDENTITY)
		return iova;
	if (domain->type == IOMMU_DOMAIN_BLOCKED)
		return 0;
	return domain->ops->iova_to_phys(domain, iova);
}
