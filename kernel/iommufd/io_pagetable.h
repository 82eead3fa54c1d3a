/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The content of an IOAS: areas of IOVA over pinned memory. iommufd writes each area into every I/O
 * page table of the IOAS.
 *
 * Words: a "backing" is the memory behind a mapping (struct iopt_pages); "last" is inclusive; a
 * "length" is in bytes and may reach ULONG_MAX; an "index" counts pages from the first page of a
 * backing; a "byte" offset counts from the same place.
 *
 *	io_pagetable --< iopt_area >-- iopt_pages --< iopt_seg --< iopt_run
 *	      |--< iopt_domain              |              |
 *	                                    `>-- iopt_account --<'
 *
 * MAP makes an iopt_pages. Areas made by COPY share it, so that iommufd pins and charges a page
 * once. iommufd pins memory when the first page table needs it, and keeps the pinned part in
 * segments. Each area covers a segment wholly or not at all. So removing an area only counts down
 * and frees segments: it needs no memory and cannot fail.
 */
#ifndef _IO_PAGETABLE_H
#define _IO_PAGETABLE_H

#include <linux/interval_tree.h>
#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/rwsem.h>
#include <linux/types.h>

struct cred;
struct device;
struct dma_buf;
struct file;
struct mm_struct;
struct task_struct;

/**
 * struct iopt_account - a process that pays for pinned memory
 * @ref: one for each backing and segment, and one for the context that made it
 * @mm: its address space, held by mmgrab(): the process may have ended
 * @cred: holds the user that is charged, with IOPT_ACCOUNT_USER. Not every Linux 6.1 exports what
 *	would hold the user alone
 * @task: the process; its RLIMIT_MEMLOCK counts
 * @change_item: in a list of IOMMU_IOAS_CHANGE_PROCESS, whose locks are those of the context
 * @moved: while in that list: pages that another account has taken over
 * @due: pages that are given back, but still count in the locked memory of @mm
 * @owing_item: in the list of accounts with @due, which holds them. Lock of that list
 */
struct iopt_account {
	struct kref ref;
	struct mm_struct *mm;
	const struct cred *cred;
	struct task_struct *task;
	struct list_head change_item;
	unsigned long moved;
	atomic_long_t due;
	struct list_head owing_item;
};

/* Whose locked memory the pinned memory of a mapping counts as (IOMMUFD-PIN-1). */
enum iopt_account_mode {
	IOPT_ACCOUNT_USER,
	IOPT_ACCOUNT_MM,
	IOPT_ACCOUNT_NONE,
};

/**
 * struct io_pagetable - mappings of an IOAS
 * @domains_rwsem: for the set of page tables. A change of a mapping holds it for reading, so that
 *	the change reaches all tables or none. While it is held for writing no area changes. No code
 *	touches memory of a process under it: the page may never arrive
 * @domains: iopt_domain
 * @iova_lock: for the trees and @full_below
 * @areas: iopt_area.node; never overlap. Changes need @domains_rwsem for reading too
 * @reserved: iopt_reserved.node; may overlap each other, never an area or an allowed range
 * @allowed: iopt_allowed.node; the allow list
 * @full_below: no IOVA from PAGE_SIZE up to here is free, so automatic placement begins here
 * @alignment: every IOVA, length and source offset is a multiple of it. Changes under both locks
 * @nr_min_pages: number of page tables by log2 of their smallest page. Lock as for @domains
 * @large_pages: hand runs of pages to the page tables, not single pages. Locks as for @alignment
 * @unmap_pins: tells drivers to give up what they have pinned in [@start, @last]. Called without
 *	locks. Set before the first pin, then fixed
 */
struct io_pagetable {
	struct rw_semaphore domains_rwsem;
	struct list_head domains;

	struct mutex iova_lock;
	struct rb_root_cached areas;
	struct rb_root_cached reserved;
	struct rb_root_cached allowed;
	unsigned long full_below;
	unsigned long alignment;
	unsigned int nr_min_pages[PAGE_SHIFT + 1];
	bool large_pages;
	void (*unmap_pins)(struct io_pagetable *iopt, unsigned long start, unsigned long last);
};

/**
 * struct iopt_area - an interval of IOVA over an interval of a backing
 * @node: first and last IOVA
 * @build_item: in the list of areas that one call places or removes
 * @pages: backing, held
 * @start_byte: offset of the first IOVA in @pages
 * @length: bytes; the same as in @node once the area has an IOVA
 * @prot: IOMMU_READ ...
 * @filled: its pages are pinned and, unless they are revoked, in every page table. Changed with
 *	domains_rwsem held: for reading by the thread that made it busy, or for writing
 * @busy: a thread builds or removes the area. Changes under iova_lock and domains_rwsem for
 *	reading. Code that holds domains_rwsem for writing skips busy areas: they are in no page
 *	table then
 * @leaving: an unmap waits for @pins to become 0, or the area is being divided: no new pins and
 *	visitors. Under iova_lock
 * @visitors: calls of drivers that touch the memory right now (access_pages.c). Under iova_lock
 * @pins: ranges of drivers that lie in it, wholly or partly. Under iova_lock
 */
struct iopt_area {
	struct interval_tree_node node;
	struct list_head build_item;
	struct iopt_pages *pages;
	unsigned long start_byte;
	unsigned long length;
	u8 prot;
	bool filled;
	/* One half word, since a compiler may read all of these at once: they have one lock. */
	bool busy : 1;
	bool leaving : 1;
	u8 visitors;
	u32 pins;
};

/* IOVA that cannot be mapped. iopt_unreserve() finds it by @owner. */
struct iopt_reserved {
	struct interval_tree_node node;
	const void *owner;
};

/* An entry of the allow list. */
struct iopt_allowed {
	struct interval_tree_node node;
};

/**
 * struct iopt_domain - a page table that follows the IOAS
 * @item: in io_pagetable.domains
 * @domain: the table
 * @min_page_shift: log2 of its smallest page
 * @outside: the ranges below and above its aperture
 * @nr_outside: entries of @outside in use
 */
struct iopt_domain {
	struct list_head item;
	struct iommu_domain *domain;
	unsigned int min_page_shift;
	struct iopt_reserved outside[2];
	unsigned int nr_outside;
};

/* Physically contiguous pages: addresses of up to 52 bits, and up to 64 GiB in one run. */
struct iopt_run {
	u64 pfn : 40;
	u64 npages : 24;
};

#define IOPT_RUN_MAX_PAGES ((1UL << 24) - 1)

/**
 * struct iopt_seg - pinned pages of a backing
 * @node: indexes of the pages
 * @users: number of areas and holds (hold.c) that need the pages
 * @account: has paid for the pages, held
 * @nr_runs: entries of @runs
 * @runs: points to @inline_run, or to allocated memory
 * @inline_run: the run, if there is only one: contiguous memory needs no allocation
 */
struct iopt_seg {
	struct interval_tree_node node;
	unsigned int users;
	unsigned int nr_runs;
	struct iopt_account *account;
	struct iopt_run *runs;
	struct iopt_run inline_run;
};

/**
 * struct iopt_pages - backing: memory of a process, a file or a device, as given to one MAP or
 * MAP_FILE
 * @ref: one for each area
 * @account_mode: enum iopt_account_mode, fixed at MAP
 * @writable: devices may be allowed to write it. Fixed at MAP
 * @from_file: this is the start of a struct iopt_file_pages. Fixed at MAP
 * @from_dmabuf: this is the start of a struct iopt_dmabuf_pages: memory of a device. Fixed at MAP
 * @first_seg_used: @first_seg is in @segs
 * @lost: an IOMMU did not answer and may use the pages for ever, so they stay pinned. Never cleared
 * @revoked: with @from_dmabuf: no page table may have the memory. Never cleared. Changes with the
 *	lock of the dma-buf held, too
 * @mutex: for @segs, @first_seg_used and @revoked, and for @account if @from_file
 * @account: pays for pages that are pinned from now on, held. Fixed at MAP unless @from_file
 * @start: where the first page is: an address of the account's process, or an offset in the file,
 *	in bytes
 * @segs: iopt_seg.node
 * @first_seg: place for the first segment
 * @first_area: place for the area of the MAP itself
 *
 * With @first_seg and @first_area inside, a small mapping is one allocation, of 256 bytes.
 */
struct iopt_pages {
	struct kref ref;
	u8 account_mode : 2;
	u8 writable : 1;
	u8 from_file : 1;
	u8 from_dmabuf : 1;
	bool first_seg_used;
	bool lost;
	bool revoked;
	struct mutex mutex;
	struct iopt_account *account;
	unsigned long start;
	struct rb_root_cached segs;
	struct iopt_seg first_seg;
	struct iopt_area first_area;
};

/**
 * struct iopt_file_pages - backing: memory of a file
 * @pages: all that every backing has
 * @file: held
 * @change_item: in a list of IOMMU_IOAS_CHANGE_PROCESS, whose locks are those of the context
 */
struct iopt_file_pages {
	struct iopt_pages pages;
	struct file *file;
	struct list_head change_item;
};

static inline struct iopt_file_pages *iopt_file_pages_of(struct iopt_pages *pages)
{
	return container_of(pages, struct iopt_file_pages, pages);
}

/* The last address of a range of @length bytes that a user named. Return: 0, -EINVAL, -EOVERFLOW */
static inline int iopt_range_last(unsigned long start, unsigned long length, unsigned long *last)
{
	if (!length)
		return -EINVAL;
	return check_add_overflow(start, length - 1, last) ? -EOVERFLOW : 0;
}

static inline unsigned long iopt_seg_npages(const struct iopt_seg *seg)
{
	return seg->node.last - seg->node.start + 1;
}

static inline unsigned long iopt_area_first_index(const struct iopt_area *area)
{
	return area->start_byte >> PAGE_SHIFT;
}

static inline unsigned long iopt_area_last_index(const struct iopt_area *area)
{
	return (area->start_byte + area->length - 1) >> PAGE_SHIFT;
}

struct iopt_account *iopt_account_get(struct iopt_account *account);

/* Set the fields of all kinds of backings. @start: first byte, an address or an offset */
static inline void iopt_pages_init(struct iopt_pages *pages, struct iopt_account *account,
				   enum iopt_account_mode mode, unsigned long start, bool writable)
{
	kref_init(&pages->ref);
	mutex_init(&pages->mutex);
	pages->segs = RB_ROOT_CACHED;
	pages->account = iopt_account_get(account);
	pages->account_mode = mode;
	pages->start = start & PAGE_MASK;
	pages->writable = writable;
}

/* --- io_pagetable.c --- */
void iopt_init(struct io_pagetable *iopt);
void iopt_destroy(struct io_pagetable *iopt);
void iopt_area_free(struct iopt_area *area);
int iopt_map_areas(struct io_pagetable *iopt, struct list_head *list, unsigned long length,
		   unsigned long *iova, int prot, bool fixed);
int iopt_map_user(struct io_pagetable *iopt, struct iopt_account *account,
		  enum iopt_account_mode mode, unsigned long uptr, unsigned long length,
		  unsigned long *iova, int prot, bool fixed);
int iopt_map_file(struct io_pagetable *iopt, struct iopt_account *account,
		  enum iopt_account_mode mode, struct file *file, unsigned long start,
		  unsigned long length, unsigned long *iova, int prot, bool fixed);
int iopt_map_dmabuf(struct io_pagetable *iopt, struct iopt_account *account, struct dma_buf *dmabuf,
		    unsigned long start, unsigned long length, unsigned long *iova, int prot,
		    bool fixed);
int iopt_unmap(struct io_pagetable *iopt, unsigned long start, unsigned long last,
	       unsigned long *unmapped);
int iopt_cut(struct io_pagetable *iopt, unsigned long iova);
int iopt_get_pieces(struct io_pagetable *iopt, unsigned long start, unsigned long length,
		    struct list_head *list);

/* --- iova_alloc.c --- */
int iopt_place_fixed(struct io_pagetable *iopt, unsigned long iova, unsigned long length);
int iopt_place_auto(struct io_pagetable *iopt, unsigned long addr, unsigned long length,
		    unsigned long *iova);
bool iopt_next_usable(struct io_pagetable *iopt, unsigned long from, unsigned long *start,
		      unsigned long *last);
void iopt_iova_freed(struct io_pagetable *iopt, unsigned long start);
int iopt_reserve(struct io_pagetable *iopt, unsigned long start, unsigned long last,
		 const void *owner);
int __iopt_reserve(struct io_pagetable *iopt, struct iopt_reserved *resv, unsigned long start,
		   unsigned long last);
void iopt_unreserve(struct io_pagetable *iopt, const void *owner);
int iopt_set_allowed(struct io_pagetable *iopt, struct rb_root_cached *list);
int iopt_allow(struct rb_root_cached *list, unsigned long start, unsigned long last);
void iopt_free_allowed(struct rb_root_cached *list);

/* --- fill.c --- */
struct iopt_area *iopt_first_area(struct io_pagetable *iopt);
struct iopt_area *iopt_next_area(struct iopt_area *area);
int iopt_add_domain(struct io_pagetable *iopt, struct iopt_domain *link,
		    struct iommu_domain *domain);
void iopt_remove_domain(struct io_pagetable *iopt, struct iopt_domain *link);
int iopt_set_large_pages(struct io_pagetable *iopt, bool enable);
int iopt_want_whole_pages(struct io_pagetable *iopt);
void iopt_want_no_whole_pages(struct io_pagetable *iopt);
int iopt_areas_pin(struct list_head *list);
void iopt_areas_unpin(struct list_head *list);
int iopt_areas_fill(struct io_pagetable *iopt, struct list_head *list);
void iopt_area_unfill(struct io_pagetable *iopt, struct iopt_area *area);

/* --- hold.c --- */
struct iopt_hold;
int iopt_hold_get(struct io_pagetable *iopt, struct iopt_hold **hold);
void iopt_hold_put(struct iopt_hold *hold);

/* --- access_pages.c --- */
int iopt_access_pin(struct io_pagetable *iopt, unsigned long iova, unsigned long last, bool write,
		    bool stay, struct page **pages);
void iopt_access_unpin(struct io_pagetable *iopt, unsigned long iova, unsigned long last,
		       bool stays);
int iopt_access_rw(struct io_pagetable *iopt, unsigned long iova, unsigned long last, bool write,
		   bool direct, void *data);

/* --- account.c --- */
void iopt_account_exit(void);
struct iopt_account *iopt_account_alloc(void);
struct iopt_account *iopt_account_get(struct iopt_account *account);
void iopt_account_put(struct iopt_account *account);
bool iopt_account_is_current(const struct iopt_account *account);
bool iopt_account_same_limit(const struct iopt_account *one, const struct iopt_account *other,
			     enum iopt_account_mode mode);
int iopt_charge_locked(struct iopt_account *account, enum iopt_account_mode mode,
		       unsigned long npages);
void iopt_uncharge_locked(struct iopt_account *account, enum iopt_account_mode mode,
			  unsigned long npages);
int iopt_charge(struct iopt_account *account, enum iopt_account_mode mode, unsigned long npages);
void iopt_uncharge(struct iopt_account *account, enum iopt_account_mode mode, unsigned long npages);

/* --- clear.c --- */
void iopt_area_clear(struct iopt_area *area, struct iommu_domain *domain, size_t length);

/* --- dmabuf.c --- */
void iopt_dmabuf_init(struct device *dev);
struct iopt_pages *iopt_pages_alloc_dmabuf(struct iopt_account *account, struct dma_buf *dmabuf,
					   unsigned long start, unsigned long length,
					   bool writable);
void iopt_dmabuf_detach(struct iopt_pages *pages);
void iopt_pages_free_dmabuf(struct iopt_pages *pages);
int iopt_dmabuf_fill_seg(struct iopt_pages *pages, struct iopt_seg *seg);
struct iopt_area *iopt_dmabuf_area_alloc(void);
void iopt_dmabuf_area_free(struct iopt_area *area);
int iopt_dmabuf_mapped(struct iopt_area *area, struct iommu_domain *domain);
void iopt_dmabuf_unmap(struct iopt_area *area, struct iommu_domain *domain);

/* --- pages.c --- */
struct iopt_pages *iopt_pages_alloc(struct iopt_account *account, enum iopt_account_mode mode,
				    unsigned long uptr, bool writable);
struct iopt_pages *iopt_pages_alloc_file(struct iopt_account *account, enum iopt_account_mode mode,
					 struct file *file, unsigned long start, bool writable);
void iopt_pages_put(struct iopt_pages *pages);
int iopt_pages_split(struct iopt_pages *pages, unsigned long index);
int iopt_pages_pin_again(struct iopt_pages *pages, unsigned long first, unsigned long last);
int iopt_pages_pin(struct iopt_pages *pages, unsigned long first, unsigned long last);
void iopt_pages_unpin(struct iopt_pages *pages, unsigned long first, unsigned long last);

/**
 * struct iopt_run_iter - walk over the pinned pages of a range, in maximal contiguous runs
 * @pages: backing, mutex held
 * @index: first page of the current run
 * @last: last page of the range
 * @npages: length of the current run
 * @pfn: page frame of its first page
 * @seg: segment that the walk has reached
 * @run: position of the current run in @seg
 * @run_index: first page of that run
 */
struct iopt_run_iter {
	struct iopt_pages *pages;
	unsigned long index;
	unsigned long last;
	unsigned long npages;
	unsigned long pfn;
	struct iopt_seg *seg;
	unsigned int run;
	unsigned long run_index;
};

void iopt_run_first(struct iopt_run_iter *iter, struct iopt_pages *pages, unsigned long first,
		    unsigned long last);
bool iopt_run_next(struct iopt_run_iter *iter);

/* --- file_pin.c --- */
long iopt_pin_file(struct iopt_pages *pages, unsigned long offset, unsigned long npages,
		   struct page **batch);

/* --- seg.c --- */
int iopt_seg_append(struct iopt_seg *seg, unsigned long pfn, unsigned long npages,
		    unsigned int *capacity);

/* --- pin.c --- */
int iopt_seg_pin(struct iopt_pages *pages, struct iopt_seg *seg);
void iopt_seg_unpin(struct iopt_pages *pages, struct iopt_seg *seg);

#endif /* _IO_PAGETABLE_H */
