// SPDX-License-Identifier: GPL-2.0-only
/* Page tables of processes for IOMMUs, and the faults that fill them. */
#include "user_table.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <sys/mman.h>

#include <linux/mm.h>

#include "hostkernel/kernel.h"
#include "memory_map.h"
#include "pages.h"
#include "sched/thread_state.h"

namespace wd::hostkernel
{
namespace
{

constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4;
constexpr uint64_t kTableBits = kPresent | kWritable | kUser;
constexpr uint64_t kFrame = 0x000ffffffffff000;
constexpr unsigned kEntries = 512;

/*
 * Stands for all tables of the kernel: every entry leads to the same table again, and user requests
 * must not use it.
 */
struct KernelTable {
	alignas(PAGE_SIZE) uint64_t entries[kEntries];

	KernelTable() { std::fill(std::begin(entries), std::end(entries), link()); }
	uint64_t link() const { return reinterpret_cast<uint64_t>(entries) | kPresent | kWritable; }
	static const KernelTable &instance()
	{
		static const KernelTable table;
		return table;
	}
};

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

/*
 * From the C library's heap and not from the kernel's pages, since an mm may outlive the kernel,
 * which would count its tables as a leak.
 */
uint64_t *newTable()
{
	void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	if (page)
		memset(page, 0, PAGE_SIZE);
	return static_cast<uint64_t *>(page);
}

uint64_t *newTop()
{
	uint64_t *table = newTable();
	for (unsigned i = kEntries / 2; table && i < kEntries; i++)
		table[i] = KernelTable::instance().link();
	return table;
}

bool isEmpty(uint64_t *table)
{
	return std::none_of(table, table + kEntries, [](uint64_t &entry) {
		return std::atomic_ref(entry).load(std::memory_order_relaxed) & kPresent;
	});
}

/*
 * Keeps freed tables for a while, filled with poison, so that a reader that is late is found (as
 * with Linux's CONFIG_PAGE_POISONING).
 */
class Quarantine
{
public:
	void add(uint64_t *table)
	{
		for (unsigned i = 0; i < kEntries; i++)
			std::atomic_ref(table[i]).store(kFreedTableWord, std::memory_order_relaxed);
		std::lock_guard lock(mutex_);
		tables_.push_back(table);
		if (tables_.size() <= kKept)
			return;
		free(tables_.front());
		tables_.pop_front();
	}

private:
	static constexpr size_t kKept = 256;

	std::mutex mutex_;
	std::deque<uint64_t *> tables_;
};

Quarantine &quarantine()
{
	static Quarantine *instance = new Quarantine;
	return *instance;
}

/*
 * Whether the page at @address is in memory, so that touching it does not wait. Of another process
 * this cannot be seen.
 */
bool isResident(mm_struct *mm, uint64_t address)
{
	unsigned char in = 0;
	return !mm->wd_pid && !mincore(reinterpret_cast<void *>(address), PAGE_SIZE, &in) && in & 1;
}

} // namespace

UserTable::UserTable() : levels_(wd_pgtable_levels), top_(newTop())
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
	for (unsigned level = levels_; level > 1; level--) {
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

UserTable::Tables UserTable::clear(uint64_t start, uint64_t end)
{
	Tables unlinked;
	std::lock_guard lock(mutex_);
	if (start < end)
		clearBelow(top_, levels_, start, end, unlinked);
	return unlinked;
}

/* Clear the entries of @table for [@start, @end), which is inside its range. */
void UserTable::clearBelow(uint64_t *table, unsigned level, uint64_t start, uint64_t end,
			   Tables &unlinked)
{
	const uint64_t span = uint64_t{1} << shiftOf(level);
	for (uint64_t at = start; at < end; at = (at | (span - 1)) + 1) {
		uint64_t &entry = table[indexOf(at, level)];
		if (level == 1) {
			std::atomic_ref(entry).store(0, std::memory_order_release);
			continue;
		}
		uint64_t *below = next(&entry, false);
		if (!below)
			continue;
		clearBelow(below, level - 1, at, std::min(end, (at | (span - 1)) + 1), unlinked);
		if (!isEmpty(below))
			continue;
		std::atomic_ref(entry).store(0, std::memory_order_release);
		unlinked.push_back(below);
	}
}

void UserTable::discard(const Tables &tables)
{
	for (uint64_t *table : tables)
		quarantine().add(table);
}

/* Collect the tables below @table: below its user half if it is the top table. */
void UserTable::collectBelow(uint64_t *table, unsigned level, Tables &all)
{
	for (unsigned i = 0; level > 1 && i < kEntries; i++) {
		std::atomic_ref link(table[i]);
		uint64_t value = link.load(std::memory_order_relaxed);
		if (!(value & kPresent) || !(value & kUser))
			continue;
		link.store(0, std::memory_order_relaxed);
		collectBelow(tableOf(value), level - 1, all);
		all.push_back(tableOf(value));
	}
}

void UserTable::destroy()
{
	Tables all;
	{
		std::lock_guard lock(mutex_);
		collectBelow(top_, levels_, all);
	}
	discard(all);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

unsigned int wd_pgtable_levels = 4;

struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr)
{
	vm_area_struct *vma = &stateOf(mm).vma;

	WARN_ON_ONCE(!wd_rwsem_held(&mm->mmap_lock));
	return addr < vma->vm_end ? vma : nullptr;
}

namespace
{

vm_fault_t fill(mm_struct *mm, uint64_t address, bool write)
{
	return stateOf(mm).table.set(address, mm->wd_id << kMmIdShift | address, write)
		       ? 0
		       : VM_FAULT_OOM;
}

/*
 * Enter a page that has been touched, and return VM_FAULT_COMPLETED without the mmap lock, which
 * the caller does not hold either. For pages of another process: VM_FAULT_RETRY would never end
 * there, since isResident() cannot see them.
 */
vm_fault_t completed(mm_struct *mm, uint64_t address, bool write)
{
	mmap_read_lock(mm);
	vm_fault_t ret = fill(mm, address, write);
	if (ret)
		return ret;
	mmap_read_unlock(mm);
	return VM_FAULT_COMPLETED;
}

} // namespace

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
	if (flags & FAULT_FLAG_ALLOW_RETRY && !isResident(mm, address)) {
		mmap_read_unlock(mm);
		if (touchUser(mm, address, 1, write))
			return mm->wd_pid ? completed(mm, address, write) : VM_FAULT_RETRY;
		mmap_read_lock(mm);
		return VM_FAULT_SIGSEGV;
	}
	if (!touchUser(mm, address, 1, write))
		return VM_FAULT_SIGSEGV;
	return fill(mm, address, write);
}
