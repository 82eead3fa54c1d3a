/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A limit on the time that a driver waits for its device. Only time in which the CPU checked the
 * device counts. A virtual CPU may stop for a while, since its host runs others or has stopped the
 * whole machine; then it cannot know that the device was late. So the time between two checks
 * counts as at most WD_BUDGET_STEP_NS.
 */
#ifndef _WD_BUDGET_H
#define _WD_BUDGET_H

#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/types.h>

#define WD_BUDGET_STEP_NS (50ULL * NSEC_PER_MSEC)

/**
 * struct wd_budget - the time that is left of a wait
 * @last: time of the last check (ktime_get_ns())
 * @left: nanoseconds that are left
 */
struct wd_budget {
	u64 last;
	u64 left;
};

static inline struct wd_budget wd_budget(u64 ns)
{
	return (struct wd_budget){ktime_get_ns(), ns};
}

/*
 * To be called between two checks of the device. Return: true if no time is left; the next check is
 * the last one.
 */
static inline bool wd_budget_spent(struct wd_budget *budget)
{
	u64 now = ktime_get_ns(), step = min(now - budget->last, WD_BUDGET_STEP_NS);

	budget->last = now;
	budget->left -= min(step, budget->left);
	return !budget->left;
}

#endif /* _WD_BUDGET_H */
