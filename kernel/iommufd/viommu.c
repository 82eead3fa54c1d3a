// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual IOMMUs and their devices as objects (IOMMUFD-VIOMMU-1 to IOMMUFD-VIOMMU-3), and the memory
 * of a virtual IOMMU that user space may map.
 */
#include <linux/fs.h>
#include <linux/mm.h>

#include "iommu_pasid.h"
#include "iommu_viommu.h"
#include "iommufd_private.h"
#include "trace.h"

/* Where the region of the object @id is in the file. */
static u64 iommufd_region_offset(u32 id)
{
	return (u64)(id + 1) << 32;
}

/* Read the user's description of a virtual IOMMU. Return: NULL in *@user if there is none. */
static int iommufd_viommu_data(const struct iommu_viommu_alloc *cmd, struct wd_user_data *data,
			       struct wd_user_data **user)
{
	*user = NULL;
	if (!cmd->data_len)
		return 0;
	*user = data;
	return iommufd_copy_user_data(data, cmd->type, cmd->data_uptr, cmd->data_len);
}

static int iommufd_viommu_answer(const struct iommu_viommu_alloc *cmd,
				 const struct wd_user_data *user)
{
	if (!user)
		return 0;
	return copy_to_user(u64_to_user_ptr(cmd->data_uptr), user->data,
			    min_t(size_t, user->len, sizeof(user->data)))
		       ? -EFAULT
		       : 0;
}

/* The device must have such virtual IOMMUs. Then it is put while user memory is touched. */
static int iommufd_viommu_check(struct iommufd_ctx *ictx, const struct iommu_viommu_alloc *cmd)
{
	struct iommufd_object *dev_obj;
	bool supported;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	dev_obj = iommufd_get_object(ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(dev_obj))
		return PTR_ERR(dev_obj);
	supported = wd_viommu_supported(container_of(dev_obj, struct iommufd_device, obj)->dev,
					cmd->type);
	iommufd_put_object(ictx, dev_obj);
	return supported ? 0 : -EOPNOTSUPP;
}

static int iommufd_viommu_create(struct iommufd_ucmd *ucmd, struct iommufd_hwpt_paging *parent,
				 struct wd_user_data *user)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct iommufd_object *dev_obj;
	struct iommufd_viommu *viommu;
	int rc;

	dev_obj = iommufd_get_object(ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	if (IS_ERR(dev_obj))
		return PTR_ERR(dev_obj);
	viommu = iommufd_object_alloc(ictx, viommu, obj, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(viommu)) {
		iommufd_put_object(ictx, dev_obj);
		return PTR_ERR(viommu);
	}
	spin_lock_init(&viommu->events_lock);
	INIT_LIST_HEAD(&viommu->event_queues);
	mutex_init(&viommu->queues_lock);
	xa_init(&viommu->queues);
	viommu->viommu = wd_viommu_alloc(
		container_of(dev_obj, struct iommufd_device, obj)->dev, parent->domain, cmd->type,
		iommufd_region_offset(viommu->obj.id), user, iommufd_veventq_report, viommu);
	iommufd_put_object(ictx, dev_obj);
	if (IS_ERR(viommu->viommu)) {
		rc = PTR_ERR(viommu->viommu);
		iommufd_object_abort(ictx, &viommu->obj);
		return rc;
	}
	viommu->ictx = ictx;
	viommu->parent = parent;
	iommufd_object_use(&parent->common.obj);
	ucmd->new_obj = &viommu->obj;
	cmd->out_viommu_id = viommu->obj.id;
	return 0;
}

static int iommufd_viommu_make(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *parent;
	struct wd_user_data data, *user;
	struct iommufd_object *pt;
	int rc;

	rc = iommufd_viommu_check(ucmd->ictx, cmd);
	if (rc)
		return rc;
	pt = iommufd_get_object(ucmd->ictx, cmd->hwpt_id, IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(pt))
		return PTR_ERR(pt);
	parent = container_of(pt, struct iommufd_hwpt_paging, common.obj);
	rc = parent->nest_parent ? iommufd_viommu_data(cmd, &data, &user) : -EINVAL;
	if (!rc)
		rc = iommufd_viommu_create(ucmd, parent, user);
	iommufd_put_object(ucmd->ictx, pt);
	if (!rc)
		rc = iommufd_viommu_answer(cmd, user);
	return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* IOMMUFD-VIOMMU-1 */
int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	const struct iommu_viommu_alloc *cmd = ucmd->cmd;
	int rc = iommufd_viommu_make(ucmd);

	trace_iommufd_viommu_alloc(rc ? 0 : cmd->out_viommu_id, cmd->hwpt_id, cmd->type, rc);
	return rc;
}

void iommufd_viommu_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu = container_of(obj, struct iommufd_viommu, obj);

	WARN_ON(!list_empty(&viommu->event_queues) || !xa_empty(&viommu->queues));
	xa_destroy(&viommu->queues);
	mutex_destroy(&viommu->queues_lock);
	wd_viommu_free(viommu->viommu);
	iommufd_object_unuse(&viommu->parent->common.obj);
}

/* --- virtual devices --- */

/* Make @idev known to @viommu as @vdev. The caller holds the group's lock. */
static int iommufd_vdevice_join(struct iommufd_vdevice *vdev, struct iommufd_viommu *viommu,
				struct iommufd_device *idev, unsigned long virt_id)
{
	int rc;

	lockdep_assert_held(&idev->igroup->lock);
	if (idev->going)
		return -ENOENT;
	if (READ_ONCE(idev->vdev))
		return -EEXIST;
	rc = wd_viommu_add_device(viommu->viommu, idev->dev, virt_id);
	if (rc)
		return rc;
	vdev->viommu = viommu;
	vdev->idev = idev;
	vdev->virt_id = virt_id;
	xa_lock(&idev->ictx->objects);
	WRITE_ONCE(idev->vdev, vdev);
	xa_unlock(&idev->ictx->objects);
	iommufd_object_use(&viommu->obj);
	return 0;
}

/*
 * Connect a new object, whose id user space has already, with its device. Afterwards others may
 * destroy it: user space by its id, and the device's driver. After an error it is the caller's.
 */
static int iommufd_vdevice_connect(struct iommufd_vdevice *vdev, struct iommufd_viommu *viommu,
				   struct iommufd_device *idev, unsigned long virt_id)
{
	int rc;

	mutex_lock(&idev->igroup->lock);
	rc = iommufd_vdevice_join(vdev, viommu, idev, virt_id);
	if (!rc)
		iommufd_object_finalize(idev->ictx, &vdev->obj);
	mutex_unlock(&idev->igroup->lock);
	return rc;
}

/* Find the objects that the command names, and connect them with @vdev; or only check them: NULL. */
static int iommufd_vdevice_find(struct iommufd_ctx *ictx, const struct iommu_vdevice_alloc *cmd,
				struct iommufd_vdevice *vdev)
{
	struct iommufd_object *viommu, *dev_obj;
	int rc;

	viommu = iommufd_get_object(ictx, cmd->viommu_id, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);
	dev_obj = iommufd_get_object(ictx, cmd->dev_id, IOMMUFD_OBJ_DEVICE);
	rc = PTR_ERR_OR_ZERO(dev_obj);
	if (!rc) {
		if (vdev)
			rc = iommufd_vdevice_connect(
				vdev, container_of(viommu, struct iommufd_viommu, obj),
				container_of(dev_obj, struct iommufd_device, obj), cmd->virt_id);
		iommufd_put_object(ictx, dev_obj);
	}
	iommufd_put_object(ictx, viommu);
	return rc;
}

/*
 * IOMMUFD-VIOMMU-2. The object cannot be taken back once its device has it, so the answer comes
 * first (IOMMUFD-OBJ-4). No object is held while this writes it.
 */
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_vdevice *vdev;
	int rc;

	if (cmd->virt_id > ULONG_MAX)
		return -EINVAL;
	rc = iommufd_vdevice_find(ucmd->ictx, cmd, NULL);
	if (rc)
		return rc;
	vdev = iommufd_object_alloc(ucmd->ictx, vdev, obj, IOMMUFD_OBJ_VDEVICE);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	cmd->out_vdevice_id = vdev->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (!rc)
		rc = iommufd_vdevice_find(ucmd->ictx, cmd, vdev);
	if (rc)
		iommufd_object_abort(ucmd->ictx, &vdev->obj);
	return rc;
}

/* For user space and for the device's driver; the object is invisible. */
void iommufd_vdevice_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev = container_of(obj, struct iommufd_vdevice, obj);
	struct iommufd_device *idev = vdev->idev;

	wd_viommu_remove_device(vdev->viommu->viommu, vdev->virt_id);
	iommufd_object_unuse(&vdev->viommu->obj);
	/* Then iommufd_vdevice_leave() may return, and the device goes. */
	xa_lock(&ictx->objects);
	WRITE_ONCE(idev->vdev, NULL);
	xa_unlock(&ictx->objects);
	wake_up_all(&ictx->destroy_wait);
}

/* Hold the virtual device of @idev. Return: NULL if it has none, or another thread destroys it */
static struct iommufd_vdevice *iommufd_vdevice_hold(struct iommufd_device *idev)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_vdevice *vdev;

	xa_lock(&ictx->objects);
	/* As long as the device has it, its memory is there. */
	vdev = idev->vdev;
	if (vdev && xa_load(&ictx->objects, vdev->obj.id) == &vdev->obj)
		refcount_inc(&vdev->obj.wait_cnt);
	else
		vdev = NULL;
	xa_unlock(&ictx->objects);
	return vdev;
}

/*
 * The device is about to be unbound: destroy its virtual device, whose id stays taken (a tombstone),
 * or wait until user space has done it.
 */
void iommufd_vdevice_leave(struct iommufd_device *idev)
{
	struct iommufd_ctx *ictx = idev->ictx;
	struct iommufd_vdevice *vdev;

	mutex_lock(&idev->igroup->lock);
	idev->going = true;
	mutex_unlock(&idev->igroup->lock);
	vdev = iommufd_vdevice_hold(idev);
	if (vdev)
		iommufd_object_bury(ictx, &vdev->obj);
	wait_event(ictx->destroy_wait, !READ_ONCE(idev->vdev));
}

/* --- the region --- */

static void iommufd_region_open(struct vm_area_struct *vma)
{
	struct iommufd_viommu *viommu = vma->vm_private_data;

	iommufd_object_use(&viommu->obj);
}

static void iommufd_region_close(struct vm_area_struct *vma)
{
	struct iommufd_viommu *viommu = vma->vm_private_data;

	iommufd_object_unuse(&viommu->obj);
}

static vm_fault_t iommufd_region_fault(struct vm_fault *vmf)
{
	struct iommufd_viommu *viommu = vmf->vma->vm_private_data;
	unsigned long first = iommufd_region_offset(viommu->obj.id) >> PAGE_SHIFT;

	return vmf_insert_pfn(vmf->vma, vmf->address,
			      viommu->viommu->region_pfn + (vmf->pgoff - first));
}

static const struct vm_operations_struct iommufd_region_ops = {
	.open = iommufd_region_open,
	.close = iommufd_region_close,
	.fault = iommufd_region_fault,
};

/* IOMMUFD-VIOMMU-3: the whole region of a virtual IOMMU, which the mapping keeps, or -ENXIO. */
int iommufd_fops_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct iommufd_ctx *ictx = filp->private_data;
	const u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	struct iommufd_viommu *viommu;
	struct iommufd_object *obj;
	int rc = -ENXIO;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (!offset || offset != iommufd_region_offset((offset >> 32) - 1))
		return -ENXIO;
	obj = iommufd_get_object(ictx, (offset >> 32) - 1, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(obj))
		return -ENXIO;
	viommu = container_of(obj, struct iommufd_viommu, obj);
	if (viommu->viommu->region_length &&
	    viommu->viommu->region_length == vma->vm_end - vma->vm_start) {
		wd_vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY,
				VM_MAYEXEC);
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
		vma->vm_private_data = viommu;
		vma->vm_ops = &iommufd_region_ops;
		iommufd_region_open(vma);
		rc = 0;
	}
	iommufd_put_object(ictx, obj);
	return rc;
}
