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
#include <linux/kconfig.h>
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
#define upper_16_bits(n) ((u16)((n) >> 16))
#define lower_16_bits(n) ((u16)((n)&0xffff))
#ifndef __stringify
#define __stringify_1(x...) #x
#define __stringify(x...) __stringify_1(x)
#endif
#define u64_to_user_ptr(x) ((void __user *)(uintptr_t)(x))
#define PTR_IF(cond, ptr) ((cond) ? (ptr) : NULL)
#define _RET_IP_ ((unsigned long)__builtin_return_address(0))
#define USHORT_CMP_GE(a, b) (USHRT_MAX / 2 >= (unsigned short)((a) - (b)))

WD_BEGIN_DECLS

/* Aborts when the calling thread holds a spinlock or is in an RCU read section. */
void wd_might_sleep(const char *file, int line);
#define might_sleep() wd_might_sleep(__FILE__, __LINE__)
#define might_sleep_if(cond)           \
	do {                           \
		if (cond)              \
			might_sleep(); \
	} while (0)
#define might_fault() \
	do {          \
	} while (0)
#define cond_resched()         \
	({                     \
		might_sleep(); \
		0;             \
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
#define sprintf(buf, ...) wd_snprintf(buf, INT_MAX, __VA_ARGS__)
int sscanf(const char *buf, const char *fmt, ...) __attribute__((format(scanf, 2, 3)));
#endif

int kstrtoull(const char *s, unsigned int base, unsigned long long *res);
int kstrtoll(const char *s, unsigned int base, long long *res);
int kstrtoul(const char *s, unsigned int base, unsigned long *res);
int kstrtol(const char *s, unsigned int base, long *res);
int kstrtouint(const char *s, unsigned int base, unsigned int *res);
int kstrtoint(const char *s, unsigned int base, int *res);
int kstrtou64(const char *s, unsigned int base, u64 *res);
int kstrtou32(const char *s, unsigned int base, u32 *res);
int kstrtou16(const char *s, unsigned int base, u16 *res);
int kstrtou8(const char *s, unsigned int base, u8 *res);
int kstrtobool(const char *s, bool *res);

int num_online_cpus(void);
int raw_smp_processor_id(void);
#define smp_processor_id() raw_smp_processor_id()

WD_END_DECLS

#include <linux/bug.h>

#endif /* _LINUX_KERNEL_H_HOSTED */
