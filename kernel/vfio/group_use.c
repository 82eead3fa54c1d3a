// SPDX-License-Identifier: GPL-2.0-only
/* A group is used by its file, or by the device files of its functions (IOMMUFD-GROUP-1). */
#include <linux/errno.h>

#include "group.h"
#include "wd_vfio.h"

/**
 * wd_vfio_group_block() - keep the group file closed while a function is bound by its device file
 * @wd: function
 *
 * Return: 0; -EBUSY the group file is open
 */
int wd_vfio_group_block(struct wd_vfio *wd)
{
	struct wd_vfio_group *group = wd->group;
	int ret = 0;

	if (!group)
		return 0;
	mutex_lock(&group->lock);
	if (group->opened)
		ret = -EBUSY;
	else
		group->nr_bound++;
	mutex_unlock(&group->lock);
	return ret;
}

/* Undo wd_vfio_group_block(). */
void wd_vfio_group_unblock(struct wd_vfio *wd)
{
	if (!wd->group)
		return;
	mutex_lock(&wd->group->lock);
	wd->group->nr_bound--;
	mutex_unlock(&wd->group->lock);
}
