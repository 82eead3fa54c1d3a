// SPDX-License-Identifier: GPL-2.0-only
/*
 * File operations of a function's device file. Before BIND_IOMMUFD every other operation fails with
 * -EINVAL, and after the driver has left the function with -ENODEV.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "vfio_verbs.h"
#include "wd_vfio.h"

/* Make the state of a new file of @wd, and hold @wd. Return: NULL without memory */
struct wd_vfio_file *wd_vfio_file_alloc(struct wd_vfio *wd)
{
	struct wd_vfio_file *vfile = kzalloc(sizeof(*vfile), GFP_KERNEL_ACCOUNT);

	if (!vfile)
		return NULL;
	refcount_set(&vfile->refs, 1);
	vfile->wd = wd;
	get_device(&wd->dev);
	return vfile;
}

/* The last reference ends the ownership by @vfile. */
void wd_vfio_file_put(struct wd_vfio_file *vfile)
{
	if (!refcount_dec_and_test(&vfile->refs))
		return;
	wd_vfio_close(vfile);
	put_device(&vfile->wd->dev);
	kfree(vfile);
}

static int wd_vfio_open(struct inode *inode, struct file *file)
{
	struct wd_vfio *wd = container_of(inode->i_cdev, struct wd_vfio, cdev);
	struct wd_vfio_file *vfile;

	if (wd->noiommu && !capable(CAP_SYS_RAWIO))
		return -EPERM;
	vfile = wd_vfio_file_alloc(wd);
	if (!vfile)
		return -ENOMEM;
	vfile->mapping = file->f_mapping;
	file->private_data = vfile;
	return 0;
}

static int wd_vfio_release(struct inode *inode, struct file *file)
{
	wd_vfio_file_put(file->private_data);
	return 0;
}

static int wd_vfio_reset_ioctl(struct wd_vfio_file *vfile)
{
	struct wd_vfio *wd = vfile->wd;
	int ret;

	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	ret = wd->resettable ? wd_vfio_reset(wd) : -EINVAL;
	mutex_unlock(&wd->lock);
	return ret;
}

static long wd_vfio_owner_ioctl(struct wd_vfio_file *vfile, unsigned int cmd, void __user *arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return wd_vfio_info_ioctl(vfile->wd, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return wd_vfio_region_ioctl(vfile->wd, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return wd_vfio_irq_info_ioctl(vfile->wd, arg);
	case VFIO_DEVICE_RESET:
		return wd_vfio_reset_ioctl(vfile);
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return vfile->by_group ? -ENOTTY
				       : vfio_verbs_ioctl(&wd_vfio_verbs, vfile, cmd, arg);
	case VFIO_DEVICE_FEATURE:
		return wd_vfio_feature_ioctl(vfile, arg);
	case VFIO_DEVICE_SET_IRQS:
		return wd_vfio_set_irqs_ioctl(vfile, arg);
	case VFIO_DEVICE_IOEVENTFD:
		return wd_vfio_ioeventfd_ioctl(vfile, arg);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return wd_vfio_hot_reset_info_ioctl(vfile, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return wd_vfio_hot_reset_ioctl(vfile, arg);
	default:
		return -ENOTTY;
	}
}

/* Begin a use of the function by its owner: it is active until wd_vfio_power_put(). */
static int wd_vfio_use(struct wd_vfio_file *vfile)
{
	int ret;

	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	mutex_unlock(&vfile->wd->lock);
	return wd_vfio_power_get(vfile->wd);
}

static long wd_vfio_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct wd_vfio_file *vfile = file->private_data;
	void __user *uarg = (void __user *)arg;
	long ret;

	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return vfile->by_group ? -EINVAL
				       : vfio_verbs_ioctl(&wd_vfio_verbs, vfile, cmd, uarg);
	ret = wd_vfio_use(vfile);
	if (ret)
		return ret;
	ret = wd_vfio_owner_ioctl(vfile, cmd, uarg);
	wd_vfio_power_put(vfile->wd);
	return ret;
}

static ssize_t wd_vfio_region_rw(struct wd_vfio_file *vfile, char __user *buf, size_t count,
				 loff_t pos, bool write)
{
	unsigned int index = pos >> WD_VFIO_OFFSET_SHIFT;
	loff_t offset = pos & (BIT_ULL(WD_VFIO_OFFSET_SHIFT) - 1);

	if (index < PCI_STD_NUM_BARS)
		return wd_vfio_bar_rw(vfile, index, buf, count, offset, write);
	if (index == VFIO_PCI_ROM_REGION_INDEX && !write)
		return wd_vfio_rom_read(vfile, buf, count, offset);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return wd_vfio_config_rw(vfile, buf, count, offset, write);
	return -EINVAL;
}

static ssize_t wd_vfio_rw(struct wd_vfio_file *vfile, char __user *buf, size_t count, loff_t *pos,
			  bool write)
{
	ssize_t ret;

	ret = wd_vfio_use(vfile);
	if (ret)
		return ret;
	ret = *pos < 0 ? -EINVAL : wd_vfio_region_rw(vfile, buf, count, *pos, write);
	wd_vfio_power_put(vfile->wd);
	if (ret > 0)
		*pos += ret;
	return ret;
}

static ssize_t wd_vfio_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	return wd_vfio_rw(file->private_data, buf, count, pos, false);
}

static ssize_t wd_vfio_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	return wd_vfio_rw(file->private_data, (char __user *)buf, count, pos, true);
}

static int wd_vfio_mmap(struct file *file, struct vm_area_struct *vma)
{
	return wd_vfio_map(file->private_data, vma);
}

const struct file_operations wd_vfio_fops = {
	.owner = THIS_MODULE,
	.open = wd_vfio_open,
	.release = wd_vfio_release,
	.read = wd_vfio_read,
	.write = wd_vfio_write,
	.unlocked_ioctl = wd_vfio_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = wd_vfio_mmap,
};
