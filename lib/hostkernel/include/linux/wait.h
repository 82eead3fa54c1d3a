/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_WAIT_H
#define _LINUX_WAIT_H

#include <linux/errno.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct wait_queue_entry;
typedef int (*wait_queue_func_t)(struct wait_queue_entry *entry, unsigned int mode, int flags,
				 void *key);

#define WQ_FLAG_EXCLUSIVE 0x01

struct wait_queue_entry {
	unsigned int flags;
	void *private_data;
	wait_queue_func_t func;
	struct list_head entry;
};

typedef struct wait_queue_entry wait_queue_entry_t;

struct wait_queue_head {
	spinlock_t lock;
	struct list_head head;
};
typedef struct wait_queue_head wait_queue_head_t;

/* clang-format off */
#define __WAIT_QUEUE_HEAD_INITIALIZER(name) \
	{ __SPIN_LOCK_UNLOCKED(name.lock), LIST_HEAD_INIT((name).head) }
/* clang-format on */
#define DECLARE_WAIT_QUEUE_HEAD(name) wait_queue_head_t name = __WAIT_QUEUE_HEAD_INITIALIZER(name)

WD_BEGIN_DECLS
void init_waitqueue_head(struct wait_queue_head *wq);
void init_wait_entry(struct wait_queue_entry *entry, int flags);
void add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *entry);
void remove_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *entry);
long prepare_to_wait_event(struct wait_queue_head *wq, struct wait_queue_entry *entry, int state);
void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry);
int autoremove_wake_function(struct wait_queue_entry *entry, unsigned int mode, int flags,
			     void *key);
int default_wake_function(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key);
/* @nr_exclusive: number of exclusive waiters to wake; 0 wakes all. */
int __wake_up(struct wait_queue_head *wq, unsigned int mode, int nr_exclusive, void *key);
WD_END_DECLS

/* An entry whose function gets each wake-up. */
static inline void init_waitqueue_func_entry(struct wait_queue_entry *entry, wait_queue_func_t func)
{
	entry->flags = 0;
	entry->private_data = NULL;
	entry->func = func;
}

#define wake_up(wq) __wake_up(wq, TASK_NORMAL, 1, NULL)
#define wake_up_all(wq) __wake_up(wq, TASK_NORMAL, 0, NULL)
#define wake_up_interruptible(wq) __wake_up(wq, TASK_INTERRUPTIBLE, 1, NULL)
#define wake_up_interruptible_poll(wq, m) \
	__wake_up(wq, TASK_INTERRUPTIBLE, 1, (void *)(uintptr_t)(m))

/*
 * @timeout is in jiffies. The value is the remaining time, at least 1 if the condition holds, or 0
 * if the time is over.
 */
#define __wd_wait(wq, condition, state, flags, timeout, before, after)               \
	({                                                                           \
		struct wait_queue_entry __wd_entry;                                  \
		long __wd_left = (timeout);                                          \
		long __wd_ret = 0;                                                   \
		init_wait_entry(&__wd_entry, flags);                                 \
		for (;;) {                                                           \
			__wd_ret = prepare_to_wait_event(&(wq), &__wd_entry, state); \
			if (condition) {                                             \
				__wd_ret = __wd_left ? __wd_left : 1;                \
				break;                                               \
			}                                                            \
			if (__wd_ret || !__wd_left)                                  \
				break;                                               \
			before;                                                      \
			__wd_left = schedule_timeout(__wd_left);                     \
			after;                                                       \
		}                                                                    \
		finish_wait(&(wq), &__wd_entry);                                     \
		__wd_ret;                                                            \
	})

#define wait_event(wq, condition)                                               \
	do {                                                                    \
		might_sleep();                                                  \
		if (!(condition))                                               \
			(void)__wd_wait(wq, condition, TASK_UNINTERRUPTIBLE, 0, \
					MAX_SCHEDULE_TIMEOUT, , );              \
	} while (0)
#define wait_event_interruptible(wq, condition)                                    \
	({                                                                         \
		long __wd_res = 1;                                                 \
		might_sleep();                                                     \
		if (!(condition))                                                  \
			__wd_res = __wd_wait(wq, condition, TASK_INTERRUPTIBLE, 0, \
					     MAX_SCHEDULE_TIMEOUT, , );            \
		__wd_res < 0 ? (int)__wd_res : 0;                                  \
	})
/* A signal wakes no thread here, so the waiter looks for one again and again. */
#define wait_event_killable(wq, condition)                                                 \
	({                                                                                 \
		int __wd_res = 0;                                                          \
		might_sleep();                                                             \
		if (!(condition)) {                                                        \
			do {                                                               \
				if (fatal_signal_pending(get_current()))                   \
					__wd_res = -EINTR;                                 \
			} while (!__wd_res &&                                              \
				 !__wd_wait(wq, condition, TASK_INTERRUPTIBLE, 0, 1, , )); \
		}                                                                          \
		__wd_res;                                                                  \
	})
#define wait_event_timeout(wq, condition, timeout)                                               \
	({                                                                                       \
		long __wd_res = (timeout);                                                       \
		might_sleep();                                                                   \
		if (!(condition))                                                                \
			__wd_res =                                                               \
				__wd_wait(wq, condition, TASK_UNINTERRUPTIBLE, 0, __wd_res, , ); \
		else if (!__wd_res)                                                              \
			__wd_res = 1;                                                            \
		__wd_res;                                                                        \
	})

#endif /* _LINUX_WAIT_H */
