// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a change of a domain's page tables makes the units forget (VT-d sheet 8.5). One DID per
 * (domain, unit) covers every function and PASID that the domain is attached to there; the device
 * TLBs of the attach records will follow the IOTLB here.
 */
#include <linux/bitops.h>

#include "regs.h"
#include "vtd.h"

/* The smallest naturally aligned power-of-two block of 4 KiB pages that covers a range. */
static unsigned int vtd_covering_order(u64 first, u64 last)
{
	return fls64((first >> 12) ^ (last >> 12));
}

/*
 * What the unit does not forget would lead into pages that somebody else gets. A command that it
 * refuses (it never should) is followed by the coarsest one.
 */
static void vtd_flush_one(struct vtd_domain_unit *on, const struct vtd_qi_desc *flush)
{
	const struct vtd_qi_desc all = vtd_qi_iotlb_domain(on->did);

	if (vtd_qi_submit(on->unit, flush, 1))
		WARN_ON_ONCE(vtd_qi_submit(on->unit, &all, 1));
}

/**
 * vtd_flush_range - after leaves of [@first, @last] were cleared
 * @domain: paging domain
 * @first: first address
 * @last: last address
 * @leaf_only: no table was unlinked
 *
 * Any context. When it returns no request reaches memory through what was cleared.
 */
void vtd_flush_range(struct vtd_domain *domain, u64 first, u64 last, bool leaf_only)
{
	unsigned int order = vtd_covering_order(first, last);
	struct vtd_domain_unit *on;
	unsigned long flags;

	spin_lock_irqsave(&domain->lock, flags);
	list_for_each_entry (on, &domain->units, node) {
		u64 cap = on->unit->cap;
		struct vtd_qi_desc flush;

		if (vtd_cap_psi(cap) && order <= vtd_cap_mamv(cap))
			flush = vtd_qi_iotlb_page(on->did, first & (~0ULL << (12 + order)), order,
						  leaf_only);
		else
			flush = vtd_qi_iotlb_domain(on->did);
		vtd_flush_one(on, &flush);
	}
	spin_unlock_irqrestore(&domain->lock, flags);
}

/* As vtd_flush_range(), for the whole address space. */
void vtd_flush_domain(struct vtd_domain *domain)
{
	struct vtd_domain_unit *on;
	unsigned long flags;

	spin_lock_irqsave(&domain->lock, flags);
	list_for_each_entry (on, &domain->units, node) {
		struct vtd_qi_desc flush = vtd_qi_iotlb_domain(on->did);

		vtd_flush_one(on, &flush);
	}
	spin_unlock_irqrestore(&domain->lock, flags);
}
