// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device TLBs (PCI Express 10, VT-d 4.2): ATS of a function on and off, and commands to its TLB.
 *
 * The driver switches the ATS of a function under the lock of the invalidation queue. So a
 * submission knows whether the function may have cached an older translation. But a flush selects
 * the functions before it takes the lock. So a counter counts how often ATS was switched on; if it
 * changes during a flush, the flush selects and submits again (cache.c).
 */
#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/pci-ats.h>

#include "iommu_master.h"
#include "vtd.h"

/* Number of functions with ATS on, and how often ATS was switched on, on all units. */
static atomic_t vtd_ats_count = ATOMIC_INIT(0);
static atomic_t vtd_ats_changes = ATOMIC_INIT(0);

bool vtd_ats_functions(void)
{
	return atomic_read(&vtd_ats_count);
}

/* A flush calls this before it selects the functions, and again after the submission. */
unsigned int vtd_ats_epoch(void)
{
	unsigned int epoch;

	smp_mb();
	epoch = atomic_read(&vtd_ats_changes);
	smp_mb();
	return epoch;
}

/**
 * vtd_ats_flush - queue invalidations of a function's device TLB
 * @batch: batch
 * @dev: function; nothing happens if its ATS is off
 * @pasid: PASID, or IOMMU_NO_PASID for translations without one
 * @address: any address in the range
 * @order: the range is 4 KiB << @order, naturally aligned; VTD_QI_WHOLE: all
 */
void vtd_ats_flush(struct vtd_qi_batch *batch, struct vtd_dev *dev, u32 pasid, u64 address,
		   unsigned int order)
{
	struct vtd_qi_desc desc;

	if (!READ_ONCE(dev->ats_on))
		return;
	if (pasid == IOMMU_NO_PASID)
		desc = vtd_qi_dev_tlb(dev->rid, dev->ats_pf, dev->ats_depth, address, order);
	else
		desc = vtd_qi_pasid_dev_tlb(dev->rid, dev->ats_pf, dev->ats_depth, pasid, address,
					    order);
	vtd_qi_add(batch, dev->unit, desc, dev);
}

/*
 * VTD-DTLB-1: a function drops its translations when its ATS is switched off. This also clears the
 * bits in struct pci_dev: otherwise the PCI core would switch ATS on again after a reset.
 */
void vtd_ats_off(struct vtd_dev *dev)
{
	lockdep_assert_held(&dev->unit->qi.lock);
	if (!dev->ats_on)
		return;
	spin_lock(&wd_iommu_marks_lock);
	pci_disable_pri(dev->pdev);
	pci_disable_ats(dev->pdev);
	spin_unlock(&wd_iommu_marks_lock);
	WRITE_ONCE(dev->ats_on, false);
	atomic_dec(&vtd_ats_count);
}

/**
 * vtd_ats_shut_out - a function's device TLB does not answer
 * @dev: function; its unit's queue is locked
 *
 * VTD-DRV-11: the function may have old translations, which may lead to memory of others. So from
 * now on the context entry, which the caller flushes, refuses translated requests, even if the
 * function ignores that its ATS is off. Untranslated requests still work. The function gets no ATS
 * until it is claimed again.
 */
void vtd_ats_shut_out(struct vtd_dev *dev)
{
	WRITE_ONCE(dev->shut_out, true);
	vtd_context_refuse_ats(dev);
	vtd_ats_off(dev);
	dev_err(&dev->pdev->dev, "its device TLB does not answer: address translation is off\n");
}

/* Switch ATS on. The caller holds the lock of the unit's queue. */
int vtd_ats_on(struct vtd_dev *dev)
{
	int ret;

	WRITE_ONCE(dev->ats_on, true);
	atomic_inc(&vtd_ats_count);
	/* A flush that has seen ats_on false, and submits after this, sees the counter change. */
	smp_mb();
	atomic_inc(&vtd_ats_changes);
	spin_lock(&wd_iommu_marks_lock);
	ret = pci_enable_ats(dev->pdev, PAGE_SHIFT);
	spin_unlock(&wd_iommu_marks_lock);
	if (ret) {
		WRITE_ONCE(dev->ats_on, false);
		atomic_dec(&vtd_ats_count);
	}
	return ret;
}
