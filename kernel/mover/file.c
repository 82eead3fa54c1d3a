// SPDX-License-Identifier: GPL-2.0-only
/* File operations of /dev/wd_mover. */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/uaccess.h>

#include <linux/vfio_cdev.h>
#include <misc/uacce/uacce.h>

#include "compat.h"
#include "mover.h"
#include "vfio_verbs.h"

static int mover_open(struct inode *inode, struct file *file)
{
	struct mover_queue *queue = mover_queue_alloc();

	if (IS_ERR(queue))
		return PTR_ERR(queue);
	file->private_data = queue;
	return 0;
}

static int mover_release(struct inode *inode, struct file *file)
{
	mover_queue_close(file->private_data);
	return 0;
}

/* Call @body when it is the caller's turn. */
static int mover_locked(struct mover_queue *queue, int (*body)(struct mover_queue *queue))
{
	int ret;

	ret = mover_queue_enter(queue);
	if (ret)
		return ret;
	ret = body(queue);
	mover_queue_leave(queue);
	return ret;
}

static int mover_set_ring_ioctl(struct mover_queue *queue, void __user *arg)
{
	struct wd_mover_ring ring;
	int ret;

	if (copy_from_user(&ring, arg, sizeof(ring)))
		return -EFAULT;
	ret = mover_queue_enter(queue);
	if (ret)
		return ret;
	ret = mover_queue_set_ring(queue, &ring);
	mover_queue_leave(queue);
	return ret;
}

static int mover_set_event_ioctl(struct mover_queue *queue, void __user *arg)
{
	struct eventfd_ctx *event = NULL;
	s32 fd;

	if (copy_from_user(&fd, arg, sizeof(fd)))
		return -EFAULT;
	if (fd != -1) {
		event = eventfd_ctx_fdget(fd);
		if (IS_ERR(event))
			return PTR_ERR(event);
	}
	mutex_lock(&queue->ring_lock);
	swap(queue->event, event);
	mutex_unlock(&queue->ring_lock);
	if (event)
		eventfd_ctx_put(event);
	return 0;
}

static long mover_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mover_queue *queue = file->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case UACCE_CMD_START_Q:
		return mover_locked(queue, mover_queue_start);
	case UACCE_CMD_PUT_Q:
		return mover_locked(queue, mover_queue_halt);
	case WD_MOVER_CMD_SET_RING:
		return mover_set_ring_ioctl(queue, uarg);
	case WD_MOVER_CMD_SET_EVENT:
		return mover_set_event_ioctl(queue, uarg);
	case WD_MOVER_CMD_KICK:
		mover_rings_kick(queue);
		return 0;
	default:
		return vfio_verbs_ioctl(&mover_verbs, queue, cmd, uarg);
	}
}

static __poll_t mover_poll(struct file *file, struct poll_table_struct *wait)
{
	struct mover_queue *queue = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &queue->wait, wait);
	if (READ_ONCE(queue->cq_tail) != READ_ONCE(queue->control->cq_head))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(queue->failed))
		mask |= EPOLLERR;
	return mask;
}

static vm_fault_t mover_fault(struct vm_fault *vmf)
{
	struct mover_queue *queue = vmf->vma->vm_file->private_data;

	return vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(virt_to_phys(queue->control)));
}

static const struct vm_operations_struct mover_vm_ops = {
	.fault = mover_fault,
};

/* The mapping holds the file, and so the page. */
static int mover_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff || vma_pages(vma) != 1)
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	/* A child of fork() must not submit for its parent. */
	wd_vm_flags_mod(vma, VM_PFNMAP | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP, VM_MAYEXEC);
	vma->vm_ops = &mover_vm_ops;
	return 0;
}

const struct file_operations mover_fops = {
	.owner = THIS_MODULE,
	.open = mover_open,
	.release = mover_release,
	.unlocked_ioctl = mover_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = mover_mmap,
	.poll = mover_poll,
};
