// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the mover does with memory. It copies pieces of bounded size through a buffer of the kernel
 * (IOMMUFD-ACCESS-4), so that it uses no memory of the user in place: what the user changes meanwhile,
 * or unmaps, harms nobody else.
 */
#include <linux/crc32.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "iommufd.h"
#include "mover.h"

static int mover_rw_once(struct mover_worker *worker, u64 iova, void *data, size_t length,
			 bool write)
{
	return iommufd_access_rw(worker->queue->access, iova, data, length,
				 IOMMUFD_ACCESS_RW_KTHREAD | (write ? IOMMUFD_ACCESS_RW_WRITE : 0));
}

/*
 * Copy a piece. If that fails, copy it page by page, to find the address at which it fails. Return:
 * false: @completion says what has failed.
 */
static bool mover_rw(struct mover_worker *worker, u64 iova, void *data, size_t length, bool write,
		     struct wd_mover_completion *completion)
{
	size_t step;
	int ret;

	if (!mover_rw_once(worker, iova, data, length, write))
		return true;
	for (; length; iova += step, data += step, length -= step) {
		step = min_t(size_t, length, PAGE_SIZE - offset_in_page(iova));
		ret = mover_rw_once(worker, iova, data, step, write);
		if (!ret)
			continue;
		completion->status = WD_MOVER_FAULT;
		completion->error = -ret;
		completion->result = iova;
		return false;
	}
	return true;
}

static bool mover_read(struct mover_worker *worker, u64 iova, void *data, size_t length,
		       struct wd_mover_completion *completion)
{
	return mover_rw(worker, iova, data, length, false, completion);
}

static bool mover_write(struct mover_worker *worker, u64 iova, void *data, size_t length,
			struct wd_mover_completion *completion)
{
	return mover_rw(worker, iova, data, length, true, completion);
}

/* Between two pieces: is it worth going on? */
static bool mover_goes_on(struct mover_worker *worker)
{
	cond_resched();
	return READ_ONCE(worker->queue->order) != MOVER_ABORT && !READ_ONCE(worker->queue->failed);
}

/* As memmove(): from the end, if the beginning would overwrite what is still to be read. */
static void mover_move(struct mover_worker *worker, const struct wd_mover_desc *desc,
		       struct wd_mover_completion *completion)
{
	bool backwards = desc->dst > desc->src && desc->dst - desc->src < desc->length;
	u32 done, step;

	for (done = 0; done < desc->length && mover_goes_on(worker); done += step) {
		u64 offset = done;

		step = min(desc->length - done, MOVER_PIECE);
		if (backwards)
			offset = desc->length - done - step;
		if (!mover_read(worker, desc->src + offset, worker->buffer, step, completion) ||
		    !mover_write(worker, desc->dst + offset, worker->buffer, step, completion))
			return;
	}
}

static void mover_fill(struct mover_worker *worker, const struct wd_mover_desc *desc,
		       struct wd_mover_completion *completion)
{
	u32 done, step, i;

	for (i = 0; i < min(desc->length, MOVER_PIECE); i += sizeof(desc->value))
		memcpy(worker->buffer + i, &desc->value, sizeof(desc->value));
	for (done = 0; done < desc->length && mover_goes_on(worker); done += step) {
		step = min(desc->length - done, MOVER_PIECE);
		if (!mover_write(worker, desc->dst + done, worker->buffer, step, completion))
			return;
	}
}

static void mover_compare(struct mover_worker *worker, const struct wd_mover_desc *desc,
			  struct wd_mover_completion *completion)
{
	u8 *a = worker->buffer, *b = a + MOVER_PIECE;
	u32 done, step, i;

	for (done = 0; done < desc->length && mover_goes_on(worker); done += step) {
		step = min(desc->length - done, MOVER_PIECE);
		if (!mover_read(worker, desc->src + done, a, step, completion) ||
		    !mover_read(worker, desc->dst + done, b, step, completion))
			return;
		if (!memcmp(a, b, step))
			continue;
		for (i = 0; a[i] == b[i]; i++)
			;
		completion->status = WD_MOVER_MISMATCH;
		completion->result = (u64)done + i;
		return;
	}
}

static void mover_crc(struct mover_worker *worker, const struct wd_mover_desc *desc,
		      struct wd_mover_completion *completion)
{
	u32 done, step, crc = desc->value;

	for (done = 0; done < desc->length && mover_goes_on(worker); done += step) {
		step = min(desc->length - done, MOVER_PIECE);
		if (!mover_read(worker, desc->src + done, worker->buffer, step, completion))
			return;
		crc = __crc32c_le(crc, worker->buffer, step);
	}
	completion->result = crc;
}

static bool mover_range_good(u64 iova, u32 length)
{
	u64 last;

	return !check_add_overflow(iova, (u64)length - 1, &last);
}

/* Return: enum wd_mover_status */
static u16 mover_check(const struct wd_mover_desc *desc)
{
	bool src = desc->opcode == WD_MOVER_MOVE || desc->opcode == WD_MOVER_COMPARE ||
		   desc->opcode == WD_MOVER_CRC32C;
	bool dst = desc->opcode == WD_MOVER_MOVE || desc->opcode == WD_MOVER_COMPARE ||
		   desc->opcode == WD_MOVER_FILL;

	if (desc->opcode > WD_MOVER_CRC32C)
		return WD_MOVER_BAD_OPCODE;
	if (desc->reserved[0] || desc->reserved[1] || desc->reserved[2])
		return WD_MOVER_BAD_RESERVED;
	if (desc->opcode == WD_MOVER_NOP)
		return desc->length ? WD_MOVER_BAD_LENGTH : WD_MOVER_OK;
	if (!desc->length || desc->length > WD_MOVER_MAX_LENGTH ||
	    (src && !mover_range_good(desc->src, desc->length)) ||
	    (dst && !mover_range_good(desc->dst, desc->length)))
		return WD_MOVER_BAD_LENGTH;
	return WD_MOVER_OK;
}

/**
 * mover_execute() - do what a descriptor asks for
 * @worker: worker, which holds no lock: the user can make it wait for ever
 * @desc: private copy of the descriptor
 * @completion: gets all but the sequence. Not complete if the worker is to end meanwhile
 */
void mover_execute(struct mover_worker *worker, const struct wd_mover_desc *desc,
		   struct wd_mover_completion *completion)
{
	*completion = (struct wd_mover_completion){.user_data = desc->user_data};
	completion->status = mover_check(desc);
	if (completion->status != WD_MOVER_OK)
		return;
	switch (desc->opcode) {
	case WD_MOVER_MOVE:
		mover_move(worker, desc, completion);
		break;
	case WD_MOVER_FILL:
		mover_fill(worker, desc, completion);
		break;
	case WD_MOVER_COMPARE:
		mover_compare(worker, desc, completion);
		break;
	case WD_MOVER_CRC32C:
		mover_crc(worker, desc, completion);
		break;
	}
}
