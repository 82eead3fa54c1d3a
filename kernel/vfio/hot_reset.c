// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reset of the bus, or of the slot, of a function: VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and
 * VFIO_DEVICE_PCI_HOT_RESET (IOMMUFD-VFIO-10, IOMMUFD-VFIO-11).
 *
 * The reset affects all functions there, so each must have this driver, and belong to the caller.
 * A list has all functions of this driver. Its lock keeps them bound, and allows to take the locks
 * of several functions, in any order. pci_reset_bus() only tries to take the locks of devices.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd.h"
#include "trace.h"
#include "wd_vfio.h"

static DEFINE_MUTEX(wd_vfio_all_lock);
static LIST_HEAD(wd_vfio_all);

/**
 * struct wd_vfio_affected - the functions that a reset affects
 * @pdev: the caller's function
 * @slot: it is a reset of the slot
 * @max: room in @pdevs
 * @count: number of functions, of which the first @max are in @pdevs
 * @pdevs: held; NULL before there is room
 */
struct wd_vfio_affected {
	struct pci_dev *pdev;
	bool slot;
	unsigned int max;
	unsigned int count;
	struct pci_dev **pdevs;
};

/**
 * wd_vfio_all_add() - let a function take part in resets of its bus
 * @wd: function of this driver
 */
void wd_vfio_all_add(struct wd_vfio *wd)
{
	mutex_lock(&wd_vfio_all_lock);
	list_add_tail(&wd->all_item, &wd_vfio_all);
	mutex_unlock(&wd_vfio_all_lock);
}

/* Undo wd_vfio_all_add(). A reset that affects the function has ended when this returns. */
void wd_vfio_all_remove(struct wd_vfio *wd)
{
	mutex_lock(&wd_vfio_all_lock);
	list_del(&wd->all_item);
	mutex_unlock(&wd_vfio_all_lock);
}

/* Return: NULL if @pdev has another driver or none */
static struct wd_vfio *wd_vfio_find(struct pci_dev *pdev)
{
	struct wd_vfio *wd;

	lockdep_assert_held(&wd_vfio_all_lock);
	list_for_each_entry (wd, &wd_vfio_all, all_item)
		if (wd->pdev == pdev)
			return wd;
	return NULL;
}

/* --- the affected functions --- */

/* Is @pdev, on the bus of @top or below it, in the slot of @top? */
static bool wd_vfio_same_slot(struct pci_dev *pdev, struct pci_dev *top)
{
	while (pdev && pdev->bus != top->bus)
		pdev = pdev->bus->self;
	return pdev && pdev->slot == top->slot;
}

static int wd_vfio_affected_one(struct pci_dev *pdev, void *data)
{
	struct wd_vfio_affected *affected = data;

	if (affected->slot && !wd_vfio_same_slot(pdev, affected->pdev))
		return 0;
	if (affected->count < affected->max)
		affected->pdevs[affected->count] = pci_dev_get(pdev);
	affected->count++;
	return 0;
}

static void wd_vfio_affected_put(struct wd_vfio_affected *affected)
{
	unsigned int i;

	for (i = 0; i < min(affected->count, affected->max); i++)
		pci_dev_put(affected->pdevs[i]);
	kfree(affected->pdevs);
}

/* Count the functions. Return: 0; -ENODEV neither the slot nor the bus can be reset */
static int wd_vfio_affected_count(struct pci_dev *pdev, struct wd_vfio_affected *affected)
{
	*affected = (struct wd_vfio_affected){.pdev = pdev};
	if (!pci_probe_reset_slot(pdev->slot))
		affected->slot = true;
	else if (pci_probe_reset_bus(pdev->bus))
		return -ENODEV;
	pci_walk_bus(pdev->bus, wd_vfio_affected_one, affected);
	return 0;
}

/* Hold the functions that were counted. Return: 0; -EAGAIN there are more now; -ENOMEM */
static int wd_vfio_affected_get(struct wd_vfio_affected *affected)
{
	affected->max = affected->count;
	affected->count = 0;
	affected->pdevs = kcalloc(affected->max, sizeof(*affected->pdevs), GFP_KERNEL_ACCOUNT);
	if (!affected->pdevs)
		return -ENOMEM;
	pci_walk_bus(affected->pdev->bus, wd_vfio_affected_one, affected);
	if (affected->count <= affected->max)
		return 0;
	wd_vfio_affected_put(affected);
	return -EAGAIN;
}

/* --- ownership --- */

/* The context of the caller, held. Return: ERR_PTR as wd_vfio_lock_owner() */
static struct iommufd_ctx *wd_vfio_ictx(struct wd_vfio_file *vfile)
{
	struct iommufd_ctx *ictx;
	int ret;

	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ERR_PTR(ret);
	ictx = iommufd_device_to_ictx(vfile->wd->idev);
	iommufd_ctx_get(ictx);
	mutex_unlock(&vfile->wd->lock);
	return ictx;
}

static bool wd_vfio_ictx_has_group(struct iommufd_ctx *ictx, struct pci_dev *pdev)
{
	struct iommu_group *group = iommu_group_get(&pdev->dev);
	bool has;

	if (!group)
		return false;
	has = iommufd_ctx_has_group(ictx, group);
	iommu_group_put(group);
	return has;
}

/*
 * Id of a function in a context. Return: VFIO_PCI_DEVID_OWNED if it is not bound, but others of its
 * group are bound to the context, so nobody else can own it; otherwise VFIO_PCI_DEVID_NOT_OWNED
 */
static u32 wd_vfio_devid(struct wd_vfio *wd, struct iommufd_ctx *ictx)
{
	lockdep_assert_held(&wd->lock);
	if (wd->idev && iommufd_device_to_ictx(wd->idev) == ictx)
		return iommufd_device_to_id(wd->idev);
	return wd_vfio_ictx_has_group(ictx, wd->pdev) ? VFIO_PCI_DEVID_OWNED
						      : VFIO_PCI_DEVID_NOT_OWNED;
}

/* --- the list of affected functions for the caller --- */

static void wd_vfio_fill_devid(struct iommufd_ctx *ictx, struct pci_dev *pdev,
			       struct vfio_pci_dependent_device *device, u32 *flags)
{
	struct wd_vfio *wd = wd_vfio_find(pdev);

	device->devid = VFIO_PCI_DEVID_NOT_OWNED;
	if (wd) {
		mutex_lock_nest_lock(&wd->lock, &wd_vfio_all_lock);
		device->devid = wd_vfio_devid(wd, ictx);
		mutex_unlock(&wd->lock);
	}
	if (device->devid == (u32)VFIO_PCI_DEVID_NOT_OWNED)
		*flags &= ~VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
}

/* Return: 0; -EPERM the function is in no group */
static int wd_vfio_fill_group(struct pci_dev *pdev, struct vfio_pci_dependent_device *device)
{
	struct iommu_group *group = iommu_group_get(&pdev->dev);

	if (!group)
		return -EPERM;
	device->group_id = iommu_group_id(group);
	iommu_group_put(group);
	return 0;
}

static int wd_vfio_fill(struct wd_vfio_file *vfile, struct iommufd_ctx *ictx,
			const struct wd_vfio_affected *affected,
			struct vfio_pci_dependent_device *devices, u32 *flags)
{
	unsigned int i;
	int ret;

	*flags = vfile->by_group
			 ? 0
			 : VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	ret = mutex_lock_killable(&wd_vfio_all_lock);
	if (ret)
		return ret;
	for (i = 0; i < affected->count && !ret; i++) {
		struct pci_dev *pdev = affected->pdevs[i];

		devices[i].segment = pci_domain_nr(pdev->bus);
		devices[i].bus = pdev->bus->number;
		devices[i].devfn = pdev->devfn;
		if (vfile->by_group)
			ret = wd_vfio_fill_group(pdev, &devices[i]);
		else
			wd_vfio_fill_devid(ictx, pdev, &devices[i], flags);
	}
	mutex_unlock(&wd_vfio_all_lock);
	return ret;
}

static int wd_vfio_hot_reset_list(struct wd_vfio_file *vfile, struct iommufd_ctx *ictx,
				  struct wd_vfio_affected *affected,
				  struct vfio_pci_hot_reset_info *hdr,
				  struct vfio_pci_hot_reset_info __user *arg)
{
	struct vfio_pci_dependent_device *devices;
	int ret;

	ret = wd_vfio_affected_get(affected);
	if (ret)
		return ret;
	devices = kcalloc(affected->max, sizeof(*devices), GFP_KERNEL_ACCOUNT);
	if (devices)
		ret = wd_vfio_fill(vfile, ictx, affected, devices, &hdr->flags);
	else
		ret = -ENOMEM;
	if (!ret && copy_to_user(arg->devices, devices, sizeof(*devices) * affected->count))
		ret = -EFAULT;
	kfree(devices);
	wd_vfio_affected_put(affected);
	return ret;
}

/**
 * wd_vfio_hot_reset_info_ioctl() - VFIO_DEVICE_GET_PCI_HOT_RESET_INFO (IOMMUFD-VFIO-10)
 * @vfile: file
 * @arg: the caller's structure
 *
 * Return: 0; -ENODEV neither slot nor bus can be reset; -ENOSPC no room for all functions; -EPERM a
 * function is in no group; -EAGAIN, -EINVAL, -EFAULT, -ENOMEM, -EINTR
 */
int wd_vfio_hot_reset_info_ioctl(struct wd_vfio_file *vfile, void __user *arg)
{
	const size_t size = offsetofend(struct vfio_pci_hot_reset_info, count);
	struct vfio_pci_hot_reset_info hdr;
	struct wd_vfio_affected affected;
	struct iommufd_ctx *ictx;
	int ret;

	if (copy_from_user(&hdr, arg, size))
		return -EFAULT;
	if (hdr.argsz < size)
		return -EINVAL;
	ret = wd_vfio_affected_count(vfile->wd->pdev, &affected);
	if (ret)
		return ret;
	hdr.flags = 0;
	hdr.count = affected.count;
	if (affected.count > (hdr.argsz - size) / sizeof(struct vfio_pci_dependent_device)) {
		ret = -ENOSPC;
	} else {
		ictx = wd_vfio_ictx(vfile);
		if (IS_ERR(ictx))
			return PTR_ERR(ictx);
		ret = wd_vfio_hot_reset_list(vfile, ictx, &affected, &hdr, arg);
		iommufd_ctx_put(ictx);
		hdr.count = affected.count;
	}
	if (ret && ret != -ENOSPC)
		return ret;
	return copy_to_user(arg, &hdr, size) ? -EFAULT : ret;
}

/* --- the reset --- */

/**
 * struct wd_vfio_proof - why the caller may reset functions of others
 * @ictx: functions of this context, held; NULL: functions of @groups
 * @count: number of @groups
 * @groups: files of groups, held
 */
struct wd_vfio_proof {
	struct iommufd_ctx *ictx;
	unsigned int count;
	struct file **groups;
};

static bool wd_vfio_proven(struct wd_vfio *wd, const struct wd_vfio_proof *proof)
{
	unsigned int i;

	if (proof->ictx)
		return wd_vfio_devid(wd, proof->ictx) != (u32)VFIO_PCI_DEVID_NOT_OWNED;
	for (i = 0; i < proof->count; i++)
		if (wd->group && wd_vfio_group_of_file(proof->groups[i]) == wd->group)
			return true;
	return false;
}

static void wd_vfio_unlock_first(const struct wd_vfio_affected *affected, unsigned int count)
{
	while (count--)
		mutex_unlock(&wd_vfio_find(affected->pdevs[count])->lock);
}

/* Lock all functions. Return: 0; -EINVAL with none locked if the caller may not reset one of them */
static int wd_vfio_lock_affected(const struct wd_vfio_affected *affected,
				 const struct wd_vfio_proof *proof)
{
	unsigned int i;

	for (i = 0; i < affected->count; i++) {
		struct wd_vfio *wd = wd_vfio_find(affected->pdevs[i]);

		if (!wd)
			break;
		mutex_lock_nest_lock(&wd->lock, &wd_vfio_all_lock);
		if (wd_vfio_proven(wd, proof))
			continue;
		mutex_unlock(&wd->lock);
		break;
	}
	if (i == affected->count)
		return 0;
	wd_vfio_unlock_first(affected, i);
	return -EINVAL;
}

/* Nothing reaches the function during the reset, and its driver knows who resets it. */
static void wd_vfio_hot_reset_begin(struct wd_vfio *wd)
{
	wd_vfio_dmabufs_revoke(wd, true);
	down_write_nest_lock(&wd->memory_lock, &wd_vfio_all_lock);
	wd_vfio_zap(wd);
	WRITE_ONCE(wd->resetter, current);
}

static void wd_vfio_hot_reset_end(struct wd_vfio *wd, int ret)
{
	WRITE_ONCE(wd->resetter, NULL);
	up_write(&wd->memory_lock);
	wd_vfio_dmabufs_allow(wd);
	if (wd->owner)
		wd_vfio_config_restored(wd);
	trace_wd_vfio_reset(&wd->pdev->dev, ret);
}

/* With all functions active. */
static int wd_vfio_hot_reset_active(struct wd_vfio_file *vfile, struct wd_vfio_affected *affected,
				    const struct wd_vfio_proof *proof)
{
	unsigned int i;
	int ret;

	ret = wd_vfio_lock_affected(affected, proof);
	if (ret)
		return ret;
	if (vfile->wd->owner != vfile) {
		ret = vfile->wd->gone ? -ENODEV : -EINVAL;
		goto out_unlock;
	}
	for (i = 0; i < affected->count; i++)
		wd_vfio_hot_reset_begin(wd_vfio_find(affected->pdevs[i]));
	ret = pci_reset_bus(affected->pdev);
	for (i = affected->count; i--;)
		wd_vfio_hot_reset_end(wd_vfio_find(affected->pdevs[i]), ret);
out_unlock:
	wd_vfio_unlock_first(affected, affected->count);
	return ret;
}

static void wd_vfio_power_put_first(const struct wd_vfio_affected *affected, unsigned int count)
{
	while (count--)
		wd_vfio_power_put(wd_vfio_find(affected->pdevs[count]));
}

/* Resume all functions. Return: 0; as wd_vfio_power_get() with none counted */
static int wd_vfio_power_get_affected(const struct wd_vfio_affected *affected)
{
	unsigned int i;
	int ret;

	for (i = 0; i < affected->count; i++) {
		ret = wd_vfio_power_get(wd_vfio_find(affected->pdevs[i]));
		if (ret) {
			wd_vfio_power_put_first(affected, i);
			return ret;
		}
	}
	return 0;
}

static int wd_vfio_hot_reset(struct wd_vfio_file *vfile, struct wd_vfio_affected *affected,
			     const struct wd_vfio_proof *proof)
{
	int ret;

	lockdep_assert_held(&wd_vfio_all_lock);
	/* The caller must not wake functions of others. */
	ret = wd_vfio_lock_affected(affected, proof);
	if (ret)
		return ret;
	wd_vfio_unlock_first(affected, affected->count);
	ret = wd_vfio_power_get_affected(affected);
	if (ret)
		return ret;
	ret = wd_vfio_hot_reset_active(vfile, affected, proof);
	wd_vfio_power_put_first(affected, affected->count);
	return ret;
}

/* Hold the group files of the caller. Return: 0 with all held; -EBADF, -EINVAL no group file */
static int wd_vfio_proof_groups(struct wd_vfio_proof *proof, const s32 *fds, unsigned int count)
{
	for (proof->count = 0; proof->count < count; proof->count++) {
		struct file *file = fget(fds[proof->count]);

		if (!file)
			return -EBADF;
		proof->groups[proof->count] = file;
		if (!wd_vfio_group_of_file(file)) {
			proof->count++;
			return -EINVAL;
		}
	}
	return 0;
}

static void wd_vfio_proof_put(struct wd_vfio_proof *proof)
{
	unsigned int i;

	for (i = 0; i < proof->count; i++)
		fput(proof->groups[i]);
	kfree(proof->groups);
	if (proof->ictx)
		iommufd_ctx_put(proof->ictx);
}

/* What the caller proves its ownership by. After an error too the caller puts @proof. */
static int wd_vfio_proof_get(struct wd_vfio_file *vfile, struct wd_vfio_proof *proof,
			     unsigned int count, const __s32 __user *arg)
{
	s32 *fds;
	int ret;

	if (!vfile->by_group) {
		struct iommufd_ctx *ictx = wd_vfio_ictx(vfile);

		if (IS_ERR(ictx))
			return PTR_ERR(ictx);
		proof->ictx = ictx;
		return 0;
	}
	fds = memdup_user(arg, array_size(count, sizeof(*fds)));
	if (IS_ERR(fds))
		return PTR_ERR(fds);
	proof->groups = kcalloc(count, sizeof(*proof->groups), GFP_KERNEL_ACCOUNT);
	if (proof->groups)
		ret = wd_vfio_proof_groups(proof, fds, count);
	else
		ret = -ENOMEM;
	kfree(fds);
	return ret;
}

/**
 * wd_vfio_hot_reset_ioctl() - VFIO_DEVICE_PCI_HOT_RESET (IOMMUFD-VFIO-11)
 * @vfile: file
 * @arg: the caller's structure
 *
 * Return: 0; -ENODEV neither slot nor bus can be reset; -EINVAL also if a function has another
 * driver, or does not belong to the caller; -EAGAIN another thread holds the lock of a device, or
 * there are new ones; -EIO a function does not resume; -EBADF, -EFAULT, -ENOMEM, -EINTR
 */
int wd_vfio_hot_reset_ioctl(struct wd_vfio_file *vfile, void __user *arg)
{
	const size_t size = offsetofend(struct vfio_pci_hot_reset, count);
	struct vfio_pci_hot_reset __user *uarg = arg;
	struct wd_vfio_affected affected;
	struct wd_vfio_proof proof = {};
	struct vfio_pci_hot_reset hdr;
	int ret;

	if (copy_from_user(&hdr, arg, size))
		return -EFAULT;
	/* A device file proves nothing by groups, and a file of a group by nothing else. */
	if (hdr.argsz < size || hdr.flags || !hdr.count == vfile->by_group)
		return -EINVAL;
	ret = wd_vfio_affected_count(vfile->wd->pdev, &affected);
	if (ret)
		return ret;
	if (hdr.count > affected.count)
		return -EINVAL;
	ret = wd_vfio_proof_get(vfile, &proof, hdr.count, uarg->group_fds);
	if (!ret)
		ret = wd_vfio_affected_get(&affected);
	if (ret)
		goto out_put;
	ret = mutex_lock_killable(&wd_vfio_all_lock);
	if (!ret) {
		ret = wd_vfio_hot_reset(vfile, &affected, &proof);
		mutex_unlock(&wd_vfio_all_lock);
	}
	wd_vfio_affected_put(&affected);
out_put:
	wd_vfio_proof_put(&proof);
	return ret;
}
