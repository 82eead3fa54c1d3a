/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_BITOPS_H
#define _LINUX_BITOPS_H

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/types.h>

#define __WD_WORD(addr, nr) (((unsigned long *)(addr)) + (nr) / BITS_PER_LONG)

static inline void __set_bit(long nr, volatile unsigned long *addr)
{
	*__WD_WORD(addr, nr) |= BIT_MASK(nr);
}

static inline void __clear_bit(long nr, volatile unsigned long *addr)
{
	*__WD_WORD(addr, nr) &= ~BIT_MASK(nr);
}

static inline bool test_bit(long nr, const volatile unsigned long *addr)
{
	return *__WD_WORD(addr, nr) & BIT_MASK(nr);
}

static inline void set_bit(long nr, volatile unsigned long *addr)
{
	__atomic_or_fetch(__WD_WORD(addr, nr), BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void clear_bit(long nr, volatile unsigned long *addr)
{
	__atomic_and_fetch(__WD_WORD(addr, nr), ~BIT_MASK(nr), __ATOMIC_RELAXED);
}

/* Undefined for 0, as in Linux. */
static inline unsigned int hweight32(unsigned int word)
{
	return (unsigned int)__builtin_popcount(word);
}

static inline unsigned long __ffs(unsigned long word)
{
	return (unsigned long)__builtin_ctzl(word);
}

static inline unsigned long __fls(unsigned long word)
{
	return 63 - (unsigned long)__builtin_clzl(word);
}

static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

WD_BEGIN_DECLS
unsigned long find_first_zero_bit(const unsigned long *addr, unsigned long size);
WD_END_DECLS

#endif /* _LINUX_BITOPS_H */
