/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_ERRNO_H_HOSTED
#define _LINUX_ERRNO_H_HOSTED

#include_next <linux/errno.h>

/* Values that never reach user space. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ENOIOCTLCMD 515
#define EPROBE_DEFER 517
#define EOPENSTALE 518

#endif /* _LINUX_ERRNO_H_HOSTED */
