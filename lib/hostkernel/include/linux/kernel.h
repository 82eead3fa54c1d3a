/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KERNEL_H_HOSTED
#define _LINUX_KERNEL_H_HOSTED

#include <asm/barrier.h>
#include <asm/byteorder.h>
#include <linux/align.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <stdarg.h>

#define ARRAY_SIZE(arr) (sizeof(arr) / sizeof((arr)[0]))
#define upper_32_bits(n) ((u32)(((n) >> 16) >> 16))
#define lower_32_bits(n) ((u32)((n)&0xffffffff))
#ifndef __stringify
#define __stringify_1(x...) #x
#define __stringify(x...) __stringify_1(x)
#endif
#define u64_to_user_ptr(x) ((void __user *)(uintptr_t)(x))

WD_BEGIN_DECLS

/* Aborts if the calling thread holds a spinlock or is in an RCU read section. */
void wd_might_sleep(const char *file, int line);
#define might_sleep() wd_might_sleep(__FILE__, __LINE__)
/* Counts the call, for tests (takeThreadWork() in hostkernel/kernel.h). */
void wd_cond_resched(void);
#define cond_resched()             \
	({                         \
		might_sleep();     \
		wd_cond_resched(); \
		0;                 \
	})

__printf(3, 0) int wd_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
__printf(3, 4) int wd_snprintf(char *buf, size_t size, const char *fmt, ...);
__printf(3, 4) int scnprintf(char *buf, size_t size, const char *fmt, ...);
__printf(3, 0) int vscnprintf(char *buf, size_t size, const char *fmt, va_list args);
__printf(2, 3) char *kasprintf(gfp_t gfp, const char *fmt, ...);
__printf(2, 0) char *kvasprintf(gfp_t gfp, const char *fmt, va_list args);
#ifndef __cplusplus
/* The kernel's own format letters (%pe, %pad, %pK ...) work. */
#define snprintf wd_snprintf
#define vsnprintf wd_vsnprintf
int sscanf(const char *buf, const char *fmt, ...) __attribute__((format(scanf, 2, 3)));
#endif

int kstrtoull(const char *s, unsigned int base, unsigned long long *res);
int kstrtoll(const char *s, unsigned int base, long long *res);
int kstrtouint(const char *s, unsigned int base, unsigned int *res);
int kstrtoint(const char *s, unsigned int base, int *res);
int kstrtobool(const char *s, bool *res);

int raw_smp_processor_id(void);

WD_END_DECLS

#include <linux/bug.h>

#endif /* _LINUX_KERNEL_H_HOSTED */
