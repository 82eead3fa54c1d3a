// SPDX-License-Identifier: GPL-2.0-only
/* A group is used by its file, or by the device files of its functions (IOMMUFD-GROUP-1). */
#include <linux/errno.h>
#include <linux/fs.h>

#include "group.h"
#include "wd_vfio.h"

/* How to know a group file. Constant after the start of the module. */
static const struct file_operations *wd_vfio_group_fops_of_files;

/** wd_vfio_group_files() - tell the operations of group files */
void wd_vfio_group_files(const struct file_operations *fops)
{
	wd_vfio_group_fops_of_files = fops;
}

/**
 * wd_vfio_group_of_file() - the group of an open file
 * @file: any file
 *
 * Return: the group, which exists as long as the file; NULL if @file is no group file
 */
struct wd_vfio_group *wd_vfio_group_of_file(struct file *file)
{
	return file->f_op == wd_vfio_group_fops_of_files ? file->private_data : NULL;
}

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
