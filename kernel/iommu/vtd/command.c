// SPDX-License-Identifier: GPL-2.0-only
/*
 * The global command register of a unit, and its status.
 */
#include <linux/device.h>
#include <linux/io.h>

#include "budget.h"
#include "regs.h"
#include "vtd.h"

#define VTD_COMMAND_BUDGET_NS (100 * NSEC_PER_MSEC)

/* Wait until GSTS says that @bit is @on. */
int vtd_unit_wait_status(struct vtd_unit *unit, u32 bit, bool on)
{
	struct vtd_budget budget = vtd_budget(VTD_COMMAND_BUDGET_NS);
	bool spent = false;

	while (!!(readl(unit->regs + VTD_REG_GSTS) & bit) != on) {
		if (spent) {
			dev_err(&unit->pdev->dev, "status %08x does not become %d\n", bit, on);
			return -ETIMEDOUT;
		}
		spent = vtd_budget_spent(&budget);
		cpu_relax();
	}
	return 0;
}

/**
 * vtd_unit_command - switch a persistent bit of the global command register
 * @unit: the unit
 * @bit: VTD_GCMD_TE or VTD_GCMD_QIE
 * @on: new state
 *
 * Bring-up and shutdown only: one thread.
 *
 * Return: 0; -ETIMEDOUT if the unit did not follow.
 */
int vtd_unit_command(struct vtd_unit *unit, u32 bit, bool on)
{
	if (on)
		unit->gcmd |= bit;
	else
		unit->gcmd &= ~bit;
	writel(unit->gcmd, unit->regs + VTD_REG_GCMD);
	return vtd_unit_wait_status(unit, bit, on);
}
