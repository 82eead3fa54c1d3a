// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bring-up of a unit (VTD-DRV-1) and its shutdown.
 *
 * This driver switches translation on before it tells the core of the unit; Linux's own driver does
 * so afterwards. No function is routed to the unit before its claim, so no request faults too
 * early; and requests of a claimed function never pass untranslated.
 */
#include <linux/io.h>
#include <linux/mm.h>

#include "compat.h"
#include "regs.h"
#include "vtd.h"

/* Capabilities that the driver needs. */
static int vtd_check_capabilities(struct vtd_unit *unit)
{
	const u64 needed = VTD_ECAP_C | VTD_ECAP_QI | VTD_ECAP_PASID | VTD_ECAP_SMTS |
			   VTD_ECAP_SSTS | VTD_ECAP_SMPWCS;
	struct device *dev = &unit->pdev->dev;

	if (unit->cap == ~0ULL && unit->ecap == ~0ULL) {
		dev_err(dev, "registers cannot be read\n");
		return -ENODEV;
	}
	if ((unit->ecap & needed) != needed) {
		dev_err(dev, "lacks %llx of its extended capabilities\n", needed & ~unit->ecap);
		return -EOPNOTSUPP;
	}
	if (!vtd_cap_48bit_tables(unit->cap) || vtd_cap_caching_mode(unit->cap)) {
		dev_err(dev, "no 48-bit tables, or caching mode: %llx\n", unit->cap);
		return -EOPNOTSUPP;
	}
	if (unit->haw < 39 || unit->haw > 52) {
		dev_err(dev, "host address width %u\n", unit->haw);
		return -EINVAL;
	}
	return 0;
}

/* Check that the fault records are inside BAR0, as the registers are. */
static int vtd_check_bar(struct vtd_unit *unit)
{
	u64 end = vtd_cap_fault_offset(unit->cap) + 16ULL * vtd_cap_fault_records(unit->cap);

	if (end > pci_resource_len(unit->pdev, 0)) {
		dev_err(&unit->pdev->dev, "fault records beyond BAR0\n");
		return -EINVAL;
	}
	return 0;
}

/* Switch translation and the queue off. The unit may be in any state before. */
static int vtd_quiesce(struct vtd_unit *unit)
{
	int ret = 0;

	unit->gcmd = readl(unit->regs + VTD_REG_GSTS) & VTD_GSTS_PERSISTENT;
	if (unit->gcmd & VTD_GCMD_TE)
		ret = vtd_unit_command(unit, VTD_GCMD_TE, false);
	if (!ret && unit->gcmd & VTD_GCMD_QIE)
		ret = vtd_unit_command(unit, VTD_GCMD_QIE, false);
	return ret;
}

/* Drop faults from before the driver, without reporting them. */
static void vtd_forget_faults(struct vtd_unit *unit)
{
	vtd_faults_collect(unit);
	unit->faults.count = 0;
	unit->faults.overflows = 0;
}

/* VTD-DRV-1: set the root table. Afterwards no cache has an entry from an older one. */
static int vtd_set_root(struct vtd_unit *unit, phys_addr_t root)
{
	const struct vtd_qi_desc flush[] = {vtd_qi_context_global(), vtd_qi_pasid_cache_global(),
					    vtd_qi_iotlb_global()};
	int ret;

	vtd_unit_write_root(unit, root);
	ret = vtd_unit_wait_status(unit, VTD_GCMD_SRTP, true);
	if (ret || vtd_cap_esrtps(unit->cap))
		return ret;
	return vtd_qi_submit(unit, flush, ARRAY_SIZE(flush));
}

/**
 * vtd_unit_enable - switch translation on, with empty caches
 * @unit: in any state; its queues and its root table are allocated
 *
 * Also for use after a sleep, in which the unit has lost its registers. A dead unit gets an empty
 * root table, so it refuses all requests.
 *
 * Return: 0; -ETIMEDOUT; -EINVAL; -EIO if it is dead and lacks ESRTPS.
 */
int vtd_unit_enable(struct vtd_unit *unit)
{
	phys_addr_t root = vtd_unit_dead(unit) ? vtd_empty_root() : virt_to_phys(unit->root);
	int ret;

	ret = vtd_quiesce(unit);
	if (!ret)
		ret = vtd_qi_enable(unit);
	if (ret)
		return ret;
	vtd_prq_enable(unit);
	ret = vtd_set_root(unit, root);
	if (!ret)
		ret = vtd_unit_command(unit, VTD_GCMD_TE, true);
	return ret;
}

/**
 * vtd_unit_events - unmask or mask the interrupts of a unit
 * @unit: the unit; it has handlers
 * @on: unmask
 */
void vtd_unit_events(struct vtd_unit *unit, bool on)
{
	const u32 control = on ? 0 : VTD_ECTL_IM;

	writel(control, unit->regs + VTD_REG_FECTL);
	if (unit->prq.ring)
		writel(control, unit->regs + VTD_REG_PECTL);
}

/**
 * vtd_unit_quiet - end the works that interrupts have started
 * @unit: the unit; its interrupts are masked, and no handler is running
 */
void vtd_unit_quiet(struct vtd_unit *unit)
{
	vtd_faults_quiet(unit);
	vtd_prq_quiet(unit);
	/* A work that was just ending may have unmasked the interrupts: mask them again. */
	vtd_unit_events(unit, false);
}

static const struct vtd_qi_ops vtd_qi_upward = {
	.died = vtd_unit_died,
	.shut_out = vtd_ats_shut_out,
	.leaked = wd_iommu_leaked,
};

/**
 * vtd_unit_start - bring a unit up
 * @unit: registers mapped, bus mastering on, interrupts not yet
 *
 * Return: 0; -ENODEV, -EOPNOTSUPP or -EINVAL if it is not a unit that the driver can run; -ENOMEM;
 * -ETIMEDOUT.
 */
int vtd_unit_start(struct vtd_unit *unit)
{
	int ret;

	unit->cap = readq(unit->regs + VTD_REG_CAP);
	unit->ecap = readq(unit->regs + VTD_REG_ECAP);
	ret = vtd_check_capabilities(unit);
	if (!ret)
		ret = vtd_check_bar(unit);
	if (ret)
		return ret;
	vtd_forget_faults(unit);
	ret = vtd_qi_init(unit, &vtd_qi_upward);
	if (ret)
		return ret;
	ret = vtd_root_alloc(unit);
	if (ret)
		goto err_qi;
	ret = vtd_prq_init(unit);
	if (ret)
		goto err_root;
	ret = vtd_unit_enable(unit);
	if (ret) {
		vtd_unit_stop(unit);
		return ret;
	}
	wd_set_max_pasids(&unit->iommu, vtd_ecap_max_pasids(unit->ecap));
	return 0;

err_root:
	vtd_root_free(unit);
err_qi:
	vtd_qi_exit(unit);
	return ret;
}

/*
 * Let the unit translate with an empty root table, so that it refuses all requests. No function is
 * claimed any more, but functions that were stay routed here until the machine is reset, and other
 * code may make them bus masters.
 */
static int vtd_unit_leave_shut(struct vtd_unit *unit)
{
	int ret = vtd_set_root(unit, vtd_empty_root());

	return ret ?: vtd_unit_command(unit, VTD_GCMD_TE, true);
}

/*
 * Stop a unit and free its tables. A unit that confirms the empty root table, or that translation
 * is off, does not read the tables any more, even if it was dead. If it does not confirm that, the
 * tables are kept.
 */
void vtd_unit_stop(struct vtd_unit *unit)
{
	bool confirmed;

	vtd_unit_events(unit, false);
	confirmed = !vtd_unit_leave_shut(unit) || !vtd_unit_command(unit, VTD_GCMD_TE, false);
	WRITE_ONCE(unit->dead, !confirmed);
	vtd_prq_exit(unit);
	vtd_qi_exit(unit);
	vtd_root_free(unit);
}
