/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tasks. `current` is the task of the calling thread; its fields describe the process that it works
 * for.
 */
#ifndef _LINUX_SCHED_H_HOSTED
#define _LINUX_SCHED_H_HOSTED

#include <linux/kernel.h>
#include <linux/refcount.h>
#include_next <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#define TASK_RUNNING 0x0000
#define TASK_INTERRUPTIBLE 0x0001
#define TASK_UNINTERRUPTIBLE 0x0002
#define TASK_WAKEKILL 0x0100
#define TASK_KILLABLE (TASK_WAKEKILL | TASK_UNINTERRUPTIBLE)
#define TASK_NORMAL (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)
#define TASK_COMM_LEN 16
#define MAX_SCHEDULE_TIMEOUT ((long)(~0UL >> 1))

#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

struct cred;
struct mm_struct;

#define RLIM_NLIMITS_HOSTED 16
#ifdef __cplusplus
#include <sys/resource.h>
#else
#define RLIMIT_NOFILE 7
#define RLIMIT_MEMLOCK 8
#define RLIM_INFINITY (~0UL)
#endif

struct signal_struct {
	unsigned long rlim_cur[RLIM_NLIMITS_HOSTED];
	bool wd_killed; /* a fatal signal is pending */
};

struct files_struct;

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	refcount_t usage;
	pid_t pid;
	pid_t tgid;
	char comm[TASK_COMM_LEN];
	struct mm_struct *mm;
	struct mm_struct *active_mm;
	const struct cred *cred;
	const struct cred *real_cred;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	struct files_struct *files;
	void *wd_kthread;
	struct wd_host_mutex wd_mutex;
	struct wd_host_cond wd_cond;
	bool wd_on_behalf;	  /* inside a system call of a caller */
	bool wd_owns_signal;	  /* freeing the task frees @signal too */
	unsigned int wd_fail_nth; /* /proc/thread-self/fail-nth */
};

WD_BEGIN_DECLS
struct task_struct *get_current(void);
void schedule(void);
long schedule_timeout(long timeout);
void wd_set_current_state(unsigned int state);
int wake_up_process(struct task_struct *task);
void __put_task_struct(struct task_struct *task);
int yield_to_others(void);
WD_END_DECLS

#ifndef __cplusplus
#define current get_current()
#define yield() yield_to_others()
#endif
#define set_current_state(state) wd_set_current_state(state)
#define __set_current_state(state) wd_set_current_state(state)

static inline struct task_struct *get_task_struct(struct task_struct *task)
{
	refcount_inc(&task->usage);
	return task;
}

static inline void put_task_struct(struct task_struct *task)
{
	if (refcount_dec_and_test(&task->usage))
		__put_task_struct(task);
}

#endif /* _LINUX_SCHED_H_HOSTED */
