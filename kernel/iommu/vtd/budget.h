/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long a unit is waited for. What counts is time in which the processor looked: one that was
 * taken away (a virtual one whose host had others to run, or was stopped together with the unit)
 * has seen nothing of a unit that was late. So a step counts no more than VTD_BUDGET_STEP_NS,
 * however long it took.
 */
#ifndef _WD_VTD_BUDGET_H
#define _WD_VTD_BUDGET_H

#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/types.h>

#define VTD_BUDGET_STEP_NS (50ULL * NSEC_PER_MSEC)

/**
 * struct vtd_budget - what is left of a wait
 * @last: when it was looked at
 * @left: nanoseconds
 */
struct vtd_budget {
	u64 last;
	u64 left;
};

static inline struct vtd_budget vtd_budget(u64 ns)
{
	return (struct vtd_budget){ktime_get_ns(), ns};
}

/*
 * To be called between two looks at what is waited for. True: the budget is used up, the next look
 * is the last one.
 */
static inline bool vtd_budget_spent(struct vtd_budget *budget)
{
	u64 now = ktime_get_ns(), step = min(now - budget->last, VTD_BUDGET_STEP_NS);

	budget->last = now;
	budget->left -= min(step, budget->left);
	return !budget->left;
}

#endif /* _WD_VTD_BUDGET_H */
