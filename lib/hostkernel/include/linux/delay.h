/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_DELAY_H
#define _LINUX_DELAY_H

#include <linux/compiler.h>
#include <linux/jiffies.h>

WD_BEGIN_DECLS
void msleep(unsigned int ms);
void usleep_range(unsigned long min_us, unsigned long max_us);
/* Busy waiting, allowed in atomic context. */
WD_END_DECLS

#endif /* _LINUX_DELAY_H */
