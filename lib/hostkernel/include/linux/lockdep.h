/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Each lock knows its owner, and a failed assertion WARNs. Each thread knows which mutexes and rw
 * semaphores it holds: if it touches user memory with one of them held, that is a WARN. A lock
 * whose name begins with WD_LOCK_PRIVATE is allowed, since only the caller that owns the memory
 * waits for it.
 */
#ifndef _LINUX_LOCKDEP_H
#define _LINUX_LOCKDEP_H

#include <linux/bug.h>
#include <linux/compiler.h>

struct lock_class_key {
	char unused;
};

#define WD_LOCK_PRIVATE "private:"

struct mutex;
struct spinlock;
struct rw_semaphore;

WD_BEGIN_DECLS
void wd_rwsem_set_name(struct rw_semaphore *sem, const char *name);
bool wd_mutex_held(const struct mutex *lock);
bool wd_spin_held(const struct spinlock *lock);
bool wd_rwsem_held(const struct rw_semaphore *sem);
bool wd_rwsem_held_write(const struct rw_semaphore *sem);
WD_END_DECLS

#ifndef __cplusplus
/* clang-format off */
#define __wd_lock_held(l) _Generic((l), \
	struct mutex *: wd_mutex_held((const struct mutex *)(l)), \
	struct spinlock *: wd_spin_held((const struct spinlock *)(l)), \
	struct rw_semaphore *: wd_rwsem_held((const struct rw_semaphore *)(l)))
#define __wd_lock_held_write(l) _Generic((l), \
	struct mutex *: wd_mutex_held((const struct mutex *)(l)), \
	struct spinlock *: wd_spin_held((const struct spinlock *)(l)), \
	struct rw_semaphore *: wd_rwsem_held_write((const struct rw_semaphore *)(l)))
/* clang-format on */
#define lockdep_assert_held(l) WARN_ON(!__wd_lock_held(l))
#define lockdep_assert_held_write(l) WARN_ON(!__wd_lock_held_write(l))
#define lockdep_is_held(l) __wd_lock_held(l)
#endif

#endif /* _LINUX_LOCKDEP_H */
