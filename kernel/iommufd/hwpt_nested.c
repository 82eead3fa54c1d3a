// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables that user space writes, nested on a parent (IOMMUFD-HWPT-4). The kernel
 * never reads their content; the hardware reads it, through the parent.
 */
#include "iommu_pasid.h"
#include "iommu_viommu.h"
#include "iommufd_private.h"
#include "trace.h"

static int iommufd_check_parent(const struct iommu_hwpt_alloc *cmd,
				const struct iommufd_hwpt_paging *parent,
				const struct iommufd_viommu *viommu, struct device *dev)
{
	const u32 known = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

	if (viommu && !wd_viommu_owns(viommu->viommu, dev))
		return -EINVAL;
	if (cmd->flags & ~known || !cmd->data_len || !wd_iommu_can_nest(dev))
		return -EOPNOTSUPP;
	return parent->auto_domain || !parent->nest_parent ? -EINVAL : 0;
}

/*
 * A length above the buffer is no error here: the driver decides by it whether it knows the data.
 */
int iommufd_copy_user_data(struct wd_user_data *data, u32 type, u64 uptr, u32 len)
{
	memset(data, 0, sizeof(*data));
	data->type = type;
	data->len = len;
	if (copy_from_user(data->data, u64_to_user_ptr(uptr),
			   min_t(size_t, len, sizeof(data->data))))
		return -EFAULT;
	return 0;
}

/* IOMMUFD-HWPT-5 */
static int iommufd_hwpt_create_nested(struct iommufd_ucmd *ucmd, struct iommufd_hwpt_paging *parent,
				      struct iommufd_viommu *viommu, struct device *dev,
				      const struct wd_user_data *data)
{
	const u32 flags = ((struct iommu_hwpt_alloc *)ucmd->cmd)->flags & IOMMU_HWPT_ALLOC_PASID;
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt_nested *hwpt;

	hwpt = iommufd_object_alloc(ucmd->ictx, hwpt, common.obj, IOMMUFD_OBJ_HWPT_NESTED);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	hwpt->table = viommu ? wd_viommu_table_alloc(viommu->viommu, dev, flags, data)
			     : wd_iommu_pgtable_alloc(dev, parent->domain, flags, data);
	if (IS_ERR(hwpt->table)) {
		int rc = PTR_ERR(hwpt->table);

		iommufd_object_abort(ucmd->ictx, &hwpt->common.obj);
		return rc;
	}
	hwpt->common.pasid_compat = flags;
	iommufd_object_use(&parent->common.obj);
	hwpt->parent = parent;
	if (viommu)
		iommufd_object_use(&viommu->obj);
	hwpt->viommu = viommu;
	trace_iommufd_hwpt_alloc(dev, hwpt->common.obj.id, parent->common.obj.id, cmd->flags);
	ucmd->new_obj = &hwpt->common.obj;
	cmd->out_hwpt_id = hwpt->common.obj.id;
	return 0;
}

/**
 * iommufd_hwpt_alloc_nested() - IOMMU_HWPT_ALLOC with a page table or a virtual IOMMU as pt_id
 * @ucmd: command
 * @parent: held by the caller
 * @viommu: virtual IOMMU on @parent, held by the caller; or NULL
 * @dev_obj: device. This puts it before it reads user memory, so that a page which never arrives
 *	does not delay the removal of the device's driver, and looks it up again afterwards
 *
 * Return: 0 with a new object; -EOPNOTSUPP, -EINVAL as IOMMUFD-HWPT-4, -EFAULT, -ENOENT the device
 * was removed meanwhile, -ENOMEM
 */
int iommufd_hwpt_alloc_nested(struct iommufd_ucmd *ucmd, struct iommufd_hwpt_paging *parent,
			      struct iommufd_viommu *viommu, struct iommufd_object *dev_obj)
{
	struct iommu_hwpt_alloc *cmd = ucmd->cmd;
	struct wd_user_data data;
	int rc;

	rc = iommufd_check_parent(cmd, parent, viommu,
				  container_of(dev_obj, struct iommufd_device, obj)->dev);
	iommufd_put_object(ucmd->ictx, dev_obj);
	if (!rc)
		rc = iommufd_copy_user_data(&data, cmd->data_type, cmd->data_uptr, cmd->data_len);
	if (rc)
		return rc;
	dev_obj = iommufd_get_object(ucmd->ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(dev_obj))
		return PTR_ERR(dev_obj);
	rc = iommufd_hwpt_create_nested(ucmd, parent, viommu,
					container_of(dev_obj, struct iommufd_device, obj)->dev,
					&data);
	iommufd_put_object(ucmd->ictx, dev_obj);
	return rc;
}

void iommufd_hwpt_nested_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_hwpt_nested *hwpt =
		container_of(obj, struct iommufd_hwpt_nested, common.obj);

	trace_iommufd_hwpt_free(obj->id);
	wd_iommu_pgtable_free(hwpt->table);
	if (hwpt->viommu)
		iommufd_object_unuse(&hwpt->viommu->obj);
	iommufd_object_unuse(&hwpt->parent->common.obj);
	if (hwpt->common.fault)
		iommufd_object_unuse(&hwpt->common.fault->obj);
}
