/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parts of an mm beside struct mm_struct: a page table in the format of the processor, for IOMMUs
 * that walk it, and its notifiers.
 *
 * The host's own page table is not accessible, so this one is filled by handle_mm_fault() and by
 * pins, and emptied when the hosted kernel learns that memory has changed. It may lag behind the
 * process: an entry's frame is the process's address, so an access through a stale entry finds the
 * process's present memory there, with the process's own rights, or fails.
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
 * Four or five levels of 512 entries, x86-64. Entries are changed atomically: hardware sets bits in
 * them. The upper half of the top one leads to tables of the kernel, which no user request may use,
 * and no IOMMU should look at.
 */
class UserTable
{
public:
	using Tables = std::vector<uint64_t *>;

	/** With as many levels as the kernel has now. */
	UserTable();
	~UserTable();
	UserTable(const UserTable &) = delete;
	UserTable &operator=(const UserTable &) = delete;

	void *top() const { return top_; }
	/** Page @address is at @pa from now on; rights only grow. @return false without memory. */
	bool set(uint64_t address, uint64_t pa, bool writable);
	/**
	 * No page of [@start, @end) any more. @return tables that are empty now and have left the
	 * tree; to be discarded when all notifiers have been called.
	 */
	Tables clear(uint64_t start, uint64_t end);
	/** For tables without readers: they are poisoned (kFreedTableWord), and freed later. */
	static void discard(const Tables &tables);
	/** Discard every table but the top one; the user half of that is empty then. */
	void destroy();

private:
	uint64_t *next(uint64_t *entry, bool create);
	void clearBelow(uint64_t *table, unsigned level, uint64_t start, uint64_t end,
			Tables &unlinked);
	static void collectBelow(uint64_t *table, unsigned level, Tables &all);

	const unsigned levels_;
	uint64_t *top_;
	std::mutex mutex_; /* adders and clearers */
};

/** For mmput_async(). */
struct AsyncPut {
	work_struct work;
	mm_struct *mm;
};

/** The object at mm->wd_private. */
struct MmState {
	UserTable table;
	std::atomic<bool> shared{false}; /* there has been a notifier: pins fill the table too */
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
 * The memory of [@start, @end) changed or went: entries, then notifiers, then tables. Under the
 * mmap lock.
 */
void userRangeChanged(mm_struct *mm, unsigned long start, unsigned long end);

/**
 * As that for all memory, announced as in Linux when two threads unmap at the same time and neither
 * knows the other's range: with a range that covers nothing.
 */
void userEverythingChanged(mm_struct *mm);

/** The last user of @mm is gone: its notifiers are released, then its tables go. */
void mmReleaseNotifiers(mm_struct *mm);

} // namespace wd::hostkernel
