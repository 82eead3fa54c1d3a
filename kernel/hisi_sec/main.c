// SPDX-License-Identifier: GPL-2.0-only
/*
 * HiSilicon SEC accelerator of ciphers and digests, PCI function 19e5:a255 of revision 0x30
 * (SEC-FUNC-1). It gives queues to users; the kernel's crypto API does not use it.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm.h>

#include "iommu_master.h"
#include "iommu_pasid.h"
#include "qm.h"
#include "sec.h"

#define SEC_NAME "hisi_sec"
#define SEC_VENDOR 0x19e5
#define SEC_DEVICE_PF 0xa255
#define SEC_REVISION_V3 0x30
#define SEC_BAR_REGISTERS 2
/* All registers of the PF are below this offset. */
#define SEC_BAR_MIN_SIZE 0x303000

static unsigned int pf_q_num;
module_param(pf_q_num, uint, 0444);
MODULE_PARM_DESC(pf_q_num, "Queues of each device, its kernel queue included; 0 = all it has");

static int sec_enable(struct pci_dev *pdev)
{
	int ret;

	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	ret = pci_request_mem_regions(pdev, SEC_NAME);
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

static void sec_disable(struct pci_dev *pdev)
{
	wd_iommu_clear_master(pdev);
	pci_release_mem_regions(pdev);
	pci_disable_device(pdev);
}

/* Start and test the queue manager, and offer it to users, if the device supports that. */
static int sec_start(struct qm *qm)
{
	int ret;

	qm->max_queues = pf_q_num;
	ret = qm_init(qm);
	if (ret)
		return ret;
	qm->algorithms = sec_algorithms(qm);
	ret = sec_selftest(qm);
	if (!ret)
		ret = qm_register(qm);
	if (ret == -EOPNOTSUPP) {
		dev_warn(&qm->pdev->dev,
			 "no doorbell isolation or no STOP_QP: no queues for users\n");
		return 0;
	}
	if (ret)
		qm_exit(qm);
	return ret;
}

static int sec_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	void __iomem *io;
	struct qm *qm;
	int ret;

	if (pdev->revision < SEC_REVISION_V3) {
		dev_err(&pdev->dev, "revision %#x is not supported\n", pdev->revision);
		return -ENODEV;
	}
	if (pci_resource_len(pdev, SEC_BAR_REGISTERS) < SEC_BAR_MIN_SIZE)
		return -ENODEV;
	ret = sec_enable(pdev);
	if (ret)
		return ret;
	io = pci_iomap(pdev, SEC_BAR_REGISTERS, 0);
	if (!io) {
		ret = -ENOMEM;
		goto err_disable;
	}
	qm = qm_alloc(pdev, io, &sec_qm_ops, SEC_NAME);
	if (IS_ERR(qm)) {
		ret = PTR_ERR(qm);
		goto err_unmap;
	}
	ret = sec_start(qm);
	if (ret)
		goto err_put;
	pci_set_drvdata(pdev, qm);
	return 0;

err_put:
	qm_put(qm);
err_unmap:
	pci_iounmap(pdev, io);
err_disable:
	sec_disable(pdev);
	return ret;
}

/* Open files keep the queue manager object, but do not use the device any more. */
static void sec_remove(struct pci_dev *pdev)
{
	struct qm *qm = pci_get_drvdata(pdev);
	void __iomem *io = qm->io;

	if (qm_serves_users(qm))
		qm_unregister(qm);
	qm_exit(qm);
	qm_put(qm);
	pci_iounmap(pdev, io);
	sec_disable(pdev);
}

/* The second call answers page requests that are left, before the reset clears them. */
static void sec_reset_prepare(struct pci_dev *pdev)
{
	qm_halt(pci_get_drvdata(pdev));
	wd_iommu_reset_prepare(&pdev->dev);
}

static void sec_reset_done(struct pci_dev *pdev)
{
	wd_iommu_reset_done(&pdev->dev);
	qm_restart(pci_get_drvdata(pdev));
}

/*
 * The device cannot reach memory, or the CPU cannot reach its registers, any more: for instance,
 * the IOMMU unit is dead. qm_lose() also wakes callers that wait to start a queue.
 */
static pci_ers_result_t sec_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	if (state == pci_channel_io_normal)
		return PCI_ERS_RESULT_NONE;
	qm_halt(pci_get_drvdata(pdev));
	qm_lose(pci_get_drvdata(pdev));
	return PCI_ERS_RESULT_DISCONNECT;
}

static const struct pci_error_handlers sec_error_handlers = {
	.error_detected = sec_error_detected,
	.reset_prepare = sec_reset_prepare,
	.reset_done = sec_reset_done,
};

/* Programs still run when the machine shuts down, so stop their queues. */
static void sec_shutdown(struct pci_dev *pdev)
{
	qm_halt(pci_get_drvdata(pdev));
}

static int sec_suspend(struct device *dev)
{
	qm_halt(dev_get_drvdata(dev));
	return 0;
}

/* If another driver refused the sleep, the function has kept its state: so reset it. */
static int sec_resume(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);

	if (pci_reset_function_locked(pdev))
		qm_restart(pci_get_drvdata(pdev));
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(sec_pm_ops, sec_suspend, sec_resume);

static const struct pci_device_id sec_ids[] = {
	{PCI_DEVICE(SEC_VENDOR, SEC_DEVICE_PF)},
	{0},
};
MODULE_DEVICE_TABLE(pci, sec_ids);

static struct pci_driver sec_driver = {
	.name = SEC_NAME,
	.id_table = sec_ids,
	.probe = sec_probe,
	.remove = sec_remove,
	.shutdown = sec_shutdown,
	.driver.pm = pm_sleep_ptr(&sec_pm_ops),
	.err_handler = &sec_error_handlers,
};

static struct wd_iommu_asker sec_asker = {.driver = &sec_driver.driver};

static int __init hisi_sec_module_init(void)
{
	int ret;

	wd_iommu_asker_add(&sec_asker);
	ret = pci_register_driver(&sec_driver);
	if (ret)
		wd_iommu_asker_remove(&sec_asker);
	return ret;
}

static void __exit hisi_sec_module_exit(void)
{
	pci_unregister_driver(&sec_driver);
	wd_iommu_asker_remove(&sec_asker);
}

module_init(hisi_sec_module_init);
module_exit(hisi_sec_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("HiSilicon SEC accelerator");
