// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaching page tables to bound devices, by requester id or by PASID (IOMMUFD-ATTACH-1).
 *
 * Everything here runs under the group's lock. hw_attach.c tells the IOMMU layer. The group has a
 * record for each PASID: the page table, and the devices that attached it. As long as the requester
 * id of a device is attached to an IOAS, the device's reserved regions cannot be mapped there.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "iommufd.h"
#include "iommufd_private.h"
#include "trace.h"

/**
 * struct iommufd_attach_op - an attach or replace that is running
 * @idev: device
 * @pasid: PASID or IOMMU_NO_PASID
 * @replace: change an attachment, instead of attaching
 * @old: page table that was replaced. Its users are dropped after the locks, since that may destroy
 *	it
 * @nr_old: number of users to drop
 */
struct iommufd_attach_op {
	struct iommufd_device *idev;
	u32 pasid;
	bool replace;
	struct iommufd_hwpt *old;
	unsigned int nr_old;
};

/*
 * IOMMUFD-ATTACH-4: a PASID needs a page table made with IOMMU_HWPT_ALLOC_PASID. So does the
 * requester id while something is attached at a PASID.
 */
static int iommufd_check_pasid(struct iommufd_device *idev, struct iommufd_hwpt *hwpt, u32 pasid)
{
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attach *rid;

	if (pasid == IOMMU_NO_PASID)
		return igroup->nr_pasids && !hwpt->pasid_compat ? -EINVAL : 0;

	if (!hwpt->pasid_compat)
		return -EINVAL;
	rid = xa_load(&igroup->attaches, IOMMU_NO_PASID);
	if (rid && !rid->hwpt->pasid_compat)
		return -EINVAL;
	return pasid < wd_iommu_max_pasids(idev->dev) ? 0 : -EINVAL;
}

/* IOMMUFD-ATTACH-6: reserve the device's regions in an IOAS, with @link as their owner. */
static int iommufd_reserve_regions(struct iommufd_attach_link *link, struct io_pagetable *iopt)
{
	struct iommufd_device *idev = link->idev;
	struct iommu_resv_region *region;
	LIST_HEAD(regions);
	int rc;

	if (iommufd_device_is_noiommu(idev))
		return 0;
	rc = iommu_get_group_resv_regions(idev->igroup->group, &regions);
	if (rc)
		return rc;
	list_for_each_entry (region, &regions, list) {
		if (region->type == IOMMU_RESV_DIRECT_RELAXABLE || !region->length)
			continue;
		/* The kernel would have to map the interrupt window; no unit here needs that. */
		rc = region->type == IOMMU_RESV_SW_MSI
			     ? -EOPNOTSUPP
			     : iopt_reserve(iopt, region->start,
					    region->start + (region->length - 1), link);
		if (rc)
			break;
	}
	iommu_put_resv_regions(idev->dev, &regions);
	if (rc)
		iopt_unreserve(iopt, link);
	return rc;
}

static struct iommufd_attach *iommufd_attach_get(struct iommufd_group *igroup, u32 pasid,
						 struct iommufd_hwpt *hwpt)
{
	struct iommufd_attach *attach = xa_load(&igroup->attaches, pasid);
	int rc;

	if (attach)
		return attach;
	attach = kzalloc(sizeof(*attach), GFP_KERNEL_ACCOUNT);
	if (!attach)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&attach->links);
	attach->hwpt = hwpt;
	attach->pasid = pasid;
	rc = xa_err(xa_store(&igroup->attaches, pasid, attach, GFP_KERNEL_ACCOUNT));
	if (rc) {
		kfree(attach);
		return ERR_PTR(rc);
	}
	if (pasid != IOMMU_NO_PASID)
		igroup->nr_pasids++;
	return attach;
}

static void iommufd_attach_put(struct iommufd_group *igroup, struct iommufd_attach *attach)
{
	if (!list_empty(&attach->links))
		return;
	if (attach->pasid != IOMMU_NO_PASID)
		igroup->nr_pasids--;
	xa_erase(&igroup->attaches, attach->pasid);
	kfree(attach);
}

static int iommufd_attach_locked(struct iommufd_device *idev, u32 pasid, struct iommufd_hwpt *hwpt)
{
	struct io_pagetable *iopt = &iommufd_hwpt_to_paging(hwpt)->ioas->iopt;
	struct iommufd_group *igroup = idev->igroup;
	struct iommufd_attach_link *link;
	struct iommufd_attach *attach;
	int rc;

	lockdep_assert_held(&igroup->lock);

	if (xa_load(&idev->links, pasid))
		return -EBUSY;
	attach = xa_load(&igroup->attaches, pasid);
	if (attach && attach->hwpt != hwpt)
		return -EINVAL;

	link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	if (!link)
		return -ENOMEM;
	link->idev = idev;
	if (pasid == IOMMU_NO_PASID) {
		rc = iommufd_reserve_regions(link, iopt);
		if (rc)
			goto err_free;
	}
	rc = iommufd_check_pasid(idev, hwpt, pasid);
	if (rc)
		goto err_unreserve;
	rc = xa_err(xa_store(&idev->links, pasid, link, GFP_KERNEL_ACCOUNT));
	if (rc)
		goto err_unreserve;
	attach = iommufd_attach_get(igroup, pasid, hwpt);
	if (IS_ERR(attach)) {
		rc = PTR_ERR(attach);
		goto err_erase;
	}
	rc = iommufd_hw_attach(link, pasid, hwpt, list_empty(&attach->links));
	if (rc)
		goto err_attach;
	link->attach = attach;
	list_add_tail(&link->item, &attach->links);
	iommufd_object_use(&hwpt->obj);
	return 0;

err_attach:
	iommufd_attach_put(igroup, attach);
err_erase:
	xa_erase(&idev->links, pasid);
err_unreserve:
	if (pasid == IOMMU_NO_PASID)
		iopt_unreserve(iopt, link);
err_free:
	kfree(link);
	return rc;
}

/* Return: the page table that was attached. The caller drops its user after the lock. */
static struct iommufd_hwpt *iommufd_detach_locked(struct iommufd_device *idev, u32 pasid)
{
	struct iommufd_attach_link *link = xa_erase(&idev->links, pasid);
	struct iommufd_hwpt *hwpt;
	struct iommufd_attach *attach;

	lockdep_assert_held(&idev->igroup->lock);

	if (!link)
		return NULL;
	attach = link->attach;
	hwpt = attach->hwpt;
	list_del(&link->item);
	iommufd_hw_detach(link, pasid, hwpt, list_empty(&attach->links));
	if (pasid == IOMMU_NO_PASID)
		iopt_unreserve(&iommufd_hwpt_to_paging(hwpt)->ioas->iopt, link);
	iommufd_attach_put(idev->igroup, attach);
	kfree(link);
	return hwpt;
}

static int iommufd_replace_reserve(struct iommufd_attach *attach, struct iommufd_ioas *ioas)
{
	struct iommufd_attach_link *link;
	int rc;

	if (attach->pasid != IOMMU_NO_PASID || iommufd_hwpt_to_paging(attach->hwpt)->ioas == ioas)
		return 0;
	list_for_each_entry (link, &attach->links, item) {
		rc = iommufd_reserve_regions(link, &ioas->iopt);
		if (rc) {
			list_for_each_entry_continue_reverse (link, &attach->links, item)
				iopt_unreserve(&ioas->iopt, link);
			return rc;
		}
	}
	return 0;
}

static void iommufd_replace_unreserve(struct iommufd_attach *attach, struct iommufd_ioas *ioas)
{
	struct iommufd_attach_link *link;

	list_for_each_entry (link, &attach->links, item)
		iopt_unreserve(&ioas->iopt, link);
}

/* IOMMUFD-ATTACH-3 */
static int iommufd_replace_locked(struct iommufd_attach_op *op, struct iommufd_hwpt *hwpt)
{
	struct iommufd_device *idev = op->idev;
	struct iommufd_attach_link *link = xa_load(&idev->links, op->pasid);
	struct iommufd_ioas *ioas = iommufd_hwpt_to_paging(hwpt)->ioas, *old_ioas;
	struct iommufd_hwpt *old;
	struct iommufd_attach *attach;
	int rc;

	lockdep_assert_held(&idev->igroup->lock);

	if (!link)
		return -EINVAL;
	attach = link->attach;
	old = attach->hwpt;
	if (old == hwpt)
		return 0;
	old_ioas = iommufd_hwpt_to_paging(old)->ioas;
	rc = iommufd_replace_reserve(attach, ioas);
	if (rc)
		return rc;
	rc = iommufd_check_pasid(idev, hwpt, op->pasid);
	if (!rc)
		rc = iommufd_hw_replace(attach, hwpt);
	if (op->pasid == IOMMU_NO_PASID && old_ioas != ioas)
		iommufd_replace_unreserve(attach, rc ? ioas : old_ioas);
	if (rc)
		return rc;

	attach->hwpt = hwpt;
	op->old = old;
	list_for_each_entry (link, &attach->links, item) {
		iommufd_object_use(&hwpt->obj);
		op->nr_old++;
	}
	return 0;
}

static int iommufd_attach_op_hwpt(struct iommufd_attach_op *op, struct iommufd_hwpt *hwpt)
{
	if (op->replace)
		return iommufd_replace_locked(op, hwpt);
	return iommufd_attach_locked(op->idev, op->pasid, hwpt);
}

/* Use the first automatic table of the IOAS that fits. -EINVAL of the driver: it does not fit. */
static int iommufd_attach_op_existing(struct iommufd_attach_op *op, struct iommufd_ioas *ioas,
				      u32 *pt_id)
{
	struct iommufd_ctx *ictx = op->idev->ictx;
	struct iommufd_hwpt_paging *hwpt;
	int rc = -EINVAL;

	list_for_each_entry (hwpt, &ioas->hwpt_list, hwpt_item) {
		/* iommufd_hold_object() fails if another thread is destroying the table. */
		if (!hwpt->auto_domain || !iommufd_hold_object(ictx, &hwpt->common.obj))
			continue;
		rc = iommufd_attach_op_hwpt(op, &hwpt->common);
		if (!rc)
			*pt_id = hwpt->common.obj.id;
		iommufd_put_object(ictx, &hwpt->common.obj);
		if (rc != -EINVAL)
			break;
	}
	return rc;
}

/*
 * Check what can be checked before a new automatic table is made and filled. Automatic tables
 * cannot be used at PASIDs, nor at the requester id while PASIDs are attached.
 */
static int iommufd_check_automatic(const struct iommufd_attach_op *op)
{
	bool attached = xa_load(&op->idev->links, op->pasid);

	if (attached != op->replace)
		return attached ? -EBUSY : -EINVAL;
	return op->pasid != IOMMU_NO_PASID || op->idev->igroup->nr_pasids ? -EINVAL : 0;
}

/* ioas->mutex is held from search to creation: two equal devices share one automatic table. */
static int iommufd_attach_op_ioas(struct iommufd_attach_op *op, struct iommufd_ioas *ioas,
				  u32 *pt_id)
{
	struct iommufd_device *idev = op->idev;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	rc = iommufd_check_automatic(op);
	if (rc)
		return rc;
	rc = mutex_lock_killable(&ioas->mutex);
	if (rc)
		return rc;
	rc = iommufd_attach_op_existing(op, ioas, pt_id);
	if (rc != -EINVAL) {
		mutex_unlock(&ioas->mutex);
		return rc;
	}
	hwpt = iommufd_hwpt_create(idev->ictx, ioas, idev, 0, NULL, true);
	if (IS_ERR(hwpt)) {
		mutex_unlock(&ioas->mutex);
		return PTR_ERR(hwpt);
	}
	rc = iommufd_hwpt_populate(hwpt);
	if (!rc)
		rc = iommufd_attach_op_hwpt(op, &hwpt->common);
	if (!rc) {
		*pt_id = hwpt->common.obj.id;
		iommufd_object_finalize(idev->ictx, &hwpt->common.obj);
	}
	mutex_unlock(&ioas->mutex);
	/* The object was never visible by its id, so nothing else uses it. */
	if (rc)
		iommufd_object_abort_and_destroy(idev->ictx, &hwpt->common.obj);
	return rc;
}

static int iommufd_attach_op_pt(struct iommufd_attach_op *op, u32 *pt_id)
{
	struct iommufd_device *idev = op->idev;
	struct iommufd_object *pt;
	int rc;

	if (idev->igroup->shared && op->pasid == IOMMU_NO_PASID)
		return -EPERM;
	pt = iommufd_get_object(idev->ictx, *pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(pt))
		return PTR_ERR(pt);

	rc = mutex_lock_killable(&idev->igroup->lock);
	if (rc)
		goto out_put;
	switch (pt->type) {
	case IOMMUFD_OBJ_HWPT_PAGING:
	case IOMMUFD_OBJ_HWPT_NESTED:
		rc = iommufd_attach_op_hwpt(op, container_of(pt, struct iommufd_hwpt, obj));
		break;
	case IOMMUFD_OBJ_IOAS:
		rc = iommufd_attach_op_ioas(op, container_of(pt, struct iommufd_ioas, obj), pt_id);
		break;
	default:
		rc = -EINVAL;
		break;
	}
	mutex_unlock(&idev->igroup->lock);
out_put:
	iommufd_put_object(idev->ictx, pt);
	while (op->nr_old--)
		iommufd_hwpt_put_user(idev->ictx, op->old);
	return rc;
}

/**
 * iommufd_device_attach() - connect a device with an address space
 * @idev: bound device
 * @pasid: PASID, or IOMMU_NO_PASID for the requester id
 * @pt_id: in: a HWPT; or an IOAS, and this finds or makes a HWPT for it; out: the HWPT in use
 *
 * After success the device can do DMA. After an error nothing has changed.
 *
 * Return: 0; -ENOENT no such object, -EPERM requester id of a shared bind, -EBUSY attached already,
 * -EAGAIN the memory of the IOAS has to be pinned first, see iommufd_prepare_attach(), -EINVAL the
 * object has the wrong type, the group uses another table there, or the table does not fit the
 * device or the PASID, -EADDRINUSE reserved regions of the device are mapped, -EOPNOTSUPP, -ENOMEM,
 * -EINTR the caller is being killed, errors of the IOMMU driver
 */
int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id)
{
	struct iommufd_attach_op op = {.idev = idev, .pasid = pasid};
	int rc = iommufd_attach_op_pt(&op, pt_id);

	trace_iommufd_attach(idev->dev, pasid, *pt_id, rc);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_device_attach);

/**
 * iommufd_device_replace() - change an attachment
 * @idev: bound device
 * @pasid: as in iommufd_device_attach()
 * @pt_id: as in iommufd_device_attach()
 *
 * Each DMA request of the device finds the old page table or the new one. The fault queue of the
 * old one keeps its page requests, until they are answered. After an error the old attachment
 * stays.
 *
 * Return: as iommufd_device_attach(), -EINVAL also if nothing is attached
 */
int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid, u32 *pt_id)
{
	struct iommufd_attach_op op = {.idev = idev, .pasid = pasid, .replace = true};
	int rc = iommufd_attach_op_pt(&op, pt_id);

	trace_iommufd_replace(idev->dev, pasid, *pt_id, rc);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_device_replace);

/**
 * iommufd_prepare_attach() - pin the memory of an IOAS before its first page table is made
 * @ictx: context
 * @pt_id: as given to iommufd_device_attach() or iommufd_device_replace(), which returned -EAGAIN
 * @hold: NULL at first. The caller gives it to iommufd_prepared() after the attach, also if this
 *	fails
 *
 * The process that owns the memory can make this wait for ever, so the caller must hold no lock
 * that others need. Afterwards the caller tries the attach again, which may return -EAGAIN again.
 *
 * Return: 0; -ENOENT no such IOAS, -ENOMEM, -EINTR the caller is being killed, errors of pinning
 */
int iommufd_prepare_attach(struct iommufd_ctx *ictx, u32 pt_id, struct iopt_hold **hold)
{
	struct iommufd_ioas *ioas = iommufd_get_ioas(ictx, pt_id);
	int rc;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iopt_hold_get(&ioas->iopt, hold);
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_prepare_attach);

/**
 * iommufd_prepared() - give back the pins of iommufd_prepare_attach(), after the attach
 * @hold: as filled by iommufd_prepare_attach(), or NULL
 */
void iommufd_prepared(struct iopt_hold *hold)
{
	iopt_hold_put(hold);
}
EXPORT_SYMBOL_GPL(iommufd_prepared);

/**
 * iommufd_device_detach() - detach the page table; DMA is blocked from now on
 * @idev: bound device
 * @pasid: as in iommufd_device_attach(); harmless if nothing is attached there
 */
void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid)
{
	struct iommufd_hwpt *hwpt;

	mutex_lock(&idev->igroup->lock);
	hwpt = iommufd_detach_locked(idev, pasid);
	mutex_unlock(&idev->igroup->lock);
	if (!hwpt)
		return;
	trace_iommufd_detach(idev->dev, pasid, hwpt->obj.id);
	iommufd_hwpt_put_user(idev->ictx, hwpt);
}
EXPORT_SYMBOL_GPL(iommufd_device_detach);

/**
 * iommufd_device_refuse_faults() - answer the page faults that user space has not answered
 * @idev: bound device
 * @pasid: as in iommufd_device_attach(); harmless if nothing is attached there
 *
 * The answer is INVALID. For drivers that have to stop a queue which waits for such an answer. New
 * faults may arrive afterwards.
 */
void iommufd_device_refuse_faults(struct iommufd_device *idev, ioasid_t pasid)
{
	struct iommufd_attach_link *link;

	mutex_lock(&idev->igroup->lock);
	link = xa_load(&idev->links, pasid);
	if (link)
		iommufd_fault_refuse(link->faults);
	mutex_unlock(&idev->igroup->lock);
}
EXPORT_SYMBOL_GPL(iommufd_device_refuse_faults);
