/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Notifiers of an mm, in the form that needs no synchronous unregistration. The host's kernel does
 * not report changes of a process's memory: notifiers hear of mappings that the hosted kernel makes
 * and removes itself, of changes that a Caller announces, and of the end of an mm.
 */
#ifndef _LINUX_MMU_NOTIFIER_H
#define _LINUX_MMU_NOTIFIER_H

#include <linux/mm_types.h>
#include <linux/mmap_lock.h>
#include <linux/types.h>

struct mmu_notifier;

struct mmu_notifier_ops {
	/* The mm has no users any more; its tables go after this. May sleep. */
	void (*release)(struct mmu_notifier *subscription, struct mm_struct *mm);
	/* Entries of [@start, @end) were removed. Must not sleep. */
	void (*invalidate_range)(struct mmu_notifier *subscription, struct mm_struct *mm,
				 unsigned long start, unsigned long end);
	/* Under the mmap lock. */
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
/* The notifier of @mm with @ops, made if there is none. ERR_PTR of alloc_notifier. */
struct mmu_notifier *mmu_notifier_get_locked(const struct mmu_notifier_ops *ops,
					     struct mm_struct *mm);
struct mmu_notifier *mmu_notifier_get(const struct mmu_notifier_ops *ops, struct mm_struct *mm);
/* Callbacks may go on until free_notifier is called. */
void mmu_notifier_put(struct mmu_notifier *subscription);
/* Wait until every free_notifier of notifiers that were put has returned: before a module goes. */
void mmu_notifier_synchronize(void);
WD_END_DECLS

#endif /* _LINUX_MMU_NOTIFIER_H */
