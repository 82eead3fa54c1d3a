// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page requests (VT-d 7.4). The interrupt thread empties the queue. So does the tear-down of an
 * entry, which has to know that the queue has no request of the function any more: it does not wait
 * for the thread, but does the thread's work itself.
 *
 * vtd_prq.lock is held while the layer and its handlers run. They may answer, which takes
 * vtd_qi.lock, but they take no other lock of this driver. vtd_prq.lock is taken under vtd_dev.lock
 * and devices_lock, so code under it looks functions up without these two. This is safe since a
 * function leaves the unit's list under vtd_prq.lock.
 */
#include <linux/gfp.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "../trace.h"
#include "regs.h"
#include "vtd.h"

#define VTD_PRQ_ORDER 4 /* PQS: 64 KiB, as Linux has it */
#define VTD_PRQ_BYTES (PAGE_SIZE << VTD_PRQ_ORDER)
#define VTD_PRQ_ENTRY 32
/* How often a drain repeats while the queue overflows. Dropped requests do not arrive later. */
#define VTD_PRQ_ROUNDS 8

#define VTD_PR_TYPE(q0) ((q0)&0xff)
#define VTD_PR_TYPE_REQUEST 1
#define VTD_PR_PP BIT_ULL(8)
#define VTD_PR_RID(q0) ((u16)((q0) >> 16))
#define VTD_PR_PASID(q0) ((u32)((q0) >> 32) & 0xfffff)
#define VTD_PR_EXR BIT_ULL(52)
#define VTD_PR_PMR BIT_ULL(53)
#define VTD_PR_RDR BIT_ULL(0)
#define VTD_PR_WRR BIT_ULL(1)
#define VTD_PR_LPIG BIT_ULL(2)
#define VTD_PR_GROUP(q1) ((u16)((q1) >> 3) & 0x1ff)
#define VTD_PR_ADDRESS(q1) ((q1)&GENMASK_ULL(63, 12))

/* Is the address within the width of the unit's first-stage tables? */
static bool vtd_pr_canonical(const struct vtd_unit *unit, u64 address)
{
	unsigned int unused = vtd_cap_fs5lp(unit->cap) ? 64 - 57 : 64 - 48;

	return (u64)((s64)(address << unused) >> unused) == address;
}

/* VTD-DRV-14: whether the request is one that no handler can serve. */
static bool vtd_pr_bad(const struct vtd_unit *unit, u64 q0, u64 q1)
{
	return !vtd_pr_canonical(unit, VTD_PR_ADDRESS(q1)) || q0 & VTD_PR_PMR ||
	       (q0 & VTD_PR_EXR && q1 & VTD_PR_RDR);
}

/**
 * vtd_respond - answer a group of page requests
 * @unit: the function's unit
 * @rid: requester id of the function
 * @has_pasid: the requests had a PASID
 * @pasid: PASID
 * @grpid: group
 * @code: VTD_RESPONSE_*
 */
void vtd_respond(struct vtd_unit *unit, u16 rid, bool has_pasid, u32 pasid, u16 grpid, u8 code)
{
	struct vtd_qi_desc response = vtd_qi_response(rid, has_pasid, pasid, grpid, code);

	trace_vtd_page_response(rid, has_pasid, pasid, grpid, code);
	vtd_qi_submit(unit, &response, 1);
}

static void vtd_pr_log(struct vtd_unit *unit, u64 q0, u64 q1, u8 reason)
{
	const struct vtd_fault fault = {
		.address = VTD_PR_ADDRESS(q1),
		.pasid = VTD_PR_PASID(q0),
		.rid = VTD_PR_RID(q0),
		.reason = reason,
		.type = VTD_FAULT_PAGE_REQUEST,
		.has_pasid = q0 & VTD_PR_PP,
	};

	vtd_fault_note(unit, &fault);
}

/* A request of a function that the driver does not know. */
static void vtd_pr_stray(struct vtd_unit *unit, u64 q0, u64 q1)
{
	vtd_pr_log(unit, q0, q1, VTD_REASON_BAD_REQUEST);
	if (q1 & VTD_PR_LPIG)
		vtd_respond(unit, VTD_PR_RID(q0), q0 & VTD_PR_PP, VTD_PR_PASID(q0),
			    VTD_PR_GROUP(q1), VTD_RESPONSE_INVALID);
}

static void vtd_pr_handle(struct vtd_unit *unit, u64 q0, u64 q1)
{
	struct wd_fault fault = {
		.addr = VTD_PR_ADDRESS(q1),
		.pasid = q0 & VTD_PR_PP ? VTD_PR_PASID(q0) : 0,
		.grpid = VTD_PR_GROUP(q1),
		.perm = (q1 & VTD_PR_RDR ? WD_FAULT_READ : 0) |
			(q1 & VTD_PR_WRR ? WD_FAULT_WRITE : 0) |
			(q0 & VTD_PR_EXR ? WD_FAULT_EXEC : 0),
		.flags = (q0 & VTD_PR_PP ? WD_FAULT_PASID_VALID : 0) |
			 (q1 & VTD_PR_LPIG ? WD_FAULT_LAST_PAGE : 0) |
			 (vtd_pr_bad(unit, q0, q1) ? WD_FAULT_BAD : 0),
	};
	struct vtd_dev *dev;

	/* VTD-DRV-14: a stop marker, or a request that asks for no access, gets no answer. */
	if (VTD_PR_TYPE(q0) != VTD_PR_TYPE_REQUEST || !(q1 & (VTD_PR_RDR | VTD_PR_WRR)))
		return;
	trace_vtd_page_request(VTD_PR_RID(q0), q0 & VTD_PR_PP, VTD_PR_PASID(q0), VTD_PR_GROUP(q1),
			       VTD_PR_ADDRESS(q1), q1 & VTD_PR_RDR, q1 & VTD_PR_WRR,
			       q1 & VTD_PR_LPIG);
	dev = xa_load(&unit->devices, VTD_PR_RID(q0));
	if (!dev)
		vtd_pr_stray(unit, q0, q1);
	else if (!wd_iommu_report_fault(&dev->pdev->dev, &fault))
		vtd_pr_log(unit, q0, q1,
			   fault.flags & WD_FAULT_BAD ? VTD_REASON_BAD_REQUEST
						      : VTD_REASON_UNHANDLED);
}

/*
 * The unit has dropped requests, and drops more until software clears PRO, which it must do when
 * the queue is empty (VTD-PRQ-3). Some groups are incomplete for ever, so the layer drops them.
 */
static void vtd_prq_overflow(struct vtd_unit *unit)
{
	struct vtd_dev *dev;
	unsigned long rid;

	xa_for_each (&unit->devices, rid, dev)
		if (dev->pri_cap)
			wd_iommu_faults_lost(&dev->pdev->dev);
	WRITE_ONCE(unit->prq.overflows, unit->prq.overflows + 1);
	writel(VTD_PRS_PRO, unit->regs + VTD_REG_PRS);
}

/*
 * Handle at most @most requests of the queue. This clears PPR first (VTD-DRV-9), so that a request
 * which arrives after the read of the tail raises another interrupt. Return: true if there are
 * more, or the queue has overflowed.
 */
static bool vtd_prq_collect(struct vtd_unit *unit, unsigned int most)
{
	struct vtd_prq *prq = &unit->prq;
	bool again = false;
	u64 head, tail;

	mutex_lock(&prq->lock);
	if (prq->off) {
		mutex_unlock(&prq->lock);
		return false;
	}
	writel(VTD_PRS_PPR, unit->regs + VTD_REG_PRS);
	tail = readq(unit->regs + VTD_REG_PQT) % VTD_PRQ_BYTES;
	head = readq(unit->regs + VTD_REG_PQH) % VTD_PRQ_BYTES;
	while (head != tail && most--) {
		const __le64 *entry = prq->ring + head / sizeof(*entry);

		vtd_pr_handle(unit, le64_to_cpu(READ_ONCE(entry[0])),
			      le64_to_cpu(READ_ONCE(entry[1])));
		head = (head + VTD_PRQ_ENTRY) % VTD_PRQ_BYTES;
		prq->requests++;
	}
	writeq(head, unit->regs + VTD_REG_PQH);
	if (head != tail) {
		again = true;
	} else if (readl(unit->regs + VTD_REG_PRS) & VTD_PRS_PRO) {
		again = true;
		if (readq(unit->regs + VTD_REG_PQT) % VTD_PRQ_BYTES == tail)
			vtd_prq_overflow(unit);
	}
	mutex_unlock(&prq->lock);
	return again;
}

/*
 * The interrupt's thread has priority over programs. If there are more requests than this, a
 * function floods the queue: then a work of normal priority handles the rest, and the interrupt is
 * masked until the work has finished.
 */
#define VTD_PRQ_BURST 256

static void vtd_prq_rest(struct work_struct *work)
{
	struct vtd_prq *prq = container_of(work, struct vtd_prq, rest);
	struct vtd_unit *unit = container_of(prq, struct vtd_unit, prq);

	if (vtd_prq_collect(unit, VTD_PRQ_BURST))
		queue_work(system_unbound_wq, work);
	else
		writel(0, unit->regs + VTD_REG_PECTL);
}

irqreturn_t vtd_prq_thread(int irq, void *data)
{
	struct vtd_unit *unit = data;

	if (vtd_prq_collect(unit, VTD_PRQ_BURST)) {
		writel(VTD_ECTL_IM, unit->regs + VTD_REG_PECTL);
		queue_work(system_unbound_wq, &unit->prq.rest);
	}
	return IRQ_HANDLED;
}

/* End the work of a flood. The unit's interrupt is off, and stays off. */
void vtd_prq_quiet(struct vtd_unit *unit)
{
	cancel_work_sync(&unit->prq.rest);
}

/*
 * Submit @batch, and handle all page requests that the unit has received. Return: true if the queue
 * has overflowed, so that this has to be repeated.
 */
static bool vtd_prq_settle(struct vtd_unit *unit, struct vtd_qi_batch *batch)
{
	int ret = vtd_qi_finish_pages(batch);

	WARN_ON_ONCE(ret && !vtd_unit_dead(unit));
	return vtd_prq_collect(unit, VTD_PRQ_ENTRIES) && !ret;
}

/**
 * vtd_prq_sync - report all page requests that the unit has received so far
 * @unit: the unit
 *
 * May sleep. Handlers must not call this.
 */
void vtd_prq_sync(struct vtd_unit *unit)
{
	unsigned int rounds = VTD_PRQ_ROUNDS;
	struct vtd_qi_batch batch;

	if (!unit->prq.ring)
		return;
	do {
		vtd_qi_begin(&batch);
		vtd_qi_add(&batch, unit, vtd_qi_fence(), NULL);
	} while (vtd_prq_settle(unit, &batch) && --rounds);
}

/**
 * vtd_prq_drain - report the last page requests of an entry that was torn down
 * @dev: function; the caller holds its lock; ATS and page requests are on
 * @pasid: PASID, or IOMMU_NO_PASID
 * @did: domain identifier of the entry
 *
 * VTD-DRV-8. To be called before the PASID is used again. Afterwards all submitted answers have
 * reached the function, and all page requests that it sent before it answered the invalidation have
 * been reported. The unit refuses later ones.
 */
void vtd_prq_drain(struct vtd_dev *dev, u32 pasid, u16 did)
{
	unsigned int rounds = VTD_PRQ_ROUNDS;
	struct vtd_qi_batch batch;

	do {
		vtd_qi_begin(&batch);
		vtd_qi_add(&batch, dev->unit, vtd_qi_fence(), NULL);
		vtd_qi_add(&batch, dev->unit, vtd_qi_iotlb_domain(did), NULL);
		vtd_ats_flush(&batch, dev, pasid, 0, VTD_QI_WHOLE);
	} while (vtd_prq_settle(dev->unit, &batch) && --rounds);
}

/* To be called before translation is on, and before a context entry allows page requests. */
void vtd_prq_enable(struct vtd_unit *unit)
{
	struct vtd_prq *prq = &unit->prq;

	if (!prq->ring)
		return;
	mutex_lock(&prq->lock);
	writel(VTD_PRS_PPR | VTD_PRS_PRO, unit->regs + VTD_REG_PRS);
	writeq(0, unit->regs + VTD_REG_PQH);
	writeq(0, unit->regs + VTD_REG_PQT);
	writeq(virt_to_phys(prq->ring) | VTD_PRQ_ORDER, unit->regs + VTD_REG_PQA);
	prq->off = false;
	mutex_unlock(&prq->lock);
}

/* The unit sleeps, or is shut down: do not read the queue any more. */
void vtd_prq_disable(struct vtd_unit *unit)
{
	mutex_lock(&unit->prq.lock);
	unit->prq.off = true;
	mutex_unlock(&unit->prq.lock);
}

int vtd_prq_init(struct vtd_unit *unit)
{
	struct vtd_prq *prq = &unit->prq;

	INIT_WORK(&prq->rest, vtd_prq_rest);
	if (!(unit->ecap & VTD_ECAP_PRS))
		return 0;
	prq->ring = (__le64 *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, VTD_PRQ_ORDER);
	return prq->ring ? 0 : -ENOMEM;
}

/* Free the queue. Translation is off. */
void vtd_prq_exit(struct vtd_unit *unit)
{
	if (!unit->prq.ring)
		return;
	writeq(0, unit->regs + VTD_REG_PQA);
	vtd_pages_free(unit, (unsigned long)unit->prq.ring, VTD_PRQ_ORDER);
	unit->prq.ring = NULL;
}

/* --- /sys/class/iommu/<name>/ --- */

static ssize_t page_requests_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vtd_prq *prq = &vtd_unit_of(dev)->prq;
	u64 requests;

	/* With the lock, the number counts every request to which a program has seen the answer. */
	mutex_lock(&prq->lock);
	requests = prq->requests;
	mutex_unlock(&prq->lock);
	return sysfs_emit(buf, "%llu\n", requests);
}
static DEVICE_ATTR_RO(page_requests);

static ssize_t page_request_overflows_show(struct device *dev, struct device_attribute *attr,
					   char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(vtd_unit_of(dev)->prq.overflows));
}
static DEVICE_ATTR_RO(page_request_overflows);

/*
 * Number of groups that the layer has answered INVALID, since their owner had too many. The next
 * attribute counts those whose owner did not answer in time.
 */
static ssize_t page_groups_refused_show(struct device *dev, struct device_attribute *attr,
					char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  wd_iommu_fault_count(&vtd_unit_of(dev)->iommu, WD_FAULT_REFUSED));
}
static DEVICE_ATTR_RO(page_groups_refused);

static ssize_t page_groups_expired_show(struct device *dev, struct device_attribute *attr,
					char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  wd_iommu_fault_count(&vtd_unit_of(dev)->iommu, WD_FAULT_EXPIRED));
}
static DEVICE_ATTR_RO(page_groups_expired);

static struct attribute *vtd_prq_attrs[] = {
	&dev_attr_page_requests.attr,
	&dev_attr_page_request_overflows.attr,
	&dev_attr_page_groups_refused.attr,
	&dev_attr_page_groups_expired.attr,
	NULL,
};

const struct attribute_group vtd_prq_group = {
	.attrs = vtd_prq_attrs,
};
