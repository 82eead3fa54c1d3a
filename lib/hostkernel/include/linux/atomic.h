/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_ATOMIC_H
#define _LINUX_ATOMIC_H

#include <asm/barrier.h>
#include <linux/compiler.h>
#include <linux/types.h>

/* clang-format off */
#define ATOMIC_INIT(i) { (i) }
#define ATOMIC_LONG_INIT(i) { (i) }
/* clang-format on */

/* Operations that return a value are fully ordered, the others relaxed, as in Linux. */
#define __WD_ATOMIC_OPS(prefix, atype, type)                                                     \
	static inline type prefix##_read(const atype *v)                                         \
	{                                                                                        \
		return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);                           \
	}                                                                                        \
	static inline type prefix##_read_acquire(const atype *v)                                 \
	{                                                                                        \
		return __atomic_load_n(&v->counter, __ATOMIC_ACQUIRE);                           \
	}                                                                                        \
	static inline void prefix##_set(atype *v, type i)                                        \
	{                                                                                        \
		__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);                              \
	}                                                                                        \
	static inline void prefix##_add(type i, atype *v)                                        \
	{                                                                                        \
		__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);                            \
	}                                                                                        \
	static inline void prefix##_sub(type i, atype *v)                                        \
	{                                                                                        \
		__atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED);                            \
	}                                                                                        \
	static inline void prefix##_inc(atype *v)                                                \
	{                                                                                        \
		__atomic_fetch_add(&v->counter, 1, __ATOMIC_RELAXED);                            \
	}                                                                                        \
	static inline void prefix##_dec(atype *v)                                                \
	{                                                                                        \
		__atomic_fetch_sub(&v->counter, 1, __ATOMIC_RELAXED);                            \
	}                                                                                        \
	static inline void prefix##_and(type i, atype *v)                                        \
	{                                                                                        \
		__atomic_fetch_and(&v->counter, i, __ATOMIC_RELAXED);                            \
	}                                                                                        \
	static inline type prefix##_inc_return(atype *v)                                         \
	{                                                                                        \
		return __atomic_add_fetch(&v->counter, 1, __ATOMIC_SEQ_CST);                     \
	}                                                                                        \
	static inline type prefix##_dec_return(atype *v)                                         \
	{                                                                                        \
		return __atomic_sub_fetch(&v->counter, 1, __ATOMIC_SEQ_CST);                     \
	}                                                                                        \
	static inline type prefix##_fetch_or(type i, atype *v)                                   \
	{                                                                                        \
		return __atomic_fetch_or(&v->counter, i, __ATOMIC_SEQ_CST);                      \
	}                                                                                        \
	static inline bool prefix##_dec_and_test(atype *v)                                       \
	{                                                                                        \
		return __atomic_sub_fetch(&v->counter, 1, __ATOMIC_SEQ_CST) == 0;                \
	}                                                                                        \
	static inline type prefix##_xchg(atype *v, type n)                                       \
	{                                                                                        \
		return __atomic_exchange_n(&v->counter, n, __ATOMIC_SEQ_CST);                    \
	}                                                                                        \
	static inline type prefix##_cmpxchg(atype *v, type old, type n)                          \
	{                                                                                        \
		__atomic_compare_exchange_n(&v->counter, &old, n, false, __ATOMIC_SEQ_CST,       \
					    __ATOMIC_SEQ_CST);                                   \
		return old;                                                                      \
	}                                                                                        \
	static inline bool prefix##_try_cmpxchg(atype *v, type *old, type n)                     \
	{                                                                                        \
		return __atomic_compare_exchange_n(&v->counter, old, n, false, __ATOMIC_SEQ_CST, \
						   __ATOMIC_SEQ_CST);                            \
	}                                                                                        \
	static inline bool prefix##_add_unless(atype *v, type a, type u)                         \
	{                                                                                        \
		type c = prefix##_read(v);                                                       \
		while (c != u)                                                                   \
			if (prefix##_try_cmpxchg(v, &c, c + a))                                  \
				return true;                                                     \
		return false;                                                                    \
	}                                                                                        \
	static inline bool prefix##_inc_not_zero(atype *v)                                       \
	{                                                                                        \
		return prefix##_add_unless(v, 1, 0);                                             \
	}

__WD_ATOMIC_OPS(atomic, atomic_t, int)
__WD_ATOMIC_OPS(atomic64, atomic64_t, s64)
__WD_ATOMIC_OPS(atomic_long, atomic_long_t, long)
#undef __WD_ATOMIC_OPS

#define cmpxchg(ptr, o, n)                                                                  \
	({                                                                                  \
		__typeof__(*(ptr)) __wd_old = (o);                                          \
		__atomic_compare_exchange_n((ptr), &__wd_old, (n), false, __ATOMIC_SEQ_CST, \
					    __ATOMIC_SEQ_CST);                              \
		__wd_old;                                                                   \
	})

#endif /* _LINUX_ATOMIC_H */
