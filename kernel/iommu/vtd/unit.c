// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bring-up of a unit (VTD-DRV-1) and its opposite.
 *
 * Unlike in Linux's own driver translation is switched on before the core is told of the unit, not
 * after. No function is routed to the unit before it is claimed, so nothing can fault early; and
 * there is no time in which a claimed function's requests pass untranslated.
 */
#include <linux/io.h>
#include <linux/mm.h>

#include "regs.h"
#include "vtd.h"

/* Capabilities that the driver needs. */
static int vtd_check_capabilities(struct vtd_unit *unit)
{
	const u64 needed = VTD_ECAP_C | VTD_ECAP_QI | VTD_ECAP_PASID | VTD_ECAP_SMTS |
			   VTD_ECAP_SSTS | VTD_ECAP_SMPWCS;
	struct device *dev = &unit->pdev->dev;

	if (unit->cap == ~0ULL && unit->ecap == ~0ULL)
		return -ENODEV;
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

/* The fault records and the registers lie in BAR0. */
static int vtd_check_bar(struct vtd_unit *unit)
{
	u64 end = vtd_cap_fault_offset(unit->cap) + 16ULL * vtd_cap_fault_records(unit->cap);

	if (end > pci_resource_len(unit->pdev, 0)) {
		dev_err(&unit->pdev->dev, "fault records beyond BAR0\n");
		return -EINVAL;
	}
	return 0;
}

/* The unit may be in any state. */
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

/* Faults from before are not reported. */
static void vtd_forget_faults(struct vtd_unit *unit)
{
	vtd_faults_collect(unit);
	unit->faults.count = 0;
	unit->faults.overflows = 0;
}

/* VTD-DRV-1: latch the root table; the caches hold nothing of an older one afterwards. */
static int vtd_set_root(struct vtd_unit *unit)
{
	const struct vtd_qi_desc flush[] = {vtd_qi_context_global(), vtd_qi_pasid_cache_global(),
					    vtd_qi_iotlb_global()};
	int ret;

	writeq(virt_to_phys(unit->root) | VTD_RTADDR_SCALABLE, unit->regs + VTD_REG_RTADDR);
	writel(unit->gcmd | VTD_GCMD_SRTP, unit->regs + VTD_REG_GCMD);
	ret = vtd_unit_wait_status(unit, VTD_GCMD_SRTP, true);
	if (ret || vtd_cap_esrtps(unit->cap))
		return ret;
	return vtd_qi_submit(unit, flush, ARRAY_SIZE(flush));
}

/**
 * vtd_unit_enable - from any state of the unit to translation with empty caches
 * @unit: its memory is there
 *
 * Also after a sleep, in which it has lost its registers.
 *
 * Return: 0; -ETIMEDOUT; -EINVAL.
 */
int vtd_unit_enable(struct vtd_unit *unit)
{
	int ret;

	ret = vtd_quiesce(unit);
	if (!ret)
		ret = vtd_qi_enable(unit);
	if (ret)
		return ret;
	vtd_prq_enable(unit);
	ret = vtd_set_root(unit);
	if (!ret)
		ret = vtd_unit_command(unit, VTD_GCMD_TE, true);
	return ret;
}

/**
 * vtd_unit_events - let the unit send its messages, or not
 * @unit: with handlers
 * @on: let it
 */
void vtd_unit_events(struct vtd_unit *unit, bool on)
{
	const u32 control = on ? 0 : VTD_ECTL_IM;

	writel(control, unit->regs + VTD_REG_FECTL);
	if (unit->prq.ring)
		writel(control, unit->regs + VTD_REG_PECTL);
}

/**
 * vtd_unit_quiet - end work that interrupts have begun
 * @unit: it sends no messages, and no handler is running
 */
void vtd_unit_quiet(struct vtd_unit *unit)
{
	vtd_faults_quiet(unit);
	vtd_prq_quiet(unit);
	/* Cancelled work may have unmasked the unit's messages at its end. */
	vtd_unit_events(unit, false);
}

static const struct vtd_qi_ops vtd_qi_upward = {
	.died = vtd_unit_died,
	.shut_out = vtd_ats_shut_out,
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
	unit->iommu.max_pasids = vtd_ecap_max_pasids(unit->ecap);
	return 0;

err_root:
	vtd_root_free(unit);
err_qi:
	vtd_qi_exit(unit);
	return ret;
}

/*
 * No function is claimed. A unit that confirms that translation and queue are off, be it one that
 * had not answered in time, reads nothing of ours any more. One that does not keeps its tables.
 */
void vtd_unit_stop(struct vtd_unit *unit)
{
	vtd_unit_events(unit, false);
	WRITE_ONCE(unit->dead, vtd_unit_command(unit, VTD_GCMD_TE, false) != 0);
	vtd_prq_exit(unit);
	vtd_qi_exit(unit);
	vtd_root_free(unit);
}
