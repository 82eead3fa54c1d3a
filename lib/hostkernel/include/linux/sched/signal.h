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

/*
 * There is one signal, Caller::kill(). Code that checks for it sees it; it wakes no sleeping
 * thread.
 */
static inline int fatal_signal_pending(struct task_struct *task)
{
	return READ_ONCE(task->signal->wd_killed);
}

static inline int signal_pending(struct task_struct *task)
{
	return fatal_signal_pending(task);
}

static inline bool thread_group_leader(struct task_struct *task)
{
	return task->group_leader == task;
}

#endif /* _LINUX_SCHED_SIGNAL_H */
