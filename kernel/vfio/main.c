// SPDX-License-Identifier: GPL-2.0-only
/*
 * Driver that gives whole PCI functions to programs. It takes a function only if the function's
 * driver_override names it, and makes a device file with VFIO's interface for each function
 * (IOMMUFD-VFIO-1).
 *
 * Programs look for BDF/vfio-dev/vfioN in sysfs and for /dev/vfio/devices/vfioN (IOMMUFD-VFIO-6).
 * Linux's VFIO makes the folder by a class of that name, which it could not register any more if
 * this driver had done so. So this driver makes the folder itself, and the device in it has no
 * class. Linux sends no uevent for such a device.
 */
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/pm.h>
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat.h"
#include "iommu_master.h"
#include "iommu_pasid.h"
#include "wd_vfio.h"

#define WD_VFIO_NAME "wd_vfio"
#define WD_VFIO_MAX_DEVICES 256

/* Linux's VFIO counts from 0. If it makes device files, stay away from their names. */
#ifdef CONFIG_VFIO_DEVICE_CDEV
#define WD_VFIO_FIRST 1000
#else
#define WD_VFIO_FIRST 0
#endif

static bool enable_unsafe_noiommu_mode;
module_param(enable_unsafe_noiommu_mode, bool, 0644);
MODULE_PARM_DESC(enable_unsafe_noiommu_mode,
		 "Take functions without an IOMMU: their users reach all memory (default: no)");

static dev_t wd_vfio_devt;
static DEFINE_IDA(wd_vfio_ids);

static char *wd_vfio_devnode(wd_devnode_device *dev, umode_t *mode, kuid_t *uid, kgid_t *gid)
{
	return kasprintf(GFP_KERNEL, "vfio/devices/%s", dev_name(dev));
}

static const struct device_type wd_vfio_type = {
	.name = WD_VFIO_NAME,
	.devnode = wd_vfio_devnode,
};

static void wd_vfio_device_release(struct device *dev)
{
	struct wd_vfio *wd = container_of(dev, struct wd_vfio, dev);

	ida_free(&wd_vfio_ids, wd->id);
	xa_destroy(&wd->pasids);
	mutex_destroy(&wd->dmabufs_lock);
	mutex_destroy(&wd->lock);
	pci_dev_put(wd->pdev);
	kfree(wd);
}

static struct wd_vfio *wd_vfio_alloc(struct pci_dev *pdev, bool noiommu)
{
	struct wd_vfio *wd;
	int ret;

	wd = kzalloc(sizeof(*wd), GFP_KERNEL);
	if (!wd)
		return ERR_PTR(-ENOMEM);
	ret = ida_alloc_range(&wd_vfio_ids, WD_VFIO_FIRST, WD_VFIO_FIRST + WD_VFIO_MAX_DEVICES - 1,
			      GFP_KERNEL);
	if (ret < 0) {
		kfree(wd);
		return ERR_PTR(ret);
	}
	wd->id = ret;
	wd->pdev = pci_dev_get(pdev);
	wd->noiommu = noiommu;
	wd->irq_index = -1;
	mutex_init(&wd->lock);
	init_rwsem(&wd->memory_lock);
	xa_init(&wd->pasids);
	mutex_init(&wd->dmabufs_lock);
	INIT_LIST_HEAD(&wd->dmabufs);
	INIT_LIST_HEAD(&wd->ioeventfds);

	device_initialize(&wd->dev);
	wd->dev.type = &wd_vfio_type;
	wd->dev.release = wd_vfio_device_release;
	wd->dev.devt = MKDEV(MAJOR(wd_vfio_devt), wd->id - WD_VFIO_FIRST);
	ret = dev_set_name(&wd->dev, "%svfio%d", noiommu ? "noiommu-" : "", wd->id);
	if (ret) {
		put_device(&wd->dev);
		return ERR_PTR(ret);
	}
	return wd;
}

static int wd_vfio_files_add(struct wd_vfio *wd)
{
	int ret;

	wd->folder = kobject_create_and_add("vfio-dev", &wd->pdev->dev.kobj);
	if (!wd->folder)
		return -ENOMEM;
	wd->dev.kobj.parent = wd->folder;
	cdev_init(&wd->cdev, &wd_vfio_fops);
	wd->cdev.owner = THIS_MODULE;
	ret = cdev_device_add(&wd->cdev, &wd->dev);
	if (ret)
		kobject_put(wd->folder);
	return ret;
}

static void wd_vfio_files_remove(struct wd_vfio *wd)
{
	cdev_device_del(&wd->cdev, &wd->dev);
	kobject_put(wd->folder);
}

/*
 * Switch memory on and DMA off, and reset the function, so that no program sees the state that the
 * previous driver has left.
 */
static int wd_vfio_enable(struct wd_vfio *wd)
{
	struct pci_dev *pdev = wd->pdev;
	int ret;

	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	wd_iommu_clear_master(pdev);
	ret = pci_request_regions(pdev, WD_VFIO_NAME);
	if (ret)
		goto err_disable;
	wd->resettable = !pci_reset_function_locked(pdev);
	ret = wd_vfio_bars_setup(wd);
	if (ret)
		goto err_regions;
	wd_vfio_intx_setup(wd);
	wd_vfio_rom_setup(wd);
	return 0;

err_regions:
	pci_release_regions(pdev);
err_disable:
	pci_disable_device(pdev);
	return ret;
}

static void wd_vfio_disable(struct wd_vfio *wd)
{
	wd_vfio_bars_cleanup(wd);
	pci_release_regions(wd->pdev);
	pci_disable_device(wd->pdev);
}

/*
 * Take the function away from its owner, which gets -ENODEV from now on. Linux's VFIO would wait
 * for the owner instead.
 */
static void wd_vfio_revoke(struct wd_vfio *wd)
{
	pm_runtime_get_sync(&wd->pdev->dev);
	mutex_lock(&wd->lock);
	WRITE_ONCE(wd->gone, true);
	wd_vfio_signal(wd->request);
	if (wd->owner)
		wd_vfio_take_back(wd);
	mutex_unlock(&wd->lock);
	wd_vfio_power_put(wd);
}

static int wd_vfio_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	const bool noiommu = !device_iommu_mapped(&pdev->dev);
	struct wd_vfio *wd;
	int ret;

	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return -EINVAL;
	/* Without an IOMMU the function could reach memory of others than its owner. */
	if (noiommu && !enable_unsafe_noiommu_mode) {
		dev_err(&pdev->dev, "no IOMMU translates for this function\n");
		return -EINVAL;
	}
	if (noiommu) {
		add_taint(TAINT_USER, LOCKDEP_STILL_OK);
		dev_warn(&pdev->dev, "no IOMMU: its user reaches all memory\n");
	}
	wd = wd_vfio_alloc(pdev, noiommu);
	if (IS_ERR(wd))
		return PTR_ERR(wd);
	ret = wd_vfio_enable(wd);
	if (ret)
		goto err_put;
	pci_set_drvdata(pdev, wd);
	/* The machine's sleep must not leave out a suspended function, whose owner is to be told. */
	dev_pm_set_driver_flags(&pdev->dev, DPM_FLAG_NO_DIRECT_COMPLETE);
	ret = wd_vfio_group_join(wd);
	if (ret)
		goto err_disable;
	wd_vfio_all_add(wd);
	ret = wd_vfio_files_add(wd);
	if (ret)
		goto err_leave;
	/* The PCI core's count for the probe keeps the function active, except in low power. */
	pm_runtime_allow(&pdev->dev);
	return 0;

err_leave:
	wd_vfio_all_remove(wd);
	/* The group file may have given it to a program. */
	wd_vfio_revoke(wd);
	wd_vfio_group_leave(wd);
err_disable:
	pci_set_drvdata(pdev, NULL);
	wd_vfio_disable(wd);
err_put:
	put_device(&wd->dev);
	return ret;
}

static void wd_vfio_remove(struct pci_dev *pdev)
{
	struct wd_vfio *wd = pci_get_drvdata(pdev);

	wd_vfio_files_remove(wd);
	wd_vfio_all_remove(wd);
	wd_vfio_revoke(wd);
	pm_runtime_forbid(&pdev->dev);
	wd_vfio_group_leave(wd);
	wd_vfio_disable(wd);
	pci_set_drvdata(pdev, NULL);
	put_device(&wd->dev);
}

/* Programs still run when the machine shuts down, so take their functions away. */
static void wd_vfio_shutdown(struct pci_dev *pdev)
{
	wd_vfio_revoke(pci_get_drvdata(pdev));
}

/*
 * Reset the function, so that the owner finds the same state whether the machine really slept or
 * not: a function after a reset, without bus mastering. Attachments stay.
 */
static int wd_vfio_suspend(struct device *dev)
{
	struct wd_vfio *wd = dev_get_drvdata(dev);

	mutex_lock(&wd->lock);
	if (wd->owner) {
		wd_vfio_config_stop(wd);
		if (wd->resettable && wd_vfio_reset_function(wd, pci_reset_function_locked))
			dev_warn(dev, "cannot be reset\n");
	}
	mutex_unlock(&wd->lock);
	return 0;
}

static int wd_vfio_resume(struct device *dev)
{
	struct wd_vfio *wd = dev_get_drvdata(dev);

	mutex_lock(&wd->lock);
	if (wd->owner) {
		wd_vfio_config_resume(wd);
		wd_vfio_signal(wd->error);
	}
	mutex_unlock(&wd->lock);
	return 0;
}

static const struct dev_pm_ops wd_vfio_pm_ops = {
	SYSTEM_SLEEP_PM_OPS(wd_vfio_suspend, wd_vfio_resume)
		RUNTIME_PM_OPS(wd_vfio_runtime_suspend, wd_vfio_runtime_resume, NULL)};

/* The PCI core calls this, or the driver of a dead IOMMU unit. */
static pci_ers_result_t wd_vfio_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct wd_vfio *wd = pci_get_drvdata(pdev);

	mutex_lock(&wd->lock);
	wd_vfio_signal(wd->error);
	mutex_unlock(&wd->lock);
	return state == pci_channel_io_perm_failure ? PCI_ERS_RESULT_DISCONNECT
						    : PCI_ERS_RESULT_CAN_RECOVER;
}

/*
 * A reset by the owner, by this driver, or by sysfs. In the first two cases the thread holds
 * wd_vfio.lock, and keeps other devices from the memory itself.
 */
static bool wd_vfio_is_foreign_reset(struct wd_vfio *wd)
{
	return wd && READ_ONCE(wd->resetter) != current;
}

static void wd_vfio_reset_prepare(struct pci_dev *pdev)
{
	struct wd_vfio *wd = pci_get_drvdata(pdev);

	if (wd_vfio_is_foreign_reset(wd)) {
		mutex_lock(&wd->lock);
		wd->in_reset = true;
		wd_vfio_dmabufs_revoke(wd, true);
		mutex_unlock(&wd->lock);
	}
	wd_iommu_reset_prepare(&pdev->dev);
}

static void wd_vfio_reset_done(struct pci_dev *pdev)
{
	struct wd_vfio *wd = pci_get_drvdata(pdev);

	wd_iommu_reset_done(&pdev->dev);
	if (wd_vfio_is_foreign_reset(wd)) {
		mutex_lock(&wd->lock);
		wd->in_reset = false;
		wd_vfio_intx_sync(wd);
		wd_vfio_dmabufs_allow(wd);
		mutex_unlock(&wd->lock);
	}
}

static const struct pci_error_handlers wd_vfio_error_handlers = {
	.error_detected = wd_vfio_error_detected,
	.reset_prepare = wd_vfio_reset_prepare,
	.reset_done = wd_vfio_reset_done,
};

static struct pci_driver wd_vfio_driver = {
	.name = WD_VFIO_NAME,
	.probe = wd_vfio_probe,
	.remove = wd_vfio_remove,
	.shutdown = wd_vfio_shutdown,
	.driver.pm = pm_ptr(&wd_vfio_pm_ops),
	.err_handler = &wd_vfio_error_handlers,
	.driver_managed_dma = true,
};

static struct wd_iommu_asker wd_vfio_asker = {.driver = &wd_vfio_driver.driver};

static int __init wd_vfio_module_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&wd_vfio_devt, 0, WD_VFIO_MAX_DEVICES, WD_VFIO_NAME);
	if (ret)
		return ret;
	ret = wd_vfio_groups_init();
	if (ret)
		goto err_region;
	wd_iommu_asker_add(&wd_vfio_asker);
	ret = pci_register_driver(&wd_vfio_driver);
	if (ret)
		goto err_asker;
	return 0;

err_asker:
	wd_iommu_asker_remove(&wd_vfio_asker);
	wd_vfio_groups_exit();
err_region:
	unregister_chrdev_region(wd_vfio_devt, WD_VFIO_MAX_DEVICES);
	return ret;
}

static void __exit wd_vfio_module_exit(void)
{
	pci_unregister_driver(&wd_vfio_driver);
	wd_iommu_asker_remove(&wd_vfio_asker);
	wd_vfio_groups_exit();
	unregister_chrdev_region(wd_vfio_devt, WD_VFIO_MAX_DEVICES);
	ida_destroy(&wd_vfio_ids);
}

module_init(wd_vfio_module_init);
module_exit(wd_vfio_module_exit);
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_DESCRIPTION("PCI functions given whole to programs, by VFIO's device file interface");
