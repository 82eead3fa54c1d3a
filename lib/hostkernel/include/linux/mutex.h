/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_MUTEX_H
#define _LINUX_MUTEX_H

#include <linux/lockdep.h>
#include <linux/spinlock.h>

struct mutex {
	struct wd_host_mutex host;
	const void *owner;
	const char *name; /* name of its class, see lockdep.h */
};

/* clang-format off */
#define __MUTEX_INITIALIZER(_name) { { { 0 } }, NULL, #_name }
/* clang-format on */
#define DEFINE_MUTEX(_name) struct mutex _name = __MUTEX_INITIALIZER(_name)

WD_BEGIN_DECLS
void __mutex_init(struct mutex *lock, const char *name, struct lock_class_key *key);
void mutex_destroy(struct mutex *lock);
void mutex_lock(struct mutex *lock);
/* -EINTR if the caller is killed (Caller::kill()) before the mutex is free. */
int __must_check mutex_lock_killable(struct mutex *lock);
int mutex_trylock(struct mutex *lock);
void mutex_unlock(struct mutex *lock);
bool mutex_is_locked(struct mutex *lock);
WD_END_DECLS

#define mutex_init(lock) __mutex_init(lock, #lock, NULL)

/* The caller holds @nest whenever it takes several mutexes of one class. */
#define mutex_lock_nest_lock(lock, nest)   \
	do {                               \
		lockdep_assert_held(nest); \
		mutex_lock(lock);          \
	} while (0)

#endif /* _LINUX_MUTEX_H */
