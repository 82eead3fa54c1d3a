// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that a dead IOMMU may still use. The driver takes bus mastering from the functions of a
 * dead IOMMU. Beyond that, the owner of memory that the IOMMU may reach keeps it for ever and
 * counts it.
 */
#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/sysfs.h>

#include <asm/barrier.h>

#include "iommu_layer.h"

static atomic_long_t wd_leaked_pages = ATOMIC_LONG_INIT(0);
/* Set when the first domain is lost. Until then wd_iommu_domain_lost() needs no lookup. */
static bool wd_any_lost;

/**
 * wd_iommu_domain_set_lost - an IOMMU did not complete an invalidation of a domain
 * @domain: announced domain, not yet released
 *
 * The driver calls this before the operation returns that needed the invalidation. Any context.
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
 * wd_iommu_domain_lost - must memory that was mapped in a domain be kept?
 * @domain: any domain of the caller
 *
 * To be called after memory is unmapped and before it is given back. Any context. Costs one read as
 * long as no IOMMU has failed.
 *
 * Return: true if a dead IOMMU may still use the memory. Then the caller keeps it, and calls
 * wd_iommu_leaked() for its pages.
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

/* One number for all IOMMUs, since a domain may have been attached on several. */
static ssize_t leaked_pages_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&wd_leaked_pages));
}
DEVICE_ATTR_RO(leaked_pages);
