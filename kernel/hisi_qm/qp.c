// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware queue pairs: take and give back, contexts, start and stop.
 */
#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <misc/uacce/hisi_qm.h>

#include "qm_private.h"
#include "trace.h"

/* Time until the driver asks again for a queue that did not stop (broken.c). */
#define QM_ASK_FIRST_MS 100u

/* Return: the doorbell window of a queue (QM-DB-2). */
static void __iomem *qm_qp_window(struct qm_qp *qp)
{
	return qp->qm->doorbells + (size_t)qp->id * QM_DB_WINDOW;
}

/*
 * Write a doorbell word. If the device has words the driver uses them: where their pages are plain
 * shared memory, a store costs nothing else, and the device polls them
 * (Documentation/design/machine/pci.rst).
 */
static void qm_qp_word(struct qm_qp *qp, unsigned int kind, u64 value)
{
	void __iomem *words = qp->qm->words + (size_t)qp->id * QM_WORDS_PAGE;

	writeq(value, words + HISI_QM_DOORBELL_WORD(qp->id, kind));
}

/**
 * qm_qp_doorbell() - ring a doorbell of a queue
 * @qp: the queue; the caller makes only one call at a time for it
 * @command: QM_DB_CMD_SQ or QM_DB_CMD_CQ
 * @index: new tail or head
 * @bits: 0 or QM_DB_CQ_ARM
 */
void qm_qp_doorbell(struct qm_qp *qp, unsigned int command, u16 index, u64 bits)
{
	u64 value = FIELD_PREP(QM_DB_QUEUE, qp->id) | FIELD_PREP(QM_DB_CMD, command) |
		    FIELD_PREP(QM_DB_INDEX, index) | bits;

	if (!qp->qm->isolated)
		writeq(value, qp->qm->io + QM_DOORBELL_SQ_CQ);
	else if (!qp->qm->words)
		writeq(value, qm_qp_window(qp) + HISI_QM_DOORBELL);
	else if (command == QM_DB_CMD_SQ)
		qm_qp_word(qp, HISI_QM_WORD_SQ, index);
	else if (!bits)
		qm_qp_word(qp, HISI_QM_WORD_CQ, index);
	else
		qm_qp_word(qp, HISI_QM_WORD_CQ_ARM, index | (u64)++qp->arms << 16);
}

/*
 * At a start the device takes the current words as the old state, so the driver has to clear the
 * words of the last owner before (Documentation/design/machine/pci.rst).
 */
static void qm_qp_clear_words(struct qm_qp *qp)
{
	if (!qp->qm->words)
		return;
	qm_qp_word(qp, HISI_QM_WORD_SQ, 0);
	qm_qp_word(qp, HISI_QM_WORD_CQ, 0);
	qm_qp_word(qp, HISI_QM_WORD_CQ_ARM, 0);
}

/*
 * Give the contexts of a queue to the device. The rings are kernel memory, which the device
 * accesses without PASID; the PASID in the context is only for the data of requests (QM-RING-5).
 */
static int qm_qp_load(struct qm_qp *qp, unsigned int starts, u8 type, u32 pasid, dma_addr_t base)
{
	dma_addr_t completions = base + (size_t)QM_SQE_SIZE * qp->qm->sq_depth;
	const struct qm_sqc sqc = {
		.base_l = cpu_to_le32(lower_32_bits(base)),
		.base_h = cpu_to_le32(upper_32_bits(base)),
		.dw3 = cpu_to_le32(FIELD_PREP(QM_SQC_DW3_DEPTH, qp->qm->sq_depth - 1) |
				   FIELD_PREP(QM_SQC_DW3_SIZE_LG2, QM_SQE_SIZE_LG2)),
		.pasid = cpu_to_le16(pasid),
		.w11 = cpu_to_le16(pasid ? QM_SQC_W11_PASID_EN : 0),
		.cq_num = cpu_to_le16(qp->id),
		.w13 = cpu_to_le16(QM_SQC_W13_ORDER | FIELD_PREP(QM_SQC_W13_TYPE, type)),
	};
	const struct qm_cqc cqc = {
		.base_l = cpu_to_le32(lower_32_bits(completions)),
		.base_h = cpu_to_le32(upper_32_bits(completions)),
		.dw3 = cpu_to_le32(FIELD_PREP(QM_SQC_DW3_DEPTH, qp->qm->cq_depth - 1) |
				   FIELD_PREP(QM_SQC_DW3_SIZE_LG2, QM_CQE_SIZE_LG2)),
		.pasid = cpu_to_le16(pasid),
		.w11 = cpu_to_le16(pasid ? QM_CQC_W11_PASID_EN : 0),
		.dw6 = cpu_to_le32(QM_CQC_DW6_PHASE | QM_CQC_DW6_ARMED),
	};

	return qm_mailbox_load_queue(qp->qm, starts, qp->id, &sqc, &cqc);
}

static int qm_qp_prepare(struct qm_qp *qp, u8 type, u32 pasid)
{
	int ret;

	lockdep_assert_held(&qp->lock);
	if (qp->started || qp->broken)
		return -EINVAL;
	ret = qm_dus_get(qp);
	if (ret)
		return ret;
	qm_dus_reset(qp);
	qm_qp_clear_words(qp);
	qp->type = type;
	qp->pasid = pasid;
	qp->failed = false;
	qp->polled = 0;
	qp->polled_events = atomic_read(&qp->events);
	qp->sq_tail = 0;
	qp->cq_head = 0;
	qp->cq_phase = true;
	qp->arms = 0;
	reinit_completion(&qp->done);
	return 0;
}

static void qm_qp_set_stopped(struct qm_qp *qp)
{
	mutex_lock(&qp->lock);
	qp->started = false;
	mutex_unlock(&qp->lock);
}

/**
 * qm_qp_break() - give up a queue that the device would not stop
 * @qp: the queue
 */
void qm_qp_break(struct qm_qp *qp)
{
	struct qm *qm = qp->qm;

	mutex_lock(&qp->lock);
	qp->broken = true;
	mutex_unlock(&qp->lock);
	dev_err_ratelimited(&qm->pdev->dev, "queue %u does not stop, not used for now\n", qp->id);
	WRITE_ONCE(qm->ask_ms, QM_ASK_FIRST_MS);
	mod_delayed_work(system_wq, &qm->ask, msecs_to_jiffies(QM_ASK_FIRST_MS));
}

/**
 * qm_qp_start() - let the device work on a queue
 * @qp: queue, not started; the caller makes sure that no other thread starts or stops it
 * @type: 0 compress, 1 decompress
 * @pasid: PASID of its data accesses, 0 = none
 *
 * Return: 0; -EINVAL if it is started or broken; -ENOMEM; -EBUSY, -ETIMEDOUT, -EIO from the device;
 * -ESHUTDOWN while the queue manager is halted; -EINTR if the caller is being killed.
 */
int qm_qp_start(struct qm_qp *qp, u8 type, u32 pasid)
{
	unsigned int starts;
	dma_addr_t base;
	int ret;

	mutex_lock(&qp->lock);
	starts = READ_ONCE(qp->qm->starts);
	ret = qm_qp_prepare(qp, type, pasid);
	base = qp->dus_dma;
	if (!ret)
		qp->started = true;
	mutex_unlock(&qp->lock);
	if (ret)
		return ret;

	ret = qm_qp_load(qp, starts, type, pasid, base);
	trace_hisi_qm_queue_start(&qp->qm->pdev->dev, qp->id, type, pasid, ret);
	if (!ret)
		return 0;
	if (ret == -EBUSY || ret == -EINTR) { /* the driver has given no command */
		qm_qp_set_stopped(qp);
		return ret;
	}
	/* The device may have started the queue: it must confirm that it has stopped it. */
	if (qm_qp_stop(qp))
		qm_qp_break(qp);
	return ret;
}
EXPORT_SYMBOL_GPL(qm_qp_start);

/**
 * qm_qp_started() - does the device work on the queue?
 * @qp: the queue
 *
 * qm_halt() stops queues without asking their owners, so the answer may change at any time.
 */
bool qm_qp_started(struct qm_qp *qp)
{
	bool started;

	mutex_lock(&qp->lock);
	started = qp->started;
	mutex_unlock(&qp->lock);
	return started;
}

/* Tell the user that the device takes no more requests. This does not stop the device. */
void qm_qp_flag_stop(struct qm_qp *qp)
{
	mutex_lock(&qp->lock);
	if (qp->started)
		qm_dus_flags(qp, 1);
	mutex_unlock(&qp->lock);
}

/**
 * qm_qp_wipe() - let all requests of a queue fail that the device has not fetched
 * @qp: the queue; this also tells its user that the device takes no more requests
 *
 * The device refuses such a request without reading memory of the user, so no page fault delays it.
 */
void qm_qp_wipe(struct qm_qp *qp)
{
	mutex_lock(&qp->lock);
	if (qp->started) {
		qm_dus_flags(qp, 1);
		qm_dus_wipe(qp);
	}
	mutex_unlock(&qp->lock);
}

/*
 * Return: 1 if the device has completed all requests, or the queue is not started; 0 if not; -EIO
 * if the device has given the queue up; errors of the mailbox.
 */
static int qm_qp_drained(struct qm_qp *qp)
{
	struct qm_sqc sqc;
	struct qm_cqc cqc;
	bool started, failed;
	int ret;

	mutex_lock(&qp->lock);
	started = qp->started;
	failed = qp->failed;
	mutex_unlock(&qp->lock);
	if (!started)
		return 1;
	if (failed)
		return -EIO;
	ret = qm_mailbox_dump(qp->qm, QM_MB_CMD_SQC, qp->id, &sqc, sizeof(sqc));
	if (!ret)
		ret = qm_mailbox_dump(qp->qm, QM_MB_CMD_CQC, qp->id, &cqc, sizeof(cqc));
	if (ret)
		return ret;
	return sqc.tail == cqc.tail && !(le16_to_cpu(sqc.w11 ^ cqc.w11) & QM_SQC_W11_WRAP);
}

/**
 * qm_qp_drain_until() - wait until the device has completed every request of a queue
 * @qp: the queue
 * @deadline: end of the wait, as from ktime_get_ns()
 *
 * This reads the contexts of the queue again and again (QM-MB-3), and leaves the mailbox to other
 * queues in between. STOP_QP instead would occupy the mailbox as long as the requests take.
 *
 * Return: 0, -ETIMEDOUT, or another error of the mailbox.
 */
int qm_qp_drain_until(struct qm_qp *qp, u64 deadline)
{
	unsigned int wait_us = 10;

	for (;;) {
		bool late = ktime_get_ns() > deadline;
		int ret = qm_qp_drained(qp);

		if (ret)
			return ret < 0 ? ret : 0;
		if (late)
			return -ETIMEDOUT;
		usleep_range(wait_us, 2 * wait_us);
		wait_us = min(2 * wait_us, 2000u);
	}
}

/* As qm_qp_drain_until(); @timeout_ms is the longest wait. */
static int qm_qp_drain(struct qm_qp *qp, unsigned int timeout_ms)
{
	return qm_qp_drain_until(qp, ktime_get_ns() + timeout_ms * (u64)NSEC_PER_MSEC);
}

/**
 * qm_qp_tell_stop() - let the device stop a started queue
 * @qp: the queue
 *
 * Return: 0, or an error as from qm_mailbox_stop_qp().
 */
int qm_qp_tell_stop(struct qm_qp *qp)
{
	int ret;

	if (qp->qm->features & QM_CAP_STOP_QP)
		ret = qm_mailbox_stop_qp(qp->qm, qp->id);
	else
		ret = qm_qp_drain(qp, 1000);
	trace_hisi_qm_queue_stop(&qp->qm->pdev->dev, qp->id, ret);
	return ret;
}

/**
 * qm_qp_stop() - take a queue back from the device
 * @qp: queue; the caller makes sure that no other thread starts or stops it
 *
 * Return: 0: the queue was not started, or the device has stopped it, or there is no device any
 * more. Otherwise an error of the mailbox, and the queue still counts as started.
 */
int qm_qp_stop(struct qm_qp *qp)
{
	int ret;

	if (!qm_qp_started(qp))
		return 0;
	qm_qp_flag_stop(qp);
	ret = qm_qp_tell_stop(qp);
	if (ret && ret != -ENODEV && ret != -ESHUTDOWN)
		return ret;
	qm_qp_set_stopped(qp);
	wake_up_interruptible(&qp->wait);
	return 0;
}
EXPORT_SYMBOL_GPL(qm_qp_stop);

/**
 * qm_qp_interrupt() - the whole device has been stopped: end the work of a queue
 * @qp: the queue
 *
 * If the queue was started, this tells its owner, which may start it again.
 */
void qm_qp_interrupt(struct qm_qp *qp)
{
	mutex_lock(&qp->lock);
	if (qp->started) {
		qm_dus_flags(qp, 1);
		qp->failed = true;
		qp->started = false;
	}
	mutex_unlock(&qp->lock);
	wake_up_interruptible(&qp->wait);
}

/**
 * qm_qp_poll() - are there completions since the last call?
 * @qp: the queue
 *
 * Return: true if there are; perhaps also if the user has seen them already.
 */
bool qm_qp_poll(struct qm_qp *qp)
{
	bool news = false;

	mutex_lock(&qp->lock);
	if (qp->started && qp->dus) {
		int events = atomic_read(&qp->events);
		unsigned int position = qm_dus_cq_position(qp);

		news = position != qp->polled || events != qp->polled_events;
		qp->polled = position;
		qp->polled_events = events;
	}
	mutex_unlock(&qp->lock);
	return news;
}

/**
 * qm_qp_get() - take a queue
 * @qm: queue manager
 *
 * Return: a stopped queue without memory, or NULL if there is none.
 */
struct qm_qp *qm_qp_get(struct qm *qm)
{
	unsigned int id;
	struct qm_qp *qp;

	lockdep_assert_held(&qm->lock);
	id = find_first_zero_bit(qm->used, qm->qp_num);
	if (id >= qm->qp_num)
		return NULL;
	qp = &qm->qps[id];
	__set_bit(id, qm->used);
	qm->free--;
	/* Clear the state of the last owner: its failure and its doorbell words. */
	mutex_lock(&qp->lock);
	qp->failed = false;
	qm_qp_clear_words(qp);
	mutex_unlock(&qp->lock);
	trace_hisi_qm_queue_open(&qm->pdev->dev, id);
	return qp;
}

/* Make a queue free for others. The device does not use it any more. */
static void qm_qp_put(struct qm_qp *qp)
{
	struct qm *qm = qp->qm;

	lockdep_assert_held(&qm->lock);
	WARN_ON(qp->started || qp->broken || qp->dus);
	trace_hisi_qm_queue_close(&qm->pdev->dev, qp->id);
	__clear_bit(qp->id, qm->used);
	qm->free++;
}

/**
 * qm_qp_leave() - the owner does not use a queue any more
 * @qp: the queue; no user mapping of it is left
 * @ss: its memory for physical addresses, or NULL
 *
 * If the device has stopped the queue it is free for others now. A broken queue is free only after
 * the device has stopped it.
 */
void qm_qp_leave(struct qm_qp *qp, struct qm_ss *ss)
{
	struct qm *qm = qp->qm;
	bool broken;

	mutex_lock(&qp->lock);
	broken = qp->broken;
	if (broken) {
		qp->ss = ss;
		qp->left = true;
	} else {
		qm_dus_free(qp);
		qm_ss_free(ss);
		WRITE_ONCE(qp->kernel, false);
	}
	mutex_unlock(&qp->lock);
	if (broken)
		return;
	mutex_lock(&qm->lock);
	qm_qp_put(qp);
	mutex_unlock(&qm->lock);
}

int qm_qps_setup(struct qm *qm)
{
	unsigned int i;

	qm->used = bitmap_zalloc(qm->qp_num, GFP_KERNEL);
	if (!qm->used)
		return -ENOMEM;
	qm->qps = kvcalloc(qm->qp_num, sizeof(*qm->qps), GFP_KERNEL);
	if (!qm->qps) {
		bitmap_free(qm->used);
		qm->used = NULL;
		return -ENOMEM;
	}
	for (i = 0; i < qm->qp_num; i++) {
		struct qm_qp *qp = &qm->qps[i];

		qp->qm = qm;
		qp->id = i;
		mutex_init(&qp->lock);
		init_waitqueue_head(&qp->wait);
		init_completion(&qp->done);
	}
	qm->free = qm->qp_num;
	return 0;
}

/* Called with the last reference to the queue manager. The device has gone before. */
void qm_qps_cleanup(struct qm *qm)
{
	unsigned int i;

	if (!qm->qps)
		return;
	for (i = 0; i < qm->qp_num; i++) {
		struct qm_qp *qp = &qm->qps[i];

		mutex_lock(&qp->lock);
		qm_dus_free(qp);
		mutex_unlock(&qp->lock);
		mutex_destroy(&qp->lock);
	}
	kvfree(qm->qps);
	bitmap_free(qm->used);
}

/**
 * qm_present() - does the function still answer?
 * @qm: initialised queue manager
 */
bool qm_present(struct qm *qm)
{
	return qm_read(qm, QM_MB_DW01) != U32_MAX;
}
EXPORT_SYMBOL_GPL(qm_present);

/**
 * qm_take_qp() - take one more queue for the kernel
 * @qm: initialised queue manager; its driver must not leave the device until qm_give_qp()
 *
 * Return: a stopped queue, or NULL if all are taken.
 */
struct qm_qp *qm_take_qp(struct qm *qm)
{
	struct qm_qp *qp;

	mutex_lock(&qm->lock);
	qp = qm_qp_get(qm);
	mutex_unlock(&qm->lock);
	if (qp)
		WRITE_ONCE(qp->kernel, true);
	return qp;
}
EXPORT_SYMBOL_GPL(qm_take_qp);

/**
 * qm_give_qp() - give back a queue of qm_take_qp()
 * @qp: the queue, stopped or abandoned
 */
void qm_give_qp(struct qm_qp *qp)
{
	qm_qp_leave(qp, NULL);
}
EXPORT_SYMBOL_GPL(qm_give_qp);

/**
 * qm_kernel_qp() - the queue that always belongs to the kernel
 * @qm: initialised queue manager
 */
struct qm_qp *qm_kernel_qp(struct qm *qm)
{
	return &qm->qps[0];
}
EXPORT_SYMBOL_GPL(qm_kernel_qp);
