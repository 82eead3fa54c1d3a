// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ownership of the function: bind a file to an iommufd, attach page tables at the requester id and
 * at PASIDs, and undo both (IOMMUFD-VFIO-1 to IOMMUFD-VFIO-3).
 *
 * The bind is exclusive: the DMA of the function's whole IOMMU group is blocked, except through the
 * attached tables.
 */
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "iommu_master.h"
#include "iommu_pasid.h"
#include "iommufd.h"
#include "trace.h"
#include "vfio_verbs.h"
#include "wd_vfio.h"

static void wd_vfio_detach_all(struct wd_vfio *wd)
{
	unsigned long pasid;
	void *entry;

	xa_for_each (&wd->pasids, pasid, entry) {
		iommufd_device_detach(wd->idev, pasid);
		xa_erase(&wd->pasids, pasid);
		cond_resched();
	}
	if (wd->attached)
		iommufd_device_detach(wd->idev, IOMMU_NO_PASID);
	wd->attached = false;
}

/**
 * wd_vfio_take_back() - end the ownership of a function
 * @wd: owned and active; the caller holds its lock and the lock of the PCI device
 *
 * Cannot fail. This stops DMA first, and resets the function before another file can own it. A
 * function that cannot be reset keeps the content of its registers, but has no bus mastering.
 */
void wd_vfio_take_back(struct wd_vfio *wd)
{
	const bool by_group = wd->owner->by_group;

	lockdep_assert_held(&wd->lock);
	wd_vfio_set_memory(wd, false);
	wd_vfio_low_power_leave(wd);
	wd_vfio_dmabufs_forget(wd);
	down_write(&wd->memory_lock);
	wd->owner = NULL;
	wd->mapping = NULL;
	up_write(&wd->memory_lock);

	wd_iommu_clear_master(wd->pdev);
	wd_vfio_ioeventfds_release(wd);
	wd_vfio_irqs_release(wd);
	if (wd->resettable && wd_vfio_reset_function(wd, pci_reset_function_locked))
		dev_warn(&wd->pdev->dev, "cannot be reset\n");
	wd_vfio_detach_all(wd);
	iommufd_device_unbind(wd->idev);
	trace_wd_vfio_unbind(&wd->pdev->dev);
	wd->idev = NULL;
	if (!by_group)
		wd_vfio_group_unblock(wd);
	kfree(wd->config);
	wd->config = NULL;
}

/**
 * wd_vfio_close() - end the ownership by a file
 * @vfile: bound or not
 */
void wd_vfio_close(struct wd_vfio_file *vfile)
{
	struct wd_vfio *wd = vfile->wd;
	bool bound;

	/* Others must not wake the function. */
	mutex_lock(&wd->lock);
	bound = wd->owner == vfile;
	mutex_unlock(&wd->lock);
	if (!bound)
		return;
	device_lock(&wd->pdev->dev);
	/* If it does not resume, the reset cannot succeed either. */
	pm_runtime_get_sync(&wd->pdev->dev);
	mutex_lock(&wd->lock);
	if (wd->owner == vfile)
		wd_vfio_take_back(wd);
	mutex_unlock(&wd->lock);
	wd_vfio_power_put(wd);
	device_unlock(&wd->pdev->dev);
}

static int wd_vfio_bind_ictx(struct wd_vfio_file *vfile, struct iommufd_ctx *ictx, u32 *id)
{
	struct wd_vfio *wd = vfile->wd;
	struct wd_vfio_config *config;
	struct iommufd_device *idev;

	lockdep_assert_held(&wd->lock);
	if (wd->gone)
		return -ENODEV;
	if (wd->owner)
		return -EINVAL;
	config = wd_vfio_config_create(wd);
	if (!config)
		return -ENOMEM;
	if (wd->noiommu)
		idev = iommufd_device_bind_noiommu(ictx, &wd->pdev->dev, id);
	else
		idev = iommufd_device_bind(ictx, &wd->pdev->dev, id);
	if (IS_ERR(idev)) {
		kfree(config);
		return PTR_ERR(idev);
	}
	wd->idev = idev;
	wd->config = config;
	down_write(&wd->memory_lock);
	wd->owner = vfile;
	wd->mapping = vfile->mapping;
	wd->memory = true;
	up_write(&wd->memory_lock);
	return 0;
}

static int wd_vfio_bind(struct wd_vfio_file *vfile, int fd, u32 *id)
{
	struct wd_vfio *wd = vfile->wd;
	struct iommufd_ctx *ictx;
	int ret;

	lockdep_assert_held(&wd->lock);
	if (wd->gone)
		return -ENODEV;
	ret = wd_vfio_group_block(wd);
	if (ret)
		return ret;
	if (wd->owner == vfile) {
		ret = -EINVAL;
		goto err_unblock;
	}
	ictx = iommufd_ctx_from_fd(fd);
	if (IS_ERR(ictx)) {
		ret = PTR_ERR(ictx);
		goto err_unblock;
	}
	ret = wd_vfio_bind_ictx(vfile, ictx, id);
	trace_wd_vfio_bind(&wd->pdev->dev, ret);
	iommufd_ctx_put(ictx);
	if (ret)
		goto err_unblock;
	return 0;

err_unblock:
	wd_vfio_group_unblock(wd);
	return ret;
}

static int wd_vfio_bind_verb(void *file, int fd, u32 *id)
{
	struct wd_vfio_file *vfile = file;
	int ret;

	ret = mutex_lock_killable(&vfile->wd->lock);
	if (ret)
		return ret;
	ret = wd_vfio_bind(vfile, fd, id);
	mutex_unlock(&vfile->wd->lock);
	return ret;
}

static void wd_vfio_unbind_verb(void *file)
{
	wd_vfio_close(file);
}

static int wd_vfio_attach_rid(struct wd_vfio *wd, u32 *pt_id)
{
	int ret;

	if (wd->attached)
		return iommufd_device_replace(wd->idev, IOMMU_NO_PASID, pt_id);
	ret = iommufd_device_attach(wd->idev, IOMMU_NO_PASID, pt_id);
	if (!ret)
		wd->attached = true;
	return ret;
}

static int wd_vfio_attach_pasid(struct wd_vfio *wd, u32 pasid, u32 *pt_id)
{
	int ret;

	if (!wd_iommu_max_pasids(&wd->pdev->dev))
		return -EOPNOTSUPP;
	if (pasid >= VFIO_VERBS_PASID_LIMIT)
		return -ENOSPC;
	if (xa_load(&wd->pasids, pasid))
		return iommufd_device_replace(wd->idev, pasid, pt_id);
	ret = xa_insert(&wd->pasids, pasid, xa_mk_value(0), GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	ret = iommufd_device_attach(wd->idev, pasid, pt_id);
	if (ret)
		xa_erase(&wd->pasids, pasid);
	return ret;
}

static void wd_vfio_detach(struct wd_vfio *wd, bool by_pasid, u32 pasid)
{
	if (by_pasid ? !xa_erase(&wd->pasids, pasid) : !wd->attached)
		return;
	if (!by_pasid) {
		wd->attached = false;
		pasid = IOMMU_NO_PASID;
	}
	trace_wd_vfio_detach(&wd->pdev->dev, pasid);
	iommufd_device_detach(wd->idev, pasid);
}

/*
 * Return: -EAGAIN if memory of the context has to be pinned first, without the function's lock.
 * Then *@ictx is the context, held for the caller.
 */
static int wd_vfio_attach(struct wd_vfio_file *vfile, bool by_pasid, u32 pasid, u32 *pt_id,
			  bool *replaced, struct iommufd_ctx **ictx)
{
	struct wd_vfio *wd = vfile->wd;
	int ret;

	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	*replaced = by_pasid ? !!xa_load(&wd->pasids, pasid) : wd->attached;
	if (by_pasid)
		ret = wd_vfio_attach_pasid(wd, pasid, pt_id);
	else
		ret = wd_vfio_attach_rid(wd, pt_id);
	if (ret == -EAGAIN) {
		*ictx = iommufd_device_to_ictx(wd->idev);
		iommufd_ctx_get(*ictx);
	} else {
		trace_wd_vfio_attach(&wd->pdev->dev, by_pasid ? pasid : 0, *pt_id, ret);
	}
	mutex_unlock(&wd->lock);
	return ret;
}

static int wd_vfio_attach_verb(void *file, bool by_pasid, u32 *pasid, u32 *pt_id, bool *replaced)
{
	struct iopt_hold *hold = NULL;
	struct iommufd_ctx *ictx = NULL;
	int ret;

	while ((ret = wd_vfio_attach(file, by_pasid, *pasid, pt_id, replaced, &ictx)) == -EAGAIN) {
		ret = iommufd_prepare_attach(ictx, *pt_id, &hold);
		iommufd_ctx_put(ictx);
		if (ret)
			break;
	}
	iommufd_prepared(hold);
	return ret;
}

/**
 * wd_vfio_bind_by_group() - bind a file that the group file makes, and attach it
 * @vfile: new file
 * @ictx: context with a compatibility IOAS. A process may make this wait
 *
 * After an error the file may be bound: close it.
 *
 * Return: 0; as BIND and ATTACH; -EBUSY another file owns the function; -ENODEV there is no
 * compatibility IOAS
 */
int wd_vfio_bind_by_group(struct wd_vfio_file *vfile, struct iommufd_ctx *ictx)
{
	u32 id, ioas_id, pasid = 0;
	bool replaced;
	int ret;

	ret = mutex_lock_killable(&vfile->wd->lock);
	if (ret)
		return ret;
	ret = vfile->wd->owner ? -EBUSY : wd_vfio_bind_ictx(vfile, ictx, &id);
	trace_wd_vfio_bind(&vfile->wd->pdev->dev, ret);
	mutex_unlock(&vfile->wd->lock);
	if (!ret)
		ret = iommufd_vfio_compat_ioas_get_id(ictx, &ioas_id);
	return ret ?: wd_vfio_attach_verb(vfile, false, &pasid, &ioas_id, &replaced);
}

/**
 * wd_vfio_owner_by_group() - get the file that owns a function, for one more open file
 * @wd: function
 * @ictx: context that the owner must have
 *
 * Return: with a reference for the caller; NULL if the function has no owner by the group file with
 * this context, or if that is not attached yet
 */
struct wd_vfio_file *wd_vfio_owner_by_group(struct wd_vfio *wd, struct iommufd_ctx *ictx)
{
	struct wd_vfio_file *vfile = NULL;

	mutex_lock(&wd->lock);
	if (wd->owner && wd->owner->by_group && wd->attached &&
	    iommufd_device_to_ictx(wd->idev) == ictx && refcount_inc_not_zero(&wd->owner->refs))
		vfile = wd->owner;
	mutex_unlock(&wd->lock);
	return vfile;
}

static int wd_vfio_detach_verb(void *file, bool by_pasid, u32 pasid)
{
	struct wd_vfio_file *vfile = file;
	int ret;

	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	wd_vfio_detach(vfile->wd, by_pasid, pasid);
	mutex_unlock(&vfile->wd->lock);
	return 0;
}

const struct vfio_verbs wd_vfio_verbs = {
	.bind = wd_vfio_bind_verb,
	.unbind = wd_vfio_unbind_verb,
	.attach = wd_vfio_attach_verb,
	.detach = wd_vfio_detach_verb,
};
