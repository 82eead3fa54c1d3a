// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASID directory, tables on demand, set-up and tear-down of an entry. The driver never edits a
 * present entry (VTD-DRV-3, VTD-DRV-7): it tears the entry down and sets it up again, or replaces
 * the whole table.
 */
#include "pasid_table.h"

#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "../trace.h"
#include "regs.h"
#include "vtd.h"

/*
 * Allocate a directory for every PASID that the function may use. To be called before the unit
 * knows @dev.
 */
int vtd_pasid_alloc(struct vtd_dev *dev)
{
	u32 tables = DIV_ROUND_UP(dev->max_pasids, VTD_PASID_TABLE_ENTRIES);

	dev->directory_log2 = VTD_PASID_DIR_MIN_LOG2;
	if (tables > 1)
		dev->directory_log2 =
			max_t(unsigned int, order_base_2(tables), VTD_PASID_DIR_MIN_LOG2);
	dev->directory_order = get_order(sizeof(u64) << dev->directory_log2);
	dev->directory = (__le64 *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, dev->directory_order);
	return dev->directory ? 0 : -ENOMEM;
}

/* Free directory and tables. The unit does not know @dev any more, unless the unit is dead. */
void vtd_pasid_free(struct vtd_dev *dev)
{
	u32 i;

	for (i = 0; i < 1U << dev->directory_log2; i++) {
		u64 slot = le64_to_cpu(dev->directory[i]);

		if (slot & VTD_PDIR_PRESENT)
			vtd_pages_free(dev->unit, (unsigned long)phys_to_virt(slot & PAGE_MASK), 0);
	}
	vtd_pages_free(dev->unit, (unsigned long)dev->directory, dev->directory_order);
	dev->directory = NULL;
}

/* Return: the entry of a PASID; NULL if its table does not exist. */
static __le64 *vtd_pasid_entry(struct vtd_dev *dev, u32 pasid)
{
	u32 index = pasid / VTD_PASID_TABLE_ENTRIES;
	u64 slot;

	lockdep_assert_held(&dev->lock);
	if (index >= 1U << dev->directory_log2)
		return NULL;
	slot = le64_to_cpu(dev->directory[index]);
	if (!(slot & VTD_PDIR_PRESENT))
		return NULL;
	return (__le64 *)phys_to_virt(slot & PAGE_MASK) +
	       (pasid % VTD_PASID_TABLE_ENTRIES) * VTD_PASID_ENTRY_WORDS;
}

/**
 * vtd_pasid_prepare - make sure that the table for the entry of a PASID exists
 * @dev: function; the caller holds its lock
 * @pasid: PASID
 *
 * A new table is charged to the calling process; vtd_pasid_clear() of its last entry frees it. A
 * directory entry that becomes present needs no flush (VTD-DRV-2).
 *
 * Return: 0; -ENOMEM; -EINVAL beyond the directory.
 */
int vtd_pasid_prepare(struct vtd_dev *dev, u32 pasid)
{
	u32 index = pasid / VTD_PASID_TABLE_ENTRIES;
	unsigned long page;

	if (index >= 1U << dev->directory_log2)
		return -EINVAL;
	if (vtd_pasid_entry(dev, pasid))
		return 0;
	page = get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	/* The zeroed table must be visible before the link to it. */
	dma_wmb();
	WRITE_ONCE(dev->directory[index],
		   cpu_to_le64(virt_to_phys((void *)page) | VTD_PDIR_PRESENT));
	return 0;
}

static bool vtd_pasid_table_used(const __le64 *table)
{
	unsigned int i;

	for (i = 0; i < VTD_PASID_TABLE_ENTRIES; i++)
		if (table[i * VTD_PASID_ENTRY_WORDS])
			return true;
	return false;
}

/*
 * Free the table of a PASID if it has no entry. Never free the first one, which has the entry of
 * the requester id: an attach back to the default domain must not allocate. The PASID cache may
 * have the directory entry for any PASID of the table, so this flushes all of it. A unit that does
 * not complete the flush is dead, and keeps the table.
 */
static void vtd_pasid_trim(struct vtd_dev *dev, u32 pasid)
{
	u32 index = pasid / VTD_PASID_TABLE_ENTRIES;
	u64 slot = le64_to_cpu(dev->directory[index]);
	const struct vtd_qi_desc flush = vtd_qi_pasid_cache_global();
	__le64 *table = phys_to_virt(slot & PAGE_MASK);

	lockdep_assert_held(&dev->lock);
	if (!index || vtd_pasid_table_used(table))
		return;
	WRITE_ONCE(dev->directory[index], 0);
	wmb();
	if (vtd_qi_submit(dev->unit, &flush, 1) && vtd_qi_submit(dev->unit, &flush, 1))
		vtd_unit_kill(dev->unit);
	vtd_pages_free(dev->unit, (unsigned long)table, 0);
}

/* Whether the entry of a PASID is present. */
bool vtd_pasid_present(struct vtd_dev *dev, u32 pasid)
{
	const __le64 *entry = vtd_pasid_entry(dev, pasid);

	return entry && le64_to_cpu(entry[0]) & VTD_PE_PRESENT;
}

/**
 * vtd_pasid_set - set an entry up
 * @dev: function; the caller holds its lock
 * @pasid: PASID; vtd_pasid_prepare() was called for it
 * @content: the entry without its present bit
 *
 * VTD-DRV-2: an entry that becomes present needs no invalidation, since the driver takes no units
 * with caching mode.
 *
 * Return: 0; -EBUSY if the entry is present.
 */
int vtd_pasid_set(struct vtd_dev *dev, u32 pasid, const struct vtd_pasid_entry *content)
{
	__le64 *entry = vtd_pasid_entry(dev, pasid);
	unsigned int i;

	if (WARN_ON_ONCE(!entry))
		return -EINVAL;
	if (le64_to_cpu(entry[0]) & VTD_PE_PRESENT)
		return -EBUSY;
	for (i = 0; i < VTD_PASID_ENTRY_WORDS; i++)
		WRITE_ONCE(entry[i], cpu_to_le64(content->q[i]));
	/* All other fields must be visible before P: the unit reads pieces of 16 bytes. */
	dma_wmb();
	WRITE_ONCE(entry[0], cpu_to_le64(content->q[0] | VTD_PE_PRESENT));
	/* P must be visible before the caller tells others that they may use the PASID. */
	wmb();
	trace_vtd_attach(dev->rid, pasid, VTD_PE_DID(content->q[1]), VTD_PE_PGTT(content->q[0]));
	return 0;
}

/*
 * Flush an entry in one submission. By itself the unit executes IOTLB commands after PASID cache
 * commands, and device TLB commands after commands of type 2; but after type 6 it needs a fence
 * (VTD-DRV-10). ATS of @dev cannot be switched on meanwhile, since the caller holds its lock.
 * @cache: command for the PASID cache.
 */
static int vtd_pasid_flush(struct vtd_dev *dev, u32 pasid, u64 q0, u16 did,
			   struct vtd_qi_desc cache)
{
	struct vtd_qi_batch batch;

	lockdep_assert_held(&dev->lock);
	vtd_qi_begin(&batch);
	vtd_qi_add(&batch, dev->unit, cache, NULL);
	switch (q0 & VTD_PE_PGTT_MASK) {
	case VTD_PE_PGTT_SECOND:
	case VTD_PE_PGTT_NESTED:
		vtd_qi_add(&batch, dev->unit, vtd_qi_iotlb_domain(did), NULL);
		break;
	default:
		vtd_qi_add(&batch, dev->unit, vtd_qi_piotlb_pasid(did, pasid), NULL);
		vtd_qi_add(&batch, dev->unit, vtd_qi_fence(), NULL);
	}
	vtd_ats_flush(&batch, dev, pasid, 0, VTD_QI_WHOLE);
	return vtd_qi_finish(&batch);
}

/*
 * Clear P of an entry, and flush PASID cache, IOTLB and device TLB. A unit that does not complete
 * the flush is dead.
 */
static void vtd_pasid_end(struct vtd_dev *dev, u32 pasid, __le64 *entry, u64 q0, u16 did)
{
	struct vtd_qi_desc cache = vtd_qi_pasid_cache(did, pasid);

	WRITE_ONCE(entry[0], cpu_to_le64(q0 & ~VTD_PE_PRESENT));
	wmb();
	trace_vtd_detach(dev->rid, pasid, did, VTD_PE_PGTT(q0));
	if (vtd_pasid_flush(dev, pasid, q0, did, cache) &&
	    vtd_pasid_flush(dev, pasid, q0, did, cache))
		vtd_unit_kill(dev->unit);
}

/**
 * vtd_pasid_replace - change a present entry in one step
 * @dev: function; the caller holds its lock
 * @pasid: PASID of a present entry
 * @content: the entry without its present bit
 * @page: zeroed page
 *
 * The unit reads an entry in pieces, so during an edit it could read a mix of old and new.
 * VTD-DRV-7: instead this copies the whole table to @page, with the new entry, and changes the link
 * in the directory by one store. So each request finds either the old entry or the new one.
 *
 * When it returns no request reaches memory through the old entry. Page requests may still be in the
 * queue: wd_iommu_change_fault_handler() waits for them.
 *
 * Return: the page of the old table, for the caller to free; 0 if the unit is dead and may still
 * read it.
 */
unsigned long vtd_pasid_replace(struct vtd_dev *dev, u32 pasid,
				const struct vtd_pasid_entry *content, unsigned long page)
{
	__le64 *entry = vtd_pasid_entry(dev, pasid), *fresh;
	unsigned long old = (unsigned long)entry & PAGE_MASK;
	struct vtd_qi_desc cache = vtd_qi_pasid_cache_global();
	unsigned int i;
	u64 q0;
	u16 did;

	if (WARN_ON_ONCE(!entry))
		return page;
	q0 = le64_to_cpu(entry[0]);
	did = VTD_PE_DID(le64_to_cpu(entry[1]));
	fresh = (__le64 *)(page + offset_in_page(entry));
	memcpy((void *)page, (void *)old, PAGE_SIZE);
	for (i = 0; i < VTD_PASID_ENTRY_WORDS; i++)
		fresh[i] = cpu_to_le64(content->q[i]);
	fresh[0] = cpu_to_le64(content->q[0] | VTD_PE_PRESENT);
	/* The table must be visible before the link to it. */
	dma_wmb();
	WRITE_ONCE(dev->directory[pasid / VTD_PASID_TABLE_ENTRIES],
		   cpu_to_le64(virt_to_phys((void *)page) | VTD_PDIR_PRESENT));
	wmb();
	trace_vtd_replace(dev->rid, pasid, VTD_PE_DID(content->q[1]), VTD_PE_PGTT(content->q[0]));
	/* Flush all of the PASID cache: it may have the old link for each of 64 PASIDs. */
	if (!vtd_pasid_flush(dev, pasid, q0, did, cache) ||
	    !vtd_pasid_flush(dev, pasid, q0, did, cache))
		return old;
	vtd_unit_kill(dev->unit);
	wd_iommu_leaked(1);
	return 0;
}

/**
 * vtd_pasid_silence - tear an entry down while the function may still send requests
 * @dev: function; the caller holds its lock
 * @pasid: PASID; the caller calls vtd_pasid_clear() later
 *
 * When this returns no request of the function reaches memory through the entry; the unit refuses
 * requests without recording them (VTD-PASID-11).
 */
void vtd_pasid_silence(struct vtd_dev *dev, u32 pasid)
{
	__le64 *entry = vtd_pasid_entry(dev, pasid);
	unsigned int i;
	u64 q0;

	if (!entry)
		return;
	q0 = le64_to_cpu(entry[0]);
	if (!(q0 & VTD_PE_PRESENT))
		return;
	vtd_pasid_end(dev, pasid, entry, q0 | VTD_PE_FPD, VTD_PE_DID(le64_to_cpu(entry[1])));
	WRITE_ONCE(entry[0], cpu_to_le64(VTD_PE_FPD));
	for (i = 2; i < VTD_PASID_ENTRY_WORDS; i++)
		WRITE_ONCE(entry[i], 0);
}

/**
 * vtd_pasid_clear - tear an entry down
 * @dev: function; the caller holds its lock
 * @pasid: PASID
 *
 * VTD-DRV-3 gives the order: clear P alone, flush PASID cache, IOTLB and device TLB, clear the rest
 * of the entry, drain page requests. When this returns no request of the function reaches memory
 * through the entry, and no page request of it is on its way.
 */
void vtd_pasid_clear(struct vtd_dev *dev, u32 pasid)
{
	__le64 *entry = vtd_pasid_entry(dev, pasid);
	unsigned int i;
	u64 q0;
	u16 did;

	if (!entry)
		return;
	q0 = le64_to_cpu(entry[0]);
	if (!(q0 & (VTD_PE_PRESENT | VTD_PE_FPD)))
		return;
	did = VTD_PE_DID(le64_to_cpu(entry[1]));
	if (q0 & VTD_PE_PRESENT)
		vtd_pasid_end(dev, pasid, entry, q0, did);

	for (i = 0; i < VTD_PASID_ENTRY_WORDS; i++)
		WRITE_ONCE(entry[i], 0);
	if (dev->faults_on)
		vtd_prq_drain(dev, pasid, did);
	vtd_pasid_trim(dev, pasid);
}
