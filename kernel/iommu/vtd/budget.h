/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The time that the driver waits for a unit. Only time in which the processor looked at the unit
 * counts: a processor that did not run (a virtual one, because its host ran others, or stopped it
 * together with the unit) cannot tell that the unit was late. So a step counts at most
 * VTD_BUDGET_STEP_NS, even if it took longer.
 */
#ifndef _WD_VTD_BUDGET_H
#define _WD_VTD_BUDGET_H

#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/types.h>

#define VTD_BUDGET_STEP_NS (50ULL * NSEC_PER_MSEC)

/**
 * struct vtd_budget - the rest of a wait
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
 * To be called between two looks at the unit's status. True: the budget is used up, the next look
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
