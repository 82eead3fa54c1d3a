// SPDX-License-Identifier: GPL-2.0-only
/* Remove an area from one page table. */
#include <linux/bitops.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "io_pagetable.h"
#include "iommu_pasid.h"

/*
 * Remove the first @length bytes of an area from a page table. An area may have any size, so this
 * goes in steps, to let others use the CPU in between. A step ends at a multiple of the table's
 * largest page, so that it splits no large page. If the IOMMU is dead it may still use the pages:
 * then they are marked as lost, and stay pinned.
 */
void iopt_area_clear(struct iopt_area *area, struct iommu_domain *domain, size_t length)
{
	const size_t step = max_t(size_t, SZ_1G, 1UL << __fls(domain->pgsize_bitmap));
	unsigned long iova = area->node.start;
	size_t left = length;

	while (left) {
		size_t part = min(left, step - (iova & (step - 1)));

		WARN_ON(iommu_unmap(domain, iova, part) != part);
		iova += part;
		left -= part;
		cond_resched();
	}
	if (wd_iommu_domain_lost(domain))
		WRITE_ONCE(area->pages->lost, true);
}
