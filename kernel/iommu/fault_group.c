// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups of page requests that wait for an answer: limits of their number and their time, and the
 * answer (Documentation/design/nesting.rst).
 *
 * A device may have a fixed number of page requests outstanding: its credits. An owner that leaves
 * requests unanswered takes credits from the others. So each owner has a share (fault_share.c), and
 * after a time limit the layer answers instead of the owner. A group counts in its owner's share
 * until the owner gives it back, even if the layer has answered it: so an owner that never answers
 * soon gets no more groups, and needs no more memory.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "iommu_layer.h"

static unsigned int fault_response_ms = 10000;
module_param(fault_response_ms, uint, 0644);
MODULE_PARM_DESC(fault_response_ms,
		 "time to answer a page request in, after that it is INVALID; 0: for ever");

/* After the release of the device, its IOMMU may be gone, and the device itself: send nothing. */
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
 * @count: why the layer answers; WD_FAULT_COUNTS: not to be counted
 */
void wd_fault_answer(struct wd_device *device, const struct wd_fault *last, enum wd_fault_code code,
		     enum wd_fault_count count)
{
	down_read(&device->answer_lock);
	wd_fault_send(device, last, code, count);
	up_read(&device->answer_lock);
}

/* A group stops waiting, since it is answered now or needs no answer. */
static void wd_group_settle(struct wd_fault_group *group, int over)
{
	lockdep_assert_held(&group->device->wait_lock);
	list_del_init(&group->waiting);
	wd_share_end_wait(group);
	group->over = over;
}

/* --- arrival and answer --- */

static void wd_faults_look_later(struct wd_device *device)
{
	unsigned int limit = READ_ONCE(fault_response_ms), patience = WD_FAULT_PATIENCE_MS;

	schedule_delayed_work(&device->fault_check,
			      msecs_to_jiffies(limit ? min(limit, patience) : patience));
}

/**
 * wd_group_admit - let a group wait for an answer, if its owner may hold it
 * @group: complete, its device and handler are set
 *
 * Return: false if the owner may not hold it.
 */
bool wd_group_admit(struct wd_fault_group *group)
{
	struct wd_device *device = group->device;
	bool fits;

	group->arrived = ktime_get_ns();
	group->over = 0;
	spin_lock(&device->wait_lock);
	fits = wd_share_take(group);
	if (fits) {
		wd_device_get(device);
		list_add_tail(&group->waiting, &device->waiting);
		wd_faults_look_later(device);
	}
	spin_unlock(&device->wait_lock);
	return fits;
}

/**
 * wd_iommu_fault_respond - answer a group
 * @group: as given to the handler. The caller must not use it afterwards
 * @code: the answer
 *
 * May be called in a handler, or at any later time. The answer to a device that was released is
 * dropped.
 *
 * Return: 0; -ETIMEDOUT if it comes too late: the layer has answered INVALID; -ECANCELED if the
 * device was reset meanwhile, or had no handler any more.
 */
int wd_iommu_fault_respond(struct wd_fault_group *group, enum wd_fault_code code)
{
	struct wd_device *device = group->device;
	const struct wd_fault last = *wd_fault_last(group);
	struct wd_fault_user *gone;
	int over;

	down_read(&device->answer_lock);
	spin_lock(&device->wait_lock);
	over = group->over;
	if (!over)
		wd_group_settle(group, 0);
	gone = wd_share_give_back(group);
	spin_unlock(&device->wait_lock);
	if (!over)
		wd_fault_send(device, &last, code, WD_FAULT_COUNTS);
	up_read(&device->answer_lock);
	kvfree(gone);
	wd_device_put(device);
	return over;
}
EXPORT_SYMBOL_GPL(wd_iommu_fault_respond);

/* --- answers of the layer --- */

/* Find a group that has waited for too long. Return: NULL if there is none. */
static struct wd_fault_group *wd_faults_overdue(struct wd_device *device, u64 now)
{
	u64 limit = (u64)READ_ONCE(fault_response_ms) * NSEC_PER_MSEC;
	struct wd_fault_group *group;

	group = list_first_entry_or_null(&device->waiting, struct wd_fault_group, waiting);
	if (group && limit && wd_share_waited(group, now, limit))
		return group;
	list_for_each_entry_reverse (group, &device->waiting, waiting)
		if (wd_share_exceeded(group, now))
			return group;
	return NULL;
}

/**
 * struct wd_group_end - a group that the layer answers instead of the owner
 * @last: its last request
 * @back: the layer has taken the group back from the owner
 * @gone: user to be freed, or NULL
 */
struct wd_group_end {
	struct wd_fault last;
	bool back;
	struct wd_fault_user *gone;
};

/*
 * Prepare the layer's answer to a group. Afterwards the owner may give the group back at any time,
 * so the answer uses only @end.
 */
static void wd_group_take(struct wd_fault_group *group, int over, struct wd_group_end *end)
{
	wd_group_settle(group, over);
	end->last = *wd_fault_last(group);
	end->back = group->handler->take_back && group->handler->take_back(group);
	end->gone = end->back ? wd_share_give_back(group) : NULL;
}

static void wd_group_end(struct wd_device *device, const struct wd_group_end *end,
			 enum wd_fault_count count)
{
	wd_fault_send(device, &end->last, WD_FAULT_INVALID, count);
	kvfree(end->gone);
	/* This is the group's reference to the device; the caller has one of its own. */
	if (end->back)
		wd_device_put(device);
}

static void wd_faults_check(struct work_struct *work)
{
	struct wd_device *device =
		container_of(to_delayed_work(work), struct wd_device, fault_check);
	const u64 now = ktime_get_ns();
	struct wd_fault_group *group;
	struct wd_group_end end;

	for (;;) {
		down_read(&device->answer_lock);
		spin_lock(&device->wait_lock);
		group = wd_faults_overdue(device, now);
		if (!group)
			break;
		wd_group_take(group, -ETIMEDOUT, &end);
		spin_unlock(&device->wait_lock);
		wd_group_end(device, &end, WD_FAULT_EXPIRED);
		up_read(&device->answer_lock);
		cond_resched();
	}
	if (!list_empty(&device->waiting))
		wd_faults_look_later(device);
	spin_unlock(&device->wait_lock);
	up_read(&device->answer_lock);
}

/*
 * Answer all groups of a device that sends no page requests now. When this returns every answer has
 * been sent, also those that other threads had begun to send.
 */
void wd_fault_groups_cancel(struct wd_device *device)
{
	struct wd_fault_group *group;
	struct wd_group_end end;

	down_write(&device->answer_lock);
	for (;;) {
		spin_lock(&device->wait_lock);
		group = list_first_entry_or_null(&device->waiting, struct wd_fault_group, waiting);
		if (group)
			wd_group_take(group, -ECANCELED, &end);
		spin_unlock(&device->wait_lock);
		if (!group)
			break;
		wd_group_end(device, &end, WD_FAULT_COUNTS);
	}
	up_write(&device->answer_lock);
}

/* Set the number of credits, before the first handler is registered. */
void wd_fault_groups_allow(struct wd_device *device, unsigned int credits)
{
	spin_lock(&device->wait_lock);
	device->credits = credits;
	spin_unlock(&device->wait_lock);
}

void wd_fault_groups_init(struct wd_device *device)
{
	spin_lock_init(&device->wait_lock);
	INIT_LIST_HEAD(&device->fault_users);
	INIT_LIST_HEAD(&device->waiting);
	INIT_DELAYED_WORK(&device->fault_check, wd_faults_check);
	init_rwsem(&device->answer_lock);
}

/* Drop all later answers to the device. It has no handler any more, so no group can arrive. */
void wd_fault_groups_silence(struct wd_device *device)
{
	down_write(&device->answer_lock);
	device->silent = true;
	up_write(&device->answer_lock);
	cancel_delayed_work_sync(&device->fault_check);
}
