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
#include <linux/ktime.h>
#include <linux/string.h>

#include "qm_private.h"
#include "trace.h"

/* Real hardware answers within 1 ms; a model on a loaded machine is given much more. */
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
 * Wait until the mailbox is idle. The value of its first word; -ETIMEDOUT; -ENODEV if the function
 * is no longer on the bus.
 */
static int qm_mailbox_wait(struct qm *qm)
{
	u64 deadline = ktime_get_ns() + QM_MB_TIMEOUT_MS * (u64)NSEC_PER_MSEC;
	u32 word;

	for (;;) {
		bool late = ktime_get_ns() > deadline;

		word = qm_read(qm, QM_MB_DW01);
		if (word == U32_MAX)
			return -ENODEV;
		if (!(word & QM_MB_BUSY))
			return word & ~QM_MB_BUSY & INT_MAX;
		if (late)
			return -ETIMEDOUT;
		usleep_range(5, 20);
	}
}

/**
 * qm_mailbox_busy() - is a command on its way, perhaps one that timed out
 * @qm: queue manager
 */
bool qm_mailbox_busy(struct qm *qm)
{
	return qm_read(qm, QM_MB_DW01) & QM_MB_BUSY;
}

/*
 * Wait for the command before, which may have timed out and still be at work on the buffer: until
 * it is done the buffer must not be filled again.
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
 * The command is one 128-bit unit and executes when its last byte is written (QM-MB-1); both halves
 * go as 64-bit stores, low half first.
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
 * qm_mailbox_load() - hand a context to the device
 * @qm: queue manager; its mailbox is locked
 * @command: QM_MB_CMD_SQC, _CQC, _EQC or _AEQC
 * @queue: queue number, 0 for EQ and AEQ
 * @context: the context
 * @size: of it, bytes
 *
 * Return: 0, -EBUSY, -ETIMEDOUT, -EIO; -ENODEV if the function is no longer on the bus; -ESHUTDOWN
 * if it is halted.
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
 * qm_mailbox_load_queue() - hand the contexts of a queue to the device
 * @qm: queue manager
 * @queue: queue number
 * @sqc: of its submission queue
 * @cqc: of its completion queue
 *
 * Return: 0; as qm_mailbox_load(), -EBUSY: the device knows nothing of the queue; -EINTR, as well:
 * the caller is being killed.
 */
int qm_mailbox_load_queue(struct qm *qm, u16 queue, const struct qm_sqc *sqc,
			  const struct qm_cqc *cqc)
{
	int ret;

	ret = mutex_lock_killable(&qm->mailbox_lock);
	if (ret)
		return ret;
	ret = qm_mailbox_load(qm, QM_MB_CMD_SQC, queue, sqc, sizeof(*sqc));
	if (!ret) {
		ret = qm_mailbox_load(qm, QM_MB_CMD_CQC, queue, cqc, sizeof(*cqc));
		/* It knows half of it. */
		if (ret == -EBUSY)
			ret = -ETIMEDOUT;
	}
	mutex_unlock(&qm->mailbox_lock);
	return ret;
}

/**
 * qm_mailbox_dump() - ask the device for a live context
 * @qm: queue manager
 * @command: QM_MB_CMD_SQC or QM_MB_CMD_CQC
 * @queue: queue number
 * @context: written only on success
 * @size: of it, bytes
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
 * @qm: queue manager; its mailbox is locked
 * @command: QM_MB_CMD_SQC_BT or QM_MB_CMD_CQC_BT
 * @base: of the table
 */
int qm_mailbox_base(struct qm *qm, u8 command, dma_addr_t base)
{
	return qm_mailbox_run(qm, command, 0, base, false);
}

/**
 * qm_mailbox_stop_qp() - stop a queue after the requests that the device took from it
 * @qm: queue manager
 * @queue: queue number
 *
 * Return: 0: the device accesses neither the queue nor memory on its behalf any more. Otherwise an
 * error as of qm_mailbox_load(), and nothing is known; but with -ENODEV there is no device, and
 * with -ESHUTDOWN nothing is at work.
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
