/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KTIME_H
#define _LINUX_KTIME_H

#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/time64.h>
#include <linux/types.h>

WD_BEGIN_DECLS
u64 ktime_get_ns(void);
WD_END_DECLS

#endif /* _LINUX_KTIME_H */
