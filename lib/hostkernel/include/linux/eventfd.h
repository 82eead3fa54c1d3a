/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event counters of programs (eventfd(2)). The descriptor that a caller passes belongs to its real
 * process and not to its hosted file table, since hosted files are no eventfds.
 */
#ifndef _LINUX_EVENTFD_H
#define _LINUX_EVENTFD_H

#include <linux/types.h>
#include <linux/wait.h>

struct eventfd_ctx;
struct file;

WD_BEGIN_DECLS
/*
 * A reference to the counter of @fd of the current caller. ERR_PTR: -EBADF if @fd is not open,
 * -EINVAL if it is no eventfd, -ENOMEM, -EMFILE; for a remote caller also -EPERM, by the host's
 * ptrace rules.
 */
struct eventfd_ctx *eventfd_ctx_fdget(int fd);
/* The same for a file of fdget(). ERR_PTR(-EINVAL): it is no eventfd. */
struct eventfd_ctx *eventfd_ctx_fileget(struct file *filp);
void eventfd_ctx_put(struct eventfd_ctx *ctx);
/*
 * Never sleeps, and leaves a full counter as it is. As in Linux since 6.8 there is no result. @n is
 * small: each 1 is a system call of the host. On a host without asynchronous I/O (io_setup(2)) the
 * call waits if a program in blocking mode fills its counter at the same moment.
 */
void eventfd_signal(struct eventfd_ctx *ctx, u64 n);
/*
 * Take the counter's value; 0 if nobody has signalled it. A function of its wait queue calls this,
 * which runs when the program has signalled. Several signals may come as one call. A close by the
 * program wakes nobody, since the kernel has a duplicate of the descriptor.
 */
void eventfd_ctx_do_read(struct eventfd_ctx *ctx, u64 *count);
/* Return: 0; -EAGAIN if the counter was 0. */
int eventfd_ctx_remove_wait_queue(struct eventfd_ctx *ctx, struct wait_queue_entry *wait,
				  u64 *count);
WD_END_DECLS

#endif /* _LINUX_EVENTFD_H */
