/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RCU on liburcu (bulletproof flavour: any thread may read). Callbacks run on one kernel thread.
 * liburcu itself is not instrumented: the grace period is announced to ThreadSanitizer here.
 */
#ifndef _LINUX_RCUPDATE_H
#define _LINUX_RCUPDATE_H

#include <linux/compiler.h>
#include <linux/types.h>

typedef void (*rcu_callback_t)(struct rcu_head *head);

WD_BEGIN_DECLS
void rcu_read_lock(void);
void rcu_read_unlock(void);
void synchronize_rcu(void);
void synchronize_rcu_expedited(void);
void call_rcu(struct rcu_head *head, rcu_callback_t func);
void rcu_barrier(void);
int rcu_read_lock_held(void);
/* @offset: of the rcu_head in the object, which is kfree()d after a grace period. */
void wd_kfree_rcu(struct rcu_head *head, unsigned long offset);
void wd_kfree_rcu_mightsleep(const void *ptr);
WD_END_DECLS

#define kfree_rcu_1(ptr) wd_kfree_rcu_mightsleep(ptr)
#define kfree_rcu_2(ptr, field)                                                           \
	do {                                                                              \
		if (ptr)                                                                  \
			wd_kfree_rcu(&(ptr)->field, offsetof(__typeof__(*(ptr)), field)); \
	} while (0)
#define __wd_kfree_rcu_pick(a, b, name, ...) name
#define kfree_rcu(...) __wd_kfree_rcu_pick(__VA_ARGS__, kfree_rcu_2, kfree_rcu_1)(__VA_ARGS__)
#define kvfree_rcu(...) kfree_rcu(__VA_ARGS__)

/* clang-format off */
#define RCU_INITIALIZER(v) (v)
/* clang-format on */
#define rcu_assign_pointer(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define RCU_INIT_POINTER(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELAXED)
#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_dereference_check(p, c) rcu_dereference(p)
#define rcu_dereference_protected(p, c) __atomic_load_n(&(p), __ATOMIC_RELAXED)
#define rcu_dereference_raw(p) rcu_dereference(p)
#define rcu_access_pointer(p) __atomic_load_n(&(p), __ATOMIC_RELAXED)
#define rcu_replace_pointer(p, v, c)                                       \
	({                                                                 \
		__typeof__(p) __wd_prev = rcu_dereference_protected(p, c); \
		rcu_assign_pointer(p, v);                                  \
		__wd_prev;                                                 \
	})
#define rcu_head_init(h) \
	do {             \
	} while (0)

#endif /* _LINUX_RCUPDATE_H */
