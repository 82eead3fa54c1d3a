/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Queues of the data mover, an accelerator in software: one open file of /dev/wd_mover is one queue.
 * Extension of this project.
 *
 * A queue is used in this order:
 *
 *	VFIO_DEVICE_BIND_IOMMUFD        tie the file to an open /dev/iommu; the id is that of an access
 *	VFIO_DEVICE_ATTACH_IOMMUFD_PT   an address space (IOAS); a second attach replaces it
 *	WD_MOVER_CMD_SET_RING           where the rings are in that address space
 *	UACCE_CMD_START_Q               now workers take descriptors
 *	UACCE_CMD_PUT_Q                 finish the descriptors that are submitted, and stop
 *
 * All addresses in descriptors, and those of the rings, belong to the attached address space. The
 * user and the mover share one page of control words, which the user maps with mmap() at offset 0.
 *
 * To submit, the user writes descriptors into the ring, then stores the new producer index in
 * wd_mover_control.tail with release order; then, after a full barrier, it loads
 * wd_mover_control.flags, and calls WD_MOVER_CMD_KICK if WD_MOVER_NEED_WAKEUP is set. Indices count up
 * without bound; entry i of a ring is at i modulo its depth.
 *
 * A completion is there when its member sequence, loaded with acquire order, is its index + 1. The
 * user stores the index of the next completion that it wants in wd_mover_control.cq_head. The mover
 * takes no descriptor for whose completion the ring has no room. A user that has made room while
 * WD_MOVER_NEED_WAKEUP is set kicks, too.
 */
#ifndef _UAPI_MISC_WD_MOVER_H
#define _UAPI_MISC_WD_MOVER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * enum wd_mover_opcode - what a descriptor asks for
 * @WD_MOVER_NOP: nothing; length is 0
 * @WD_MOVER_MOVE: copy @src to @dst; they may overlap by their addresses
 * @WD_MOVER_FILL: repeat the 8 bytes of @value from @dst on
 * @WD_MOVER_COMPARE: compare @src and @dst; the result is the offset of the first difference
 * @WD_MOVER_CRC32C: CRC-32C of @src, which begins with @value; the result is the new CRC. Neither is
 *	inverted: the usual checksum is that of 0xffffffff, inverted
 */
enum wd_mover_opcode {
	WD_MOVER_NOP = 0,
	WD_MOVER_MOVE = 1,
	WD_MOVER_FILL = 2,
	WD_MOVER_COMPARE = 3,
	WD_MOVER_CRC32C = 4,
};

#define WD_MOVER_MAX_LENGTH (1U << 30)

/*
 * struct wd_mover_desc - entry of the descriptor ring
 * @opcode: enum wd_mover_opcode
 * @length: bytes, 1 to WD_MOVER_MAX_LENGTH; 0 for WD_MOVER_NOP
 * @src: first address of the source
 * @dst: first address of the destination
 * @value: pattern or CRC
 * @user_data: comes back in the completion
 * @reserved: 0
 *
 * The mover copies a descriptor once, and checks and uses its copy.
 */
struct wd_mover_desc {
	__u32 opcode;
	__u32 length;
	__u64 src;
	__u64 dst;
	__u64 value;
	__u64 user_data;
	__u64 reserved[3];
};

/*
 * enum wd_mover_status - what has become of a descriptor
 * @WD_MOVER_OK: done
 * @WD_MOVER_MISMATCH: WD_MOVER_COMPARE has found a difference, at offset result
 * @WD_MOVER_BAD_OPCODE: unknown opcode
 * @WD_MOVER_BAD_RESERVED: a reserved member is not 0
 * @WD_MOVER_BAD_LENGTH: length out of range, or an address range that wraps
 * @WD_MOVER_FAULT: memory at address result cannot be reached so; error says why. A part may have
 *	been written
 */
enum wd_mover_status {
	WD_MOVER_OK = 0,
	WD_MOVER_MISMATCH = 1,
	WD_MOVER_BAD_OPCODE = 2,
	WD_MOVER_BAD_RESERVED = 3,
	WD_MOVER_BAD_LENGTH = 4,
	WD_MOVER_FAULT = 5,
};

/*
 * struct wd_mover_completion - entry of the completion ring
 * @user_data: that of the descriptor
 * @result: see enum wd_mover_opcode and enum wd_mover_status
 * @error: an errno, with WD_MOVER_FAULT: ENOENT not mapped, EPERM the mapping does not allow it, EFAULT
 *	and others the memory behind it cannot be had
 * @status: enum wd_mover_status
 * @reserved: 0
 * @sequence: index of the completion + 1; written last
 */
struct wd_mover_completion {
	__u64 user_data;
	__u64 result;
	__u32 error;
	__u16 status;
	__u16 reserved;
	__u32 reserved2;
	__u32 sequence;
};

#define WD_MOVER_NEED_WAKEUP (1U << 0)

/*
 * enum wd_mover_state - state of a queue
 * @WD_MOVER_INIT: not started, or stopped by UACCE_CMD_PUT_Q
 * @WD_MOVER_STARTED: workers take descriptors
 * @WD_MOVER_RING_LOST: stopped, since a ring was unmapped
 * @WD_MOVER_BAD_TAIL: stopped, since the producer index was further ahead than the ring is deep
 *
 * In the last two states poll() gives POLLERR, and descriptors may have no completion. Such a queue
 * needs WD_MOVER_CMD_SET_RING before it can be started again. After UACCE_CMD_PUT_Q the next start
 * goes on where the queue was.
 */
enum wd_mover_state {
	WD_MOVER_INIT = 0,
	WD_MOVER_STARTED = 1,
	WD_MOVER_RING_LOST = 2,
	WD_MOVER_BAD_TAIL = 3,
};

/*
 * struct wd_mover_control - the page of control words
 * @tail: user: producer index of descriptors
 * @cq_head: user: consumer index of completions
 * @reserved: 0
 * @head: mover: descriptors that it has taken
 * @cq_tail: mover: completions that it has written
 * @flags: mover: WD_MOVER_NEED_WAKEUP
 * @state: mover: enum wd_mover_state
 */
struct wd_mover_control {
	__u32 tail;
	__u32 cq_head;
	__u32 reserved[14];
	__u32 head;
	__u32 cq_tail;
	__u32 flags;
	__u32 state;
};

#define WD_MOVER_MIN_DEPTH 2
#define WD_MOVER_MAX_DEPTH 4096

/*
 * struct wd_mover_ring - argument of WD_MOVER_CMD_SET_RING
 * @sq_iova: address of the ring of descriptors, readable; a multiple of the page size
 * @cq_iova: address of the ring of completions, writable; a multiple of the page size
 * @depth: entries of each: a power of two, WD_MOVER_MIN_DEPTH to WD_MOVER_MAX_DEPTH
 * @flags: 0
 *
 * The mover pins whole pages: each ring is rounded up to them.
 */
struct wd_mover_ring {
	__u64 sq_iova;
	__u64 cq_iova;
	__u32 depth;
	__u32 flags;
};

/*
 * WD_MOVER_CMD_SET_RING - choose the rings of a stopped queue, and let all indices be 0
 *
 * Return 0, -EFAULT, -EINVAL, -EBUSY the queue is started, -ENOMEM, -EINTR.
 */
#define WD_MOVER_CMD_SET_RING _IOW('W', 0x40, struct wd_mover_ring)

/*
 * WD_MOVER_CMD_SET_EVENT - signal an eventfd(2) at each completion, and when the queue stops by itself
 *
 * The argument points to its descriptor; -1: none. Return 0, -EFAULT, -EBADF, -EINVAL no eventfd.
 */
#define WD_MOVER_CMD_SET_EVENT _IOW('W', 0x41, __s32)

/* WD_MOVER_CMD_KICK - wake the workers up. Return 0. */
#define WD_MOVER_CMD_KICK _IO('W', 0x42)

#endif /* _UAPI_MISC_WD_MOVER_H */
