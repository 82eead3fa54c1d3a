/* SPDX-License-Identifier: GPL-2.0-only */
/* One jiffy is a millisecond (HZ = 1000). */
#ifndef _LINUX_JIFFIES_H
#define _LINUX_JIFFIES_H

#include <linux/limits.h>
#include <linux/time64.h>
#include <linux/types.h>

#define HZ 1000
#define MAX_JIFFY_OFFSET ((~0UL >> 1) - 1)

WD_BEGIN_DECLS
unsigned long wd_jiffies(void);
WD_END_DECLS
#ifndef __cplusplus
#define jiffies wd_jiffies()
#endif

static inline unsigned long msecs_to_jiffies(unsigned int ms)
{
	return (int)ms < 0 ? MAX_JIFFY_OFFSET : ms;
}

#define time_after(a, b) ((long)((b) - (a)) < 0)

#endif /* _LINUX_JIFFIES_H */
