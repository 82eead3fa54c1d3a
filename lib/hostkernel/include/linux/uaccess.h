/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User memory, always that of current->mm. An address without memory gives -EFAULT, never a crash.
 */
#ifndef _LINUX_UACCESS_H
#define _LINUX_UACCESS_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/types.h>

WD_BEGIN_DECLS
/*
 * All return the number of bytes that were not copied or cleared. If copy_from_user() fails, it
 * zeroes the rest of @to.
 */
unsigned long __must_check copy_from_user(void *to, const void __user *from, unsigned long n);
unsigned long __must_check copy_to_user(void __user *to, const void *from, unsigned long n);
unsigned long __must_check clear_user(void __user *to, unsigned long n);
/* -E2BIG if @usize is larger than @ksize and the rest of the user's struct is not zero. */
int __must_check copy_struct_from_user(void *dst, size_t ksize, const void __user *src,
				       size_t usize);
/* 1 if all bytes are zero, 0 if not, or -EFAULT. */
int check_zeroed_user(const void __user *from, size_t size);
WD_END_DECLS

#define get_user(x, ptr)                                                                         \
	({                                                                                       \
		__typeof__(*(ptr)) __wd_val;                                                     \
		int __wd_err = copy_from_user(&__wd_val, (ptr), sizeof(__wd_val)) ? -EFAULT : 0; \
		(x) = (__typeof__(x))__wd_val;                                                   \
		__wd_err;                                                                        \
	})

#endif /* _LINUX_UACCESS_H */
