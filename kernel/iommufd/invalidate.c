// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_HWPT_INVALIDATE: user space has changed its table (IOMMUFD-INV-2). This copies the array of
 * requests piece by piece, and holds no lock meanwhile.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "iommu_viommu.h"
#include "iommufd_private.h"
#include "trace.h"

#define IOMMUFD_MAX_REQUESTS (1U << 19)

/* IOMMUFD-INV-1 */
static int iommufd_check_array(const struct iommu_hwpt_invalidate *cmd)
{
	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->entry_num && (!cmd->data_uptr || !cmd->entry_len || cmd->entry_len > PAGE_SIZE ||
			       cmd->entry_num > IOMMUFD_MAX_REQUESTS))
		return -EINVAL;
	return 0;
}

/* The object is a nested table or a virtual IOMMU. */
static int iommufd_invalidate_entries(struct iommufd_object *obj, u32 type, const void *entries,
				      u32 entry_len, u32 count, u32 *done)
{
	if (obj->type == IOMMUFD_OBJ_VIOMMU)
		return wd_viommu_invalidate(container_of(obj, struct iommufd_viommu, obj)->viommu,
					    type, entries, entry_len, count, done);
	return wd_iommu_cache_invalidate(
		container_of(obj, struct iommufd_hwpt_nested, common.obj)->table, type, entries,
		entry_len, count, done);
}

static int iommufd_invalidate_piece(const struct iommu_hwpt_invalidate *cmd,
				    struct iommufd_object *obj, void *buffer, u32 at, u32 *done)
{
	u32 count = min_t(u32, cmd->entry_num - at, PAGE_SIZE / cmd->entry_len);
	size_t length = (size_t)count * cmd->entry_len;

	*done = 0;
	if (copy_from_user(buffer, u64_to_user_ptr(cmd->data_uptr + (u64)at * cmd->entry_len),
			   length))
		return -EFAULT;
	return iommufd_invalidate_entries(obj, cmd->data_type, buffer, cmd->entry_len, count, done);
}

static int iommufd_invalidate_array(const struct iommu_hwpt_invalidate *cmd,
				    struct iommufd_object *obj, u32 *total)
{
	void *buffer = kmalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	int rc = 0;
	u32 done;

	if (!buffer)
		return -ENOMEM;
	while (!rc && *total < cmd->entry_num) {
		rc = iommufd_invalidate_piece(cmd, obj, buffer, *total, &done);
		*total += done;
		cond_resched();
	}
	kfree(buffer);
	return rc;
}

static int iommufd_invalidate(struct iommufd_ucmd *ucmd, u32 *total)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	struct iommufd_object *obj;
	u32 none;
	int rc;

	obj = iommufd_get_object(ucmd->ictx, cmd->hwpt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	rc = -EINVAL;
	if (obj->type != IOMMUFD_OBJ_HWPT_NESTED && obj->type != IOMMUFD_OBJ_VIOMMU)
		goto out;
	/* This call without entries checks only whether the type fits the object. */
	rc = iommufd_invalidate_entries(obj, cmd->data_type, NULL, 0, 0, &none);
	if (!rc && cmd->entry_num)
		rc = iommufd_invalidate_array(cmd, obj, total);
out:
	iommufd_put_object(ucmd->ictx, obj);
	return rc;
}

int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	const u32 entries = cmd->entry_num;
	u32 total = 0;
	int rc;

	rc = iommufd_check_array(cmd);
	if (!rc)
		rc = iommufd_invalidate(ucmd, &total);
	trace_iommufd_invalidate(cmd->hwpt_id, cmd->data_type, entries, total, rc);
	/* Report the entries that were done also after an error of a later one. */
	cmd->entry_num = total;
	if (iommufd_ucmd_respond(ucmd, sizeof(*cmd)))
		return -EFAULT;
	return rc;
}
