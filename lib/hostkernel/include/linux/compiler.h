/* SPDX-License-Identifier: GPL-2.0-only */
/* Compiler attributes and single accesses. In C++, names that the standard library uses are left
 * out. */
#ifndef _LINUX_COMPILER_H
#define _LINUX_COMPILER_H

#include <stdbool.h>
#include <stddef.h>

#define __user
#define __kernel
#define __iomem
#define __rcu
#define __percpu
#define __force
#define __private
#define __must_hold(x)
#define __acquires(x)
#define __releases(x)
#define __acquire(x) (void)0
#define __release(x) (void)0

#define __must_check __attribute__((warn_unused_result))
#define __maybe_unused __attribute__((unused))
#define __always_unused __attribute__((unused))
#define __printf(a, b) __attribute__((format(printf, a, b)))
#ifndef __cplusplus
#define __packed __attribute__((packed))
#define __aligned(x) __attribute__((aligned(x)))
#define __used __attribute__((used))
#define __weak __attribute__((weak))
#define __cold __attribute__((cold))
#define __noreturn __attribute__((noreturn))
#define __malloc __attribute__((malloc))
#define __pure __attribute__((pure))
#define noinline __attribute__((noinline))
#define fallthrough __attribute__((fallthrough))
#define ____cacheline_aligned __attribute__((aligned(64)))
#define ____cacheline_aligned_in_smp __attribute__((aligned(64)))
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
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
#define data_race(x) (x)

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
