/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In the hosted kernel threads of this process do the DMA, so dma_* barriers are barriers between
 * threads.
 */
#ifndef _ASM_BARRIER_H_HOSTED
#define _ASM_BARRIER_H_HOSTED

#include <linux/compiler.h>

#if defined(__x86_64__)
/*
 * Race detectors refuse the compiler's fence, so this is assembly. Processors with TSO need an
 * instruction only for mb().
 */
#define mb() __asm__ __volatile__("lock; addl $0,-4(%%rsp)" : : : "memory", "cc")
#define rmb() barrier()
#define wmb() barrier()
#else
#define mb() __sync_synchronize()
#define rmb() __sync_synchronize()
#define wmb() __sync_synchronize()
#endif
#define smp_mb() mb()
#define smp_wmb() wmb()
#define dma_rmb() rmb()
#define dma_wmb() wmb()
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#else
#define cpu_relax() barrier()
#endif

#endif /* _ASM_BARRIER_H_HOSTED */
