// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices without an IOMMU, whose requests reach physical memory as they are (IOMMUFD-NOIOMMU-1,
 * IOMMUFD-NOIOMMU-2). Their driver has decided that the user may have such a device.
 *
 * Nothing translates for such a device, so an attachment is only noted. But an IOAS that it is
 * attached to has a page table all the same, so that mapped memory is pinned: the table stores
 * nothing. User space asks for the physical addresses, and gives these to the device.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/limits.h>
#include <linux/slab.h>

#include "iommufd_private.h"
#include "trace.h"

static int noiommu_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr,
			     size_t pgsize, size_t pgcount, int prot, gfp_t gfp, size_t *mapped)
{
	*mapped = pgsize * pgcount;
	return 0;
}

static size_t noiommu_unmap_pages(struct iommu_domain *domain, unsigned long iova, size_t pgsize,
				  size_t pgcount, struct iommu_iotlb_gather *gather)
{
	return pgsize * pgcount;
}

static phys_addr_t noiommu_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	return 0;
}

static void noiommu_free(struct iommu_domain *domain)
{
	kfree(domain);
}

static const struct iommu_domain_ops noiommu_ops = {
	.map_pages = noiommu_map_pages,
	.unmap_pages = noiommu_unmap_pages,
	.iova_to_phys = noiommu_iova_to_phys,
	.free = noiommu_free,
};

bool iommufd_domain_is_noiommu(const struct iommu_domain *domain)
{
	return domain->ops == &noiommu_ops;
}

/* A table that stores nothing. Return: ERR_PTR(-ENOMEM) */
struct iommu_domain *iommufd_noiommu_domain_alloc(void)
{
	struct iommu_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);

	if (!domain)
		return ERR_PTR(-ENOMEM);
	domain->type = IOMMU_DOMAIN_UNMANAGED;
	domain->ops = &noiommu_ops;
	domain->pgsize_bitmap = PAGE_MASK;
	domain->geometry.aperture_end = ULONG_MAX;
	domain->geometry.force_aperture = true;
	return domain;
}

static bool iopt_has_noiommu(struct io_pagetable *iopt)
{
	struct iopt_domain *link;

	list_for_each_entry (link, &iopt->domains, item)
		if (iommufd_domain_is_noiommu(link->domain))
			return true;
	return false;
}

/* Find the memory of a filled area at @iova, and how much of it is contiguous. */
static int iopt_area_phys(const struct iopt_area *area, unsigned long iova, unsigned long *length,
			  phys_addr_t *phys)
{
	const unsigned long byte = area->start_byte + (iova - area->node.start);
	const unsigned long offset = offset_in_page(byte);
	struct iopt_pages *pages = area->pages;
	struct iopt_run_iter iter;
	int rc = 0;

	mutex_lock(&pages->mutex);
	iopt_run_first(&iter, pages, byte >> PAGE_SHIFT, iopt_area_last_index(area));
	if (pages->revoked) {
		/* Only now. */
		rc = -EINVAL;
	} else if (!iopt_run_next(&iter)) {
		rc = -ENOENT;
	} else {
		*phys = PFN_PHYS((phys_addr_t)iter.pfn) + offset;
		*length = min3(*length, (iter.npages << PAGE_SHIFT) - offset,
			       area->node.last - iova + 1);
	}
	mutex_unlock(&pages->mutex);
	return rc;
}

static int iopt_get_phys(struct io_pagetable *iopt, unsigned long iova, unsigned long *length,
			 phys_addr_t *phys)
{
	struct interval_tree_node *node;
	struct iopt_area *area;
	int rc = -ENOENT;

	/* No area changes while this holds domains_rwsem for writing. */
	down_write(&iopt->domains_rwsem);
	mutex_lock(&iopt->iova_lock);
	node = interval_tree_iter_first(&iopt->areas, iova, iova);
	mutex_unlock(&iopt->iova_lock);
	if (!node)
		goto out;
	area = container_of(node, struct iopt_area, node);
	if (area->busy)
		goto out;
	if (READ_ONCE(area->pages->revoked))
		rc = -EINVAL;
	else if (!iopt_has_noiommu(iopt))
		rc = -EOPNOTSUPP;
	else if (area->filled)
		rc = iopt_area_phys(area, iova, length, phys);
out:
	up_write(&iopt->domains_rwsem);
	return rc;
}

/* IOMMUFD-NOIOMMU-2 */
int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_noiommu_get_pa *cmd = ucmd->cmd;
	unsigned long length;
	struct iommufd_ioas *ioas;
	phys_addr_t phys = 0;
	int rc;

	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (cmd->iova >= ULONG_MAX)
		return -EOVERFLOW;
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	length = min_t(u64, cmd->length, ULONG_MAX);
	rc = iopt_get_phys(&ioas->iopt, cmd->iova, &length, &phys);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	if (rc)
		return rc;
	cmd->length = length;
	cmd->out_phys = phys;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
