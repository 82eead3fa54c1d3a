// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of IOMMU groups, /dev/vfio/N, for programs that know no device files (IOMMUFD-GROUP-1 to
 * IOMMUFD-GROUP-3): a program sets an open /dev/iommu as the container of a group, and asks the group
 * for files of its functions. These are bound and attached to the compatibility IOAS from the start.
 *
 * One group file can be open, and not while a function of the group is bound by its device file.
 *
 * Lock order: wd_vfio_groups_lock, wd_vfio_group.lock. The latter may be taken inside wd_vfio.lock.
 */
#include <linux/anon_inodes.h>
#include <linux/cdev.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "group.h"
#include "iommufd.h"
#include "wd_vfio.h"

#define WD_VFIO_GROUP_NAME "wd_vfio-group"
#define WD_VFIO_MAX_GROUPS 256

static dev_t wd_vfio_group_devt;
static DEFINE_IDA(wd_vfio_group_minors);
static DEFINE_MUTEX(wd_vfio_groups_lock);
static LIST_HEAD(wd_vfio_groups);

static int wd_vfio_group_open(struct inode *inode, struct file *file)
{
	struct wd_vfio_group *group = container_of(inode->i_cdev, struct wd_vfio_group, cdev);
	int ret = 0;

	mutex_lock(&group->lock);
	if (group->gone)
		ret = -ENODEV;
	else if (group->opened || group->nr_bound)
		ret = -EBUSY;
	else
		group->opened = true;
	mutex_unlock(&group->lock);
	if (ret)
		return ret;
	get_device(&group->dev);
	file->private_data = group;
	return 0;
}

static int wd_vfio_group_release(struct inode *inode, struct file *file)
{
	struct wd_vfio_group *group = file->private_data;
	struct iommufd_ctx *ictx;

	mutex_lock(&group->lock);
	ictx = group->ictx;
	group->ictx = NULL;
	group->opened = false;
	mutex_unlock(&group->lock);
	if (ictx)
		iommufd_ctx_put(ictx);
	put_device(&group->dev);
	return 0;
}

/* IOMMUFD-GROUP-1 */
static int wd_vfio_group_status(struct wd_vfio_group *group, void __user *arg)
{
	struct vfio_group_status status;
	bool gone;

	if (copy_from_user(&status, arg, sizeof(status)))
		return -EFAULT;
	if (status.argsz < sizeof(status))
		return -EINVAL;
	status.flags = 0;
	mutex_lock(&group->lock);
	gone = group->gone;
	if (group->ictx)
		status.flags = VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET;
	mutex_unlock(&group->lock);
	if (gone)
		return -ENODEV;
	if (!status.flags && !iommu_group_dma_owner_claimed(group->iommu_group))
		status.flags = VFIO_GROUP_FLAGS_VIABLE;
	return copy_to_user(arg, &status, sizeof(status)) ? -EFAULT : 0;
}

static int wd_vfio_group_contain(struct wd_vfio_group *group, struct file *file)
{
	struct iommufd_ctx *ictx = iommufd_ctx_from_file(file);
	int ret;

	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	ret = iommufd_vfio_compat_ioas_create(ictx);
	if (ret)
		iommufd_ctx_put(ictx);
	else
		group->ictx = ictx;
	return ret;
}

/* IOMMUFD-GROUP-2 */
static int wd_vfio_group_set_container(struct wd_vfio_group *group, void __user *arg)
{
	struct file *file;
	s32 fd;
	int ret;

	if (copy_from_user(&fd, arg, sizeof(fd)))
		return -EFAULT;
	file = fget(fd);
	if (!file)
		return -EBADF;
	mutex_lock(&group->lock);
	if (group->ictx)
		ret = -EINVAL;
	else if (group->gone)
		ret = -ENODEV;
	else
		ret = wd_vfio_group_contain(group, file);
	mutex_unlock(&group->lock);
	fput(file);
	return ret;
}

/* Files of functions stay bound. */
static int wd_vfio_group_unset_container(struct wd_vfio_group *group)
{
	struct iommufd_ctx *ictx;

	mutex_lock(&group->lock);
	ictx = group->ictx;
	group->ictx = NULL;
	mutex_unlock(&group->lock);
	if (!ictx)
		return -EINVAL;
	iommufd_ctx_put(ictx);
	return 0;
}

/* Find a function by its PCI address. Return: NULL, or the function, held by its device. */
static struct wd_vfio *wd_vfio_group_find(struct wd_vfio_group *group, const char *name)
{
	struct wd_vfio *wd;

	lockdep_assert_held(&group->lock);
	list_for_each_entry (wd, &group->functions, group_item) {
		if (strcmp(dev_name(&wd->pdev->dev), name))
			continue;
		get_device(&wd->dev);
		return wd;
	}
	return NULL;
}

/* An open file for @vfile. Return: an error, with the caller's reference to @vfile given up. */
static struct file *wd_vfio_group_open_file(struct wd_vfio_file *vfile)
{
	struct file *file = anon_inode_getfile("[vfio-device]", &wd_vfio_fops, vfile, O_RDWR);

	if (IS_ERR(file)) {
		wd_vfio_file_put(vfile);
		return file;
	}
	file->f_mode |= FMODE_PREAD | FMODE_PWRITE;
	/* Files without an inode of their own share a mapping, but the BARs are to be zapped alone. */
	if (!vfile->mapping) {
		address_space_init_once(&vfile->own_mapping);
		vfile->own_mapping.host = file_inode(file);
		vfile->own_mapping.a_ops = file->f_mapping->a_ops;
		vfile->mapping = &vfile->own_mapping;
	}
	file->f_mapping = vfile->mapping;
	return file;
}

/* A file of @wd, which is bound to @ictx and attached to its compatibility IOAS. */
static struct file *wd_vfio_group_open_function(struct wd_vfio *wd, struct iommufd_ctx *ictx)
{
	struct wd_vfio_file *vfile = wd_vfio_owner_by_group(wd, ictx);
	struct file *file;
	int ret;

	if (vfile)
		return wd_vfio_group_open_file(vfile);
	vfile = wd_vfio_file_alloc(wd);
	if (!vfile)
		return ERR_PTR(-ENOMEM);
	vfile->by_group = true;
	file = wd_vfio_group_open_file(vfile);
	if (IS_ERR(file))
		return file;
	ret = wd_vfio_bind_by_group(vfile, ictx);
	if (ret) {
		fput(file);
		return ERR_PTR(ret);
	}
	return file;
}

static int wd_vfio_group_install(struct wd_vfio *wd, struct iommufd_ctx *ictx)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;

	if (fd < 0)
		return fd;
	file = wd_vfio_group_open_function(wd, ictx);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

/* IOMMUFD-GROUP-3. Return: a descriptor, or an error. */
static int wd_vfio_group_get_device_fd(struct wd_vfio_group *group, void __user *arg)
{
	char *name = strndup_user(arg, PAGE_SIZE);
	struct iommufd_ctx *ictx;
	struct wd_vfio *wd;
	int ret;

	if (IS_ERR(name))
		return PTR_ERR(name);
	mutex_lock(&group->lock);
	wd = wd_vfio_group_find(group, name);
	ictx = group->ictx;
	if (ictx)
		iommufd_ctx_get(ictx);
	mutex_unlock(&group->lock);
	kfree(name);
	/* A process can make the attachment wait, so it runs without the lock. */
	if (!wd)
		ret = -ENODEV;
	else if (!ictx)
		ret = -EINVAL;
	else
		ret = wd_vfio_group_install(wd, ictx);
	if (ictx)
		iommufd_ctx_put(ictx);
	if (wd)
		put_device(&wd->dev);
	return ret;
}

static long wd_vfio_group_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct wd_vfio_group *group = file->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_GROUP_GET_STATUS:
		return wd_vfio_group_status(group, uarg);
	case VFIO_GROUP_SET_CONTAINER:
		return wd_vfio_group_set_container(group, uarg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return wd_vfio_group_unset_container(group);
	case VFIO_GROUP_GET_DEVICE_FD:
		return wd_vfio_group_get_device_fd(group, uarg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations wd_vfio_group_fops = {
	.owner = THIS_MODULE,
	.open = wd_vfio_group_open,
	.release = wd_vfio_group_release,
	.unlocked_ioctl = wd_vfio_group_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static char *wd_vfio_group_devnode(wd_devnode_device *dev, umode_t *mode, kuid_t *uid, kgid_t *gid)
{
	const struct wd_vfio_group *group = container_of(dev, struct wd_vfio_group, dev);

	return kasprintf(GFP_KERNEL, "vfio/%d", iommu_group_id(group->iommu_group));
}

static const struct device_type wd_vfio_group_type = {
	.name = WD_VFIO_GROUP_NAME,
	.devnode = wd_vfio_group_devnode,
};

static void wd_vfio_group_dev_release(struct device *dev)
{
	struct wd_vfio_group *group = container_of(dev, struct wd_vfio_group, dev);

	ida_free(&wd_vfio_group_minors, group->minor);
	iommu_group_put(group->iommu_group);
	mutex_destroy(&group->lock);
	kfree(group);
}

/* Takes over the caller's reference to @iommu_group, also after an error. */
static struct wd_vfio_group *wd_vfio_group_create(struct iommu_group *iommu_group)
{
	struct wd_vfio_group *group = kzalloc(sizeof(*group), GFP_KERNEL);
	int ret = -ENOMEM;

	if (!group)
		goto err_put;
	ret = ida_alloc_max(&wd_vfio_group_minors, WD_VFIO_MAX_GROUPS - 1, GFP_KERNEL);
	if (ret < 0)
		goto err_free;
	group->minor = ret;
	group->iommu_group = iommu_group;
	mutex_init(&group->lock);
	INIT_LIST_HEAD(&group->functions);
	device_initialize(&group->dev);
	group->dev.type = &wd_vfio_group_type;
	group->dev.release = wd_vfio_group_dev_release;
	group->dev.devt = MKDEV(MAJOR(wd_vfio_group_devt), group->minor);
	ret = dev_set_name(&group->dev, WD_VFIO_GROUP_NAME "%d", iommu_group_id(iommu_group));
	if (ret)
		goto err_device;
	cdev_init(&group->cdev, &wd_vfio_group_fops);
	group->cdev.owner = THIS_MODULE;
	ret = cdev_device_add(&group->cdev, &group->dev);
	if (ret)
		goto err_device;
	return group;

err_device:
	put_device(&group->dev);
	return ERR_PTR(ret);
err_free:
	kfree(group);
err_put:
	iommu_group_put(iommu_group);
	return ERR_PTR(ret);
}

/* The group file of @iommu_group, a new one if need be. Takes over the reference. */
static struct wd_vfio_group *wd_vfio_group_get(struct iommu_group *iommu_group)
{
	struct wd_vfio_group *group;

	lockdep_assert_held(&wd_vfio_groups_lock);
	list_for_each_entry (group, &wd_vfio_groups, item) {
		if (group->iommu_group != iommu_group)
			continue;
		iommu_group_put(iommu_group);
		return group;
	}
	group = wd_vfio_group_create(iommu_group);
	if (!IS_ERR(group))
		list_add(&group->item, &wd_vfio_groups);
	return group;
}

/**
 * wd_vfio_group_join() - put a function into the file of its IOMMU group
 * @wd: function. Without an IOMMU it is in no group
 *
 * Return: 0; -ENODEV it has no group, -ENOMEM, -ENOSPC, errors of making the file
 */
int wd_vfio_group_join(struct wd_vfio *wd)
{
	struct iommu_group *iommu_group;
	struct wd_vfio_group *group;

	if (wd->noiommu)
		return 0;
	iommu_group = iommu_group_get(&wd->pdev->dev);
	if (!iommu_group)
		return -ENODEV;
	mutex_lock(&wd_vfio_groups_lock);
	group = wd_vfio_group_get(iommu_group);
	if (!IS_ERR(group)) {
		mutex_lock(&group->lock);
		wd->group = group;
		list_add_tail(&wd->group_item, &group->functions);
		mutex_unlock(&group->lock);
	}
	mutex_unlock(&wd_vfio_groups_lock);
	return PTR_ERR_OR_ZERO(group);
}

/**
 * wd_vfio_group_leave() - undo wd_vfio_group_join()
 * @wd: function without an owner, which gets none any more
 *
 * With the last function the group file goes. Programs that have it open get -ENODEV.
 */
void wd_vfio_group_leave(struct wd_vfio *wd)
{
	struct wd_vfio_group *group = wd->group;
	bool gone;

	if (!group)
		return;
	mutex_lock(&wd_vfio_groups_lock);
	mutex_lock(&group->lock);
	list_del(&wd->group_item);
	gone = group->gone = list_empty(&group->functions);
	mutex_unlock(&group->lock);
	if (gone) {
		list_del(&group->item);
		cdev_device_del(&group->cdev, &group->dev);
	}
	mutex_unlock(&wd_vfio_groups_lock);
	if (gone)
		put_device(&group->dev);
}

int wd_vfio_groups_init(void)
{
	wd_vfio_group_files(&wd_vfio_group_fops);
	return alloc_chrdev_region(&wd_vfio_group_devt, 0, WD_VFIO_MAX_GROUPS, WD_VFIO_GROUP_NAME);
}

void wd_vfio_groups_exit(void)
{
	unregister_chrdev_region(wd_vfio_group_devt, WD_VFIO_MAX_GROUPS);
	ida_destroy(&wd_vfio_group_minors);
}
