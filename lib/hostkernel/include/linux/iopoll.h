/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_IOPOLL_H
#define _LINUX_IOPOLL_H

#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/ktime.h>

#define __wd_poll_timeout(op, val, cond, pause, timeout_us, before, args...)    \
	({                                                                      \
		u64 __wd_limit = (timeout_us);                                  \
		ktime_t __wd_end = ktime_add_us(ktime_get(), __wd_limit);       \
		before;                                                         \
		for (;;) {                                                      \
			(val) = op(args);                                       \
			if (cond)                                               \
				break;                                          \
			if (__wd_limit && ktime_after(ktime_get(), __wd_end)) { \
				(val) = op(args);                               \
				break;                                          \
			}                                                       \
			pause;                                                  \
			cpu_relax();                                            \
		}                                                               \
		(cond) ? 0 : -ETIMEDOUT;                                        \
	})

static inline void wd_poll_sleep(unsigned long us)
{
	if (us)
		usleep_range((us >> 2) + 1, us);
}

#define read_poll_timeout(op, val, cond, sleep_us, timeout_us, sleep_before_read, args...) \
	({                                                                                 \
		might_sleep_if((sleep_us) != 0);                                           \
		__wd_poll_timeout(op, val, cond, wd_poll_sleep(sleep_us), timeout_us,      \
				  if (sleep_before_read) wd_poll_sleep(sleep_us), args);   \
	})
#define read_poll_timeout_atomic(op, val, cond, delay_us, timeout_us, delay_before_read, args...) \
	__wd_poll_timeout(op, val, cond, udelay(delay_us), timeout_us,                            \
			  if (delay_before_read) udelay(delay_us), args)
#define readx_poll_timeout(op, addr, val, cond, sleep_us, timeout_us) \
	read_poll_timeout(op, val, cond, sleep_us, timeout_us, false, addr)
#define readx_poll_timeout_atomic(op, addr, val, cond, delay_us, timeout_us) \
	read_poll_timeout_atomic(op, val, cond, delay_us, timeout_us, false, addr)
#define readl_poll_timeout(addr, val, cond, sleep_us, timeout_us) \
	readx_poll_timeout(readl, addr, val, cond, sleep_us, timeout_us)
#define readl_relaxed_poll_timeout(addr, val, cond, sleep_us, timeout_us) \
	readx_poll_timeout(readl_relaxed, addr, val, cond, sleep_us, timeout_us)
#define readl_poll_timeout_atomic(addr, val, cond, delay_us, timeout_us) \
	readx_poll_timeout_atomic(readl, addr, val, cond, delay_us, timeout_us)
#define readq_poll_timeout(addr, val, cond, sleep_us, timeout_us) \
	readx_poll_timeout(readq, addr, val, cond, sleep_us, timeout_us)

#endif /* _LINUX_IOPOLL_H */
