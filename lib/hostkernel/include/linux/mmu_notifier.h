/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Notifiers of an mm, with reference counts (get and put). The host does not report changes of a
 * process's memory, so a notifier is called only for mappings that the hosted kernel makes and
 * removes, for changes that a Caller announces, and at the end of an mm.
 */
#ifndef _LINUX_MMU_NOTIFIER_H
#define _LINUX_MMU_NOTIFIER_H

#include <linux/mm_types.h>
#include <linux/mmap_lock.h>
#include <linux/types.h>

struct mmu_notifier;

struct mmu_notifier_ops {
	/* The mm has no users any more, and its page tables go after this call. May sleep. */
	void (*release)(struct mmu_notifier *subscription, struct mm_struct *mm);
	/* Entries of [@start, @end) were removed. Must not sleep. */
	void (*invalidate_range)(struct mmu_notifier *subscription, struct mm_struct *mm,
				 unsigned long start, unsigned long end);
	/* Called with the mmap lock held. */
	struct mmu_notifier *(*alloc_notifier)(struct mm_struct *mm);
	void (*free_notifier)(struct mmu_notifier *subscription);
};

struct mmu_notifier {
	const struct mmu_notifier_ops *ops;
	struct mm_struct *mm;
	struct rcu_head rcu;
	unsigned int users;
	unsigned int wd_refs;
};

WD_BEGIN_DECLS
/*
 * The notifier of @mm with @ops. If there is none, alloc_notifier() makes it; ERR_PTR if that
 * fails. The caller holds the mmap lock.
 */
struct mmu_notifier *mmu_notifier_get_locked(const struct mmu_notifier_ops *ops,
					     struct mm_struct *mm);
/* Drop a reference. Callbacks may still run until free_notifier() is called. */
void mmu_notifier_put(struct mmu_notifier *subscription);
/*
 * Wait until free_notifier() has returned for every notifier that was put. A module calls this
 * before it goes.
 */
void mmu_notifier_synchronize(void);
WD_END_DECLS

#endif /* _LINUX_MMU_NOTIFIER_H */
