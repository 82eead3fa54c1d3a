// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_FEATURE (IOMMUFD-VFIO-7). The function has the feature DMA_BUF. It has no others:
 * migration needs a device that can write its state down, and logging of its writes is a matter of
 * /dev/iommu here.
 */
#include <linux/uaccess.h>

#include "wd_vfio.h"

/**
 * wd_vfio_feature_check() - check the flags of a feature that exists
 * @flags: as the caller gave them
 * @size: bytes of data that the caller gave
 * @ops: VFIO_DEVICE_FEATURE_GET, _SET: what the feature supports
 * @needed: bytes of data that the feature needs
 *
 * Return: 1 go on; 0 the caller only probes, successfully; -EINVAL
 */
static int wd_vfio_feature_check(u32 flags, size_t size, u32 ops, size_t needed)
{
	const u32 wanted = flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET);

	if (wanted & ~ops)
		return -EINVAL;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	return wanted && size >= needed ? 1 : -EINVAL;
}

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
	int ret;

	if (copy_from_user(&feature, arg, sizeof(feature)))
		return -EFAULT;
	if (feature.argsz < sizeof(feature) ||
	    feature.flags & ~(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_GET |
			      VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;
	/* A probe may ask for both. */
	if (!(feature.flags & VFIO_DEVICE_FEATURE_PROBE) &&
	    feature.flags & VFIO_DEVICE_FEATURE_GET && feature.flags & VFIO_DEVICE_FEATURE_SET)
		return -EINVAL;
	if ((feature.flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_DMA_BUF)
		return -ENOTTY;
	ret = wd_vfio_feature_check(feature.flags, feature.argsz - sizeof(feature),
				    VFIO_DEVICE_FEATURE_GET,
				    sizeof(struct vfio_device_feature_dma_buf));
	return ret == 1 ? wd_vfio_dmabuf_get(vfile, arg + sizeof(feature)) : ret;
}
