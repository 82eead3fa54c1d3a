// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains: the two static ones (pass-through and blocked), and paging domains with a second-stage
 * table of their own. Which units a paging domain is on, and where it is attached, is recorded
 * before the hardware entry is written and forgotten after it is torn down (VT-d sheet 8.4), so an
 * unmap always finds every cache that could hold the domain's translations.
 *
 * Every domain holds a reference on the module: Linux 6.1 may free it long after the devices and
 * the unit are gone (linux-iommu-core sheet, e3).
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

/* --- attach records --- */

static struct vtd_domain_unit *vtd_find_unit(struct vtd_domain *domain, struct vtd_pgtable *table,
					     struct vtd_unit *unit)
{
	struct vtd_domain_unit *on;

	lockdep_assert_held(&domain->lock);
	list_for_each_entry (on, &domain->units, node)
		if (on->unit == unit && on->table == table)
			return on;
	return NULL;
}

/* A domain identifier of @unit: its tag for a table. -ENOSPC, -ENOMEM. */
int vtd_did_alloc(struct vtd_unit *unit)
{
	unsigned int bits = min(vtd_cap_domain_bits(unit->cap), 16U);

	return ida_alloc_range(&unit->dids, VTD_DID_FIRST, (1U << bits) - 1, GFP_KERNEL);
}

/* The unit has forgotten what it tagged with @did. */
void vtd_did_free(struct vtd_unit *unit, u16 did)
{
	ida_free(&unit->dids, did);
}

static struct vtd_domain_unit *vtd_domain_unit_alloc(struct vtd_pgtable *table,
						     struct vtd_unit *unit)
{
	struct vtd_domain_unit *on = kzalloc(sizeof(*on), GFP_KERNEL);
	int did;

	if (!on)
		return NULL;
	did = vtd_did_alloc(unit);
	if (did < 0) {
		kfree(on);
		return NULL;
	}
	on->unit = unit;
	on->table = table;
	on->did = did;
	return on;
}

static void vtd_domain_unit_free(struct vtd_domain_unit *on)
{
	if (!on)
		return;
	vtd_did_free(on->unit, on->did);
	kfree(on);
}

/**
 * vtd_attach_record - note that a domain is about to be installed somewhere
 * @domain: paging domain
 * @table: user-managed table that is to be nested on it there, or NULL
 * @dev: function
 * @pasid: PASID, or IOMMU_NO_PASID
 *
 * Return: the record, whose @on has the DID to use; NULL without memory or domain identifiers.
 */
struct vtd_attach *vtd_attach_record(struct vtd_domain *domain, struct vtd_pgtable *table,
				     struct vtd_dev *dev, u32 pasid)
{
	struct vtd_attach *attach = kzalloc(sizeof(*attach), GFP_KERNEL);
	struct vtd_domain_unit *fresh = NULL;
	unsigned long flags;

	if (!attach)
		return NULL;
	attach->dev = dev;
	attach->pasid = pasid;
	spin_lock_irqsave(&domain->lock, flags);
	attach->on = vtd_find_unit(domain, table, dev->unit);
	if (!attach->on) {
		spin_unlock_irqrestore(&domain->lock, flags);
		fresh = vtd_domain_unit_alloc(table, dev->unit);
		if (!fresh) {
			kfree(attach);
			return NULL;
		}
		spin_lock_irqsave(&domain->lock, flags);
		attach->on = vtd_find_unit(domain, table, dev->unit);
		if (!attach->on) {
			attach->on = fresh;
			list_add_tail(&fresh->node, &domain->units);
			fresh = NULL;
		}
	}
	attach->on->users++;
	list_add_tail(&attach->node, &domain->attaches);
	spin_unlock_irqrestore(&domain->lock, flags);
	vtd_domain_unit_free(fresh);
	if (table) {
		mutex_lock(&table->lock);
		list_add_tail(&attach->place, &table->places);
		mutex_unlock(&table->lock);
	}
	return attach;
}

/**
 * vtd_attach_drop - forget an attachment whose hardware entry is torn down
 * @domain: paging domain
 * @attach: record, freed; NULL does nothing
 *
 * The last tear-down on a unit has flushed the DID, so it may be used anew at once (4.6).
 */
void vtd_attach_drop(struct vtd_domain *domain, struct vtd_attach *attach)
{
	struct vtd_domain_unit *last = NULL;
	struct vtd_pgtable *table;
	unsigned long flags;

	if (!attach)
		return;
	table = attach->on->table;
	if (table) {
		mutex_lock(&table->lock);
		list_del(&attach->place);
		mutex_unlock(&table->lock);
	}
	spin_lock_irqsave(&domain->lock, flags);
	list_del(&attach->node);
	if (!--attach->on->users) {
		last = attach->on;
		list_del(&last->node);
	}
	spin_unlock_irqrestore(&domain->lock, flags);
	vtd_domain_unit_free(last);
	kfree(attach);
}

/* --- attach of the requester id; the core holds the group's mutex --- */

/* Tear down what the requester id uses, then its records. */
static void vtd_rid_clear(struct vtd_dev *dev)
{
	lockdep_assert_held(&dev->lock);
	vtd_pasid_clear(dev, IOMMU_NO_PASID);
	if (dev->rid_nested)
		vtd_attach_drop(to_vtd_domain(dev->rid_domain), dev->rid_nested);
	if (dev->rid_attach)
		vtd_attach_drop(to_vtd_domain(dev->rid_domain), dev->rid_attach);
	dev->rid_nested = NULL;
	dev->rid_attach = NULL;
	dev->rid_domain = NULL;
}

/*
 * Replace what the requester id uses. @attach and the layer's record exist before the entry. On
 * failure the requester id is blocked; going back to a domain that once was attached needs no
 * memory but @attach.
 */
static int vtd_rid_set(struct vtd_dev *dev, struct iommu_domain *domain, struct vtd_attach *attach,
		       const struct vtd_pasid_entry *content)
{
	int ret;

	mutex_lock(&dev->lock);
	ret = content ? vtd_pasid_prepare(dev, IOMMU_NO_PASID) : 0;
	if (ret)
		goto out;
	vtd_rid_clear(dev);
	ret = wd_iommu_note_rid(domain, &dev->pdev->dev);
	if (!ret && content)
		ret = vtd_pasid_set(dev, IOMMU_NO_PASID, content);
	if (ret) {
		wd_iommu_note_rid(NULL, &dev->pdev->dev);
		goto out;
	}
	dev->rid_domain = domain;
	dev->rid_attach = attach;
out:
	mutex_unlock(&dev->lock);
	return ret;
}

/* VTD_PE_PWSNP and VTD_PE_PGSNP as far as @unit has them. */
u64 vtd_snoop_bits(const struct vtd_unit *unit)
{
	return (unit->ecap & VTD_ECAP_SMPWCS ? VTD_PE_PWSNP : 0) |
	       (unit->ecap & VTD_ECAP_SC ? VTD_PE_PGSNP : 0);
}

/* What the entry of an attachment of @domain has in it. */
struct vtd_pasid_entry vtd_attach_entry(struct vtd_domain *domain, const struct vtd_attach *attach)
{
	const struct vtd_domain_unit *on = attach->on;
	u64 root = ss_table_root(&domain->table), snoop = vtd_snoop_bits(on->unit);

	if (on->table)
		return vtd_pe_nested(on->did, root, on->table->first, snoop);
	return vtd_pe_second_stage(on->did, root, snoop);
}

static int vtd_paging_attach(struct iommu_domain *domain, struct device *dev)
{
	struct vtd_domain *paging = to_vtd_domain(domain);
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct vtd_pasid_entry content;
	struct vtd_attach *attach;
	int ret;

	ret = vtd_domain_fits(paging, vdev->unit);
	if (ret)
		return ret;
	attach = vtd_attach_record(paging, NULL, vdev, IOMMU_NO_PASID);
	if (!attach)
		return -ENOMEM;
	content = vtd_attach_entry(paging, attach);
	ret = vtd_rid_set(vdev, domain, attach, &content);
	if (ret)
		vtd_attach_drop(paging, attach);
	return ret;
}

static int vtd_identity_attach(struct iommu_domain *domain, struct device *dev)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct vtd_pasid_entry content =
		vtd_pe_pass_through(VTD_DID_IDENTITY, vtd_snoop_bits(vdev->unit));

	if (!(vdev->unit->ecap & VTD_ECAP_PT))
		return -EOPNOTSUPP;
	return vtd_rid_set(vdev, domain, NULL, &content);
}

static int vtd_blocked_attach(struct iommu_domain *domain, struct device *dev)
{
	return vtd_rid_set(dev_iommu_priv_get(dev), domain, NULL, NULL);
}

/* --- attach of a PASID; the layer holds the device's mutex --- */

/**
 * vtd_pasid_install - install a paging domain, or a table nested on it, at [@dev, @pasid]
 * @domain: paging domain
 * @table: user-managed table on it, or NULL
 * @dev: function
 * @pasid: PASID, free
 */
int vtd_pasid_install(struct vtd_domain *domain, struct vtd_pgtable *table, struct vtd_dev *dev,
		      u32 pasid)
{
	struct vtd_pasid_entry content;
	struct vtd_attach *attach;
	int ret;

	ret = vtd_domain_fits(domain, dev->unit);
	if (ret)
		return ret;
	attach = vtd_attach_record(domain, table, dev, pasid);
	if (!attach)
		return -ENOMEM;
	content = vtd_attach_entry(domain, attach);
	ret = xa_insert(&dev->attaches, pasid, attach, GFP_KERNEL);
	if (ret)
		goto err_drop;
	mutex_lock(&dev->lock);
	ret = vtd_pasid_prepare(dev, pasid);
	if (!ret)
		ret = vtd_pasid_set(dev, pasid, &content);
	mutex_unlock(&dev->lock);
	if (ret)
		goto err_erase;
	return 0;

err_erase:
	xa_erase(&dev->attaches, pasid);
err_drop:
	vtd_attach_drop(domain, attach);
	return ret;
}

/* The layer's set_dev_pasid. */
int vtd_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	if (domain->ops != &vtd_paging_ops)
		return -EINVAL;
	return vtd_pasid_install(to_vtd_domain(domain), NULL, dev_iommu_priv_get(dev), pasid);
}

/**
 * vtd_remove_dev_pasid - undo vtd_pasid_install()
 * @domain: the domain given then
 * @dev: claimed function
 * @pasid: PASID
 */
void vtd_remove_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);

	mutex_lock(&vdev->lock);
	vtd_pasid_clear(vdev, pasid);
	mutex_unlock(&vdev->lock);
	vtd_attach_drop(to_vtd_domain(domain), xa_erase(&vdev->attaches, pasid));
}

/**
 * vtd_rid_release - block the requester id for good
 * @dev: function about to be released
 */
void vtd_rid_release(struct vtd_dev *dev)
{
	mutex_lock(&dev->lock);
	vtd_rid_clear(dev);
	mutex_unlock(&dev->lock);
}

/* --- page tables --- */

static int vtd_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr,
			 size_t pgsize, size_t pgcount, int prot, gfp_t gfp, size_t *mapped)
{
	struct vtd_domain *paging = to_vtd_domain(domain);
	u64 length, rights = 0;
	LIST_HEAD(freed);
	int ret;

	if (prot & IOMMU_READ)
		rights |= SS_READ;
	if (prot & IOMMU_WRITE)
		rights |= SS_WRITE;
	if (!rights || !pgcount || !ss_level_of(pgsize) || !IS_ALIGNED(iova | paddr, pgsize) ||
	    check_mul_overflow((u64)pgsize, (u64)pgcount, &length))
		return -EINVAL;
	if (iova > domain->geometry.aperture_end ||
	    length - 1 > domain->geometry.aperture_end - iova || paddr >> paging->haw ||
	    (paddr + (length - 1)) >> paging->haw)
		return -ERANGE;
	if (domain->type == IOMMU_DOMAIN_UNMANAGED && gfpflags_allow_blocking(gfp))
		gfp |= __GFP_ACCOUNT;
	ret = ss_table_map(&paging->table, iova, paddr, pgsize, pgcount, rights, gfp, mapped,
			   &freed);
	if (!list_empty(&freed)) {
		/* A large leaf took the place of an empty table: the units may hold the link. */
		vtd_flush_range(paging, iova, iova + length - 1, false);
		ss_free_pages(&freed);
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
	done = ss_table_unmap(&paging->table, iova, length, &from, &gather->freelist);
	if (done)
		iommu_iotlb_gather_add_range(gather, from, iova + done - from);
	if (unlikely(ss_table_needs_sweep(&paging->table))) {
		ss_table_sweep(&paging->table, &gather->freelist);
		iommu_iotlb_gather_add_range(gather, 0, domain->geometry.aperture_end);
	}
	return done;
}

/* One block for the whole gather; tables and the caller's pages may be used anew afterwards. */
static void vtd_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	if (gather->end && gather->start <= gather->end)
		vtd_flush_range(to_vtd_domain(domain), gather->start, gather->end,
				list_empty(&gather->freelist));
	ss_free_pages(&gather->freelist);
}

static void vtd_flush_iotlb_all(struct iommu_domain *domain)
{
	vtd_flush_domain(to_vtd_domain(domain));
}

static phys_addr_t vtd_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	return ss_table_lookup(&to_vtd_domain(domain)->table, iova);
}

/* Every entry forces snooping on units that can (PGSNP). */
static bool vtd_enforce_cache_coherency(struct iommu_domain *domain)
{
	struct vtd_limits limits;

	return vtd_common_limits(&limits) && limits.snoop;
}

/* --- allocation --- */

static void vtd_paging_free(struct iommu_domain *domain)
{
	struct vtd_domain *paging = to_vtd_domain(domain);

	if (!wd_iommu_domain_released(domain) || WARN_ON(!list_empty(&paging->attaches)))
		return; /* a unit still walks the table */
	ss_table_destroy(&paging->table);
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

/* Before the first unit. The layer knows domains for as long as they may be attached. */
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

/* Fails if @unit cannot do what @domain promised when it was allocated. */
int vtd_domain_fits(struct vtd_domain *domain, const struct vtd_unit *unit)
{
	if (domain->haw > unit->haw || domain->domain.pgsize_bitmap & ~vtd_unit_pgsizes(unit))
		return -EINVAL;
	if (domain->domain.geometry.aperture_end >> min(vtd_cap_mgaw(unit->cap), 63U))
		return -EINVAL;
	return 0;
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
	paging->domain.geometry.aperture_end = (1ULL << limits->aperture_bits) - 1;
	paging->domain.geometry.force_aperture = true;
	if (ss_table_init(&paging->table))
		goto err_free;
	if (wd_iommu_domain_created(&paging->domain))
		goto err_table;
	__module_get(THIS_MODULE);
	return &paging->domain;

err_table:
	ss_table_destroy(&paging->table);
err_free:
	kfree(paging);
	return NULL;
}

/**
 * vtd_domain_alloc - the core's domain_alloc
 * @type: flush-queue DMA is declined, the core then takes strict DMA: what is unmapped is out of
 *	reach at once
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
