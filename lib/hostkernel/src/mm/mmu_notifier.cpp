// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notifiers of an mm. In Linux SRCU keeps a notifier alive while its callbacks run. Here each
 * running callback holds a reference (wd_refs), and so does the list of the mm.
 */
#include <hosted/test_hooks.h>
#include <linux/mmu_notifier.h>

#include <condition_variable>
#include <vector>

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>

#include "core/immortal.h"
#include "user_table.h"

namespace wd::hostkernel
{
namespace
{

/* Number of notifiers that were put and are not freed yet. */
std::mutex dyingMutex;
Immortal<std::condition_variable> dyingChangedObject;
auto &dyingChanged = *dyingChangedObject;
unsigned dying;

void notifierFree(rcu_head *head)
{
	auto *notifier = container_of(head, struct mmu_notifier, rcu);
	mm_struct *mm = notifier->mm;

	notifier->ops->free_notifier(notifier);
	mmdrop(mm);
	std::lock_guard lock(dyingMutex);
	dying--;
	dyingChanged.notify_all();
}

void drop(mmu_notifier *notifier)
{
	if (__atomic_sub_fetch(&notifier->wd_refs, 1, __ATOMIC_ACQ_REL))
		return;
	/* As in Linux, another thread frees it. */
	call_rcu(&notifier->rcu, notifierFree);
}

/* The registered notifiers, with a reference to each. */
std::vector<mmu_notifier *> takeAll(MmState &state)
{
	std::lock_guard lock(state.notifiersMutex);
	for (mmu_notifier *notifier : state.notifiers)
		__atomic_add_fetch(&notifier->wd_refs, 1, __ATOMIC_RELAXED);
	return {state.notifiers.begin(), state.notifiers.end()};
}

} // namespace

namespace
{

/*
 * As munmap() does it: clear the entries, call the notifiers, free the tables. The notifiers get
 * the range from @saidStart to @saidEnd.
 */
void changed(mm_struct *mm, unsigned long start, unsigned long end, unsigned long saidStart,
	     unsigned long saidEnd)
{
	MmState &state = stateOf(mm);

	WARN_ON_ONCE(!wd_rwsem_held(&mm->mmap_lock));
	if (!state.shared.load(std::memory_order_relaxed))
		return;
	const UserTable::Tables unlinked = state.table.clear(start, end);
	for (mmu_notifier *notifier : takeAll(state)) {
		if (notifier->ops->invalidate_range) {
			preempt_disable(); /* in Linux the caller holds page table locks here */
			notifier->ops->invalidate_range(notifier, mm, saidStart, saidEnd);
			preempt_enable();
		}
		drop(notifier);
	}
	UserTable::discard(unlinked);
}

} // namespace

void userRangeChanged(mm_struct *mm, unsigned long start, unsigned long end)
{
	changed(mm, start, end, start, end);
}

void userEverythingChanged(mm_struct *mm)
{
	changed(mm, 0, TASK_SIZE, ~0UL, ~0UL);
}

void mmReleaseNotifiers(mm_struct *mm)
{
	MmState &state = stateOf(mm);

	for (mmu_notifier *notifier : takeAll(state)) {
		if (notifier->ops->release)
			notifier->ops->release(notifier, mm);
		drop(notifier);
	}
	state.table.destroy();
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

struct mmu_notifier *mmu_notifier_get_locked(const struct mmu_notifier_ops *ops,
					     struct mm_struct *mm)
{
	MmState &state = stateOf(mm);

	WARN_ON_ONCE(!wd_rwsem_held(&mm->mmap_lock));
	state.shared.store(true, std::memory_order_relaxed);
	{
		std::lock_guard lock(state.notifiersMutex);
		for (mmu_notifier *notifier : state.notifiers) {
			if (notifier->ops != ops)
				continue;
			notifier->users++;
			return notifier;
		}
	}
	mmu_notifier *notifier = ops->alloc_notifier(mm);
	if (IS_ERR(notifier))
		return notifier;
	notifier->ops = ops;
	notifier->mm = mm;
	notifier->users = 1;
	notifier->wd_refs = 1;
	mmgrab(mm);
	std::lock_guard lock(state.notifiersMutex);
	state.notifiers.push_back(notifier);
	return notifier;
}

struct mmu_notifier *mmu_notifier_get(const struct mmu_notifier_ops *ops, struct mm_struct *mm)
{
	mmap_write_lock(mm);
	mmu_notifier *notifier = mmu_notifier_get_locked(ops, mm);
	mmap_write_unlock(mm);
	return notifier;
}

void mmu_notifier_put(struct mmu_notifier *notifier)
{
	MmState &state = stateOf(notifier->mm);
	{
		std::lock_guard lock(state.notifiersMutex);
		if (WARN_ON(!notifier->users) || --notifier->users)
			return;
		state.notifiers.remove(notifier);
	}
	{
		std::lock_guard lock(dyingMutex);
		dying++;
	}
	drop(notifier);
}

void mmu_notifier_synchronize(void)
{
	might_sleep();
	std::unique_lock lock(dyingMutex);
	dyingChanged.wait(lock, [] { return !dying; });
}
