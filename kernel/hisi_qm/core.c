// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queue manager of a function: initialise it and take it down.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "iommu_master.h"
#include "qm_private.h"

/* The queue of the kernel is queue 0, the first free one. */
static void qm_reserve_kernel_qp(struct qm *qm)
{
	struct qm_qp *qp;

	mutex_lock(&qm->lock);
	qp = qm_qp_get(qm);
	mutex_unlock(&qm->lock);
	WRITE_ONCE(qp->kernel, true);
}

/* Give the queue back. It is stopped, or the whole function is. */
static void qm_drop_kernel_qp(struct qm *qm)
{
	qm_qp_leave(qm_kernel_qp(qm), NULL);
}

/*
 * The device cannot reach memory any more: remove the DMA mappings of all queues. Pages that users
 * have mapped stay.
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
 * Afterwards the kernel queue works. qm_register() offers queues to users.
 *
 * Return: 0 or a negative errno; after an error the caller only calls qm_put().
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
		goto err_kernel_qp;
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
	qm_reset_cancel(qm);
err_events:
	wd_iommu_clear_master(qm->pdev);
	qm_events_cleanup(qm);
err_mailbox:
	qm_mailbox_cleanup(qm);
err_kernel_qp:
	qm_drop_kernel_qp(qm);
err_doorbells:
	qm_doorbells_unmap(qm);
	return ret;
}
EXPORT_SYMBOL_GPL(qm_init);

/**
 * qm_exit() - take the queue manager down
 * @qm: initialised; no open file uses the device any more, and no user in the kernel
 *
 * Cannot fail. Afterwards the function is no bus master, so a queue that did not stop cannot write
 * memory any more.
 */
void qm_exit(struct qm *qm)
{
	qm_ask_cancel(qm);
	if (qm->state == QM_RUNNING) {
		qm_stop(qm);
		qm_write_back(qm);
	}
	qm_irqs_cleanup(qm);
	qm_reset_cancel(qm);
	wd_iommu_clear_master(qm->pdev);
	qm_mend_all(qm);
	/* The kernel queue may not have stopped after the self test. */
	qm_qp_interrupt(qm_kernel_qp(qm));
	qm_unmap_queues(qm);
	qm_drop_kernel_qp(qm);
	qm_events_cleanup(qm);
	qm_mailbox_cleanup(qm);
	qm_doorbells_unmap(qm);
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
