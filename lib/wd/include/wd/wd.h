/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WarpDrive's C API: take a queue of an accelerator, share memory with it, send requests, receive
 * results. The interface of the 2017/18 WarpDrive threads; the messages of an algorithm are in its
 * own header (wd/zip.h). C++ programs: wd/queue.h and wd/zip_session.h.
 *
 * Thread safety: one thread at a time may use a queue. Several threads may use several queues, and
 * one address space (struct wd_as).
 *
 * After fork(): queues and address spaces belong to the process that made them. In a child every
 * call on them returns -ESTALE and changes nothing for the parent; the child must make its own.
 *
 * Results are 0 or -errno unless a function says otherwise. No exception leaves this interface.
 */
#ifndef WD_WD_H
#define WD_WD_H

#include <stddef.h>
#include <stdint.h>

#include "wd/host.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of a device path, terminating zero included. */
#define WD_PATH_MAX 128

/** Operation type of an algorithm of the compression family. */
enum wd_op_type { WD_OP_COMPRESS = 0, WD_OP_DECOMPRESS = 1 };

/** Hints for the choice of a device. The larger of throughput and latency decides. */
#define WD_HINT_NONE 0
#define WD_HINT_HIGH 10

/**
 * struct wd_capa - required capabilities of a queue
 * @alg: algorithm, "zlib", "gzip" or "deflate"; or of wd/sec.h
 * @op_type: enum wd_op_type; 0 for wd/sec.h
 * @throughput: hint 0..10: 10 = prefer the device with the most free queues
 * @latency: hint 0..10: 10 = prefer the device nearest to this thread (also if both are 0)
 */
struct wd_capa {
	const char *alg;
	int op_type;
	int throughput;
	int latency;
};

struct wd_as;

/**
 * enum wd_mode - where the memory of requests comes from
 * @WD_MODE_SHARED: an address space of /dev/iommu; memory is shared with wd_mem_share()
 * @WD_MODE_SVA: all memory of the process; wd_mem_share() has nothing to do. The device must be in
 *	mode "sva" (attribute dma_mode)
 * @WD_MODE_PINNED: the same without page faults; wd_mem_share() pins. Mode "pinned"
 */
enum wd_mode { WD_MODE_SHARED = 0, WD_MODE_SVA = 1, WD_MODE_PINNED = 2 };

/**
 * struct wd_queue - a queue. Zero it, fill the "in" members, call wd_request_queue()
 * @capa: in: see there
 * @dev_path: in: device to take ("/dev/hisi_zip-0"), or empty for the best one; out: the device
 * @host: in: where the device is; NULL: the process's own host (native or hosted, see WD_HOST),
 *	brought up by the first queue and taken down after the last
 * @as: in: address space to use; NULL: one of the queue's own
 * @pasid: in: PASID to use, 0 = any; out: the PASID
 * @mode: in: enum wd_mode; other than WD_MODE_SHARED: without @as and @pasid
 * @node: out: NUMA node of the device, or -1
 * @depth: out: requests that can be in flight
 * @priv: for the library only
 */
struct wd_queue {
	struct wd_capa capa;
	char dev_path[WD_PATH_MAX];
	struct wd_host *host;
	struct wd_as *as;
	uint32_t pasid;
	int mode;
	int node;
	unsigned int depth;
	void *priv;
};

/**
 * wd_request_queue() - take a queue and start it
 * @q: see struct wd_queue
 *
 * Return: 0; -EINVAL bad member, hint out of range, unknown algorithm; -ENODEV no such device, or
 * it does not know the algorithm; -EBUSY no queue is free, or the PASID is taken; -EDQUOT the user
 * has as many queues as a user may have; -EOPNOTSUPP the device is in another mode; -ENOSPC PASID
 * out of range; else the error of the kernel. @q is unchanged on failure; wd_last_error() says
 * more.
 */
int wd_request_queue(struct wd_queue *q);

/**
 * wd_release_queue() - give a queue back. Requests in flight are lost. If the queue has an address
 * space of its own, its memory is unshared.
 * @q: a queue, or one that was never requested or already released (zeroed): no effect
 */
void wd_release_queue(struct wd_queue *q);

/**
 * wd_send() - send a request; never blocks, makes no system call
 * @q: queue
 * @req: message of the queue's algorithm (struct wd_zip_req). It and its buffers belong to the
 *	device until wd_recv() returns it
 *
 * Return: 0; -EBUSY as many requests as possible are in flight; -EINVAL bad message;
 * -ENOLINK the kernel stopped the queue; -EPROTO the device broke the protocol. After the last two
 * the queue can only be released.
 */
int wd_send(struct wd_queue *q, void *req);

/**
 * wd_recv() - take a finished request; never blocks, makes no system call
 * @q: queue
 * @req: the oldest request that was sent and is finished; its outputs are filled in
 *
 * Return: 0; -EAGAIN none is finished; -ENOLINK, -EPROTO as wd_send().
 */
int wd_recv(struct wd_queue *q, void **req);

/**
 * wd_recv_sync() - take a finished request, waiting for it
 * @q: queue
 * @req: as wd_recv()
 * @timeout_ms: -1 = for ever
 *
 * Return: as wd_recv(), with -ETIMEDOUT in place of -EAGAIN; -ENOMSG nothing is in flight.
 */
int wd_recv_sync(struct wd_queue *q, void **req, int timeout_ms);

/* Flags of wd_mem_share(): rights of the device. 0 = both. */
#define WD_MEM_READ 0x1
#define WD_MEM_WRITE 0x2

/**
 * wd_mem_share() - let the queue's address space reach memory; device address = process address
 * @q: queue
 * @addr: first byte; the pages that hold the memory are shared as a whole
 * @size: bytes
 * @flags: WD_MEM_*
 *
 * If one earlier call has shared all these pages, this call only raises its count (@flags must not
 * ask for more rights).
 *
 * Return: 0; -EINVAL size 0, unknown flag, or address wraps; -EEXIST a page is shared already in
 * another range; -EACCES flags exceed those of the earlier call; -ENOMEM over RLIMIT_MEMLOCK;
 * -EFAULT no such memory.
 */
int wd_mem_share(struct wd_queue *q, const void *addr, size_t size, int flags);

/**
 * wd_mem_unshare() - undo one wd_mem_share(). After the call that undoes the last one of a range,
 * no device reaches the memory any more
 * @q: queue, or another one of the same address space
 * @addr: as shared
 * @size: as shared
 *
 * Return: 0, or -ENOENT if it is not shared.
 */
int wd_mem_unshare(struct wd_queue *q, const void *addr, size_t size);

/**
 * wd_as_open() - make an address space that several queues can use
 * @host: NULL: as in struct wd_queue
 * @out: handle
 */
int wd_as_open(struct wd_host *host, struct wd_as **out);
/** wd_as_close() - drop the handle; queues that use the address space keep it alive. */
void wd_as_close(struct wd_as *as);
/** wd_as_share(), wd_as_unshare() - as wd_mem_share() and wd_mem_unshare(), without a queue. */
int wd_as_share(struct wd_as *as, const void *addr, size_t size, int flags);
int wd_as_unshare(struct wd_as *as, const void *addr, size_t size);

/** One line about the last call of this thread that failed: object, attempt, remedy. */
const char *wd_last_error(void);

#ifdef __cplusplus
}
#endif

#endif /* WD_WD_H */
