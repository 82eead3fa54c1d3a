// SPDX-License-Identifier: GPL-2.0-only
/* Address spaces, their accounting, and the pinning of their pages. */
#include "pages.h"
#include "sched/tasks.h"

#include <algorithm>
#include <climits>
#include <sys/uio.h>
#include <vector>

#include <linux/cred.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "memory_access.h"
#include "memory_map.h"
#include "user_table.h"

alignas(PAGE_SIZE) const unsigned char wd_zero_page[PAGE_SIZE] = {};

namespace wd::hostkernel
{

mm_struct *mmCreate(int pid)
{
	unsigned id = pid ? memoryMapAdd(pid) : 0;
	if (pid && !id)
		return nullptr;
	auto *mm = new mm_struct{};
	atomic_set(&mm->mm_users, 1);
	atomic_set(&mm->mm_count, 1);
	init_rwsem(&mm->mmap_lock);
	wd_rwsem_set_name(&mm->mmap_lock, WD_LOCK_PRIVATE "mmap_lock");
	mm->wd_id = id;
	mm->wd_pid = pid;
	auto *state = new MmState;
	mm->wd_private = state;
	mm->pgd = static_cast<pgd_t *>(state->table.top());
	state->vma.vm_start = PAGE_SIZE;
	state->vma.vm_end = TASK_SIZE;
	state->vma.vm_mm = mm;
	state->vma.vm_flags = VM_READ | VM_WRITE | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
	return mm;
}

namespace
{

/* Touch pages of another process: read one byte of each, many pages with one system call. */
size_t touchRemote(pid_t pid, uint64_t address, size_t pages)
{
	std::vector<iovec> remote(std::min(pages, size_t{512}));
	std::vector<char> bytes(remote.size());
	for (size_t done = 0; done < pages;) {
		size_t count = std::min(pages - done, remote.size());
		for (size_t i = 0; i < count; i++)
			remote[i] = {reinterpret_cast<void *>(address + (done + i) * PAGE_SIZE), 1};
		iovec local = {bytes.data(), count};
		ssize_t n = process_vm_readv(pid, &local, 1, remote.data(), count, 0);
		if (n > 0)
			done += static_cast<size_t>(n);
		if (n < static_cast<ssize_t>(count))
			return done;
	}
	return pages;
}

} // namespace

size_t touchUser(mm_struct *mm, unsigned long start, size_t pages, bool write)
{
	if (!mm->wd_pid)
		return touchPages(reinterpret_cast<void *>(start), pages, write);
	if (write)
		pages = remoteWritable(mm->wd_pid, start, pages);
	return touchRemote(mm->wd_pid, start, pages);
}

namespace
{

/*
 * Enter the pages into the table, as page faults of the process would, so that an IOMMU that walks
 * the table finds pinned pages.
 */
size_t fillTable(mm_struct *mm, unsigned long start, size_t pages, bool write)
{
	for (size_t i = 0; i < pages; i++) {
		uint64_t address = start + i * PAGE_SIZE;
		if (!stateOf(mm).table.set(address, mm->wd_id << kMmIdShift | address, write))
			return i;
	}
	return pages;
}

long pin(mm_struct *mm, unsigned long start, unsigned long count, unsigned flags, page **pages)
{
	might_sleep();
	if (!count)
		return 0;
	start &= PAGE_MASK;
	if (!mm || start >= TASK_SIZE)
		return -EFAULT;
	warnIfLocked(nullptr);
	if (shouldFail(FailPoint::Pin))
		return -EFAULT;
	count = std::min(count, (TASK_SIZE - start) >> PAGE_SHIFT);
	if (!mm->wd_pid)
		count = deviceMappingClip(start, count);
	/* A forced pin needs no write, since the page frame number is the process's address. */
	bool write = (flags & (FOLL_WRITE | FOLL_FORCE)) == FOLL_WRITE;
	count = count ? touchUser(mm, start, count, write) : 0;
	if (stateOf(mm).shared.load(std::memory_order_relaxed))
		count = fillTable(mm, start, count, write);
	if (!count)
		return -EFAULT;
	unsigned long first = ((mm->wd_id << kMmIdShift) | start) >> PAGE_SHIFT;
	pinCountAdd(first, count);
	for (unsigned long i = 0; i < count; i++)
		pages[i] = pfn_to_page(first + i);
	return static_cast<long>(count);
}

} // namespace
} // namespace wd::hostkernel

using namespace wd::hostkernel;

/* --- life of an mm --- */

void mmput(struct mm_struct *mm)
{
	if (!atomic_dec_and_test(&mm->mm_users))
		return;
	mmReleaseNotifiers(mm);
	mmdrop(mm);
}

namespace
{
void asyncPut(work_struct *work)
{
	mmput(container_of(work, AsyncPut, work)->mm);
}
} // namespace

void mmput_async(struct mm_struct *mm)
{
	/* One work item is enough: only the caller that has the last reference queues it. */
	if (atomic_add_unless(&mm->mm_users, -1, 1))
		return;
	AsyncPut &put = stateOf(mm).asyncPut;
	INIT_WORK(&put.work, asyncPut);
	put.mm = mm;
	schedule_work(&put.work);
}

void __mmdrop(struct mm_struct *mm)
{
	WARN(atomic64_read(&mm->pinned_vm) || mm->locked_vm,
	     "mm leaves %lld pinned and %lu locked pages charged", atomic64_read(&mm->pinned_vm),
	     mm->locked_vm);
	if (mm->wd_id)
		memoryMapRemove(static_cast<unsigned>(mm->wd_id));
	delete &stateOf(mm);
	delete mm;
}

/* --- accounting --- */

/* --- pinning --- */

int pin_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags,
			struct page **pages)
{
	if (WARN_ON_ONCE(gup_flags & FOLL_GET) || nr_pages < 0)
		return -EINVAL;
	return static_cast<int>(pin(get_current()->mm, start, static_cast<unsigned long>(nr_pages),
				    gup_flags, pages));
}

long pin_user_pages_remote(struct mm_struct *mm, unsigned long start, unsigned long nr_pages,
			   unsigned int gup_flags, struct page **pages, struct vm_area_struct **,
			   int *)
{
	WARN_ON_ONCE(!wd_rwsem_held(&mm->mmap_lock));
	return pin(mm, start, nr_pages, gup_flags, pages);
}

void unpin_user_pages(struct page **pages, unsigned long npages)
{
	/* Take neighbouring pages, the usual case, in one step. */
	for (unsigned long i = 0; i < npages;) {
		unsigned long run = 1, first = page_to_pfn(pages[i]);
		while (i + run < npages && page_to_pfn(pages[i + run]) == first + run)
			run++;
		pinCountSub(first, run);
		i += run;
	}
}

void unpin_user_page_range_dirty_lock(struct page *page, unsigned long npages, bool)
{
	pinCountSub(page_to_pfn(page), npages);
}

int page_ref_count(const struct page *page)
{
	return 1 + static_cast<int>(pinCountIn(page_to_pfn(page), 1)) * GUP_PIN_COUNTING_BIAS;
}

void memcpy_from_page(char *to, struct page *page, size_t offset, size_t len)
{
	WARN_ON(!physicalMemory().read(page_to_phys(page) + offset, to, len));
}

void memcpy_to_page(struct page *page, size_t offset, const char *from, size_t len)
{
	WARN_ON(!physicalMemory().write(page_to_phys(page) + offset, from, len));
}
