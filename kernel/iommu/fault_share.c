// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many of a device's credits the owners of page requests may hold: shares of a handler and of a
 * user, and the memory for the requests (Documentation/design/nesting.rst).
 *
 * A user is a real uid, as for the number of queues and for locked memory: a process can make any
 * number of processes, files, contexts and binds, so these do not count. The user that registers
 * the handler counts. As for queues, a process with CAP_SYS_RESOURCE may exceed the user's share,
 * but not the handler's. A user has a struct wd_fault_user for each kind of owner. So requests that
 * the kernel answers for a user's processes do not reduce the share of the user's programs.
 *
 * All functions are called with wd_device.wait_lock held, except where they say otherwise.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include "iommu_layer.h"

/* A handler's share is 1/8 of the credits. Owners that share a device leave 1/64 to the kernel. */
#define WD_FAULT_PARTS 8
#define WD_FAULT_RESERVE_PARTS 64

static unsigned int wd_fault_part(const struct wd_device *device)
{
	return device->credits / WD_FAULT_PARTS;
}

/* How many requests all owners of this kind together may have waiting. */
static unsigned int wd_kind_limit(const struct wd_device *device, enum wd_fault_owner owner)
{
	unsigned int reserve = DIV_ROUND_UP(device->credits, WD_FAULT_RESERVE_PARTS);

	return owner == WD_FAULT_OWNER_SHARED ? device->credits - reserve : device->credits;
}

static unsigned int wd_kind_waits(const struct wd_device *device, enum wd_fault_owner owner)
{
	return owner == WD_FAULT_OWNER_SHARED ? device->shared_waits : device->waits;
}

/*
 * A user may hold half of what the other users leave. So a single user gets half of the credits,
 * and any number of users leaves something for the next one.
 */
static unsigned int wd_user_share(const struct wd_device *device, const struct wd_fault_user *user)
{
	unsigned int others = wd_kind_waits(device, user->owner) - user->waits;

	return (wd_kind_limit(device, user->owner) - others) / 2;
}

static bool wd_above_user_share(const struct wd_device *device,
				const struct wd_fault_handler *handler, unsigned int count)
{
	return !handler->privileged && count > wd_user_share(device, handler->user);
}

/**
 * wd_share_waited - whether a group had waited for a time
 * @group: the group
 * @now: as from ktime_get_ns(). The group may have arrived later: then it had not waited
 * @ns: the time, in nanoseconds
 */
bool wd_share_waited(const struct wd_fault_group *group, u64 now, u64 ns)
{
	return now > group->arrived && now - group->arrived >= ns;
}

/* Whether the oldest group has waited longer than a page usually takes. */
static bool wd_fault_slow(const struct wd_fault_group *oldest, u64 now)
{
	return oldest && wd_share_waited(oldest, now, WD_FAULT_PATIENCE_MS * (u64)NSEC_PER_MSEC);
}

static bool wd_handler_slow(struct wd_fault_handler *handler, u64 now)
{
	return wd_fault_slow(
		list_first_entry_or_null(&handler->groups, struct wd_fault_group, mine), now);
}

static bool wd_user_slow(struct wd_fault_user *user, u64 now)
{
	return wd_fault_slow(
		list_first_entry_or_null(&user->groups, struct wd_fault_group, of_user), now);
}

/*
 * Whether an owner may hold @count more requests. An owner that holds nothing may exceed its share
 * with one group, since a large group could never be served otherwise. All owners together never
 * get more credits than the device has, even if the device sends more requests than it may.
 */
static bool wd_share_fits(const struct wd_device *device, struct wd_fault_handler *handler,
			  unsigned int count, u64 now)
{
	struct wd_fault_user *user = handler->user;
	unsigned int held = handler->held + count, user_held = user->held + count;

	if (held > device->credits || device->waits + count > device->credits)
		return false;
	switch (user->owner) {
	case WD_FAULT_OWNER_KERNEL:
		return (held <= wd_fault_part(device) || !wd_handler_slow(handler, now)) &&
		       (!wd_above_user_share(device, handler, user->waits + count) ||
			!wd_user_slow(user, now));
	case WD_FAULT_OWNER_SHARED:
		return device->shared_waits + count <= wd_kind_limit(device, user->owner) &&
		       (held <= wd_fault_part(device) || !handler->held) &&
		       (!wd_above_user_share(device, handler, user_held) || !user->held);
	default:
		return true;
	}
}

static void wd_share_count(struct wd_fault_group *group, int sign)
{
	struct wd_fault_handler *handler = group->handler;
	struct wd_device *device = group->device;
	int change = sign * (int)group->count;

	lockdep_assert_held(&device->wait_lock);
	handler->waits += change;
	handler->user->waits += change;
	device->waits += change;
	if (handler->user->owner == WD_FAULT_OWNER_SHARED)
		device->shared_waits += change;
}

/**
 * wd_share_take - count a group in the shares of its handler and user
 * @group: complete
 *
 * Return: true if its owner may hold it; then it counts until wd_share_give_back().
 */
bool wd_share_take(struct wd_fault_group *group)
{
	struct wd_fault_handler *handler = group->handler;

	if (!wd_share_fits(group->device, handler, group->count, group->arrived))
		return false;
	handler->users++;
	handler->held += group->count;
	handler->user->held += group->count;
	list_add_tail(&group->mine, &handler->groups);
	list_add_tail(&group->of_user, &handler->user->groups);
	wd_share_count(group, 1);
	return true;
}

/* The device does not wait any more; the owner still holds the group. */
void wd_share_end_wait(struct wd_fault_group *group)
{
	wd_share_count(group, -1);
}

/**
 * wd_share_give_back - the owner does not hold a group any more
 * @group: the group, whose memory this frees
 *
 * Return: as wd_handler_put().
 */
struct wd_fault_user *wd_share_give_back(struct wd_fault_group *group)
{
	struct wd_fault_handler *handler = group->handler;

	list_del(&group->mine);
	list_del(&group->of_user);
	handler->held -= group->count;
	handler->user->held -= group->count;
	/* This frees the group, too: it is in the slot of one of the requests. */
	list_splice(&group->requests, &handler->user->free);
	return wd_handler_put(handler);
}

/*
 * Whether the layer has to answer a group that the kernel serves. The kernel may exceed its share,
 * since it usually answers at once; but not while it waits for a slow page.
 */
bool wd_share_exceeded(const struct wd_fault_group *group, u64 now)
{
	struct wd_fault_handler *handler = group->handler;
	struct wd_fault_user *user = handler->user;
	const struct wd_device *device = group->device;

	if (user->owner != WD_FAULT_OWNER_KERNEL)
		return false;
	return (handler->waits > wd_fault_part(device) && wd_handler_slow(handler, now)) ||
	       (wd_above_user_share(device, handler, user->waits) && wd_user_slow(user, now));
}

/* --- memory --- */

/**
 * wd_slot_get - get memory for a page request
 * @user: the user of its handler
 *
 * Return: NULL if all of the user's memory is in use.
 */
struct wd_fault_slot *wd_slot_get(struct wd_fault_user *user)
{
	struct wd_fault_request *request;
	struct wd_fault_slot *slot;

	request = list_first_entry_or_null(&user->free, struct wd_fault_request, node);
	if (request) {
		list_del(&request->node);
		return wd_slot_of(request);
	}
	if (!user->fresh)
		return NULL;
	slot = &user->slots[--user->fresh];
	slot->user = user;
	return slot;
}

/* Undo wd_slot_get(). */
void wd_slot_put(struct wd_fault_request *request)
{
	list_add(&request->node, &wd_slot_of(request)->user->free);
}

/* --- users --- */

/*
 * The first handler of a user allocates memory for all page requests that the user can ever hold,
 * and the kernel charges it to the user. So the arrival of a page request allocates nothing.
 */
static struct wd_fault_user *wd_user_alloc(const struct wd_device *device,
					   enum wd_fault_owner owner)
{
	struct wd_fault_user *user =
		kvmalloc(struct_size(user, slots, device->credits), GFP_KERNEL_ACCOUNT);

	if (!user)
		return NULL;
	user->uid = current_uid();
	user->owner = owner;
	user->handlers = 1;
	INIT_LIST_HEAD(&user->groups);
	user->held = 0;
	user->waits = 0;
	INIT_LIST_HEAD(&user->free);
	user->fresh = device->credits;
	return user;
}

static struct wd_fault_user *wd_user_find(struct wd_device *device, enum wd_fault_owner owner,
					  kuid_t uid)
{
	struct wd_fault_user *user;

	list_for_each_entry (user, &device->fault_users, node)
		if (user->owner == owner && uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/**
 * wd_user_join - add a handler to the user of the calling process
 * @device: device; the caller holds its lock, but not wait_lock
 * @handler: the handler; not registered yet
 * @owner: kind of the owner
 *
 * Return: 0; -ENOMEM.
 */
int wd_user_join(struct wd_device *device, struct wd_fault_handler *handler,
		 enum wd_fault_owner owner)
{
	struct wd_fault_user *user;

	lockdep_assert_held(&device->lock);
	spin_lock(&device->wait_lock);
	user = wd_user_find(device, owner, current_uid());
	if (user)
		user->handlers++;
	spin_unlock(&device->wait_lock);
	if (!user) {
		user = wd_user_alloc(device, owner);
		if (!user)
			return -ENOMEM;
		spin_lock(&device->wait_lock);
		list_add(&user->node, &device->fault_users);
		spin_unlock(&device->wait_lock);
	}
	handler->user = user;
	handler->privileged = capable(CAP_SYS_RESOURCE);
	return 0;
}

/**
 * wd_handler_put - drop the reference of a registration or of a group to its handler
 * @handler: the handler
 *
 * Return: NULL, or the user if this was its last handler. The caller frees the user with kvfree(),
 * without the lock.
 */
struct wd_fault_user *wd_handler_put(struct wd_fault_handler *handler)
{
	struct wd_fault_user *user = handler->user;

	if (--handler->users)
		return NULL;
	kfree(handler);
	if (!user || --user->handlers)
		return NULL;
	list_del(&user->node);
	return user;
}
