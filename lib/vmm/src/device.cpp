// SPDX-License-Identifier: Apache-2.0
#include "vmm/device.hpp"

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

} // namespace wd::vmm
