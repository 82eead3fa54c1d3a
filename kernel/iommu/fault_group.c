// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups of page requests that wait for their answer: limits of their number and their time, and
 * the answer (Documentation/design/nesting.rst).
 *
 * A device has credits: page requests that it may have outstanding. An owner that leaves requests
 * unanswered takes credits from the others. So each owner has a share, a part of the credits is
 * reserved for faults that the kernel answers itself, and after a time limit the layer answers
 * instead of the owner. A group counts for its owner's share until it is given back, even if the
 * device has its answer by then: so an owner that does not answer at all gets no further groups,
 * and costs no further memory.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "iommu_layer.h"

/* An owner's part of the credits, and the part reserved for the kernel: one in so many. */
#define WD_FAULT_PARTS 8
#define WD_FAULT_RESERVE_PARTS 64
/*
 * How long memory may take to come until a process that has more than its part waits too much. The
 * kernel answers within microseconds, unless a file system or another process has to deliver.
 */
#define WD_FAULT_PATIENCE_MS 500

static unsigned int fault_response_ms = 10000;
module_param(fault_response_ms, uint, 0644);
MODULE_PARM_DESC(fault_response_ms,
		 "time to answer a page request in, after that it is INVALID; 0: for ever");

/* Once the device is silent its IOMMU may be gone, and the device itself. */
static void wd_fault_send(struct wd_device *device, const struct wd_fault *last,
			  enum wd_fault_code code, enum wd_fault_count count)
{
	const struct wd_iommu_ops *ops;

	lockdep_assert_held(&device->answer_lock);
	if (device->silent)
		return;
	ops = device->iommu->ops;
	if (count < WD_FAULT_COUNTS)
		atomic64_inc(&device->iommu->fault_counts[count]);
	if (ops->page_response)
		ops->page_response(device->dev, last->flags & WD_FAULT_PASID_VALID, last->pasid,
				   last->grpid, code);
}

/**
 * wd_fault_answer - let the driver answer a group
 * @device: the device; the caller may hold its fault_lock
 * @last: last request of the group
 * @code: the answer
 * @count: why it is not that of the owner
 */
void wd_fault_answer(struct wd_device *device, const struct wd_fault *last, enum wd_fault_code code,
		     enum wd_fault_count count)
{
	down_read(&device->answer_lock);
	wd_fault_send(device, last, code, count);
	up_read(&device->answer_lock);
}

/* --- shares, with wait_lock held --- */

static unsigned int wd_fault_part(const struct wd_device *device)
{
	return device->credits / WD_FAULT_PARTS;
}

/* Its oldest group waits for longer than memory takes to come. */
static bool wd_handler_slow(struct wd_fault_handler *handler, u64 now)
{
	const struct wd_fault_group *oldest =
		list_first_entry_or_null(&handler->groups, struct wd_fault_group, mine);

	return oldest && now - oldest->arrived >= WD_FAULT_PATIENCE_MS * NSEC_PER_MSEC;
}

/*
 * A single group fits at any size, or it could never be served. No owner has more credits than the
 * device, even if the device sends more requests than it may.
 */
static bool wd_fault_fits(const struct wd_device *device, struct wd_fault_handler *handler,
			  unsigned int count, u64 now)
{
	unsigned int reserve = DIV_ROUND_UP(device->credits, WD_FAULT_RESERVE_PARTS);
	unsigned int part = wd_fault_part(device), held = handler->held + count;

	if (held > device->credits || device->waits + count > device->credits)
		return false;
	switch (handler->owner) {
	case WD_FAULT_OWNER_KERNEL:
		return held <= part || !wd_handler_slow(handler, now);
	case WD_FAULT_OWNER_SHARED:
		return device->shared_waits + count <= device->credits - reserve &&
		       (held <= part || !handler->held);
	default:
		return true;
	}
}

static void wd_group_count(struct wd_fault_group *group, int sign)
{
	struct wd_device *device = group->device;

	device->waits += sign * (int)group->count;
	group->handler->waits += sign * (int)group->count;
	if (group->handler->owner == WD_FAULT_OWNER_SHARED)
		device->shared_waits += sign * (int)group->count;
}

/* The device gets an answer, or needs none any more. */
static void wd_group_settle(struct wd_fault_group *group, int over)
{
	lockdep_assert_held(&group->device->wait_lock);
	list_del_init(&group->waiting);
	wd_group_count(group, -1);
	group->over = over;
}

void wd_handler_put(struct wd_fault_handler *handler)
{
	if (!--handler->users)
		kfree(handler);
}

/* --- arrival and answer --- */

static void wd_faults_look_later(struct wd_device *device)
{
	unsigned int limit = READ_ONCE(fault_response_ms), patience = WD_FAULT_PATIENCE_MS;

	schedule_delayed_work(&device->fault_check,
			      msecs_to_jiffies(limit ? min(limit, patience) : patience));
}

/**
 * wd_group_admit - a group is to wait for its answer
 * @group: complete, its device and handler are set
 *
 * Return: false if it is one too many.
 */
bool wd_group_admit(struct wd_fault_group *group)
{
	struct wd_fault_handler *handler = group->handler;
	struct wd_device *device = group->device;
	bool fits;

	group->arrived = ktime_get_ns();
	group->over = 0;
	spin_lock(&device->wait_lock);
	fits = wd_fault_fits(device, handler, group->count, group->arrived);
	if (fits) {
		wd_device_get(device);
		handler->users++;
		handler->held += group->count;
		list_add_tail(&group->mine, &handler->groups);
		list_add_tail(&group->waiting, &device->waiting);
		wd_group_count(group, 1);
		wd_faults_look_later(device);
	}
	spin_unlock(&device->wait_lock);
	return fits;
}

/**
 * wd_iommu_fault_respond - answer a group
 * @group: as given to the handler; freed
 * @code: the answer
 *
 * May be called in a handler, and whenever else. The answer for a device that was released is
 * dropped.
 *
 * Return: 0; -ETIMEDOUT if it took too long, and the device has been told INVALID meanwhile;
 * -ECANCELED if the device was reset, or had no handler left.
 */
int wd_iommu_fault_respond(struct wd_fault_group *group, enum wd_fault_code code)
{
	struct wd_fault_handler *handler = group->handler;
	struct wd_device *device = group->device;
	int over;

	down_read(&device->answer_lock);
	spin_lock(&device->wait_lock);
	over = group->over;
	if (!over)
		wd_group_settle(group, 0);
	list_del(&group->mine);
	handler->held -= group->count;
	wd_handler_put(handler);
	spin_unlock(&device->wait_lock);
	if (!over)
		wd_fault_send(device, &group->faults[group->count - 1], code, WD_FAULT_COUNTS);
	up_read(&device->answer_lock);
	kfree(group);
	wd_device_put(device);
	return over;
}
EXPORT_SYMBOL_GPL(wd_iommu_fault_respond);

/* --- answers instead of the owner --- */

/* NULL: no group's time is over. */
static struct wd_fault_group *wd_faults_overdue(struct wd_device *device, u64 now)
{
	u64 limit = (u64)READ_ONCE(fault_response_ms) * NSEC_PER_MSEC;
	struct wd_fault_group *group;

	group = list_first_entry_or_null(&device->waiting, struct wd_fault_group, waiting);
	if (group && limit && now - group->arrived >= limit)
		return group;
	list_for_each_entry_reverse (group, &device->waiting, waiting)
		if (group->handler->owner == WD_FAULT_OWNER_KERNEL &&
		    group->handler->waits > wd_fault_part(device) &&
		    wd_handler_slow(group->handler, now))
			return group;
	return NULL;
}

/* From then on its owner may free it: the answer only needs @last. */
static void wd_group_take(struct wd_fault_group *group, int over, struct wd_fault *last)
{
	wd_group_settle(group, over);
	*last = group->faults[group->count - 1];
}

static void wd_faults_check(struct work_struct *work)
{
	struct wd_device *device =
		container_of(to_delayed_work(work), struct wd_device, fault_check);
	const u64 now = ktime_get_ns();
	struct wd_fault_group *group;
	struct wd_fault last;

	for (;;) {
		down_read(&device->answer_lock);
		spin_lock(&device->wait_lock);
		group = wd_faults_overdue(device, now);
		if (!group)
			break;
		wd_group_take(group, -ETIMEDOUT, &last);
		spin_unlock(&device->wait_lock);
		wd_fault_send(device, &last, WD_FAULT_INVALID, WD_FAULT_EXPIRED);
		up_read(&device->answer_lock);
		cond_resched();
	}
	if (!list_empty(&device->waiting))
		wd_faults_look_later(device);
	spin_unlock(&device->wait_lock);
	up_read(&device->answer_lock);
}

/*
 * The device has stopped asking, or is about to forget its requests; no new ones arrive. When this
 * returns every answer has been sent, also those that others had begun to give.
 */
void wd_fault_groups_cancel(struct wd_device *device)
{
	struct wd_fault_group *group;
	struct wd_fault last;

	down_write(&device->answer_lock);
	for (;;) {
		spin_lock(&device->wait_lock);
		group = list_first_entry_or_null(&device->waiting, struct wd_fault_group, waiting);
		if (group)
			wd_group_take(group, -ECANCELED, &last);
		spin_unlock(&device->wait_lock);
		if (!group)
			break;
		wd_fault_send(device, &last, WD_FAULT_INVALID, WD_FAULT_COUNTS);
	}
	up_write(&device->answer_lock);
}

/* Before the first handler is there. */
void wd_fault_groups_allow(struct wd_device *device, unsigned int credits)
{
	spin_lock(&device->wait_lock);
	device->credits = credits;
	spin_unlock(&device->wait_lock);
}

void wd_fault_groups_init(struct wd_device *device)
{
	spin_lock_init(&device->wait_lock);
	INIT_LIST_HEAD(&device->waiting);
	INIT_DELAYED_WORK(&device->fault_check, wd_faults_check);
	init_rwsem(&device->answer_lock);
}

/* No handler is left: nothing begins to wait any more. Later answers go nowhere. */
void wd_fault_groups_silence(struct wd_device *device)
{
	down_write(&device->answer_lock);
	device->silent = true;
	up_write(&device->answer_lock);
	cancel_delayed_work_sync(&device->fault_check);
}
