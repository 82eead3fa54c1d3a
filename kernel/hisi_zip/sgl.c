// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers of kernel requests: DMA mappings and hardware lists (ZIP-SGL-1).
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/kernel.h>

#include "crypto.h"

/* Write a hardware list: a chain of blocks of ZIP_LIST_BLOCK bytes, with @capacity entries each. */
static void zip_list_fill(struct zip_sgl *list, dma_addr_t dma, unsigned int capacity,
			  const struct zip_side *side)
{
	struct zip_sgl *head = list;
	u32 left = side->length;
	unsigned int used = 0, total = 0;
	struct scatterlist *sg;
	int i;

	head->next = 0;
	for_each_sg (side->sg, sg, side->segments, i) {
		u32 piece = min_t(u32, left, sg_dma_len(sg));

		if (!piece)
			break;
		if (used == capacity) {
			list->sum_in_sgl = cpu_to_le16(used);
			list->length_in_sgl = cpu_to_le16(capacity);
			dma += ZIP_LIST_BLOCK;
			list->next = cpu_to_le64(dma);
			list = (void *)list + ZIP_LIST_BLOCK;
			list->next = 0;
			used = 0;
		}
		list->entries[used].address = cpu_to_le64(sg_dma_address(sg));
		list->entries[used].length = cpu_to_le32(piece);
		left -= piece;
		used++;
		total++;
	}
	list->sum_in_sgl = cpu_to_le16(used);
	list->length_in_sgl = cpu_to_le16(capacity);
	head->sum_in_chain = cpu_to_le16(total);
}

/*
 * Allocate and fill a hardware list. It uses a streaming mapping, since coherent memory cannot be
 * freed in the context where requests complete.
 */
static int zip_list_alloc(struct device *dev, struct zip_side *side, gfp_t gfp)
{
	size_t blocks = DIV_ROUND_UP(side->segments, ZIP_LIST_ENTRIES);

	if (blocks > ZIP_SGL_MAX_CHAIN)
		return -EINVAL;
	side->list_size = blocks * ZIP_LIST_BLOCK;
	side->list = alloc_pages_exact(side->list_size, gfp | __GFP_ZERO | __GFP_NOWARN);
	if (!side->list)
		return -ENOMEM;
	side->list_dma = dma_map_single(dev, side->list, side->list_size, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, side->list_dma)) {
		free_pages_exact(side->list, side->list_size);
		side->list = NULL;
		return -ENOMEM;
	}
	zip_list_fill(side->list, side->list_dma, ZIP_LIST_ENTRIES, side);
	dma_sync_single_for_device(dev, side->list_dma, side->list_size, DMA_TO_DEVICE);
	return 0;
}

/**
 * zip_side_map() - map a buffer for the device
 * @dev: the device
 * @side: receives the mapping
 * @sg: buffer
 * @length: bytes of @sg to use
 * @dir: DMA_TO_DEVICE or DMA_FROM_DEVICE
 * @gfp: flags to allocate a list
 *
 * Return: 0; -EINVAL if @sg is shorter than @length or has too many pieces; -ENOMEM. After an error
 * nothing is mapped.
 */
int zip_side_map(struct device *dev, struct zip_side *side, struct scatterlist *sg, u32 length,
		 enum dma_data_direction dir, gfp_t gfp)
{
	int nents = sg_nents_for_len(sg, length);
	int ret = 0;

	side->list = NULL;
	side->nents = 0;
	if (nents <= 0)
		return -EINVAL;
	side->segments = dma_map_sg(dev, sg, nents, dir);
	if (!side->segments)
		return -ENOMEM;
	side->sg = sg;
	side->nents = nents;
	side->length = length;
	side->dir = dir;
	if (side->segments > ZIP_SHORT_ENTRIES)
		ret = zip_list_alloc(dev, side, gfp);
	if (ret)
		zip_side_unmap(dev, side);
	return ret;
}

/* Undo zip_side_map(). Any context. A further call for the same mapping does nothing. */
void zip_side_unmap(struct device *dev, struct zip_side *side)
{
	if (side->list) {
		dma_unmap_single(dev, side->list_dma, side->list_size, DMA_TO_DEVICE);
		free_pages_exact(side->list, side->list_size);
		side->list = NULL;
	}
	if (side->nents)
		dma_unmap_sg(dev, side->sg, side->nents, side->dir);
	side->nents = 0;
}

/**
 * zip_side_list() - get the hardware list of a mapped buffer
 * @side: the buffer
 * @list: short list, which this fills and uses if ZIP_SHORT_ENTRIES are enough
 * @list_dma: address of @list for the device
 *
 * Return: address of the list for the device.
 */
dma_addr_t zip_side_list(struct zip_side *side, struct zip_sgl *list, dma_addr_t list_dma)
{
	if (side->list)
		return side->list_dma;
	zip_list_fill(list, list_dma, ZIP_SHORT_ENTRIES, side);
	return list_dma;
}
