/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An open queue file: it has one hardware queue, and at most one address space.
 */
#ifndef _WD_QM_QUEUE_H
#define _WD_QM_QUEUE_H

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>

#include "qm_private.h"

struct mm_struct;
struct vfio_verbs;
struct vm_area_struct;
struct qm_bond;
struct wd_sva_mm;
struct qm_user;

/* Limit by the PASID field of queue contexts (QM-RING-5). */
#define QM_QUEUE_MAX_PASIDS 0x10000

/*
 * INIT:	the file has a hardware queue, which is stopped
 * STARTED:	the device works on the queue. It is attached, or has a bond, or uses physical
 *		addresses. If qm_halt() has stopped it since, qm_queue_started() makes it INIT
 * ZOMBIE:	the device has gone, or did not stop the queue; the state does not change any more
 */
enum qm_queue_state { QM_QUEUE_ZOMBIE, QM_QUEUE_INIT, QM_QUEUE_STARTED };

/**
 * struct qm_queue - open queue file
 * @qm: queue manager, held
 * @qp: hardware queue of the file, until release
 * @user: the user that opened the file; qm->lock
 * @ref: the file, and qm_unregister() while it works on the queue
 * @node: in qm->queues; qm->lock
 * @lock: protects the members below; order in qm_private.h
 * @state: see enum qm_queue_state
 * @type: type for the next start
 * @idev: the binding to an iommufd, or NULL
 * @mapping: mapping of the file, to find its VMAs; NULL after its release
 * @attached: an address space is attached at @pasid
 * @pasid: PASID of the attachment, or NULL
 * @mm: address space that opened the file; held by mmgrab()
 * @ended: called with @lock held when the process of @bond ends: stops the queue and leaves @bond
 * @bond: bond of a queue that works in @mm, or worked in it until qm_halt(); or NULL
 * @bond_node: in qm_bond.queues; qm->sva_lock
 * @pins: struct qm_pin, pinned memory of @mm
 * @nr_pins: number of entries of @pins, and of pins that threads are making
 * @ss: region SS, or NULL; qp->lock
 * @mapped: bitmap of enum uacce_qfrt: regions that were mapped; qp->lock
 * @dead: the queue is a zombie: no new mapping, and poll() reports it; qp->lock
 * @orphan: stopped because @mm has ended, and poll() reports it; qp->lock
 */
struct qm_queue {
	struct qm *qm;
	struct qm_qp *qp;
	struct qm_user *user;
	struct kref ref;
	struct list_head node;

	struct mutex lock;
	enum qm_queue_state state;
	u8 type;
	struct address_space *mapping;
	struct iommufd_device *idev;
	bool attached;
	struct qm_pasid *pasid;

	struct mm_struct *mm;
	void (*ended)(struct qm_queue *queue);
	struct qm_bond *bond;
	struct list_head bond_node;
	struct list_head pins;
	unsigned int nr_pins;

	struct qm_ss *ss;
	unsigned int mapped;
	bool dead;
	bool orphan;
};

/**
 * struct qm_pasid - a PASID that is taken
 * @ref: one for its owner, and one for each hardware queue that keeps it
 * @qm: queue manager of the device
 * @value: the PASID
 */
struct qm_pasid {
	struct kref ref;
	struct qm *qm;
	u32 value;
};

extern const struct file_operations qm_queue_fops;

void qm_queue_disconnect(struct qm_queue *queue);

/* queue_state.c */
void qm_queue_put(struct qm_queue *queue);
bool qm_queue_started(struct qm_queue *queue);
void qm_queue_zombie(struct qm_queue *queue);
void qm_queue_orphan(struct qm_queue *queue);

/* queue_end.c */
int qm_queue_halt(struct qm_queue *queue);
void qm_queue_end(struct qm_queue *queue);
void qm_queue_detach(struct qm_queue *queue);
void qm_queue_unbind(struct qm_queue *queue);

/* attach.c */
extern const struct vfio_verbs qm_queue_verbs;

/* pasid.c */
struct qm_pasid *qm_pasid_alloc(struct qm *qm, u32 first, u32 last);
void qm_pasid_put(struct qm_pasid *pasid);
void qm_pasid_leave(struct qm_pasid *pasid, struct qm_qp *qp);

/* sva.c */
struct wd_sva_mm *qm_queue_mm(struct qm_queue *queue);
int qm_queue_bond(struct qm_queue *queue, bool faults, struct wd_sva_mm **space);
u32 qm_queue_bond_pasid(const struct qm_queue *queue);
void qm_queue_bond_cut(struct qm_queue *queue);
void qm_queue_bond_refuse(struct qm_queue *queue);
void qm_queue_unbond(struct qm_queue *queue);

/* pin.c */
int qm_queue_pin_ioctl(struct qm_queue *queue, void __user *arg);
int qm_queue_unpin_ioctl(struct qm_queue *queue, void __user *arg);
void qm_queue_unpin_all(struct qm_queue *queue);

/* ss.c */
struct qm_ss *qm_ss_alloc(struct qm *qm, size_t size);
long qm_ss_slice(const struct qm_ss *ss, unsigned long index, unsigned long *answer);
unsigned long qm_ss_pfn(const struct qm_ss *ss, unsigned long page);

/* user.c */
struct qm_user *qm_user_alloc(void);
int qm_user_charge(struct qm *qm, struct qm_user **user);
void qm_user_uncharge(struct qm *qm, struct qm_user *user);

/* region.c */
int qm_queue_mmap(struct file *file, struct vm_area_struct *vma);
void qm_queue_revoke_doorbells(struct qm_queue *queue);

/*
 * Time for a queue to finish its requests before the driver tells the device to stop it: if its
 * owner stops it, and if its owner closes it. The last value is the interval at which the driver
 * answers its page faults meanwhile.
 */
#define QM_QUEUE_PATIENCE_MS 1000
#define QM_QUEUE_PATIENCE_CLOSE_MS 200
#define QM_QUEUE_STEP_US 200

#endif /* _WD_QM_QUEUE_H */
