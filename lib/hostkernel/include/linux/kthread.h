/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KTHREAD_H
#define _LINUX_KTHREAD_H

#include <linux/err.h>
#include <linux/sched.h>

WD_BEGIN_DECLS
__printf(4, 5) struct task_struct *kthread_create_on_node(int (*fn)(void *data), void *data,
							  int node, const char *fmt, ...);
int kthread_stop(struct task_struct *task);
bool kthread_should_stop(void);
WD_END_DECLS

#define kthread_create(fn, data, fmt, arg...) kthread_create_on_node(fn, data, -1, fmt, ##arg)
#define kthread_run(fn, data, fmt, arg...)                                            \
	({                                                                            \
		struct task_struct *__wd_task = kthread_create(fn, data, fmt, ##arg); \
		if (!IS_ERR(__wd_task))                                               \
			wake_up_process(__wd_task);                                   \
		__wd_task;                                                            \
	})

#endif /* _LINUX_KTHREAD_H */
