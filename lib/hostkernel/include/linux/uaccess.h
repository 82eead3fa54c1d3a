/* SPDX-License-Identifier: GPL-2.0-only */
/* User memory, only through current->mm: an address without memory is -EFAULT, never a crash. */
#ifndef _LINUX_UACCESS_H
#define _LINUX_UACCESS_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/types.h>

WD_BEGIN_DECLS
/* Bytes that could not be copied; the rest of the destination of a failed read is zeroed. */
unsigned long __must_check copy_from_user(void *to, const void __user *from, unsigned long n);
unsigned long __must_check copy_to_user(void __user *to, const void *from, unsigned long n);
unsigned long __must_check clear_user(void __user *to, unsigned long n);
/* -E2BIG if the user's struct is longer than ours and the rest is not zero. */
int __must_check copy_struct_from_user(void *dst, size_t ksize, const void __user *src,
				       size_t usize);
/* 1: all zero, 0: not, -EFAULT */
int check_zeroed_user(const void __user *from, size_t size);
long __must_check strncpy_from_user(char *dst, const char __user *src, long count);
long __must_check strnlen_user(const char __user *str, long n);
bool wd_access_ok(const void __user *addr, unsigned long size);
WD_END_DECLS

#define access_ok(addr, size) wd_access_ok((const void __user *)(addr), size)
#define __copy_from_user(to, from, n) copy_from_user(to, from, n)
#define __copy_to_user(to, from, n) copy_to_user(to, from, n)
#define get_user(x, ptr)                                                                         \
	({                                                                                       \
		__typeof__(*(ptr)) __wd_val;                                                     \
		int __wd_err = copy_from_user(&__wd_val, (ptr), sizeof(__wd_val)) ? -EFAULT : 0; \
		(x) = (__typeof__(x))__wd_val;                                                   \
		__wd_err;                                                                        \
	})
#define put_user(x, ptr)                                                        \
	({                                                                      \
		__typeof__(*(ptr)) __wd_val = (x);                              \
		copy_to_user((ptr), &__wd_val, sizeof(__wd_val)) ? -EFAULT : 0; \
	})
#define __get_user(x, ptr) get_user(x, ptr)
#define __put_user(x, ptr) put_user(x, ptr)

#endif /* _LINUX_UACCESS_H */
