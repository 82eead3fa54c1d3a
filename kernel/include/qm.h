/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queue Manager core (module hisi_qm), for the drivers of accelerators (modules hisi_zip and
 * hisi_sec).
 *
 * Objects: a struct qm is the queue manager of one PCI function. It has a struct qm_qp for each
 * hardware queue. A struct qm_queue is an open queue file, which has one struct qm_qp from open()
 * to release().
 */
#ifndef _WD_QM_H
#define _WD_QM_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

/*
 * Capability registers for qm_capability(), and their defaults (QM-REG-1).
 */
#define QM_CAP_ALG_NFE_MASK 0x3130
#define QM_CAP_ALG_RESET_MASK 0x3134
#define QM_CAP_ALG_CE_MASK 0x3138
#define QM_CAP_CORES 0x313c
#define QM_CAP_CORE_ENABLE 0x3140
#define QM_CAP_DEVICE_ALG 0x3148
#define QM_DEFAULT_ALG_NFE_MASK 0x1ffe
#define QM_DEFAULT_ALG_RESET_MASK 0x7fe
#define QM_DEFAULT_ALG_CE_MASK 0x1
#define QM_DEFAULT_DEVICE_ALG 0x3f

/* Size of a request descriptor in bytes. */
#define QM_SQE_SIZE 128

struct qm_pasid;
struct qm;
struct qm_ss;

/**
 * struct qm_qp - a hardware queue pair
 * @qm: its queue manager
 * @id: its number in the function
 * @kernel: used by the kernel, not by a queue file; the interrupt thread reads it without a lock
 * @wait: threads that poll the completion queue
 * @lock: protects the members below
 * @type: kind of its requests (SQC w13); for ZIP 0 = compress, 1 = decompress; for SEC 0
 * @pasid: PASID of its data accesses, 0 = none
 * @started: the device has its contexts
 * @broken: the device did not stop it, and may still use @dus and its PASID
 * @left: its owner does not use it any more, and @broken has kept it from being freed
 * @kept: PASID that a broken queue keeps, or NULL
 * @failed: the device reported an error of the whole queue
 * @dus: rings and status words, NULL until first needed
 * @dus_dma: address of @dus for the device
 * @dus_mapped: @dus_dma is valid
 * @ss: memory for physical addresses (ss.c) that a broken queue keeps, or NULL
 * @polled: position in the completion queue at the last poll(), modulo two laps
 * @events: number of completion events of the device, counted by the interrupt thread
 * @polled_events: @events at the last poll()
 * @sq_tail: kernel queue: next free position; only the sender uses it
 * @cq_head: kernel queue: index of the next completion to read
 * @cq_phase: kernel queue: phase of a valid completion there
 * @arms: kernel queue: how often the driver has asked for an event since the start
 * @handler: kernel queue: called for each completion with its descriptor, in the interrupt thread
 *	with @lock held; and with NULL when the device gives the queue up. NULL: the driver
 *	completes @done instead
 * @owner: data for @handler
 * @done: kernel queue without @handler: completed after each request
 */
struct qm_qp {
	struct qm *qm;
	u16 id;
	bool kernel;
	wait_queue_head_t wait;
	struct mutex lock;
	u8 type;
	u32 pasid;
	bool started;
	bool broken;
	bool left;
	struct qm_pasid *kept;
	bool failed;
	void *dus;
	dma_addr_t dus_dma;
	bool dus_mapped;
	struct qm_ss *ss;
	unsigned int polled;
	atomic_t events;
	int polled_events;
	u16 sq_tail;
	u16 cq_head;
	bool cq_phase;
	u32 arms;
	void (*handler)(struct qm_qp *qp, const void *sqe);
	void *owner;
	struct completion done;
};

/**
 * struct qm_ops - operations of an accelerator's driver
 * @engine_init: set the engine's registers up. The memories of the QM are initialised, but the QM
 *	is not started yet. Called again after a reset
 * @engine_exit: undo @engine_init; cannot fail
 * @error_log: read and log the engine's error registers, and clear them. Called in the interrupt
 *	thread. It returns true if the engine needs a reset, and then leaves the registers: the reset
 *	clears them
 * @sqe_void: change a descriptor in a ring so that the engine refuses it, but keep results and tag.
 *	The device may read the descriptor at the same time, and its user may write it
 */
struct qm_ops {
	int (*engine_init)(struct qm *qm);
	void (*engine_exit)(struct qm *qm);
	bool (*error_log)(struct qm *qm);
	void (*sqe_void)(void *sqe);
};

/* Which memory a queue works in if its file has no attachment (mode.c). */
enum qm_dma_mode { QM_DMA_SVA, QM_DMA_PINNED, QM_DMA_IOMMUFD, QM_DMA_PHYSICAL, QM_DMA_MODES };

/*
 * NEW:		not initialised
 * RUNNING:	queues can be started
 * HALTED:	between qm_halt() and qm_restart()
 * LOST:	the device did not start again, or its driver has given it up
 */
enum qm_state { QM_NEW, QM_RUNNING, QM_HALTED, QM_LOST };

enum qm_selftest { QM_SELFTEST_NOT_RUN, QM_SELFTEST_PASSED, QM_SELFTEST_FAILED };

/* Interrupt vectors (QM-FUNC-1); with fewer than four they share vector 0. */
#define QM_VECTORS 4

/**
 * struct qm - queue manager of a function
 *
 * Set by the driver before qm_init():
 * @pdev: the function: enabled, bus master, with DMA masks
 * @io: BAR2
 * @ops: operations of the driver
 * @name: name of the device files, without number
 * @algorithms: names of algorithms, separated by newlines
 * @max_queues: upper limit of queues to use, 0 = all
 *
 * @dev: device of class uacce; its reference count is that of the whole structure
 * @cdev: the device file
 * @id: number in the name of @dev
 * @qp_num: number of hardware queues of this function
 * @sq_depth: entries of a submission ring
 * @cq_depth: entries of a completion ring
 * @eq_depth: entries of the event queue
 * @aeq_depth: entries of the asynchronous event queue
 * @features: feature register, QM_CAP_*
 * @isolated: each queue has doorbells of its own
 * @words: pages of doorbell words, one for each queue; NULL: the device has none
 * @words_start: physical address of @words
 * @dus_size: bytes of a queue's DUS region
 * @doorbells: BAR4, if @isolated
 * @qps: the hardware queues, by number
 * @stop_lock: see qm_private.h
 * @mailbox_lock: see qm_private.h
 * @mailbox_shut: the driver gives no command any more; @mailbox_lock
 * @starts: number of starts of the device; changed with @mailbox_lock held
 * @mailbox_buffer: for contexts that a command writes to the device, or reads
 * @mailbox_dma: address of @mailbox_buffer for the device
 * @rings: one coherent block with EQ, AEQ, SQC table, CQC table
 * @rings_dma: address of @rings for the device
 * @rings_size: bytes of @rings
 * @eqe: event queue, in @rings
 * @aeqe: asynchronous event queue, in @rings
 * @eq_head: next entry of @eqe to read; only for the interrupt thread
 * @aeq_head: next entry of @aeqe to read; only for the interrupt thread
 * @eq_phase: phase of a valid entry at @eq_head
 * @aeq_phase: phase of a valid entry at @aeq_head
 * @vectors: number of interrupt vectors
 * @nr_irqs: number of interrupts that have a handler
 * @irqs: numbers of these interrupts
 * @irqs_off: these interrupts are disabled
 * @error_nfe: errors that the device reports as non-fatal
 * @error_ce: errors that the device reports as corrected
 * @error_reset: errors that only a reset mends
 * @reset_work: resets the function after such an error (controller_reset.c)
 * @reset_wanted: the work has not begun the reset yet
 * @isolate_lock: protects the next four; the innermost lock
 * @isolate_strategy: number of controller resets in an hour that a device may have; 0 = any
 * @isolate: the device had more, or a reset failed
 * @resets: struct qm_reset_time, the oldest first
 * @nr_resets: length of @resets
 * @ask: work that asks the device whether queues have stopped by now (broken.c)
 * @ask_ms: time to the next @ask
 * @state: see enum qm_state; qm_init(), qm_halt(), qm_restart() and qm_lose() change it, and
 *	their callers hold the lock of the PCI device
 * @thaw: woken when @state is no longer HALTED, or @gone is set
 * @lock: protects the members from @used to @queues
 * @used: bitmap of queues that are taken
 * @free: number of queues that open() can take
 * @users: struct qm_user of users with queues
 * @user_limit: number of queues that each of them may have
 * @gone: the driver leaves the device; no code may use a register or a DMA mapping any more
 * @queues: open files
 * @pasids: PASIDs of the device that its queues use
 * @mode: mode of queues that are started from now on
 * @sva_lock: protects @bonds
 * @bonds: struct qm_bond that accept queues
 * @selftest: result of the self test
 * @kernel_requests: number of requests that kernel queues have completed
 */
struct qm {
	struct pci_dev *pdev;
	void __iomem *io;
	const struct qm_ops *ops;
	const char *name;
	const char *algorithms;
	unsigned int max_queues;

	struct device dev;
	struct cdev cdev;
	int id;

	unsigned int qp_num;
	unsigned int sq_depth;
	unsigned int cq_depth;
	unsigned int eq_depth;
	unsigned int aeq_depth;
	u32 features;
	bool isolated;
	void __iomem *words;
	phys_addr_t words_start;
	size_t dus_size;
	void __iomem *doorbells;
	struct qm_qp *qps;

	struct mutex stop_lock;
	struct mutex mailbox_lock;
	bool mailbox_shut;
	unsigned int starts;
	void *mailbox_buffer;
	dma_addr_t mailbox_dma;

	void *rings;
	dma_addr_t rings_dma;
	size_t rings_size;
	__le32 *eqe;
	__le32 *aeqe;
	u32 eq_head;
	u32 aeq_head;
	bool eq_phase;
	bool aeq_phase;
	unsigned int vectors;
	unsigned int nr_irqs;
	int irqs[QM_VECTORS];
	bool irqs_off;
	u32 error_nfe;
	u32 error_ce;
	u32 error_reset;
	struct delayed_work reset_work;
	bool reset_wanted;
	struct mutex isolate_lock;
	unsigned int isolate_strategy;
	bool isolate;
	struct list_head resets;
	unsigned int nr_resets;

	struct delayed_work ask;
	unsigned int ask_ms;
	enum qm_state state;
	wait_queue_head_t thaw;

	struct mutex lock;
	unsigned long *used;
	unsigned int free;
	struct list_head users;
	unsigned int user_limit;
	bool gone;
	struct list_head queues;
	struct ida pasids;
	enum qm_dma_mode mode;
	struct mutex sva_lock;
	struct list_head bonds;

	enum qm_selftest selftest;
	atomic64_t kernel_requests;
};

struct qm *qm_alloc(struct pci_dev *pdev, void __iomem *io, const struct qm_ops *ops,
		    const char *name);
void qm_put(struct qm *qm);
int qm_init(struct qm *qm);
void qm_exit(struct qm *qm);
void qm_halt(struct qm *qm);
int qm_restart(struct qm *qm);
void qm_lose(struct qm *qm);
int qm_register(struct qm *qm);
void qm_unregister(struct qm *qm);
u32 qm_capability(struct qm *qm, u32 offset, u32 fallback);
int qm_poll_register(struct qm *qm, u32 offset, u32 mask, u32 value);
bool qm_serves_users(const struct qm *qm);

struct qm_qp *qm_kernel_qp(struct qm *qm);
struct qm_qp *qm_take_qp(struct qm *qm);
void qm_give_qp(struct qm_qp *qp);
int qm_qp_start(struct qm_qp *qp, u8 type, u32 pasid);
int qm_qp_stop(struct qm_qp *qp);
int qm_qp_request(struct qm_qp *qp, void *sqe, unsigned int timeout_ms);
void qm_qp_send(struct qm_qp *qp, const void *sqe);
void qm_qp_set_handler(struct qm_qp *qp, void (*handler)(struct qm_qp *qp, const void *sqe),
		       void *owner);
void qm_qp_abandon(struct qm_qp *qp);
bool qm_present(struct qm *qm);

static inline u32 qm_read(struct qm *qm, u32 offset)
{
	return readl(qm->io + offset);
}

static inline void qm_write(struct qm *qm, u32 offset, u32 value)
{
	writel(value, qm->io + offset);
}

static inline void qm_modify(struct qm *qm, u32 offset, u32 clear, u32 set)
{
	qm_write(qm, offset, (qm_read(qm, offset) & ~clear) | set);
}

#endif /* _WD_QM_H */
