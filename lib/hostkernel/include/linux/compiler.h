/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compiler attributes and single accesses. C++ code does not get the names that its standard
 * library uses.
 */
#ifndef _LINUX_COMPILER_H
#define _LINUX_COMPILER_H

#include <stdbool.h>
#include <stddef.h>

#define __user
#define __iomem
#define __rcu

#define __must_check __attribute__((warn_unused_result))
#define __printf(a, b) __attribute__((format(printf, a, b)))
#ifndef __cplusplus
#define noinline __attribute__((noinline))
#ifndef typeof
#define typeof __typeof__
#endif
#ifndef asm
#define asm __asm__
#endif
#endif /* !__cplusplus */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ __volatile__("" : : : "memory")
#define unreachable() __builtin_unreachable()
#define __same_type(a, b) __builtin_types_compatible_p(__typeof__(a), __typeof__(b))

/* Relaxed atomics rather than volatile, so that a race detector knows them as intended. */
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

#ifndef __cplusplus
#define static_assert(expr, ...) _Static_assert(expr, "" __VA_ARGS__)
#endif

#ifdef __cplusplus
#define WD_BEGIN_DECLS extern "C" {
#define WD_END_DECLS }
#else
#define WD_BEGIN_DECLS
#define WD_END_DECLS
#endif

#endif /* _LINUX_COMPILER_H */
