/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queued invalidation (VT-d 6.5.2): descriptors as inline functions, and the queue.
 */
#ifndef _WD_VTD_QI_H
#define _WD_VTD_QI_H

#include <linux/bits.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct vtd_dev;
struct vtd_unit;

/* 256 descriptors of 32 bytes: QS = 1 with DW = 1 (VT-d 11.4.9.3). */
#define VTD_QI_ENTRIES 256
#define VTD_QI_SHIFT 5
#define VTD_QI_ORDER 1
#define VTD_QI_SIZE 1
/* Descriptors of one submission; the queue is empty before each. */
#define VTD_QI_BATCH 16

struct vtd_qi_desc {
	u64 q[4];
};

/**
 * struct vtd_qi_batch - descriptors on their way to a unit
 * @unit: the unit, of the descriptors that are waiting
 * @count: how many wait
 * @error: of earlier submissions
 * @desc: descriptors
 * @dev: function of the device TLB to invalidate, NULL for the unit's own caches. The descriptor is
 *	left out if the function has ATS off when its turn comes
 */
struct vtd_qi_batch {
	struct vtd_unit *unit;
	unsigned int count;
	int error;
	struct vtd_qi_desc desc[VTD_QI_BATCH];
	struct vtd_dev *dev[VTD_QI_BATCH];
};

/**
 * struct vtd_qi_ops - callbacks for time-outs; both are called with the queue's lock held
 * @died: the unit has not answered; it is marked as dead on return
 * @shut_out: the device TLB of a function has not answered. Its ATS is off on return, and its
 *	context entry refuses translated requests as soon as the queue has flushed it
 */
struct vtd_qi_ops {
	void (*died)(struct vtd_unit *unit);
	void (*shut_out)(struct vtd_dev *dev);
};

/**
 * struct vtd_qi - the queue of a unit
 * @ops: callbacks of its user
 * @lock: one submission at a time, held until the unit has completed it. Functions' ATS is switched
 *	on and off under it, so nothing is sent to a function without
 * @ring: the descriptors, little endian
 * @status: word that wait descriptors write
 * @tail: index of the next free descriptor
 * @sequence: status value of the last submission
 * @off: the unit sleeps, or is shut down: its caches are empty and nothing is submitted
 * @late: functions' device TLBs did not answer the last submission; one of them is @late_rid, if
 *	@late_known
 */
struct vtd_qi {
	const struct vtd_qi_ops *ops;
	spinlock_t lock;
	__le64 (*ring)[4];
	u32 *status;
	u64 status_pa;
	unsigned int tail;
	u32 sequence;
	bool off;
	bool late, late_known;
	u16 late_rid;
};

/* Context cache of one requester id. */
static inline struct vtd_qi_desc vtd_qi_context(u16 rid)
{
	return (struct vtd_qi_desc){{1 | 3 << 4 | (u64)rid << 32}};
}

static inline struct vtd_qi_desc vtd_qi_context_global(void)
{
	return (struct vtd_qi_desc){{1 | 1 << 4}};
}

static inline struct vtd_qi_desc vtd_qi_iotlb_global(void)
{
	return (struct vtd_qi_desc){{2 | 1 << 4 | 3 << 6}};
}

static inline struct vtd_qi_desc vtd_qi_iotlb_domain(u16 did)
{
	return (struct vtd_qi_desc){{2 | 2 << 4 | 3 << 6 | (u32)did << 16}};
}

/* @order: the region is 4 KiB << @order, naturally aligned; @leaf_only keeps non-leaf entries. */
static inline struct vtd_qi_desc vtd_qi_iotlb_page(u16 did, u64 address, unsigned int order,
						   bool leaf_only)
{
	return (struct vtd_qi_desc){
		{2 | 3 << 4 | 3 << 6 | (u32)did << 16,
		 (address & GENMASK_ULL(63, 12)) | (u64)leaf_only << 6 | order}};
}

static inline struct vtd_qi_desc vtd_qi_piotlb_pasid(u16 did, u32 pasid)
{
	return (struct vtd_qi_desc){{6 | 2 << 4 | (u32)did << 16 | (u64)pasid << 32}};
}

static inline struct vtd_qi_desc vtd_qi_piotlb_page(u16 did, u32 pasid, u64 address,
						    unsigned int order, bool leaf_only)
{
	return (struct vtd_qi_desc){
		{6 | 3 << 4 | (u32)did << 16 | (u64)pasid << 32,
		 (address & GENMASK_ULL(63, 12)) | (u64)leaf_only << 6 | order}};
}

static inline struct vtd_qi_desc vtd_qi_pasid_cache(u16 did, u32 pasid)
{
	return (struct vtd_qi_desc){{7 | 1 << 4 | (u32)did << 16 | (u64)pasid << 32}};
}

static inline struct vtd_qi_desc vtd_qi_pasid_cache_global(void)
{
	return (struct vtd_qi_desc){{7 | 3 << 4}};
}

/* An @order for device TLBs: every address. */
#define VTD_QI_WHOLE 52

/* A range of a device TLB: the ones below the lowest zero tell the size (VTD-DTLB-2). */
static inline u64 vtd_qi_range(u64 address, unsigned int order)
{
	u64 within = order ? GENMASK_ULL(11 + order, 12) : 0;

	return (address & GENMASK_ULL(63, 12) & ~within) | (within >> 1 & GENMASK_ULL(63, 12));
}

/*
 * Device TLB of @rid: its entries without PASID, or of one PASID. @depth: number of invalidations
 * that the function takes at a time, as in its capability. @pf: requester id of its physical
 * function if the unit throttles (DIT), otherwise 0.
 */
static inline struct vtd_qi_desc vtd_qi_dev_tlb(u16 rid, u16 pf, u8 depth, u64 address,
						unsigned int order)
{
	return (struct vtd_qi_desc){{3 | (u64)(pf & 0xf) << 12 | (u64)depth << 16 | (u64)rid << 32 |
					     (u64)(pf >> 4) << 52,
				     vtd_qi_range(address, order) | (order ? BIT(0) : 0)}};
}

static inline struct vtd_qi_desc vtd_qi_pasid_dev_tlb(u16 rid, u16 pf, u8 depth, u32 pasid,
						      u64 address, unsigned int order)
{
	return (struct vtd_qi_desc){{8 | (u64)depth << 4 | (u64)(pf & 0xf) << 12 | (u64)rid << 16 |
					     (u64)pasid << 32 | (u64)(pf >> 4) << 52,
				     vtd_qi_range(address, order) | (order ? BIT(11) : 0)}};
}

/* VTD-DRV-14: response codes of a page request group. */
#define VTD_RESPONSE_SUCCESS 0
#define VTD_RESPONSE_INVALID 1
#define VTD_RESPONSE_FAILURE 15

static inline struct vtd_qi_desc vtd_qi_response(u16 rid, bool has_pasid, u32 pasid, u16 group,
						 unsigned int code)
{
	return (struct vtd_qi_desc){{9 | (u64)has_pasid << 4 | (u64)code << 12 | (u64)rid << 16 |
					     (has_pasid ? (u64)pasid << 32 : 0),
				     (u64)(group & 0x1ff) << 3}};
}

/* No later descriptor begins before all earlier ones are done. */
static inline struct vtd_qi_desc vtd_qi_fence(void)
{
	return (struct vtd_qi_desc){{5 | BIT(6)}};
}

/* Flag of a wait (PD): page requests received before it is done are in the queue by then. */
#define VTD_QI_WAIT_PAGES BIT(7)

/* Writes @data to @status when everything before it is done. */
static inline struct vtd_qi_desc vtd_qi_wait(u64 status, u32 data)
{
	return (struct vtd_qi_desc){{5 | BIT(5) | (u64)data << 32, status}};
}

/* A fence without any visible effect: takes the place of a descriptor that the unit refused. */
static inline struct vtd_qi_desc vtd_qi_nothing(void)
{
	return (struct vtd_qi_desc){{5}};
}

int vtd_qi_init(struct vtd_unit *unit, const struct vtd_qi_ops *ops);
int vtd_qi_enable(struct vtd_unit *unit);
int vtd_qi_disable(struct vtd_unit *unit);
void vtd_qi_exit(struct vtd_unit *unit);
int vtd_qi_submit(struct vtd_unit *unit, const struct vtd_qi_desc *desc, unsigned int count);
void vtd_qi_add(struct vtd_qi_batch *batch, struct vtd_unit *unit, struct vtd_qi_desc desc,
		struct vtd_dev *dev);
int vtd_qi_finish(struct vtd_qi_batch *batch);
int vtd_qi_finish_pages(struct vtd_qi_batch *batch);

/* Before the first vtd_qi_add(). */
static inline void vtd_qi_begin(struct vtd_qi_batch *batch)
{
	batch->count = 0;
	batch->error = 0;
}

#endif /* _WD_VTD_QI_H */
