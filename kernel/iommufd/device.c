// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bind devices to a context, for drivers that give devices to user space (IOMMUFD-DEV-1).
 *
 * With an exclusive bind the context owns the DMA of the whole IOMMU group, which is blocked until
 * something is attached. With a shared bind the calling driver keeps the requester id, and only
 * PASIDs can be attached.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "iommufd.h"
#include "iommufd_hook.h"
#include "iommufd_private.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Allow devices whose interrupt messages the platform does not check");

static struct iommufd_group *iommufd_group_alloc(struct iommufd_ctx *ictx,
						 struct iommu_group *group, bool shared)
{
	struct iommufd_group *igroup = kzalloc(sizeof(*igroup), GFP_KERNEL_ACCOUNT);

	if (!igroup)
		return NULL;
	kref_init(&igroup->ref);
	mutex_init(&igroup->lock);
	xa_init(&igroup->attaches);
	igroup->ictx = ictx;
	igroup->group = group;
	igroup->shared = shared;
	return igroup;
}

static void iommufd_group_free(struct iommufd_group *igroup)
{
	WARN_ON(!xa_empty(&igroup->attaches));
	xa_destroy(&igroup->attaches);
	mutex_destroy(&igroup->lock);
	if (igroup->group)
		iommu_group_put(igroup->group);
	kfree(igroup);
}

static void iommufd_group_release(struct kref *ref)
{
	struct iommufd_group *igroup = container_of(ref, struct iommufd_group, ref);

	if (!igroup->shared && igroup->group) {
		lockdep_assert_held(&igroup->ictx->groups_lock);
		xa_erase(&igroup->ictx->groups, iommu_group_id(igroup->group));
		iommu_group_release_dma_owner(igroup->group);
	}
	iommufd_group_free(igroup);
}

static void iommufd_group_put(struct iommufd_group *igroup)
{
	struct iommufd_ctx *ictx = igroup->ictx;

	mutex_lock(&ictx->groups_lock);
	kref_put(&igroup->ref, iommufd_group_release);
	mutex_unlock(&ictx->groups_lock);
}

/* Refuse a device whose firmware needs memory mapped 1:1: user space may not map it so. */
static int iommufd_group_check_regions(struct iommu_group *group, struct device *dev)
{
	struct iommu_resv_region *region;
	LIST_HEAD(regions);
	int rc;

	rc = iommu_get_group_resv_regions(group, &regions);
	if (rc)
		return rc;
	list_for_each_entry (region, &regions, list)
		if (region->type == IOMMU_RESV_DIRECT)
			rc = -EINVAL;
	iommu_put_resv_regions(dev, &regions);
	return rc;
}

static int iommufd_group_claim(struct iommufd_group *igroup, struct device *dev)
{
	int rc;

	rc = iommu_group_claim_dma_owner(igroup->group, igroup->ictx);
	if (rc)
		return rc;
	rc = iommufd_group_check_regions(igroup->group, dev);
	if (!rc)
		rc = xa_err(xa_store(&igroup->ictx->groups, iommu_group_id(igroup->group), igroup,
				     GFP_KERNEL_ACCOUNT));
	if (rc)
		iommu_group_release_dma_owner(igroup->group);
	return rc;
}

/* Takes over the reference to @group. */
static struct iommufd_group *iommufd_group_get(struct iommufd_ctx *ictx, struct device *dev,
					       struct iommu_group *group)
{
	struct iommufd_group *igroup;
	int rc;

	rc = mutex_lock_killable(&ictx->groups_lock);
	if (rc) {
		iommu_group_put(group);
		return ERR_PTR(rc);
	}
	igroup = xa_load(&ictx->groups, iommu_group_id(group));
	if (igroup) {
		kref_get(&igroup->ref);
		iommu_group_put(group);
		goto out_unlock;
	}
	igroup = iommufd_group_alloc(ictx, group, false);
	rc = igroup ? iommufd_group_claim(igroup, dev) : -ENOMEM;
	if (rc) {
		if (igroup)
			iommufd_group_free(igroup);
		else
			iommu_group_put(group);
		igroup = ERR_PTR(rc);
	}
out_unlock:
	mutex_unlock(&ictx->groups_lock);
	return igroup;
}

/**
 * iommufd_ctx_has_group() - does a context own the DMA of a group?
 * @ictx: context
 * @group: group; the caller holds it
 */
bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group)
{
	bool found;

	mutex_lock(&ictx->groups_lock);
	found = xa_load(&ictx->groups, iommu_group_id(group));
	mutex_unlock(&ictx->groups_lock);
	return found;
}
EXPORT_SYMBOL_GPL(iommufd_ctx_has_group);

static struct iommufd_group *iommufd_get_group(struct iommufd_ctx *ictx, struct device *dev,
					       bool shared)
{
	struct iommufd_group *igroup;
	struct iommu_group *group;

	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return ERR_PTR(-EINVAL);
	group = iommu_group_get(dev);
	if (!group)
		return ERR_PTR(-ENODEV);
	if (!shared) {
		/* Without interrupt remapping a DMA write could raise any interrupt of the host. */
		if (!device_iommu_capable(dev, IOMMU_CAP_INTR_REMAP) && !allow_unsafe_interrupts) {
			dev_warn_ratelimited(
				dev, "not for users: see parameter allow_unsafe_interrupts\n");
			iommu_group_put(group);
			return ERR_PTR(-EPERM);
		}
		return iommufd_group_get(ictx, dev, group);
	}
	igroup = iommufd_group_alloc(ictx, group, true);
	if (!igroup) {
		iommu_group_put(group);
		return ERR_PTR(-ENOMEM);
	}
	return igroup;
}

/* Takes over the reference to @igroup. */
static struct iommufd_device *iommufd_device_create(struct iommufd_ctx *ictx, struct device *dev,
						    struct iommufd_group *igroup, u32 *id,
						    bool hold_ctx)
{
	struct iommufd_device *idev;

	idev = iommufd_object_alloc(ictx, idev, obj, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(idev)) {
		iommufd_group_put(igroup);
		return idev;
	}
	if (hold_ctx)
		iommufd_ctx_get(ictx);
	idev->ictx = ictx;
	idev->holds_ctx = hold_ctx;
	idev->dev = get_device(dev);
	idev->igroup = igroup;
	xa_init(&idev->links);
	/* A user for the driver, so that user space cannot destroy the object. */
	iommufd_object_use(&idev->obj);
	*id = idev->obj.id;
	iommufd_object_finalize(ictx, &idev->obj);
	return idev;
}

static struct iommufd_device *__iommufd_device_bind(struct iommufd_ctx *ictx, struct device *dev,
						    u32 *id, bool shared, bool hold_ctx)
{
	struct iommufd_group *igroup = iommufd_get_group(ictx, dev, shared);

	if (IS_ERR(igroup))
		return ERR_CAST(igroup);
	return iommufd_device_create(ictx, dev, igroup, id, hold_ctx);
}

/**
 * iommufd_device_bind() - put a device under the control of a context
 * @ictx: context
 * @dev: device; its driver has not used DMA, and has set driver_managed_dma
 * @id: gets the object id for user space
 *
 * The DMA of the device's group is blocked from now on.
 *
 * Return: the bound device, valid until iommufd_device_unbind(); ERR_PTR of -EINVAL no coherent DMA
 * or firmware wants 1:1 mappings, -ENODEV no IOMMU group, -EPERM interrupts are not isolated or the
 * group belongs to another owner, -EBUSY the group is in use, -ENOMEM
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx, struct device *dev, u32 *id)
{
	return __iommufd_device_bind(ictx, dev, id, false, true);
}
EXPORT_SYMBOL_GPL(iommufd_device_bind);

/**
 * iommufd_device_bind_shared() - let a context use PASIDs of a device
 * @ictx: context
 * @dev: device of the calling driver, which keeps the requester id and its default domain
 * @id: gets the object id for user space
 *
 * Return: as iommufd_device_bind(), but never -EPERM or -EBUSY
 */
struct iommufd_device *iommufd_device_bind_shared(struct iommufd_ctx *ictx, struct device *dev,
						  u32 *id)
{
	return __iommufd_device_bind(ictx, dev, id, true, true);
}
EXPORT_SYMBOL_GPL(iommufd_device_bind_shared);

/**
 * iommufd_device_bind_noiommu() - bind a device that has no IOMMU
 * @ictx: context
 * @dev: device. Its driver lets only those users have it that may reach all memory
 * @id: gets the object id for user space
 *
 * Return: the bound device, valid until iommufd_device_unbind(); ERR_PTR of -EINVAL it has an IOMMU,
 * -ENOMEM
 *
 * Rules: IOMMUFD-NOIOMMU-1.
 */
struct iommufd_device *iommufd_device_bind_noiommu(struct iommufd_ctx *ictx, struct device *dev,
						   u32 *id)
{
	struct iommufd_group *igroup;

	if (device_iommu_mapped(dev))
		return ERR_PTR(-EINVAL);
	igroup = iommufd_group_alloc(ictx, NULL, false);
	if (!igroup)
		return ERR_PTR(-ENOMEM);
	return iommufd_device_create(ictx, dev, igroup, id, true);
}
EXPORT_SYMBOL_GPL(iommufd_device_bind_noiommu);

/*
 * As iommufd_device_bind(), for a device that the context itself brings and takes along: its owner
 * is an object of the context (hook.c), which unbinds it.
 */
struct iommufd_device *iommufd_hook_bind(struct iommufd_ctx *ictx, struct device *dev, u32 *id)
{
	return __iommufd_device_bind(ictx, dev, id, false, false);
}
EXPORT_SYMBOL_GPL(iommufd_hook_bind);

void iommufd_device_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_device *idev = container_of(obj, struct iommufd_device, obj);

	WARN_ON(!xa_empty(&idev->links));
	xa_destroy(&idev->links);
	iommufd_group_put(idev->igroup);
	put_device(idev->dev);
}

/**
 * iommufd_device_unbind() - undo a bind
 * @idev: device with nothing attached
 *
 * Waits for calls that use the device right now. Its id is free afterwards.
 */
void iommufd_device_unbind(struct iommufd_device *idev)
{
	struct iommufd_ctx *ictx = idev->ictx;
	const bool holds_ctx = idev->holds_ctx;

	iommufd_vdevice_leave(idev);
	iommufd_object_remove(ictx, &idev->obj);
	if (holds_ctx)
		iommufd_ctx_put(ictx);
}
EXPORT_SYMBOL_GPL(iommufd_device_unbind);

/**
 * iommufd_device_to_ictx() - context of a bound device
 * @idev: bound device, which holds it
 */
struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ictx;
}
EXPORT_SYMBOL_GPL(iommufd_device_to_ictx);

/**
 * iommufd_device_to_id() - object id of a bound device
 * @idev: bound device
 */
u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return idev->obj.id;
}
EXPORT_SYMBOL_GPL(iommufd_device_to_id);

static int iommufd_copy_hw_info(const struct wd_iommu_hw_info *info, u64 uptr, u32 length)
{
	u32 copied = min(length, info->len);

	if (copy_to_user(u64_to_user_ptr(uptr), info->data, copied))
		return -EFAULT;
	if (length > copied && clear_user(u64_to_user_ptr(uptr + copied), length - copied))
		return -EFAULT;
	return 0;
}

/*
 * This holds the device only while it asks, not while the caller copies to user memory: a page that
 * never arrives (userfaultfd, a file system in user space) must not delay the removal of the
 * driver.
 */
static int iommufd_ask_hw_info(struct iommufd_ucmd *ucmd, struct wd_iommu_hw_info *info)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	struct iommufd_object *obj;
	struct iommufd_device *idev;
	int rc;

	obj = iommufd_get_object(ucmd->ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	idev = container_of(obj, struct iommufd_device, obj);
	if (iommufd_device_is_noiommu(idev)) {
		iommufd_put_object(ucmd->ictx, obj);
		return -EOPNOTSUPP;
	}
	rc = wd_iommu_hw_info(idev->dev, info);
	iommufd_put_object(ucmd->ictx, obj);
	/* The ABI reports type 0 and length 0 if the IOMMU's driver has no information to give. */
	if (rc == -EOPNOTSUPP || rc == -ENODEV) {
		memset(info, 0, sizeof(*info));
		rc = 0;
	}
	return rc;
}

static int iommufd_fill_hw_info(struct iommu_hw_info *cmd, const struct wd_iommu_hw_info *info)
{
	bool typed = cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	int rc;

	if (WARN_ON(info->len > sizeof(info->data)))
		return -EINVAL;
	if (typed && cmd->in_data_type != IOMMU_HW_INFO_TYPE_DEFAULT &&
	    cmd->in_data_type != info->type)
		return -EOPNOTSUPP;

	rc = iommufd_copy_hw_info(info, cmd->data_uptr, cmd->data_len);
	if (rc)
		return rc;
	cmd->data_len = info->len;
	cmd->out_data_type = info->type;
	cmd->out_max_pasid_log2 = info->max_pasid_log2;
	cmd->out_capabilities = info->capabilities;
	return 0;
}

/* IOMMUFD-INFO-1 */
int iommufd_get_hw_info(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	struct wd_iommu_hw_info info = {};
	int rc;

	if (cmd->flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE || cmd->__reserved[0] ||
	    cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;
	rc = iommufd_ask_hw_info(ucmd, &info);
	if (!rc)
		rc = iommufd_fill_hw_info(cmd, &info);
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	return rc;
}
