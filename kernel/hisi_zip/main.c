// SPDX-License-Identifier: GPL-2.0-only
/*
 * HiSilicon ZIP accelerator, PCI function 19e5:a250 of revision 0x30 (QM-FUNC-1).
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm.h>

#include "crypto.h"
#include "iommu_master.h"
#include "iommu_pasid.h"
#include "qm.h"
#include "zip.h"

#define ZIP_NAME "hisi_zip"
#define ZIP_VENDOR 0x19e5
#define ZIP_DEVICE_PF 0xa250
#define ZIP_REVISION_V3 0x30
#define ZIP_BAR_REGISTERS 2
/* All registers of the PF are below this offset. */
#define ZIP_BAR_MIN_SIZE 0x30a000

static unsigned int pf_q_num;
module_param(pf_q_num, uint, 0444);
MODULE_PARM_DESC(pf_q_num, "Queues of each device, its kernel queue included; 0 = all it has");

static int zip_enable(struct pci_dev *pdev)
{
	int ret;

	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	ret = pci_request_mem_regions(pdev, ZIP_NAME);
	if (ret)
		goto err_disable;
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		goto err_regions;
	ret = wd_iommu_set_master(pdev);
	if (ret)
		goto err_regions;
	return 0;

err_regions:
	pci_release_mem_regions(pdev);
err_disable:
	pci_disable_device(pdev);
	return ret;
}

static void zip_disable(struct pci_dev *pdev)
{
	wd_iommu_clear_master(pdev);
	pci_release_mem_regions(pdev);
	pci_disable_device(pdev);
}

/*
 * Start and test the queue manager, and offer it to the kernel; also to users, if the device
 * supports that.
 */
static int zip_start(struct qm *qm)
{
	int ret;

	qm->max_queues = pf_q_num;
	ret = qm_init(qm);
	if (ret)
		return ret;
	qm->algorithms = zip_algorithms(qm);
	ret = zip_selftest(qm);
	if (!ret)
		ret = zip_crypto_add(qm);
	if (!ret)
		ret = qm_register(qm);
	if (ret == -EOPNOTSUPP) {
		dev_warn(&qm->pdev->dev,
			 "no doorbell isolation or no STOP_QP: no queues for users\n");
		return 0;
	}
	if (ret) {
		zip_crypto_remove(qm);
		qm_exit(qm);
	}
	return ret;
}

static int zip_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	void __iomem *io;
	struct qm *qm;
	int ret;

	if (pdev->revision < ZIP_REVISION_V3) {
		dev_err(&pdev->dev, "revision %#x is not supported\n", pdev->revision);
		return -ENODEV;
	}
	if (pci_resource_len(pdev, ZIP_BAR_REGISTERS) < ZIP_BAR_MIN_SIZE)
		return -ENODEV;
	ret = zip_enable(pdev);
	if (ret)
		return ret;
	io = pci_iomap(pdev, ZIP_BAR_REGISTERS, 0);
	if (!io) {
		ret = -ENOMEM;
		goto err_disable;
	}
	qm = qm_alloc(pdev, io, &zip_qm_ops, ZIP_NAME);
	if (IS_ERR(qm)) {
		ret = PTR_ERR(qm);
		goto err_unmap;
	}
	ret = zip_start(qm);
	if (ret)
		goto err_put;
	pci_set_drvdata(pdev, qm);
	return 0;

err_put:
	qm_put(qm);
err_unmap:
	pci_iounmap(pdev, io);
err_disable:
	zip_disable(pdev);
	return ret;
}

/* Open files keep the queue manager object, but do not use the device any more. */
static void zip_remove(struct pci_dev *pdev)
{
	struct qm *qm = pci_get_drvdata(pdev);
	void __iomem *io = qm->io;

	zip_crypto_remove(qm);
	if (qm_serves_users(qm))
		qm_unregister(qm);
	qm_exit(qm);
	qm_put(qm);
	pci_iounmap(pdev, io);
	zip_disable(pdev);
}

/* Move the kernel's requests to other devices or to software, and stop the queues of users. */
static void zip_halt(struct pci_dev *pdev)
{
	struct qm *qm = pci_get_drvdata(pdev);

	zip_crypto_remove(qm);
	qm_halt(qm);
}

static void zip_restart(struct pci_dev *pdev)
{
	struct qm *qm = pci_get_drvdata(pdev);

	if (!qm_restart(qm) && zip_crypto_add(qm))
		dev_warn(&pdev->dev, "not offered to the kernel's crypto API any more\n");
}

/* The second call answers page requests that are left, before the reset clears them. */
static void zip_reset_prepare(struct pci_dev *pdev)
{
	zip_halt(pdev);
	wd_iommu_reset_prepare(&pdev->dev);
}

static void zip_reset_done(struct pci_dev *pdev)
{
	wd_iommu_reset_done(&pdev->dev);
	zip_restart(pdev);
}

/*
 * The device cannot reach memory, or the CPU cannot reach its registers, any more: for instance,
 * the IOMMU unit is dead. qm_lose() also wakes callers that wait to start a queue.
 */
static pci_ers_result_t zip_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	if (state == pci_channel_io_normal)
		return PCI_ERS_RESULT_NONE;
	zip_halt(pdev);
	qm_lose(pci_get_drvdata(pdev));
	return PCI_ERS_RESULT_DISCONNECT;
}

static const struct pci_error_handlers zip_error_handlers = {
	.error_detected = zip_error_detected,
	.reset_prepare = zip_reset_prepare,
	.reset_done = zip_reset_done,
};

/* Programs still run when the machine shuts down, so stop their queues. */
static void zip_shutdown(struct pci_dev *pdev)
{
	zip_halt(pdev);
}

static int zip_suspend(struct device *dev)
{
	zip_halt(to_pci_dev(dev));
	return 0;
}

/* If another driver refused the sleep, the function has kept its state: so reset it. */
static int zip_resume(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);

	if (pci_reset_function_locked(pdev))
		zip_restart(pdev);
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(zip_pm_ops, zip_suspend, zip_resume);

static const struct pci_device_id zip_ids[] = {
	{PCI_DEVICE(ZIP_VENDOR, ZIP_DEVICE_PF)},
	{0},
};
MODULE_DEVICE_TABLE(pci, zip_ids);

static struct pci_driver zip_driver = {
	.name = ZIP_NAME,
	.id_table = zip_ids,
	.probe = zip_probe,
	.remove = zip_remove,
	.shutdown = zip_shutdown,
	.driver.pm = pm_sleep_ptr(&zip_pm_ops),
	.err_handler = &zip_error_handlers,
};

static struct wd_iommu_asker zip_asker = {.driver = &zip_driver.driver};

static int __init hisi_zip_module_init(void)
{
	int ret;

	wd_iommu_asker_add(&zip_asker);
	ret = pci_register_driver(&zip_driver);
	if (ret)
		wd_iommu_asker_remove(&zip_asker);
	return ret;
}

static void __exit hisi_zip_module_exit(void)
{
	pci_unregister_driver(&zip_driver);
	wd_iommu_asker_remove(&zip_asker);
	/* This must come last: a probe, or the end of a reset, can register the algorithm. */
	zip_crypto_exit();
}

module_init(hisi_zip_module_init);
module_exit(hisi_zip_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("HiSilicon ZIP accelerator");
