// SPDX-License-Identifier: GPL-2.0-only
/*
 * The global command register of a unit, and its status; the root pointer.
 */
#include <linux/device.h>
#include <linux/io.h>
#include <linux/mm.h>

#include "regs.h"
#include "unit.h"
#include "wd_budget.h"

#define VTD_COMMAND_BUDGET_NS (100 * NSEC_PER_MSEC)

/* Wait until @bit of GSTS is @on. */
int vtd_unit_wait_status(struct vtd_unit *unit, u32 bit, bool on)
{
	struct wd_budget budget = wd_budget(VTD_COMMAND_BUDGET_NS);
	bool spent = false;

	while (!!(readl(unit->regs + VTD_REG_GSTS) & bit) != on) {
		if (spent) {
			dev_err(&unit->pdev->dev, "status %08x does not become %d\n", bit, on);
			return -ETIMEDOUT;
		}
		spent = wd_budget_spent(&budget);
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
 * Only for bring-up and shutdown, which run in one thread.
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

/* The unit takes the root table over, and sets VTD_GCMD_SRTP in GSTS afterwards. Any context. */
void vtd_unit_write_root(struct vtd_unit *unit, phys_addr_t root)
{
	writeq(root | VTD_RTADDR_SCALABLE, unit->regs + VTD_REG_RTADDR);
	writel(unit->gcmd | VTD_GCMD_SRTP, unit->regs + VTD_REG_GCMD);
}

/* A root table without entries, which exists as long as the machine runs. */
phys_addr_t vtd_empty_root(void)
{
	return page_to_phys(ZERO_PAGE(0));
}

/**
 * vtd_unit_shut - let a unit refuse every request, if it still takes commands
 * @unit: the unit
 *
 * A unit with ESRTPS drops its cached translations, too. This does not wait for the unit. Any
 * context.
 */
void vtd_unit_shut(struct vtd_unit *unit)
{
	vtd_unit_write_root(unit, vtd_empty_root());
}
