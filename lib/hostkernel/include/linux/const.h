/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_CONST_H_HOSTED
#define _LINUX_CONST_H_HOSTED

#include_next <linux/const.h>

#define UL(x) (x##UL)
#define ULL(x) (x##ULL)

#endif /* _LINUX_CONST_H_HOSTED */
