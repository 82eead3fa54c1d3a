// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual function table: which hardware queues a function has (QM-VFT-1).
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/export.h>

#include "qm_private.h"
#include "wd_budget.h"

#define QM_READY_TIMEOUT_MS 1000

/**
 * qm_poll_register() - wait for bits of a register
 * @qm: queue manager
 * @offset: in BAR2
 * @mask: bits to check
 * @value: value to wait for
 *
 * Return: 0 or -ETIMEDOUT.
 */
int qm_poll_register(struct qm *qm, u32 offset, u32 mask, u32 value)
{
	struct wd_budget budget = wd_budget(QM_READY_TIMEOUT_MS * (u64)NSEC_PER_MSEC);
	bool spent = false;

	while ((qm_read(qm, offset) & mask) != value) {
		if (spent)
			return -ETIMEDOUT;
		spent = wd_budget_spent(&budget);
		usleep_range(5, 20);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(qm_poll_register);

static int qm_vft_write(struct qm *qm, u32 type, unsigned int function, u64 entry)
{
	int ret = qm_poll_register(qm, QM_VFT_CFG_RDY, BIT(0), BIT(0));

	if (ret)
		return ret;
	qm_write(qm, QM_VFT_CFG_OP_WR, 0);
	qm_write(qm, QM_VFT_CFG_TYPE, type);
	qm_write(qm, QM_VFT_CFG, function);
	qm_write(qm, QM_VFT_CFG_DATA_L, lower_32_bits(entry));
	qm_write(qm, QM_VFT_CFG_DATA_H, upper_32_bits(entry));
	qm_write(qm, QM_VFT_CFG_RDY, 0);
	qm_write(qm, QM_VFT_CFG_OP_ENABLE, 1);
	return qm_poll_register(qm, QM_VFT_CFG_RDY, BIT(0), BIT(0));
}

/**
 * qm_vft_set() - give queues to a function
 * @qm: queue manager of the PF
 * @function: 0 = the PF itself
 * @first: first hardware queue
 * @number: number of queues; 0 takes all away
 *
 * Return: 0 or -ETIMEDOUT.
 */
int qm_vft_set(struct qm *qm, unsigned int function, unsigned int first, unsigned int number)
{
	u64 sqc = 0, cqc = 0;
	int ret;

	if (number) {
		sqc = FIELD_PREP(QM_VFT_SQC_FIRST, first) | QM_VFT_SQC_VALID |
		      FIELD_PREP(QM_VFT_SQC_NUMBER, number - 1);
		cqc = QM_VFT_CQC_VALID;
	}
	ret = qm_vft_write(qm, QM_VFT_TYPE_SQC, function, sqc);
	if (ret)
		return ret;
	return qm_vft_write(qm, QM_VFT_TYPE_CQC, function, cqc);
}
