// SPDX-License-Identifier: GPL-2.0-only
/*
 * Start and stop of the whole queue manager: at probe and removal; and, while it has users, for a
 * reset of the function or a sleep of the system (Documentation/design/hisi_qm.rst, "Reset").
 */
#include <linux/bits.h>
#include <linux/device.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>

#include "iommu_master.h"
#include "qm_private.h"
#include "trace.h"

/* Time for all queues together to finish their requests before they are stopped. */
#define QM_HALT_PATIENCE_MS 200

/* Attributes of the function's own bus accesses: snooped, without PASID (QM-RING-5). */
static void qm_user_domain(struct qm *qm)
{
	qm_write(qm, QM_ARUSER_CFG, 0x40001070);
	qm_write(qm, QM_ARUSER_ENABLE, 0xfffffffe);
	qm_write(qm, QM_AWUSER_CFG, 0x40001070);
	qm_write(qm, QM_AWUSER_ENABLE, 0xfffffffe);
	qm_write(qm, QM_WUSER_ENABLE, 0xffffffff);
	qm_write(qm, QM_AXI_CFG, 0xffff);
	qm_write(qm, QM_AXI_ENABLE, 0xffffffff);
	qm_write(qm, QM_PEH_AXUSER_CFG, 0x401001);
	qm_write(qm, QM_PEH_AXUSER_ENABLE, 0xffffffff);
}

/*
 * Do all steps after which queues can be started. The memories of the device are undefined before.
 */
static int qm_start_locked(struct qm *qm)
{
	int ret;

	lockdep_assert_held(&qm->mailbox_lock);
	qm_modify(qm, QM_PM_CTRL, 0, QM_PM_IDLE_DISABLE);
	qm_write(qm, QM_MEM_START_INIT, 1);
	ret = qm_poll_register(qm, QM_MEM_INIT_DONE, BIT(0), BIT(0));
	if (ret)
		return ret;
	/* The driver exchanges no messages with virtual functions: clear and mask the interrupt. */
	qm_modify(qm, QM_IFC_INT_SOURCE, 0, BIT(0));
	qm_modify(qm, QM_IFC_INT_MASK, 0, BIT(0));
	qm_user_domain(qm);
	ret = qm->ops->engine_init(qm);
	if (ret)
		return ret;
	qm_write(qm, QM_CACHE_CTL, QM_CACHE_CTL_VALUE);
	qm_error_enable(qm);
	ret = qm_vft_set(qm, 0, 0, qm->qp_num);
	if (ret)
		goto err_engine;
	ret = qm_events_start(qm);
	if (ret)
		goto err_vft;
	return 0;

err_vft:
	qm_vft_set(qm, 0, 0, 0);
err_engine:
	qm_error_disable(qm);
	qm->ops->engine_exit(qm);
	return ret;
}

/**
 * qm_start() - start the queue manager, so that queues can be started
 * @qm: queue manager
 *
 * No other thread can give a command to the mailbox meanwhile.
 *
 * Return: 0, or the error of the step that failed, with the earlier steps undone.
 */
int qm_start(struct qm *qm)
{
	int ret;

	mutex_lock(&qm->mailbox_lock);
	WRITE_ONCE(qm->starts, qm->starts + 1);
	qm->mailbox_shut = false;
	ret = qm_start_locked(qm);
	qm->mailbox_shut = ret;
	mutex_unlock(&qm->mailbox_lock);
	return ret;
}

/**
 * qm_stop() - take all queues away from the function at the same time
 * @qm: queue manager that was started
 */
void qm_stop(struct qm *qm)
{
	qm_events_stop(qm);
	if (qm_vft_set(qm, 0, 0, 0))
		dev_err(&qm->pdev->dev, "cannot take the queues away from the function\n");
	qm_error_disable(qm);
	qm->ops->engine_exit(qm);
}

/**
 * qm_write_back() - let the device write the contexts that it caches
 * @qm: stopped queue manager, still a bus master
 */
void qm_write_back(struct qm *qm)
{
	qm_write(qm, QM_CACHE_WB_START, 1);
	if (qm_poll_register(qm, QM_CACHE_WB_DONE, BIT(0), BIT(0)))
		dev_err(&qm->pdev->dev, "context caches are not written back\n");
}

/* Give the device a short time to finish requests of users. */
static void qm_settle(struct qm *qm)
{
	u64 deadline = ktime_get_ns() + QM_HALT_PATIENCE_MS * (u64)NSEC_PER_MSEC;
	unsigned int i;

	for (i = 0; i < qm->qp_num; i++)
		qm_qp_flag_stop(&qm->qps[i]);
	for (i = 0; i < qm->qp_num; i++) {
		int ret = qm_qp_drain_until(&qm->qps[i], deadline);

		if (ret == -ETIMEDOUT || ret == -EBUSY)
			break;
	}
}

/*
 * Stop the device. This holds the mailbox's lock: a thread that waits for it then finds the mailbox
 * shut, which means that the device works on no queue any more.
 */
static void qm_shut(struct qm *qm, bool running)
{
	mutex_lock(&qm->mailbox_lock);
	qm->mailbox_shut = true;
	if (running)
		qm_stop(qm);
	wd_iommu_clear_master(qm->pdev);
	if (!pci_wait_for_pending_transaction(qm->pdev))
		dev_err(&qm->pdev->dev, "transactions are pending although bus mastering is off\n");
	mutex_unlock(&qm->mailbox_lock);
}

/**
 * qm_halt() - stop the whole function while it has users, before a reset or a sleep of the system
 * @qm: initialised queue manager, without kernel users
 *
 * Afterwards the device does no DMA and sends no interrupts. Users see POLLERR, and the stop flags
 * of their rings. Their files keep their attachments, and can be started again after qm_restart();
 * START_Q and open() wait until then. No user can delay this for ever. A second call has no effect.
 */
void qm_halt(struct qm *qm)
{
	bool running = qm->state == QM_RUNNING;
	unsigned int i;

	if (qm->state == QM_HALTED)
		return;
	trace_hisi_qm_halt(&qm->pdev->dev);
	WRITE_ONCE(qm->state, QM_HALTED);
	if (running)
		qm_settle(qm);
	qm_irqs_disable(qm);
	qm_shut(qm, running);
	qm_ask_cancel(qm);
	for (i = 0; i < qm->qp_num; i++)
		qm_qp_interrupt(&qm->qps[i]);
	qm_mend_all(qm);
}
EXPORT_SYMBOL_GPL(qm_halt);

static void qm_thaw(struct qm *qm, enum qm_state state)
{
	WRITE_ONCE(qm->state, state);
	wake_up_all(&qm->thaw);
}

/**
 * qm_lose() - give the device up after qm_halt(), instead of qm_restart()
 * @qm: halted queue manager
 *
 * START_Q and open() fail with -EIO, until another qm_halt(), a reset and qm_restart().
 */
void qm_lose(struct qm *qm)
{
	qm_thaw(qm, QM_LOST);
}
EXPORT_SYMBOL_GPL(qm_lose);

/**
 * qm_restart() - let users work again after qm_halt()
 * @qm: halted queue manager; its function has been reset, or had no power
 *
 * After an error the caller may try again, by qm_halt(), a reset and qm_restart().
 *
 * Return: 0; -EALREADY if it is not halted, and nothing has changed; or the error of the step that
 * failed: then START_Q and open() fail with -EIO.
 */
int qm_restart(struct qm *qm)
{
	int ret;

	if (qm->state != QM_HALTED)
		return -EALREADY;
	ret = wd_iommu_set_master(qm->pdev);
	if (!ret)
		ret = qm_start(qm);
	if (ret) {
		dev_err(&qm->pdev->dev, "does not start again: %d\n", ret);
		wd_iommu_clear_master(qm->pdev);
	} else {
		qm_irqs_enable(qm);
	}
	trace_hisi_qm_restart(&qm->pdev->dev, ret);
	qm_thaw(qm, ret ? QM_LOST : QM_RUNNING);
	return ret;
}
EXPORT_SYMBOL_GPL(qm_restart);

/**
 * qm_wait_running() - wait until a halted queue manager works again
 * @qm: queue manager
 *
 * Return: 0; -ENXIO the driver leaves the device; -EIO the device did not start again; -ERESTARTSYS
 * the caller is being killed. After the return the queue manager may be halted again at any time.
 */
int qm_wait_running(struct qm *qm)
{
	int ret = wait_event_killable(qm->thaw,
				      READ_ONCE(qm->state) != QM_HALTED || READ_ONCE(qm->gone));

	if (ret)
		return ret;
	if (READ_ONCE(qm->gone))
		return -ENXIO;
	return READ_ONCE(qm->state) == QM_LOST ? -EIO : 0;
}
