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

#include "qm_private.h"

struct mm_struct;
struct vfio_verbs;
struct vm_area_struct;
struct wd_bond;
struct wd_sva_mm;
struct wd_user;

/* The PASID field of queue contexts (QM-RING-5). */
#define WD_QUEUE_MAX_PASIDS 0x10000

/*
 * INIT:	the hardware queue is ours and stopped
 * STARTED:	the device works on it; it is attached, or has a bond, or uses physical addresses.
 *		Or wd_qm_halt() stopped it since: then it is as good as INIT, see wd_queue_started()
 * ZOMBIE:	the device went away, or did not stop the queue; final
 */
enum wd_queue_state { WD_QUEUE_ZOMBIE, WD_QUEUE_INIT, WD_QUEUE_STARTED };

/**
 * struct wd_queue - open queue file
 * @qm: counted
 * @qp: ours until release
 * @user: the user that opened the file; qm->lock
 * @ref: the file, and wd_qm_unregister() while it works on the queue
 * @node: in qm->queues; qm->lock
 * @lock: protects the members below; order in qm_private.h
 * @state: see there
 * @type: of the next start
 * @idev: the binding to an iommufd, or NULL
 * @mapping: of the file, where its VMAs are found; NULL after its release
 * @attached: an address space is attached at @pasid
 * @pasid: while attached, or NULL
 * @mm: address space that opened the file; its structure is kept
 * @ended: called with @lock held when the process of @bond ends: stops the queue and leaves @bond
 * @bond: the started queue works in @mm, or did so when wd_qm_halt() stopped it; or NULL
 * @bond_node: in wd_bond.queues; qm->sva_lock
 * @pins: struct wd_pin, memory of @mm
 * @nr_pins: entries of @pins, and pins that are being made
 * @ss: region SS, or NULL; qp->lock
 * @mapped: bitmap of enum uacce_qfrt, regions that were mapped; qp->lock
 * @dead: no new mapping, pollers are told; qp->lock
 * @orphan: stopped because @mm ended, pollers are told; qp->lock
 */
struct wd_queue {
	struct wd_qm *qm;
	struct wd_qp *qp;
	struct wd_user *user;
	struct kref ref;
	struct list_head node;

	struct mutex lock;
	enum wd_queue_state state;
	u8 type;
	struct address_space *mapping;
	struct iommufd_device *idev;
	bool attached;
	struct wd_pasid *pasid;

	struct mm_struct *mm;
	void (*ended)(struct wd_queue *queue);
	struct wd_bond *bond;
	struct list_head bond_node;
	struct list_head pins;
	unsigned int nr_pins;

	struct wd_ss *ss;
	unsigned int mapped;
	bool dead;
	bool orphan;
};

/**
 * struct wd_pasid - a PASID that is taken
 * @ref: its owner, and hardware queues that keep it
 * @qm: the device's
 * @value: the PASID
 */
struct wd_pasid {
	struct kref ref;
	struct wd_qm *qm;
	u32 value;
};

extern const struct file_operations wd_queue_fops;

void wd_queue_disconnect(struct wd_queue *queue);

/* queue_state.c */
void wd_queue_put(struct wd_queue *queue);
bool wd_queue_started(struct wd_queue *queue);
void wd_queue_zombie(struct wd_queue *queue);
void wd_queue_orphan(struct wd_queue *queue);

/* queue_end.c */
int wd_queue_halt(struct wd_queue *queue);
void wd_queue_end(struct wd_queue *queue);
void wd_queue_detach(struct wd_queue *queue);
void wd_queue_unbind(struct wd_queue *queue);

/* attach.c */
extern const struct vfio_verbs wd_queue_verbs;

/* pasid.c */
struct wd_pasid *wd_pasid_alloc(struct wd_qm *qm, u32 first, u32 last);
void wd_pasid_put(struct wd_pasid *pasid);
void wd_pasid_leave(struct wd_pasid *pasid, struct wd_qp *qp);

/* sva.c */
struct wd_sva_mm *wd_queue_mm(struct wd_queue *queue);
int wd_queue_bond(struct wd_queue *queue, bool faults, struct wd_sva_mm **space);
u32 wd_queue_bond_pasid(const struct wd_queue *queue);
void wd_queue_bond_cut(struct wd_queue *queue);
void wd_queue_bond_refuse(struct wd_queue *queue);
void wd_queue_unbond(struct wd_queue *queue);

/* pin.c */
int wd_queue_pin_ioctl(struct wd_queue *queue, void __user *arg);
int wd_queue_unpin_ioctl(struct wd_queue *queue, void __user *arg);
void wd_queue_unpin_all(struct wd_queue *queue);

/* ss.c */
struct wd_ss *wd_ss_alloc(struct wd_qm *qm, size_t size);
long wd_ss_slice(const struct wd_ss *ss, unsigned long index, unsigned long *answer);
unsigned long wd_ss_pfn(const struct wd_ss *ss, unsigned long page);

/* user.c */
struct wd_user *wd_user_alloc(void);
int wd_user_charge(struct wd_qm *qm, struct wd_user **user);
void wd_user_uncharge(struct wd_qm *qm, struct wd_user *user);

/* region.c */
int wd_queue_mmap(struct file *file, struct vm_area_struct *vma);
void wd_queue_revoke_doorbells(struct wd_queue *queue);

/*
 * Time for a queue to finish its requests before the device is told to stop it: when its owner
 * stops it, and when it closes it; and the interval at which its page faults are answered
 * meanwhile.
 */
#define WD_QUEUE_PATIENCE_MS 1000
#define WD_QUEUE_PATIENCE_CLOSE_MS 200
#define WD_QUEUE_STEP_US 200

#endif /* _WD_QM_QUEUE_H */
