/* SPDX-License-Identifier: GPL-2.0-only */
/* WARN logs. With WD_WARN=abort in the environment (tests set it), it also aborts the process. */
#ifndef _LINUX_BUG_H
#define _LINUX_BUG_H

#include <linux/build_bug.h>
#include <linux/compiler.h>

WD_BEGIN_DECLS
void wd_bug(const char *file, int line) __attribute__((noreturn, cold));
__printf(3, 4) void wd_warn(const char *file, int line, const char *fmt, ...) __attribute__((cold));
WD_END_DECLS

#define BUG() wd_bug(__FILE__, __LINE__)
#define BUG_ON(cond)                \
	do {                        \
		if (unlikely(cond)) \
			BUG();      \
	} while (0)
#define WARN(cond, fmt...)                                \
	({                                                \
		bool __wd_bad = !!(cond);                 \
		if (unlikely(__wd_bad))                   \
			wd_warn(__FILE__, __LINE__, fmt); \
		unlikely(__wd_bad);                       \
	})
#define WARN_ON(cond) WARN(cond, "%s", #cond)
#define WARN_ONCE(cond, fmt...)                                               \
	({                                                                    \
		static bool __wd_once;                                        \
		bool __wd_bad1 = !!(cond);                                    \
		if (unlikely(__wd_bad1) &&                                    \
		    !__atomic_exchange_n(&__wd_once, true, __ATOMIC_RELAXED)) \
			wd_warn(__FILE__, __LINE__, fmt);                     \
		unlikely(__wd_bad1);                                          \
	})
#define WARN_ON_ONCE(cond) WARN_ONCE(cond, "%s", #cond)

#endif /* _LINUX_BUG_H */
