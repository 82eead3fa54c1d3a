// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that a process pins for queues which work in its address space without page faults. The
 * device walks the process's own page table. So to pin means: the pages are in memory and stay
 * there, and the device's top-level table leads to them.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <misc/uacce/hisi_qm.h>

#include "iommu_sva.h"
#include "iommufd.h"
#include "queue.h"

/* One HISI_QM_CMD_PIN. */
struct qm_pin {
	struct list_head node;
	u64 addr;
	u64 length;
	struct iommufd_pin *pin;
};

static int pin_copy_argument(struct hisi_qm_pin *pin, void __user *arg)
{
	u64 end;

	if (copy_from_user(pin, arg, sizeof(*pin)))
		return -EFAULT;
	if (!pin->length || pin->reserved || pin->flags & ~HISI_QM_PIN_WRITE ||
	    check_add_overflow(pin->addr, pin->length, &end))
		return -EINVAL;
	return 0;
}

/* Check that one more pin is allowed, and that the caller is the process that opened the file. */
static int pin_check(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (queue->state == QM_QUEUE_ZOMBIE)
		return -ENXIO;
	if (READ_ONCE(queue->qm->mode) != QM_DMA_PINNED)
		return -EOPNOTSUPP;
	if (!current->mm || current->mm != queue->mm)
		return -EPERM;
	return queue->nr_pins < HISI_QM_MAX_PINS ? 0 : -ENOSPC;
}

/**
 * qm_queue_pin_ioctl() - HISI_QM_CMD_PIN
 * @queue: the queue
 * @arg: the caller's structure
 */
int qm_queue_pin_ioctl(struct qm_queue *queue, void __user *arg)
{
	struct hisi_qm_pin request;
	struct qm_pin *pin;
	int ret;

	ret = pin_copy_argument(&request, arg);
	if (ret)
		return ret;
	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	pin->addr = request.addr;
	pin->length = request.length;
	/* Do not hold the queue's lock while pinning, which takes time and the mmap lock. */
	ret = mutex_lock_killable(&queue->lock);
	if (ret)
		goto err_free;
	ret = pin_check(queue);
	queue->nr_pins += !ret;
	mutex_unlock(&queue->lock);
	if (ret)
		goto err_free;
	pin->pin =
		iommufd_pin_user(request.addr, request.length, request.flags & HISI_QM_PIN_WRITE);
	ret = PTR_ERR_OR_ZERO(pin->pin);
	if (!ret)
		wd_iommu_sva_filled(current->mm, request.addr, request.addr + request.length);
	mutex_lock(&queue->lock);
	if (ret)
		queue->nr_pins--;
	else
		list_add_tail(&pin->node, &queue->pins);
	mutex_unlock(&queue->lock);
	if (!ret)
		return 0;
err_free:
	kfree(pin);
	return ret;
}

static void pin_release(struct qm_pin *pin)
{
	iommufd_unpin_user(pin->pin);
	kfree(pin);
}

static struct qm_pin *pin_take(struct qm_queue *queue, const struct hisi_qm_pin *request)
{
	struct qm_pin *pin, *found = ERR_PTR(-ENOENT);
	int ret;

	ret = mutex_lock_killable(&queue->lock);
	if (ret)
		return ERR_PTR(ret);
	list_for_each_entry (pin, &queue->pins, node) {
		if (pin->addr != request->addr || pin->length != request->length)
			continue;
		found = pin;
		list_del(&pin->node);
		queue->nr_pins--;
		break;
	}
	mutex_unlock(&queue->lock);
	return found;
}

/**
 * qm_queue_unpin_ioctl() - HISI_QM_CMD_UNPIN
 * @queue: the queue
 * @arg: the caller's structure
 */
int qm_queue_unpin_ioctl(struct qm_queue *queue, void __user *arg)
{
	struct hisi_qm_pin request;
	struct qm_pin *pin;
	int ret;

	ret = pin_copy_argument(&request, arg);
	if (ret)
		return ret;
	pin = pin_take(queue, &request);
	if (IS_ERR(pin))
		return PTR_ERR(pin);
	pin_release(pin);
	return 0;
}

/**
 * qm_queue_unpin_all() - drop all pins of a file at its release
 * @queue: stopped, without other users
 */
void qm_queue_unpin_all(struct qm_queue *queue)
{
	struct qm_pin *pin, *next;

	list_for_each_entry_safe (pin, next, &queue->pins, node)
		pin_release(pin);
	INIT_LIST_HEAD(&queue->pins);
}
