/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_CAPABILITY_H_HOSTED
#define _LINUX_CAPABILITY_H_HOSTED

#include_next <linux/capability.h>
#include <linux/types.h>

WD_BEGIN_DECLS
bool capable(int cap);
WD_END_DECLS

#endif /* _LINUX_CAPABILITY_H_HOSTED */
