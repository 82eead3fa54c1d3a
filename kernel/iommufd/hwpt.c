// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables that the kernel writes: an IOMMU domain that contains every mapping of an
 * IOAS as long as it lives. IOMMU_HWPT_ALLOC makes explicit ones; an attach of a device to an IOAS
 * makes automatic ones (IOMMUFD-HWPT-3, IOMMUFD-ATTACH-2).
 */
#include "iommu_pasid.h"
#include "iommufd_private.h"
#include "trace.h"

/**
 * iommufd_hwpt_create() - make a page table that does not follow its IOAS yet
 * @ictx: context
 * @ioas: held by the caller
 * @idev: device; the table is for its IOMMU
 * @flags: enum iommufd_hwpt_alloc_flags
 * @data: the user's description of the table, or NULL
 * @auto_domain: destroyed with its last user
 *
 * Return: the object, neither visible nor populated, or ERR_PTR(-EOPNOTSUPP, -ENOMEM, ...)
 */
struct iommufd_hwpt_paging *iommufd_hwpt_create(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
						struct iommufd_device *idev, u32 flags,
						const struct wd_user_data *data, bool auto_domain)
{
	struct iommufd_hwpt_paging *hwpt;

	hwpt = iommufd_object_alloc(ictx, hwpt, common.obj, IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(hwpt))
		return hwpt;
	hwpt->table = iommufd_table_get(ioas, idev, flags, data);
	if (IS_ERR(hwpt->table)) {
		int rc = PTR_ERR(hwpt->table);

		iommufd_object_abort(ictx, &hwpt->common.obj);
		return ERR_PTR(rc);
	}
	hwpt->domain = hwpt->table->domain;
	hwpt->auto_domain = auto_domain;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt->dirty_tracking = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	hwpt->common.pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	INIT_LIST_HEAD(&hwpt->hwpt_item);
	iommufd_object_use(&ioas->obj);
	hwpt->ioas = ioas;
	trace_iommufd_hwpt_alloc(idev->dev, hwpt->common.obj.id, ioas->obj.id, flags);
	return hwpt;
}

/*
 * Fill the page table and let it follow the IOAS. This puts an automatic one into the list where
 * other attaches find it, so the caller holds ioas->mutex then. Return: 0, or errors of
 * iommufd_table_fill(); for -EAGAIN see iopt_hold_get().
 */
int iommufd_hwpt_populate(struct iommufd_hwpt_paging *hwpt)
{
	int rc;

	rc = iommufd_table_fill(hwpt->ioas, hwpt->table);
	if (rc)
		return rc;
	hwpt->populated = true;
	if (hwpt->auto_domain) {
		lockdep_assert_held(&hwpt->ioas->mutex);
		list_add_tail(&hwpt->hwpt_item, &hwpt->ioas->hwpt_list);
	}
	return 0;
}

void iommufd_hwpt_paging_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_hwpt_paging *hwpt =
		container_of(obj, struct iommufd_hwpt_paging, common.obj);
	struct iommufd_ioas *ioas = hwpt->ioas;

	trace_iommufd_hwpt_free(obj->id);
	if (hwpt->populated && hwpt->auto_domain) {
		mutex_lock(&ioas->mutex);
		list_del(&hwpt->hwpt_item);
		mutex_unlock(&ioas->mutex);
	}
	iommufd_table_put(ioas, hwpt->table);
	iommufd_object_unuse(&ioas->obj);
	if (hwpt->common.fault)
		iommufd_object_unuse(&hwpt->common.fault->obj);
}

/* Drop the user of an attachment. The last one destroys an automatic page table. */
void iommufd_hwpt_put_user(struct iommufd_ctx *ictx, struct iommufd_hwpt *hwpt)
{
	if (!iommufd_hwpt_to_nested(hwpt) && iommufd_hwpt_to_paging(hwpt)->auto_domain)
		iommufd_object_put_last_user(ictx, &hwpt->obj);
	else
		iommufd_object_unuse(&hwpt->obj);
}

/*
 * As iommufd_hwpt_populate(), for a table that no other thread can see yet. This pins memory, for
 * which it may wait for ever, and holds no lock meanwhile.
 */
static int iommufd_hwpt_pin_and_populate(struct iommufd_hwpt_paging *hwpt)
{
	struct iopt_hold *hold = NULL;
	int rc;

	while ((rc = iommufd_hwpt_populate(hwpt)) == -EAGAIN) {
		rc = iopt_hold_get(&hwpt->ioas->iopt, &hold);
		if (rc)
			break;
	}
	iopt_hold_put(hold);
	return rc;
}

static struct device *iommufd_object_dev(struct iommufd_object *dev_obj)
{
	return container_of(dev_obj, struct iommufd_device, obj)->dev;
}

/*
 * Read the user's description of the table. This puts *@dev_obj before it touches user memory, for
 * the same reason as below, and looks it up again. After an error it is put.
 */
static int iommufd_hwpt_get_data(struct iommufd_ucmd *ucmd, struct iommufd_object **dev_obj,
				 struct wd_user_data *data)
{
	const struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	bool takes = wd_iommu_takes_domain_data(iommufd_object_dev(*dev_obj));
	int rc;

	iommufd_put_object(ucmd->ictx, *dev_obj);
	rc = takes ? iommufd_copy_user_data(data, cmd->data_type, cmd->data_uptr, cmd->data_len)
		   : -EOPNOTSUPP;
	if (rc)
		return rc;
	*dev_obj = iommufd_get_object(ucmd->ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	return PTR_ERR_OR_ZERO(*dev_obj);
}

/*
 * This puts @dev_obj before it fills the page table: filling may wait for user memory for ever, and
 * must not delay the removal of the device's driver. The page table does not need the device.
 */
static int iommufd_hwpt_alloc_on_ioas(struct iommufd_ucmd *ucmd, struct iommufd_ioas *ioas,
				      struct iommufd_object *dev_obj)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	bool described = cmd->data_type != IOMMU_HWPT_DATA_NONE;
	struct iommufd_hwpt_paging *hwpt;
	struct wd_user_data data;
	int rc;

	if (described) {
		rc = iommufd_hwpt_get_data(ucmd, &dev_obj, &data);
		if (rc)
			return rc;
	}
	hwpt = iommufd_hwpt_create(
		ucmd->ictx, ioas, container_of(dev_obj, struct iommufd_device, obj),
		cmd->flags & ~IOMMU_HWPT_FAULT_ID_VALID, described ? &data : NULL, false);
	iommufd_put_object(ucmd->ictx, dev_obj);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	ucmd->new_obj = &hwpt->common.obj;
	cmd->out_hwpt_id = hwpt->common.obj.id;
	return iommufd_hwpt_pin_and_populate(hwpt);
}

/* IOMMUFD-HWPT-2 */
static int iommufd_hwpt_check_ioas_flags(const struct iommu_hwpt_alloc *cmd)
{
	const u32 known = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	if (cmd->flags & ~known)
		return -EOPNOTSUPP;
	/* Only the nested tables on a parent report faults, each to its own queue. */
	if (cmd->flags & IOMMU_HWPT_FAULT_ID_VALID && cmd->flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
		return -EOPNOTSUPP;
	return 0;
}

/*
 * @pt is the IOAS or the parent of the new table (IOMMUFD-HWPT-1). This puts @dev_obj in any case.
 */
static int iommufd_hwpt_alloc_on(struct iommufd_ucmd *ucmd, struct iommufd_object *pt,
				 struct iommufd_object *dev_obj)
{
	int rc = -EINVAL;

	if (pt->type == IOMMUFD_OBJ_HWPT_PAGING)
		return iommufd_hwpt_alloc_nested(
			ucmd, container_of(pt, struct iommufd_hwpt_paging, common.obj), NULL,
			dev_obj);
	if (pt->type == IOMMUFD_OBJ_VIOMMU) {
		struct iommufd_viommu *viommu = container_of(pt, struct iommufd_viommu, obj);

		return iommufd_hwpt_alloc_nested(ucmd, viommu->parent, viommu, dev_obj);
	}
	if (pt->type == IOMMUFD_OBJ_IOAS)
		rc = iommufd_hwpt_check_ioas_flags(ucmd->cmd);
	if (!rc)
		return iommufd_hwpt_alloc_on_ioas(ucmd, container_of(pt, struct iommufd_ioas, obj),
						  dev_obj);
	iommufd_put_object(ucmd->ictx, dev_obj);
	return rc;
}

/* Last step: connect the new table with the fault queue that the caller names. */
static int iommufd_hwpt_set_fault(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt *hwpt = container_of(ucmd->new_obj, struct iommufd_hwpt, obj);
	struct iommufd_object *obj;

	if (!(cmd->flags & IOMMU_HWPT_FAULT_ID_VALID))
		return 0;
	obj = iommufd_get_object(ucmd->ictx, cmd->fault_id, IOMMUFD_OBJ_FAULT);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	iommufd_object_use(obj);
	hwpt->fault = container_of(obj, struct iommufd_fault, obj);
	iommufd_put_object(ucmd->ictx, obj);
	return 0;
}

int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_object *dev_obj, *pt;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if ((cmd->data_type == IOMMU_HWPT_DATA_NONE) != !cmd->data_len)
		return -EINVAL;

	dev_obj = iommufd_get_object(ucmd->ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(dev_obj))
		return PTR_ERR(dev_obj);
	pt = iommufd_get_object(ucmd->ictx, cmd->pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(pt)) {
		iommufd_put_object(ucmd->ictx, dev_obj);
		return -EINVAL;
	}
	rc = iommufd_hwpt_alloc_on(ucmd, pt, dev_obj);
	iommufd_put_object(ucmd->ictx, pt);
	if (!rc)
		rc = iommufd_hwpt_set_fault(ucmd);
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	return rc;
}
