// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailbox: configuration commands to the queue manager (QM-MB-2). One command at a time for the
 * whole function.
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/string.h>

#include "qm_private.h"
#include "trace.h"
#include "wd_budget.h"

/* Real hardware answers within 1 ms. A model on a loaded machine needs much more time. */
#define QM_MB_TIMEOUT_MS 2000
/* Room for the largest context. */
#define QM_MB_BUFFER 64

int qm_mailbox_setup(struct qm *qm)
{
	mutex_init(&qm->mailbox_lock);
	qm->mailbox_buffer =
		dma_alloc_coherent(&qm->pdev->dev, QM_MB_BUFFER, &qm->mailbox_dma, GFP_KERNEL);
	return qm->mailbox_buffer ? 0 : -ENOMEM;
}

void qm_mailbox_cleanup(struct qm *qm)
{
	dma_free_coherent(&qm->pdev->dev, QM_MB_BUFFER, qm->mailbox_buffer, qm->mailbox_dma);
	qm->mailbox_buffer = NULL;
	mutex_destroy(&qm->mailbox_lock);
}

/*
 * Wait until the mailbox is idle. Return: the value of its first word; -ETIMEDOUT; -ENODEV if the
 * function is no longer on the bus.
 */
static int qm_mailbox_wait(struct qm *qm)
{
	struct wd_budget budget = wd_budget(QM_MB_TIMEOUT_MS * (u64)NSEC_PER_MSEC);
	bool spent = false;
	u32 word;

	for (;;) {
		word = qm_read(qm, QM_MB_DW01);
		if (word == U32_MAX)
			return -ENODEV;
		if (!(word & QM_MB_BUSY))
			return word & ~QM_MB_BUSY & INT_MAX;
		if (spent)
			return -ETIMEDOUT;
		spent = wd_budget_spent(&budget);
		usleep_range(5, 20);
	}
}

/**
 * qm_mailbox_busy() - does the device execute a command, perhaps one that has timed out?
 * @qm: queue manager
 */
bool qm_mailbox_busy(struct qm *qm)
{
	return qm_read(qm, QM_MB_DW01) & QM_MB_BUSY;
}

/*
 * Wait for the previous command. If it has timed out the device may still use the buffer, so no
 * other command may fill it.
 */
static int qm_mailbox_idle(struct qm *qm, u8 command)
{
	int ret;

	lockdep_assert_held(&qm->mailbox_lock);
	if (qm->mailbox_shut)
		return -ESHUTDOWN;
	ret = qm_mailbox_wait(qm);
	if (ret == -ENODEV)
		return ret;
	if (ret < 0) {
		dev_err_ratelimited(&qm->pdev->dev, "mailbox busy before command %#x\n", command);
		return -EBUSY;
	}
	return 0;
}

/*
 * A command has 128 bits. The device executes it when software writes the last byte (QM-MB-1). So
 * this writes the low half first, and then the high half, by 64-bit stores.
 */
static int qm_mailbox_run(struct qm *qm, u8 command, u16 queue, dma_addr_t base, bool query)
{
	const u32 word = FIELD_PREP(QM_MB_CMD, command) | FIELD_PREP(QM_MB_QUEUE, queue) |
			 QM_MB_BUSY | (query ? QM_MB_QUERY : 0);
	int ret;

	ret = qm_mailbox_idle(qm, command);
	if (ret)
		return ret;
	trace_hisi_qm_mailbox(&qm->pdev->dev, command, queue, base, query);
	writeq(word | (u64)lower_32_bits(base) << 32, qm->io + QM_MB_DW01);
	writeq(upper_32_bits(base), qm->io + QM_MB_DW23);
	ret = qm_mailbox_wait(qm);
	trace_hisi_qm_mailbox_done(&qm->pdev->dev, command, queue,
				   ret < 0 ? 0 : FIELD_GET(QM_MB_STATUS, ret), min(ret, 0));
	if (ret == -ENODEV)
		return ret;
	if (ret < 0) {
		dev_err_ratelimited(&qm->pdev->dev, "mailbox command %#x of queue %u timed out\n",
				    command, queue);
		return ret;
	}
	if (FIELD_GET(QM_MB_STATUS, ret)) {
		dev_err_ratelimited(&qm->pdev->dev,
				    "mailbox command %#x of queue %u failed, status %lu\n", command,
				    queue, FIELD_GET(QM_MB_STATUS, (unsigned long)ret));
		return -EIO;
	}
	return 0;
}

/**
 * qm_mailbox_load() - give a context to the device
 * @qm: queue manager; the caller holds mailbox_lock
 * @command: QM_MB_CMD_SQC, _CQC, _EQC or _AEQC
 * @queue: queue number, 0 for EQ and AEQ
 * @context: the context
 * @size: bytes of @context
 *
 * Return: 0; -EBUSY if an earlier command is not done, and this one was not given; -ETIMEDOUT; -EIO
 * the device refused it; -ENODEV the function is no longer on the bus; -ESHUTDOWN it is halted.
 */
int qm_mailbox_load(struct qm *qm, u8 command, u16 queue, const void *context, size_t size)
{
	int ret;

	if (WARN_ON(size > QM_MB_BUFFER))
		return -EINVAL;
	ret = qm_mailbox_idle(qm, command);
	if (ret)
		return ret;
	memset(qm->mailbox_buffer, 0, QM_MB_BUFFER);
	memcpy(qm->mailbox_buffer, context, size);
	return qm_mailbox_run(qm, command, queue, qm->mailbox_dma, false);
}

/**
 * qm_mailbox_load_queue() - give the contexts of a queue to the device
 * @qm: queue manager
 * @starts: qm.starts at the time when the caller marked the queue as started
 * @queue: queue number
 * @sqc: context of its submission queue
 * @cqc: context of its completion queue
 *
 * Return: as qm_mailbox_load(), -ESHUTDOWN also if the function was halted and started again
 * meanwhile; -EINTR if the caller is being killed. After -EBUSY and -EINTR the device has got
 * neither context.
 */
int qm_mailbox_load_queue(struct qm *qm, unsigned int starts, u16 queue, const struct qm_sqc *sqc,
			  const struct qm_cqc *cqc)
{
	int ret;

	ret = mutex_lock_killable(&qm->mailbox_lock);
	if (ret)
		return ret;
	/*
	 * If the function was halted since, the caller's queue may be marked as stopped again, and
	 * nobody would stop it in the device.
	 */
	ret = qm->starts == starts ? 0 : -ESHUTDOWN;
	if (!ret)
		ret = qm_mailbox_load(qm, QM_MB_CMD_SQC, queue, sqc, sizeof(*sqc));
	if (!ret) {
		ret = qm_mailbox_load(qm, QM_MB_CMD_CQC, queue, cqc, sizeof(*cqc));
		/* The device has one context: -EBUSY would mean that it has none. */
		if (ret == -EBUSY)
			ret = -ETIMEDOUT;
	}
	mutex_unlock(&qm->mailbox_lock);
	return ret;
}

/**
 * qm_mailbox_dump() - read the current context of a queue from the device
 * @qm: queue manager
 * @command: QM_MB_CMD_SQC or QM_MB_CMD_CQC
 * @queue: queue number
 * @context: receives the context on success
 * @size: bytes of @context
 *
 * Return: as qm_mailbox_load().
 */
int qm_mailbox_dump(struct qm *qm, u8 command, u16 queue, void *context, size_t size)
{
	int ret;

	if (WARN_ON(size > QM_MB_BUFFER))
		return -EINVAL;
	mutex_lock(&qm->mailbox_lock);
	ret = qm_mailbox_idle(qm, command);
	if (!ret) {
		memset(qm->mailbox_buffer, 0, QM_MB_BUFFER);
		ret = qm_mailbox_run(qm, command, queue, qm->mailbox_dma, true);
	}
	if (!ret)
		memcpy(context, qm->mailbox_buffer, size);
	mutex_unlock(&qm->mailbox_lock);
	return ret;
}

/**
 * qm_mailbox_base() - tell the device where the table of contexts is
 * @qm: queue manager; the caller holds mailbox_lock
 * @command: QM_MB_CMD_SQC_BT or QM_MB_CMD_CQC_BT
 * @base: address of the table
 */
int qm_mailbox_base(struct qm *qm, u8 command, dma_addr_t base)
{
	return qm_mailbox_run(qm, command, 0, base, false);
}

/**
 * qm_mailbox_stop_qp() - let the device finish the requests that it has taken, and stop a queue
 * @qm: queue manager
 * @queue: queue number
 *
 * Return: 0: the device uses neither the queue nor memory of its requests any more. Otherwise an
 * error as of qm_mailbox_load(), and the device may still use them. Exceptions: with -ENODEV there
 * is no device, and with -ESHUTDOWN it works on no queue.
 */
int qm_mailbox_stop_qp(struct qm *qm, u16 queue)
{
	int ret;

	mutex_lock(&qm->stop_lock);
	mutex_lock(&qm->mailbox_lock);
	ret = qm_mailbox_run(qm, QM_MB_CMD_STOP_QP, queue, 0, false);
	mutex_unlock(&qm->mailbox_lock);
	mutex_unlock(&qm->stop_lock);
	return ret;
}
