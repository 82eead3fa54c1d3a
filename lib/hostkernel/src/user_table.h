/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an mm has beside struct mm_struct: a page table in the format of the processor, for IOMMUs
 * that walk it, and its notifiers.
 *
 * The host's own page table cannot be had, so this one is filled by handle_mm_fault() and by pins,
 * and emptied when the hosted kernel learns that memory has changed. It may lag behind the
 * process: an entry's frame is the process's address, so an access through a stale entry finds what
 * the process has there now, with the process's own rights, or fails.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>

#include <linux/mm_types.h>
#include <linux/workqueue.h>

struct mmu_notifier;

namespace wd::hostkernel
{

/** Four levels of 512 entries, x86-64. Entries are changed atomically: hardware sets bits in them.
 */
class UserTable
{
public:
	UserTable();
	~UserTable();
	UserTable(const UserTable &) = delete;
	UserTable &operator=(const UserTable &) = delete;

	void *top() const { return top_; }
	/** Page @address is at @pa from now on; rights only grow. @return false without memory. */
	bool set(uint64_t address, uint64_t pa, bool writable);
	/** No page of [@start, @end) any more; tables stay. */
	void clear(uint64_t start, uint64_t end);
	/** Free every table but the top one, which is empty then. */
	void destroy();

private:
	uint64_t *next(uint64_t *entry, bool create);
	static void destroyBelow(uint64_t *table, unsigned level);

	uint64_t *top_;
	std::mutex mutex_; /* who adds and who clears */
};

/** For mmput_async(). */
struct AsyncPut {
	work_struct work;
	mm_struct *mm;
};

/** Behind mm->wd_private. */
struct MmState {
	UserTable table;
	std::atomic<bool> shared{false}; /* somebody has had a notifier: pins fill the table too */
	vm_area_struct vma{};
	AsyncPut asyncPut{};
	std::mutex notifiersMutex;
	std::list<mmu_notifier *> notifiers;
};

inline MmState &stateOf(const mm_struct *mm)
{
	return *static_cast<MmState *>(mm->wd_private);
}

/** The memory of [@start, @end) changed or went: table, then notifiers. Under the mmap lock. */
void userRangeChanged(mm_struct *mm, unsigned long start, unsigned long end);

/** The last user of @mm is gone: its notifiers are released, then its tables go. */
void mmReleaseNotifiers(mm_struct *mm);

} // namespace wd::hostkernel
