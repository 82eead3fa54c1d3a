// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaching, detaching and replacing in the IOMMU layer: attach of a domain, bind of a user's table
 * with its parent, and the handler of page faults. Under the group's lock.
 *
 * A handler is registered before its table can fault, and unregistered afterwards: when no fault is
 * under way any more, the kernel answers the groups that user space has not answered.
 */
#include <linux/err.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "iommufd_private.h"
#include "wd_debug.h"

/* --- page tables --- */

static int iommufd_attach_one(struct device *dev, void *data)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(data);
	struct iommu_domain *domain = iommufd_hwpt_to_paging(data)->domain;

	if (nested)
		return wd_iommu_bind_pgtable(domain, dev, nested->table);
	return wd_iommu_attach_rid(domain, dev);
}

static int iommufd_detach_one(struct device *dev, void *data)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(data);
	struct iommu_domain *domain = iommufd_hwpt_to_paging(data)->domain;

	if (nested)
		wd_iommu_unbind_pgtable(domain, dev, nested->table);
	else
		wd_iommu_detach_rid(domain, dev);
	return 0;
}

/*
 * The requester ids of the whole group. For the core they stay blocked, as they are since the group
 * was claimed: it cannot put one domain in the place of another, nor go from blocked to a nested
 * table without the bare parent between. Detaching one that is not attached is harmless.
 * (IOMMUFD-ATTACH-5)
 */
static int iommufd_attach_group(struct iommu_group *group, struct iommufd_hwpt *hwpt)
{
	int rc = iommu_group_for_each_dev(group, hwpt, iommufd_attach_one);

	if (rc)
		iommu_group_for_each_dev(group, hwpt, iommufd_detach_one);
	return rc;
}

/* One that has joined the group since the first attach is still blocked. */
static int iommufd_attach_late(struct device *dev, struct iommufd_hwpt *hwpt)
{
	int rc = iommufd_attach_one(dev, hwpt);

	return rc == -EBUSY ? 0 : rc;
}

static void iommufd_detach_group(struct iommu_group *group, struct iommufd_hwpt *hwpt)
{
	iommu_group_for_each_dev(group, hwpt, iommufd_detach_one);
}

static int iommufd_attach_pasid(struct device *dev, u32 pasid, struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(hwpt);
	struct iommu_domain *domain = iommufd_hwpt_to_paging(hwpt)->domain;

	if (nested)
		return wd_iommu_bind_pgtable_pasid(domain, dev, nested->table, pasid);
	return wd_iommu_attach_device_pasid(domain, dev, pasid);
}

static void iommufd_detach_pasid(struct device *dev, u32 pasid, struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(hwpt);
	struct iommu_domain *domain = iommufd_hwpt_to_paging(hwpt)->domain;

	if (nested)
		wd_iommu_unbind_pgtable_pasid(domain, dev, nested->table, pasid);
	else
		wd_iommu_detach_device_pasid(domain, dev, pasid);
}

/* --- page faults --- */

/*
 * Virtual functions ask in the name of their physical function: a FAILURE of one would switch the
 * page requests of all off.
 */
static bool iommufd_shares_requests(struct device *dev)
{
	struct pci_dev *pdev;

	if (!dev_is_pci(dev))
		return false;
	pdev = to_pci_dev(dev);
	return pdev->is_virtfn && pci_pri_supported(pdev);
}

/*
 * A handler for @hwpt's page faults, or one that refuses them if @hwpt takes none and takes the
 * place of @instead: the device may send page requests as long as something is attached.
 *
 * Return: NULL if there is none to be; ERR_PTR of -EINVAL, -ENOMEM, errors of the IOMMU layer
 */
static struct iommufd_fault_source *iommufd_start_faults(struct iommufd_device *idev, u32 pasid,
							 struct iommufd_hwpt *hwpt,
							 struct iommufd_fault_source *instead)
{
	if (!hwpt->fault && !instead)
		return NULL;
	if (hwpt->fault && iommufd_shares_requests(idev->dev))
		return ERR_PTR(-EINVAL);
	return iommufd_fault_start(hwpt->fault, idev, pasid, instead);
}

static void iommufd_stop_faults(struct iommufd_attach_link *link, u32 pasid)
{
	iommufd_fault_stop(link->faults, link->idev->dev, pasid);
	link->faults = NULL;
}

/* --- both --- */

/* The layer's record is the same as that of iommufd. */
static bool iommufd_hw_agrees(struct device *dev, u32 pasid, struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(hwpt);

	return wd_iommu_attach_agrees(iommufd_hwpt_to_paging(hwpt)->domain,
				      nested ? nested->table : NULL, dev, pasid);
}

/**
 * iommufd_hw_attach() - let a device, or PASID of it, use a page table
 * @link: the device
 * @pasid: PASID, or IOMMU_NO_PASID
 * @hwpt: page table
 * @first: no device of the group has it yet; the first one moves the requester ids of all
 *
 * Return: 0, or the errors of the IOMMU layer, with nothing changed
 */
int iommufd_hw_attach(struct iommufd_attach_link *link, u32 pasid, struct iommufd_hwpt *hwpt,
		      bool first)
{
	struct iommufd_device *idev = link->idev;
	int rc = 0;

	link->faults = iommufd_start_faults(idev, pasid, hwpt, NULL);
	if (IS_ERR(link->faults))
		return PTR_ERR(link->faults);
	if (pasid != IOMMU_NO_PASID)
		rc = iommufd_attach_pasid(idev->dev, pasid, hwpt);
	else if (first)
		rc = iommufd_attach_group(idev->igroup->group, hwpt);
	else
		rc = iommufd_attach_late(idev->dev, hwpt);
	if (rc)
		iommufd_stop_faults(link, pasid);
	else
		WD_DEBUG_ON(!iommufd_hw_agrees(idev->dev, pasid, hwpt));
	return rc;
}

/**
 * iommufd_hw_detach() - undo iommufd_hw_attach()
 * @link: the device
 * @pasid: as given then
 * @hwpt: as given then
 * @last: no other device of the group has it
 *
 * When this returns its page faults are answered, and those of tables that it had before.
 */
void iommufd_hw_detach(struct iommufd_attach_link *link, u32 pasid, struct iommufd_hwpt *hwpt,
		       bool last)
{
	struct iommufd_device *idev = link->idev;

	if (pasid != IOMMU_NO_PASID)
		iommufd_detach_pasid(idev->dev, pasid, hwpt);
	else if (last)
		iommufd_detach_group(idev->igroup->group, hwpt);
	iommufd_stop_faults(link, pasid);
}

/* --- one in the place of another --- */

/**
 * struct iommufd_swap - preparation of one device of the group for its new page table
 * @node: in a list of them
 * @hwpt: the new page table
 * @pasid: PASID, or IOMMU_NO_PASID
 * @entry: the IOMMU layer's; NULL in one of a link
 * @link: its page faults are to go elsewhere; NULL in one of @entry
 * @faults: where, or NULL if there never was a handler
 */
struct iommufd_swap {
	struct list_head node;
	struct iommufd_hwpt *hwpt;
	u32 pasid;
	struct wd_replace *entry;
	struct iommufd_attach_link *link;
	struct iommufd_fault_source *faults;
};

struct iommufd_swaps {
	struct list_head list;
	struct iommufd_hwpt *hwpt;
	u32 pasid;
};

static struct iommufd_swap *iommufd_swap_add(struct iommufd_swaps *swaps)
{
	struct iommufd_swap *swap = kzalloc(sizeof(*swap), GFP_KERNEL_ACCOUNT);

	if (!swap)
		return ERR_PTR(-ENOMEM);
	swap->hwpt = swaps->hwpt;
	swap->pasid = swaps->pasid;
	list_add(&swap->node, &swaps->list);
	return swap;
}

static int iommufd_swap_entry(struct device *dev, void *data)
{
	struct iommufd_swap *swap = iommufd_swap_add(data);
	struct iommufd_hwpt_nested *nested;
	struct wd_replace *entry;

	if (IS_ERR(swap))
		return PTR_ERR(swap);
	nested = iommufd_hwpt_to_nested(swap->hwpt);
	entry = wd_iommu_replace_prepare(iommufd_hwpt_to_paging(swap->hwpt)->domain,
					 nested ? nested->table : NULL, dev, swap->pasid);
	if (IS_ERR(entry))
		return PTR_ERR(entry);
	swap->entry = entry;
	return 0;
}

static int iommufd_swap_faults(struct iommufd_swaps *swaps, struct iommufd_attach_link *link)
{
	struct iommufd_swap *swap = iommufd_swap_add(swaps);
	struct iommufd_fault_source *faults;

	if (IS_ERR(swap))
		return PTR_ERR(swap);
	faults = iommufd_start_faults(link->idev, swap->pasid, swap->hwpt, link->faults);
	if (IS_ERR(faults))
		return PTR_ERR(faults);
	swap->link = link;
	swap->faults = faults;
	return 0;
}

/* The requester ids of the whole group move together, a PASID is moved device by device. */
static int iommufd_swap_prepare(struct iommufd_swaps *swaps, struct iommufd_attach *attach)
{
	struct iommufd_attach_link *link;
	int rc;

	list_for_each_entry (link, &attach->links, item) {
		rc = iommufd_swap_faults(swaps, link);
		if (!rc && attach->pasid != IOMMU_NO_PASID)
			rc = iommufd_swap_entry(link->idev->dev, swaps);
		if (rc)
			return rc;
	}
	if (attach->pasid != IOMMU_NO_PASID)
		return 0;
	link = list_first_entry(&attach->links, struct iommufd_attach_link, item);
	return iommu_group_for_each_dev(link->idev->igroup->group, swaps, iommufd_swap_entry);
}

static void iommufd_swap_abort(struct iommufd_swap *swap)
{
	if (swap->entry)
		wd_iommu_replace_abort(swap->entry);
	if (!swap->faults)
		return;
	if (swap->link->faults)
		iommufd_fault_free(swap->faults);
	else
		iommufd_fault_stop(swap->faults, swap->link->idev->dev, swap->pasid);
}

/* Page requests of the old table stay with it, to be answered. */
static void iommufd_swap_commit(struct iommufd_swap *swap)
{
	if (swap->entry)
		wd_iommu_replace_commit(swap->entry);
	if (!swap->faults)
		return;
	if (swap->link->faults)
		iommufd_fault_move(swap->link->faults, swap->faults, swap->link->idev->dev,
				   swap->pasid);
	swap->link->faults = swap->faults;
}

/**
 * iommufd_hw_replace() - replace the page table of a whole group
 * @attach: with the old page table
 * @hwpt: the new one
 *
 * All steps that may fail are done for all devices before any of them is changed. A request of a
 * device finds the old page table or the new one.
 *
 * Return: 0, or the errors of the IOMMU layer, with nothing changed
 *
 * Rules: IOMMUFD-ATTACH-7.
 */
int iommufd_hw_replace(struct iommufd_attach *attach, struct iommufd_hwpt *hwpt)
{
	struct iommufd_swaps swaps = {.hwpt = hwpt, .pasid = attach->pasid};
	struct iommufd_attach_link *link;
	struct iommufd_swap *swap, *next;
	int rc;

	INIT_LIST_HEAD(&swaps.list);
	rc = iommufd_swap_prepare(&swaps, attach);
	list_for_each_entry_safe (swap, next, &swaps.list, node) {
		if (rc)
			iommufd_swap_abort(swap);
		else
			iommufd_swap_commit(swap);
		kfree(swap);
	}
	list_for_each_entry (link, &attach->links, item)
		WD_DEBUG_ON(!iommufd_hw_agrees(link->idev->dev, attach->pasid,
					       rc ? attach->hwpt : hwpt));
	return rc;
}
