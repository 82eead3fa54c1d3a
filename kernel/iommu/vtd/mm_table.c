// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables of processes as first-stage tables (VT-d 3.6, 9.7): the unit uses the format of the
 * CPU.
 *
 * The unit does not walk the top-level table of a process: its upper half leads to tables of the
 * kernel, which Linux changes and frees without telling other users. Instead the unit walks a
 * private top-level table, with copies of the entries of the user half. The fill operation copies
 * missing entries; the flush operation drops a copy when the process's entry does not lead to the
 * same table any more. Both read the process's entry and the copy with the lock held. Linux first
 * clears its entry, then announces the change, then frees the table. So either the fill sees the
 * cleared entry and copies nothing, or the flush comes later and drops the copy.
 *
 * Each table has a DID of its own, so a flush need not consider other uses of a PASID.
 */
#include <asm/cpufeature.h>
#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "regs.h"
#include "vtd.h"

/* Number of entries of the user half. */
#define VTD_MM_ENTRIES (PTRS_PER_PGD / 2)

/*
 * The bits of an entry that the driver copies. It does not copy the bits for software, nor the one
 * that forbids execution.
 */
#define VTD_FE_PRESENT BIT_ULL(0)
#define VTD_FE_WRITE BIT_ULL(1)
#define VTD_FE_USER BIT_ULL(2)
#define VTD_FE_TABLE GENMASK_ULL(51, 12)

static struct vtd_mm_table *to_vtd_mm_table(struct wd_pgtable *pgtable)
{
	return container_of(pgtable, struct vtd_mm_table, pgtable);
}

/**
 * vtd_mm_supported - the layer's mm_supported
 * @dev: claimed function
 * @faults: with page requests
 *
 * The unit must know every kind of entry that Linux writes for the CPU. The unit sets accessed bits
 * by locked updates, for which its walks must be snooped (VTD-FS-13).
 */
bool vtd_mm_supported(struct device *dev, bool faults)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	const u64 needed = VTD_ECAP_FSTS | VTD_ECAP_SMPWCS;
	u64 cap = vdev->unit->cap;

	if ((vdev->unit->ecap & needed) != needed || vdev->max_pasids < 2)
		return false;
	if (pgtable_l5_enabled() && !vtd_cap_fs5lp(cap))
		return false;
	if (cpu_feature_enabled(X86_FEATURE_GBPAGES) && !vtd_cap_fs1gp(cap))
		return false;
	return !faults || vdev->pri_cap;
}

/**
 * vtd_mm_table_alloc - the layer's mm_table_alloc
 * @dev: claimed function
 * @mm: process; its structure outlives the table
 *
 * Return: the table, without entries; ERR_PTR of -EOPNOTSUPP, -ENOMEM.
 */
struct wd_pgtable *vtd_mm_table_alloc(struct device *dev, struct mm_struct *mm)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct vtd_mm_table *table;

	table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	table->top = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!table->top) {
		kfree(table);
		return ERR_PTR(-ENOMEM);
	}
	if (virt_to_phys(table->top) >> vdev->unit->haw) {
		free_page((unsigned long)table->top);
		kfree(table);
		return ERR_PTR(-EOPNOTSUPP);
	}
	table->mm = mm;
	spin_lock_init(&table->lock);
	return &table->pgtable;
}

void vtd_mm_table_free(struct wd_pgtable *pgtable)
{
	struct vtd_mm_table *table = to_vtd_mm_table(pgtable);

	if (WARN_ON(table->dev))
		return; /* the unit still has the entry */
	if (table->lost)
		wd_iommu_leaked(1);
	else
		free_page((unsigned long)table->top);
	kfree(table);
}

/* --- entries --- */

/* Return: a copy of the process's current entry @index, for the unit; 0 if there is none. */
static u64 vtd_mm_entry(const struct vtd_mm_table *table, unsigned int index)
{
	u64 entry = READ_ONCE(table->mm->pgd[index].pgd);

	if ((entry & (VTD_FE_PRESENT | VTD_FE_USER)) != (VTD_FE_PRESENT | VTD_FE_USER))
		return 0;
	return entry & (VTD_FE_PRESENT | VTD_FE_WRITE | VTD_FE_USER | VTD_FE_TABLE);
}

/* Return: the index after the last entry of the user half that translates an address below @end. */
static unsigned int vtd_mm_end(unsigned long end)
{
	return end ? min_t(unsigned long, ((end - 1) >> PGDIR_SHIFT) + 1, VTD_MM_ENTRIES) : 0;
}

/**
 * vtd_mm_table_fill - the layer's mm_table_fill
 * @pgtable: table, which need not be bound. The layer calls vtd_mm_table_flush() for it on changes
 * @start: first address
 * @end: first address after the range
 *
 * This needs no flush: the unit does not cache entries that are not present.
 */
void vtd_mm_table_fill(struct wd_pgtable *pgtable, unsigned long start, unsigned long end)
{
	struct vtd_mm_table *table = to_vtd_mm_table(pgtable);
	unsigned long index = start >> PGDIR_SHIFT;
	unsigned long flags;

	spin_lock_irqsave(&table->lock, flags);
	for (; index < vtd_mm_end(end); index++)
		if (!READ_ONCE(table->top[index]))
			WRITE_ONCE(table->top[index], vtd_mm_entry(table, index));
	spin_unlock_irqrestore(&table->lock, flags);
}

/*
 * Drop copies that do not lead to the process's table any more. This compares only the addresses,
 * since the unit sets accessed bits in the copies.
 */
static void vtd_mm_drop(struct vtd_mm_table *table, unsigned long start, unsigned long end)
{
	unsigned long index;

	lockdep_assert_held(&table->lock);
	for (index = start >> PGDIR_SHIFT; index < vtd_mm_end(end); index++) {
		u64 copy = READ_ONCE(table->top[index]);

		if (copy && (copy ^ vtd_mm_entry(table, index)) & VTD_FE_TABLE)
			WRITE_ONCE(table->top[index], 0);
	}
}

/* --- binding --- */

static int vtd_mm_table_install(struct vtd_mm_table *table, struct vtd_dev *dev, u32 pasid)
{
	u64 first = virt_to_phys(table->top) | (pgtable_l5_enabled() ? VTD_PE_FSPM_5 : 0);
	struct vtd_pasid_entry content =
		vtd_pe_first_stage(table->did, first, vtd_snoop_bits(dev->unit));
	int ret;

	mutex_lock(&dev->lock);
	ret = vtd_pasid_prepare(dev, pasid);
	if (!ret)
		ret = vtd_pasid_set(dev, pasid, &content);
	mutex_unlock(&dev->lock);
	return ret;
}

static void vtd_mm_table_place(struct vtd_mm_table *table, struct vtd_dev *dev, u32 pasid, u16 did)
{
	spin_lock_irq(&table->lock);
	WRITE_ONCE(table->dev, dev);
	table->pasid = pasid;
	table->did = did;
	spin_unlock_irq(&table->lock);
}

/**
 * vtd_mm_table_bind - the layer's bind_pgtable, for the table of a process
 * @pgtable: table of a process, not bound
 * @dev: function that it was allocated for, or another one of its unit
 * @pasid: free PASID
 *
 * This notes the place before it writes the entry: from the entry on, flushes must find the place.
 *
 * Return: 0; -EINVAL for the requester id; -EBUSY if it is bound; -EIO if the unit is dead; -ENOSPC
 * without domain identifiers; -ENOMEM.
 */
int vtd_mm_table_bind(struct wd_pgtable *pgtable, struct vtd_dev *dev, u32 pasid)
{
	struct vtd_mm_table *table = to_vtd_mm_table(pgtable);
	int did, ret;

	if (pasid == IOMMU_NO_PASID || !vtd_mm_supported(&dev->pdev->dev, false))
		return -EINVAL;
	if (table->dev)
		return -EBUSY;
	if (vtd_unit_dead(dev->unit))
		return -EIO;
	did = vtd_did_alloc(dev->unit, false);
	if (did < 0)
		return did;
	ret = vtd_did_charge(dev, did);
	if (ret)
		goto err_did;
	vtd_mm_table_place(table, dev, pasid, did);
	ret = vtd_mm_table_install(table, dev, pasid);
	if (!ret)
		return 0;
	vtd_mm_table_place(table, NULL, 0, 0);
	vtd_did_uncharge(dev, did);
err_did:
	vtd_did_free(dev->unit, did);
	return ret;
}

void vtd_mm_table_unbind(struct wd_pgtable *pgtable, struct vtd_dev *dev)
{
	struct vtd_mm_table *table = to_vtd_mm_table(pgtable);
	u16 did = table->did;

	mutex_lock(&dev->lock);
	vtd_pasid_clear(dev, table->pasid);
	mutex_unlock(&dev->lock);
	table->lost |= vtd_unit_dead(dev->unit);
	vtd_mm_table_place(table, NULL, 0, 0);
	vtd_did_uncharge(dev, did);
	vtd_did_free(dev->unit, did);
}

bool vtd_mm_table_is_at(struct wd_pgtable *pgtable, struct vtd_dev *dev, u32 pasid)
{
	struct vtd_mm_table *table = to_vtd_mm_table(pgtable);

	return READ_ONCE(table->dev) == dev && table->pasid == pasid;
}

/**
 * vtd_mm_table_cut - the layer's mm_table_cut
 * @pgtable: bound table
 * @dev: device where it is bound
 * @pasid: PASID where it is bound
 */
void vtd_mm_table_cut(struct wd_pgtable *pgtable, struct device *dev, ioasid_t pasid)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);

	mutex_lock(&vdev->lock);
	vtd_pasid_silence(vdev, pasid);
	mutex_unlock(&vdev->lock);
}

/**
 * vtd_mm_table_flush - the layer's mm_table_flush
 * @pgtable: table, which need not be bound
 * @start: first address
 * @end: first address after the range. If it is not above @start, the range is all addresses: Linux
 *	announces such a range when two threads unmap at the same time
 */
void vtd_mm_table_flush(struct wd_pgtable *pgtable, unsigned long start, unsigned long end)
{
	struct vtd_mm_table *table = to_vtd_mm_table(pgtable);
	unsigned long flags;

	if (end <= start) {
		start = 0;
		end = ULONG_MAX;
	}
	spin_lock_irqsave(&table->lock, flags);
	vtd_mm_drop(table, start, end);
	if (table->dev)
		vtd_flush_mm_table(table, start, end - 1);
	spin_unlock_irqrestore(&table->lock, flags);
}
