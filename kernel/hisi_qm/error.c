// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors of the queue manager hardware: switch their interrupts on, and log them (QM-REG-4). Some
 * kinds need a reset (QM-RAS-1). The device reports errors of requests in their descriptors, not
 * here.
 */
#include <linux/device.h>

#include "qm_private.h"
#include "trace.h"

/* Indexed by bit number (Linux 6.1 qm.c, qm_hw_error). */
static const char *const qm_error_names[] = {
	"bus read",	     "bus write",	  "memory, multi-bit",	"memory, single-bit",
	"get-task timeout",  "do-task timeout",	  "write-back timeout", "SQ/CQ of no function",
	"CQ of no function", "SQ of no function", "doorbell timeout",	"FIFO overflow",
	"doorbell key",	     "mailbox timeout",	  "FLR timeout",
};

/* Errors by wrong doorbells, with a bad queue or position, which any owner of a queue can ring. */
#define QM_ERROR_OF_USERS (BIT(7) | BIT(8) | BIT(9) | BIT(12))

void qm_error_enable(struct qm *qm)
{
	u32 mask;

	qm->error_nfe = qm_capability(qm, QM_CAP_NFE_MASK, QM_DEFAULT_NFE_MASK);
	qm->error_ce = qm_capability(qm, QM_CAP_CE_MASK, QM_DEFAULT_CE_MASK);
	qm->error_reset = qm_capability(qm, QM_CAP_RESET_MASK, QM_DEFAULT_RESET_MASK);
	mask = qm->error_nfe | qm->error_ce;

	qm_write(qm, QM_ABNORMAL_INT_SOURCE, mask);
	qm_write(qm, QM_RAS_CE_ENABLE, qm->error_ce);
	qm_write(qm, QM_RAS_CE_THRESHOLD, 1);
	qm_write(qm, QM_RAS_NFE_ENABLE, qm->error_nfe);
	qm_write(qm, QM_RAS_FE_ENABLE, 0);
	qm_modify(qm, QM_ABNORMAL_INT_MASK, mask, 0);
}

void qm_error_disable(struct qm *qm)
{
	qm_modify(qm, QM_ABNORMAL_INT_MASK, 0, qm->error_nfe | qm->error_ce);
}

/* Clear errors. One that needs a reset stays, but must not be reported again until then. */
static void qm_error_clear(struct qm *qm, u32 status)
{
	if (status & qm->error_reset)
		qm_write(qm, QM_RAS_NFE_ENABLE, qm->error_nfe & ~status);
	else
		qm_write(qm, QM_ABNORMAL_INT_SOURCE, status);
}

/**
 * qm_error_log() - read and log the error registers, clear them, or let the device be reset
 * @qm: queue manager
 *
 * This logs no errors that users can cause, and others with a rate limit.
 */
void qm_error_log(struct qm *qm)
{
	u32 status = qm_read(qm, QM_ABNORMAL_INT_STATUS);
	bool reset = status & qm->error_reset;
	unsigned int bit;

	if (status) {
		trace_hisi_qm_error(&qm->pdev->dev, status);
		qm_error_clear(qm, status);
	}
	status &= ~QM_ERROR_OF_USERS;
	if (status) {
		for (bit = 0; bit < ARRAY_SIZE(qm_error_names); bit++)
			if (status & BIT(bit))
				dev_err_ratelimited(&qm->pdev->dev, "hardware error: %s\n",
						    qm_error_names[bit]);
		dev_err_ratelimited(&qm->pdev->dev, "error status %#x, details %#x %#x\n", status,
				    qm_read(qm, QM_ABNORMAL_INF00), qm_read(qm, QM_ABNORMAL_INF01));
	}
	if (qm->ops->error_log)
		reset |= qm->ops->error_log(qm);
	if (reset)
		qm_reset_schedule(qm);
}
