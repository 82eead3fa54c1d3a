/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations that the files of module hisi_qm share.
 *
 * Locks, outermost first; (x) is a lock of another part:
 *	qm_queue.lock		state of a queue file: INIT, STARTED, ZOMBIE; binding; attachment
 *	(iommufd's locks, mmap_lock of the caller)
 *	qm.sva_lock		which queues share the address space of which process (sva.c)
 *	qm_qp.lock		memory of a hardware queue, positions in it; taken in mmap
 *	qm.lock			which queues are taken, which files are open
 *	qm.stop_lock		held during STOP_QP. So only one thread at a time waits for the
 *				mailbox with this slow command, and another command waits for at
 *				most one of them
 *	qm.mailbox_lock		the mailbox and its buffer
 *
 * mmap takes qm_qp.lock under mmap_lock. So no code touches user memory with qm_qp.lock, or a lock
 * inside it, held. qm_queue.lock is never taken under mmap_lock.
 */
#ifndef _WD_QM_PRIVATE_H
#define _WD_QM_PRIVATE_H

#include "qm.h"
#include "qm_regs.h"

struct device_attribute;

/* caps.c */
int qm_caps_read(struct qm *qm);
void qm_doorbells_unmap(struct qm *qm);

/* reset.c */
int qm_start(struct qm *qm);
void qm_stop(struct qm *qm);
void qm_write_back(struct qm *qm);
int qm_wait_running(struct qm *qm);

/* mailbox.c */
int qm_mailbox_setup(struct qm *qm);
void qm_mailbox_cleanup(struct qm *qm);
int qm_mailbox_load(struct qm *qm, u8 command, u16 queue, const void *context, size_t size);
int qm_mailbox_load_queue(struct qm *qm, unsigned int starts, u16 queue, const struct qm_sqc *sqc,
			  const struct qm_cqc *cqc);
int qm_mailbox_dump(struct qm *qm, u8 command, u16 queue, void *context, size_t size);
int qm_mailbox_base(struct qm *qm, u8 command, dma_addr_t base);
int qm_mailbox_stop_qp(struct qm *qm, u16 queue);
bool qm_mailbox_busy(struct qm *qm);

/* vft.c */
int qm_vft_set(struct qm *qm, unsigned int function, unsigned int first, unsigned int number);

/* event.c */
int qm_events_setup(struct qm *qm);
void qm_events_cleanup(struct qm *qm);
int qm_events_start(struct qm *qm);
void qm_events_stop(struct qm *qm);
int qm_irqs_setup(struct qm *qm);
void qm_irqs_cleanup(struct qm *qm);
void qm_irqs_disable(struct qm *qm);
void qm_irqs_enable(struct qm *qm);

/* error.c */
void qm_error_enable(struct qm *qm);
void qm_error_disable(struct qm *qm);
void qm_error_log(struct qm *qm);

#define QM_ISOLATE_MAX 65535u
void qm_reset_setup(struct qm *qm);
void qm_reset_schedule(struct qm *qm);
void qm_reset_cancel(struct qm *qm);
int qm_isolate_strategy(struct qm *qm, unsigned int resets);

/* qp.c */
int qm_qps_setup(struct qm *qm);
void qm_qps_cleanup(struct qm *qm);
struct qm_qp *qm_qp_get(struct qm *qm);
void qm_qp_break(struct qm_qp *qp);
void qm_qp_leave(struct qm_qp *qp, struct qm_ss *ss);
int qm_qp_drain_until(struct qm_qp *qp, u64 deadline);
void qm_qp_interrupt(struct qm_qp *qp);
bool qm_qp_started(struct qm_qp *qp);
int qm_qp_tell_stop(struct qm_qp *qp);
void qm_qp_flag_stop(struct qm_qp *qp);
void qm_qp_wipe(struct qm_qp *qp);
bool qm_qp_poll(struct qm_qp *qp);
void qm_qp_doorbell(struct qm_qp *qp, unsigned int command, u16 index, u64 bits);

/* broken.c */
void qm_mend_all(struct qm *qm);
void qm_ask_setup(struct qm *qm);
void qm_ask_cancel(struct qm *qm);

/* dus.c */
size_t qm_dus_size(struct qm *qm);
int qm_dus_get(struct qm_qp *qp);
void qm_dus_reset(struct qm_qp *qp);
void qm_dus_unmap(struct qm_qp *qp);
void qm_dus_free(struct qm_qp *qp);
unsigned long qm_dus_pfn(struct qm_qp *qp, unsigned long page);
void qm_dus_flags(struct qm_qp *qp, u32 stop);
void qm_dus_wipe(struct qm_qp *qp);
unsigned int qm_dus_cq_position(struct qm_qp *qp);

/* ss.c */
void qm_ss_unmap(struct qm_ss *ss);
void qm_ss_free(struct qm_ss *ss);

/* kernel_queue.c */
void qm_kernel_qp_event(struct qm_qp *qp);

/* uacce.c */
int qm_class_register(void);
void qm_class_unregister(void);

/* user.c */
extern struct device_attribute dev_attr_queues_per_user;
void qm_user_setup(struct qm *qm);

/* mode.c */
extern struct device_attribute dev_attr_dma_mode;
void qm_mode_setup(struct qm *qm);
unsigned int qm_mode_flags(struct qm *qm);
int qm_physical_check(struct qm *qm);

#endif /* _WD_QM_PRIVATE_H */
