/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The locks of this kernel know their owner; a failed assertion WARNs. Each thread knows its
 * mutexes and rw semaphores: touching user memory with one of them held WARNs, unless the name of
 * its class begins with WD_LOCK_PRIVATE, set by lockdep_set_class_and_name(): only the caller that
 * owns the memory waits for such a lock.
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
void wd_mutex_set_name(struct mutex *lock, const char *name);
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
#define lockdep_set_class_and_name(l, key, name)                                         \
	_Generic((l), struct mutex *                                                     \
		 : wd_mutex_set_name((struct mutex *)(l), (name)), struct rw_semaphore * \
		 : wd_rwsem_set_name((struct rw_semaphore *)(l), (name)))
#define lockdep_assert_held(l) WARN_ON(!__wd_lock_held(l))
#define lockdep_assert_held_write(l) WARN_ON(!__wd_lock_held_write(l))
#define lockdep_assert_held_read(l) WARN_ON(!__wd_lock_held(l))
#define lockdep_assert_not_held(l) WARN_ON(__wd_lock_held_write(l))
#define lockdep_is_held(l) __wd_lock_held(l)
#endif
#define lockdep_register_key(key) \
	do {                      \
	} while (0)
#define lockdep_unregister_key(key) \
	do {                        \
	} while (0)
#define lockdep_set_class(lock, key) \
	do {                         \
	} while (0)
#define might_lock(lock) \
	do {             \
	} while (0)

#endif /* _LINUX_LOCKDEP_H */
