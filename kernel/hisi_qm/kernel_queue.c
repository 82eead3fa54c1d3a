// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own queue: one request at a time, completion by interrupt (hisi-qm-zip 7.4).
 */
#include <linux/jiffies.h>
#include <linux/string.h>

#include "qm.h"

/* Take every valid completion; then arm for the next one. Interrupt thread. */
void qm_kernel_qp_event(struct wd_qp *qp)
{
	struct wd_qm *qm = qp->qm;
	struct qm_cqe *cqe;

	mutex_lock(&qp->lock);
	if (!qp->started) {
		mutex_unlock(&qp->lock);
		return;
	}
	cqe = qp->dus + (size_t)QM_SQE_SIZE * qm->sq_depth;
	while ((le16_to_cpu(READ_ONCE(cqe[qp->cq_head].w7)) & QM_CQE_W7_PHASE) == qp->cq_phase) {
		if (++qp->cq_head == qm->cq_depth) {
			qp->cq_head = 0;
			qp->cq_phase = !qp->cq_phase;
		}
		qm_qp_doorbell(qp, QM_DB_CMD_CQ, qp->cq_head, 0);
		complete(&qp->done);
	}
	qm_qp_doorbell(qp, QM_DB_CMD_CQ, qp->cq_head, QM_DB_CQ_ARM);
	mutex_unlock(&qp->lock);
}

/**
 * wd_qp_request() - execute one request on a kernel queue
 * @qp: started kernel queue; the caller keeps other requests away
 * @sqe: descriptor of QM_SQE_SIZE bytes; the device's results are written back into it
 * @timeout_ms: the longest wait
 *
 * Return: 0 if the device completed it (its status is in the descriptor), -ETIMEDOUT if not: then
 * the queue must be stopped before its buffers are reused.
 */
int wd_qp_request(struct wd_qp *qp, void *sqe, unsigned int timeout_ms)
{
	struct wd_qm *qm = qp->qm;
	void *slot = qp->dus + (size_t)QM_SQE_SIZE * qp->sq_tail;

	memcpy(slot, sqe, QM_SQE_SIZE);
	qp->sq_tail = (qp->sq_tail + 1) % qm->sq_depth;
	/* The descriptor before its doorbell. */
	dma_wmb();
	qm_qp_doorbell(qp, QM_DB_CMD_SQ, qp->sq_tail, 0);
	if (!wait_for_completion_timeout(&qp->done, msecs_to_jiffies(timeout_ms)))
		return -ETIMEDOUT;
	/* The completion before the results. */
	dma_rmb();
	memcpy(sqe, slot, QM_SQE_SIZE);
	return 0;
}
EXPORT_SYMBOL_GPL(wd_qp_request);
