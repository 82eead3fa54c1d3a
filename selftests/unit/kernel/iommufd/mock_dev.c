// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that lets a test bind a function to /dev/iommu and attach page tables to it.
 */
#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "iommufd.h"
#include "mock.h"
#include "mock_keeper.h"

struct mock_function {
	struct miscdevice misc;
	struct pci_dev *pdev;
	char name[16];
};

struct mock_file {
	struct mock_function *function;
	struct mutex lock;
	struct iommufd_device *idev;
	struct xarray pasids;
	struct mock_keeper *keeper;
};

static int mock_open(struct inode *inode, struct file *filp)
{
	struct mock_file *mfile = kzalloc(sizeof(*mfile), GFP_KERNEL);

	if (!mfile)
		return -ENOMEM;
	mfile->function = container_of(filp->private_data, struct mock_function, misc);
	mutex_init(&mfile->lock);
	xa_init(&mfile->pasids);
	filp->private_data = mfile;
	return 0;
}

static void mock_detach_all(struct mock_file *mfile)
{
	unsigned long pasid;
	void *entry;

	xa_for_each (&mfile->pasids, pasid, entry) {
		iommufd_device_detach(mfile->idev, pasid);
		xa_erase(&mfile->pasids, pasid);
	}
}

static int mock_release(struct inode *inode, struct file *filp)
{
	struct mock_file *mfile = filp->private_data;

	if (mfile->keeper)
		mock_keeper_close(mfile->keeper);
	if (mfile->idev) {
		mock_detach_all(mfile);
		iommufd_device_unbind(mfile->idev);
	}
	xa_destroy(&mfile->pasids);
	mutex_destroy(&mfile->lock);
	kfree(mfile);
	return 0;
}

static int mock_do_bind(struct mock_file *mfile, struct mock_bind *bind)
{
	struct device *dev = &mfile->function->pdev->dev;
	struct iommufd_device *idev;
	struct iommufd_ctx *ictx;

	if (mfile->idev)
		return -EINVAL;
	ictx = iommufd_ctx_from_fd(bind->iommufd);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	idev = bind->shared ? iommufd_device_bind_shared(ictx, dev, &bind->out_id)
			    : iommufd_device_bind(ictx, dev, &bind->out_id);
	iommufd_ctx_put(ictx);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	mfile->idev = idev;
	WARN_ON(iommufd_device_to_id(idev) != bind->out_id);
	return 0;
}

static int mock_do_attach(struct mock_file *mfile, struct mock_attach *attach)
{
	int rc;

	if (!mfile->idev)
		return -EINVAL;
	rc = attach->replace ? iommufd_device_replace(mfile->idev, attach->pasid, &attach->pt_id)
			     : iommufd_device_attach(mfile->idev, attach->pasid, &attach->pt_id);
	if (rc || attach->replace)
		return rc;
	rc = xa_err(xa_store(&mfile->pasids, attach->pasid, xa_mk_value(1), GFP_KERNEL));
	if (rc)
		iommufd_device_detach(mfile->idev, attach->pasid);
	return rc;
}

/* As real drivers do, it does not hold the file's lock while memory is pinned. */
static int mock_attach(struct mock_file *mfile, struct mock_attach *attach)
{
	struct iopt_hold *hold = NULL;
	struct iommufd_ctx *ictx;
	int rc;

	for (;;) {
		mutex_lock(&mfile->lock);
		rc = mock_do_attach(mfile, attach);
		if (rc == -EAGAIN) {
			ictx = iommufd_device_to_ictx(mfile->idev);
			iommufd_ctx_get(ictx);
		}
		mutex_unlock(&mfile->lock);
		if (rc != -EAGAIN)
			break;
		rc = iommufd_prepare_attach(ictx, attach->pt_id, &hold);
		iommufd_ctx_put(ictx);
		if (rc)
			break;
	}
	iommufd_prepared(hold);
	return rc;
}

static int mock_bind_ioctl(struct mock_file *mfile, void __user *arg)
{
	struct mock_bind bind;
	int rc;

	if (copy_from_user(&bind, arg, sizeof(bind)))
		return -EFAULT;
	mutex_lock(&mfile->lock);
	rc = mock_do_bind(mfile, &bind);
	mutex_unlock(&mfile->lock);
	if (!rc && copy_to_user(arg, &bind, sizeof(bind)))
		rc = -EFAULT;
	return rc;
}

static int mock_attach_ioctl(struct mock_file *mfile, void __user *arg)
{
	struct mock_attach attach;
	int rc;

	if (copy_from_user(&attach, arg, sizeof(attach)))
		return -EFAULT;
	rc = mock_attach(mfile, &attach);
	if (!rc && copy_to_user(arg, &attach, sizeof(attach)))
		rc = -EFAULT;
	return rc;
}

static int mock_detach_ioctl(struct mock_file *mfile, void __user *arg)
{
	unsigned int pasid;
	int rc = -EINVAL;

	if (copy_from_user(&pasid, arg, sizeof(pasid)))
		return -EFAULT;
	mutex_lock(&mfile->lock);
	if (mfile->idev) {
		iommufd_device_detach(mfile->idev, pasid);
		xa_erase(&mfile->pasids, pasid);
		rc = 0;
	}
	mutex_unlock(&mfile->lock);
	return rc;
}

static int mock_let_go(struct mock_file *mfile, bool unbind)
{
	int rc = 0;

	mutex_lock(&mfile->lock);
	if (mfile->idev && unbind) {
		iommufd_device_unbind(mfile->idev);
		mfile->idev = NULL;
	} else if (mfile->idev) {
		mock_detach_all(mfile);
	} else if (unbind) {
		rc = -EINVAL;
	}
	mutex_unlock(&mfile->lock);
	return rc;
}

static int mock_keep_ioctl(struct mock_file *mfile, void __user *arg)
{
	struct mock_keeper *keeper;
	struct mock_keep keep;

	if (copy_from_user(&keep, arg, sizeof(keep)))
		return -EFAULT;
	if (!mfile->idev || mfile->keeper)
		return -EINVAL;
	keeper = mock_keeper_open(iommufd_device_to_ictx(mfile->idev), &keep);
	if (IS_ERR(keeper))
		return PTR_ERR(keeper);
	mfile->keeper = keeper;
	return copy_to_user(arg, &keep, sizeof(keep)) ? -EFAULT : 0;
}

static int mock_give_up_ioctl(struct mock_file *mfile)
{
	int asked;

	if (!mfile->keeper)
		return -EINVAL;
	asked = mock_keeper_close(mfile->keeper);
	mfile->keeper = NULL;
	return asked;
}

static long mock_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct mock_file *mfile = filp->private_data;

	switch (cmd) {
	case MOCK_BIND:
		return mock_bind_ioctl(mfile, (void __user *)arg);
	case MOCK_ATTACH:
		return mock_attach_ioctl(mfile, (void __user *)arg);
	case MOCK_DETACH:
		return mock_detach_ioctl(mfile, (void __user *)arg);
	case MOCK_DETACHALL:
		return mock_let_go(mfile, false);
	case MOCK_UNBIND:
		return mock_let_go(mfile, true);
	case MOCK_KEEP:
		return mock_keep_ioctl(mfile, (void __user *)arg);
	case MOCK_GIVE_UP:
		return mock_give_up_ioctl(mfile);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations mock_fops = {
	.owner = THIS_MODULE,
	.open = mock_open,
	.release = mock_release,
	.unlocked_ioctl = mock_ioctl,
};

static int mock_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct mock_function *function = kzalloc(sizeof(*function), GFP_KERNEL);
	int rc;

	if (!function)
		return -ENOMEM;
	snprintf(function->name, sizeof(function->name), "mock%u", PCI_SLOT(pdev->devfn));
	function->pdev = pdev;
	function->misc.minor = MISC_DYNAMIC_MINOR;
	function->misc.name = function->name;
	function->misc.fops = &mock_fops;
	rc = pci_enable_device(pdev);
	if (rc)
		goto err_free;
	pci_set_master(pdev);
	rc = misc_register(&function->misc);
	if (rc)
		goto err_disable;
	pci_set_drvdata(pdev, function);
	return 0;

err_disable:
	pci_disable_device(pdev);
err_free:
	kfree(function);
	return rc;
}

static void mock_remove(struct pci_dev *pdev)
{
	struct mock_function *function = pci_get_drvdata(pdev);

	misc_deregister(&function->misc);
	pci_clear_master(pdev);
	pci_disable_device(pdev);
	kfree(function);
}

static const struct pci_device_id mock_ids[] = {
	{PCI_DEVICE(MOCK_VENDOR, MOCK_DEVICE)},
	{0},
};

static struct pci_driver mock_driver = {
	.name = "mock_dev",
	.id_table = mock_ids,
	.probe = mock_probe,
	.remove = mock_remove,
	.driver_managed_dma = true,
};

static int __init mock_dev_init(void)
{
	return pci_register_driver(&mock_driver);
}

static void __exit mock_dev_exit(void)
{
	pci_unregister_driver(&mock_driver);
}

module_init(mock_dev_init);
module_exit(mock_dev_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Driver that binds functions to /dev/iommu, for tests");
