/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_DELAY_H
#define _LINUX_DELAY_H

#include <linux/compiler.h>
#include <linux/jiffies.h>

WD_BEGIN_DECLS
void msleep(unsigned int ms);
unsigned long msleep_interruptible(unsigned int ms);
void usleep_range(unsigned long min_us, unsigned long max_us);
void fsleep(unsigned long us);
void ssleep(unsigned int seconds);
/* Busy waiting, allowed in atomic context. */
void ndelay(unsigned long ns);
void udelay(unsigned long us);
void mdelay(unsigned long ms);
WD_END_DECLS

#endif /* _LINUX_DELAY_H */
