/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Spinlocks are mutexes of the host with an owner. Taking one twice, or releasing one that another
 * thread holds, aborts. There are no interrupts to switch off: the irq forms only count as atomic
 * context.
 */
#ifndef _LINUX_SPINLOCK_H
#define _LINUX_SPINLOCK_H

#include <linux/compiler.h>
#include <linux/lockdep.h>
#include <linux/types.h>

/*
 * A pthread mutex, and a condition variable, of the C library. All zero is a valid initial state.
 */
struct wd_host_mutex {
	unsigned long opaque[5];
};
struct wd_host_cond {
	unsigned long opaque[6];
};

typedef struct spinlock {
	struct wd_host_mutex host;
	const void *owner;
} spinlock_t;

/* clang-format off */
#define __SPIN_LOCK_UNLOCKED(name) { { { 0 } }, NULL }
/* clang-format on */
#define DEFINE_SPINLOCK(name) spinlock_t name = __SPIN_LOCK_UNLOCKED(name)

WD_BEGIN_DECLS
void spin_lock_init(spinlock_t *lock);
void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
WD_END_DECLS

#define spin_lock_irq(lock) spin_lock(lock)
#define spin_unlock_irq(lock) spin_unlock(lock)
#define spin_lock_bh(lock) spin_lock(lock)
#define spin_unlock_bh(lock) spin_unlock(lock)
#define spin_lock_irqsave(lock, flags) \
	do {                           \
		(flags) = 0;           \
		spin_lock(lock);       \
	} while (0)
#define spin_unlock_irqrestore(lock, flags) \
	do {                                \
		(void)(flags);              \
		spin_unlock(lock);          \
	} while (0)

WD_BEGIN_DECLS
void preempt_disable(void);
void preempt_enable(void);
int in_atomic(void);
WD_END_DECLS

#endif /* _LINUX_SPINLOCK_H */
