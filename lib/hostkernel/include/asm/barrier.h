/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads of this process do DMA, so dma_* barriers are barriers between threads. */
#ifndef _ASM_BARRIER_H_HOSTED
#define _ASM_BARRIER_H_HOSTED

#include <linux/compiler.h>

#if defined(__x86_64__)
/* Not the compiler's fence: race detectors refuse it. TSO needs an instruction for mb() only. */
#define mb() __asm__ __volatile__("lock; addl $0,-4(%%rsp)" : : : "memory", "cc")
#define rmb() barrier()
#define wmb() barrier()
#else
#define mb() __sync_synchronize()
#define rmb() __sync_synchronize()
#define wmb() __sync_synchronize()
#endif
#define smp_mb() mb()
#define smp_rmb() rmb()
#define smp_wmb() wmb()
#define dma_rmb() rmb()
#define dma_wmb() wmb()
#define smp_mb__before_atomic() mb()
#define smp_mb__after_atomic() mb()
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_store_mb(var, value) __atomic_store_n(&(var), value, __ATOMIC_SEQ_CST)

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#else
#define cpu_relax() barrier()
#endif

#endif /* _ASM_BARRIER_H_HOSTED */
