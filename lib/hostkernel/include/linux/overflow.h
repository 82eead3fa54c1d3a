/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_OVERFLOW_H
#define _LINUX_OVERFLOW_H

#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/types.h>

#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define check_sub_overflow(a, b, d) __builtin_sub_overflow(a, b, d)
#define check_mul_overflow(a, b, d) __builtin_mul_overflow(a, b, d)

#define check_shl_overflow(a, s, d)                                               \
	({                                                                        \
		u64 __wd_a = (a);                                                 \
		unsigned int __wd_s = (s);                                        \
		__typeof__(d) __wd_d = (d);                                       \
		bool __wd_bad = __wd_s >= 8 * sizeof(*__wd_d);                    \
		*__wd_d = __wd_bad ? 0 : (__typeof__(*__wd_d))(__wd_a << __wd_s); \
		__wd_bad || *__wd_d < 0 || (u64)*__wd_d >> __wd_s != __wd_a;      \
	})

/* Saturating at SIZE_MAX, which no allocator accepts. */
static inline size_t size_mul(size_t a, size_t b)
{
	size_t r;

	return __builtin_mul_overflow(a, b, &r) ? (size_t)-1 : r;
}

static inline size_t size_add(size_t a, size_t b)
{
	size_t r;

	return __builtin_add_overflow(a, b, &r) ? (size_t)-1 : r;
}

static inline size_t size_sub(size_t a, size_t b)
{
	size_t r;

	if (a == (size_t)-1 || b == (size_t)-1 || __builtin_sub_overflow(a, b, &r))
		return (size_t)-1;
	return r;
}

#define array_size(a, b) size_mul(a, b)
#define array3_size(a, b, c) size_mul(size_mul(a, b), c)
#define flex_array_size(p, member, count) size_mul(count, sizeof(*(p)->member))
#define struct_size(p, member, count) size_add(sizeof(*(p)), flex_array_size(p, member, count))

#endif /* _LINUX_OVERFLOW_H */
