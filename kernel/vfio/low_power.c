// SPDX-License-Identifier: GPL-2.0-only
/*
 * Low power of a function, which its owner asks for: VFIO_DEVICE_FEATURE_LOW_POWER_* (IOMMUFD-VFIO-14).
 *
 * The driver keeps the function active by one count of runtime power management, and gives this
 * count back while the owner wants low power. Each request and each access through the file has a
 * count of its own, so the function is active meanwhile. Mappings and dma-bufs cannot wake the
 * function, so they are taken away.
 *
 * The callbacks take wd_vfio.lock. So no code resumes a function under that lock.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/rwsem.h>
#include <linux/uaccess.h>

#include "wd_vfio.h"

/**
 * wd_vfio_power_get() - resume the function, and keep it active
 * @wd: function, not locked
 *
 * Return: 0; -EIO it does not resume; -ENODEV
 */
int wd_vfio_power_get(struct wd_vfio *wd)
{
	if (!pm_runtime_resume_and_get(&wd->pdev->dev))
		return 0;
	return READ_ONCE(wd->gone) ? -ENODEV : -EIO;
}

/* Undo wd_vfio_power_get(). Any context that may take a spinlock. */
void wd_vfio_power_put(struct wd_vfio *wd)
{
	pm_runtime_put(&wd->pdev->dev);
}

static void wd_vfio_low_power_set(struct wd_vfio *wd, bool low_power)
{
	down_write(&wd->memory_lock);
	if (low_power)
		wd_vfio_zap(wd);
	wd->low_power = low_power;
	up_write(&wd->memory_lock);
}

/* Takes over the reference to @wakeup, if there is one, unless it fails. */
static int wd_vfio_low_power_enter(struct wd_vfio_file *vfile, struct eventfd_ctx *wakeup)
{
	struct wd_vfio *wd = vfile->wd;
	int ret;

	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	if (wd->low_power) {
		ret = -EINVAL;
	} else {
		wd_vfio_dmabufs_revoke(wd, true);
		wd_vfio_low_power_set(wd, true);
		wd->wakeup = wakeup;
		/* The caller has a count, so this is not the last one. */
		pm_runtime_put_noidle(&wd->pdev->dev);
	}
	mutex_unlock(&wd->lock);
	return ret;
}

/**
 * wd_vfio_low_power_leave() - end low power, if there is any
 * @wd: owned, locked and active
 */
void wd_vfio_low_power_leave(struct wd_vfio *wd)
{
	lockdep_assert_held(&wd->lock);
	if (!wd->low_power)
		return;
	pm_runtime_get_noresume(&wd->pdev->dev);
	wd_vfio_low_power_set(wd, false);
	wd_vfio_dmabufs_allow(wd);
	if (wd->wakeup)
		eventfd_ctx_put(wd->wakeup);
	wd->wakeup = NULL;
}

/**
 * wd_vfio_low_power_entry() - VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
 * @vfile: file; the caller keeps the function active
 * @arg: unused
 *
 * Return: 0; -EINVAL it is in low power already; -ENODEV, -EINTR
 */
int wd_vfio_low_power_entry(struct wd_vfio_file *vfile, void __user *arg)
{
	return wd_vfio_low_power_enter(vfile, NULL);
}

/**
 * wd_vfio_low_power_entry_wakeup() - VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
 * @vfile: file; the caller keeps the function active
 * @arg: the caller's structure
 *
 * Return: as wd_vfio_low_power_entry(); -EINVAL no counter; -EBADF, -EFAULT
 */
int wd_vfio_low_power_entry_wakeup(struct wd_vfio_file *vfile, void __user *arg)
{
	struct vfio_device_low_power_entry_with_wakeup entry;
	struct eventfd_ctx *wakeup;
	int ret;

	if (copy_from_user(&entry, arg, sizeof(entry)))
		return -EFAULT;
	if (entry.wakeup_eventfd < 0)
		return -EINVAL;
	wakeup = eventfd_ctx_fdget(entry.wakeup_eventfd);
	if (IS_ERR(wakeup))
		return PTR_ERR(wakeup);
	ret = wd_vfio_low_power_enter(vfile, wakeup);
	if (ret)
		eventfd_ctx_put(wakeup);
	return ret;
}

/**
 * wd_vfio_low_power_exit() - VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
 * @vfile: file; the caller keeps the function active
 * @arg: unused
 *
 * Return: 0, also without low power; -EINVAL not bound; -ENODEV, -EINTR
 */
int wd_vfio_low_power_exit(struct wd_vfio_file *vfile, void __user *arg)
{
	int ret;

	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	wd_vfio_low_power_leave(vfile->wd);
	mutex_unlock(&vfile->wd->lock);
	return 0;
}

/**
 * wd_vfio_runtime_suspend() - callback: nobody needs the function now
 * @dev: function. The PCI core saves its state afterwards
 *
 * Return: 0
 */
int wd_vfio_runtime_suspend(struct device *dev)
{
	struct wd_vfio *wd = dev_get_drvdata(dev);

	mutex_lock(&wd->lock);
	wd_vfio_intx_sleep(wd);
	mutex_unlock(&wd->lock);
	return 0;
}

/**
 * wd_vfio_runtime_resume() - callback: somebody needs the function
 * @dev: function. The PCI core has restored its state
 *
 * If the owner wants to hear of this, it also ends low power.
 *
 * Return: 0
 */
int wd_vfio_runtime_resume(struct device *dev)
{
	struct wd_vfio *wd = dev_get_drvdata(dev);

	mutex_lock(&wd->lock);
	if (wd->wakeup) {
		wd_vfio_signal(wd->wakeup);
		wd_vfio_low_power_leave(wd);
	}
	wd_vfio_intx_wake(wd);
	mutex_unlock(&wd->lock);
	return 0;
}
