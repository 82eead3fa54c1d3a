/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An open queue file: one hardware queue, at most one address space.
 */
#ifndef _WD_QM_QUEUE_H
#define _WD_QM_QUEUE_H

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>

#include "qm.h"

/*
 * INIT:	the hardware queue is ours and stopped
 * STARTED:	the device works on it; it is attached
 * ZOMBIE:	the device went away, or did not stop the queue; final
 */
enum wd_queue_state { WD_QUEUE_ZOMBIE, WD_QUEUE_INIT, WD_QUEUE_STARTED };

/**
 * struct wd_queue - open queue file
 * @qm: counted
 * @qp: ours until release
 * @ref: the file, and wd_qm_unregister() while it works on the queue
 * @node: in qm->queues; qm->lock
 * @lock: protects what follows; order in qm.h
 * @state: see there
 * @type: of the next start
 * @idev: the binding to an iommufd, or NULL
 * @mapping: of the file, where its VMAs are found; NULL after its release
 * @attached: an address space is attached at @pasid
 * @pasid: reserved in qm->pasids while attached
 * @mapped: bitmap of enum uacce_qfrt, regions that were mapped; qp->lock
 * @dead: no new mapping, pollers are told; qp->lock
 */
struct wd_queue {
	struct wd_qm *qm;
	struct wd_qp *qp;
	struct kref ref;
	struct list_head node;

	struct mutex lock;
	enum wd_queue_state state;
	u8 type;
	struct address_space *mapping;
	struct iommufd_device *idev;
	bool attached;
	u32 pasid;

	unsigned int mapped;
	bool dead;
};

extern const struct file_operations wd_queue_fops;

void wd_queue_put(struct wd_queue *queue);
void wd_queue_disconnect(struct wd_queue *queue);
void wd_queue_zombie(struct wd_queue *queue);

/* attach.c */
int wd_queue_halt(struct wd_queue *queue, unsigned int patience_ms);
int wd_queue_bind_ioctl(struct wd_queue *queue, void __user *arg);
int wd_queue_attach_ioctl(struct wd_queue *queue, void __user *arg);
int wd_queue_detach_ioctl(struct wd_queue *queue, void __user *arg);
void wd_queue_detach(struct wd_queue *queue);
void wd_queue_unbind(struct wd_queue *queue);

/* How long a queue may take to finish what it holds before the device is told to stop it. */
#define WD_QUEUE_PATIENCE_MS 1000
#define WD_QUEUE_PATIENCE_CLOSE_MS 200

#endif /* _WD_QM_QUEUE_H */
