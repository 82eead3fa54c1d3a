// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_FEATURE (IOMMUFD-VFIO-7). The function has the feature DMA_BUF and those of low power.
 * It has no others: migration needs a device that can write its state down, and logging of its
 * writes is a matter of /dev/iommu here.
 */
#include <linux/kernel.h>
#include <linux/uaccess.h>

#include "wd_vfio.h"

/**
 * struct wd_vfio_feature - what a caller can do with a feature
 * @operation: VFIO_DEVICE_FEATURE_GET or VFIO_DEVICE_FEATURE_SET, 0: there is no such feature
 * @size: bytes of its structure
 * @run: does it, with the structure of the caller
 */
struct wd_vfio_feature {
	u32 operation;
	size_t size;
	int (*run)(struct wd_vfio_file *vfile, void __user *arg);
};

static const struct wd_vfio_feature wd_vfio_features[] = {
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY] = {VFIO_DEVICE_FEATURE_SET, 0,
						 wd_vfio_low_power_entry},
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP] =
		{VFIO_DEVICE_FEATURE_SET, sizeof(struct vfio_device_low_power_entry_with_wakeup),
		 wd_vfio_low_power_entry_wakeup},
	[VFIO_DEVICE_FEATURE_LOW_POWER_EXIT] = {VFIO_DEVICE_FEATURE_SET, 0, wd_vfio_low_power_exit},
	[VFIO_DEVICE_FEATURE_DMA_BUF] = {VFIO_DEVICE_FEATURE_GET,
					 sizeof(struct vfio_device_feature_dma_buf),
					 wd_vfio_dmabuf_get},
};

/* Return: NULL no such feature */
static const struct wd_vfio_feature *wd_vfio_feature_find(u32 flags)
{
	const u32 number = flags & VFIO_DEVICE_FEATURE_MASK;

	if (number >= ARRAY_SIZE(wd_vfio_features) || !wd_vfio_features[number].operation)
		return NULL;
	return &wd_vfio_features[number];
}

/**
 * wd_vfio_feature_ioctl() - VFIO_DEVICE_FEATURE
 * @vfile: file; the caller keeps the function active
 * @arg: the caller's structure
 *
 * Return: 0; a descriptor with DMA_BUF; -ENOTTY no such feature; -EINVAL, -EFAULT; errors of the
 * feature
 */
int wd_vfio_feature_ioctl(struct wd_vfio_file *vfile, void __user *arg)
{
	const struct wd_vfio_feature *known;
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
	known = wd_vfio_feature_find(feature.flags);
	if (!known)
		return -ENOTTY;
	if (wanted & ~known->operation)
		return -EINVAL;
	if (probe)
		return 0;
	if (!wanted || feature.argsz - sizeof(feature) < known->size)
		return -EINVAL;
	return known->run(vfile, arg + sizeof(feature));
}
