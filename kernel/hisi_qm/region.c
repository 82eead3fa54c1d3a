// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of a queue file in the address space of its user (QM-UACCE-3): doorbells, rings, memory
 * for physical addresses.
 *
 * A user names a region by the file offset 0, 1 or 2. At mmap() the driver gives the VMA another
 * offset, far from these and different for each region, and for the doorbells of each queue. So it
 * finds a page by its offset, even if the VMA was split, and can revoke the doorbells of one queue.
 *
 * The driver inserts pages one by one, on page faults. For doorbells it does so only while the
 * device is there. If mmap() inserted them, a revocation could run before the VMA is in the file's
 * tree, and miss them. For memory it does so also after the device has gone. remap_pfn_range() in
 * mmap() would be no good here: if it runs out of memory half-way, Linux 6.1 prints a warning
 * (VM_PAT).
 */
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pci.h>

#include <misc/uacce/uacce.h>

#include "compat.h"
#include "queue.h"

/* The offset of region n is n + 1 times this, in pages. */
#define WD_REGION_PAGES 0x10000000ul
/* Pages of the doorbells of a queue. */
#define WD_DOORBELL_PAGES (QM_DB_WINDOW / PAGE_SIZE)

static unsigned long qm_region_pgoff(struct qm_queue *queue, unsigned int region)
{
	unsigned long pgoff = (region + 1) * WD_REGION_PAGES;

	if (region == UACCE_QFRT_MMIO)
		pgoff += queue->qp->id * WD_DOORBELL_PAGES;
	return pgoff;
}

/**
 * qm_queue_revoke_doorbells() - let an access to the doorbells raise SIGBUS from now on
 * @queue: locked, dead
 *
 * The addresses may soon belong to another device, or to another owner of the queue.
 */
void qm_queue_revoke_doorbells(struct qm_queue *queue)
{
	lockdep_assert_held(&queue->lock);
	if (!queue->mapping)
		return;
	unmap_mapping_range(queue->mapping,
			    (loff_t)qm_region_pgoff(queue, UACCE_QFRT_MMIO) << PAGE_SHIFT,
			    QM_DB_WINDOW, 1);
}

/*
 * A page of the queue's window. The page of its words takes the place of one that has no doorbell.
 */
static unsigned long qm_doorbell_pfn(struct qm_qp *qp, unsigned long page)
{
	struct qm *qm = qp->qm;
	phys_addr_t at;

	if (page >= WD_DOORBELL_PAGES)
		return 0;
	if (qm->words && page == QM_WORDS_IN_REGION >> PAGE_SHIFT)
		at = qm->words_start + (phys_addr_t)qp->id * QM_WORDS_PAGE;
	else
		at = pci_resource_start(qm->pdev, 4) + (phys_addr_t)qp->id * QM_DB_WINDOW +
		     (page << PAGE_SHIFT);
	return PHYS_PFN(at);
}

/* Return: the page frame number of a page of a region; 0 if there is none. */
static unsigned long qm_region_pfn(struct qm_queue *queue, unsigned int region, unsigned long page)
{
	lockdep_assert_held(&queue->qp->lock);
	switch (region) {
	case UACCE_QFRT_MMIO:
		return queue->dead ? 0 : qm_doorbell_pfn(queue->qp, page);
	case UACCE_QFRT_DUS:
		return qm_dus_pfn(queue->qp, page);
	default:
		return qm_ss_pfn(queue->ss, page);
	}
}

static vm_fault_t qm_region_fault(struct vm_fault *vmf)
{
	struct qm_queue *queue = vmf->vma->vm_file->private_data;
	unsigned int region = vmf->pgoff / WD_REGION_PAGES - 1;
	unsigned long page = vmf->pgoff - qm_region_pgoff(queue, region);
	vm_fault_t ret = VM_FAULT_SIGBUS;
	unsigned long pfn;

	mutex_lock(&queue->qp->lock);
	pfn = qm_region_pfn(queue, region, page);
	if (pfn)
		ret = vmf_insert_pfn(vmf->vma, vmf->address, pfn);
	mutex_unlock(&queue->qp->lock);
	return ret;
}

/* A region can be mapped once, and the mapping cannot be moved. */
static int qm_region_mremap(struct vm_area_struct *vma)
{
	return -EPERM;
}

static const struct vm_operations_struct qm_region_vm_ops = {
	.mremap = qm_region_mremap,
	.fault = qm_region_fault,
};

static int qm_region_alloc_ss(struct qm_queue *queue, size_t size)
{
	struct qm_ss *ss;
	int ret;

	if (READ_ONCE(queue->qm->mode) != QM_DMA_PHYSICAL)
		return -EINVAL;
	ret = qm_physical_check(queue->qm);
	if (ret)
		return ret;
	ss = qm_ss_alloc(queue->qm, size);
	if (IS_ERR(ss))
		return PTR_ERR(ss);
	queue->ss = ss;
	return 0;
}

/* Allocate the memory of a region before it is mapped. */
static int qm_region_prepare(struct qm_queue *queue, unsigned int region, size_t size)
{
	lockdep_assert_held(&queue->qp->lock);
	if (queue->dead)
		return -ENXIO;
	if (queue->mapped & BIT(region))
		return -EEXIST;
	switch (region) {
	case UACCE_QFRT_MMIO:
		return 0;
	case UACCE_QFRT_DUS:
		return qm_dus_get(queue->qp);
	default:
		return qm_region_alloc_ss(queue, size);
	}
}

static bool qm_region_fits(struct qm_queue *queue, unsigned long region, size_t size)
{
	switch (region) {
	case UACCE_QFRT_MMIO:
		return size == QM_DB_WINDOW;
	case UACCE_QFRT_DUS:
		return size == queue->qm->dus_size;
	default:
		return region == UACCE_QFRT_SS;
	}
}

/**
 * qm_queue_mmap() - map a region
 * @file: file of the queue
 * @vma: new VMA, which must be shared and cover the whole region
 */
int qm_queue_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct qm_queue *queue = file->private_data;
	size_t size = vma->vm_end - vma->vm_start;
	unsigned int region;
	int ret;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (!qm_region_fits(queue, vma->vm_pgoff, size))
		return -EINVAL;
	region = vma->vm_pgoff;

	mutex_lock(&queue->qp->lock);
	ret = qm_region_prepare(queue, region, size);
	if (!ret)
		queue->mapped |= BIT(region);
	mutex_unlock(&queue->qp->lock);
	if (ret)
		return ret;
	/* A child of fork() must not ring its parent's doorbells. */
	wd_vm_flags_mod(vma, VM_PFNMAP | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP, VM_MAYEXEC);
	if (region == UACCE_QFRT_MMIO) {
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
		wd_vm_flags_mod(vma, VM_IO, 0);
	}
	vma->vm_ops = &qm_region_vm_ops;
	/* With this offset, qm_queue_revoke_doorbells() finds the VMA. */
	vma->vm_pgoff = qm_region_pgoff(queue, region);
	return 0;
}
