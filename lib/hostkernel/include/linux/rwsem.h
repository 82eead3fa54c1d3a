/* SPDX-License-Identifier: GPL-2.0-only */
/* Readers and writers; a waiting writer keeps new readers out, as in Linux. */
#ifndef _LINUX_RWSEM_H
#define _LINUX_RWSEM_H

#include <linux/lockdep.h>
#include <linux/spinlock.h>

struct rw_semaphore {
	struct wd_host_mutex host;
	struct wd_host_cond cond;
	int active; /* > 0 readers, -1 a writer */
	int writers_waiting;
	const void *owner; /* the writer */
	const char *name;  /* of its class, see lockdep.h */
};

/* clang-format off */
#define __RWSEM_INITIALIZER(_name) { { { 0 } }, { { 0 } }, 0, 0, NULL, #_name }
/* clang-format on */
#define DECLARE_RWSEM(_name) struct rw_semaphore _name = __RWSEM_INITIALIZER(_name)

WD_BEGIN_DECLS
void __init_rwsem(struct rw_semaphore *sem, const char *name, struct lock_class_key *key);
void down_read(struct rw_semaphore *sem);
int __must_check down_read_interruptible(struct rw_semaphore *sem);
int __must_check down_read_killable(struct rw_semaphore *sem);
int down_read_trylock(struct rw_semaphore *sem);
void up_read(struct rw_semaphore *sem);
void down_write(struct rw_semaphore *sem);
int __must_check down_write_killable(struct rw_semaphore *sem);
int down_write_trylock(struct rw_semaphore *sem);
void up_write(struct rw_semaphore *sem);
void downgrade_write(struct rw_semaphore *sem);
int rwsem_is_locked(struct rw_semaphore *sem);
WD_END_DECLS

#define init_rwsem(sem) __init_rwsem(sem, #sem, NULL)
#define down_read_nested(sem, subclass) down_read(sem)
#define down_write_nested(sem, subclass) down_write(sem)

#endif /* _LINUX_RWSEM_H */
