// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pin memory of a file: of a memfd, or of a regular file in a tmpfs or hugetlbfs (IOMMUFD-FILE-2).
 *
 * Linux 6.1 pins only memory that a process has mapped. So this maps a part of the file into the
 * calling process, pins it, and removes the mapping again; the pins keep the pages. The calling
 * process need not be the one that made the mapping of the IOAS, which may have ended.
 */
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>

#include "io_pagetable.h"

/* Whether the pages of @file, a regular file, are memory that stays its memory while pinned. */
static bool iopt_file_is_memory(struct file *file)
{
	const unsigned long magic = file_inode(file)->i_sb->s_magic;

	return magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC;
}

static bool iopt_file_has(struct file *file, unsigned long offset, unsigned long npages)
{
	const loff_t size = i_size_read(file_inode(file));

	return offset < PAGE_ALIGN(size) && npages <= (PAGE_ALIGN(size) - offset) >> PAGE_SHIFT;
}

/**
 * iopt_pin_file() - pin pages of a file
 * @pages: backing, from a regular file
 * @offset: first byte in the file; page-aligned
 * @npages: number of pages, not 0
 * @batch: gets the pages
 *
 * Return: number of pages pinned, at least one; -EINVAL the file is no memory, or it ends before;
 * -EACCES, -EPERM devices may write the memory, but the file is not open for writing, or sealed;
 * -ENOMEM no memory, or a limit of the calling process; -EINTR it is being killed; -EFAULT the
 * caller is no process
 */
long iopt_pin_file(struct iopt_pages *pages, unsigned long offset, unsigned long npages,
		   struct page **batch)
{
	struct file *file = iopt_file_pages_of(pages)->file;
	const unsigned long prot = PROT_READ | (pages->writable ? PROT_WRITE : 0);
	const unsigned int flags = FOLL_LONGTERM | (pages->writable ? FOLL_WRITE : 0);
	unsigned long block, first, last, addr;
	long pinned;

	if (!iopt_file_is_memory(file) || !iopt_file_has(file, offset, npages))
		return -EINVAL;
	/* A kernel thread has no address space in which the file could be mapped. */
	if (!current->mm)
		return -EFAULT;

	/* A mapping has whole blocks; in a hugetlbfs a block is a huge page. */
	block = max(1UL << file_inode(file)->i_blkbits, PAGE_SIZE);
	first = round_down(offset, block);
	last = round_up(offset + (npages << PAGE_SHIFT), block);

	addr = vm_mmap(file, 0, last - first, prot, MAP_SHARED, first);
	if (IS_ERR_VALUE(addr))
		/* For iopt_pages_pin() -EAGAIN has another meaning; here mlockall() needs memory. */
		return addr == (unsigned long)-EAGAIN ? -ENOMEM : (long)addr;
	pinned = pin_user_pages_fast(addr + (offset - first), npages, flags, batch);
	/* If it is being killed the mapping goes with the process. */
	vm_munmap(addr, last - first);
	/* The file has become shorter. */
	return pinned == -EFAULT ? -EINVAL : pinned;
}
