// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues that the kernel uses: send requests, and complete them by interrupt (QM-EVENT-1).
 */
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/string.h>

#include "qm_private.h"

/*
 * Handle a completion, which names a descriptor. The device writes the ring, so check the index.
 */
static void qm_kernel_qp_complete(struct qm_qp *qp, const struct qm_cqe *cqe)
{
	struct qm *qm = qp->qm;
	u16 slot = le16_to_cpu(READ_ONCE(cqe->sq_head));

	atomic64_inc(&qm->kernel_requests);
	if (!qp->handler)
		complete(&qp->done);
	else if (slot < qm->sq_depth)
		qp->handler(qp, qp->dus + (size_t)QM_SQE_SIZE * slot);
	else
		dev_err_ratelimited(&qm->pdev->dev, "completion of descriptor %u in queue %u\n",
				    slot, qp->id);
}

/* Handle every valid completion; then ask for an event of the next one. Interrupt thread. */
void qm_kernel_qp_event(struct qm_qp *qp)
{
	struct qm *qm = qp->qm;
	struct qm_cqe *cqe;

	mutex_lock(&qp->lock);
	if (!qp->started || qp->broken) {
		mutex_unlock(&qp->lock);
		return;
	}
	cqe = qp->dus + (size_t)QM_SQE_SIZE * qm->sq_depth;
	while ((le16_to_cpu(READ_ONCE(cqe[qp->cq_head].w7)) & QM_CQE_W7_PHASE) == qp->cq_phase) {
		const struct qm_cqe *done = &cqe[qp->cq_head];

		/* Read the completion before the results. */
		dma_rmb();
		if (++qp->cq_head == qm->cq_depth) {
			qp->cq_head = 0;
			qp->cq_phase = !qp->cq_phase;
		}
		qm_kernel_qp_complete(qp, done);
	}
	qm_qp_doorbell(qp, QM_DB_CMD_CQ, qp->cq_head, QM_DB_CQ_ARM);
	mutex_unlock(&qp->lock);
}

/**
 * qm_qp_set_handler() - set the function that is called for completions
 * @qp: stopped kernel queue
 * @handler: called in the interrupt thread with the descriptor that the device has completed, which
 *	is valid during the call; or with NULL if the device has given the queue up. The handler
 *	must not start or stop the queue
 * @owner: data for the handler, in qp->owner
 */
void qm_qp_set_handler(struct qm_qp *qp, void (*handler)(struct qm_qp *qp, const void *sqe),
		       void *owner)
{
	mutex_lock(&qp->lock);
	qp->handler = handler;
	qp->owner = owner;
	mutex_unlock(&qp->lock);
}
EXPORT_SYMBOL_GPL(qm_qp_set_handler);

/**
 * qm_qp_send() - give one request to the device
 * @qp: started kernel queue. The caller makes only one call at a time, and has fewer requests
 *	outstanding than the depth of the queue
 * @sqe: descriptor of QM_SQE_SIZE bytes
 *
 * Any context.
 */
void qm_qp_send(struct qm_qp *qp, const void *sqe)
{
	struct qm *qm = qp->qm;

	memcpy(qp->dus + (size_t)QM_SQE_SIZE * qp->sq_tail, sqe, QM_SQE_SIZE);
	qp->sq_tail = qp->sq_tail + 1 == qm->sq_depth ? 0 : qp->sq_tail + 1;
	/* The descriptor must be visible before the doorbell. */
	dma_wmb();
	qm_qp_doorbell(qp, QM_DB_CMD_SQ, qp->sq_tail, 0);
}
EXPORT_SYMBOL_GPL(qm_qp_send);

/**
 * qm_qp_abandon() - give up a kernel queue that the device would not stop
 * @qp: the queue
 *
 * When this returns no handler is running, and none will be called.
 */
void qm_qp_abandon(struct qm_qp *qp)
{
	qm_qp_break(qp);
}
EXPORT_SYMBOL_GPL(qm_qp_abandon);

/**
 * qm_qp_request() - execute one request on a kernel queue
 * @qp: started kernel queue without handler; the caller makes only one call at a time
 * @sqe: descriptor of QM_SQE_SIZE bytes; receives the results of the device
 * @timeout_ms: longest wait
 *
 * Return: 0 if the device has completed the request (its status is in the descriptor); -ETIMEDOUT
 * otherwise. Then the caller must stop the queue before it uses the buffers again.
 */
int qm_qp_request(struct qm_qp *qp, void *sqe, unsigned int timeout_ms)
{
	void *slot = qp->dus + (size_t)QM_SQE_SIZE * qp->sq_tail;

	qm_qp_send(qp, sqe);
	if (!wait_for_completion_timeout(&qp->done, msecs_to_jiffies(timeout_ms)))
		return -ETIMEDOUT;
	/* Read the completion before the results. */
	dma_rmb();
	memcpy(sqe, slot, QM_SQE_SIZE);
	return 0;
}
EXPORT_SYMBOL_GPL(qm_qp_request);
