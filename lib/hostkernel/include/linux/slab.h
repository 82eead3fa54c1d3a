/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel counts every allocation: one that is left at shutdown is a leak. It poisons freed
 * memory.
 */
#ifndef _LINUX_SLAB_H
#define _LINUX_SLAB_H

#include <linux/gfp.h>
#include <linux/overflow.h>
#include <linux/types.h>

#define ARCH_KMALLOC_MINALIGN 16
#define KMALLOC_MAX_SIZE (4UL << 20)
#define ZERO_SIZE_PTR ((void *)16)
#define ZERO_OR_NULL_PTR(x) ((unsigned long)(x) <= (unsigned long)ZERO_SIZE_PTR)

WD_BEGIN_DECLS
/*
 * NULL above KMALLOC_MAX_SIZE: use kvmalloc() there. Sizes that are powers of two from 64 to 4096
 * are aligned to their size.
 */
__must_check void *__kmalloc(size_t size, gfp_t flags);
void kfree(const void *p);
void kfree_sensitive(const void *p);
size_t ksize(const void *p);
__must_check void *kvmalloc(size_t size, gfp_t flags);
void kvfree(const void *p);
WD_END_DECLS

static inline void *kmalloc(size_t size, gfp_t flags)
{
	return __kmalloc(size, flags);
}

static inline void *kzalloc(size_t size, gfp_t flags)
{
	return __kmalloc(size, flags | __GFP_ZERO);
}

static inline void *kmalloc_array(size_t n, size_t size, gfp_t flags)
{
	return __kmalloc(size_mul(n, size), flags);
}

static inline void *kcalloc(size_t n, size_t size, gfp_t flags)
{
	return __kmalloc(size_mul(n, size), flags | __GFP_ZERO);
}

static inline void *kvzalloc(size_t size, gfp_t flags)
{
	return kvmalloc(size, flags | __GFP_ZERO);
}

static inline void *kvmalloc_array(size_t n, size_t size, gfp_t flags)
{
	return kvmalloc(size_mul(n, size), flags);
}

static inline void *kvcalloc(size_t n, size_t size, gfp_t flags)
{
	return kvmalloc(size_mul(n, size), flags | __GFP_ZERO);
}

#endif /* _LINUX_SLAB_H */
