// SPDX-License-Identifier: GPL-2.0-only
/*
 * What attaching, detaching and replacing mean for the IOMMU layer: attach of a domain, bind of a
 * user's table with its parent, and the handler of page faults. Under the group's lock.
 *
 * Handlers come before what may fault, and go after it: when nothing is on its way any more, what
 * user space has not answered is answered for it.
 */
#include <linux/pci-ats.h>
#include <linux/pci.h>

#include "iommu_pasid.h"
#include "iommufd_private.h"

/* --- page tables --- */

static int iommufd_bind_one(struct device *dev, void *data)
{
	struct iommufd_hwpt_nested *nested = data;

	return iommu_bind_pgtable(nested->parent->domain, dev, nested->table);
}

static int iommufd_unbind_one(struct device *dev, void *data)
{
	struct iommufd_hwpt_nested *nested = data;

	iommu_unbind_pgtable(nested->parent->domain, dev, nested->table);
	return 0;
}

/* The requester ids of the whole group; unbinding one that is not bound is harmless. */
static int iommufd_attach_group(struct iommu_group *group, struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(hwpt);
	struct iommu_domain *domain = iommufd_hwpt_to_paging(hwpt)->domain;
	int rc;

	rc = iommu_attach_group(domain, group);
	if (rc || !nested)
		return rc;
	rc = iommu_group_for_each_dev(group, nested, iommufd_bind_one);
	if (rc) {
		iommu_group_for_each_dev(group, nested, iommufd_unbind_one);
		iommu_detach_group(domain, group);
	}
	return rc;
}

static void iommufd_detach_group(struct iommu_group *group, struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(hwpt);

	if (nested)
		iommu_group_for_each_dev(group, nested, iommufd_unbind_one);
	iommu_detach_group(iommufd_hwpt_to_paging(hwpt)->domain, group);
}

static int iommufd_attach_pasid(struct device *dev, u32 pasid, struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(hwpt);
	struct iommu_domain *domain = iommufd_hwpt_to_paging(hwpt)->domain;

	if (nested)
		return iommu_bind_pgtable_pasid(domain, dev, nested->table, pasid);
	return iommu_attach_device_pasid(domain, dev, pasid);
}

static void iommufd_detach_pasid(struct device *dev, u32 pasid, struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(hwpt);
	struct iommu_domain *domain = iommufd_hwpt_to_paging(hwpt)->domain;

	if (nested)
		iommu_unbind_pgtable_pasid(domain, dev, nested->table, pasid);
	else
		iommu_detach_device_pasid(domain, dev, pasid);
}

/* --- page faults --- */

/*
 * Virtual functions ask in the name of their physical function: a FAILURE of one would switch the
 * page requests of all off (3.4).
 */
static bool iommufd_shares_requests(struct device *dev)
{
	struct pci_dev *pdev;

	if (!dev_is_pci(dev))
		return false;
	pdev = to_pci_dev(dev);
	return pdev->is_virtfn && pci_pri_supported(pdev);
}

static int iommufd_start_faults(struct iommufd_attach_link *link, u32 pasid,
				struct iommufd_hwpt *hwpt)
{
	struct iommufd_device *idev = link->idev;

	if (!hwpt->fault)
		return 0;
	if (iommufd_shares_requests(idev->dev))
		return -EINVAL;
	return iommufd_fault_start(&link->faults, hwpt->fault, idev->dev, idev->obj.id, pasid);
}

/* --- both --- */

/**
 * iommufd_install() - let a device, or PASID of it, use a page table
 * @link: the device
 * @pasid: PASID, or IOMMU_NO_PASID
 * @hwpt: page table
 * @first: no device of the group has it yet; the first one moves the requester ids of all
 *
 * Return: 0, or the errors of the IOMMU layer, with nothing changed
 */
int iommufd_install(struct iommufd_attach_link *link, u32 pasid, struct iommufd_hwpt *hwpt,
		    bool first)
{
	struct iommufd_device *idev = link->idev;
	int rc;

	rc = iommufd_start_faults(link, pasid, hwpt);
	if (rc)
		return rc;
	if (pasid != IOMMU_NO_PASID)
		rc = iommufd_attach_pasid(idev->dev, pasid, hwpt);
	else if (first)
		rc = iommufd_attach_group(idev->igroup->group, hwpt);
	if (rc)
		iommufd_fault_stop(&link->faults, idev->dev, pasid);
	return rc;
}

/**
 * iommufd_uninstall() - undo iommufd_install()
 * @link: the device
 * @pasid: as given then
 * @hwpt: as given then
 * @last: no other device of the group has it
 *
 * Its page faults are answered when this returns.
 */
void iommufd_uninstall(struct iommufd_attach_link *link, u32 pasid, struct iommufd_hwpt *hwpt,
		       bool last)
{
	struct iommufd_device *idev = link->idev;

	if (pasid != IOMMU_NO_PASID)
		iommufd_detach_pasid(idev->dev, pasid, hwpt);
	else if (last)
		iommufd_detach_group(idev->igroup->group, hwpt);
	iommufd_fault_stop(&link->faults, idev->dev, pasid);
}

/* One call moves the requester ids of the whole group, a PASID is moved device by device. */
static bool iommufd_moves_hardware(struct iommufd_attach *attach, struct iommufd_attach_link *link)
{
	return attach->pasid != IOMMU_NO_PASID || list_is_first(&link->item, &attach->links);
}

/* What moves the requester ids goes first. */
static void iommufd_uninstall_all(struct iommufd_attach *attach, struct iommufd_hwpt *hwpt)
{
	struct iommufd_attach_link *link;

	list_for_each_entry (link, &attach->links, item)
		iommufd_uninstall(link, attach->pasid, hwpt, iommufd_moves_hardware(attach, link));
}

/* What moves the requester ids comes last, when every device has its handler. */
static int iommufd_install_all(struct iommufd_attach *attach, struct iommufd_hwpt *hwpt)
{
	struct iommufd_attach_link *link;
	int rc = 0;

	list_for_each_entry_reverse (link, &attach->links, item) {
		rc = iommufd_install(link, attach->pasid, hwpt,
				     iommufd_moves_hardware(attach, link));
		if (rc)
			break;
	}
	if (rc)
		list_for_each_entry_continue(link, &attach->links, item) iommufd_uninstall(
			link, attach->pasid, hwpt, iommufd_moves_hardware(attach, link));
	return rc;
}

/**
 * iommufd_install_other() - replace the page table of a whole group
 * @attach: with the old page table
 * @hwpt: the new one
 *
 * Linux 6.1 has no atomic change: DMA is blocked between the two. The old table fitted before, so
 * going back to it does not fail.
 *
 * Return: 0, or the errors of the IOMMU layer, with the old one installed everywhere
 */
int iommufd_install_other(struct iommufd_attach *attach, struct iommufd_hwpt *hwpt)
{
	int rc;

	iommufd_uninstall_all(attach, attach->hwpt);
	rc = iommufd_install_all(attach, hwpt);
	if (rc)
		WARN_ON(iommufd_install_all(attach, attach->hwpt));
	return rc;
}
