// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invalidations in units and functions after a change of a domain's page tables, or of a table
 * nested on it (VTD-DRV-4, VTD-DRV-5). On each unit, a domain has one DID for all functions and
 * PASIDs. Each nested table has a DID of its own, and a change of the domain has to flush it, too.
 * A flush of the unit's caches comes before that of device TLBs: otherwise a function could fetch
 * an old translation again.
 */
#include <linux/bitops.h>

#include "iommu_pasid.h"
#include "regs.h"
#include "vtd.h"

/* For a larger range the driver flushes the whole PASID. */
#define VTD_PIOTLB_MAX_ORDER 36

/**
 * struct vtd_range - addresses to invalidate
 * @address: any address in the range
 * @order: the range is 4 KiB << @order, naturally aligned; VTD_QI_WHOLE: all addresses
 * @leaf_only: no table was unlinked
 */
struct vtd_range {
	u64 address;
	unsigned int order;
	bool leaf_only;
};

/*
 * VTD-DRV-4: the smallest naturally aligned power-of-two block of 4 KiB pages that covers a range.
 */
static struct vtd_range vtd_covering(u64 first, u64 last, bool leaf_only)
{
	unsigned int order = fls64((first >> 12) ^ (last >> 12));

	return (struct vtd_range){order < VTD_QI_WHOLE ? first & (~0ULL << (12 + order)) : 0, order,
				  leaf_only};
}

/* VTD-INV-6: this also drops every translation of a nested table that has the DID. */
static struct vtd_qi_desc vtd_iotlb_flush(const struct vtd_domain_unit *on,
					  const struct vtd_range *range)
{
	u64 cap = on->unit->cap;

	if (!vtd_cap_psi(cap) || range->order > vtd_cap_mamv(cap))
		return vtd_qi_iotlb_domain(on->did);
	return vtd_qi_iotlb_page(on->did, range->address, range->order, range->leaf_only);
}

/* Flush cached translations of a PASID's first stage. */
static struct vtd_qi_desc vtd_piotlb_flush(u16 did, u32 pasid, const struct vtd_range *range)
{
	if (range->order > VTD_PIOTLB_MAX_ORDER)
		return vtd_qi_piotlb_pasid(did, pasid);
	return vtd_qi_piotlb_page(did, pasid, range->address, range->order, range->leaf_only);
}

/*
 * How many places to flush before the lock of the domain is dropped, which lets interrupts in. A
 * domain may be attached at thousands of places.
 */
#define VTD_FLUSH_PLACES (2 * VTD_QI_BATCH)

/*
 * How far a flush has come in the lists of a domain: the number of the last flushed unit, and a
 * mark in the list after the last flushed attachment. Other walks of the list see the mark, and
 * skip it by its missing function. Without a mark each step would begin at the head of the list.
 */
struct vtd_flush_place {
	u64 unit;
	struct vtd_attach mark;
};

/*
 * Flush the next few places. Return: true if there are more. This also flushes places that join a
 * list during the flush. The tear-down of a place that leaves the list has flushed it.
 */
static bool vtd_flush_some(struct vtd_domain *domain, const struct vtd_range *range,
			   struct vtd_qi_batch *batch, struct vtd_flush_place *place)
{
	unsigned int left = VTD_FLUSH_PLACES;
	struct vtd_attach *attach = &place->mark;
	struct vtd_domain_unit *on;

	lockdep_assert_held(&domain->lock);
	list_for_each_entry (on, &domain->units, node) {
		if (on->seq <= place->unit)
			continue;
		if (!left--)
			return true;
		vtd_qi_add(batch, on->unit, vtd_iotlb_flush(on, range), NULL);
		place->unit = on->seq;
	}
	if (!vtd_ats_functions())
		return false;
	list_for_each_entry_continue (attach, &domain->attaches, node) {
		if (!left--) {
			list_move_tail(&place->mark.node, &attach->node);
			return true;
		}
		if (!attach->dev || !READ_ONCE(attach->dev->ats_on))
			continue;
		/*
		 * VTD-DRV-5: a function caches addresses that the nested table translates; @range
		 * has addresses of the domain.
		 */
		if (attach->on->table)
			vtd_ats_flush(batch, attach->dev, attach->pasid, 0, VTD_QI_WHOLE);
		else
			vtd_ats_flush(batch, attach->dev, attach->pasid, range->address,
				      range->order);
	}
	return false;
}

/* Flush once. This drops the lock now and then, but only after all descriptors are completed. */
static int vtd_flush_once(struct vtd_domain *domain, const struct vtd_range *range)
{
	struct vtd_flush_place place = {};
	struct vtd_qi_batch batch;
	unsigned long flags;
	bool first = true, more;
	int ret = 0, err;

	do {
		vtd_qi_begin(&batch);
		spin_lock_irqsave(&domain->lock, flags);
		if (first)
			list_add(&place.mark.node, &domain->attaches);
		first = false;
		more = vtd_flush_some(domain, range, &batch, &place);
		if (!more)
			list_del(&place.mark.node);
		err = vtd_qi_finish(&batch);
		spin_unlock_irqrestore(&domain->lock, flags);
		if (err)
			ret = err;
	} while (more);
	return ret;
}

/* A unit did not complete a flush: the domain is lost, and the unit dead. */
static void vtd_domain_lost(struct vtd_domain *domain)
{
	struct vtd_domain_unit *on;
	unsigned long flags;
	bool dead = false;

	wd_iommu_domain_set_lost(&domain->domain);
	spin_lock_irqsave(&domain->lock, flags);
	list_for_each_entry (on, &domain->units, node)
		dead |= vtd_unit_dead(on->unit);
	/* No unit is dead, so one has refused a whole flush. Which one is not known: kill all. */
	if (!dead)
		list_for_each_entry (on, &domain->units, node)
			vtd_unit_kill(on->unit);
	spin_unlock_irqrestore(&domain->lock, flags);
}

/*
 * Flush a range everywhere: a translation that stays in a cache would lead to pages of others. If a
 * unit refuses a command, which it never should, flush all addresses. If the ATS of a function was
 * switched on meanwhile, flush again, since this may have left that function out.
 */
static int vtd_flush(struct vtd_domain *domain, const struct vtd_range *range)
{
	const struct vtd_range all = {0, VTD_QI_WHOLE, false};
	unsigned int epoch;
	int ret;

	do {
		epoch = vtd_ats_epoch();
		ret = vtd_flush_once(domain, range);
		if (ret)
			ret = vtd_flush_once(domain, &all);
	} while (!ret && epoch != vtd_ats_epoch());
	if (ret)
		vtd_domain_lost(domain);
	return ret;
}

/**
 * vtd_flush_range - flush after leaves of [@first, @last] were cleared
 * @domain: paging domain
 * @first: first address
 * @last: last address
 * @leaf_only: no table was unlinked
 *
 * Any context. When this returns 0 no request reaches memory through the cleared entries.
 *
 * Return: 0, or an error if a unit is dead: then the domain is lost, and the caller must keep the
 * pages of the cleared entries.
 */
int vtd_flush_range(struct vtd_domain *domain, u64 first, u64 last, bool leaf_only)
{
	const struct vtd_range range = vtd_covering(first, last, leaf_only);

	return vtd_flush(domain, &range);
}

/* As vtd_flush_range(), for the whole address space. */
void vtd_flush_domain(struct vtd_domain *domain)
{
	vtd_flush_range(domain, 0, U64_MAX, false);
}

/**
 * vtd_flush_table - flush after entries of a user-managed table have changed
 * @batch: for the descriptors. The caller finishes it, and compares vtd_ats_epoch() before and
 *	after
 * @table: the table; its lock is held until the batch is finished
 * @first: first address that the changed entries translate
 * @last: last address
 * @leaf_only: only leaf entries
 */
void vtd_flush_table(struct vtd_qi_batch *batch, struct vtd_pgtable *table, u64 first, u64 last,
		     bool leaf_only)
{
	const struct vtd_range range = vtd_covering(first, last, leaf_only);
	struct vtd_attach *attach;

	lockdep_assert_held(&table->lock);
	list_for_each_entry (attach, &table->places, place) {
		const struct vtd_domain_unit *on = attach->on;

		vtd_qi_add(batch, on->unit, vtd_piotlb_flush(on->did, attach->pasid, &range), NULL);
	}
	list_for_each_entry (attach, &table->places, place) {
		if (!READ_ONCE(attach->dev->ats_on))
			continue;
		/* VTD-DRV-10: the unit executes type 8 after type 6, but type 3 needs a fence. */
		if (attach->pasid == IOMMU_NO_PASID)
			vtd_qi_add(batch, attach->on->unit, vtd_qi_fence(), NULL);
		vtd_ats_flush(batch, attach->dev, attach->pasid, range.address, range.order);
	}
}

static int vtd_flush_mm_once(const struct vtd_mm_table *table, const struct vtd_range *range)
{
	struct vtd_qi_batch batch;

	vtd_qi_begin(&batch);
	vtd_qi_add(&batch, table->dev->unit, vtd_piotlb_flush(table->did, table->pasid, range),
		   NULL);
	vtd_ats_flush(&batch, table->dev, table->pasid, range->address, range->order);
	return vtd_qi_finish(&batch);
}

/**
 * vtd_flush_mm_table - flush after a change of a process's memory
 * @table: bound; the caller holds its lock
 * @first: first address
 * @last: last address
 *
 * Linux frees pages and page tables afterwards, even if the unit is dead: then its functions are no
 * bus masters any more. Any context.
 */
void vtd_flush_mm_table(struct vtd_mm_table *table, u64 first, u64 last)
{
	const struct vtd_range range = vtd_covering(first, last, false);
	const struct vtd_range all = {0, VTD_QI_WHOLE, false};
	unsigned int epoch;

	lockdep_assert_held(&table->lock);
	do {
		epoch = vtd_ats_epoch();
		if (vtd_flush_mm_once(table, &range) && vtd_flush_mm_once(table, &all))
			vtd_unit_kill(table->dev->unit);
	} while (epoch != vtd_ats_epoch());
}
