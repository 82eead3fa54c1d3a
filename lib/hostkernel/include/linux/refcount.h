/* SPDX-License-Identifier: GPL-2.0-only */
/* Reference counters. Where a counter would wrap or go up from zero, it saturates and WARNs. */
#ifndef _LINUX_REFCOUNT_H
#define _LINUX_REFCOUNT_H

#include <linux/atomic.h>
#include <linux/types.h>

typedef struct {
	atomic_t refs;
} refcount_t;

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
WD_END_DECLS

#endif /* _LINUX_REFCOUNT_H */
