// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults: the handler of a domain (LINUX-FAULT-1), and the handler of a device with its pending
 * page requests (LINUX-FAULT-2).
 *
 * Lock order: dev_iommu::lock (handler registration), then iommu_fault_param::lock (pending
 * requests; the handler runs under dev_iommu::lock).
 */
#include <linux/iommu.h>

#include <linux/bug.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <cstddef>

namespace
{

class Locked
{
public:
	explicit Locked(mutex &m) : mutex_(m) { mutex_lock(&mutex_); }
	~Locked() { mutex_unlock(&mutex_); }
	Locked(const Locked &) = delete;
	Locked &operator=(const Locked &) = delete;

private:
	mutex &mutex_;
};

bool awaitsResponse(const iommu_fault &fault)
{
	return fault.type == IOMMU_FAULT_PAGE_REQ &&
	       (fault.prm.flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE);
}

iommu_fault_event *eventOf(list_head *entry)
{
	return reinterpret_cast<iommu_fault_event *>(reinterpret_cast<char *>(entry) -
						     offsetof(iommu_fault_event, list));
}

/* The pending request that @msg answers, by group and PASID. */
iommu_fault_event *findRequest(iommu_fault_param *param, const struct iommu_page_response *msg)
{
	const bool hasPasid = msg->flags & IOMMU_PAGE_RESP_PASID_VALID;

	for (list_head *entry = param->faults.next; entry != &param->faults; entry = entry->next) {
		iommu_fault_event *event = eventOf(entry);
		const auto &request = event->fault.prm;

		if (request.grpid != msg->grpid)
			continue;
		const bool needsPasid = request.flags & IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID;

		if (needsPasid && (!hasPasid || msg->pasid != request.pasid))
			continue;
		return event;
	}
	return nullptr;
}

} // namespace

void iommu_set_fault_handler(iommu_domain *domain, iommu_fault_handler_t handler, void *token)
{
	domain->handler = handler;
	domain->handler_token = token;
}

int report_iommu_fault(iommu_domain *domain, device *dev, unsigned long iova, int flags)
{
	return domain->handler ? domain->handler(domain, dev, iova, flags, domain->handler_token)
			       : -ENOSYS;
}

int iommu_register_device_fault_handler(device *dev, iommu_dev_fault_handler_t handler, void *data)
{
	dev_iommu *param = dev->iommu;

	if (!param)
		return -EINVAL;
	Locked lock(param->lock);

	if (param->fault_param)
		return -EBUSY;
	auto *fault =
		static_cast<iommu_fault_param *>(kzalloc(sizeof(*param->fault_param), GFP_KERNEL));

	if (!fault)
		return -ENOMEM;
	get_device(dev);
	fault->handler = handler;
	fault->data = data;
	mutex_init(&fault->lock);
	INIT_LIST_HEAD(&fault->faults);
	param->fault_param = fault;
	return 0;
}

int iommu_unregister_device_fault_handler(device *dev)
{
	dev_iommu *param = dev->iommu;

	if (!param)
		return -EINVAL;
	{
		Locked lock(param->lock);

		if (!param->fault_param)
			return 0;
		if (!list_empty(&param->fault_param->faults))
			return -EBUSY;
		kfree(param->fault_param);
		param->fault_param = nullptr;
	}
	put_device(dev);
	return 0;
}

int iommu_report_device_fault(device *dev, iommu_fault_event *evt)
{
	dev_iommu *param = dev->iommu;
	iommu_fault_event *pending = nullptr;

	if (!param || !evt)
		return -EINVAL;
	Locked lock(param->lock);
	iommu_fault_param *fault = param->fault_param;

	if (!fault || !fault->handler)
		return -EINVAL;
	if (awaitsResponse(evt->fault)) {
		pending = static_cast<iommu_fault_event *>(kmemdup(evt, sizeof(*evt), GFP_KERNEL));
		if (!pending)
			return -ENOMEM;
		Locked listLock(fault->lock);

		list_add_tail(&pending->list, &fault->faults);
	}
	const int rc = fault->handler(&evt->fault, fault->data);

	if (rc && pending) {
		Locked listLock(fault->lock);

		list_del(&pending->list);
		kfree(pending);
	}
	return rc;
}

int iommu_page_response(device *dev, struct iommu_page_response *msg)
{
	dev_iommu *param = dev->iommu;

	if (!param || !param->fault_param)
		return -EINVAL;
	const iommu_ops *ops = dev_iommu_ops(dev);

	if (!ops->page_response)
		return -ENODEV;
	if (msg->version != IOMMU_PAGE_RESP_VERSION_1 ||
	    (msg->flags & ~static_cast<u32>(IOMMU_PAGE_RESP_PASID_VALID)))
		return -EINVAL;
	Locked lock(param->fault_param->lock);
	iommu_fault_event *event = findRequest(param->fault_param, msg);

	if (!event)
		return -EINVAL;
	/* A PASID that was only there to be matched is not sent back. */
	if (!(event->fault.prm.flags & IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID)) {
		msg->flags &= ~static_cast<u32>(IOMMU_PAGE_RESP_PASID_VALID);
		msg->pasid = 0;
	}
	const int rc = ops->page_response(dev, event, msg);

	list_del(&event->list);
	kfree(event);
	return rc;
}
