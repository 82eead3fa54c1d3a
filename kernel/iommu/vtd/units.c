// SPDX-License-Identifier: GPL-2.0-only
/* The list of units, the unit of a function, and the properties that domains may rely on. */
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#include "regs.h"
#include "vtd.h"

DEFINE_MUTEX(vtd_units_lock);
static LIST_HEAD(vtd_units);

/* Let @unit claim functions from now on, or no more. */
void vtd_unit_set_live(struct vtd_unit *unit, bool live)
{
	mutex_lock(&vtd_units_lock);
	unit->live = live;
	if (live)
		list_add_tail(&unit->node, &vtd_units);
	mutex_unlock(&vtd_units_lock);
}

/* Take a unit from the list. Return: whether it was the last one. */
bool vtd_units_remove(struct vtd_unit *unit)
{
	bool last;

	mutex_lock(&vtd_units_lock);
	list_del(&unit->node);
	last = list_empty(&vtd_units);
	mutex_unlock(&vtd_units_lock);
	return last;
}

/**
 * vtd_find_vsec - find the vendor-specific capability that the machine's functions have
 * @pdev: any function
 * @flags: receives the flags word of the capability
 *
 * Return: offset in configuration space; 0 if the function has none.
 */
int vtd_find_vsec(struct pci_dev *pdev, u32 *flags)
{
	u8 at = pci_find_capability(pdev, PCI_CAP_ID_VNDR);

	for (; at; at = pci_find_next_capability(pdev, at, PCI_CAP_ID_VNDR)) {
		u32 signature = 0;
		u8 length = 0;

		pci_read_config_byte(pdev, at + PCI_CAP_FLAGS, &length);
		if (length < VTD_VSEC_LENGTH)
			continue;
		pci_read_config_dword(pdev, at + VTD_VSEC_SIGNATURE, &signature);
		if (signature != VTD_VSEC_SIGNATURE_VALUE)
			continue;
		pci_read_config_dword(pdev, at + VTD_VSEC_FLAGS, flags);
		return at;
	}
	return 0;
}

/**
 * vtd_unit_of_segment - find the unit of a function's PCI segment, in any state
 * @pdev: function of the machine
 *
 * Return: the unit, for as long as vtd_units_lock is held; NULL if there is none.
 */
struct vtd_unit *vtd_unit_of_segment(struct pci_dev *pdev)
{
	struct vtd_unit *unit;

	lockdep_assert_held(&vtd_units_lock);
	list_for_each_entry (unit, &vtd_units, node)
		if (pci_domain_nr(unit->pdev->bus) == pci_domain_nr(pdev->bus))
			return unit;
	return NULL;
}

/**
 * vtd_unit_for - find the unit that translates for a function
 * @pdev: function of the machine
 *
 * The scope of a unit is its PCI segment.
 *
 * Return: the unit, if it is live and not dead; otherwise NULL.
 */
struct vtd_unit *vtd_unit_for(struct pci_dev *pdev)
{
	struct vtd_unit *unit;

	mutex_lock(&vtd_units_lock);
	unit = vtd_unit_of_segment(pdev);
	if (unit && (!unit->live || vtd_unit_dead(unit)))
		unit = NULL;
	mutex_unlock(&vtd_units_lock);
	return unit;
}

static unsigned long vtd_unit_pgsizes(const struct vtd_unit *unit)
{
	return SZ_4K | (vtd_cap_2m(unit->cap) ? SZ_2M : 0) | (vtd_cap_1g(unit->cap) ? SZ_1G : 0);
}

/**
 * vtd_common_limits - find the properties that all units have
 * @limits: receives them
 *
 * Linux 6.1 allocates a domain without a device, so a domain promises only what every unit has.
 *
 * Return: false if there is no unit.
 */
bool vtd_common_limits(struct vtd_limits *limits)
{
	struct vtd_unit *unit;
	bool any = false;

	*limits = (struct vtd_limits){~0UL, VTD_SS_ADDRESS_BITS, 64, true, true};
	mutex_lock(&vtd_units_lock);
	list_for_each_entry (unit, &vtd_units, node) {
		limits->pgsizes &= vtd_unit_pgsizes(unit);
		limits->aperture_bits = min(limits->aperture_bits, vtd_cap_mgaw(unit->cap));
		limits->haw = min(limits->haw, unit->haw);
		limits->snoop &= !!(unit->ecap & VTD_ECAP_SC);
		limits->pass_through &= !!(unit->ecap & VTD_ECAP_PT);
		any = true;
	}
	mutex_unlock(&vtd_units_lock);
	return any;
}

/*
 * Can a unit record which pages devices write? VTD-SS-10: its walks must be snooped, too;
 * vtd_unit_start() takes no unit that does not do this.
 */
bool vtd_can_track(const struct vtd_unit *unit)
{
	return unit->ecap & VTD_ECAP_SSADS;
}

/* Return: -EINVAL if @unit lacks a property that @domain has promised since its allocation. */
int vtd_domain_fits(struct vtd_domain *domain, const struct vtd_unit *unit)
{
	if (domain->haw > unit->haw || domain->domain.pgsize_bitmap & ~vtd_unit_pgsizes(unit))
		return -EINVAL;
	if (domain->domain.geometry.aperture_end >> min(vtd_cap_mgaw(unit->cap), 63U))
		return -EINVAL;
	if (READ_ONCE(domain->force_snoop) && !(unit->ecap & VTD_ECAP_SC))
		return -EINVAL;
	if (domain->track && !vtd_can_track(unit))
		return -EINVAL;
	return 0;
}

/* Would a domain that is made now, with the current units, promise the same as @domain? */
bool vtd_domain_is_current(struct vtd_domain *domain)
{
	struct vtd_limits limits;

	return !wd_iommu_domain_lost(&domain->domain) && vtd_common_limits(&limits) &&
	       domain->haw == limits.haw && (limits.snoop || !READ_ONCE(domain->force_snoop)) &&
	       domain->domain.pgsize_bitmap == limits.pgsizes &&
	       domain->domain.geometry.aperture_end == vtd_aperture_end(&limits);
}
