/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_TIMEKEEPING_H
#define _LINUX_TIMEKEEPING_H

#include <linux/ktime.h>

WD_BEGIN_DECLS
s64 ktime_get_real_seconds(void);
s64 ktime_get_seconds(void);
WD_END_DECLS

#endif /* _LINUX_TIMEKEEPING_H */
