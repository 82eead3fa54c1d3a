// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_FEATURE (IOMMUFD-VFIO-7). The function has the feature DMA_BUF. It has no others:
 * migration needs a device that can write its state down, and logging of its writes is a matter of
 * /dev/iommu here.
 */
#include <linux/uaccess.h>

#include "wd_vfio.h"

/**
 * wd_vfio_feature_ioctl() - VFIO_DEVICE_FEATURE
 * @vfile: file
 * @arg: the caller's structure
 *
 * Return: 0; a descriptor with DMA_BUF; -ENOTTY no such feature; -EINVAL, -EFAULT; errors of the
 * feature
 */
int wd_vfio_feature_ioctl(struct wd_vfio_file *vfile, void __user *arg)
{
	struct vfio_device_feature feature;
	u32 wanted;
	bool probe;

	if (copy_from_user(&feature, arg, sizeof(feature)))
		return -EFAULT;
	wanted = feature.flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET);
	probe = feature.flags & VFIO_DEVICE_FEATURE_PROBE;
	if (feature.argsz < sizeof(feature) ||
	    feature.flags & ~(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_GET |
			      VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;
	/* A probe may ask for both. */
	if (!probe && wanted == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET))
		return -EINVAL;
	if ((feature.flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_DMA_BUF)
		return -ENOTTY;
	if (wanted & VFIO_DEVICE_FEATURE_SET)
		return -EINVAL;
	if (probe)
		return 0;
	if (!wanted || feature.argsz - sizeof(feature) < sizeof(struct vfio_device_feature_dma_buf))
		return -EINVAL;
	return wd_vfio_dmabuf_get(vfile, arg + sizeof(feature));
}
