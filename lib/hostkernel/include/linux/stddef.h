/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_STDDEF_H_HOSTED
#define _LINUX_STDDEF_H_HOSTED

#include_next <linux/stddef.h>
#include <stddef.h>

#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define offsetofend(type, member) (offsetof(type, member) + sizeof_field(type, member))

#endif /* _LINUX_STDDEF_H_HOSTED */
