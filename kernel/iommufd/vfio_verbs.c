// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO's requests BIND, ATTACH and DETACH, for every device file of this project that answers them,
 * with VFIO's sizes, flags and errors (IOMMUFD-VFIO-1, IOMMUFD-VFIO-2).
 */
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <linux/uaccess.h>

#include <linux/vfio_cdev.h>

#include "vfio_verbs.h"

/**
 * vfio_verbs_copy_bind() - copy the argument of VFIO_DEVICE_BIND_IOMMUFD
 * @bind: receives it
 * @arg: the caller's structure. It may be larger than ours if the rest is 0
 *
 * Return: 0, -EFAULT, -E2BIG, or -EINVAL, also for the flag of a token: no device here has a token.
 */
static int vfio_verbs_copy_bind(struct vfio_device_bind_iommufd *bind, void __user *arg)
{
	u32 argsz;
	int ret;

	if (copy_from_user(&argsz, arg, sizeof(argsz)))
		return -EFAULT;
	if (argsz < offsetofend(struct vfio_device_bind_iommufd, out_devid))
		return -EINVAL;
	if (argsz > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(bind, sizeof(*bind), arg, argsz);
	if (ret)
		return ret;
	return bind->iommufd < 0 || bind->flags ? -EINVAL : 0;
}

/**
 * vfio_verbs_copy_attach() - copy the argument of VFIO_DEVICE_ATTACH_IOMMUFD_PT
 * @attach: receives it; pasid is 0 without VFIO_DEVICE_ATTACH_PASID
 * @arg: the caller's structure
 *
 * Return: 0, -EFAULT or -EINVAL.
 */
static int vfio_verbs_copy_attach(struct vfio_device_attach_iommufd_pt *attach, void __user *arg)
{
	size_t size = offsetofend(struct vfio_device_attach_iommufd_pt, pt_id);

	attach->pasid = 0;
	if (copy_from_user(attach, arg, size))
		return -EFAULT;
	if (attach->argsz < size || attach->flags & ~VFIO_DEVICE_ATTACH_PASID)
		return -EINVAL;
	if (!(attach->flags & VFIO_DEVICE_ATTACH_PASID))
		return 0;
	if (attach->argsz < offsetofend(struct vfio_device_attach_iommufd_pt, pasid))
		return -EINVAL;
	if (copy_from_user(&attach->pasid,
			   arg + offsetof(struct vfio_device_attach_iommufd_pt, pasid),
			   sizeof(attach->pasid)))
		return -EFAULT;
	return 0;
}

/**
 * vfio_verbs_copy_detach() - copy the argument of VFIO_DEVICE_DETACH_IOMMUFD_PT
 * @detach: receives it; pasid is 0 without VFIO_DEVICE_DETACH_PASID
 * @arg: the caller's structure
 *
 * Return: 0, -EFAULT or -EINVAL.
 */
static int vfio_verbs_copy_detach(struct vfio_device_detach_iommufd_pt *detach, void __user *arg)
{
	size_t size = offsetofend(struct vfio_device_detach_iommufd_pt, flags);

	detach->pasid = 0;
	if (copy_from_user(detach, arg, size))
		return -EFAULT;
	if (detach->argsz < size || detach->flags & ~VFIO_DEVICE_DETACH_PASID)
		return -EINVAL;
	if (!(detach->flags & VFIO_DEVICE_DETACH_PASID))
		return 0;
	if (detach->argsz < offsetofend(struct vfio_device_detach_iommufd_pt, pasid))
		return -EINVAL;
	if (copy_from_user(&detach->pasid,
			   arg + offsetof(struct vfio_device_detach_iommufd_pt, pasid),
			   sizeof(detach->pasid)))
		return -EFAULT;
	return 0;
}

static int vfio_verbs_bind(const struct vfio_verbs *verbs, void *file, void __user *arg)
{
	struct vfio_device_bind_iommufd bind;
	u32 id;
	int ret;

	ret = vfio_verbs_copy_bind(&bind, arg);
	if (ret)
		return ret;
	ret = verbs->bind(file, bind.iommufd, &id);
	if (ret)
		return ret;
	if (!copy_to_user(arg + offsetof(struct vfio_device_bind_iommufd, out_devid), &id,
			  sizeof(id)))
		return 0;
	verbs->unbind(file);
	return -EFAULT;
}

static int vfio_verbs_attach(const struct vfio_verbs *verbs, void *file, void __user *arg)
{
	struct vfio_device_attach_iommufd_pt attach;
	bool by_pasid, replaced = false;
	int ret;

	ret = vfio_verbs_copy_attach(&attach, arg);
	if (ret)
		return ret;
	by_pasid = attach.flags & VFIO_DEVICE_ATTACH_PASID;
	ret = verbs->attach(file, by_pasid, &attach.pasid, &attach.pt_id, &replaced);
	if (ret)
		return ret;
	if (!copy_to_user(arg + offsetof(struct vfio_device_attach_iommufd_pt, pt_id),
			  &attach.pt_id, sizeof(attach.pt_id)) &&
	    (!verbs->chooses_pasid ||
	     attach.argsz < offsetofend(struct vfio_device_attach_iommufd_pt, pasid) ||
	     !copy_to_user(arg + offsetof(struct vfio_device_attach_iommufd_pt, pasid),
			   &attach.pasid, sizeof(attach.pasid))))
		return 0;
	if (!replaced)
		verbs->detach(file, by_pasid, attach.pasid);
	return -EFAULT;
}

static int vfio_verbs_detach(const struct vfio_verbs *verbs, void *file, void __user *arg)
{
	struct vfio_device_detach_iommufd_pt detach;
	int ret;

	ret = vfio_verbs_copy_detach(&detach, arg);
	if (ret)
		return ret;
	return verbs->detach(file, detach.flags & VFIO_DEVICE_DETACH_PASID, detach.pasid);
}

/**
 * vfio_verbs_ioctl() - answer one of the three requests
 * @verbs: operations of the device file
 * @file: first argument of each operation in @verbs
 * @cmd: VFIO_DEVICE_BIND_IOMMUFD, VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT
 * @arg: the caller's structure
 *
 * If the answer cannot be written to @arg, the error is -EFAULT. Then BIND and a first ATTACH are
 * undone, but an ATTACH that has replaced another page table stays.
 *
 * Return: 0, an error of the arguments, or the error of @verbs; -ENOTTY for another request.
 */
long vfio_verbs_ioctl(const struct vfio_verbs *verbs, void *file, unsigned int cmd,
		      void __user *arg)
{
	switch (cmd) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		return vfio_verbs_bind(verbs, file, arg);
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return vfio_verbs_attach(verbs, file, arg);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return vfio_verbs_detach(verbs, file, arg);
	default:
		return -ENOTTY;
	}
}
EXPORT_SYMBOL_GPL(vfio_verbs_ioctl);
