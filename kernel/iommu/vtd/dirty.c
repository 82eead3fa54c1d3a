// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: which pages have devices written? (VT-d 3.7.2, VTD-DRV-15)
 *
 * The unit sets a bit in the leaf when it translates the first write of a page. It does so in every
 * domain that was allocated for dirty tracking, from the first attachment on: to switch this on and
 * off would mean to replace the PASID entry of each place. So tracking begins with a read that
 * clears all bits.
 *
 * A reader clears the bits first, then flushes the IOTLB and device TLBs, and then copies the pages.
 * A write that a cached translation lets through between the clearing and the end of the
 * flush sets no bit; but its page is reported, and copied after the write.
 */
#include <linux/minmax.h>

#include "iommu_pasid.h"
#include "vtd.h"

/**
 * vtd_read_dirty - the layer's read_dirty
 * @domain: paging domain that was allocated for dirty tracking
 * @read: what to do
 *
 * Return: 0; -EIO if a unit is dead.
 */
int vtd_read_dirty(struct iommu_domain *domain, const struct wd_dirty_read *read)
{
	struct vtd_domain *paging = to_vtd_domain(domain);
	struct wd_dirty_read inside = *read;
	u64 first, last;

	if (wd_iommu_domain_lost(domain))
		return -EIO;
	inside.last = min_t(u64, read->last, domain->geometry.aperture_end);
	if (inside.first > inside.last)
		return 0;
	if (!vtd_ss_table_read_dirty(&paging->table, &inside, &first, &last))
		return 0;
	return vtd_flush_range(paging, first, last, true);
}

/* The layer's mark_dirty. A translation that the unit has cached as clean does no harm. */
void vtd_mark_dirty(struct iommu_domain *domain, u64 first, u64 last)
{
	last = min_t(u64, last, domain->geometry.aperture_end);
	if (first <= last)
		vtd_ss_table_mark_dirty(&to_vtd_domain(domain)->table, first, last);
}
