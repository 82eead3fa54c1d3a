/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_LIMITS_H_HOSTED
#define _LINUX_LIMITS_H_HOSTED

#include_next <linux/limits.h>

#ifndef U8_MAX
#define U8_MAX ((unsigned char)~0)
#define U16_MAX ((unsigned short)~0)
#define U32_MAX (~0U)
#define U64_MAX (~0ULL)
#define PHYS_ADDR_MAX (~0ULL)
#endif

/*
 * C++ code takes the limits from the compiler. For C they are here, so that they do not depend on
 * the order of headers.
 */
#ifdef __cplusplus
#include <limits.h>
#else
#ifndef INT_MAX
#define INT_MAX ((int)(~0U >> 1))
#define UINT_MAX (~0U)
#define LONG_MAX ((long)(~0UL >> 1))
#define ULONG_MAX (~0UL)
#define LLONG_MAX ((long long)(~0ULL >> 1))
#define ULLONG_MAX (~0ULL)
#define USHRT_MAX ((unsigned short)~0)
#endif
#ifndef SIZE_MAX
#define SIZE_MAX (~(size_t)0)
#endif
#ifndef SSIZE_MAX
#define SSIZE_MAX ((ssize_t)(SIZE_MAX >> 1))
#endif
#endif

#endif /* _LINUX_LIMITS_H_HOSTED */
