/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Second-stage page tables, four levels of 512 entries of 8 bytes (VT-d 3.7, 9.8): the
 * format as inline functions, then the interface of ss_table.c.
 *
 * Concurrency: each address space has some spinlocks, under which no other lock is taken. An
 * address belongs to a part of the address space: 1 GiB goes to one part, the next one to the next
 * part, and so on. Each part has a lock. So threads at different places seldom wait for each other.
 * Map and unmap free no table page: they put unlinked ones on a list of the caller, which flushes
 * the IOTLB and then frees them.
 */
#ifndef _WD_VTD_SS_TABLE_H
#define _WD_VTD_SS_TABLE_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct wd_dirty_read;

#define VTD_SS_LEVELS 4
#define VTD_SS_ENTRIES 512
#define VTD_SS_ADDRESS_BITS 48

#define VTD_SS_READ BIT_ULL(0)
#define VTD_SS_WRITE BIT_ULL(1)
#define VTD_SS_LARGE BIT_ULL(7) /* PS: a leaf at level 2 or 3 */
#define VTD_SS_DIRTY_BIT 9	/* of a leaf; the unit sets it if the PASID entry has SSADE */
#define VTD_SS_ADDRESS GENMASK_ULL(51, 12)

static inline unsigned int vtd_ss_level_shift(unsigned int level)
{
	return 12 + 9 * (level - 1);
}

static inline u64 vtd_ss_level_size(unsigned int level)
{
	return 1ULL << vtd_ss_level_shift(level);
}

static inline unsigned int vtd_ss_index(u64 iova, unsigned int level)
{
	return (iova >> vtd_ss_level_shift(level)) & (VTD_SS_ENTRIES - 1);
}

/* Return: the level whose leaves map @pgsize bytes; 0 if there is none. */
static inline unsigned int vtd_ss_level_of(size_t pgsize)
{
	unsigned int level;

	for (level = 1; level <= 3; level++)
		if (pgsize == vtd_ss_level_size(level))
			return level;
	return 0;
}

/* VTD-SS-3: there is no present bit, an entry without any right is absent. */
static inline bool vtd_ss_present(u64 entry)
{
	return entry & (VTD_SS_READ | VTD_SS_WRITE);
}

static inline bool vtd_ss_is_leaf(u64 entry, unsigned int level)
{
	return level == 1 || (entry & VTD_SS_LARGE);
}

static inline u64 vtd_ss_make_table(u64 pa)
{
	return pa | VTD_SS_READ | VTD_SS_WRITE;
}

static inline u64 vtd_ss_make_leaf(u64 pa, unsigned int level, u64 rights)
{
	return pa | rights | (level > 1 ? VTD_SS_LARGE : 0);
}

/* In a large leaf the lower address bits are 0, so one mask is right for all levels. */
static inline u64 vtd_ss_address(u64 entry)
{
	return entry & VTD_SS_ADDRESS;
}

/* A power of two. */
#define VTD_SS_PARTS 8

/**
 * struct vtd_ss_part - every VTD_SS_PARTSth GiB of an address space
 * @lock: guards the entries of levels 3 to 1 for these addresses, and the counters
 * @tables: number of their tables of levels 1 and 2
 * @leaves: number of their leaves of any size
 * @unused: keeps the next part out of the cache line of this one
 */
struct vtd_ss_part {
	spinlock_t lock;
	unsigned long tables;
	unsigned long leaves;
	u8 unused[40];
};

/**
 * struct vtd_ss_table - one address space
 * @top: level 4 table. Its entries appear by cmpxchg(), and never change after that
 * @parts: see above
 */
struct vtd_ss_table {
	u64 *top;
	struct vtd_ss_part parts[VTD_SS_PARTS];
};

int vtd_ss_table_init(struct vtd_ss_table *table);
void vtd_ss_table_destroy(struct vtd_ss_table *table);
unsigned long vtd_ss_table_pages(const struct vtd_ss_table *table);
u64 vtd_ss_table_root(const struct vtd_ss_table *table);

int vtd_ss_table_map(struct vtd_ss_table *table, u64 iova, u64 pa, size_t pgsize, size_t count,
		     u64 rights, gfp_t gfp, size_t *mapped, struct list_head *freed);
size_t vtd_ss_table_unmap(struct vtd_ss_table *table, u64 iova, u64 length, u64 *from,
			  struct list_head *freed);
bool vtd_ss_table_needs_sweep(const struct vtd_ss_table *table);
void vtd_ss_table_sweep(struct vtd_ss_table *table, struct list_head *freed);
u64 vtd_ss_table_lookup(struct vtd_ss_table *table, u64 iova);
bool vtd_ss_table_read_dirty(struct vtd_ss_table *table, const struct wd_dirty_read *read,
			     u64 *first, u64 *last);
void vtd_ss_table_mark_dirty(struct vtd_ss_table *table, u64 first, u64 last);

void vtd_ss_free_pages(struct list_head *freed);
unsigned long vtd_ss_leak_pages(struct list_head *freed);

#endif /* _WD_VTD_SS_TABLE_H */
