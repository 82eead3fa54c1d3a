// SPDX-License-Identifier: GPL-2.0-only
/* Page tables of processes for IOMMUs, and the faults that fill them. */
#include "user_table.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include <linux/mm.h>

#include "memory_map.h"
#include "pages.h"
#include "thread_state.h"

namespace wd::hostkernel
{
namespace
{

constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4;
constexpr uint64_t kTableBits = kPresent | kWritable | kUser;
constexpr uint64_t kFrame = 0x000ffffffffff000;
constexpr unsigned kLevels = 4, kEntries = 512;

unsigned shiftOf(unsigned level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

unsigned indexOf(uint64_t address, unsigned level)
{
	return (address >> shiftOf(level)) % kEntries;
}

uint64_t *tableOf(uint64_t entry)
{
	return reinterpret_cast<uint64_t *>(entry & kFrame);
}

/* Not the kernel's pages: an mm may outlive the kernel, and these are nobody's leak. */
uint64_t *newTable()
{
	void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	if (page)
		memset(page, 0, PAGE_SIZE);
	return static_cast<uint64_t *>(page);
}

} // namespace

UserTable::UserTable() : top_(newTable())
{
	BUG_ON(!top_);
}

UserTable::~UserTable()
{
	destroy();
	free(top_);
}

uint64_t *UserTable::next(uint64_t *entry, bool create)
{
	std::atomic_ref<uint64_t> link(*entry);
	uint64_t value = link.load(std::memory_order_relaxed);
	if (!(value & kPresent)) {
		uint64_t *table = create ? newTable() : nullptr;
		if (!table)
			return nullptr;
		value = reinterpret_cast<uint64_t>(table) | kTableBits;
		link.store(value, std::memory_order_release);
	}
	return tableOf(value);
}

bool UserTable::set(uint64_t address, uint64_t pa, bool writable)
{
	std::lock_guard lock(mutex_);
	uint64_t *table = top_;
	for (unsigned level = kLevels; level > 1; level--) {
		table = next(&table[indexOf(address, level)], true);
		if (!table)
			return false;
	}
	uint64_t wanted = kPresent | kUser | (writable ? kWritable : 0);
	std::atomic_ref<uint64_t> leaf(table[indexOf(address, 1)]);
	if (leaf.load(std::memory_order_relaxed) & kPresent)
		leaf.fetch_or(wanted, std::memory_order_release);
	else
		leaf.store(pa | wanted, std::memory_order_release);
	return true;
}

void UserTable::clear(uint64_t start, uint64_t end)
{
	std::lock_guard lock(mutex_);
	while (start < end) {
		uint64_t *table = top_;
		unsigned level = kLevels;
		for (; level > 1; level--) {
			uint64_t *below = next(&table[indexOf(start, level)], false);
			if (!below)
				break;
			table = below;
		}
		if (level == 1)
			std::atomic_ref<uint64_t>(table[indexOf(start, 1)])
				.store(0, std::memory_order_release);
		/* Past what the missing table, or the page, would cover. */
		start = (start | ((uint64_t{1} << shiftOf(level)) - 1)) + 1;
	}
}

void UserTable::destroyBelow(uint64_t *table, unsigned level)
{
	for (unsigned i = 0; level > 1 && i < kEntries; i++) {
		std::atomic_ref<uint64_t> link(table[i]);
		uint64_t value = link.exchange(0, std::memory_order_relaxed);
		if (!(value & kPresent))
			continue;
		destroyBelow(tableOf(value), level - 1);
		free(tableOf(value));
	}
}

void UserTable::destroy()
{
	std::lock_guard lock(mutex_);
	destroyBelow(top_, kLevels);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr)
{
	vm_area_struct *vma = &stateOf(mm).vma;

	WARN_ON_ONCE(!wd_rwsem_held(&mm->mmap_lock));
	return addr < vma->vm_end ? vma : nullptr;
}

vm_fault_t handle_mm_fault(struct vm_area_struct *vma, unsigned long address, unsigned int flags,
			   struct pt_regs *)
{
	mm_struct *mm = vma->vm_mm;
	bool write = flags & FAULT_FLAG_WRITE;

	might_sleep();
	WARN_ON_ONCE(!wd_rwsem_held(&mm->mmap_lock));
	warnIfLocked(nullptr);
	address &= PAGE_MASK;
	if (shouldFail(FailPoint::Pin))
		return VM_FAULT_OOM;
	if (!mm->wd_pid && !deviceMappingClip(address, 1))
		return VM_FAULT_SIGBUS;
	if (!touchUser(mm, address, 1, write))
		return VM_FAULT_SIGSEGV;
	return stateOf(mm).table.set(address, mm->wd_id << kMmIdShift | address, write)
		       ? 0
		       : VM_FAULT_OOM;
}
