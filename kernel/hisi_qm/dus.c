// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a queue, shared by device and user: submission ring, completion ring, status words
 * (QM-UACCE-3).
 *
 * The driver allocates pages and maps them for DMA. It does not use coherent memory of the DMA API,
 * since that must be freed before the driver leaves the device, and user mappings may exist longer.
 * The platforms of this device are cache-coherent.
 *
 * The caller of every function here holds the queue's lock.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>

#include <misc/uacce/hisi_qm.h>

#include "qm_private.h"

static size_t qm_dus_cq_offset(struct qm *qm)
{
	return (size_t)QM_SQE_SIZE * qm->sq_depth;
}

/**
 * qm_dus_size() - size of the region: both rings in whole pages, and a page for the status words
 * @qm: queue manager; the depths of its rings are known
 */
size_t qm_dus_size(struct qm *qm)
{
	return PAGE_ALIGN(qm_dus_cq_offset(qm) + sizeof(struct qm_cqe) * qm->cq_depth) + PAGE_SIZE;
}

/**
 * qm_dus_get() - make sure that a queue has its memory
 * @qp: the queue
 *
 * The memory is zeroed, since it may have data of another process. This allocates it at the first
 * use: a device has more queues than are used.
 *
 * Return: 0 or -ENOMEM.
 */
int qm_dus_get(struct qm_qp *qp)
{
	struct device *dev = &qp->qm->pdev->dev;
	size_t size = qp->qm->dus_size;

	lockdep_assert_held(&qp->lock);
	if (qp->dus)
		return 0;
	qp->dus = alloc_pages_exact(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
	if (!qp->dus)
		return -ENOMEM;
	qp->dus_dma = dma_map_single(dev, qp->dus, size, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, qp->dus_dma)) {
		free_pages_exact(qp->dus, size);
		qp->dus = NULL;
		return -ENOMEM;
	}
	qp->dus_mapped = true;
	return 0;
}

/* Before a start: make every completion invalid, and clear the stop flags. */
void qm_dus_reset(struct qm_qp *qp)
{
	struct qm *qm = qp->qm;

	lockdep_assert_held(&qp->lock);
	memset(qp->dus + qm_dus_cq_offset(qm), 0, qm->dus_size - qm_dus_cq_offset(qm));
}

/*
 * Make the device refuse every descriptor that it has not fetched yet. It may read them at the same
 * time. Results that it has written stay: the user may not have read them yet, and a zeroed
 * descriptor would mean success.
 */
void qm_dus_wipe(struct qm_qp *qp)
{
	unsigned int i;

	lockdep_assert_held(&qp->lock);
	for (i = 0; i < qp->qm->sq_depth; i++)
		qp->qm->ops->sqe_void(qp->dus + i * QM_SQE_SIZE);
}

/* Take the memory away from the device; user mappings stay. */
void qm_dus_unmap(struct qm_qp *qp)
{
	lockdep_assert_held(&qp->lock);
	if (!qp->dus_mapped)
		return;
	dma_unmap_single(&qp->qm->pdev->dev, qp->dus_dma, qp->qm->dus_size, DMA_BIDIRECTIONAL);
	qp->dus_mapped = false;
}

/* Free the memory. No user mapping is left. */
void qm_dus_free(struct qm_qp *qp)
{
	lockdep_assert_held(&qp->lock);
	if (!qp->dus)
		return;
	qm_dus_unmap(qp);
	free_pages_exact(qp->dus, qp->qm->dus_size);
	qp->dus = NULL;
}

/* Return: the page frame number of a page of the region; 0 if there is none. */
unsigned long qm_dus_pfn(struct qm_qp *qp, unsigned long page)
{
	lockdep_assert_held(&qp->lock);
	if (!qp->dus || page >= qp->qm->dus_size >> PAGE_SHIFT)
		return 0;
	return PHYS_PFN(virt_to_phys(qp->dus)) + page;
}

/* Set both status words. The user may read them at any time. */
void qm_dus_flags(struct qm_qp *qp, u32 stop)
{
	void *end = qp->dus + qp->qm->dus_size;

	lockdep_assert_held(&qp->lock);
	if (!qp->dus)
		return;
	WRITE_ONCE(*(u32 *)(end - HISI_QM_DUS_TX_STOP), stop);
	WRITE_ONCE(*(u32 *)(end - HISI_QM_DUS_RX_STOP), stop);
}

static bool qm_cqe_phase(struct qm_qp *qp, unsigned int index)
{
	struct qm_cqe *cqe = qp->dus + qm_dus_cq_offset(qp->qm);

	return le16_to_cpu(READ_ONCE(cqe[index].w7)) & QM_CQE_W7_PHASE;
}

/**
 * qm_dus_cq_position() - find the position of the device in the completion ring
 * @qp: queue with memory
 *
 * Entries before the position have the same phase as entry 0, later ones have the other phase. So
 * the ring alone gives the position, however late this reads it. The user can write the ring; this
 * finds some position with any content.
 *
 * Return: number of completions modulo two laps.
 */
unsigned int qm_dus_cq_position(struct qm_qp *qp)
{
	unsigned int depth = qp->qm->cq_depth, low = 1, high = depth;
	bool first = qm_cqe_phase(qp, 0);

	lockdep_assert_held(&qp->lock);
	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (qm_cqe_phase(qp, middle) == first)
			low = middle + 1;
		else
			high = middle;
	}
	/*
	 * The first lap writes phase 1. A full first lap gives @depth, a full second lap gives 0.
	 */
	if (first)
		return low;
	return low == depth ? 0 : depth + low;
}
