/* SPDX-License-Identifier: GPL-2.0-only */
/* The hosted kernel has no softirqs. Code with bottom halves off is in atomic context, no more. */
#ifndef _LINUX_BOTTOM_HALF_H
#define _LINUX_BOTTOM_HALF_H

#include <linux/spinlock.h>

static inline void local_bh_disable(void)
{
	preempt_disable();
}

static inline void local_bh_enable(void)
{
	preempt_enable();
}

#endif /* _LINUX_BOTTOM_HALF_H */
