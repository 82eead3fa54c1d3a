/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queued invalidation (VT-d sheet 5): descriptors as inline functions, and the queue.
 */
#ifndef _WD_VTD_QI_H
#define _WD_VTD_QI_H

#include <linux/bits.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct vtd_unit;

/* 256 descriptors of 32 bytes: QS = 1 with DW = 1 (sheet 5.1). */
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
 * struct vtd_qi - the queue of a unit
 * @lock: one submission at a time, held until the unit has completed it
 * @ring: the descriptors, little endian
 * @status: word that wait descriptors write
 * @tail: index of the next free descriptor
 * @sequence: status value of the last submission
 */
struct vtd_qi {
	spinlock_t lock;
	__le64 (*ring)[4];
	u32 *status;
	u64 status_pa;
	unsigned int tail;
	u32 sequence;
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

static inline struct vtd_qi_desc vtd_qi_pasid_cache(u16 did, u32 pasid)
{
	return (struct vtd_qi_desc){{7 | 1 << 4 | (u32)did << 16 | (u64)pasid << 32}};
}

static inline struct vtd_qi_desc vtd_qi_pasid_cache_global(void)
{
	return (struct vtd_qi_desc){{7 | 3 << 4}};
}

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

int vtd_qi_init(struct vtd_unit *unit);
void vtd_qi_exit(struct vtd_unit *unit);
int vtd_qi_submit(struct vtd_unit *unit, const struct vtd_qi_desc *desc, unsigned int count);

#endif /* _WD_VTD_QI_H */
