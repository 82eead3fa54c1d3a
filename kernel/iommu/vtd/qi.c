// SPDX-License-Identifier: GPL-2.0-only
/*
 * The invalidation queue. Callers may have interrupts off, and need the result before they go on
 * (LINUX-DMA-7). So a submission holds the lock, writes the tail once, and polls the status word of
 * its wait descriptor, with a time limit. The driver does not use the completion interrupt.
 */
#include "qi.h"

#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "../trace.h"
#include "regs.h"
#include "unit.h"
#include "wd_budget.h"

#define VTD_QI_BUDGET_NS (2ULL * NSEC_PER_SEC)
/* Number of polls between two reads of the clock and of the fault status. */
#define VTD_QI_SPINS 256

static void vtd_qi_write(struct vtd_qi *qi, unsigned int index, const struct vtd_qi_desc *desc)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		qi->ring[index][i] = cpu_to_le64(desc->q[i]);
}

/*
 * VTD-DRV-11: overwrite the descriptor that the unit has refused with one that has no effect, and
 * let the unit go on. If that was the wait descriptor (bad memory), write it once more.
 */
static void vtd_qi_skip(struct vtd_unit *unit)
{
	struct vtd_qi *qi = &unit->qi;
	unsigned int last = (qi->tail + VTD_QI_ENTRIES - 1) % VTD_QI_ENTRIES;
	unsigned int bad = (readl(unit->regs + VTD_REG_IQH) >> VTD_QI_SHIFT) % VTD_QI_ENTRIES;
	const struct vtd_qi_desc instead =
		bad == last ? vtd_qi_wait(qi->status_pa, qi->sequence) : vtd_qi_nothing();

	dev_err_once(&unit->pdev->dev,
		     "invalidation queue: error %u at %u: %016llx %016llx, skipped\n",
		     VTD_IQERCD_IQEI(readl(unit->regs + VTD_REG_IQERCD)), bad,
		     le64_to_cpu(qi->ring[bad][0]), le64_to_cpu(qi->ring[bad][1]));
	vtd_qi_write(qi, bad, &instead);
	dma_wmb();
	writel(VTD_FSTS_IQE, unit->regs + VTD_REG_FSTS);
}

/*
 * Return the error that the queue has reported, or 0, and let the unit go on (VTD-QI-6). If a
 * device TLB did not answer in time, the unit goes on with the wait descriptor, and drops other
 * commands to device TLBs: this notes the function.
 */
static int vtd_qi_check_error(struct vtd_unit *unit)
{
	struct vtd_qi *qi = &unit->qi;
	u32 fsts = readl(unit->regs + VTD_REG_FSTS);
	int ret = 0;

	if (fsts & VTD_FSTS_IQE) {
		vtd_qi_skip(unit);
		ret = -EINVAL;
	}
	if (fsts & VTD_FSTS_ITE) {
		qi->late = true;
		qi->late_known = true;
		qi->late_rid = VTD_IQERCD_ITESID(readq(unit->regs + VTD_REG_IQERCD));
		writel(VTD_FSTS_ITE, unit->regs + VTD_REG_FSTS);
	}
	return ret;
}

/*
 * Poll until the unit writes the status word. Return -ETIMEDOUT only if the time is over, the CPU
 * has read a register of the unit since then, and the word is still not written.
 */
static int vtd_qi_poll(struct vtd_unit *unit)
{
	struct wd_budget budget = wd_budget(VTD_QI_BUDGET_NS);
	struct vtd_qi *qi = &unit->qi;
	unsigned int spins = 0, errors = 0;
	bool spent = false;
	int ret = 0, err;

	while (READ_ONCE(*qi->status) != qi->sequence) {
		if (++spins % VTD_QI_SPINS != 1) {
			cpu_relax();
			continue;
		}
		err = vtd_qi_check_error(unit);
		/* More errors than descriptors: the registers are gone, and read as all ones. */
		if (err && errors++ <= VTD_QI_BATCH + 1)
			ret = err;
		else if (spent && READ_ONCE(*qi->status) != qi->sequence)
			goto late;
		spent = wd_budget_spent(&budget);
	}
	/* Frees and reads of the caller must come after the completion. */
	dma_rmb();
	return ret;

late:
	dev_err_ratelimited(&unit->pdev->dev,
			    "invalidation queue: no completion, head %x tail %x\n",
			    readl(unit->regs + VTD_REG_IQH), readl(unit->regs + VTD_REG_IQT));
	qi->late = true;
	return -ETIMEDOUT;
}

static void vtd_qi_push(struct vtd_unit *unit, const struct vtd_qi_desc *desc)
{
	struct vtd_qi *qi = &unit->qi;

	trace_vtd_invalidate_submit(&unit->pdev->dev, desc->q[0], desc->q[1]);
	vtd_qi_write(qi, qi->tail, desc);
	qi->tail = (qi->tail + 1) % VTD_QI_ENTRIES;
}

/*
 * Make one submission, with the lock held. @dev: as in struct vtd_qi_batch, or NULL; @flags: of the
 * wait descriptor. Return: -ETIMEDOUT after a time-out with commands for device TLBs, one of which
 * may be late. After a time-out without such commands the unit itself is late, and dead. -EIO if
 * the unit is dead.
 */
static int vtd_qi_run(struct vtd_unit *unit, const struct vtd_qi_desc *desc,
		      struct vtd_dev *const *dev, unsigned int count, u64 flags)
{
	struct vtd_qi *qi = &unit->qi;
	bool functions = false;
	struct vtd_qi_desc wait;
	unsigned int i;
	int ret;

	lockdep_assert_held(&qi->lock);
	if (unit->dead)
		return -EIO;
	qi->late = false;
	qi->late_known = false;
	/* Nothing to do: the unit wakes with empty caches. */
	if (qi->off)
		return 0;
	for (i = 0; i < count; i++) {
		if (dev && dev[i] && !dev[i]->ats_on)
			continue;
		functions |= dev && dev[i];
		vtd_qi_push(unit, &desc[i]);
	}
	wait = vtd_qi_wait(qi->status_pa, ++qi->sequence);
	wait.q[0] |= flags;
	vtd_qi_push(unit, &wait);
	dma_wmb();
	writel(qi->tail << VTD_QI_SHIFT, unit->regs + VTD_REG_IQT);
	ret = vtd_qi_poll(unit);
	trace_vtd_invalidate_done(&unit->pdev->dev, qi->tail, ret);
	if (ret == -ETIMEDOUT && !functions) {
		qi->ops->died(unit);
		return -EIO;
	}
	return ret || !qi->late ? ret : -ETIMEDOUT;
}

/*
 * Shut out functions that did not complete an invalidation of their device TLB: the function that
 * the unit has named, or all of the submission if it has named none of them. From then on the unit
 * refuses their requests with old translations. Return: false if there is no such function.
 */
static bool vtd_qi_blame(struct vtd_unit *unit, struct vtd_dev *const *dev, unsigned int count)
{
	struct vtd_qi_desc flush[VTD_QI_BATCH];
	struct vtd_qi *qi = &unit->qi;
	unsigned int i, blamed = 0;
	bool named = false;

	if (!qi->late)
		return false;
	for (i = 0; i < count && qi->late_known; i++)
		named |= dev[i] && dev[i]->ats_on && dev[i]->rid == qi->late_rid;
	for (i = 0; i < count; i++) {
		if (!dev[i] || !dev[i]->ats_on || (named && dev[i]->rid != qi->late_rid))
			continue;
		qi->ops->shut_out(dev[i]);
		flush[blamed++] = vtd_qi_context(dev[i]->rid);
	}
	if (blamed)
		vtd_qi_run(unit, flush, NULL, blamed, 0);
	return blamed;
}

/**
 * vtd_qi_submit - invalidate and wait
 * @unit: the unit
 * @desc: descriptors, executed in the order of VT-d 6.5.2.12
 * @count: up to VTD_QI_BATCH
 *
 * Any context. When this returns 0 the cache entries are gone, and all reads and writes that used
 * them have ended.
 *
 * Return: 0; -EINVAL if the unit refused a descriptor, which was skipped; -EIO if the unit is dead,
 * perhaps after this submission.
 */
int vtd_qi_submit(struct vtd_unit *unit, const struct vtd_qi_desc *desc, unsigned int count)
{
	unsigned long flags;
	int ret;

	if (WARN_ON_ONCE(count > VTD_QI_BATCH))
		return -EINVAL;
	spin_lock_irqsave(&unit->qi.lock, flags);
	ret = vtd_qi_run(unit, desc, NULL, count, 0);
	spin_unlock_irqrestore(&unit->qi.lock, flags);
	return ret;
}

/*
 * Submit a batch. If a function does not answer, shut it out and submit the batch again, since the
 * unit may have lost the other commands. Each round shuts out at least one function.
 */
static void vtd_qi_flush(struct vtd_qi_batch *batch, u64 wait_flags)
{
	struct vtd_unit *unit = batch->unit;
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&unit->qi.lock, flags);
	do
		ret = vtd_qi_run(unit, batch->desc, batch->dev, batch->count, wait_flags);
	while (ret == -ETIMEDOUT && vtd_qi_blame(unit, batch->dev, batch->count));
	if (ret == -ETIMEDOUT) {
		unit->qi.ops->died(unit);
		ret = -EIO;
	}
	spin_unlock_irqrestore(&unit->qi.lock, flags);
	batch->count = 0;
	if (ret)
		batch->error = ret;
}

/**
 * vtd_qi_add - add a descriptor to a batch; if there is no room, submit the batch first
 * @batch: begun with vtd_qi_begin()
 * @unit: unit of the descriptor
 * @desc: the descriptor
 * @dev: function, if it is for a device TLB, or NULL; must stay until the batch is finished
 *
 * Any context. Descriptors keep their order, also when the unit changes.
 */
void vtd_qi_add(struct vtd_qi_batch *batch, struct vtd_unit *unit, struct vtd_qi_desc desc,
		struct vtd_dev *dev)
{
	if (batch->count && (batch->count == VTD_QI_BATCH || batch->unit != unit))
		vtd_qi_flush(batch, 0);
	batch->unit = unit;
	batch->desc[batch->count] = desc;
	batch->dev[batch->count++] = dev;
}

/**
 * vtd_qi_finish - submit the rest, and wait
 * @batch: batch
 *
 * Return: 0, or an error of any of its submissions.
 */
int vtd_qi_finish(struct vtd_qi_batch *batch)
{
	if (batch->count)
		vtd_qi_flush(batch, 0);
	return batch->error;
}

/*
 * As vtd_qi_finish(). Afterwards all page requests that the unit had received are in the page
 * request queue. The batch is not empty.
 */
int vtd_qi_finish_pages(struct vtd_qi_batch *batch)
{
	vtd_qi_flush(batch, VTD_QI_WAIT_PAGES);
	return batch->error;
}

/* Switch the queue on, empty. In the unit it is off before (VT-d specification 6.5.2). */
int vtd_qi_enable(struct vtd_unit *unit)
{
	struct vtd_qi *qi = &unit->qi;
	unsigned long flags;
	int ret;

	writel(0, unit->regs + VTD_REG_IQT);
	writeq(virt_to_phys(qi->ring) | VTD_IQA_DW | VTD_QI_SIZE, unit->regs + VTD_REG_IQA);
	ret = vtd_unit_command(unit, VTD_GCMD_QIE, true);
	if (ret)
		return ret;
	spin_lock_irqsave(&qi->lock, flags);
	qi->tail = 0;
	qi->off = false;
	spin_unlock_irqrestore(&qi->lock, flags);
	return 0;
}

/* From now on submissions do nothing and return 0. The caller empties the caches of the unit. */
int vtd_qi_disable(struct vtd_unit *unit)
{
	struct vtd_qi *qi = &unit->qi;
	unsigned long flags;

	spin_lock_irqsave(&qi->lock, flags);
	qi->off = true;
	spin_unlock_irqrestore(&qi->lock, flags);
	return vtd_unit_command(unit, VTD_GCMD_QIE, false);
}

/* @ops: callbacks for time-outs and lost memory. */
int vtd_qi_init(struct vtd_unit *unit, const struct vtd_qi_ops *ops)
{
	struct vtd_qi *qi = &unit->qi;

	qi->ops = ops;
	spin_lock_init(&qi->lock);
	qi->off = true;
	qi->sequence = 0;
	qi->ring = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, VTD_QI_ORDER);
	qi->status = (u32 *)get_zeroed_page(GFP_KERNEL);
	if (!qi->ring || !qi->status) {
		vtd_qi_exit(unit);
		return -ENOMEM;
	}
	qi->status_pa = virt_to_phys(qi->status);
	return 0;
}

/*
 * Free the queue. Every submission has ended, and with a wait descriptor, so the unit is idle. But
 * if the unit does not confirm that the queue is off it may still read the memory: then keep it.
 */
void vtd_qi_exit(struct vtd_unit *unit)
{
	struct vtd_qi *qi = &unit->qi;

	if (unit->gcmd & VTD_GCMD_QIE && vtd_qi_disable(unit)) {
		qi->ops->leaked((1UL << VTD_QI_ORDER) + 1);
	} else {
		free_pages((unsigned long)qi->ring, VTD_QI_ORDER);
		free_page((unsigned long)qi->status);
	}
	qi->ring = NULL;
	qi->status = NULL;
}
