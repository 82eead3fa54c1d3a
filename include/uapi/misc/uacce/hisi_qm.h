/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Queues of HiSilicon's Queue Manager (ZIP and its sister accelerators) on a uacce file.
 *
 * Layouts and numbers are those of mainline Linux (QM-UACCE-1); extensions of this project are
 * marked.
 */
#ifndef _UAPI_MISC_HISI_QM_H
#define _UAPI_MISC_HISI_QM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * struct hisi_qp_ctx - argument of UACCE_CMD_QM_SET_QP_CTX
 * @id: out: number of the hardware queue, as in doorbells and completions
 * @qc_type: in: kind of the queue's requests: for ZIP 0 = compress, 1 = decompress
 */
struct hisi_qp_ctx {
	__u16 id;
	__u16 qc_type;
};

/*
 * struct hisi_qp_info - argument of UACCE_CMD_QM_SET_QP_INFO
 * @sqe_size: out: bytes of one request descriptor
 * @sq_depth: out: descriptors in the submission ring, which starts at offset 0 of the DUS region
 * @cq_depth: out: entries of 16 bytes in the completion ring, which starts after it
 * @reserved: out: 0
 */
struct hisi_qp_info {
	__u32 sqe_size;
	__u16 sq_depth;
	__u16 cq_depth;
	__u64 reserved;
};

/* Values of the sysfs attribute "api". */
#define HISI_QM_API_VER_BASE "hisi_qm_v1"
#define HISI_QM_API_VER2_BASE "hisi_qm_v2"
#define HISI_QM_API_VER3_BASE "hisi_qm_v3"

/*
 * UACCE_CMD_QM_SET_QP_CTX - choose the kind of the queue's requests, get its number
 *
 * Takes effect with the next UACCE_CMD_START_Q. Return 0, -EFAULT, or -EINVAL for an unknown
 * qc_type, and for any change of a started queue (extension).
 */
#define UACCE_CMD_QM_SET_QP_CTX _IOWR('H', 10, struct hisi_qp_ctx)

/* UACCE_CMD_QM_SET_QP_INFO - ask for the queue's dimensions. Return 0 or -EFAULT. */
#define UACCE_CMD_QM_SET_QP_INFO _IOWR('H', 11, struct hisi_qp_info)

/*
 * Extension: pinned memory. A device whose "dma_mode" is pinned works in the address space of the
 * process without page faults: the memory of its requests must be pinned beforehand. Pinned
 * memory counts against RLIMIT_MEMLOCK of the caller, once for every pin; it is released by
 * UNPIN, by the last close of the file, and so by the end of the process.
 *
 * struct hisi_qm_pin - argument of both
 * @addr: first byte; anywhere in a page
 * @length: bytes; not 0
 * @flags: HISI_QM_PIN_WRITE: the device may write there too
 * @reserved: 0
 *
 * PIN returns 0, or -EOPNOTSUPP in another mode; -EINVAL; -EPERM if the caller is not the process
 * that opened the file; -ENOMEM above the limit; -EFAULT for memory that is not there or that
 * cannot be pinned so; -ENOSPC beyond HISI_QM_MAX_PINS of a file. UNPIN takes the same @addr and
 * @length, ignores @flags, and returns 0 or -ENOENT. It stops nothing: a request that uses the
 * memory afterwards may fail.
 */
struct hisi_qm_pin {
	__u64 addr;
	__u64 length;
	__u32 flags;
	__u32 reserved;
};

#define HISI_QM_PIN_WRITE 1
#define HISI_QM_MAX_PINS 65536
#define HISI_QM_CMD_PIN _IOW('H', 0x40, struct hisi_qm_pin)
#define HISI_QM_CMD_UNPIN _IOW('H', 0x41, struct hisi_qm_pin)

/*
 * The last two words of the DUS region, written by the kernel; offsets from the region's end.
 * Once 1 they stay 1 until the queue is started again.
 */
#define HISI_QM_DUS_TX_STOP 4 /* extension: __u32, 1: ring no submission doorbell any more */
#define HISI_QM_DUS_RX_STOP 8 /* extension: __u32, 1: wait for no further completion */

/* Offset in the MMIO region of the 64-bit doorbell word that the device executes at each write. */
#define HISI_QM_DOORBELL 0x1000 /* extension (the number is mainline's, the name is ours) */

/*
 * Extension: doorbell words. A device with the sysfs attribute "doorbell_words" (a decimal offset
 * in the MMIO region; absent otherwise) also polls one 64-bit word per kind, which user space
 * writes with release order instead of HISI_QM_DOORBELL. Word @kind of queue @id lies
 * HISI_QM_DOORBELL_WORD(id, kind) bytes after that offset.
 */
#define HISI_QM_WORD_SQ 0     /* bits 15:0 new tail */
#define HISI_QM_WORD_CQ 1     /* bits 15:0 new head */
#define HISI_QM_WORD_CQ_ARM 2 /* bits 15:0 head, 63:16 a counter that grows with every request */
#define HISI_QM_DOORBELL_WORD(id, kind) ((((id) % 32) * 128) + (kind)*8)

#endif /* _UAPI_MISC_HISI_QM_H */
