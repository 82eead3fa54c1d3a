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
#define get_jiffies_64() ((u64)wd_jiffies())

static inline unsigned long msecs_to_jiffies(unsigned int ms)
{
	return (int)ms < 0 ? MAX_JIFFY_OFFSET : ms;
}

static inline unsigned long usecs_to_jiffies(unsigned int us)
{
	return ((unsigned long)us + 999) / 1000;
}

static inline unsigned long nsecs_to_jiffies(u64 ns)
{
	return (unsigned long)(ns / 1000000);
}

static inline unsigned int jiffies_to_msecs(unsigned long j)
{
	return (unsigned int)j;
}

static inline unsigned int jiffies_to_usecs(unsigned long j)
{
	return (unsigned int)(j * 1000);
}

#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define time_before_eq(a, b) time_after_eq(b, a)
#define time_is_before_jiffies(a) time_after(jiffies, a)
#define time_is_after_jiffies(a) time_before(jiffies, a)

#endif /* _LINUX_JIFFIES_H */
