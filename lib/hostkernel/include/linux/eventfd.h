/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event counters of programs (eventfd(2)). The descriptor that a caller passes belongs to its real
 * process and not to its hosted file table, since hosted files are no eventfds.
 */
#ifndef _LINUX_EVENTFD_H
#define _LINUX_EVENTFD_H

#include <linux/types.h>

struct eventfd_ctx;

WD_BEGIN_DECLS
/*
 * A reference to the counter of @fd of the current caller. ERR_PTR: -EBADF if @fd is not open,
 * -EINVAL if it is no eventfd, -ENOMEM, -EMFILE; for a remote caller also -EPERM, by the host's
 * ptrace rules.
 */
struct eventfd_ctx *eventfd_ctx_fdget(int fd);
void eventfd_ctx_put(struct eventfd_ctx *ctx);
/*
 * Never sleeps, and leaves a full counter as it is. As in Linux since 6.8 there is no result. @n is
 * small: each 1 is a system call of the host. On a host without asynchronous I/O (io_setup(2)) the
 * call waits if a program in blocking mode fills its counter at the same moment.
 */
void eventfd_signal(struct eventfd_ctx *ctx, u64 n);
WD_END_DECLS

#endif /* _LINUX_EVENTFD_H */
