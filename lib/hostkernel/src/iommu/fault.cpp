// SPDX-License-Identifier: GPL-2.0-only
/* LINUX-FAULT-1: the fault handler of a domain. kernel/iommu has the handlers of devices. */
#include <hosted/test_hooks.h>
#include <linux/iommu.h>

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
