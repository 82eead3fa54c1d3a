// SPDX-License-Identifier: GPL-2.0-only
/*
 * Controller reset: after a hardware error of a kind that only a reset mends, the driver resets the
 * function itself (QM-RAS-2). A device that needs it too often is isolated: programs that look for
 * a device leave it out (QM-RAS-3).
 */
#include <linux/bits.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "qm_private.h"
#include "trace.h"

/* Time until the driver tries again if something else holds the device's lock. */
#define QM_RESET_AGAIN_MS 10
#define QM_ISOLATE_WINDOW_NS (3600ULL * NSEC_PER_SEC)

/* A controller reset of the last hour. */
struct qm_reset_time {
	struct list_head node;
	u64 ns;
};

static void qm_forget_resets(struct qm *qm, u64 before)
{
	struct qm_reset_time *entry, *next;

	lockdep_assert_held(&qm->isolate_lock);
	list_for_each_entry_safe (entry, next, &qm->resets, node) {
		if (entry->ns >= before)
			break;
		list_del(&entry->node);
		qm->nr_resets--;
		kfree(entry);
	}
}

static void qm_isolate(struct qm *qm)
{
	lockdep_assert_held(&qm->isolate_lock);
	if (qm->isolate)
		return;
	WRITE_ONCE(qm->isolate, true);
	qm_forget_resets(qm, U64_MAX);
	dev_err(&qm->pdev->dev, "isolated, until its driver is bound anew\n");
}

/*
 * Note a controller reset that is to come, and isolate the device if the last hour had enough of
 * them before.
 */
static void qm_count_reset(struct qm *qm)
{
	struct qm_reset_time *entry = kmalloc(sizeof(*entry), GFP_KERNEL);
	u64 now = ktime_get_ns();

	mutex_lock(&qm->isolate_lock);
	if (qm->isolate || !qm->isolate_strategy)
		goto out;
	if (now >= QM_ISOLATE_WINDOW_NS)
		qm_forget_resets(qm, now - QM_ISOLATE_WINDOW_NS);
	if (qm->nr_resets >= qm->isolate_strategy) {
		qm_isolate(qm);
	} else if (entry) {
		entry->ns = now;
		list_add_tail(&entry->node, &qm->resets);
		qm->nr_resets++;
		entry = NULL;
	}
out:
	mutex_unlock(&qm->isolate_lock);
	kfree(entry);
}

/*
 * Reset the function, with the device's lock held. One that is halted stays so: it sleeps, and is
 * reset before it works again; or the machine shuts down, and it must access no memory any more.
 */
static int qm_reset_locked(struct qm *qm)
{
	int ret;

	if (qm->state != QM_RUNNING)
		return -ECANCELED;
	ret = pci_reset_function_locked(qm->pdev);
	return !ret && qm->state == QM_LOST ? -EIO : ret;
}

static void qm_reset_work(struct work_struct *work)
{
	struct qm *qm = container_of(to_delayed_work(work), struct qm, reset_work);
	struct device *dev = &qm->pdev->dev;
	int ret;

	/* Removal holds the lock and waits for this work. */
	if (!device_trylock(dev)) {
		schedule_delayed_work(&qm->reset_work, msecs_to_jiffies(QM_RESET_AGAIN_MS));
		return;
	}
	WRITE_ONCE(qm->reset_wanted, false);
	ret = qm_reset_locked(qm);
	device_unlock(dev);
	trace_hisi_qm_error_reset(dev, ret);
	if (!ret || ret == -ECANCELED)
		return;
	dev_err(dev, "reset after a hardware error failed: %d\n", ret);
	mutex_lock(&qm->isolate_lock);
	qm_isolate(qm);
	mutex_unlock(&qm->isolate_lock);
}

/* The device needs a reset. Only the interrupt thread calls this; several calls lead to one. */
void qm_reset_schedule(struct qm *qm)
{
	if (!READ_ONCE(qm->reset_wanted))
		qm_count_reset(qm);
	WRITE_ONCE(qm->reset_wanted, true);
	schedule_delayed_work(&qm->reset_work, 0);
}

void qm_reset_setup(struct qm *qm)
{
	INIT_DELAYED_WORK(&qm->reset_work, qm_reset_work);
	mutex_init(&qm->isolate_lock);
	INIT_LIST_HEAD(&qm->resets);
}

/* No interrupt thread runs any more. The caller may hold the device's lock. */
void qm_reset_cancel(struct qm *qm)
{
	cancel_delayed_work_sync(&qm->reset_work);
	mutex_lock(&qm->isolate_lock);
	qm_forget_resets(qm, U64_MAX);
	mutex_unlock(&qm->isolate_lock);
}

/**
 * qm_isolate_strategy() - set how many controller resets in an hour a device may have
 * @qm: queue manager
 * @resets: one more isolates the device; 0 = none does. Resets so far count no more
 *
 * Return: 0; -EINVAL more than QM_ISOLATE_MAX, -EPERM the device is isolated
 */
int qm_isolate_strategy(struct qm *qm, unsigned int resets)
{
	int ret = 0;

	if (resets > QM_ISOLATE_MAX)
		return -EINVAL;
	mutex_lock(&qm->isolate_lock);
	if (qm->isolate) {
		ret = -EPERM;
	} else {
		WRITE_ONCE(qm->isolate_strategy, resets);
		qm_forget_resets(qm, U64_MAX);
	}
	mutex_unlock(&qm->isolate_lock);
	return ret;
}
