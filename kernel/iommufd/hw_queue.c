// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues that the hardware reads by itself, in memory of the virtual machine (IOMMUFD-QUEUE-1). While
 * a queue exists its memory is pinned, and the mapping stays. A queue depends on the one before it.
 */
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "iommu_viommu.h"
#include "iommufd_private.h"

/* Most bytes of a queue. */
#define IOMMUFD_MAX_QUEUE SZ_64M

/**
 * struct iommufd_hw_queue - queue of the hardware
 * @obj: first member; one user for the queue after it
 * @viommu: its virtual IOMMU, held
 * @index: its number there
 * @first: first address of its pages in the nesting parent
 * @last: last one
 */
struct iommufd_hw_queue {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	u32 index;
	unsigned long first;
	unsigned long last;
};

static struct io_pagetable *iommufd_hw_queue_iopt(struct iommufd_viommu *viommu)
{
	return &viommu->parent->ioas->iopt;
}

/* The physical address of pages that are one after the other, or -EFAULT. */
static int iommufd_contiguous(struct page **pages, unsigned long npages, phys_addr_t *phys)
{
	unsigned long i;

	for (i = 1; i < npages; i++)
		if (page_to_pfn(pages[i]) != page_to_pfn(pages[0]) + i)
			return -EFAULT;
	*phys = page_to_phys(pages[0]);
	return 0;
}

static int iommufd_hw_queue_pin(struct iommufd_hw_queue *queue, phys_addr_t *phys)
{
	struct io_pagetable *iopt = iommufd_hw_queue_iopt(queue->viommu);
	unsigned long npages = ((queue->last - queue->first) >> PAGE_SHIFT) + 1;
	struct page **pages;
	int rc;

	if (queue->last - queue->first >= IOMMUFD_MAX_QUEUE)
		return -ENOMEM;
	pages = kvmalloc_array(npages, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	rc = iopt_want_whole_pages(iopt);
	if (rc)
		goto out_free;
	rc = iopt_access_pin(iopt, queue->first, queue->last, false, true, pages);
	if (rc)
		goto err_pages;
	rc = iommufd_contiguous(pages, npages, phys);
	if (!rc)
		goto out_free;
	iopt_access_unpin(iopt, queue->first, queue->last, true);
err_pages:
	iopt_want_no_whole_pages(iopt);
out_free:
	kvfree(pages);
	return rc;
}

static void iommufd_hw_queue_unpin(struct iommufd_hw_queue *queue)
{
	struct io_pagetable *iopt = iommufd_hw_queue_iopt(queue->viommu);

	iopt_access_unpin(iopt, queue->first, queue->last, true);
	iopt_want_no_whole_pages(iopt);
}

/* Give the queue to the hardware. The queue before it must be there, and stays. */
static int iommufd_hw_queue_start(struct iommufd_hw_queue *queue, phys_addr_t phys, size_t length)
{
	struct iommufd_viommu *viommu = queue->viommu;
	struct iommufd_hw_queue *before = NULL;
	int rc;

	mutex_lock(&viommu->queues_lock);
	if (queue->index) {
		before = xa_load(&viommu->queues, queue->index - 1);
		if (!before || !iommufd_hold_object(viommu->ictx, &before->obj)) {
			rc = -EIO;
			goto out_unlock;
		}
	}
	rc = xa_insert(&viommu->queues, queue->index, queue, GFP_KERNEL_ACCOUNT);
	if (rc == -EBUSY)
		rc = -EEXIST;
	if (rc)
		goto out_put;
	rc = wd_viommu_queue_add(viommu->viommu, queue->index, phys, length);
	if (rc)
		xa_erase(&viommu->queues, queue->index);
	else if (before)
		iommufd_object_use(&before->obj);
out_put:
	if (before)
		iommufd_put_object(viommu->ictx, &before->obj);
out_unlock:
	mutex_unlock(&viommu->queues_lock);
	return rc;
}

void iommufd_hw_queue_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_hw_queue *queue = container_of(obj, struct iommufd_hw_queue, obj);
	struct iommufd_viommu *viommu = queue->viommu;
	struct iommufd_hw_queue *before;

	mutex_lock(&viommu->queues_lock);
	wd_viommu_queue_remove(viommu->viommu, queue->index);
	xa_erase(&viommu->queues, queue->index);
	before = queue->index ? xa_load(&viommu->queues, queue->index - 1) : NULL;
	mutex_unlock(&viommu->queues_lock);
	iommufd_hw_queue_unpin(queue);
	/* This one is a user of it, so it is still there. */
	if (before)
		iommufd_object_unuse(&before->obj);
	iommufd_object_unuse(&viommu->obj);
}

static int iommufd_hw_queue_create(struct iommufd_ucmd *ucmd, struct iommufd_viommu *viommu,
				   unsigned long last)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	struct iommufd_hw_queue *queue;
	phys_addr_t phys = 0;
	int rc;

	queue = iommufd_object_alloc(ucmd->ictx, queue, obj, IOMMUFD_OBJ_HW_QUEUE);
	if (IS_ERR(queue))
		return PTR_ERR(queue);
	queue->viommu = viommu;
	queue->index = cmd->index;
	queue->first = cmd->nesting_parent_iova & PAGE_MASK;
	queue->last = last | ~PAGE_MASK;
	rc = iommufd_hw_queue_pin(queue, &phys);
	if (rc)
		goto err_abort;
	rc = cmd->index < wd_viommu_nr_queues(viommu->viommu) ? 0 : -EINVAL;
	if (rc)
		goto err_unpin;
	rc = iommufd_hw_queue_start(queue, phys + offset_in_page(cmd->nesting_parent_iova),
				    cmd->length);
	if (rc)
		goto err_unpin;
	iommufd_object_use(&viommu->obj);
	ucmd->new_obj = &queue->obj;
	cmd->out_hw_queue_id = queue->obj.id;
	return 0;

err_unpin:
	iommufd_hw_queue_unpin(queue);
err_abort:
	iommufd_object_abort(ucmd->ictx, &queue->obj);
	return rc;
}

/* IOMMUFD-QUEUE-1 */
int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_object *obj;
	unsigned long last;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	rc = iopt_range_last(cmd->nesting_parent_iova, cmd->length, &last);
	if (rc)
		return rc;
	obj = iommufd_get_object(ucmd->ictx, cmd->viommu_id, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	viommu = container_of(obj, struct iommufd_viommu, obj);
	rc = wd_viommu_has_queues(viommu->viommu, cmd->type)
		     ? iommufd_hw_queue_create(ucmd, viommu, last)
		     : -EOPNOTSUPP;
	iommufd_put_object(ucmd->ictx, obj);
	return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
