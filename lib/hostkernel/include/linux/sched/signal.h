/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SCHED_SIGNAL_H
#define _LINUX_SCHED_SIGNAL_H

#include <linux/compiler.h>
#include <linux/cred.h>
#include <linux/sched.h>

static inline unsigned long task_rlimit(const struct task_struct *task, unsigned int limit)
{
	return READ_ONCE(task->signal->rlim_cur[limit]);
}

static inline unsigned long rlimit(unsigned int limit)
{
	return task_rlimit(get_current(), limit);
}

/* The only signal is Caller::kill(). It wakes no sleeping thread; code sees it when it looks. */
static inline int fatal_signal_pending(struct task_struct *task)
{
	return READ_ONCE(task->signal->wd_killed);
}

static inline int signal_pending(struct task_struct *task)
{
	return fatal_signal_pending(task);
}

#endif /* _LINUX_SCHED_SIGNAL_H */
