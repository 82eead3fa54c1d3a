/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_RANDOM_H_HOSTED
#define _LINUX_RANDOM_H_HOSTED

#include <linux/compiler.h>
#include <linux/types.h>

WD_BEGIN_DECLS
void get_random_bytes(void *buf, size_t len);
u64 get_random_u64(void);
WD_END_DECLS

#endif /* _LINUX_RANDOM_H_HOSTED */
