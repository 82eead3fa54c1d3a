// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queue manager of a function: initialisation, start and the way back.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "iommu_master.h"
#include "qm_private.h"

/* The kernel's own queue is queue 0: its event is the first that a new device sends. */
static void qm_reserve_kernel_qp(struct qm *qm)
{
	struct qm_qp *qp;

	mutex_lock(&qm->lock);
	qp = qm_qp_get(qm);
	mutex_unlock(&qm->lock);
	qp->kernel = true;
}

/*
 * The device can no longer reach memory: the mappings of its queues go, pages that users hold stay.
 */
static void qm_unmap_queues(struct qm *qm)
{
	unsigned int i;

	for (i = 0; i < qm->qp_num; i++) {
		struct qm_qp *qp = &qm->qps[i];

		mutex_lock(&qp->lock);
		qm_dus_unmap(qp);
		if (qp->kernel)
			qm_dus_free(qp);
		mutex_unlock(&qp->lock);
	}
}

/**
 * qm_init() - bring the queue manager up
 * @qm: from qm_alloc()
 *
 * Afterwards the kernel queue works; user queues come with qm_register().
 *
 * Return: 0 or a negative errno; then only qm_put() is left to do.
 */
int qm_init(struct qm *qm)
{
	int ret;

	ret = qm_caps_read(qm);
	if (ret)
		return ret;
	ret = qm_qps_setup(qm);
	if (ret)
		goto err_doorbells;
	qm_reserve_kernel_qp(qm);
	ret = qm_mailbox_setup(qm);
	if (ret)
		goto err_doorbells;
	ret = qm_events_setup(qm);
	if (ret)
		goto err_mailbox;
	ret = qm_irqs_setup(qm);
	if (ret)
		goto err_events;
	ret = qm_start(qm);
	if (ret)
		goto err_irqs;
	WRITE_ONCE(qm->state, QM_RUNNING);
	return 0;

err_irqs:
	qm_irqs_cleanup(qm);
err_events:
	wd_iommu_clear_master(qm->pdev);
	qm_events_cleanup(qm);
err_mailbox:
	qm_mailbox_cleanup(qm);
err_doorbells:
	if (qm->doorbells)
		pci_iounmap(qm->pdev, qm->doorbells);
	return ret;
}
EXPORT_SYMBOL_GPL(qm_init);

/**
 * qm_exit() - take the queue manager down
 * @qm: initialised; no file of it is connected any more, no kernel user is left
 *
 * Cannot fail. The function is no bus master afterwards, so that a queue that did not stop can do
 * no harm to its memory.
 */
void qm_exit(struct qm *qm)
{
	qm_ask_cancel(qm);
	if (qm->state == QM_RUNNING) {
		qm_stop(qm);
		qm_write_back(qm);
	}
	qm_irqs_cleanup(qm);
	wd_iommu_clear_master(qm->pdev);
	qm_mend_all(qm);
	qm_unmap_queues(qm);
	qm_events_cleanup(qm);
	qm_mailbox_cleanup(qm);
	if (qm->doorbells)
		pci_iounmap(qm->pdev, qm->doorbells);
}
EXPORT_SYMBOL_GPL(qm_exit);

static int __init hisi_qm_module_init(void)
{
	return qm_class_register();
}

static void __exit hisi_qm_module_exit(void)
{
	qm_class_unregister();
}

module_init(hisi_qm_module_init);
module_exit(hisi_qm_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("HiSilicon queue manager: accelerator queues for the kernel and for user space");
