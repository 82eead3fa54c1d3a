// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that a dead IOMMU may use for ever. Its functions have no bus mastering any more; and
 * memory that the IOMMU may still reach is not given to others, but kept and counted.
 */
#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/sysfs.h>

#include <asm/barrier.h>

#include "iommu_layer.h"

static atomic_long_t wd_leaked_pages = ATOMIC_LONG_INIT(0);
/* Some domain is lost, or was: until then no lookup is needed. */
static bool wd_any_lost;

/**
 * wd_iommu_domain_set_lost - an IOMMU could not be made to forget a domain
 * @domain: announced domain, not yet released
 *
 * For drivers, in any context: before the call returns that was to make it forget.
 */
void wd_iommu_domain_set_lost(struct iommu_domain *domain)
{
	struct wd_domain *known = wd_domain_peek(domain);

	if (!known)
		return;
	WRITE_ONCE(known->lost, true);
	smp_store_release(&wd_any_lost, true);
}
EXPORT_SYMBOL_GPL(wd_iommu_domain_set_lost);

/**
 * wd_iommu_domain_lost - whether memory that was mapped in a domain must be kept
 * @domain: domain of the caller's, any
 *
 * To be asked after memory was unmapped, and before it is given back. Any context. Costs one read
 * as long as no IOMMU has failed.
 *
 * Return: true if some IOMMU may use for ever memory that was mapped; call wd_iommu_leaked() for
 * the pages that are kept therefore.
 */
bool wd_iommu_domain_lost(struct iommu_domain *domain)
{
	struct wd_domain *known;

	if (likely(!smp_load_acquire(&wd_any_lost)))
		return false;
	known = wd_domain_peek(domain);
	return known && READ_ONCE(known->lost);
}
EXPORT_SYMBOL_GPL(wd_iommu_domain_lost);

/**
 * wd_iommu_leaked - count memory that is kept for good
 * @pages: number of pages
 */
void wd_iommu_leaked(unsigned long pages)
{
	atomic_long_add(pages, &wd_leaked_pages);
}
EXPORT_SYMBOL_GPL(wd_iommu_leaked);

/* Of all IOMMUs: a domain may have been on several. */
static ssize_t leaked_pages_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&wd_leaked_pages));
}
DEVICE_ATTR_RO(leaked_pages);
