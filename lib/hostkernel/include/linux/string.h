/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_STRING_H_HOSTED
#define _LINUX_STRING_H_HOSTED

#include <linux/compiler.h>
#include <linux/types.h>
#include <string.h>

WD_BEGIN_DECLS
/* Length copied, or -E2BIG if truncated; always terminated. */
ssize_t strscpy(char *dst, const char *src, size_t size);
ssize_t strscpy_pad(char *dst, const char *src, size_t size);
char *kstrdup(const char *s, gfp_t gfp);
const char *kstrdup_const(const char *s, gfp_t gfp);
void kfree_const(const void *p);
char *kstrndup(const char *s, size_t max, gfp_t gfp);
void *kmemdup(const void *src, size_t len, gfp_t gfp);
char *kmemdup_nul(const char *s, size_t len, gfp_t gfp);
void *memdup_user(const void __user *src, size_t len);
void *vmemdup_user(const void __user *src, size_t len);
void *memdup_user_nul(const void __user *src, size_t len);
char *strndup_user(const char __user *s, long n);
void *memchr_inv(const void *s, int c, size_t n);
bool sysfs_streq(const char *a, const char *b);
int match_string(const char *const *array, size_t n, const char *string);
int __sysfs_match_string(const char *const *array, size_t n, const char *string);
char *strim(char *s);
char *skip_spaces(const char *s);
char *strreplace(char *s, char old_char, char new_char);
WD_END_DECLS

#ifndef __cplusplus
#define strstrip(s) strim(s)
#define sysfs_match_string(a, s) __sysfs_match_string(a, ARRAY_SIZE(a), s)
size_t wd_strlcpy(char *dst, const char *src, size_t size);
#define strlcpy(dst, src, size) wd_strlcpy(dst, src, size)
#endif

#define memset_after(obj, v, member)                                       \
	memset((char *)(obj) + offsetofend(__typeof__(*(obj)), member), v, \
	       sizeof(*(obj)) - offsetofend(__typeof__(*(obj)), member))

static inline bool strstarts(const char *str, const char *prefix)
{
	return strncmp(str, prefix, strlen(prefix)) == 0;
}

static inline void memzero_explicit(void *s, size_t n)
{
	memset(s, 0, n);
	__asm__ __volatile__("" : : "r"(s) : "memory");
}

#endif /* _LINUX_STRING_H_HOSTED */
