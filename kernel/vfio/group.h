/* SPDX-License-Identifier: GPL-2.0-only */
/* An IOMMU group: between its file (group.c) and its use (group_use.c). */
#ifndef _WD_VFIO_GROUP_H
#define _WD_VFIO_GROUP_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct iommu_group;
struct iommufd_ctx;

/**
 * struct wd_vfio_group - an IOMMU group with functions of this driver
 * @dev: device of the group file
 * @cdev: the group file
 * @iommu_group: held
 * @minor: of the group file
 * @item: in the list of all, under the lock of that list
 * @lock: protects the members below
 * @functions: wd_vfio.group_item
 * @gone: no function is left
 * @opened: the group file is open
 * @ictx: the container, held, or NULL
 * @nr_bound: functions that are bound by their device files
 */
struct wd_vfio_group {
	struct device dev;
	struct cdev cdev;
	struct iommu_group *iommu_group;
	int minor;
	struct list_head item;
	struct mutex lock;
	struct list_head functions;
	bool gone;
	bool opened;
	struct iommufd_ctx *ictx;
	unsigned int nr_bound;
};

#endif /* _WD_VFIO_GROUP_H */
