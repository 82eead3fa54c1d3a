/* SPDX-License-Identifier: GPL-2.0-only */
/* Reader/writer semaphores. As in Linux, a waiting writer keeps new readers out. */
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
	const char *name;  /* name of its class, see lockdep.h */
};

WD_BEGIN_DECLS
void __init_rwsem(struct rw_semaphore *sem, const char *name, struct lock_class_key *key);
void down_read(struct rw_semaphore *sem);
int __must_check down_read_killable(struct rw_semaphore *sem);
void up_read(struct rw_semaphore *sem);
void down_write(struct rw_semaphore *sem);
int __must_check down_write_killable(struct rw_semaphore *sem);
/* 1, or 0 if there is a writer. Any context. */
int down_read_trylock(struct rw_semaphore *sem);
int down_write_trylock(struct rw_semaphore *sem);
void up_write(struct rw_semaphore *sem);
int rwsem_is_locked(struct rw_semaphore *sem);
WD_END_DECLS

/* The caller holds @nest whenever it takes several semaphores of one class. */
#define down_write_nest_lock(sem, nest)    \
	do {                               \
		lockdep_assert_held(nest); \
		down_write(sem);           \
	} while (0)

#define init_rwsem(sem) __init_rwsem(sem, #sem, NULL)

#endif /* _LINUX_RWSEM_H */
