// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: which pages of an IOAS have devices written? (IOMMUFD-DIRTY-1 to IOMMUFD-DIRTY-5)
 *
 * The caller's bitmap may be large and its memory slow. So this reads window by window into a
 * bitmap of the kernel, without a lock, and then adds the bits to the caller's. If that fails, the
 * pages of the window are dirty again, and nothing is lost.
 *
 * A large page may reach from one window into the next ones. The page is read and cleared in the
 * window where it begins, which carries its bits over to the others.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "iommufd_private.h"
#include "trace.h"

/* Bytes and bits of a window. */
#define IOMMUFD_DIRTY_BYTES PAGE_SIZE
#define IOMMUFD_DIRTY_BITS ((u64)IOMMUFD_DIRTY_BYTES * BITS_PER_BYTE)

/**
 * struct iommufd_dirty - a bitmap that is being read
 * @domain: page table
 * @iova: address of bit 0 of the caller's bitmap
 * @last: last address
 * @shift: log2 of bytes per bit
 * @clear: pages that are reported are clean afterwards
 * @data: the caller's bitmap
 * @bit: first bit of the window
 * @nbits: bits in the window
 * @low: the lowest bit of the window that is set
 * @high: the highest one; below @low: none is set
 * @carried: the last page that was reported ends at @carry, beyond the window
 * @carry: see @carried
 * @bits: bits of the window
 * @theirs: place for the caller's bits of the window
 */
struct iommufd_dirty {
	struct iommu_domain *domain;
	u64 iova;
	u64 last;
	unsigned int shift;
	bool clear;
	u64 data;
	u64 bit;
	u64 nbits;
	u64 low;
	u64 high;
	bool carried;
	u64 carry;
	unsigned long *bits;
	u8 *theirs;
};

static u64 iommufd_dirty_window_first(const struct iommufd_dirty *dirty)
{
	return dirty->iova + (dirty->bit << dirty->shift);
}

static u64 iommufd_dirty_window_last(const struct iommufd_dirty *dirty)
{
	return dirty->iova + ((dirty->bit + dirty->nbits) << dirty->shift) - 1;
}

/* Set the bits of an address range that begins in the window. */
static void iommufd_dirty_set(void *arg, u64 first, u64 last)
{
	struct iommufd_dirty *dirty = arg;
	u64 from = ((first - dirty->iova) >> dirty->shift) - dirty->bit;
	u64 to = ((last - dirty->iova) >> dirty->shift) - dirty->bit;

	if (to >= dirty->nbits) {
		to = dirty->nbits - 1;
		dirty->carried = true;
		dirty->carry = last;
	}
	bitmap_set(dirty->bits, from, to - from + 1);
	dirty->low = min(dirty->low, from);
	dirty->high = max(dirty->high, to);
}

static int iommufd_dirty_read(struct iommufd_dirty *dirty)
{
	struct wd_dirty_read read = {
		.first = iommufd_dirty_window_first(dirty),
		.last = iommufd_dirty_window_last(dirty),
		.limit = dirty->last,
		.clear = dirty->clear,
		.report = iommufd_dirty_set,
		.arg = dirty,
	};

	memset(dirty->bits, 0, IOMMUFD_DIRTY_BYTES);
	dirty->low = U64_MAX;
	dirty->high = 0;
	if (dirty->carried) {
		const u64 carry = dirty->carry;

		dirty->carried = false;
		iommufd_dirty_set(dirty, read.first, carry);
		if (carry >= read.last)
			return 0;
		read.first = carry + 1;
	}
	return wd_iommu_read_dirty(dirty->domain, &read);
}

/* IOMMUFD-DIRTY-4: add the bits to the caller's, and write only bytes that have new ones. */
static int iommufd_dirty_deliver(struct iommufd_dirty *dirty)
{
	const u8 *ours = (const u8 *)dirty->bits;
	size_t from = dirty->low / BITS_PER_BYTE, to = dirty->high / BITS_PER_BYTE, i;
	void __user *data = u64_to_user_ptr(dirty->data + dirty->bit / BITS_PER_BYTE + from);

	if (copy_from_user(dirty->theirs + from, data, to - from + 1))
		return -EFAULT;
	for (i = from; i <= to; i++)
		dirty->theirs[i] |= ours[i];
	return copy_to_user(data, dirty->theirs + from, to - from + 1) ? -EFAULT : 0;
}

/* IOMMUFD-DIRTY-5: nobody was told of the window's pages, so they are dirty again. */
static void iommufd_dirty_take_back(struct iommufd_dirty *dirty)
{
	const u64 first = iommufd_dirty_window_first(dirty);
	u64 bit, end;

	for (bit = dirty->low; bit <= dirty->high; bit = end + 1) {
		for (end = bit; end <= dirty->high && test_bit(end, dirty->bits);)
			end++;
		if (end > bit)
			wd_iommu_mark_dirty(dirty->domain, first + (bit << dirty->shift),
					    first + (end << dirty->shift) - 1);
	}
	if (dirty->carried)
		wd_iommu_mark_dirty(dirty->domain, iommufd_dirty_window_last(dirty), dirty->carry);
}

static int iommufd_dirty_window(struct iommufd_dirty *dirty)
{
	int rc = iommufd_dirty_read(dirty);

	/* Not before the read, which has the bits that the window before has carried over. */
	if (!rc && fatal_signal_pending(current))
		rc = -EINTR;
	if (!rc && dirty->low <= dirty->high)
		rc = iommufd_dirty_deliver(dirty);
	if (rc && dirty->clear && dirty->low <= dirty->high)
		iommufd_dirty_take_back(dirty);
	return rc;
}

static int iommufd_dirty_all(struct iommufd_dirty *dirty)
{
	const u64 nbits = ((dirty->last - dirty->iova) >> dirty->shift) + 1;
	int rc = 0;

	for (dirty->bit = 0; !rc && dirty->bit < nbits; dirty->bit += dirty->nbits) {
		dirty->nbits = min(nbits - dirty->bit, IOMMUFD_DIRTY_BITS);
		rc = iommufd_dirty_window(dirty);
		cond_resched();
	}
	return rc;
}

/* Dirty tracking is a property of a table from its allocation on. */
static struct iommufd_hwpt_paging *iommufd_dirty_hwpt(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_HWPT_PAGING);

	return IS_ERR(obj) ? ERR_CAST(obj)
			   : container_of(obj, struct iommufd_hwpt_paging, common.obj);
}

/* IOMMUFD-DIRTY-1 */
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = ucmd->cmd;
	struct wd_dirty_read all = {.last = U64_MAX, .limit = U64_MAX, .clear = true};
	struct iommufd_hwpt_paging *hwpt;
	int rc = 0;

	if (cmd->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	hwpt = iommufd_dirty_hwpt(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	if (!hwpt->dirty_tracking)
		rc = -EOPNOTSUPP;
	else if (cmd->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		rc = wd_iommu_read_dirty(hwpt->domain, &all);
	iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
	trace_iommufd_dirty_tracking(cmd->hwpt_id, cmd->flags, rc);
	return rc;
}

/* IOMMUFD-DIRTY-2 */
static int iommufd_dirty_check(const struct iommu_hwpt_get_dirty_bitmap *cmd,
			       struct iommufd_hwpt_paging *hwpt, u64 *last)
{
	struct io_pagetable *iopt = &hwpt->ioas->iopt;
	u64 ends = cmd->iova | (cmd->iova + cmd->length);
	unsigned long alignment;

	if (!cmd->length)
		return -EINVAL;
	if (check_add_overflow(cmd->iova, cmd->length - 1, last))
		return -EOVERFLOW;
	mutex_lock(&iopt->iova_lock);
	alignment = iopt->alignment;
	mutex_unlock(&iopt->iova_lock);
	if (ends & (alignment - 1))
		return -EINVAL;
	if (!is_power_of_2(cmd->page_size) || ends & (cmd->page_size - 1))
		return -EINVAL;
	return hwpt->dirty_tracking ? 0 : -EOPNOTSUPP;
}

static int iommufd_dirty_bitmap(const struct iommu_hwpt_get_dirty_bitmap *cmd,
				struct iommufd_hwpt_paging *hwpt)
{
	struct iommufd_dirty dirty = {
		.domain = hwpt->domain,
		.iova = cmd->iova,
		.clear = !(cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR),
		.data = cmd->data,
	};
	int rc = iommufd_dirty_check(cmd, hwpt, &dirty.last);

	if (rc)
		return rc;
	dirty.shift = ilog2(cmd->page_size);
	dirty.bits = kmalloc(2 * IOMMUFD_DIRTY_BYTES, GFP_KERNEL_ACCOUNT);
	if (!dirty.bits)
		return -ENOMEM;
	dirty.theirs = (u8 *)dirty.bits + IOMMUFD_DIRTY_BYTES;
	rc = iommufd_dirty_all(&dirty);
	kfree(dirty.bits);
	return rc;
}

int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = ucmd->cmd;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if (cmd->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR || cmd->__reserved)
		return -EOPNOTSUPP;
	hwpt = iommufd_dirty_hwpt(ucmd->ictx, cmd->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = iommufd_dirty_bitmap(cmd, hwpt);
	iommufd_put_object(ucmd->ictx, &hwpt->common.obj);
	trace_iommufd_dirty_bitmap(cmd->hwpt_id, cmd->iova, cmd->length, cmd->flags, rc);
	return rc;
}
