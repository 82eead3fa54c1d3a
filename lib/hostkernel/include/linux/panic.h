/* SPDX-License-Identifier: GPL-2.0-only */
/* Taint flags of the kernel. Only the log shows them. */
#ifndef _LINUX_PANIC_H
#define _LINUX_PANIC_H

#include <linux/printk.h>

enum lockdep_ok { LOCKDEP_STILL_OK, LOCKDEP_NOW_UNRELIABLE };

#define TAINT_USER 6

static inline void add_taint(unsigned int flag, enum lockdep_ok ok)
{
	(void)ok;
	pr_warn_once("kernel is tainted: %u\n", flag);
}

#endif /* _LINUX_PANIC_H */
