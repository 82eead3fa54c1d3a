// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page requests of devices: collected to groups, and given to the handler of their [device, PASID].
 *
 * A group without a handler is answered INVALID. So is a group for which there is no memory, or no
 * credit (fault_group.c).
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommu_layer.h"

/* A request of an incomplete group. */
struct wd_partial_fault {
	struct list_head node;
	struct wd_fault fault;
};

void wd_faults_init(struct wd_device *device)
{
	mutex_init(&device->fault_lock);
	xa_init(&device->handlers);
	INIT_LIST_HEAD(&device->partial);
	wd_fault_groups_init(device);
}

/* A PASID of 0 in a request is the requester id's entry, as in the hardware. */
static ioasid_t wd_fault_pasid(const struct wd_fault *fault)
{
	return fault->flags & WD_FAULT_PASID_VALID ? fault->pasid : IOMMU_NO_PASID;
}

static bool wd_same_group(const struct wd_fault *a, const struct wd_fault *b)
{
	return a->grpid == b->grpid && wd_fault_pasid(a) == wd_fault_pasid(b);
}

/* --- collecting, with fault_lock held --- */

static void wd_partial_drop(struct wd_device *device, struct wd_partial_fault *partial)
{
	list_del(&partial->node);
	device->nr_partial--;
	kfree(partial);
}

/*
 * The oldest request makes room for a new one: its device is flooding, or does not end its groups.
 * The device repeats a forgotten request when its group has been answered.
 */
static bool wd_partial_add(struct wd_device *device, const struct wd_fault *fault)
{
	struct wd_partial_fault *partial;

	if (device->nr_partial >= WD_FAULT_MAX_PARTIAL)
		wd_partial_drop(device,
				list_first_entry(&device->partial, struct wd_partial_fault, node));
	partial = kmalloc(sizeof(*partial), GFP_KERNEL);
	if (!partial)
		return false;
	partial->fault = *fault;
	list_add_tail(&partial->node, &device->partial);
	device->nr_partial++;
	return true;
}

static void wd_partial_drop_pasid(struct wd_device *device, ioasid_t pasid)
{
	struct wd_partial_fault *partial, *next;

	list_for_each_entry_safe (partial, next, &device->partial, node)
		if (wd_fault_pasid(&partial->fault) == pasid)
			wd_partial_drop(device, partial);
}

static unsigned int wd_partial_count(struct wd_device *device, const struct wd_fault *last)
{
	struct wd_partial_fault *partial;
	unsigned int count = 0;

	list_for_each_entry (partial, &device->partial, node)
		count += wd_same_group(&partial->fault, last);
	return count;
}

/* Its requests leave the incomplete ones in any case. */
static void wd_group_collect(struct wd_device *device, const struct wd_fault *last,
			     struct wd_fault_group *group)
{
	struct wd_partial_fault *partial, *next;
	unsigned int count = 0;

	list_for_each_entry_safe (partial, next, &device->partial, node) {
		if (!wd_same_group(&partial->fault, last))
			continue;
		if (group)
			group->faults[count++] = partial->fault;
		wd_partial_drop(device, partial);
	}
	if (group)
		group->faults[count] = *last;
}

/* NULL: without memory, or one too many. */
static struct wd_fault_group *wd_group_make(struct wd_device *device, const struct wd_fault *last,
					    struct wd_fault_handler *handler)
{
	unsigned int count = wd_partial_count(device, last) + 1;
	struct wd_fault_group *group = kmalloc(struct_size(group, faults, count), GFP_KERNEL);

	wd_group_collect(device, last, group);
	if (!group)
		return NULL;
	INIT_LIST_HEAD(&group->node);
	group->dev = device->dev;
	group->data = handler->data;
	group->pasid = wd_fault_pasid(last);
	group->grpid = last->grpid;
	group->count = count;
	group->device = device;
	group->handler = handler;
	if (wd_group_admit(group))
		return group;
	kfree(group);
	return NULL;
}

static bool wd_report_fault(struct wd_device *device, const struct wd_fault *fault)
{
	struct wd_fault_handler *handler = xa_load(&device->handlers, wd_fault_pasid(fault));
	struct wd_fault_group *group = NULL;

	lockdep_assert_held(&device->fault_lock);
	if (handler && !handler->call)
		handler = NULL;
	if (!(fault->flags & WD_FAULT_LAST_PAGE))
		return handler && wd_partial_add(device, fault);
	if (handler)
		group = wd_group_make(device, fault, handler);
	if (group)
		handler->call(group);
	else
		wd_fault_answer(device, fault, WD_FAULT_INVALID,
				handler ? WD_FAULT_REFUSED : WD_FAULT_COUNTS);
	return group;
}

/**
 * wd_iommu_report_fault - a page request has arrived
 * @dev: device that sent it
 * @fault: the request
 *
 * Called by the driver of the device's IOMMU with no lock held that an operation needs. Only the
 * last request of a group is answered.
 *
 * Return: true if a handler has the request, or gets it with the last one of its group; false if
 * there is no handler: the driver enters it in its log of faults.
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
	struct wd_partial_fault *partial, *next;

	mutex_lock(&device->fault_lock);
	list_for_each_entry_safe (partial, next, &device->partial, node)
		wd_partial_drop(device, partial);
	mutex_unlock(&device->fault_lock);
}

/* A reset: the device forgets its requests, and begins anew. It sends none now. */
void wd_faults_cancel(struct wd_device *device)
{
	wd_partial_drop_all(device);
	wd_fault_groups_cancel(device);
}

/**
 * wd_iommu_faults_cancel - a device is about to forget its page requests
 * @dev: device; it sends no page requests, and all that it has sent have been reported
 *
 * As in a reset: groups are answered INVALID, and the late answers of their owners get -ECANCELED.
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
 * Incomplete groups are forgotten: their last request may be the lost one, and the device begins
 * anew.
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
 * The thread of the page request queue waits for fault_lock: allocate, which may wait, before
 * taking it.
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

/* Groups that it has are still to be answered, and keep it. */
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
	spin_lock(&device->wait_lock);
	wd_handler_put(handler);
	spin_unlock(&device->wait_lock);
	return true;
}

static int wd_register(struct wd_device *device, ioasid_t pasid, struct wd_fault_handler *handler)
{
	const struct wd_iommu_ops *ops = device->iommu->ops;
	int ret;

	lockdep_assert_held(&device->lock);
	if (!ops->fault_credits || !ops->faults_enable || !ops->faults_disable ||
	    !ops->page_response) {
		ret = -EOPNOTSUPP;
		goto err_free;
	}
	if (!device->nr_handlers)
		wd_fault_groups_allow(device, ops->fault_credits(device->dev));
	ret = wd_handler_add(device, pasid, handler);
	if (ret)
		goto err_free;
	if (device->nr_handlers > 1)
		return 0;
	ret = ops->faults_enable(device->dev);
	if (ret)
		wd_handler_remove(device, pasid);
	return ret;

err_free:
	kfree(handler);
	return ret;
}

/*
 * With the last handler the device stops asking. It has all its answers before the next one lets it
 * ask again: those that an owner gives later would be taken for answers to new requests.
 */
static void wd_unregister(struct wd_device *device, ioasid_t pasid)
{
	lockdep_assert_held(&device->lock);
	if (!wd_handler_remove(device, pasid) || device->nr_handlers)
		return;
	device->iommu->ops->faults_disable(device->dev);
	wd_faults_cancel(device);
}

/* The device is being released: its handlers are called no more, and answers go nowhere. */
void wd_faults_release(struct wd_device *device)
{
	struct wd_fault_handler *handler;
	unsigned long pasid;

	lockdep_assert_held(&device->lock);
	xa_for_each (&device->handlers, pasid, handler)
		wd_unregister(device, pasid);
	wd_fault_groups_silence(device);
}

/**
 * wd_iommu_register_fault_handler - take the page requests of [device, PASID]
 * @dev: device
 * @pasid: PASID, or IOMMU_NO_PASID for requests without one
 * @owner: kind of party that answers
 * @handler: called for every complete group
 * @data: for @handler
 *
 * To be called before an address space that may fault is attached or bound. The first handler of a
 * device lets it send page requests.
 *
 * Return: 0; -ENODEV if @dev is not claimed; -EOPNOTSUPP if the device or its IOMMU has no page
 * requests; -EBUSY if (@dev, @pasid) has a handler; -ENOMEM; errors of the driver.
 */
int wd_iommu_register_fault_handler(struct device *dev, ioasid_t pasid, enum wd_fault_owner owner,
				    wd_fault_handler_t handler, void *data)
{
	struct wd_fault_handler *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	struct wd_device *device;
	int ret;

	if (!fresh)
		return -ENOMEM;
	fresh->call = handler;
	fresh->data = data;
	fresh->owner = owner;
	fresh->users = 1;
	INIT_LIST_HEAD(&fresh->groups);
	device = wd_device_use(dev);
	if (!device) {
		kfree(fresh);
		return -ENODEV;
	}
	ret = wd_register(device, pasid, fresh);
	wd_device_unuse(device);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_register_fault_handler);

/**
 * wd_iommu_change_fault_handler - another handler for [device, PASID]
 * @dev: device; may have been released meanwhile
 * @pasid: as given to wd_iommu_register_fault_handler()
 * @call: in the place of the handler given then; NULL: page requests are answered from now on as if
 *	there was no handler, but the device may send them
 * @data: for @call
 *
 * When it returns no call of the old handler is running, and none begins. Groups that it got are
 * still to be answered.
 */
void wd_iommu_change_fault_handler(struct device *dev, ioasid_t pasid, wd_fault_handler_t call,
				   void *data)
{
	struct wd_device *device = wd_device_use(dev);
	struct wd_fault_handler *handler;

	if (!device)
		return;
	mutex_lock(&device->fault_lock);
	handler = xa_load(&device->handlers, pasid);
	if (handler) {
		handler->call = call;
		handler->data = data;
	}
	mutex_unlock(&device->fault_lock);
	wd_device_unuse(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_change_fault_handler);

/**
 * wd_iommu_unregister_fault_handler - undo wd_iommu_register_fault_handler()
 * @dev: device; may have been released meanwhile, which has undone it
 * @pasid: as given then
 *
 * To be called after an address space that may fault is detached or unbound. When it returns no
 * call of the handler is running, and none begins. Groups that the handler got are still to be
 * answered, and the device has been told INVALID if it was its last handler; incomplete ones are
 * forgotten, and INVALID when their last request arrives.
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
