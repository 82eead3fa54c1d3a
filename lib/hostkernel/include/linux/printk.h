/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines go to the log of the hosted kernel; environment WD_LOG=<level 0..7> shows them on stderr.
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
#define KERN_DEFAULT ""
#define KERN_CONT KERN_SOH "c"

WD_BEGIN_DECLS
__printf(1, 2) int _printk(const char *fmt, ...);
__printf(1, 0) int vprintk(const char *fmt, va_list args);
/* At most 10 lines each 5 seconds pass; @state is private to the call site. */
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
#define no_printk(fmt, ...)                          \
	({                                           \
		if (0)                               \
			_printk(fmt, ##__VA_ARGS__); \
		0;                                   \
	})
#define pr_emerg(fmt, ...) printk(KERN_EMERG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_crit(fmt, ...) printk(KERN_CRIT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_err(fmt, ...) printk(KERN_ERR pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...) printk(KERN_WARNING pr_fmt(fmt), ##__VA_ARGS__)
#define pr_notice(fmt, ...) printk(KERN_NOTICE pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info(fmt, ...) printk(KERN_INFO pr_fmt(fmt), ##__VA_ARGS__)
#define pr_cont(fmt, ...) printk(KERN_CONT fmt, ##__VA_ARGS__)
#define pr_debug(fmt, ...) no_printk(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_devel(fmt, ...) no_printk(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)

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
#define pr_err_ratelimited(fmt, ...) wd_ratelimited(pr_err(fmt, ##__VA_ARGS__))
#define pr_warn_ratelimited(fmt, ...) wd_ratelimited(pr_warn(fmt, ##__VA_ARGS__))
#define pr_info_ratelimited(fmt, ...) wd_ratelimited(pr_info(fmt, ##__VA_ARGS__))
#define pr_err_once(fmt, ...) wd_only_once(pr_err(fmt, ##__VA_ARGS__))
#define pr_warn_once(fmt, ...) wd_only_once(pr_warn(fmt, ##__VA_ARGS__))
#define pr_info_once(fmt, ...) wd_only_once(pr_info(fmt, ##__VA_ARGS__))

#endif /* _LINUX_PRINTK_H */
