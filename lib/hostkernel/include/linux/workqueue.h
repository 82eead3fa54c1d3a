/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads run the work items. One item never runs on two threads at once. */
#ifndef _LINUX_WORKQUEUE_H
#define _LINUX_WORKQUEUE_H

#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

struct work_struct;
struct workqueue_struct;
typedef void (*work_func_t)(struct work_struct *work);

struct work_struct {
	atomic_long_t data; /* bit 0: pending */
	struct list_head entry;
	work_func_t func;
	struct workqueue_struct *wq; /* the queue that had it last */
	u64 seq;
	int cancelling;
};

struct delayed_work {
	struct work_struct work;
	struct workqueue_struct *wq;
	u64 due_ns; /* when the timer is due; 0 if it is not armed */
	struct list_head timer_entry;
};

enum {
	WQ_UNBOUND = 1 << 1,
	WQ_FREEZABLE = 1 << 2,
	WQ_MEM_RECLAIM = 1 << 3,
	WQ_HIGHPRI = 1 << 4,
	WQ_CPU_INTENSIVE = 1 << 5,
	WQ_SYSFS = 1 << 6,
	WQ_POWER_EFFICIENT = 1 << 7,
	__WQ_ORDERED = 1 << 17,
	WQ_MAX_ACTIVE = 512,
	WQ_DFL_ACTIVE = WQ_MAX_ACTIVE / 2,
	WORK_CPU_UNBOUND = 8192,
};

WD_BEGIN_DECLS
extern struct workqueue_struct *system_wq;
extern struct workqueue_struct *system_long_wq;
extern struct workqueue_struct *system_unbound_wq;
extern struct workqueue_struct *system_highpri_wq;
extern struct workqueue_struct *system_freezable_wq;

void wd_init_work(struct work_struct *work, work_func_t func);
void wd_init_delayed_work(struct delayed_work *dwork, work_func_t func);
__printf(1, 4) struct workqueue_struct *alloc_workqueue(const char *fmt, unsigned int flags,
							int max_active, ...);
void destroy_workqueue(struct workqueue_struct *wq);
bool queue_work_on(int cpu, struct workqueue_struct *wq, struct work_struct *work);
bool queue_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *dwork,
			   unsigned long delay);
bool mod_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *dwork,
			 unsigned long delay);
void drain_workqueue(struct workqueue_struct *wq);
bool flush_work(struct work_struct *work);
bool cancel_work_sync(struct work_struct *work);
bool cancel_delayed_work_sync(struct delayed_work *dwork);
WD_END_DECLS

#define INIT_WORK(work, func) wd_init_work(work, func)
#define INIT_DELAYED_WORK(dwork, func) wd_init_delayed_work(dwork, func)
/* clang-format off */
#define __WORK_INITIALIZER(n, f) { { 0 }, LIST_HEAD_INIT((n).entry), (f), NULL, 0, 0 }
/* clang-format on */
#define DECLARE_WORK(n, f) struct work_struct n = __WORK_INITIALIZER(n, f)
/* clang-format off */
#define DECLARE_DELAYED_WORK(n, f) \
	struct delayed_work n = { __WORK_INITIALIZER((n).work, f), NULL, 0, LIST_HEAD_INIT((n).timer_entry) }
/* clang-format on */

#define alloc_ordered_workqueue(fmt, flags, args...) \
	alloc_workqueue(fmt, WQ_UNBOUND | __WQ_ORDERED | (flags), 1, ##args)

static inline bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	return queue_work_on(WORK_CPU_UNBOUND, wq, work);
}

static inline bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork,
				      unsigned long delay)
{
	return queue_delayed_work_on(WORK_CPU_UNBOUND, wq, dwork, delay);
}

static inline bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork,
				    unsigned long delay)
{
	return mod_delayed_work_on(WORK_CPU_UNBOUND, wq, dwork, delay);
}

static inline bool schedule_work(struct work_struct *work)
{
	return queue_work(system_wq, work);
}

static inline bool schedule_delayed_work(struct delayed_work *dwork, unsigned long delay)
{
	return queue_delayed_work(system_wq, dwork, delay);
}

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

#endif /* _LINUX_WORKQUEUE_H */
