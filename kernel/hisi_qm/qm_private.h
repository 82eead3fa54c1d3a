/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations that the files of module hisi_qm share.
 *
 * Locks, outermost first; (x) is a lock of another part:
 *	wd_queue.lock		state of a queue file: INIT, STARTED, ZOMBIE; binding; attachment
 *	(iommufd's locks, mmap_lock of the caller)
 *	wd_qm.sva_lock		which queues share the address space of which process (sva.c)
 *	wd_qp.lock		memory of a hardware queue, positions in it; taken in mmap
 *	wd_qm.lock		which queues are taken, which files are open
 *	wd_qm.stop_lock		STOP_QP, one at a time, so that a thread that needs the mailbox for
 *				another command waits for one of them at most
 *	wd_qm.mailbox_lock	the mailbox and its buffer
 *
 * No user memory is touched with wd_qp.lock or a lock inside it held, since mmap takes wd_qp.lock
 * under mmap_lock. wd_queue.lock is never taken under mmap_lock.
 */
#ifndef _WD_QM_PRIVATE_H
#define _WD_QM_PRIVATE_H

#include "qm.h"
#include "qm_regs.h"

struct device_attribute;

/* caps.c */
int qm_caps_read(struct wd_qm *qm);

/* reset.c */
int qm_start(struct wd_qm *qm);
void qm_stop(struct wd_qm *qm);
void qm_write_back(struct wd_qm *qm);
int qm_wait_running(struct wd_qm *qm);

/* mailbox.c */
int qm_mailbox_setup(struct wd_qm *qm);
void qm_mailbox_cleanup(struct wd_qm *qm);
int qm_mailbox_load(struct wd_qm *qm, u8 command, u16 queue, const void *context, size_t size);
int qm_mailbox_load_queue(struct wd_qm *qm, u16 queue, const struct qm_sqc *sqc,
			  const struct qm_cqc *cqc);
int qm_mailbox_dump(struct wd_qm *qm, u8 command, u16 queue, void *context, size_t size);
int qm_mailbox_base(struct wd_qm *qm, u8 command, dma_addr_t base);
int qm_mailbox_stop_qp(struct wd_qm *qm, u16 queue);
bool qm_mailbox_busy(struct wd_qm *qm);

/* vft.c */
int qm_vft_set(struct wd_qm *qm, unsigned int function, unsigned int first, unsigned int number);

/* event.c */
int qm_events_setup(struct wd_qm *qm);
void qm_events_cleanup(struct wd_qm *qm);
int qm_events_start(struct wd_qm *qm);
void qm_events_stop(struct wd_qm *qm);
int qm_irqs_setup(struct wd_qm *qm);
void qm_irqs_cleanup(struct wd_qm *qm);
void qm_irqs_disable(struct wd_qm *qm);
void qm_irqs_enable(struct wd_qm *qm);

/* error.c */
void qm_error_enable(struct wd_qm *qm);
void qm_error_disable(struct wd_qm *qm);
void qm_error_log(struct wd_qm *qm);

/* qp.c */
int qm_qps_setup(struct wd_qm *qm);
void qm_qps_cleanup(struct wd_qm *qm);
struct wd_qp *qm_qp_get(struct wd_qm *qm);
void qm_qp_put(struct wd_qp *qp);
void qm_qp_break(struct wd_qp *qp);
void qm_qp_leave(struct wd_qp *qp, struct wd_ss *ss);
int qm_qp_drain_until(struct wd_qp *qp, u64 deadline);
int qm_qp_drain(struct wd_qp *qp, unsigned int timeout_ms);
void qm_qp_interrupt(struct wd_qp *qp);
bool qm_qp_started(struct wd_qp *qp);
int qm_qp_tell_stop(struct wd_qp *qp);
void qm_qp_flag_stop(struct wd_qp *qp);
void qm_qp_wipe(struct wd_qp *qp);
bool qm_qp_poll(struct wd_qp *qp);
void qm_qp_doorbell(struct wd_qp *qp, unsigned int command, u16 index, u64 bits);

/* broken.c */
void qm_mend_all(struct wd_qm *qm);
void qm_ask_setup(struct wd_qm *qm);
void qm_ask_cancel(struct wd_qm *qm);

/* dus.c */
size_t qm_dus_size(struct wd_qm *qm);
int qm_dus_get(struct wd_qp *qp);
void qm_dus_reset(struct wd_qp *qp);
void qm_dus_unmap(struct wd_qp *qp);
void qm_dus_free(struct wd_qp *qp);
unsigned long qm_dus_pfn(struct wd_qp *qp, unsigned long page);
void qm_dus_flags(struct wd_qp *qp, u32 stop);
void qm_dus_wipe(struct wd_qp *qp);
unsigned int qm_dus_cq_position(struct wd_qp *qp);

/* ss.c */
void wd_ss_unmap(struct wd_ss *ss);
void wd_ss_free(struct wd_ss *ss);

/* kernel_queue.c */
void qm_kernel_qp_event(struct wd_qp *qp);

/* uacce.c */
int qm_class_register(void);
void qm_class_unregister(void);
void qm_device_setup(struct wd_qm *qm);

/* user.c */
extern struct device_attribute dev_attr_queues_per_user;
void wd_user_setup(struct wd_qm *qm);

/* mode.c */
extern struct device_attribute dev_attr_dma_mode;
void qm_mode_setup(struct wd_qm *qm);
bool qm_mode_possible(struct wd_qm *qm, enum wd_dma_mode mode);
unsigned int qm_mode_flags(struct wd_qm *qm);
int qm_physical_check(struct wd_qm *qm);

#endif /* _WD_QM_PRIVATE_H */
