// SPDX-License-Identifier: Apache-2.0
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "iommufd.h"
#include "plain_dev.h"

static struct miscdevice plain_misc;

static int plain_open(struct inode *inode, struct file *filp)
{
	filp->private_data = NULL;
	return 0;
}

static int plain_release(struct inode *inode, struct file *filp)
{
	if (filp->private_data)
		iommufd_device_unbind(filp->private_data);
	return 0;
}

static long plain_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct iommufd_device *idev;
	struct iommufd_ctx *ictx;
	u32 id;

	if (cmd != PLAIN_BIND || filp->private_data)
		return -ENOTTY;
	ictx = iommufd_ctx_from_fd(arg);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	idev = iommufd_device_bind_noiommu(ictx, plain_misc.this_device, &id);
	iommufd_ctx_put(ictx);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	filp->private_data = idev;
	return id;
}

static const struct file_operations plain_fops = {
	.owner = THIS_MODULE,
	.open = plain_open,
	.release = plain_release,
	.unlocked_ioctl = plain_ioctl,
};

static struct miscdevice plain_misc = {
	.name = "plain",
	.fops = &plain_fops,
};

static int __init plain_init(void)
{
	plain_misc.minor = MISC_DYNAMIC_MINOR;
	return misc_register(&plain_misc);
}

static void __exit plain_exit(void)
{
	misc_deregister(&plain_misc);
}

module_init(plain_init);
module_exit(plain_exit);
MODULE_LICENSE("GPL");
