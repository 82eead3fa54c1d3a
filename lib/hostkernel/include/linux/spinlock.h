/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Spinlocks are mutexes of the host with an owner: taking one twice, or giving back a foreign one,
 * aborts. Interrupts do not exist, so the irq forms only count as atomic context.
 */
#ifndef _LINUX_SPINLOCK_H
#define _LINUX_SPINLOCK_H

#include <linux/compiler.h>
#include <linux/lockdep.h>
#include <linux/types.h>

/* A pthread mutex, and a condition variable, of the C library; all zero is initialised. */
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
typedef spinlock_t raw_spinlock_t;

/* clang-format off */
#define __SPIN_LOCK_UNLOCKED(name) { { { 0 } }, NULL }
/* clang-format on */
#define DEFINE_SPINLOCK(name) spinlock_t name = __SPIN_LOCK_UNLOCKED(name)
#define DEFINE_RAW_SPINLOCK(name) DEFINE_SPINLOCK(name)

WD_BEGIN_DECLS
void spin_lock_init(spinlock_t *lock);
void spin_lock(spinlock_t *lock);
int spin_trylock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
int spin_is_locked(spinlock_t *lock);
WD_END_DECLS

#define spin_lock_irq(lock) spin_lock(lock)
#define spin_unlock_irq(lock) spin_unlock(lock)
#define spin_lock_bh(lock) spin_lock(lock)
#define spin_unlock_bh(lock) spin_unlock(lock)
#define spin_lock_nested(lock, subclass) spin_lock(lock)
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
#define raw_spin_lock_init(lock) spin_lock_init(lock)
#define raw_spin_lock(lock) spin_lock(lock)
#define raw_spin_unlock(lock) spin_unlock(lock)
#define raw_spin_lock_irqsave(lock, flags) spin_lock_irqsave(lock, flags)
#define raw_spin_unlock_irqrestore(lock, flags) spin_unlock_irqrestore(lock, flags)
#define assert_spin_locked(lock) WARN_ON(!wd_spin_held(lock))

WD_BEGIN_DECLS
void local_irq_disable(void);
void local_irq_enable(void);
void preempt_disable(void);
void preempt_enable(void);
int in_atomic(void);
WD_END_DECLS
#define local_irq_save(flags)        \
	do {                         \
		(flags) = 0;         \
		local_irq_disable(); \
	} while (0)
#define local_irq_restore(flags)    \
	do {                        \
		(void)(flags);      \
		local_irq_enable(); \
	} while (0)

#endif /* _LINUX_SPINLOCK_H */
