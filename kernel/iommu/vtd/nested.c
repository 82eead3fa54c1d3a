// SPDX-License-Identifier: GPL-2.0-only
/*
 * User-managed first-stage tables, nested on a paging domain (VT-d 3.8, VTD-INV-7): the user's
 * description of a table, the places where it is bound, and the user's invalidations. The driver
 * never reads the table. The unit reads it through the parent, so its entries reach only memory
 * that the parent maps.
 */
#include <linux/iommufd.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iommu_pasid.h"
#include "regs.h"
#include "vtd.h"

/* How many entries of an invalidation to do before dropping the table's lock for others. */
#define VTD_INVALIDATE_CHUNK 64

#define VTD_S1_FLAGS (IOMMU_VTD_S1_SRE | IOMMU_VTD_S1_EAFE | IOMMU_VTD_S1_WPE)

/* VTD-DRV-6: make the third word of the entry. If the user's data is wrong, set *@error. */
static u64 vtd_first_word(const struct wd_user_data *data, int *error)
{
	struct iommu_hwpt_vtd_s1 s1;
	u64 first;

	*error = -EINVAL;
	if (data->len != sizeof(s1))
		return 0;
	memcpy(&s1, data->data, sizeof(s1));
	if (s1.flags & ~(u64)VTD_S1_FLAGS || s1.__reserved) {
		*error = -EOPNOTSUPP;
		return 0;
	}
	if ((s1.addr_width != 48 && s1.addr_width != 57) || s1.pgtbl_addr & ~PAGE_MASK)
		return 0;
	*error = 0;
	first = s1.pgtbl_addr;
	if (s1.addr_width == 57)
		first |= VTD_PE_FSPM_5;
	if (s1.flags & IOMMU_VTD_S1_EAFE)
		first |= VTD_PE_EAFE;
	/* WPE is about supervisor requests, which are not possible without SRE. */
	if (s1.flags & IOMMU_VTD_S1_SRE)
		first |= VTD_PE_SRE | (s1.flags & IOMMU_VTD_S1_WPE ? VTD_PE_WPE : 0);
	return first;
}

/**
 * vtd_pgtable_alloc - the layer's pgtable_alloc
 * @dev: claimed function; its unit must be able to walk the table
 * @parent: paging domain
 * @flags: IOMMU_HWPT_ALLOC_PASID
 * @data: struct iommu_hwpt_vtd_s1
 *
 * Return: the table; ERR_PTR of -EOPNOTSUPP for an unknown type or flag, or for
 * IOMMU_HWPT_ALLOC_PASID on a function without PASIDs; -EINVAL if @parent cannot be a parent, or
 * the unit cannot use the data; -ENOMEM.
 */
struct wd_pgtable *vtd_pgtable_alloc(struct device *dev, struct iommu_domain *parent, u32 flags,
				     const struct wd_user_data *data)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct vtd_pgtable *table;
	u64 first;
	int error;

	if (data->type != IOMMU_HWPT_DATA_VTD_S1 || flags & ~IOMMU_HWPT_ALLOC_PASID ||
	    (flags & IOMMU_HWPT_ALLOC_PASID && !vdev->max_pasids))
		return ERR_PTR(-EOPNOTSUPP);
	if (!vtd_is_paging(vdev->unit, parent) || !to_vtd_domain(parent)->nest_parent)
		return ERR_PTR(-EINVAL);
	first = vtd_first_word(data, &error);
	if (error)
		return ERR_PTR(error);
	if (!vtd_first_fits(first, vdev->unit))
		return ERR_PTR(-EINVAL);
	table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	table->pgtable.parent = parent;
	table->first = first;
	mutex_init(&table->lock);
	INIT_LIST_HEAD(&table->places);
	return &table->pgtable;
}

void vtd_pgtable_free(struct wd_pgtable *pgtable)
{
	struct vtd_pgtable *table = to_vtd_pgtable(pgtable);

	if (vtd_is_mm_table(pgtable)) {
		vtd_mm_table_free(pgtable);
		return;
	}
	if (WARN_ON(!list_empty(&table->places)))
		return; /* a unit still has the entry */
	kfree(table);
}

/* --- binding --- */

/**
 * vtd_bind_pgtable - the layer's bind_pgtable
 * @pgtable: table
 * @dev: claimed function
 * @pasid: free PASID; or IOMMU_NO_PASID if the core has blocked the requester id, or has attached
 *	the parent to it
 *
 * Return: 0; -EINVAL if the function's unit cannot walk the table, or the core uses the requester
 * id; -EBUSY if something is attached; -EIO if the unit is dead; -ENOSPC without domain
 * identifiers; -ENOMEM.
 */
int vtd_bind_pgtable(struct wd_pgtable *pgtable, struct device *dev, ioasid_t pasid)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct vtd_pgtable *table;

	if (vtd_is_mm_table(pgtable))
		return vtd_mm_table_bind(pgtable, vdev, pasid);
	table = to_vtd_pgtable(pgtable);
	if (!vtd_first_fits(table->first, vdev->unit))
		return -EINVAL;
	return vtd_attach_install(to_vtd_domain(pgtable->parent), table, vdev, pasid);
}

void vtd_unbind_pgtable(struct wd_pgtable *pgtable, struct device *dev, ioasid_t pasid)
{
	if (vtd_is_mm_table(pgtable))
		vtd_mm_table_unbind(pgtable, dev_iommu_priv_get(dev));
	else
		vtd_attach_uninstall(dev_iommu_priv_get(dev), pasid);
}

/* --- invalidation --- */

/* IOMMUFD-INV-3 */
static int vtd_check_invalidation(const struct iommu_hwpt_vtd_s1_invalidate *entry)
{
	if (entry->flags & ~IOMMU_VTD_INV_FLAGS_LEAF || entry->__reserved)
		return -EOPNOTSUPP;
	if (entry->addr & ~PAGE_MASK || (entry->npages == U64_MAX && entry->addr))
		return -EINVAL;
	return 0;
}

static void vtd_add_invalidation(struct vtd_qi_batch *batch, struct vtd_pgtable *table,
				 const struct iommu_hwpt_vtd_s1_invalidate *entry)
{
	u64 last = U64_MAX;

	if (!entry->npages)
		return;
	/* Cut a range that would go beyond the last address. */
	if (entry->npages - 1 <= (U64_MAX - entry->addr) >> PAGE_SHIFT)
		last = entry->addr + (entry->npages << PAGE_SHIFT) - 1;
	vtd_flush_table(batch, table, entry->addr, last, entry->flags & IOMMU_VTD_INV_FLAGS_LEAF);
}

/* A unit has refused to flush all addresses of the table: it is dead. */
static int vtd_table_lost(struct vtd_pgtable *table)
{
	struct vtd_attach *attach;

	lockdep_assert_held(&table->lock);
	list_for_each_entry (attach, &table->places, place)
		if (vtd_unit_dead(attach->dev->unit))
			return -EIO;
	list_for_each_entry (attach, &table->places, place)
		vtd_unit_kill(attach->dev->unit);
	return -EIO;
}

/*
 * Do entries up to the first one with an error. *@done: number of entries that are done; 0 if a
 * unit is dead.
 */
static int vtd_invalidate_chunk(struct vtd_pgtable *table, const void *entries, u32 count,
				u32 *done)
{
	struct iommu_hwpt_vtd_s1_invalidate entry;
	struct vtd_qi_batch batch;
	unsigned int epoch;
	int ret;

	mutex_lock(&table->lock);
	do {
		epoch = vtd_ats_epoch();
		vtd_qi_begin(&batch);
		for (*done = 0, ret = 0; *done < count; ++*done) {
			memcpy(&entry, entries + *done * sizeof(entry), sizeof(entry));
			ret = vtd_check_invalidation(&entry);
			if (ret)
				break;
			vtd_add_invalidation(&batch, table, &entry);
		}
		if (vtd_qi_finish(&batch)) {
			/* As in vtd_flush(): a command was refused, so flush all addresses. */
			vtd_qi_begin(&batch);
			vtd_flush_table(&batch, table, 0, U64_MAX, false);
			if (vtd_qi_finish(&batch)) {
				ret = vtd_table_lost(table);
				*done = 0;
				break;
			}
		}
	} while (epoch != vtd_ats_epoch());
	mutex_unlock(&table->lock);
	return ret;
}

/**
 * vtd_cache_invalidate - the layer's cache_invalidate
 * @pgtable: table
 * @type: IOMMU_HWPT_INVALIDATE_DATA_VTD_S1
 * @entries: struct iommu_hwpt_vtd_s1_invalidate, any alignment
 * @entry_len: size of one entry
 * @count: number of entries
 * @done: receives the number of entries that were done
 *
 * May sleep. Each entry reaches every place where the table is bound, and the device TLBs there. An
 * entry counts as done when at least its range has been invalidated.
 *
 * Return: 0; -EINVAL for another type or length or a bad range; -EOPNOTSUPP for a flag; -EIO if a
 * unit is dead.
 */
int vtd_cache_invalidate(struct wd_pgtable *pgtable, u32 type, const void *entries, u32 entry_len,
			 u32 count, u32 *done)
{
	struct vtd_pgtable *table = to_vtd_pgtable(pgtable);
	int ret = 0;

	*done = 0;
	if (type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
		return -EINVAL;
	if (count && entry_len != sizeof(struct iommu_hwpt_vtd_s1_invalidate))
		return -EINVAL;
	while (!ret && *done < count) {
		u32 chunk = min_t(u32, count - *done, VTD_INVALIDATE_CHUNK), part;

		ret = vtd_invalidate_chunk(table, entries + (size_t)*done * entry_len, chunk,
					   &part);
		*done += part;
		cond_resched();
	}
	return ret;
}
