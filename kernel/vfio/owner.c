// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of a file are the owner's, or are refused.
 */
#include <linux/errno.h>
#include <linux/mutex.h>

#include "wd_vfio.h"

/**
 * wd_vfio_lock_owner() - take the function's lock on behalf of its owner
 * @vfile: file
 *
 * Return: 0 with the lock held; without it -EINVAL if @vfile is not bound, or -ENODEV.
 */
int wd_vfio_lock_owner(struct wd_vfio_file *vfile)
{
	struct wd_vfio *wd = vfile->wd;
	int ret;

	mutex_lock(&wd->lock);
	if (wd->owner == vfile)
		return 0;
	ret = wd->gone ? -ENODEV : -EINVAL;
	mutex_unlock(&wd->lock);
	return ret;
}
