/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters that saturate and WARN instead of wrapping or coming back from zero. */
#ifndef _LINUX_REFCOUNT_H
#define _LINUX_REFCOUNT_H

#include <linux/atomic.h>
#include <linux/types.h>

struct mutex;
struct spinlock;

typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

/* clang-format off */
#define REFCOUNT_INIT(n) { .refs = ATOMIC_INIT(n) }
/* clang-format on */
#define REFCOUNT_SATURATED (-0x40000000)

static inline void refcount_set(refcount_t *r, int n)
{
	atomic_set(&r->refs, n);
}

static inline unsigned int refcount_read(const refcount_t *r)
{
	return (unsigned int)atomic_read(&r->refs);
}

WD_BEGIN_DECLS
void refcount_add(int i, refcount_t *r);
void refcount_inc(refcount_t *r);
__must_check bool refcount_add_not_zero(int i, refcount_t *r);
__must_check bool refcount_inc_not_zero(refcount_t *r);
__must_check bool refcount_sub_and_test(int i, refcount_t *r);
__must_check bool refcount_dec_and_test(refcount_t *r);
void refcount_dec(refcount_t *r);
__must_check bool refcount_dec_if_one(refcount_t *r);
__must_check bool refcount_dec_not_one(refcount_t *r);
__must_check bool refcount_dec_and_mutex_lock(refcount_t *r, struct mutex *lock);
__must_check bool refcount_dec_and_lock(refcount_t *r, struct spinlock *lock);
WD_END_DECLS

#endif /* _LINUX_REFCOUNT_H */
