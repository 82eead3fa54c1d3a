// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for the data of requests with physical addresses: region SS, in slices that are contiguous
 * for the device. The user keeps it until the file is released.
 *
 * The caller of every function here holds the queue pair's lock.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "queue.h"

/* Unit of the size in the low 12 bits of an answer; largest slice; most memory of a file. */
#define SS_UNIT 0x10000ul
#define SS_SLICE_MAX 0x400000ul
#define SS_TOTAL_MAX 0x10000000ul

struct qm_ss_slice {
	void *memory;
	dma_addr_t dma;
	size_t size;
};

/**
 * struct qm_ss - the region of a queue file
 * @qm: queue manager of the device that uses the memory
 * @mapped: the memory is mapped for the device
 * @count: entries of @slices
 * @slices: in the order of their DMA addresses, which is also their order in the region
 */
struct qm_ss {
	struct qm *qm;
	bool mapped;
	unsigned int count;
	struct qm_ss_slice slices[];
};

/* Allocate a slice of at most @wanted bytes; a smaller one if memory is fragmented. */
static int ss_slice_alloc(struct qm *qm, struct qm_ss_slice *slice, size_t wanted)
{
	struct device *dev = &qm->pdev->dev;
	size_t size;

	for (size = min(wanted, SS_SLICE_MAX); size; size = ALIGN_DOWN(size / 2, SS_UNIT)) {
		slice->memory = alloc_pages_exact(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO |
								__GFP_NOWARN | __GFP_NORETRY);
		if (slice->memory)
			break;
	}
	if (!size)
		return -ENOMEM;
	slice->size = size;
	slice->dma = dma_map_single(dev, slice->memory, size, DMA_BIDIRECTIONAL);
	if (!dma_mapping_error(dev, slice->dma))
		return 0;
	free_pages_exact(slice->memory, size);
	return -ENOMEM;
}

/* Move the new slice, which is the last one, to its place in the order. */
static void ss_slice_sort(struct qm_ss *ss)
{
	unsigned int i;

	for (i = ss->count - 1; i && ss->slices[i].dma < ss->slices[i - 1].dma; i--)
		swap(ss->slices[i], ss->slices[i - 1]);
}

/**
 * qm_ss_unmap() - take the region away from the device; user mappings stay
 * @ss: region, or NULL
 */
void qm_ss_unmap(struct qm_ss *ss)
{
	unsigned int i;

	if (!ss || !ss->mapped)
		return;
	for (i = 0; i < ss->count; i++)
		dma_unmap_single(&ss->qm->pdev->dev, ss->slices[i].dma, ss->slices[i].size,
				 DMA_BIDIRECTIONAL);
	ss->mapped = false;
}

/**
 * qm_ss_free() - free the region; no user mapping is left
 * @ss: region, or NULL
 */
void qm_ss_free(struct qm_ss *ss)
{
	unsigned int i;

	if (!ss)
		return;
	qm_ss_unmap(ss);
	for (i = 0; i < ss->count; i++)
		free_pages_exact(ss->slices[i].memory, ss->slices[i].size);
	kvfree(ss);
}

/**
 * qm_ss_alloc() - allocate a zeroed region
 * @qm: queue manager, whose device is present
 * @size: bytes; this rounds it up to SS_UNIT
 *
 * Return: the region; ERR_PTR of -EINVAL if @size is 0 or too large, -ENOMEM.
 */
struct qm_ss *qm_ss_alloc(struct qm *qm, size_t size)
{
	struct qm_ss *ss;
	int ret;

	if (!size || size > SS_TOTAL_MAX)
		return ERR_PTR(-EINVAL);
	size = ALIGN(size, SS_UNIT);
	ss = kvzalloc(struct_size(ss, slices, size / SS_UNIT), GFP_KERNEL_ACCOUNT);
	if (!ss)
		return ERR_PTR(-ENOMEM);
	ss->qm = qm;
	ss->mapped = true;
	while (size) {
		ret = ss_slice_alloc(qm, &ss->slices[ss->count], size);
		if (ret) {
			qm_ss_free(ss);
			return ERR_PTR(ret);
		}
		size -= ss->slices[ss->count].size;
		ss->count++;
		ss_slice_sort(ss);
	}
	return ss;
}

/**
 * qm_ss_slice() - tell address and size of a slice for the device
 * @ss: region, or NULL
 * @index: index of the slice
 * @answer: receives both, in the format of UACCE_CMD_GET_SS_DMA
 *
 * Return: number of slices after it; -EINVAL.
 */
long qm_ss_slice(const struct qm_ss *ss, unsigned long index, unsigned long *answer)
{
	if (!ss || index >= ss->count)
		return -EINVAL;
	*answer = ss->slices[index].dma | ss->slices[index].size / SS_UNIT;
	return ss->count - 1 - index;
}

/* Return: the page frame number of a page of the region; 0 if there is none. */
unsigned long qm_ss_pfn(const struct qm_ss *ss, unsigned long page)
{
	unsigned long pages;
	unsigned int i;

	for (i = 0; ss && i < ss->count; i++) {
		pages = ss->slices[i].size >> PAGE_SHIFT;
		if (page < pages)
			return PHYS_PFN(virt_to_phys(ss->slices[i].memory)) + page;
		page -= pages;
	}
	return 0;
}
