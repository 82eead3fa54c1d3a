// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event queue (completions), asynchronous event queue (errors of queues), and the interrupts that
 * announce them (QM-EVENT-1 to QM-EVENT-6).
 *
 * After an EQ interrupt the device sends no other one until the driver rings the EQ doorbell. So
 * the driver reads the events first, then rings the doorbell. Only the thread of the vector changes
 * the heads.
 */
#include <linux/bitfield.h>
#include <linux/build_bug.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "qm_private.h"

/* Most entries that the driver reads between two EQ doorbells. */
#define QM_EQ_BATCH 64

static size_t qm_table_size(struct qm *qm)
{
	return (size_t)qm->qp_num * QM_CTX_ENTRY_SIZE;
}

static size_t qm_ring_size(unsigned int depth)
{
	return ALIGN((size_t)depth * sizeof(__le32), 32);
}

/* Allocate one block for EQ, AEQ, SQC table and CQC table. */
int qm_events_setup(struct qm *qm)
{
	qm->rings_size =
		qm_ring_size(qm->eq_depth) + qm_ring_size(qm->aeq_depth) + 2 * qm_table_size(qm);
	qm->rings = dma_alloc_coherent(&qm->pdev->dev, qm->rings_size, &qm->rings_dma, GFP_KERNEL);
	if (!qm->rings)
		return -ENOMEM;
	qm->eqe = qm->rings;
	qm->aeqe = qm->rings + qm_ring_size(qm->eq_depth);
	return 0;
}

void qm_events_cleanup(struct qm *qm)
{
	dma_free_coherent(&qm->pdev->dev, qm->rings_size, qm->rings, qm->rings_dma);
	qm->rings = NULL;
}

static void qm_event_doorbell(struct qm *qm, unsigned int command, u32 head)
{
	u64 value = FIELD_PREP(QM_DB_CMD, command) | FIELD_PREP(QM_DB_INDEX, head);

	writeq(value, qm->io + QM_DOORBELL_EQ_AEQ);
}

static int qm_event_context(struct qm *qm, u8 command, dma_addr_t base, unsigned int depth)
{
	struct qm_eqc context = {
		.base_l = cpu_to_le32(lower_32_bits(base)),
		.base_h = cpu_to_le32(upper_32_bits(base)),
		.dw6 = cpu_to_le32(FIELD_PREP(QM_EQC_DW6_DEPTH, depth - 1) | QM_EQC_DW6_PHASE),
	};

	return qm_mailbox_load(qm, command, 0, &context, sizeof(context));
}

/**
 * qm_events_start() - give event queues and context tables to the device, unmask interrupts
 * @qm: queue manager; the caller holds mailbox_lock
 *
 * Return: 0 or an error of the mailbox; after an error no interrupt is unmasked.
 */
int qm_events_start(struct qm *qm)
{
	dma_addr_t aeq = qm->rings_dma + qm_ring_size(qm->eq_depth);
	dma_addr_t sqc = aeq + qm_ring_size(qm->aeq_depth);
	int ret;

	memset(qm->rings, 0, qm->rings_size);
	qm->eq_head = 0;
	qm->aeq_head = 0;
	qm->eq_phase = true;
	qm->aeq_phase = true;

	ret = qm_event_context(qm, QM_MB_CMD_EQC, qm->rings_dma, qm->eq_depth);
	if (!ret)
		ret = qm_event_context(qm, QM_MB_CMD_AEQC, aeq, qm->aeq_depth);
	if (!ret)
		ret = qm_mailbox_base(qm, QM_MB_CMD_SQC_BT, sqc);
	if (!ret)
		ret = qm_mailbox_base(qm, QM_MB_CMD_CQC_BT, sqc + qm_table_size(qm));
	if (ret)
		return ret;

	qm_event_doorbell(qm, QM_DB_CMD_AEQ, 0);
	qm_event_doorbell(qm, QM_DB_CMD_EQ, 0);
	qm_write(qm, QM_EQ_INT_MASK, 0);
	qm_write(qm, QM_AEQ_INT_MASK, 0);
	return 0;
}

void qm_events_stop(struct qm *qm)
{
	qm_write(qm, QM_EQ_INT_MASK, 1);
	qm_write(qm, QM_AEQ_INT_MASK, 1);
}

static void qm_eq_event(struct qm *qm, unsigned int queue)
{
	struct qm_qp *qp;

	if (queue >= qm->qp_num)
		return;
	qp = &qm->qps[queue];
	if (READ_ONCE(qp->kernel)) {
		qm_kernel_qp_event(qp);
		return;
	}
	atomic_inc(&qp->events);
	wake_up_interruptible(&qp->wait);
}

/* Take the next valid entry of a ring. */
static bool qm_next_event(__le32 *ring, unsigned int depth, u32 *head, bool *phase, u32 *event)
{
	*event = le32_to_cpu(READ_ONCE(ring[*head]));
	if (!!(*event & QM_EQE_PHASE) != *phase)
		return false;
	if (++*head == depth) {
		*head = 0;
		*phase = !*phase;
	}
	return true;
}

static void qm_eq_process(struct qm *qm)
{
	u16 queues[QM_EQ_BATCH];
	unsigned int count, i;
	u32 event;

	do {
		for (count = 0; count < QM_EQ_BATCH; count++) {
			if (!qm_next_event(qm->eqe, qm->eq_depth, &qm->eq_head, &qm->eq_phase,
					   &event))
				break;
			queues[count] = FIELD_GET(QM_EQE_QUEUE, event);
		}
		/* Read the events before the completions, which the device has written earlier. */
		dma_rmb();
		qm_event_doorbell(qm, QM_DB_CMD_EQ, qm->eq_head);
		for (i = 0; i < count; i++)
			qm_eq_event(qm, queues[i]);
	} while (count == QM_EQ_BATCH);
}

/* A queue has failed, since its owner has overrun it. Tell only the owner. */
static void qm_aeq_queue_error(struct qm *qm, unsigned int queue)
{
	struct qm_qp *qp;

	if (queue >= qm->qp_num)
		return;
	qp = &qm->qps[queue];
	mutex_lock(&qp->lock);
	qp->failed = true;
	qm_dus_flags(qp, 1);
	if (qp->handler && qp->started && !qp->broken)
		qp->handler(qp, NULL);
	mutex_unlock(&qp->lock);
	wake_up_interruptible(&qp->wait);
}

static void qm_aeq_process(struct qm *qm)
{
	u32 event;

	while (qm_next_event(qm->aeqe, qm->aeq_depth, &qm->aeq_head, &qm->aeq_phase, &event)) {
		switch (FIELD_GET(QM_AEQE_TYPE, event)) {
		case QM_AEQE_CQ_OVERFLOW:
		case QM_AEQE_CQE_ERROR:
			qm_aeq_queue_error(qm, FIELD_GET(QM_EQE_QUEUE, event));
			break;
		case QM_AEQE_EQ_OVERFLOW:
			dev_err_ratelimited(&qm->pdev->dev, "event queue overflow\n");
			break;
		default:
			dev_err_ratelimited(&qm->pdev->dev, "unknown event %#x\n", event);
			break;
		}
	}
	qm_event_doorbell(qm, QM_DB_CMD_AEQ, qm->aeq_head);
}

static irqreturn_t qm_eq_irq(int irq, void *data)
{
	struct qm *qm = data;

	return qm_read(qm, QM_EQ_INT_SOURCE) ? IRQ_WAKE_THREAD : IRQ_NONE;
}

static irqreturn_t qm_eq_thread(int irq, void *data)
{
	qm_eq_process(data);
	return IRQ_HANDLED;
}

static irqreturn_t qm_aeq_irq(int irq, void *data)
{
	struct qm *qm = data;

	return qm_read(qm, QM_AEQ_INT_SOURCE) ? IRQ_WAKE_THREAD : IRQ_NONE;
}

static irqreturn_t qm_aeq_thread(int irq, void *data)
{
	qm_aeq_process(data);
	return IRQ_HANDLED;
}

/* Always wake the thread: the engine has error registers of its own, which it has to check. */
static irqreturn_t qm_abnormal_irq(int irq, void *data)
{
	return IRQ_WAKE_THREAD;
}

static irqreturn_t qm_abnormal_thread(int irq, void *data)
{
	qm_error_log(data);
	return IRQ_HANDLED;
}

/* For a device with a single vector: check all causes. */
static irqreturn_t qm_shared_thread(int irq, void *data)
{
	struct qm *qm = data;

	if (qm_read(qm, QM_EQ_INT_SOURCE))
		qm_eq_process(qm);
	if (qm_read(qm, QM_AEQ_INT_SOURCE))
		qm_aeq_process(qm);
	qm_error_log(qm);
	return IRQ_HANDLED;
}

static const struct qm_irq {
	const char *name;
	u32 capability;
	u32 fallback;
	irq_handler_t hard;
	irq_handler_t thread;
} qm_irqs[] = {
	{"hisi_qm-eq", QM_CAP_EQ_IRQ, QM_DEFAULT_EQ_IRQ, qm_eq_irq, qm_eq_thread},
	{"hisi_qm-aeq", QM_CAP_AEQ_IRQ, QM_DEFAULT_AEQ_IRQ, qm_aeq_irq, qm_aeq_thread},
	{"hisi_qm-abnormal", QM_CAP_ABNORMAL_IRQ, QM_DEFAULT_ABNORMAL_IRQ, qm_abnormal_irq,
	 qm_abnormal_thread},
};

static int qm_irq_number(struct qm *qm, const struct qm_irq *irq)
{
	u32 cap = qm_capability(qm, irq->capability, irq->fallback);

	return pci_irq_vector(qm->pdev, FIELD_GET(QM_CAP_IRQ_VECTOR, cap));
}

/*
 * Try MSI-X first, which the machine's functions have; then MSI, as on the real device; then one
 * shared vector.
 */
static int qm_vectors_alloc(struct qm *qm)
{
	int ret;

	ret = pci_alloc_irq_vectors(qm->pdev, QM_VECTORS, QM_VECTORS, PCI_IRQ_MSIX);
	if (ret < 0)
		ret = pci_alloc_irq_vectors(qm->pdev, QM_VECTORS, QM_VECTORS, PCI_IRQ_MSI);
	if (ret < 0)
		ret = pci_alloc_irq_vectors(qm->pdev, 1, 1, PCI_IRQ_MSIX | PCI_IRQ_MSI);
	if (ret < 0)
		return ret;
	qm->vectors = ret;
	return 0;
}

static int qm_irq_install(struct qm *qm, int number, irq_handler_t hard, irq_handler_t thread,
			  const char *name)
{
	int ret;

	if (number < 0)
		return number;
	ret = request_threaded_irq(number, hard, thread, 0, name, qm);
	if (!ret)
		qm->irqs[qm->nr_irqs++] = number;
	return ret;
}

/**
 * qm_irqs_setup() - allocate vectors and install the handlers
 * @qm: queue manager
 *
 * With a single vector the device sends every message on it.
 *
 * Return: 0 or a negative errno of the PCI or interrupt layer.
 */
int qm_irqs_setup(struct qm *qm)
{
	unsigned int i;
	int ret;

	BUILD_BUG_ON(ARRAY_SIZE(qm_irqs) > QM_VECTORS);

	ret = qm_vectors_alloc(qm);
	if (ret)
		return ret;
	if (qm->vectors < QM_VECTORS)
		ret = qm_irq_install(qm, pci_irq_vector(qm->pdev, 0), qm_abnormal_irq,
				     qm_shared_thread, "hisi_qm");
	else
		for (i = 0; i < ARRAY_SIZE(qm_irqs) && !ret; i++)
			ret = qm_irq_install(qm, qm_irq_number(qm, &qm_irqs[i]), qm_irqs[i].hard,
					     qm_irqs[i].thread, qm_irqs[i].name);
	if (ret)
		qm_irqs_cleanup(qm);
	return ret;
}

/* Remove the handlers, and wait for those that run. This does not touch the device. */
void qm_irqs_cleanup(struct qm *qm)
{
	while (qm->nr_irqs)
		free_irq(qm->irqs[--qm->nr_irqs], qm);
	pci_free_irq_vectors(qm->pdev);
}

/* Disable the interrupts, and wait for handlers that run. */
void qm_irqs_disable(struct qm *qm)
{
	unsigned int i;

	for (i = 0; !qm->irqs_off && i < qm->nr_irqs; i++)
		disable_irq(qm->irqs[i]);
	qm->irqs_off = true;
}

void qm_irqs_enable(struct qm *qm)
{
	unsigned int i;

	for (i = 0; qm->irqs_off && i < qm->nr_irqs; i++)
		enable_irq(qm->irqs[i]);
	qm->irqs_off = false;
}
