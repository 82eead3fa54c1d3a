// SPDX-License-Identifier: GPL-2.0-only
/*
 * File operations of an accelerator's device file (QM-UACCE-2).
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <linux/vfio_cdev.h>
#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "iommu_sva.h"
#include "queue.h"
#include "vfio_verbs.h"

/* Types of queues: compress, decompress. */
#define QM_QUEUE_MAX_TYPE 1

/*
 * Take the lock of a queue that is not a zombie. Another thread may hold the lock as long as a
 * queue needs to stop, so a caller that is killed does not wait. Return: 0 with the lock held;
 * without the lock -EINTR, or -ENXIO for a zombie.
 */
static int qm_queue_lock_alive(struct qm_queue *queue)
{
	int ret;

	ret = mutex_lock_killable(&queue->lock);
	if (ret)
		return ret;
	if (queue->state != QM_QUEUE_ZOMBIE)
		return 0;
	mutex_unlock(&queue->lock);
	return -ENXIO;
}

/* Early check of an ioctl. Its handler checks again with the lock held. */
static int qm_queue_alive(struct qm_queue *queue)
{
	int ret;

	ret = qm_queue_lock_alive(queue);
	if (!ret)
		mutex_unlock(&queue->lock);
	return ret;
}

/* Take a hardware queue for the calling user, and put the file where qm_unregister() finds it. */
static int qm_queue_take_locked(struct qm_queue *queue)
{
	struct qm *qm = queue->qm;
	int ret;

	lockdep_assert_held(&qm->lock);
	if (qm->gone)
		return -ENXIO;
	if (!qm->free)
		return -EBUSY;
	ret = qm_user_charge(qm, &queue->user);
	if (ret)
		return ret;
	queue->qp = qm_qp_get(qm);
	list_add_tail(&queue->node, &qm->queues);
	return 0;
}

static int qm_queue_take(struct qm_queue *queue)
{
	struct qm *qm = queue->qm;
	int ret;

	ret = qm_wait_running(qm);
	if (ret)
		return ret;
	queue->user = qm_user_alloc();
	if (!queue->user)
		return -ENOMEM;
	mutex_lock(&qm->lock);
	ret = qm_queue_take_locked(queue);
	mutex_unlock(&qm->lock);
	if (ret)
		kfree(queue->user);
	return ret;
}

/* The process ends in whose address space the queue works. */
static void qm_queue_ended(struct qm_queue *queue)
{
	qm_queue_end(queue);
	qm_queue_unbond(queue);
	qm_queue_orphan(queue);
}

static int qm_queue_open(struct inode *inode, struct file *file)
{
	struct qm *qm = container_of(inode->i_cdev, struct qm, cdev);
	struct qm_queue *queue;
	int ret;

	queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	if (!queue)
		return -ENOMEM;
	queue->qm = qm;
	queue->mapping = file->f_mapping;
	queue->state = QM_QUEUE_INIT;
	queue->ended = qm_queue_ended;
	kref_init(&queue->ref);
	INIT_LIST_HEAD(&queue->node);
	INIT_LIST_HEAD(&queue->bond_node);
	INIT_LIST_HEAD(&queue->pins);
	mutex_init(&queue->lock);
	queue->mm = current->mm;
	if (queue->mm)
		mmgrab(queue->mm);
	ret = qm_queue_take(queue);
	if (ret) {
		if (queue->mm)
			mmdrop(queue->mm);
		mutex_destroy(&queue->lock);
		kfree(queue);
		return ret;
	}
	get_device(&qm->dev);
	file->private_data = queue;
	return 0;
}

/* Stop a queue, and give back its address space of any kind. */
static void qm_queue_release_memory(struct qm_queue *queue)
{
	qm_queue_end(queue);
	qm_queue_unbond(queue);
	qm_queue_detach(queue);
	qm_queue_unbind(queue);
}

/* The last close: the file has no other users, but qm_unregister() may work on the queue. */
static int qm_queue_release(struct inode *inode, struct file *file)
{
	struct qm_queue *queue = file->private_data;
	struct qm *qm = queue->qm;

	mutex_lock(&queue->lock);
	qm_queue_release_memory(queue);
	queue->state = QM_QUEUE_ZOMBIE;
	queue->mapping = NULL;
	qm_queue_unpin_all(queue);

	mutex_lock(&qm->lock);
	list_del_init(&queue->node);
	qm_user_uncharge(qm, queue->user);
	mutex_unlock(&qm->lock);
	qm_qp_leave(queue->qp, queue->ss);
	mutex_unlock(&queue->lock);
	qm_queue_put(queue);
	return 0;
}

/**
 * qm_queue_disconnect() - take the device away from an open file
 * @queue: queue of a queue manager that is marked as gone
 *
 * Afterwards the file uses neither the device nor its IOMMU. The rings stay mapped.
 */
void qm_queue_disconnect(struct qm_queue *queue)
{
	mutex_lock(&queue->lock);
	qm_queue_release_memory(queue);
	qm_queue_zombie(queue);
	qm_queue_revoke_doorbells(queue);
	mutex_lock(&queue->qp->lock);
	if (!queue->qp->broken) {
		qm_dus_unmap(queue->qp);
		qm_ss_unmap(queue->ss);
	}
	mutex_unlock(&queue->qp->lock);
	mutex_unlock(&queue->lock);
}

/* Find or make the address space for the next start. *@pasid: its PASID; 0: physical addresses. */
static int qm_queue_take_memory(struct qm_queue *queue, struct wd_sva_mm **space, u32 *pasid)
{
	int ret;

	if (queue->attached) {
		*pasid = queue->pasid->value;
		return 0;
	}
	if (queue->idev)
		return -EOPNOTSUPP;
	switch (READ_ONCE(queue->qm->mode)) {
	case QM_DMA_SVA:
		ret = qm_queue_bond(queue, true, space);
		break;
	case QM_DMA_PINNED:
		ret = qm_queue_bond(queue, false, space);
		break;
	case QM_DMA_PHYSICAL:
		*pasid = 0;
		return qm_physical_check(queue->qm);
	default:
		return -EOPNOTSUPP;
	}
	if (!ret)
		*pasid = qm_queue_bond_pasid(queue);
	return ret;
}

static int qm_queue_start(struct qm_queue *queue, struct wd_sva_mm **space)
{
	u32 pasid;
	int ret;

	lockdep_assert_held(&queue->lock);
	if (queue->state == QM_QUEUE_ZOMBIE)
		return -ENXIO;
	if (qm_queue_started(queue))
		return -EINVAL;
	qm_queue_unbond(queue);
	ret = qm_queue_take_memory(queue, space, &pasid);
	if (ret)
		return ret;
	ret = qm_qp_start(queue->qp, queue->type, pasid);
	if (!ret) {
		queue->state = QM_QUEUE_STARTED;
		return 0;
	}
	if (queue->qp->broken)
		qm_queue_zombie(queue);
	qm_queue_unbond(queue);
	return ret;
}

static int qm_queue_try_start(struct qm_queue *queue)
{
	struct wd_sva_mm *space = qm_queue_mm(queue);
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	ret = mutex_lock_killable(&queue->lock);
	if (!ret) {
		ret = qm_queue_start(queue, &space);
		mutex_unlock(&queue->lock);
	}
	wd_iommu_sva_mm_put(space);
	return ret;
}

static int qm_queue_start_ioctl(struct qm_queue *queue)
{
	int ret;

	do {
		ret = qm_wait_running(queue->qm);
		if (!ret)
			ret = qm_queue_try_start(queue);
	} while (ret == -ESHUTDOWN || ret == -EAGAIN);
	return ret;
}

static int qm_queue_put_ioctl(struct qm_queue *queue)
{
	int ret;

	ret = mutex_lock_killable(&queue->lock);
	if (ret)
		return ret;
	if (queue->state == QM_QUEUE_ZOMBIE)
		ret = -ENXIO;
	else
		ret = qm_queue_halt(queue);
	qm_queue_unbond(queue);
	mutex_unlock(&queue->lock);
	return ret;
}

static long qm_queue_ss_ioctl(struct qm_queue *queue, unsigned long __user *arg)
{
	unsigned long value;
	long ret;

	if (copy_from_user(&value, arg, sizeof(value)))
		return -EFAULT;
	mutex_lock(&queue->qp->lock);
	ret = qm_ss_slice(queue->ss, value, &value);
	mutex_unlock(&queue->qp->lock);
	if (ret >= 0 && copy_to_user(arg, &value, sizeof(value)))
		return -EFAULT;
	return ret;
}

static int qm_queue_ctx_ioctl(struct qm_queue *queue, void __user *arg)
{
	struct hisi_qp_ctx ctx;
	int ret;

	if (copy_from_user(&ctx, arg, sizeof(ctx)))
		return -EFAULT;
	if (ctx.qc_type > QM_QUEUE_MAX_TYPE)
		return -EINVAL;

	ret = qm_queue_lock_alive(queue);
	if (ret)
		return ret;
	if (qm_queue_started(queue) && ctx.qc_type != queue->type)
		ret = -EINVAL;
	else
		queue->type = ctx.qc_type;
	mutex_unlock(&queue->lock);
	if (ret)
		return ret;

	ctx.id = queue->qp->id;
	return copy_to_user(arg, &ctx, sizeof(ctx)) ? -EFAULT : 0;
}

static int qm_queue_info_ioctl(struct qm_queue *queue, void __user *arg)
{
	struct hisi_qp_info info = {
		.sqe_size = QM_SQE_SIZE,
		.sq_depth = queue->qm->sq_depth,
		.cq_depth = queue->qm->cq_depth,
	};

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long qm_queue_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct qm_queue *queue = file->private_data;
	void __user *uarg = (void __user *)arg;
	int ret;

	ret = qm_queue_alive(queue);
	if (ret)
		return ret;
	switch (cmd) {
	case UACCE_CMD_START_Q:
		return qm_queue_start_ioctl(queue);
	case UACCE_CMD_PUT_Q:
		return qm_queue_put_ioctl(queue);
	case UACCE_CMD_QM_SET_QP_CTX:
		return qm_queue_ctx_ioctl(queue, uarg);
	case UACCE_CMD_QM_SET_QP_INFO:
		return qm_queue_info_ioctl(queue, uarg);
	case UACCE_CMD_GET_SS_DMA:
		return qm_queue_ss_ioctl(queue, uarg);
	case HISI_QM_CMD_PIN:
		return qm_queue_pin_ioctl(queue, uarg);
	case HISI_QM_CMD_UNPIN:
		return qm_queue_unpin_ioctl(queue, uarg);
	case VFIO_DEVICE_BIND_IOMMUFD:
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return vfio_verbs_ioctl(&qm_queue_verbs, queue, cmd, uarg);
	default:
		return -EINVAL;
	}
}

static __poll_t qm_queue_poll(struct file *file, struct poll_table_struct *wait)
{
	struct qm_queue *queue = file->private_data;
	struct qm_qp *qp = queue->qp;
	__poll_t mask = 0;

	poll_wait(file, &qp->wait, wait);
	if (qm_qp_poll(qp))
		mask |= EPOLLIN | EPOLLRDNORM;
	mutex_lock(&qp->lock);
	if (qp->failed || queue->orphan)
		mask |= EPOLLERR;
	if (queue->dead)
		mask |= EPOLLERR | EPOLLHUP;
	mutex_unlock(&qp->lock);
	return mask;
}

const struct file_operations qm_queue_fops = {
	.owner = THIS_MODULE,
	.open = qm_queue_open,
	.release = qm_queue_release,
	.unlocked_ioctl = qm_queue_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = qm_queue_mmap,
	.poll = qm_queue_poll,
};
