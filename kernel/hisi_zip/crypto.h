/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The accelerators as a user of the kernel crypto API sees them: algorithm "deflate", type acomp.
 *
 *	crypto_acomp (a tfm)  --RCU-->  struct zip_accel  -->  struct zip_channel [2]
 *	one for each user of	        one for each device    one started hardware queue for each
 *	the algorithm		        that is there	       direction, while a tfm is on
 *						       the device
 *
 * A request goes to the channel of its direction. If no channel can take it, software does it.
 *
 * Locks, outermost first:
 *	zip_crypto_register_lock	registration of the algorithm; its self test makes a tfm
 *	zip_crypto_lock			devices, tfms, which tfm is on which device, channels of a
 *					device; sleeps
 *	(qm_qp.lock, qm.lock, see hisi_qm)
 *	zip_channel.lock		slots and backlog; also in softirq context
 *	zip_software.lock		the one software request
 */
#ifndef _WD_HISI_ZIP_CRYPTO_H
#define _WD_HISI_ZIP_CRYPTO_H

#include <linux/dma-direction.h>
#include <linux/list.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include <crypto/internal/acompress.h>

#include "zip.h"

struct qm;
struct qm_qp;

/* Entries of a short list; every slot of a channel has two. The driver allocates longer lists. */
#define ZIP_SHORT_ENTRIES 14
/* Allocated lists are blocks of this size, chained. */
#define ZIP_LIST_BLOCK 4096
#define ZIP_LIST_ENTRIES ((ZIP_LIST_BLOCK - sizeof(struct zip_sgl)) / sizeof(struct zip_sge))

/**
 * struct zip_side - source or destination of a request, mapped for the device
 * @sg: the caller's scatterlist
 * @nents: number of mapped entries of @sg; 0 = not mapped
 * @segments: number of segments of the mapping
 * @length: bytes to use
 * @dir: direction of the mapping
 * @list: hardware list, if it needs more than ZIP_SHORT_ENTRIES
 * @list_size: bytes of @list
 * @list_dma: address of @list for the device
 */
struct zip_side {
	struct scatterlist *sg;
	int nents;
	unsigned int segments;
	u32 length;
	enum dma_data_direction dir;
	struct zip_sgl *list;
	size_t list_size;
	dma_addr_t list_dma;
};

#define ZIP_NO_SLOT U16_MAX

/**
 * struct zip_request - request context of the algorithm
 * @areq: the request
 * @channel: its channel, from zip_channel_enter() until it is complete
 * @node: in @channel's backlog
 * @slot: in @channel, or ZIP_NO_SLOT
 * @source: its input, mapped for the device
 * @dest: its output, mapped for the device
 */
struct zip_request {
	struct acomp_req *areq;
	struct zip_channel *channel;
	struct list_head node;
	u16 slot;
	struct zip_side source;
	struct zip_side dest;
};

/**
 * struct zip_channel - a started kernel queue
 * @qm: queue manager of its device
 * @qp: the queue
 * @dev: device for DMA mappings
 * @type: ZIP_TYPE_*
 * @failed: called in the interrupt thread when the device has given the queue up, and the channel
 *	is dead
 * @slots: number of requests that the device may have at a time
 * @lists: two short lists for each slot, coherent memory
 * @lists_dma: address of @lists for the device
 * @idle: woken when @pending becomes 0
 * @lock: protects the members below, and sends to @qp
 * @dead: the driver sends nothing to the device any more
 * @pending: number of requests between zip_channel_enter() and their completion
 * @free: number of entries of @stack
 * @stack: free slots
 * @requests: requests that the device has, by slot
 * @backlog: requests that wait for a slot, oldest first
 */
struct zip_channel {
	struct qm *qm;
	struct qm_qp *qp;
	struct device *dev;
	u8 type;
	void (*failed)(void);
	unsigned int slots;
	void *lists;
	dma_addr_t lists_dma;
	wait_queue_head_t idle;

	spinlock_t lock;
	bool dead;
	unsigned int pending;
	unsigned int free;
	u16 *stack;
	struct zip_request **requests;
	struct list_head backlog;
};

/* channel.c */
struct zip_channel *zip_channel_create(struct qm *qm, u8 type, void (*failed)(void));
void zip_channel_destroy(struct zip_channel *channel);
int zip_channel_enter(struct zip_channel *channel, struct zip_request *request);
int zip_channel_submit(struct zip_request *request);

/* sgl.c */
int zip_side_map(struct device *dev, struct zip_side *side, struct scatterlist *sg, u32 length,
		 enum dma_data_direction dir, gfp_t gfp);
void zip_side_unmap(struct device *dev, struct zip_side *side);
dma_addr_t zip_side_list(struct zip_side *side, struct zip_sgl *list, dma_addr_t list_dma);

/* software.c */
void zip_software_open(void);
void zip_software_close(void);
bool zip_software_ready(void);
int zip_software_run(struct acomp_req *areq, u8 type);

/* crypto.c */
int zip_crypto_add(struct qm *qm);
void zip_crypto_remove(struct qm *qm);
void zip_crypto_exit(void);

#endif /* _WD_HISI_ZIP_CRYPTO_H */
