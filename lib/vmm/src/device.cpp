// SPDX-License-Identifier: Apache-2.0
#include "vmm/device.h"

#include <optional>

namespace wd::vmm
{

QueueDevice::QueueDevice(Queue &queue, const Iommufd &iommufd)
	: queue_(queue),
	  id_(queue.bind(iommufd))
{
}

uint32_t QueueDevice::attach(const Hwpt &table, uint32_t)
{
	return queue_.attach(table, queue_.pasid());
}

void QueueDevice::detach(uint32_t) noexcept
{
	try {
		if (queue_.pasid())
			queue_.detach();
	} catch (const Error &) {
		/* The device is gone, and the attachment with it. */
	}
}

namespace
{

/** PASID 0 stands for the requester id, in page faults as in PASID tables. */
std::optional<uint32_t> pasidOf(uint32_t pasid)
{
	return pasid ? std::optional(pasid) : std::nullopt;
}

} // namespace

FunctionDevice::FunctionDevice(Function &function, const Iommufd &iommufd) : function_(function)
{
	function.bind(iommufd);
}

uint32_t FunctionDevice::attach(const Hwpt &table, uint32_t pasid)
{
	function_.attach(table, pasidOf(pasid));
	return pasid;
}

void FunctionDevice::detach(uint32_t hostPasid) noexcept
{
	try {
		function_.detach(pasidOf(hostPasid));
	} catch (const Error &) {
		/* The function is gone, and the attachment with it. */
	}
}

} // namespace wd::vmm
