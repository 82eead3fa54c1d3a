// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of the kernel on a hardware queue: many at a time, each in a slot whose memory exists in
 * advance. The interrupt thread completes them (ZIP-SQE-1, QM-EVENT-1).
 *
 * Each request is completed exactly once: it is either in @requests, or in @backlog, or one thread
 * has taken it out of there under the lock. That thread completes it or puts it back.
 */
#include <linux/bitfield.h>
#include <linux/bottom_half.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "crypto.h"
#include "iommu_master.h"
#include "qm.h"
#include "trace.h"

#define ZIP_SLOTS 256
#define ZIP_SHORT_LIST (sizeof(struct zip_sgl) + ZIP_SHORT_ENTRIES * sizeof(struct zip_sge))
/* Before a device is taken away it may finish its requests: interval and number of checks. */
#define ZIP_DRAIN_STEP_MS 100
#define ZIP_DRAIN_STEPS 20

static void zip_complete(struct zip_request *request, int err)
{
	/* Callbacks of the crypto API expect that bottom halves are disabled. */
	local_bh_disable();
	acomp_request_complete(request->areq, err);
	local_bh_enable();
}

static struct zip_sgl *zip_channel_list(struct zip_channel *channel, unsigned int index)
{
	return channel->lists + (size_t)ZIP_SHORT_LIST * index;
}

static void zip_request_addresses(struct zip_request *request, struct zip_sqe *sqe)
{
	struct zip_channel *channel = request->channel;
	u32 buffer = ZIP_BUFFER_FLAT;
	dma_addr_t from, to;

	if (request->source.segments == 1 && request->dest.segments == 1) {
		from = sg_dma_address(request->source.sg);
		to = sg_dma_address(request->dest.sg);
	} else {
		unsigned int index = 2 * request->slot;
		dma_addr_t dma = channel->lists_dma + (size_t)ZIP_SHORT_LIST * index;

		buffer = ZIP_BUFFER_SGL;
		from = zip_side_list(&request->source, zip_channel_list(channel, index), dma);
		to = zip_side_list(&request->dest, zip_channel_list(channel, index + 1),
				   dma + ZIP_SHORT_LIST);
	}
	/* Window field 0 is the smallest window, 4 KiB, which small decompressors can read, too. */
	sqe->dw9 = cpu_to_le32(FIELD_PREP(ZIP_SQE_DW9_REQUEST, ZIP_REQUEST_DEFLATE) |
			       FIELD_PREP(ZIP_SQE_DW9_BUFFER, buffer));
	sqe->source_l = cpu_to_le32(lower_32_bits(from));
	sqe->source_h = cpu_to_le32(upper_32_bits(from));
	sqe->dest_l = cpu_to_le32(lower_32_bits(to));
	sqe->dest_h = cpu_to_le32(upper_32_bits(to));
}

/* Write the descriptor of a request, which has a slot. */
static void zip_request_build(struct zip_request *request, struct zip_sqe *sqe)
{
	*sqe = (struct zip_sqe){
		.input_length = cpu_to_le32(request->source.length),
		.dw7 = cpu_to_le32(FIELD_PREP(ZIP_SQE_DW7_TYPE, ZIP_SQE_TYPE_3)),
		.output_space = cpu_to_le32(request->dest.length),
		.tag_l = cpu_to_le32(request->slot),
	};
	zip_request_addresses(request, sqe);
}

static void zip_request_unmap(struct zip_request *request)
{
	zip_side_unmap(request->channel->dev, &request->source);
	zip_side_unmap(request->channel->dev, &request->dest);
}

/* A request leaves the channel. Afterwards its thread must not touch the channel any more. */
static void zip_channel_leave(struct zip_channel *channel)
{
	spin_lock_bh(&channel->lock);
	if (!--channel->pending)
		wake_up(&channel->idle);
	spin_unlock_bh(&channel->lock);
}

/* Let software do a request that the device did not finish. */
static void zip_request_rescue(struct zip_request *request)
{
	struct zip_channel *channel = request->channel;
	u8 type = channel->type;

	zip_request_unmap(request);
	zip_channel_leave(channel);
	zip_complete(request, zip_software_run(request->areq, type));
}

/*
 * Send a request to the device. Return: -ENODEV if the channel is dead; the caller keeps it then.
 */
static int zip_channel_send(struct zip_request *request, const struct zip_sqe *sqe)
{
	struct zip_channel *channel = request->channel;
	int ret = -ENODEV;

	spin_lock_bh(&channel->lock);
	if (!channel->dead) {
		channel->requests[request->slot] = request;
		trace_hisi_zip_submit(channel->dev, channel->type, request->slot,
				      request->source.length, request->dest.length);
		qm_qp_send(channel->qp, sqe);
		ret = 0;
	}
	spin_unlock_bh(&channel->lock);
	return ret;
}

/* Give a free slot to the oldest request of the backlog, or back to the stack. */
static void zip_channel_put_slot(struct zip_channel *channel, u16 slot)
{
	struct zip_request *next;
	struct zip_sqe sqe;

	spin_lock_bh(&channel->lock);
	next = list_first_entry_or_null(&channel->backlog, struct zip_request, node);
	if (next)
		list_del_init(&next->node);
	else
		channel->stack[channel->free++] = slot;
	spin_unlock_bh(&channel->lock);
	if (!next)
		return;
	next->slot = slot;
	/*
	 * Tell the owner that the request has left the backlog; this must come before the result.
	 */
	zip_complete(next, -EINPROGRESS);
	zip_request_build(next, &sqe);
	if (zip_channel_send(next, &sqe))
		zip_request_rescue(next);
}

static int zip_result(struct zip_request *request, const struct zip_sqe *sqe)
{
	u32 status = FIELD_GET(ZIP_SQE_STATUS, le32_to_cpu(READ_ONCE(sqe->status)));
	u32 produced = le32_to_cpu(READ_ONCE(sqe->produced));

	switch (status) {
	case 0:
	case ZIP_SQE_NEGATIVE:
		if (produced > request->dest.length)
			break;
		request->areq->dlen = produced;
		return 0;
	case ZIP_SQE_OUTPUT_FULL:
		return -ENOSPC;
	case ZIP_SQE_MALFORMED:
	case ZIP_SQE_CHECKSUM:
		return -EINVAL;
	}
	dev_err_ratelimited(request->channel->dev, "%scompression failed: status %#x, output %u\n",
			    request->channel->type == ZIP_TYPE_COMPRESS ? "" : "de", status,
			    produced);
	return -EIO;
}

static struct zip_request *zip_channel_take(struct zip_channel *channel, u32 slot)
{
	struct zip_request *request;

	lockdep_assert_held(&channel->lock);
	if (slot >= channel->slots)
		return NULL;
	request = channel->requests[slot];
	channel->requests[slot] = NULL;
	return request;
}

/* From now on the driver sends nothing to the device. */
static void zip_channel_kill(struct zip_channel *channel)
{
	spin_lock_bh(&channel->lock);
	WRITE_ONCE(channel->dead, true);
	spin_unlock_bh(&channel->lock);
}

/*
 * Handle a completion, or the end of the queue, in the interrupt thread. This checks all data from
 * the device.
 */
static void zip_channel_event(struct qm_qp *qp, const void *descriptor)
{
	struct zip_channel *channel = qp->owner;
	const struct zip_sqe *sqe = descriptor;
	struct zip_request *request;
	u32 slot;
	int ret;

	if (!sqe) {
		zip_channel_kill(channel);
		channel->failed();
		return;
	}
	spin_lock_bh(&channel->lock);
	slot = le32_to_cpu(READ_ONCE(sqe->tag_l));
	request = zip_channel_take(channel, slot);
	spin_unlock_bh(&channel->lock);
	if (!request) {
		dev_err_ratelimited(channel->dev, "completion of no request: tag %#x\n", slot);
		return;
	}
	ret = zip_result(request, sqe);
	trace_hisi_zip_complete(channel->dev, channel->type, slot, ret);
	/* While the driver stops the queue, the device returns requests without doing them. */
	if (ret == -EIO && READ_ONCE(channel->dead)) {
		zip_request_rescue(request);
		return;
	}
	zip_request_unmap(request);
	zip_channel_put_slot(channel, slot);
	zip_channel_leave(channel);
	zip_complete(request, ret);
}

/**
 * zip_channel_enter() - begin a request
 * @channel: the channel; the caller is in an RCU read section, which keeps it
 * @request: the request
 *
 * The request keeps the channel until it is complete.
 *
 * Return: 0; -ENOSPC if all slots are taken, and the request may not wait; -ENODEV if the channel
 * is dead.
 */
int zip_channel_enter(struct zip_channel *channel, struct zip_request *request)
{
	bool may_wait = request->areq->base.flags & CRYPTO_TFM_REQ_MAY_BACKLOG;
	int ret = 0;

	request->channel = channel;
	request->slot = ZIP_NO_SLOT;
	spin_lock_bh(&channel->lock);
	if (channel->dead)
		ret = -ENODEV;
	else if (channel->free && list_empty(&channel->backlog))
		request->slot = channel->stack[--channel->free];
	else if (!may_wait)
		ret = -ENOSPC;
	if (!ret)
		channel->pending++;
	spin_unlock_bh(&channel->lock);
	return ret;
}

static int zip_request_map(struct zip_request *request)
{
	struct acomp_req *areq = request->areq;
	struct device *dev = request->channel->dev;
	gfp_t gfp = areq->base.flags & CRYPTO_TFM_REQ_MAY_SLEEP ? GFP_KERNEL : GFP_ATOMIC;
	int ret;

	request->dest.nents = 0;
	request->dest.list = NULL;
	ret = zip_side_map(dev, &request->source, areq->src, areq->slen, DMA_TO_DEVICE, gfp);
	if (ret)
		return ret;
	ret = zip_side_map(dev, &request->dest, areq->dst, min_t(u32, areq->dlen, ZIP_MAX_BYTES),
			   DMA_FROM_DEVICE, gfp);
	if (ret)
		zip_side_unmap(dev, &request->source);
	return ret;
}

/* All slots were taken: put the request into the backlog, unless a slot is free by now. */
static int zip_channel_wait(struct zip_request *request)
{
	struct zip_channel *channel = request->channel;
	struct zip_sqe sqe;
	int ret = 0;

	spin_lock_bh(&channel->lock);
	if (channel->dead) {
		ret = -ENODEV;
	} else if (channel->free && list_empty(&channel->backlog)) {
		request->slot = channel->stack[--channel->free];
	} else {
		list_add_tail(&request->node, &channel->backlog);
		ret = -EBUSY;
	}
	spin_unlock_bh(&channel->lock);
	if (ret)
		return ret;
	zip_request_build(request, &sqe);
	return zip_channel_send(request, &sqe);
}

/**
 * zip_channel_submit() - give a request to the device
 * @request: after zip_channel_enter()
 *
 * Return: -EINPROGRESS: the callback will get the result, or has got it already; -EBUSY: the
 * request waits for a slot, and the callback gets -EINPROGRESS first. After any other error the
 * request has left the channel: -EINVAL and -ENOMEM as from zip_side_map(), -ENODEV.
 */
int zip_channel_submit(struct zip_request *request)
{
	struct zip_channel *channel = request->channel;
	struct zip_sqe sqe;
	int ret;

	ret = zip_request_map(request);
	if (!ret) {
		if (request->slot == ZIP_NO_SLOT) {
			ret = zip_channel_wait(request);
		} else {
			zip_request_build(request, &sqe);
			ret = zip_channel_send(request, &sqe);
		}
		if (!ret)
			return -EINPROGRESS;
		if (ret == -EBUSY)
			return ret;
		zip_request_unmap(request);
	}
	if (request->slot != ZIP_NO_SLOT)
		zip_channel_put_slot(channel, request->slot);
	zip_channel_leave(channel);
	return ret;
}

static int zip_channel_memory(struct zip_channel *channel)
{
	unsigned int i;

	channel->stack = kcalloc(channel->slots, sizeof(*channel->stack), GFP_KERNEL);
	channel->requests = kcalloc(channel->slots, sizeof(*channel->requests), GFP_KERNEL);
	channel->lists =
		dma_alloc_coherent(channel->dev, (size_t)2 * ZIP_SHORT_LIST * channel->slots,
				   &channel->lists_dma, GFP_KERNEL);
	if (!channel->stack || !channel->requests || !channel->lists)
		return -ENOMEM;
	/* Use the lowest slots first, so that their memory stays in the caches. */
	for (i = 0; i < channel->slots; i++)
		channel->stack[i] = channel->slots - 1 - i;
	channel->free = channel->slots;
	return 0;
}

static void zip_channel_free(struct zip_channel *channel)
{
	if (channel->lists)
		dma_free_coherent(channel->dev, (size_t)2 * ZIP_SHORT_LIST * channel->slots,
				  channel->lists, channel->lists_dma);
	kfree(channel->requests);
	kfree(channel->stack);
	kfree(channel);
}

/* Compression uses the queue that always belongs to the kernel; decompression takes one more. */
static int zip_channel_start(struct zip_channel *channel)
{
	struct qm *qm = channel->qm;
	int ret;

	channel->qp = channel->type == ZIP_TYPE_COMPRESS ? qm_kernel_qp(qm) : qm_take_qp(qm);
	if (!channel->qp)
		return -EBUSY;
	qm_qp_set_handler(channel->qp, zip_channel_event, channel);
	ret = qm_qp_start(channel->qp, channel->type, 0);
	if (!ret)
		return 0;
	qm_qp_set_handler(channel->qp, NULL, NULL);
	if (channel->type != ZIP_TYPE_COMPRESS)
		qm_give_qp(channel->qp);
	return ret;
}

/**
 * zip_channel_create() - start a queue for the kernel
 * @qm: queue manager that works
 * @type: ZIP_TYPE_*
 * @failed: see struct zip_channel
 *
 * Return: the channel, or an ERR_PTR: -ENOMEM, -EBUSY if no queue is free, or an error of
 * qm_qp_start().
 */
struct zip_channel *zip_channel_create(struct qm *qm, u8 type, void (*failed)(void))
{
	struct zip_channel *channel;
	int ret;

	BUILD_BUG_ON(ZIP_SHORT_LIST % ZIP_SGL_ALIGN || sizeof(struct zip_sgl) != 64 ||
		     sizeof(struct zip_sge) != 32);

	channel = kzalloc(sizeof(*channel), GFP_KERNEL);
	if (!channel)
		return ERR_PTR(-ENOMEM);
	channel->qm = qm;
	channel->dev = &qm->pdev->dev;
	channel->type = type;
	channel->failed = failed;
	/* One slot less than the depth, so that the submission ring is never full. */
	channel->slots = min_t(unsigned int, ZIP_SLOTS, qm->sq_depth - 1);
	spin_lock_init(&channel->lock);
	init_waitqueue_head(&channel->idle);
	INIT_LIST_HEAD(&channel->backlog);
	ret = zip_channel_memory(channel);
	if (!ret)
		ret = zip_channel_start(channel);
	if (!ret)
		return channel;
	zip_channel_free(channel);
	return ERR_PTR(ret);
}

static bool zip_channel_idle(struct zip_channel *channel)
{
	bool idle;

	spin_lock_bh(&channel->lock);
	idle = !channel->pending;
	spin_unlock_bh(&channel->lock);
	return idle;
}

/* Let the device finish its requests, as long as it seems to be there. */
static bool zip_channel_drain(struct zip_channel *channel)
{
	unsigned int step;

	for (step = 0; step < ZIP_DRAIN_STEPS && !READ_ONCE(channel->dead); step++) {
		if (wait_event_timeout(channel->idle, zip_channel_idle(channel),
				       msecs_to_jiffies(ZIP_DRAIN_STEP_MS)))
			return true;
		if (!qm_present(channel->qm))
			break;
	}
	return zip_channel_idle(channel);
}

/* Let software do the requests that the device did not finish. The device is stopped. */
static void zip_channel_rescue(struct zip_channel *channel)
{
	struct zip_request *request, *next;
	LIST_HEAD(waiting);
	unsigned int slot;

	for (slot = 0; slot < channel->slots; slot++) {
		spin_lock_bh(&channel->lock);
		request = zip_channel_take(channel, slot);
		spin_unlock_bh(&channel->lock);
		if (request)
			zip_request_rescue(request);
	}
	spin_lock_bh(&channel->lock);
	list_splice_init(&channel->backlog, &waiting);
	spin_unlock_bh(&channel->lock);
	list_for_each_entry_safe (request, next, &waiting, node) {
		list_del_init(&request->node);
		zip_complete(request, -EINPROGRESS);
		zip_request_rescue(request);
	}
	/* Wait for callers that are entering or leaving the channel. */
	wait_event(channel->idle, zip_channel_idle(channel));
}

/**
 * zip_channel_destroy() - stop the queue and give it back
 * @channel: the channel; no request can enter any more
 *
 * Software does the requests that the device does not finish. May sleep.
 */
void zip_channel_destroy(struct zip_channel *channel)
{
	bool drained = zip_channel_drain(channel);

	zip_channel_kill(channel);
	if (qm_qp_stop(channel->qp)) {
		qm_qp_abandon(channel->qp);
		/* The device may still use the requests' buffers, which others get soon. */
		if (!drained)
			wd_iommu_clear_master(channel->qm->pdev);
	}
	if (!drained)
		zip_channel_rescue(channel);
	qm_qp_set_handler(channel->qp, NULL, NULL);
	if (channel->type != ZIP_TYPE_COMPRESS)
		qm_give_qp(channel->qp);
	zip_channel_free(channel);
}
