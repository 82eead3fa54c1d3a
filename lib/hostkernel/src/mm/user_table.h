/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parts of an mm outside struct mm_struct: a page table in the processor's format, for IOMMUs that
 * walk it, and the notifiers. A process cannot read its real page table, so handle_mm_fault() and
 * pins fill this one, and the hosted kernel clears entries when it learns that memory has changed.
 * An entry may be stale. But its frame number is the process's address, so an access through it
 * finds the memory that the process has there now, with the process's rights, or fails.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <vector>

#include <linux/mm_types.h>
#include <linux/workqueue.h>

struct mmu_notifier;

namespace wd::hostkernel
{

/**
 * A table in x86-64 format with four or five levels of 512 entries. Changes of entries are atomic,
 * since hardware sets bits in them. The upper half of the top table leads to tables of the kernel,
 * which no user request may use, and which no IOMMU should read.
 */
class UserTable
{
public:
	using Tables = std::vector<uint64_t *>;

	/** Makes a table with the number of levels that the kernel has now. */
	UserTable();
	~UserTable();
	UserTable(const UserTable &) = delete;
	UserTable &operator=(const UserTable &) = delete;

	void *top() const { return top_; }
	/**
	 * Map the page at @address to @pa. An entry that exists keeps its rights and may get more.
	 * @return false without memory.
	 */
	bool set(uint64_t address, uint64_t pa, bool writable);
	/**
	 * Unmap all pages of [@start, @end).
	 * @return tables that have become empty and are unlinked. The caller discards them after it
	 * has called all notifiers.
	 */
	Tables clear(uint64_t start, uint64_t end);
	/** Poison @tables (kFreedTableWord) and free them later. They must have no readers. */
	static void discard(const Tables &tables);
	/** Discard every table but the top one, whose user half is empty then. */
	void destroy();

private:
	uint64_t *next(uint64_t *entry, bool create);
	void clearBelow(uint64_t *table, unsigned level, uint64_t start, uint64_t end,
			Tables &unlinked);
	static void collectBelow(uint64_t *table, unsigned level, Tables &all);

	const unsigned levels_;
	uint64_t *top_;
	std::mutex mutex_; /* for set() and clear() */
};

/** For mmput_async(). */
struct AsyncPut {
	work_struct work;
	mm_struct *mm;
};

/** The object at mm->wd_private. */
struct MmState {
	UserTable table;
	std::atomic<bool> shared{false}; /* there has been a notifier, so pins fill the table */
	vm_area_struct vma{};
	AsyncPut asyncPut{};
	std::mutex notifiersMutex;
	std::list<mmu_notifier *> notifiers;
};

inline MmState &stateOf(const mm_struct *mm)
{
	return *static_cast<MmState *>(mm->wd_private);
}

/**
 * The memory of [@start, @end) has changed or gone: clear the entries, then call the notifiers,
 * then free tables. The caller holds the mmap lock.
 */
void userRangeChanged(mm_struct *mm, unsigned long start, unsigned long end);

/**
 * The same for all memory. The notifiers get a range that covers nothing, as in Linux when two
 * threads unmap at once and neither knows the other's range.
 */
void userEverythingChanged(mm_struct *mm);

/** The last user of @mm is gone: call release of its notifiers, then free its tables. */
void mmReleaseNotifiers(mm_struct *mm);

} // namespace wd::hostkernel
