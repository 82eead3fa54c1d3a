// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains: the two static ones (pass-through and blocked), and paging domains with a second-stage
 * table of their own.
 *
 * LINUX-DOM-3: every domain holds a reference to the module, since Linux 6.1 may free the domain
 * long after the devices and the unit are gone.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "regs.h"
#include "vtd.h"

/* --- page tables --- */

/* Free unlinked table pages after the flush; keep them if a dead unit may still walk them. */
static void vtd_tables_free(struct vtd_domain *domain, struct list_head *freed)
{
	if (wd_iommu_domain_lost(&domain->domain))
		wd_iommu_leaked(vtd_ss_leak_pages(freed));
	else
		vtd_ss_free_pages(freed);
}

static int vtd_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr,
			 size_t pgsize, size_t pgcount, int prot, gfp_t gfp, size_t *mapped)
{
	struct vtd_domain *paging = to_vtd_domain(domain);
	u64 length, rights = 0;
	LIST_HEAD(freed);
	int ret;

	if (prot & IOMMU_READ)
		rights |= VTD_SS_READ;
	if (prot & IOMMU_WRITE)
		rights |= VTD_SS_WRITE;
	if (!rights || !pgcount || !vtd_ss_level_of(pgsize) || !IS_ALIGNED(iova | paddr, pgsize) ||
	    check_mul_overflow((u64)pgsize, (u64)pgcount, &length))
		return -EINVAL;
	if (iova > domain->geometry.aperture_end ||
	    length - 1 > domain->geometry.aperture_end - iova || paddr >> paging->haw ||
	    (paddr + (length - 1)) >> paging->haw)
		return -ERANGE;
	if (wd_iommu_domain_lost(domain))
		return -EIO;
	if (domain->type == IOMMU_DOMAIN_UNMANAGED && gfpflags_allow_blocking(gfp))
		gfp |= __GFP_ACCOUNT;
	ret = vtd_ss_table_map(&paging->table, iova, paddr, pgsize, pgcount, rights, gfp, mapped,
			       &freed);
	if (!list_empty(&freed)) {
		/* A large leaf has replaced an empty table, whose link may still be in caches. */
		vtd_flush_range(paging, iova, iova + length - 1, false);
		vtd_tables_free(paging, &freed);
	}
	return ret;
}

static size_t vtd_unmap_pages(struct iommu_domain *domain, unsigned long iova, size_t pgsize,
			      size_t pgcount, struct iommu_iotlb_gather *gather)
{
	struct vtd_domain *paging = to_vtd_domain(domain);
	u64 length, from = iova;
	size_t done;

	if (!IS_ALIGNED(iova | pgsize, SZ_4K) || iova > domain->geometry.aperture_end ||
	    check_mul_overflow((u64)pgsize, (u64)pgcount, &length) || !length ||
	    length - 1 > domain->geometry.aperture_end - iova)
		return 0;
	done = vtd_ss_table_unmap(&paging->table, iova, length, &from, &gather->freelist);
	if (done)
		iommu_iotlb_gather_add_range(gather, from, iova + done - from);
	if (unlikely(vtd_ss_table_needs_sweep(&paging->table))) {
		vtd_ss_table_sweep(&paging->table, &gather->freelist);
		iommu_iotlb_gather_add_range(gather, 0, domain->geometry.aperture_end);
	}
	return done;
}

/*
 * Flush one block that covers the whole gather. Afterwards tables and pages may be used for
 * something else, unless the domain is lost.
 */
static void vtd_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	if (gather->end && gather->start <= gather->end)
		vtd_flush_range(to_vtd_domain(domain), gather->start, gather->end,
				list_empty(&gather->freelist));
	vtd_tables_free(to_vtd_domain(domain), &gather->freelist);
}

static void vtd_flush_iotlb_all(struct iommu_domain *domain)
{
	vtd_flush_domain(to_vtd_domain(domain));
}

static phys_addr_t vtd_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	return vtd_ss_table_lookup(&to_vtd_domain(domain)->table, iova);
}

/*
 * Every PASID entry forces snooping if its unit supports that (PGSNP), so no entry has to change.
 * The promise keeps the domain off units that do not support it, for the rest of its life.
 */
static bool vtd_enforce_cache_coherency(struct iommu_domain *domain)
{
	struct vtd_domain *paging = to_vtd_domain(domain);
	struct vtd_domain_unit *on;
	struct vtd_limits limits;
	unsigned long flags;
	bool able;

	able = vtd_common_limits(&limits) && limits.snoop;
	spin_lock_irqsave(&paging->lock, flags);
	list_for_each_entry (on, &paging->units, node)
		able &= !!(on->unit->ecap & VTD_ECAP_SC);
	if (able)
		WRITE_ONCE(paging->force_snoop, true);
	spin_unlock_irqrestore(&paging->lock, flags);
	return able;
}

/* --- allocation --- */

static void vtd_paging_free(struct iommu_domain *domain)
{
	struct vtd_domain *paging = to_vtd_domain(domain);
	bool lost = wd_iommu_domain_lost(domain);

	if (!wd_iommu_domain_released(domain) || WARN_ON(!list_empty(&paging->attaches)))
		return; /* a unit still walks the table */
	if (lost)
		wd_iommu_leaked(vtd_ss_table_pages(&paging->table));
	else
		vtd_ss_table_destroy(&paging->table);
	kfree(paging);
	module_put(THIS_MODULE);
}

static void vtd_static_free(struct iommu_domain *domain)
{
	module_put(THIS_MODULE);
}

static const struct iommu_domain_ops vtd_identity_ops = {
	.attach_dev = vtd_identity_attach,
	.free = vtd_static_free,
};

static const struct iommu_domain_ops vtd_blocked_ops = {
	.attach_dev = vtd_blocked_attach,
	.free = vtd_static_free,
};

const struct iommu_domain_ops vtd_paging_ops = {
	.attach_dev = vtd_paging_attach,
	.map_pages = vtd_map_pages,
	.unmap_pages = vtd_unmap_pages,
	.flush_iotlb_all = vtd_flush_iotlb_all,
	.iotlb_sync = vtd_iotlb_sync,
	.iova_to_phys = vtd_iova_to_phys,
	.enforce_cache_coherency = vtd_enforce_cache_coherency,
	.free = vtd_paging_free,
};

static struct iommu_domain vtd_identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &vtd_identity_ops,
};

static struct iommu_domain vtd_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &vtd_blocked_ops,
};

/* Announce the static domains to the layer, before the first unit. */
int vtd_static_domains_init(void)
{
	int ret = wd_iommu_domain_created(&vtd_identity_domain);

	if (ret)
		return ret;
	ret = wd_iommu_domain_created(&vtd_blocked_domain);
	if (ret)
		wd_iommu_domain_released(&vtd_identity_domain);
	return ret;
}

void vtd_static_domains_exit(void)
{
	wd_iommu_domain_released(&vtd_blocked_domain);
	wd_iommu_domain_released(&vtd_identity_domain);
}

static struct iommu_domain *vtd_paging_alloc(unsigned int type, const struct vtd_limits *limits)
{
	struct vtd_domain *paging = kzalloc(sizeof(*paging), GFP_KERNEL_ACCOUNT);

	if (!paging)
		return NULL;
	spin_lock_init(&paging->lock);
	INIT_LIST_HEAD(&paging->units);
	INIT_LIST_HEAD(&paging->attaches);
	paging->haw = limits->haw;
	paging->domain.type = type;
	paging->domain.ops = &vtd_paging_ops;
	paging->domain.pgsize_bitmap = limits->pgsizes;
	paging->domain.geometry.aperture_end = vtd_aperture_end(limits);
	paging->domain.geometry.force_aperture = true;
	if (vtd_ss_table_init(&paging->table))
		goto err_free;
	if (wd_iommu_domain_created(&paging->domain))
		goto err_table;
	__module_get(THIS_MODULE);
	return &paging->domain;

err_table:
	vtd_ss_table_destroy(&paging->table);
err_free:
	kfree(paging);
	return NULL;
}

/**
 * vtd_domain_alloc - the core's domain_alloc
 * @type: type of the domain. The driver declines flush-queue DMA, and the core then takes strict
 *	DMA (LINUX-DOM-1): so devices cannot reach unmapped memory any more when the unmap returns
 */
struct iommu_domain *vtd_domain_alloc(unsigned int type)
{
	struct vtd_limits limits;

	if (!vtd_common_limits(&limits))
		return NULL;
	switch (type) {
	case IOMMU_DOMAIN_IDENTITY:
		if (!limits.pass_through)
			return NULL;
		__module_get(THIS_MODULE);
		return &vtd_identity_domain;
	case IOMMU_DOMAIN_BLOCKED:
		__module_get(THIS_MODULE);
		return &vtd_blocked_domain;
	case IOMMU_DOMAIN_UNMANAGED:
	case IOMMU_DOMAIN_DMA:
		return vtd_paging_alloc(type, &limits);
	default:
		return NULL;
	}
}
