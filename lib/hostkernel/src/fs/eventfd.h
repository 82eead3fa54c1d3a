/* SPDX-License-Identifier: GPL-2.0-only */
/* Event counters of programs. */
#pragma once

#include <linux/eventfd.h>
#include <linux/wait.h>

/* @users is under a lock of eventfd.cpp, @watch under one of eventfd_watch.cpp. */
struct eventfd_ctx {
	int fd;
	unsigned users;
	long number; /* of the host, or -1 */
	int watch;   /* epoll of the host that watches fd, or -1 */
	wait_queue_head_t wqh;
};

namespace wd::hostkernel
{

/**
 * Wake the wait queue of @ctx whenever the program signals. Signals before the return of this count
 * as seen: the caller looks at the counter itself. Without descriptors of the host nothing wakes.
 */
void eventfdWatch(eventfd_ctx *ctx);
/** Stop that. When this returns no function of the wait queue runs any more. */
void eventfdUnwatch(eventfd_ctx *ctx);

} // namespace wd::hostkernel
