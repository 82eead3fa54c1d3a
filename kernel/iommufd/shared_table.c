// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables in the IOMMU layer, shared by HWPTs. All HWPTs of an IOAS have the same mappings. If
 * the IOMMU driver would make equal tables for two of them, they share one table. So its memory,
 * its domain identifier and the work to map and unmap exist once, for any number of HWPTs.
 */
#include <linux/err.h>
#include <linux/slab.h>

#include "iommu_pasid.h"
#include "iommufd_private.h"

/* An IOAS rarely has more kinds of tables; a search of a long list would be slow. */
#define IOMMUFD_TABLE_LOOKS 8

static struct iommu_domain *iommufd_alloc_domain(struct iommufd_device *idev, u32 flags,
						 const struct wd_user_data *data, bool *coherent)
{
	struct iommu_domain *domain;

	*coherent = false;
	if (iommufd_device_is_noiommu(idev))
		return flags || data ? ERR_PTR(-EOPNOTSUPP) : iommufd_noiommu_domain_alloc();
	domain = wd_iommu_domain_alloc_user(idev->dev, flags, data);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	/*
	 * If the IOMMU can make no-snoop requests coherent, it does so for the life of the domain.
	 */
	*coherent = !IS_ERR(domain) && domain->ops->enforce_cache_coherency &&
		    domain->ops->enforce_cache_coherency(domain);
	return domain;
}

static bool iommufd_table_serves(struct iommufd_table *table, struct iommufd_device *idev,
				 u32 flags)
{
	if (iommufd_device_is_noiommu(idev))
		return iommufd_domain_is_noiommu(table->domain) && !flags;
	return !iommufd_domain_is_noiommu(table->domain) &&
	       wd_iommu_domain_serves(table->domain, idev->dev, flags);
}

/* IOMMUFD-HWPT-6: find a filled table equal to a new one, and add a user to it; or NULL. */
static struct iommufd_table *iommufd_table_find(struct iommufd_ioas *ioas,
						struct iommufd_device *idev, u32 flags)
{
	struct iommufd_table *table, *found = NULL;
	unsigned int looks = IOMMUFD_TABLE_LOOKS;

	mutex_lock(&ioas->tables_lock);
	list_for_each_entry (table, &ioas->tables, item) {
		if (!looks--)
			break;
		if (!iommufd_table_serves(table, idev, flags))
			continue;
		table->users++;
		found = table;
		break;
	}
	mutex_unlock(&ioas->tables_lock);
	return found;
}

/**
 * iommufd_table_get() - find or make a page table for a HWPT
 * @ioas: the IOAS that it follows, held by the caller
 * @idev: device; the table is for its IOMMU
 * @flags: enum iommufd_hwpt_alloc_flags
 * @data: the user's description of the table, which nobody else shares then; or NULL
 *
 * Return: the table, which may have to be filled; ERR_PTR(-EOPNOTSUPP, -ENOMEM, ...)
 */
struct iommufd_table *iommufd_table_get(struct iommufd_ioas *ioas, struct iommufd_device *idev,
					u32 flags, const struct wd_user_data *data)
{
	struct iommufd_table *table = data ? NULL : iommufd_table_find(ioas, idev, flags);
	struct iommu_domain *domain;

	if (table)
		return table;
	table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	domain = iommufd_alloc_domain(idev, flags, data, &table->coherent);
	if (IS_ERR(domain)) {
		kfree(table);
		return ERR_CAST(domain);
	}
	table->domain = domain;
	table->users = 1;
	INIT_LIST_HEAD(&table->item);
	return table;
}

/**
 * iommufd_table_fill() - let a page table follow its IOAS
 * @ioas: the IOAS
 * @table: as from iommufd_table_get(); later HWPTs find it and share it
 *
 * Return: 0, or errors of iopt_add_domain()
 */
int iommufd_table_fill(struct iommufd_ioas *ioas, struct iommufd_table *table)
{
	int rc;

	if (table->filled)
		return 0;
	rc = iopt_add_domain(&ioas->iopt, &table->link, table->domain);
	if (rc)
		return rc;
	table->filled = true;
	mutex_lock(&ioas->tables_lock);
	list_add(&table->item, &ioas->tables);
	mutex_unlock(&ioas->tables_lock);
	return 0;
}

/* Undo iommufd_table_get(). The HWPT is no longer attached. */
void iommufd_table_put(struct iommufd_ioas *ioas, struct iommufd_table *table)
{
	bool last;

	mutex_lock(&ioas->tables_lock);
	last = !--table->users;
	if (last)
		list_del(&table->item);
	mutex_unlock(&ioas->tables_lock);
	if (!last)
		return;
	if (table->filled)
		iopt_remove_domain(&ioas->iopt, &table->link);
	iommu_domain_free(table->domain);
	kfree(table);
}
