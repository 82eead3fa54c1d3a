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
/* Most descriptors of one submission. The queue is empty before each submission. */
#define VTD_QI_BATCH 16

struct vtd_qi_desc {
	u64 q[4];
};

/**
 * struct vtd_qi_batch - descriptors that are collected for a submission
 * @unit: the unit for which the descriptors in @desc are
 * @count: number of descriptors in @desc
 * @error: error of earlier submissions of the batch
 * @desc: descriptors that are not submitted yet
 * @dev: for a device TLB: its function; NULL for the unit's own caches. The submission leaves the
 *	descriptor out if the ATS of the function is off by then
 */
struct vtd_qi_batch {
	struct vtd_unit *unit;
	unsigned int count;
	int error;
	struct vtd_qi_desc desc[VTD_QI_BATCH];
	struct vtd_dev *dev[VTD_QI_BATCH];
};

/**
 * struct vtd_qi_ops - callbacks, so that the queue needs nothing of the driver's other parts; those
 *	for time-outs are called with the queue's lock held
 * @died: the unit has not answered: mark it as dead
 * @shut_out: the device TLB of a function has not answered: switch ATS off, and change the context
 *	entry so that the unit refuses translated requests. The queue flushes the entry afterwards
 * @leaked: vtd_qi_exit() has kept pages that the unit may still read
 */
struct vtd_qi_ops {
	void (*died)(struct vtd_unit *unit);
	void (*shut_out)(struct vtd_dev *dev);
	void (*leaked)(unsigned long pages);
};

/**
 * struct vtd_qi - the queue of a unit
 * @ops: callbacks of its user
 * @lock: held by a submission until the unit has completed it. The driver switches the ATS of
 *	functions on and off under it, so a submission has no descriptor for a function without ATS
 * @ring: the descriptors, little endian
 * @status: word that wait descriptors write
 * @status_pa: its address for the unit
 * @tail: index of the next free descriptor
 * @sequence: value that the last submission makes the unit write to @status
 * @off: the unit sleeps, or is shut down: its caches are empty, so the driver submits nothing
 * @late: a device TLB did not answer the last submission in time, or the unit itself did not
 * @late_known: the unit has named the function of a late device TLB
 * @late_rid: requester id of that function
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

/* @order: the region is 4 KiB << @order, naturally aligned; @leaf_only: keep non-leaf entries. */
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

/* A value of @order for device TLBs: all addresses. */
#define VTD_QI_WHOLE 52

/*
 * Encode a range for a device TLB: the number of low page bits that are 1 gives its size
 * (VTD-DTLB-2).
 */
static inline u64 vtd_qi_range(u64 address, unsigned int order)
{
	u64 within = order ? GENMASK_ULL(11 + order, 12) : 0;

	return (address & GENMASK_ULL(63, 12) & ~within) | (within >> 1 & GENMASK_ULL(63, 12));
}

/*
 * Invalidate entries without PASID in the device TLB of @rid; the function below is for entries of
 * a PASID. @depth: number of invalidations that the function takes at a time, as in its capability.
 * @pf: requester id of its physical function if the unit throttles (DIT), otherwise 0.
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

/* The unit begins later descriptors only after all earlier ones are done. */
static inline struct vtd_qi_desc vtd_qi_fence(void)
{
	return (struct vtd_qi_desc){{5 | BIT(6)}};
}

/*
 * Flag of a wait (PD): before it is done, the unit queues all page requests that it has received.
 */
#define VTD_QI_WAIT_PAGES BIT(7)

/* The unit writes @data to @status when all earlier descriptors are done. */
static inline struct vtd_qi_desc vtd_qi_wait(u64 status, u32 data)
{
	return (struct vtd_qi_desc){{5 | BIT(5) | (u64)data << 32, status}};
}

/* A descriptor without effect. It replaces one that the unit has refused. */
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

/* To be called before the first vtd_qi_add(). */
static inline void vtd_qi_begin(struct vtd_qi_batch *batch)
{
	batch->count = 0;
	batch->error = 0;
}

#endif /* _WD_VTD_QI_H */
