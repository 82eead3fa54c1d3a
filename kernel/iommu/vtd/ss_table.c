// SPDX-License-Identifier: GPL-2.0-only
/*
 * Map and unmap in second-stage tables. Both work on one table at a time: a long mapping costs one
 * store for each page, and one walk from the top for each 512 pages.
 *
 * A table page is unlinked when one unmap covers all of it, or when a large leaf replaces it. A
 * table that several unmaps have emptied stays, so that a page which is mapped and unmapped often
 * needs no allocation. But when most tables must be empty, a sweep unlinks all empty ones. So the
 * memory for tables stays in proportion to the mapped memory, whatever a user does.
 */
#include "ss_table.h"

#include <asm/barrier.h>
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "iommu_pasid.h"

/* Tables of levels up to this are counted. There are few tables of upper levels, and they stay. */
#define VTD_SS_COUNTED_LEVELS 2
/* So many empty tables may always stay. */
#define VTD_SS_SPARE_TABLES 64

/* The part of the address space that @iova belongs to. */
static struct vtd_ss_part *vtd_ss_part_at(struct vtd_ss_table *table, u64 iova)
{
	return &table->parts[(iova >> vtd_ss_level_shift(3)) % VTD_SS_PARTS];
}

/*
 * Read an entry on the way down. If it is one of the top table, another part may have linked the
 * table below it at this moment; this makes that table's content visible, too.
 */
static u64 vtd_ss_load(const u64 *slot)
{
	return smp_load_acquire(slot);
}

static u64 *vtd_ss_entry_table(u64 entry)
{
	return phys_to_virt(vtd_ss_address(entry));
}

/*
 * Put an unlinked table page on a list, whose links are in the first two entries of the page. Until
 * the flush, a unit may still read the page. It takes the links for absent entries: pointers to
 * list heads are aligned, so their read and write bits are 0.
 */
static void vtd_ss_defer_free(struct vtd_ss_part *part, u64 *node, unsigned int level,
			      struct list_head *freed)
{
	BUILD_BUG_ON(__alignof__(struct list_head) <= (VTD_SS_READ | VTD_SS_WRITE));
	lockdep_assert_held(&part->lock);
	list_add_tail((struct list_head *)node, freed);
	if (level <= VTD_SS_COUNTED_LEVELS)
		WRITE_ONCE(part->tables, part->tables - 1);
}

/**
 * vtd_ss_free_pages - give table pages back after the flush
 * @freed: list filled by vtd_ss_table_map() or vtd_ss_table_unmap(); empty afterwards
 */
void vtd_ss_free_pages(struct list_head *freed)
{
	struct list_head *page, *next;

	list_for_each_safe (page, next, freed) {
		list_del(page);
		free_page((unsigned long)page);
	}
}

/**
 * vtd_ss_leak_pages - keep table pages that a unit may go on reading
 * @freed: list filled by vtd_ss_table_map() or vtd_ss_table_unmap(); empty afterwards
 *
 * The links of the list stay in the pages: a unit takes them for absent entries.
 *
 * Return: the number of pages.
 */
unsigned long vtd_ss_leak_pages(struct list_head *freed)
{
	unsigned long pages = 0;
	struct list_head *page;

	list_for_each (page, freed)
		pages++;
	INIT_LIST_HEAD(freed);
	return pages;
}

int vtd_ss_table_init(struct vtd_ss_table *table)
{
	unsigned int i;

	for (i = 0; i < VTD_SS_PARTS; i++) {
		spin_lock_init(&table->parts[i].lock);
		table->parts[i].tables = 0;
		table->parts[i].leaves = 0;
	}
	table->top = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return table->top ? 0 : -ENOMEM;
}

static void vtd_ss_free_below(u64 *table, unsigned int level)
{
	unsigned int i;

	/* A table of level 2 has at most 513 pages, but the whole tree may have millions. */
	if (level == 2)
		cond_resched();
	for (i = 0; level > 1 && i < VTD_SS_ENTRIES; i++)
		if (vtd_ss_present(table[i]) && !vtd_ss_is_leaf(table[i], level))
			vtd_ss_free_below(vtd_ss_entry_table(table[i]), level - 1);
	free_page((unsigned long)table);
}

/* Free all table pages. No unit and no caller uses them any more. */
void vtd_ss_table_destroy(struct vtd_ss_table *table)
{
	vtd_ss_free_below(table->top, VTD_SS_LEVELS);
	table->top = NULL;
}

static unsigned long vtd_ss_pages_below(const u64 *table, unsigned int level)
{
	unsigned long pages = 1;
	unsigned int i;

	for (i = 0; level > 1 && i < VTD_SS_ENTRIES; i++)
		if (vtd_ss_present(table[i]) && !vtd_ss_is_leaf(table[i], level))
			pages += vtd_ss_pages_below(vtd_ss_entry_table(table[i]), level - 1);
	return pages;
}

/* Count the pages of all tables. The caller keeps them from changing meanwhile. */
unsigned long vtd_ss_table_pages(const struct vtd_ss_table *table)
{
	return vtd_ss_pages_below(table->top, VTD_SS_LEVELS);
}

u64 vtd_ss_table_root(const struct vtd_ss_table *table)
{
	return virt_to_phys(table->top);
}

/*
 * Link the zeroed table page *@spare below an absent entry. In the top table another part may have
 * linked one at the same moment; then that one is used, and the spare page stays.
 */
static void vtd_ss_link(struct vtd_ss_part *part, u64 *slot, unsigned int level, u64 **spare)
{
	const u64 entry = vtd_ss_make_table(virt_to_phys(*spare));

	/* The zeroed table must be visible before the link to it. */
	dma_wmb();
	if (level == VTD_SS_LEVELS) {
		if (!cmpxchg(slot, 0, entry))
			*spare = NULL;
		return;
	}
	WRITE_ONCE(*slot, entry);
	*spare = NULL;
	if (level - 1 <= VTD_SS_COUNTED_LEVELS)
		WRITE_ONCE(part->tables, part->tables + 1);
}

/*
 * Find the table of @level that has the entry for @iova. If a table is missing, use the page
 * *@spare for it. Return: NULL if *@spare is NULL then: the caller drops the lock, allocates, and
 * tries again.
 */
static u64 *vtd_ss_descend(struct vtd_ss_table *table, struct vtd_ss_part *part, u64 iova,
			   unsigned int level, u64 **spare)
{
	u64 *node = table->top;
	unsigned int at;

	lockdep_assert_held(&part->lock);
	for (at = VTD_SS_LEVELS; at > level; at--) {
		u64 *slot = &node[vtd_ss_index(iova, at)], entry = vtd_ss_load(slot);

		if (!vtd_ss_present(entry)) {
			if (!*spare)
				return NULL;
			vtd_ss_link(part, slot, at, spare);
			entry = vtd_ss_load(slot);
		} else if (vtd_ss_is_leaf(entry, at)) {
			return ERR_PTR(-EEXIST);
		}
		node = vtd_ss_entry_table(entry);
	}
	return node;
}

/*
 * Unlink the table below *@slot if nothing is mapped in it. In any case unlink the empty tables
 * below that table. @level: level of the slot. Return: whether the table was empty.
 */
static bool vtd_ss_drop_empty(struct vtd_ss_part *part, u64 *slot, unsigned int level,
			      struct list_head *freed)
{
	u64 *node = vtd_ss_entry_table(*slot);
	bool empty = true;
	unsigned int i;

	for (i = 0; i < VTD_SS_ENTRIES; i++) {
		if (!vtd_ss_present(node[i]))
			continue;
		if (vtd_ss_is_leaf(node[i], level - 1)) {
			empty = false;
			if (level - 1 == 1)
				break;
		} else if (!vtd_ss_drop_empty(part, &node[i], level - 1, freed)) {
			empty = false;
		}
	}
	if (!empty)
		return false;
	WRITE_ONCE(*slot, 0);
	vtd_ss_defer_free(part, node, level - 1, freed);
	return true;
}

/* Write @n leaves. Return: how many were written before one that is in use. */
static unsigned int vtd_ss_fill(struct vtd_ss_part *part, u64 *slot, unsigned int n, u64 leaf,
				unsigned int level, struct list_head *freed)
{
	const u64 step = vtd_ss_level_size(level);
	unsigned int i;

	for (i = 0; i < n; i++, leaf += step) {
		u64 old = slot[i];

		if (unlikely(vtd_ss_present(old)) &&
		    (vtd_ss_is_leaf(old, level) ||
		     !vtd_ss_drop_empty(part, &slot[i], level, freed)))
			break;
		WRITE_ONCE(slot[i], leaf);
	}
	WRITE_ONCE(part->leaves, part->leaves + i);
	return i;
}

/**
 * vtd_ss_table_map - install a run of equal leaves
 * @table: the address space
 * @iova: first address, multiple of @pgsize
 * @pa: first host physical address, multiple of @pgsize
 * @pgsize: 4 KiB, 2 MiB or 1 GiB
 * @count: number of leaves
 * @rights: VTD_SS_READ, VTD_SS_WRITE or both
 * @gfp: for table pages
 * @mapped: increased by the bytes installed, also on failure
 * @freed: receives table pages that large leaves have replaced. The caller flushes the range with
 *	its non-leaf entries, and then frees the pages
 *
 * Return: 0; -EEXIST if a page of the range is mapped; -ENOMEM.
 */
int vtd_ss_table_map(struct vtd_ss_table *table, u64 iova, u64 pa, size_t pgsize, size_t count,
		     u64 rights, gfp_t gfp, size_t *mapped, struct list_head *freed)
{
	const unsigned int level = vtd_ss_level_of(pgsize);
	u64 *spare = NULL, *node;
	unsigned long flags;
	int ret = 0;

	while (count && !ret) {
		struct vtd_ss_part *part = vtd_ss_part_at(table, iova);
		unsigned int index = vtd_ss_index(iova, level), done = 0;
		unsigned int n = min_t(size_t, count, VTD_SS_ENTRIES - index);

		/* The next leaf of 1 GiB belongs to another part. */
		if (level == 3)
			n = 1;
		/* Between two tables of a long run this lets interrupts in. */
		spin_lock_irqsave(&part->lock, flags);
		node = vtd_ss_descend(table, part, iova, level, &spare);
		if (!IS_ERR_OR_NULL(node))
			done = vtd_ss_fill(part, &node[index], n,
					   vtd_ss_make_leaf(pa, level, rights), level, freed);
		spin_unlock_irqrestore(&part->lock, flags);
		if (!node) {
			spare = (u64 *)get_zeroed_page(gfp);
			if (!spare)
				ret = -ENOMEM;
			continue;
		}
		if (IS_ERR(node))
			ret = PTR_ERR(node);
		else if (done < n)
			ret = -EEXIST;
		iova += done * pgsize;
		pa += done * pgsize;
		count -= done;
		*mapped += done * pgsize;
	}
	/* The entries must be visible before the device gets the address. */
	dma_wmb();
	if (spare)
		free_page((unsigned long)spare);
	return ret;
}

/* Unlink @node and every table page below it. Every address in it is mapped. */
static void vtd_ss_collect(struct vtd_ss_part *part, u64 *node, unsigned int level,
			   struct list_head *freed)
{
	unsigned int i;

	for (i = 0; level > 1 && i < VTD_SS_ENTRIES; i++) {
		if (vtd_ss_is_leaf(node[i], level))
			WRITE_ONCE(part->leaves, part->leaves - 1);
		else
			vtd_ss_collect(part, vtd_ss_entry_table(node[i]), level - 1, freed);
	}
	if (level == 1)
		WRITE_ONCE(part->leaves, part->leaves - VTD_SS_ENTRIES);
	vtd_ss_defer_free(part, node, level, freed);
}

/* True if every address of the table is mapped. */
static bool vtd_ss_is_full(const u64 *node, unsigned int level)
{
	unsigned int i;

	for (i = 0; i < VTD_SS_ENTRIES; i++) {
		if (!vtd_ss_present(node[i]))
			return false;
		if (!vtd_ss_is_leaf(node[i], level) &&
		    !vtd_ss_is_full(vtd_ss_entry_table(node[i]), level - 1))
			return false;
	}
	return true;
}

/*
 * Clear [@iova, @last] in @node. Return: the first address that was not unmapped. This is @last +
 * 1, the end of a large leaf that reaches beyond @last, or the start of a hole.
 */
static u64 vtd_ss_clear(struct vtd_ss_part *part, u64 *node, unsigned int level, u64 iova, u64 last,
			u64 *from, struct list_head *freed)
{
	const u64 size = vtd_ss_level_size(level);
	unsigned int i;

	for (i = vtd_ss_index(iova, level); i < VTD_SS_ENTRIES && iova <= last; i++) {
		const u64 entry = vtd_ss_load(&node[i]), start = iova & ~(size - 1),
			  end = start + size;
		u64 reached;

		if (!vtd_ss_present(entry))
			return iova;
		if (vtd_ss_is_leaf(entry, level)) {
			WRITE_ONCE(node[i], 0);
			WRITE_ONCE(part->leaves, part->leaves - 1);
			*from = min(*from, start);
			iova = end;
			continue;
		}
		if (iova == start && end - 1 <= last &&
		    vtd_ss_is_full(vtd_ss_entry_table(entry), level - 1)) {
			WRITE_ONCE(node[i], 0);
			vtd_ss_collect(part, vtd_ss_entry_table(entry), level - 1, freed);
			iova = end;
			continue;
		}
		reached = vtd_ss_clear(part, vtd_ss_entry_table(entry), level - 1, iova, last, from,
				       freed);
		iova = reached;
		if (reached < end && reached <= last)
			return reached;
	}
	return iova;
}

/*
 * As vtd_ss_clear() from the top, for a range that lies in one table of the lowest level and does
 * not cover all of it. Most ranges are like this, and here they cost half as much.
 */
static u64 vtd_ss_clear_short(struct vtd_ss_table *table, struct vtd_ss_part *part, u64 iova,
			      u64 last, u64 *from, struct list_head *freed)
{
	u64 *node = table->top, *slot;
	unsigned int level, n, i;

	for (level = VTD_SS_LEVELS; level > 1; level--) {
		u64 entry = vtd_ss_load(&node[vtd_ss_index(iova, level)]);

		if (!vtd_ss_present(entry))
			return iova;
		if (vtd_ss_is_leaf(entry, level))
			return vtd_ss_clear(part, table->top, VTD_SS_LEVELS, iova, last, from,
					    freed);
		node = vtd_ss_entry_table(entry);
	}
	slot = &node[vtd_ss_index(iova, 1)];
	n = vtd_ss_index(last, 1) - vtd_ss_index(iova, 1) + 1;
	for (i = 0; i < n && vtd_ss_present(slot[i]); i++)
		WRITE_ONCE(slot[i], 0);
	WRITE_ONCE(part->leaves, part->leaves - i);
	return iova + i * vtd_ss_level_size(1);
}

/* True if [@iova, @last] is a part of the range of one table of the lowest level, not all of it. */
static bool vtd_ss_is_short(u64 iova, u64 last)
{
	return !((iova ^ last) >> vtd_ss_level_shift(2)) && last - iova < vtd_ss_level_size(2) - 1;
}

/**
 * vtd_ss_table_unmap - remove mappings from @iova on
 * @table: the address space
 * @iova: first address, multiple of 4 KiB
 * @length: bytes, multiple of 4 KiB
 * @from: start of the range to flush; this lowers it if a large leaf begins before @iova
 * @freed: receives table pages to free after the flush
 *
 * Stops at the first hole. This removes a large leaf as a whole, even if only a part of it is in
 * the range: otherwise the device could still reach memory that its owner takes for unmapped. So
 * the result can be more than @length; it never is for callers that unmap whole areas. Does not
 * allocate.
 *
 * Return: bytes from @iova to the end of the last leaf removed; 0 if @iova is a hole.
 */
size_t vtd_ss_table_unmap(struct vtd_ss_table *table, u64 iova, u64 length, u64 *from,
			  struct list_head *freed)
{
	const u64 end = iova + length;
	unsigned long flags;
	u64 at = iova;

	/* In steps of 1 GiB: each may belong to another part. */
	while (at < end) {
		u64 last = min(end, ALIGN_DOWN(at, SZ_1G) + SZ_1G) - 1, reached;
		struct vtd_ss_part *part = vtd_ss_part_at(table, at);

		spin_lock_irqsave(&part->lock, flags);
		if (vtd_ss_is_short(at, last))
			reached = vtd_ss_clear_short(table, part, at, last, from, freed);
		else
			reached = vtd_ss_clear(part, table->top, VTD_SS_LEVELS, at, last, from,
					       freed);
		spin_unlock_irqrestore(&part->lock, flags);
		at = reached;
		if (reached <= last)
			break;
	}
	return at - iova;
}

/**
 * vtd_ss_table_needs_sweep - must most tables be empty?
 * @table: the address space
 *
 * A table in use has a leaf below it, and a leaf has at most two counted tables above it. So at
 * least a third of the tables is empty then, and the sweep is worth its cost.
 */
bool vtd_ss_table_needs_sweep(const struct vtd_ss_table *table)
{
	unsigned long tables = 0, leaves = 0;
	unsigned int i;

	for (i = 0; i < VTD_SS_PARTS; i++) {
		tables += READ_ONCE(table->parts[i].tables);
		leaves += READ_ONCE(table->parts[i].leaves);
	}
	return tables > 3 * leaves + VTD_SS_SPARE_TABLES;
}

/**
 * vtd_ss_table_sweep - unlink every empty table
 * @table: the address space
 * @freed: table pages; the caller flushes the whole address space before it frees them
 */
void vtd_ss_table_sweep(struct vtd_ss_table *table, struct list_head *freed)
{
	unsigned int i, j;

	for (i = 0; i < VTD_SS_ENTRIES; i++) {
		const u64 entry = vtd_ss_load(&table->top[i]);

		/* Level 3 tables stay. */
		for (j = 0; vtd_ss_present(entry) && j < VTD_SS_ENTRIES; j++) {
			struct vtd_ss_part *part = &table->parts[j % VTD_SS_PARTS];
			u64 *slot = &vtd_ss_entry_table(entry)[j];
			unsigned long flags;

			spin_lock_irqsave(&part->lock, flags);
			if (vtd_ss_present(*slot) && !vtd_ss_is_leaf(*slot, 3))
				vtd_ss_drop_empty(part, slot, 3, freed);
			spin_unlock_irqrestore(&part->lock, flags);
		}
	}
}

/**
 * vtd_ss_table_lookup - translate as the unit would
 * @table: the address space
 * @iova: address, any alignment
 *
 * Return: host physical address, 0 if nothing is mapped there.
 */
u64 vtd_ss_table_lookup(struct vtd_ss_table *table, u64 iova)
{
	struct vtd_ss_part *part = vtd_ss_part_at(table, iova);
	unsigned int level = VTD_SS_LEVELS;
	unsigned long flags;
	u64 entry, pa = 0;
	u64 *node;

	if (iova >> VTD_SS_ADDRESS_BITS)
		return 0;
	spin_lock_irqsave(&part->lock, flags);
	for (node = table->top; level; level--, node = vtd_ss_entry_table(entry)) {
		entry = vtd_ss_load(&node[vtd_ss_index(iova, level)]);
		if (!vtd_ss_present(entry))
			break;
		if (vtd_ss_is_leaf(entry, level)) {
			pa = vtd_ss_address(entry) | (iova & (vtd_ss_level_size(level) - 1));
			break;
		}
	}
	spin_unlock_irqrestore(&part->lock, flags);
	return pa;
}

/* --- dirty bits --- */

/* What to do with each leaf that lies at least partly in a range. */
struct vtd_ss_visit {
	void (*leaf)(struct vtd_ss_visit *visit, u64 *slot, u64 start, u64 end);
	const struct wd_dirty_read *read;
	u64 first;
	u64 last;
};

/*
 * Visit the leaves from @at up to @last, or to the end of one table, or of @at's part. Return: the
 * next address; 0 after the last one.
 */
static u64 vtd_ss_visit_table(struct vtd_ss_table *table, struct vtd_ss_visit *visit, u64 at,
			      u64 last)
{
	unsigned int level = VTD_SS_LEVELS;
	u64 *node = table->top, size;

	lockdep_assert_held(&vtd_ss_part_at(table, at)->lock);
	for (;; level--) {
		u64 entry = vtd_ss_load(&node[vtd_ss_index(at, level)]);

		if (!vtd_ss_present(entry) || vtd_ss_is_leaf(entry, level))
			break;
		node = vtd_ss_entry_table(entry);
	}
	size = vtd_ss_level_size(level);
	do {
		u64 *slot = &node[vtd_ss_index(at, level)], entry = vtd_ss_load(slot);
		u64 start = at & ~(size - 1);

		if (vtd_ss_present(entry)) {
			if (!vtd_ss_is_leaf(entry, level))
				break;
			visit->leaf(visit, slot, start, start + (size - 1));
		}
		at = start + size;
	} while (level < 3 && at <= last && vtd_ss_index(at, level));
	return at >> VTD_SS_ADDRESS_BITS ? 0 : at;
}

/* Visit the leaves of [@at, @last]. Let interrupts in, and others run, between two tables. */
static void vtd_ss_visit_range(struct vtd_ss_table *table, struct vtd_ss_visit *visit, u64 at,
			       u64 last)
{
	unsigned long flags;

	do {
		struct vtd_ss_part *part = vtd_ss_part_at(table, at);

		spin_lock_irqsave(&part->lock, flags);
		at = vtd_ss_visit_table(table, visit, at, last);
		spin_unlock_irqrestore(&part->lock, flags);
		cond_resched();
	} while (at && at <= last);
}

/* The unit sets D by a locked update at any time, so this clears it by one, too. */
static void vtd_ss_read_leaf(struct vtd_ss_visit *visit, u64 *slot, u64 start, u64 end)
{
	const struct wd_dirty_read *read = visit->read;

	if (!(READ_ONCE(*slot) & BIT_ULL(VTD_SS_DIRTY_BIT)))
		return;
	if (read->clear && start >= read->first && end <= read->limit) {
		clear_bit(VTD_SS_DIRTY_BIT, (unsigned long *)slot);
		visit->first = min(visit->first, start);
		visit->last = max(visit->last, end);
	}
	if (read->report)
		read->report(read->arg, max(start, read->first), min(end, read->limit));
}

/**
 * vtd_ss_table_read_dirty - report dirty leaves, and clear their dirty bits
 * @table: the address space
 * @read: what to do, see wd_iommu_read_dirty(). @first and @limit are in the address space
 * @first: lowest address whose dirty bit was cleared
 * @last: highest one
 *
 * Return: whether a dirty bit was cleared. Then the caller flushes [*@first, *@last]: until then
 * the unit does not set the bit again for a translation that it has cached.
 */
bool vtd_ss_table_read_dirty(struct vtd_ss_table *table, const struct wd_dirty_read *read,
			     u64 *first, u64 *last)
{
	struct vtd_ss_visit visit = {vtd_ss_read_leaf, read, U64_MAX, 0};

	vtd_ss_visit_range(table, &visit, read->first, read->last);
	*first = visit.first;
	*last = visit.last;
	return visit.first <= visit.last;
}

static void vtd_ss_mark_leaf(struct vtd_ss_visit *visit, u64 *slot, u64 start, u64 end)
{
	set_bit(VTD_SS_DIRTY_BIT, (unsigned long *)slot);
}

/* Make the leaves that lie at least partly in [@first, @last] dirty. */
void vtd_ss_table_mark_dirty(struct vtd_ss_table *table, u64 first, u64 last)
{
	struct vtd_ss_visit visit = {.leaf = vtd_ss_mark_leaf};

	vtd_ss_visit_range(table, &visit, first, last);
}
