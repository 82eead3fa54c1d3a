/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arguments of VFIO's BIND, ATTACH and DETACH requests, for all our device files that answer them:
 * sizes, flags and errors as VFIO's (IOMMUFD-VFIO-1, IOMMUFD-VFIO-2).
 */
#ifndef _WD_VFIO_COPY_H
#define _WD_VFIO_COPY_H

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <linux/uaccess.h>

#include <linux/vfio_cdev.h>

/**
 * wd_vfio_copy_bind() - argument of VFIO_DEVICE_BIND_IOMMUFD
 * @bind: gets it
 * @arg: the caller's structure: argsz bounds it from below, unknown bytes must be 0
 *
 * Return: 0, -EFAULT, -E2BIG, or -EINVAL. No device of ours has a token, so that flag is -EINVAL.
 */
static inline int wd_vfio_copy_bind(struct vfio_device_bind_iommufd *bind, void __user *arg)
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
 * wd_vfio_copy_attach() - argument of VFIO_DEVICE_ATTACH_IOMMUFD_PT
 * @attach: gets it; pasid is 0 without VFIO_DEVICE_ATTACH_PASID
 * @arg: the caller's structure
 *
 * Return: 0, -EFAULT or -EINVAL.
 */
static inline int wd_vfio_copy_attach(struct vfio_device_attach_iommufd_pt *attach,
				      void __user *arg)
{
	size_t size = offsetofend(struct vfio_device_attach_iommufd_pt, pt_id);
	struct vfio_device_attach_iommufd_pt __user *uattach = arg;

	attach->pasid = 0;
	if (copy_from_user(attach, arg, size))
		return -EFAULT;
	if (attach->argsz < size || attach->flags & ~VFIO_DEVICE_ATTACH_PASID)
		return -EINVAL;
	if (!(attach->flags & VFIO_DEVICE_ATTACH_PASID))
		return 0;
	if (attach->argsz < offsetofend(struct vfio_device_attach_iommufd_pt, pasid))
		return -EINVAL;
	if (copy_from_user(&attach->pasid, &uattach->pasid, sizeof(attach->pasid)))
		return -EFAULT;
	return 0;
}

/**
 * wd_vfio_copy_detach() - argument of VFIO_DEVICE_DETACH_IOMMUFD_PT
 * @detach: gets it; pasid is 0 without VFIO_DEVICE_DETACH_PASID
 * @arg: the caller's structure
 *
 * Return: 0, -EFAULT or -EINVAL.
 */
static inline int wd_vfio_copy_detach(struct vfio_device_detach_iommufd_pt *detach,
				      void __user *arg)
{
	size_t size = offsetofend(struct vfio_device_detach_iommufd_pt, flags);
	struct vfio_device_detach_iommufd_pt __user *udetach = arg;

	detach->pasid = 0;
	if (copy_from_user(detach, arg, size))
		return -EFAULT;
	if (detach->argsz < size || detach->flags & ~VFIO_DEVICE_DETACH_PASID)
		return -EINVAL;
	if (!(detach->flags & VFIO_DEVICE_DETACH_PASID))
		return 0;
	if (detach->argsz < offsetofend(struct vfio_device_detach_iommufd_pt, pasid))
		return -EINVAL;
	if (copy_from_user(&detach->pasid, &udetach->pasid, sizeof(detach->pasid)))
		return -EFAULT;
	return 0;
}

#endif /* _WD_VFIO_COPY_H */
