/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel types, on top of the system's uapi types. The C library includes this file too (<signal.h>
 * does), so it defines no macro that would disturb a program. dev_t is as wide as in the C library.
 */
#ifndef _LINUX_TYPES_H_HOSTED
#define _LINUX_TYPES_H_HOSTED

#include <linux/compiler.h>
#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

typedef long ssize_t;
typedef long off_t;
typedef long loff_t;
typedef int pid_t;
typedef unsigned int uid_t;
typedef unsigned int gid_t;
typedef unsigned long dev_t;
typedef unsigned short umode_t;
typedef unsigned int gfp_t;
typedef unsigned int fmode_t;
typedef u64 phys_addr_t;
typedef u64 dma_addr_t;
typedef phys_addr_t resource_size_t;

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

typedef struct {
	long counter;
} atomic_long_t;

struct list_head {
	struct list_head *next, *prev;
};

struct callback_head {
	struct callback_head *next;
	void (*func)(struct callback_head *head);
};
#define rcu_head callback_head

#ifndef BITS_PER_LONG
#define BITS_PER_LONG 64
#endif
#define BITS_TO_LONGS(nr) (((nr) + BITS_PER_LONG - 1) / BITS_PER_LONG)

#endif /* _LINUX_TYPES_H_HOSTED */
