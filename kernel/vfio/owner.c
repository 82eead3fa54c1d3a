// SPDX-License-Identifier: GPL-2.0-only
/*
 * Only the owner of a function may make requests: this checks a file.
 */
#include <linux/errno.h>
#include <linux/mutex.h>

#include "wd_vfio.h"

/**
 * wd_vfio_lock_owner() - take the function's lock on behalf of its owner
 * @vfile: file
 *
 * Return: 0 with the lock held; without it -EINVAL if @vfile is not bound, -ENODEV, or -EINTR if
 * the caller is being killed.
 */
int wd_vfio_lock_owner(struct wd_vfio_file *vfile)
{
	struct wd_vfio *wd = vfile->wd;
	int ret;

	ret = mutex_lock_killable(&wd->lock);
	if (ret)
		return ret;
	if (wd->owner == vfile)
		return 0;
	ret = wd->gone ? -ENODEV : -EINVAL;
	mutex_unlock(&wd->lock);
	return ret;
}
