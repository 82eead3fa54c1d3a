/* SPDX-License-Identifier: GPL-2.0-only */
/* The lock of a dma-buf. The kernel's holds fences too, which no code here uses. */
#ifndef _LINUX_DMA_RESV_H
#define _LINUX_DMA_RESV_H

#include <linux/lockdep.h>
#include <linux/mutex.h>

struct ww_acquire_ctx;

struct dma_resv {
	struct mutex lock;
};

/* Return: 0. It fails only with a context, and no code here has one. */
static inline int dma_resv_lock(struct dma_resv *resv, struct ww_acquire_ctx *context)
{
	mutex_lock(&resv->lock);
	return 0;
}

static inline void dma_resv_unlock(struct dma_resv *resv)
{
	mutex_unlock(&resv->lock);
}

#define dma_resv_assert_held(resv) lockdep_assert_held(&(resv)->lock)

#endif /* _LINUX_DMA_RESV_H */
