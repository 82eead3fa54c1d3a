// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach, detach and replace in the IOMMU layer: of a domain, of a user-managed table with its
 * parent, and of the handler of page faults. The caller holds the group's lock.
 *
 * iommufd registers the handler before its table can fault, and unregisters it after the table is
 * detached. Then no new fault can arrive, and iommufd answers the groups that user space has not
 * answered. A replace lets the old handler get what the IOMMU has received for the old table, and
 * the new one what it receives when only the new table is in use; in between the device asks again.
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
 * Attach at the requester ids of the whole group (IOMMUFD-ATTACH-5). This asks the layer, not the
 * core: the core cannot replace a domain without a gap, and on the way from blocked to a nested
 * table it would attach the parent alone. For the core the group stays blocked, as it is since
 * iommufd claimed it. After an error this also detaches devices that were not attached yet, which
 * is harmless.
 */
static int iommufd_attach_group(struct iommu_group *group, struct iommufd_hwpt *hwpt)
{
	int rc = iommu_group_for_each_dev(group, hwpt, iommufd_attach_one);

	if (rc)
		iommu_group_for_each_dev(group, hwpt, iommufd_detach_one);
	return rc;
}

/* Attach a device that may have joined the group after the first attach. -EBUSY: it is attached. */
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
 * Virtual functions send page requests through the PRI of their physical function: a response
 * FAILURE to one of them would switch page requests off for all.
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
 * Make a handler for @hwpt's page faults.
 *
 * Return: NULL if no handler is needed; ERR_PTR of -EINVAL, -ENOMEM, errors of the IOMMU layer
 */
static struct iommufd_fault_source *iommufd_start_faults(struct iommufd_device *idev, u32 pasid,
							 struct iommufd_hwpt *hwpt)
{
	if (!hwpt->fault)
		return NULL;
	if (iommufd_shares_requests(idev->dev))
		return ERR_PTR(-EINVAL);
	return iommufd_fault_start(hwpt->fault, idev, pasid);
}

/*
 * The same for a table that replaces another. If @hwpt takes no faults but the old one did
 * (@instead), make a handler that refuses them: the device may still send page requests.
 */
static struct iommufd_fault_source *iommufd_prepare_faults(struct iommufd_device *idev, u32 pasid,
							   struct iommufd_hwpt *hwpt,
							   struct iommufd_fault_source *instead)
{
	if (!hwpt->fault && !instead)
		return NULL;
	if (hwpt->fault && iommufd_shares_requests(idev->dev))
		return ERR_PTR(-EINVAL);
	return iommufd_fault_prepare(hwpt->fault, idev, pasid, instead);
}

static void iommufd_stop_faults(struct iommufd_attach_link *link, u32 pasid)
{
	iommufd_fault_stop(link->faults, link->idev->dev, pasid);
	link->faults = NULL;
}

/* --- both --- */

/* Without an IOMMU there is nothing to attach. But the table must be one for such devices. */
static int iommufd_hw_check(struct iommufd_device *idev, struct iommufd_hwpt *hwpt)
{
	const bool noiommu = iommufd_device_is_noiommu(idev);

	return iommufd_domain_is_noiommu(iommufd_hwpt_to_paging(hwpt)->domain) == noiommu ? 0
											  : -EINVAL;
}

/* Whether the layer's record says the same as iommufd's. */
static bool iommufd_hw_agrees(struct device *dev, u32 pasid, struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(hwpt);

	return wd_iommu_attach_agrees(iommufd_hwpt_to_paging(hwpt)->domain,
				      nested ? nested->table : NULL, dev, pasid);
}

/**
 * iommufd_hw_attach() - attach a page table at a requester id or a PASID
 * @link: the device
 * @pasid: PASID, or IOMMU_NO_PASID for the requester id
 * @hwpt: page table
 * @first: the first device of the group to attach it. At the requester id, the first one attaches
 *	the whole group
 *
 * Return: 0, or the errors of the IOMMU layer, with nothing changed
 */
int iommufd_hw_attach(struct iommufd_attach_link *link, u32 pasid, struct iommufd_hwpt *hwpt,
		      bool first)
{
	struct iommufd_device *idev = link->idev;
	int rc;

	rc = iommufd_hw_check(idev, hwpt);
	if (rc || iommufd_device_is_noiommu(idev))
		return rc;
	link->faults = iommufd_start_faults(idev, pasid, hwpt);
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
 * @last: no other device of the group has it attached
 *
 * When this returns, all page faults from here are answered, also those of tables that were
 * replaced.
 */
void iommufd_hw_detach(struct iommufd_attach_link *link, u32 pasid, struct iommufd_hwpt *hwpt,
		       bool last)
{
	struct iommufd_device *idev = link->idev;

	if (iommufd_device_is_noiommu(idev))
		return;
	if (pasid != IOMMU_NO_PASID)
		iommufd_detach_pasid(idev->dev, pasid, hwpt);
	else if (last)
		iommufd_detach_group(idev->igroup->group, hwpt);
	iommufd_stop_faults(link, pasid);
}

/* --- replace --- */

/**
 * struct iommufd_swap - one prepared step of a replace: of a table or of a fault handler
 * @node: in iommufd_swaps.list
 * @hwpt: the new page table
 * @pasid: PASID, or IOMMU_NO_PASID
 * @entry: the layer's prepared replace; NULL if this is a step of a fault handler
 * @link: the device whose page faults change their handler; NULL if this is a step of a table
 * @faults: the new handler, or NULL if there is none before and after
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
	faults = iommufd_prepare_faults(link->idev, swap->pasid, swap->hwpt, link->faults);
	if (IS_ERR(faults))
		return PTR_ERR(faults);
	swap->link = link;
	swap->faults = faults;
	return 0;
}

/* At the requester id all devices of the group change, at a PASID only those that attached it. */
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

/*
 * The table changes between two changes of the handler, each of which waits for the page requests
 * that the IOMMU has received. The queue of the old table keeps those that it has, until they are
 * answered.
 */
static void iommufd_swap_commit(struct iommufd_swaps *swaps)
{
	struct iommufd_swap *swap;

	list_for_each_entry (swap, &swaps->list, node)
		if (swap->faults)
			iommufd_fault_pause(swap->faults, swap->link->idev->dev, swap->pasid);
	list_for_each_entry (swap, &swaps->list, node)
		if (swap->entry)
			wd_iommu_replace_commit(swap->entry);
	list_for_each_entry (swap, &swaps->list, node) {
		if (!swap->faults)
			continue;
		iommufd_fault_move(swap->link->faults, swap->faults, swap->link->idev->dev,
				   swap->pasid);
		swap->link->faults = swap->faults;
	}
}

/**
 * iommufd_hw_replace() - replace the page table of a whole group
 * @attach: record of the attachment, which has the old page table
 * @hwpt: the new page table
 *
 * All steps that may fail come first, for all devices; only then the devices change. Each DMA
 * request finds the old page table or the new one. Each page request reaches the queue of the table
 * that it was for; one that the IOMMU receives during the change reaches none, and the device
 * repeats it.
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

	link = list_first_entry(&attach->links, struct iommufd_attach_link, item);
	rc = iommufd_hw_check(link->idev, hwpt);
	if (rc || iommufd_device_is_noiommu(link->idev))
		return rc;
	INIT_LIST_HEAD(&swaps.list);
	rc = iommufd_swap_prepare(&swaps, attach);
	if (!rc)
		iommufd_swap_commit(&swaps);
	list_for_each_entry_safe (swap, next, &swaps.list, node) {
		if (rc)
			iommufd_swap_abort(swap);
		kfree(swap);
	}
	list_for_each_entry (link, &attach->links, item)
		WD_DEBUG_ON(!iommufd_hw_agrees(link->idev->dev, attach->pasid,
					       rc ? attach->hwpt : hwpt));
	return rc;
}
