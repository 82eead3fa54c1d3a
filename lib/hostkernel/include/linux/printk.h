/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines go to the log of the hosted kernel. With WD_LOG=<level 0..7> in the environment they also
 * go to stderr.
 */
#ifndef _LINUX_PRINTK_H
#define _LINUX_PRINTK_H

#include <linux/compiler.h>
#include <stdarg.h>

#define KERN_SOH "\001"
#define KERN_EMERG KERN_SOH "0"
#define KERN_ALERT KERN_SOH "1"
#define KERN_CRIT KERN_SOH "2"
#define KERN_ERR KERN_SOH "3"
#define KERN_WARNING KERN_SOH "4"
#define KERN_NOTICE KERN_SOH "5"
#define KERN_INFO KERN_SOH "6"
#define KERN_DEBUG KERN_SOH "7"
#define KERN_CONT KERN_SOH "c"

WD_BEGIN_DECLS
__printf(1, 2) int _printk(const char *fmt, ...);
__printf(1, 0) int vprintk(const char *fmt, va_list args);
/* Whether a line may be printed: 10 lines in each 5 seconds. Each call site has its own @state. */
struct wd_ratelimit {
	unsigned long long begin_ns;
	unsigned int printed;
};
bool wd_ratelimit(struct wd_ratelimit *state);
void dump_stack(void);
WD_END_DECLS

#ifndef pr_fmt
#define pr_fmt(fmt) fmt
#endif
#define printk(fmt, ...) _printk(fmt, ##__VA_ARGS__)
#define pr_err(fmt, ...) printk(KERN_ERR pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...) printk(KERN_WARNING pr_fmt(fmt), ##__VA_ARGS__)

#define wd_ratelimited(call)                        \
	do {                                        \
		static struct wd_ratelimit __wd_rs; \
		if (wd_ratelimit(&__wd_rs))         \
			call;                       \
	} while (0)
#define wd_only_once(call)                                                    \
	do {                                                                  \
		static bool __wd_done;                                        \
		if (!__atomic_exchange_n(&__wd_done, true, __ATOMIC_RELAXED)) \
			call;                                                 \
	} while (0)
#define pr_warn_once(fmt, ...) wd_only_once(pr_warn(fmt, ##__VA_ARGS__))

#endif /* _LINUX_PRINTK_H */
