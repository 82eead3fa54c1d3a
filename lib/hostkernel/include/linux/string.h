/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_STRING_H_HOSTED
#define _LINUX_STRING_H_HOSTED

#include <linux/compiler.h>
#include <linux/types.h>
#include <string.h>

WD_BEGIN_DECLS
/* Returns the length copied, or -E2BIG if it was cut. The result always ends with a 0. */
char *kstrdup(const char *s, gfp_t gfp);
char *kmemdup_nul(const char *s, size_t len, gfp_t gfp);
void *memdup_user(const void __user *src, size_t len);
/* A copy of a string of at most @n bytes with its end; ERR_PTR: -EFAULT, -EINVAL longer, -ENOMEM. */
char *strndup_user(const char __user *src, long n);
void *memchr_inv(const void *s, int c, size_t n);
bool sysfs_streq(const char *a, const char *b);
int __sysfs_match_string(const char *const *array, size_t n, const char *string);
char *strreplace(char *s, char old_char, char new_char);
WD_END_DECLS

#ifndef __cplusplus
#define sysfs_match_string(a, s) __sysfs_match_string(a, ARRAY_SIZE(a), s)
#endif

static inline void memzero_explicit(void *s, size_t n)
{
	memset(s, 0, n);
	__asm__ __volatile__("" : : "r"(s) : "memory");
}

#endif /* _LINUX_STRING_H_HOSTED */
