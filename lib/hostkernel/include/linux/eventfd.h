/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event counters of programs (eventfd(2)). A descriptor that a caller names is one of the caller's
 * real process, not one of its hosted table: hosted files are no eventfds.
 */
#ifndef _LINUX_EVENTFD_H
#define _LINUX_EVENTFD_H

#include <linux/types.h>

struct eventfd_ctx;

WD_BEGIN_DECLS
/*
 * A reference to the counter of @fd of the current caller. ERR_PTR: -EBADF no descriptor, -EINVAL
 * no eventfd, -ENOMEM, -EMFILE. For a remote caller also -EPERM: the host's ptrace rules.
 */
struct eventfd_ctx *eventfd_ctx_fdget(int fd);
void eventfd_ctx_put(struct eventfd_ctx *ctx);
/* Never sleeps. Returns the added number: 0 if the counter is full. */
u64 eventfd_signal(struct eventfd_ctx *ctx, u64 n);
WD_END_DECLS

#endif /* _LINUX_EVENTFD_H */
