// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page requests of devices: the layer collects them to groups, and gives each group to the handler
 * of its [device, PASID].
 *
 * The layer answers INVALID to a group without a handler, to one with a request that the driver
 * refuses, or if the user of the handler has no free memory or credits (fault_share.c). The arrival
 * of a page request never allocates memory.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommu_layer.h"

void wd_faults_init(struct wd_device *device)
{
	mutex_init(&device->fault_lock);
	xa_init(&device->handlers);
	INIT_LIST_HEAD(&device->partial);
	wd_fault_groups_init(device);
}

/* A request with PASID 0 belongs to the requester id, as in the hardware. */
static ioasid_t wd_fault_pasid(const struct wd_fault *fault)
{
	return fault->flags & WD_FAULT_PASID_VALID ? fault->pasid : IOMMU_NO_PASID;
}

static bool wd_same_group(const struct wd_fault *a, const struct wd_fault *b)
{
	return a->grpid == b->grpid && wd_fault_pasid(a) == wd_fault_pasid(b);
}

/* --- collecting, with fault_lock held --- */

static void wd_partial_drop(struct wd_device *device, struct wd_fault_request *partial)
{
	list_del(&partial->node);
	if (partial->fault.flags & WD_FAULT_BAD)
		device->refused--;
	spin_lock(&device->wait_lock);
	wd_slot_put(partial);
	spin_unlock(&device->wait_lock);
}

/* Return: false if the user has no request of an incomplete group. */
static bool wd_partial_drop_oldest(struct wd_device *device, const struct wd_fault_user *user)
{
	struct wd_fault_request *partial;

	list_for_each_entry (partial, &device->partial, node)
		if (wd_slot_of(partial)->user == user) {
			wd_partial_drop(device, partial);
			return true;
		}
	return false;
}

static void wd_partial_drop_pasid(struct wd_device *device, ioasid_t pasid)
{
	struct wd_fault_request *partial, *next;

	list_for_each_entry_safe (partial, next, &device->partial, node)
		if (wd_fault_pasid(&partial->fault) == pasid)
			wd_partial_drop(device, partial);
}

/*
 * Copy a request to a free slot of its user. If there is none, drop the user's oldest request of an
 * incomplete group: the device sends too many requests, or does not end its groups. After the
 * answer to that group the device sends the dropped request again. Return: NULL if groups without
 * an answer use all slots of the user.
 */
static struct wd_fault_slot *wd_fault_keep(struct wd_device *device, const struct wd_fault *fault,
					   struct wd_fault_user *user)
{
	struct wd_fault_slot *slot;

	do {
		spin_lock(&device->wait_lock);
		slot = wd_slot_get(user);
		spin_unlock(&device->wait_lock);
	} while (!slot && wd_partial_drop_oldest(device, user));
	if (slot)
		slot->request.fault = *fault;
	return slot;
}

static bool wd_partial_add(struct wd_device *device, const struct wd_fault *fault,
			   struct wd_fault_handler *handler)
{
	struct wd_fault_slot *slot = wd_fault_keep(device, fault, handler->user);

	if (!slot)
		return false;
	list_add_tail(&slot->request.node, &device->partial);
	if (fault->flags & WD_FAULT_BAD)
		device->refused++;
	return true;
}

/* Whether a request of this incomplete group was refused. */
static bool wd_partial_refused(const struct wd_device *device, const struct wd_fault *fault)
{
	const struct wd_fault_request *partial;

	if (!device->refused)
		return false;
	list_for_each_entry (partial, &device->partial, node)
		if (partial->fault.flags & WD_FAULT_BAD && wd_same_group(&partial->fault, fault))
			return true;
	return false;
}

static void wd_partial_drop_group(struct wd_device *device, const struct wd_fault *fault)
{
	struct wd_fault_request *partial, *next;

	list_for_each_entry_safe (partial, next, &device->partial, node)
		if (wd_same_group(&partial->fault, fault))
			wd_partial_drop(device, partial);
}

/*
 * Nobody gets the group of @fault, which is its newest request. Until the last one arrives, one
 * request with WD_FAULT_BAD remembers that, in memory of the group's user.
 */
static void wd_group_refuse(struct wd_device *device, const struct wd_fault *fault,
			    struct wd_fault_handler *handler)
{
	struct wd_fault bad = *fault;

	wd_partial_drop_group(device, fault);
	bad.flags |= WD_FAULT_BAD;
	if (fault->flags & WD_FAULT_LAST_PAGE)
		wd_fault_answer(device, fault, WD_FAULT_INVALID, WD_FAULT_COUNTS);
	else if (handler)
		wd_partial_add(device, &bad, handler);
}

/* Move all requests of the group but the last one to it. */
static void wd_group_collect(struct wd_device *device, struct wd_fault_group *group,
			     const struct wd_fault *last)
{
	struct wd_fault_request *partial, *next;

	list_for_each_entry_safe (partial, next, &device->partial, node) {
		if (!wd_same_group(&partial->fault, last))
			continue;
		list_move_tail(&partial->node, &group->requests);
		group->count++;
	}
}

/* Free the requests of a group. The group is in the slot of the last one, so it is freed, too. */
static void wd_group_drop(struct wd_device *device, struct wd_fault_group *group)
{
	struct wd_fault_request *request, *next;

	list_for_each_entry_safe (request, next, &group->requests, node)
		wd_partial_drop(device, request);
}

/* Return: NULL if its owner may not hold one more; then the collected requests are dropped. */
static struct wd_fault_group *wd_group_make(struct wd_device *device, const struct wd_fault *last,
					    struct wd_fault_handler *handler)
{
	struct wd_fault_slot *slot = wd_fault_keep(device, last, handler->user);
	struct wd_fault_group *group;

	if (!slot)
		return NULL;
	group = &slot->group;
	INIT_LIST_HEAD(&group->node);
	INIT_LIST_HEAD(&group->source_node);
	group->cookie = 0;
	group->reader = NULL;
	group->dev = device->dev;
	group->data = handler->data;
	group->pasid = wd_fault_pasid(last);
	group->grpid = last->grpid;
	group->device = device;
	group->handler = handler;
	INIT_LIST_HEAD(&group->requests);
	group->count = 1;
	wd_group_collect(device, group, last);
	list_add_tail(&slot->request.node, &group->requests);
	if (wd_group_admit(group))
		return group;
	wd_group_drop(device, group);
	return NULL;
}

static bool wd_report_fault(struct wd_device *device, const struct wd_fault *fault)
{
	struct wd_fault_handler *handler = xa_load(&device->handlers, wd_fault_pasid(fault));
	struct wd_fault_group *group;

	lockdep_assert_held(&device->fault_lock);
	if (handler && !handler->call)
		handler = NULL;
	if (!handler || fault->flags & WD_FAULT_BAD || wd_partial_refused(device, fault)) {
		wd_group_refuse(device, fault, handler);
		return false;
	}
	if (!(fault->flags & WD_FAULT_LAST_PAGE))
		return wd_partial_add(device, fault, handler);
	group = wd_group_make(device, fault, handler);
	if (group)
		handler->call(group);
	else
		wd_fault_answer(device, fault, WD_FAULT_INVALID, WD_FAULT_REFUSED);
	return group;
}

/**
 * wd_iommu_report_fault - a page request has arrived
 * @dev: device that sent it
 * @fault: the request
 *
 * The driver of the device's IOMMU calls this, and holds no lock that an operation needs. Only the
 * last request of a group gets an answer. It is INVALID if any request of the group had
 * WD_FAULT_BAD.
 *
 * Return: true if a handler has the request, or will get it with the last one of its group; false
 * otherwise. Then the driver writes it to its log of faults.
 */
bool wd_iommu_report_fault(struct device *dev, const struct wd_fault *fault)
{
	struct wd_device *device = wd_device_find(dev);
	bool taken;

	if (!device)
		return false;
	mutex_lock(&device->fault_lock);
	taken = wd_report_fault(device, fault);
	mutex_unlock(&device->fault_lock);
	wd_device_put(device);
	return taken;
}
EXPORT_SYMBOL_GPL(wd_iommu_report_fault);

static void wd_partial_drop_all(struct wd_device *device)
{
	struct wd_fault_request *partial, *next;

	mutex_lock(&device->fault_lock);
	list_for_each_entry_safe (partial, next, &device->partial, node)
		wd_partial_drop(device, partial);
	mutex_unlock(&device->fault_lock);
}

/* For a reset, after which the device knows none of its requests. It sends none now. */
void wd_faults_cancel(struct wd_device *device)
{
	wd_partial_drop_all(device);
	wd_fault_groups_cancel(device);
}

/**
 * wd_iommu_faults_cancel - a device is about to forget its page requests
 * @dev: device; it sends no page requests, and the driver has reported all earlier ones
 *
 * As in a reset: the layer answers INVALID to all groups, and later answers of their owners fail
 * with -ECANCELED.
 */
void wd_iommu_faults_cancel(struct device *dev)
{
	struct wd_device *device = wd_device_find(dev);

	if (!device)
		return;
	wd_faults_cancel(device);
	wd_device_put(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_faults_cancel);

/**
 * wd_iommu_faults_lost - page requests of a device may have been lost
 * @dev: device
 *
 * This drops incomplete groups: their last request may be lost, and the device sends their requests
 * again.
 */
void wd_iommu_faults_lost(struct device *dev)
{
	struct wd_device *device = wd_device_find(dev);

	if (!device)
		return;
	wd_partial_drop_all(device);
	wd_device_put(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_faults_lost);

/* --- handlers, with the device's lock held --- */

/*
 * This allocates before it takes fault_lock: an allocation may wait, and the thread of the page
 * request queue needs the lock.
 */
static int wd_handler_add(struct wd_device *device, ioasid_t pasid,
			  struct wd_fault_handler *handler)
{
	int ret;

	if (xa_load(&device->handlers, pasid))
		return -EBUSY;
	ret = xa_reserve(&device->handlers, pasid, GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	mutex_lock(&device->fault_lock);
	xa_store(&device->handlers, pasid, handler, 0);
	device->nr_handlers++;
	mutex_unlock(&device->fault_lock);
	return 0;
}

static void wd_handler_drop(struct wd_device *device, struct wd_fault_handler *handler)
{
	struct wd_fault_user *gone;

	spin_lock(&device->wait_lock);
	gone = wd_handler_put(handler);
	spin_unlock(&device->wait_lock);
	kvfree(gone);
}

/* Groups that the handler has not answered yet keep its structure. */
static bool wd_handler_remove(struct wd_device *device, ioasid_t pasid)
{
	struct wd_fault_handler *handler;

	mutex_lock(&device->fault_lock);
	handler = xa_erase(&device->handlers, pasid);
	if (handler) {
		device->nr_handlers--;
		wd_partial_drop_pasid(device, pasid);
	}
	mutex_unlock(&device->fault_lock);
	if (!handler)
		return false;
	wd_handler_drop(device, handler);
	return true;
}

/* Takes over @handler, also on failure. */
static int wd_register(struct wd_device *device, ioasid_t pasid, enum wd_fault_owner owner,
		       struct wd_fault_handler *handler)
{
	const struct wd_iommu_ops *ops = device->iommu->ops;
	int ret;

	lockdep_assert_held(&device->lock);
	if (!ops->fault_credits || !ops->faults_enable || !ops->faults_disable ||
	    !ops->faults_sync || !ops->page_response) {
		ret = -EOPNOTSUPP;
		goto err_drop;
	}
	if (!device->nr_handlers)
		wd_fault_groups_allow(device, ops->fault_credits(device->dev));
	ret = wd_user_join(device, handler, owner);
	if (ret)
		goto err_drop;
	ret = wd_handler_add(device, pasid, handler);
	if (ret)
		goto err_drop;
	if (device->nr_handlers > 1)
		return 0;
	ret = ops->faults_enable(device->dev);
	if (ret)
		wd_handler_remove(device, pasid);
	return ret;

err_drop:
	wd_handler_drop(device, handler);
	return ret;
}

/*
 * Without a handler the device must send no page requests. This answers all that are left, before a
 * new handler can switch page requests on again: the device would take a later answer of the owner
 * for an answer to a new request.
 */
static void wd_unregister(struct wd_device *device, ioasid_t pasid)
{
	lockdep_assert_held(&device->lock);
	if (!wd_handler_remove(device, pasid) || device->nr_handlers)
		return;
	device->iommu->ops->faults_disable(device->dev);
	wd_faults_cancel(device);
}

/* The device is being released: call its handlers no more, and drop later answers. */
void wd_faults_release(struct wd_device *device)
{
	struct wd_fault_handler *handler;
	unsigned long pasid;

	lockdep_assert_held(&device->lock);
	xa_for_each (&device->handlers, pasid, handler)
		wd_unregister(device, pasid);
	wd_fault_groups_silence(device);
}

/* As wd_iommu_register_fault_handler(), and with @take_back, see struct wd_fault_handler. */
int wd_fault_register(struct device *dev, ioasid_t pasid, enum wd_fault_owner owner,
		      wd_fault_handler_t handler, bool (*take_back)(struct wd_fault_group *group),
		      void *data)
{
	struct wd_fault_handler *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	struct wd_device *device;
	int ret;

	if (!fresh)
		return -ENOMEM;
	fresh->call = handler;
	fresh->take_back = take_back;
	fresh->data = data;
	fresh->users = 1;
	INIT_LIST_HEAD(&fresh->groups);
	device = wd_device_use(dev);
	if (!device) {
		kfree(fresh);
		return -ENODEV;
	}
	ret = wd_register(device, pasid, owner, fresh);
	wd_device_unuse(device);
	return ret;
}

/**
 * wd_iommu_register_fault_handler - receive the page requests of [device, PASID]
 * @dev: device
 * @pasid: PASID, or IOMMU_NO_PASID for requests without one
 * @owner: kind of the owner, which answers them
 * @handler: called for every complete group
 * @data: for @handler
 *
 * To be called before an address space that may fault is attached or bound. The handler uses the
 * share of the calling process's user, and memory for page requests is charged to that process.
 * The first handler of a device lets it send page requests.
 *
 * Return: 0; -ENODEV if @dev is not claimed; -EOPNOTSUPP if the device or its IOMMU has no page
 * requests; -EBUSY if (@dev, @pasid) has a handler; -ENOMEM; errors of the driver.
 */
int wd_iommu_register_fault_handler(struct device *dev, ioasid_t pasid, enum wd_fault_owner owner,
				    wd_fault_handler_t handler, void *data)
{
	return wd_fault_register(dev, pasid, owner, handler, NULL, data);
}
EXPORT_SYMBOL_GPL(wd_iommu_register_fault_handler);

/**
 * wd_iommu_change_fault_handler - replace the handler of [device, PASID]
 * @dev: device; may have been released meanwhile
 * @pasid: as given to wd_iommu_register_fault_handler()
 * @call: the new handler. NULL: the layer answers page requests as if there was no handler, but the
 *	device may still send them
 * @data: for @call
 *
 * The old handler gets all groups whose last request the IOMMU has received before this call. The
 * layer drops incomplete groups of the old handler: the device asks again for their pages. When this
 * returns no call of the old handler is running, and none will begin. The owner still has to answer
 * the groups that it got.
 */
void wd_iommu_change_fault_handler(struct device *dev, ioasid_t pasid, wd_fault_handler_t call,
				   void *data)
{
	struct wd_device *device = wd_device_use(dev);
	struct wd_fault_handler *handler;

	if (!device)
		return;
	/* It stays: handlers come and go with the device's lock held. */
	handler = xa_load(&device->handlers, pasid);
	if (handler) {
		device->iommu->ops->faults_sync(device->dev);
		mutex_lock(&device->fault_lock);
		wd_partial_drop_pasid(device, pasid);
		handler->call = call;
		handler->data = data;
		mutex_unlock(&device->fault_lock);
	}
	wd_device_unuse(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_change_fault_handler);

/**
 * wd_iommu_unregister_fault_handler - undo wd_iommu_register_fault_handler()
 * @dev: device; may have been released meanwhile, which has undone it
 * @pasid: as given then
 *
 * To be called after an address space that may fault is detached or unbound. When this returns no
 * call of the handler is running, and none will begin. The owner still has to give back the groups
 * that it got; if this was the last handler of the device, the layer has answered them INVALID. The
 * layer drops incomplete groups, and answers INVALID when their last request arrives.
 */
void wd_iommu_unregister_fault_handler(struct device *dev, ioasid_t pasid)
{
	struct wd_device *device = wd_device_use(dev);

	if (!device)
		return;
	wd_unregister(device, pasid);
	wd_device_unuse(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_unregister_fault_handler);
