/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Each evaluates its arguments once. C only, since in C++ the names belong to the standard library.
 */
#ifndef _LINUX_MINMAX_H
#define _LINUX_MINMAX_H

#ifndef __cplusplus
#define __wd_select(x, op, y)                       \
	({                                          \
		__auto_type __wd_x = (x);           \
		__auto_type __wd_y = (y);           \
		(void)(&__wd_x == &__wd_y);         \
		__wd_x op __wd_y ? __wd_x : __wd_y; \
	})
#define min(x, y) __wd_select(x, <, y)
#define max(x, y) __wd_select(x, >, y)
#define __wd_select_t(type, x, op, y)               \
	({                                          \
		type __wd_x = (x);                  \
		type __wd_y = (y);                  \
		__wd_x op __wd_y ? __wd_x : __wd_y; \
	})
#define min_t(type, x, y) __wd_select_t(type, x, <, y)
#define max_t(type, x, y) __wd_select_t(type, x, >, y)
#define min3(x, y, z)                           \
	({                                      \
		__auto_type __wd_m = min(x, y); \
		min(__wd_m, z);                 \
	})
#define swap(a, b)                            \
	do {                                  \
		__typeof__(a) __wd_tmp = (a); \
		(a) = (b);                    \
		(b) = __wd_tmp;               \
	} while (0)
#endif

#endif /* _LINUX_MINMAX_H */
