/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_MM_H
#define _LINUX_MM_H

#include <asm/page.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/huge_mm.h>
#include <linux/kernel.h>
#include <linux/mm_types.h>
#include <linux/mmzone.h>
#include <linux/overflow.h>
#include <linux/pgtable.h>
#include <linux/types.h>

#define PHYS_PFN(x) ((unsigned long)((x) >> PAGE_SHIFT))
#define PFN_PHYS(x) ((phys_addr_t)(x) << PAGE_SHIFT)
#define PFN_UP(x) (((x) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(x) ((x) >> PAGE_SHIFT)
#define TASK_SIZE (1UL << 47)
#define TASK_SIZE_MAX TASK_SIZE

/* The physical address of this process's memory is its address in the process (mm id 0). */
#define WD_PAGE_BASE 0xffea000000000000UL

static inline unsigned long page_to_pfn(const struct page *page)
{
	return ((unsigned long)page - WD_PAGE_BASE) / sizeof(struct page);
}

static inline struct page *pfn_to_page(unsigned long pfn)
{
	return (struct page *)(WD_PAGE_BASE + pfn * sizeof(struct page));
}

static inline phys_addr_t page_to_phys(const struct page *page)
{
	return PFN_PHYS(page_to_pfn(page));
}

static inline struct page *phys_to_page(phys_addr_t phys)
{
	return pfn_to_page(PHYS_PFN(phys));
}

static inline phys_addr_t virt_to_phys(const volatile void *address)
{
	return (phys_addr_t)(unsigned long)address;
}

static inline void *phys_to_virt(phys_addr_t phys)
{
	return (void *)(unsigned long)phys;
}

static inline struct page *virt_to_page(const void *address)
{
	return phys_to_page(virt_to_phys(address));
}

/* For kernel pages only. */
static inline void *page_address(const struct page *page)
{
	return phys_to_virt(page_to_phys(page));
}

/* A page of zeroes that is never freed. */
extern const unsigned char wd_zero_page[PAGE_SIZE];
#define ZERO_PAGE(_address) ((void)(_address), virt_to_page(wd_zero_page))

static inline int get_order(unsigned long size)
{
	return size <= PAGE_SIZE ? 0 : 64 - __builtin_clzl((size - 1) >> PAGE_SHIFT);
}

#define VM_NONE 0x00000000UL
#define VM_READ 0x00000001UL
#define VM_WRITE 0x00000002UL
#define VM_EXEC 0x00000004UL
#define VM_SHARED 0x00000008UL
#define VM_MAYREAD 0x00000010UL
#define VM_MAYWRITE 0x00000020UL
#define VM_MAYEXEC 0x00000040UL
#define VM_MAYSHARE 0x00000080UL
#define VM_PFNMAP 0x00000400UL
#define VM_LOCKED 0x00002000UL
#define VM_IO 0x00004000UL
#define VM_DONTCOPY 0x00020000UL
#define VM_DONTEXPAND 0x00040000UL
#define VM_ACCOUNT 0x00100000UL
#define VM_WIPEONFORK 0x02000000UL
#define VM_DONTDUMP 0x04000000UL
#define VM_MIXEDMAP 0x10000000UL

struct address_space;

WD_BEGIN_DECLS
/*
 * @vma must have VM_PFNMAP. Returns VM_FAULT_NOPAGE, or VM_FAULT_SIGBUS if @pfn cannot be mapped.
 */
vm_fault_t vmf_insert_pfn(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn);
/*
 * Take away the pages of every mapping of the range. Linux sends SIGBUS on an access after that,
 * which here would kill kernel and users alike, since they are one process. So the mapping gets
 * private zero pages; no device sees a write to them.
 */
void unmap_mapping_range(struct address_space *mapping, loff_t holebegin, loff_t holelen,
			 int even_cows);
WD_END_DECLS

/*
 * Whether the mapping is private, and the process may write to it or may change it so that it can.
 */
static inline bool is_cow_mapping(vm_flags_t flags)
{
	return (flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE;
}

static inline unsigned long vma_pages(struct vm_area_struct *vma)
{
	return (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
}

#define FOLL_WRITE 0x01
#define FOLL_TOUCH 0x02
#define FOLL_GET 0x04
#define FOLL_FORCE 0x10
#define FOLL_NOFAULT 0x80
#define FOLL_LONGTERM 0x10000
#define FOLL_PIN 0x40000
#define FOLL_FAST_ONLY 0x80000

WD_BEGIN_DECLS
/*
 * Pins fewer pages than asked for if the memory ends before; -EFAULT if there are none at all. A
 * pin is only counted: it cannot keep a process of the host from unmapping the page
 * (Documentation/design/hostkernel.rst). A pin belongs to an address and not to a page frame, so it
 * need not end copy-on-write: with FOLL_FORCE it touches the page for reading only.
 */
int pin_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags,
			struct page **pages);
long pin_user_pages_remote(struct mm_struct *mm, unsigned long start, unsigned long nr_pages,
			   unsigned int gup_flags, struct page **pages,
			   struct vm_area_struct **vmas, int *locked);
void unpin_user_pages(struct page **pages, unsigned long npages);
void unpin_user_page_range_dirty_lock(struct page *page, unsigned long npages, bool make_dirty);

/*
 * Only for files of the host (Caller::importFile()), at any address, and not for a remote caller
 * (-ENODEV). Children of the process do not get the mapping. Pages that are pinned when it is
 * removed stay until they are unpinned.
 */
unsigned long vm_mmap(struct file *filp, unsigned long addr, unsigned long length,
		      unsigned long prot, unsigned long flags, unsigned long offset);
int vm_munmap(unsigned long start, size_t length);

/*
 * One vma stands for all memory of a process, and touching a page shows whether it is there. The
 * caller holds the mmap lock. If a page is not in memory, handle_mm_fault() with
 * FAULT_FLAG_ALLOW_RETRY drops the lock while it waits for the page, and returns VM_FAULT_RETRY.
 */
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr);
struct pt_regs;
vm_fault_t handle_mm_fault(struct vm_area_struct *vma, unsigned long address, unsigned int flags,
			   struct pt_regs *regs);

WD_END_DECLS

#define FAULT_FLAG_WRITE 0x01u
#define FAULT_FLAG_ALLOW_RETRY 0x04u
#define FAULT_FLAG_KILLABLE 0x10u
#define FAULT_FLAG_REMOTE 0x80u
#define FAULT_FLAG_INTERRUPTIBLE 0x200u
#define FAULT_FLAG_DEFAULT (FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE | FAULT_FLAG_INTERRUPTIBLE)

/* Each pin of a page counts as that many references. */
#define GUP_PIN_COUNTING_BIAS (1U << 10)
WD_BEGIN_DECLS
int page_ref_count(const struct page *page);
WD_END_DECLS
#define PageCompound(_page) ((void)(_page), 0)

static inline struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);

	return vma && addr >= vma->vm_start ? vma : NULL;
}

static inline void mmap_read_lock(struct mm_struct *mm)
{
	down_read(&mm->mmap_lock);
}

static inline void mmap_read_unlock(struct mm_struct *mm)
{
	up_read(&mm->mmap_lock);
}

static inline int __must_check mmap_read_lock_killable(struct mm_struct *mm)
{
	return down_read_killable(&mm->mmap_lock);
}

static inline void mmap_write_lock(struct mm_struct *mm)
{
	down_write(&mm->mmap_lock);
}

static inline int __must_check mmap_write_lock_killable(struct mm_struct *mm)
{
	return down_write_killable(&mm->mmap_lock);
}

static inline bool mmap_write_trylock(struct mm_struct *mm)
{
	return down_write_trylock(&mm->mmap_lock) != 0;
}

static inline void mmap_write_unlock(struct mm_struct *mm)
{
	up_write(&mm->mmap_lock);
}

#include <linux/slab.h>

#endif /* _LINUX_MM_H */
