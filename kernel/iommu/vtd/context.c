// SPDX-License-Identifier: GPL-2.0-only
/*
 * Root table and scalable context tables (VT-d 9.2, 9.4). The driver makes a context table for a
 * bus when it claims the first function there, and keeps it until the unit stops.
 */
#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>

#include "regs.h"
#include "vtd.h"

#define VTD_ROOT_PRESENT BIT_ULL(0)
#define VTD_CTX_PRESENT BIT_ULL(0)
#define VTD_CTX_DTE BIT_ULL(2)
#define VTD_CTX_PASIDE BIT_ULL(3)
#define VTD_CTX_PRE BIT_ULL(4)
#define VTD_CTX_PDTS(x) ((u64)(x) << 9)
#define VTD_CTX_WORDS 4
#define VTD_ROOT_WORDS 512 /* 256 buses, lower and upper half */

int vtd_root_alloc(struct vtd_unit *unit)
{
	unit->root = (__le64 *)get_zeroed_page(GFP_KERNEL);
	return unit->root ? 0 : -ENOMEM;
}

/* Free the root table. The unit uses another one, or translation is off. */
void vtd_root_free(struct vtd_unit *unit)
{
	unsigned int i;

	for (i = 0; unit->root && i < VTD_ROOT_WORDS; i++) {
		u64 half = le64_to_cpu(unit->root[i]);

		if (half & VTD_ROOT_PRESENT)
			vtd_pages_free(unit, (unsigned long)phys_to_virt(half & PAGE_MASK), 0);
	}
	vtd_pages_free(unit, (unsigned long)unit->root, 0);
	unit->root = NULL;
}

/* Return: the context entry of @rid; NULL if there is no table. @create: make the table. */
static __le64 *vtd_context_entry(struct vtd_unit *unit, u16 rid, bool create)
{
	__le64 *half = &unit->root[rid >> 7];
	unsigned long page;

	lockdep_assert_held(&unit->devices_lock);
	if (!(le64_to_cpu(*half) & VTD_ROOT_PRESENT)) {
		if (!create)
			return NULL;
		page = get_zeroed_page(GFP_KERNEL);
		if (!page)
			return NULL;
		/* The zeroed table must be visible before the link to it. */
		dma_wmb();
		WRITE_ONCE(*half, cpu_to_le64(virt_to_phys((void *)page) | VTD_ROOT_PRESENT));
	}
	return (__le64 *)phys_to_virt(le64_to_cpu(*half) & PAGE_MASK) +
	       (rid & 0x7f) * VTD_CTX_WORDS;
}

/**
 * vtd_context_set - let the unit translate for a function
 * @dev: function with an empty PASID directory: its requests fault until something is attached
 *
 * RID_PASID is 0. VTD-DRV-2: this needs no invalidation, since the driver takes no units with
 * caching mode.
 *
 * Return: 0; -ENOMEM; -EBUSY if the requester id is taken.
 */
int vtd_context_set(struct vtd_dev *dev)
{
	__le64 *entry = vtd_context_entry(dev->unit, dev->rid, true);
	u64 q0 = virt_to_phys(dev->directory) |
		 VTD_CTX_PDTS(dev->directory_log2 - VTD_PASID_DIR_MIN_LOG2);
	unsigned int i;

	if (!entry)
		return -ENOMEM;
	if (le64_to_cpu(entry[0]) & VTD_CTX_PRESENT)
		return -EBUSY;
	if (dev->max_pasids)
		q0 |= VTD_CTX_PASIDE;
	if (dev->ats_cap)
		q0 |= VTD_CTX_DTE;
	if (dev->pri_cap)
		q0 |= VTD_CTX_PRE;
	for (i = 1; i < VTD_CTX_WORDS; i++)
		WRITE_ONCE(entry[i], 0);
	WRITE_ONCE(entry[0], cpu_to_le64(q0));
	/* All other fields must be visible before P. */
	dma_wmb();
	WRITE_ONCE(entry[0], cpu_to_le64(q0 | VTD_CTX_PRESENT));
	wmb();
	dev->context = entry;
	return 0;
}

/*
 * Refuse translated requests and page requests of a function, after the caller has flushed the
 * context entry. Does not sleep. Something is attached at the function, so its entry stays.
 */
void vtd_context_refuse_ats(struct vtd_dev *dev)
{
	u64 q0 = le64_to_cpu(dev->context[0]);

	WRITE_ONCE(dev->context[0], cpu_to_le64(q0 & ~(VTD_CTX_DTE | VTD_CTX_PRE)));
	wmb();
}

/**
 * vtd_context_block - refuse every request of a function, or end that
 * @dev: function; the caller holds its lock, and its ATS is off
 * @blocked: true: refuse requests; false: let them pass again
 *
 * PASID entries stay. When this returns with @blocked, no request of the function is on its way to
 * memory, or the unit is dead.
 */
void vtd_context_block(struct vtd_dev *dev, bool blocked)
{
	const struct vtd_qi_desc flush[] = {vtd_qi_context(dev->rid), vtd_qi_pasid_cache_global(),
					    vtd_qi_iotlb_global()};
	unsigned long flags;
	u64 q0;

	lockdep_assert_held(&dev->lock);
	/* The lock, since vtd_context_refuse_ats() changes the same word. */
	spin_lock_irqsave(&dev->unit->qi.lock, flags);
	q0 = le64_to_cpu(dev->context[0]);
	q0 = blocked ? q0 & ~VTD_CTX_PRESENT : q0 | VTD_CTX_PRESENT;
	WRITE_ONCE(dev->context[0], cpu_to_le64(q0));
	wmb();
	spin_unlock_irqrestore(&dev->unit->qi.lock, flags);
	if (blocked && vtd_qi_submit(dev->unit, flush, ARRAY_SIZE(flush)))
		vtd_unit_kill(dev->unit);
}

/**
 * vtd_context_clear - undo vtd_context_set()
 * @dev: function without any PASID entry left
 *
 * VTD-DRV-12: ATS of the function is off, and the IOTLB and the PASID cache have no entry of it any
 * more, so this flushes only the context cache. When it returns the unit does not read the
 * directory any more, unless it is dead.
 */
void vtd_context_clear(struct vtd_dev *dev)
{
	__le64 *entry = vtd_context_entry(dev->unit, dev->rid, false);
	struct vtd_qi_desc flush = vtd_qi_context(dev->rid);
	unsigned int i;

	if (!entry)
		return;
	WRITE_ONCE(entry[0], cpu_to_le64(le64_to_cpu(entry[0]) & ~VTD_CTX_PRESENT));
	wmb();
	if (vtd_qi_submit(dev->unit, &flush, 1))
		vtd_unit_kill(dev->unit);
	for (i = 0; i < VTD_CTX_WORDS; i++)
		WRITE_ONCE(entry[i], 0);
}
