/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scatter/gather lists: pages to transfer, and the segments that the DMA API made of them. Lists
 * are plain arrays (no chaining).
 */
#ifndef _LINUX_SCATTERLIST_H
#define _LINUX_SCATTERLIST_H

#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/types.h>

/**
 * struct scatterlist - one piece
 * @page: first page; NULL: not set
 * @end: set in the last entry of a list
 * @offset, @length: bytes
 * @dma_address, @dma_length: the segment, after dma_map_sg()
 */
struct scatterlist {
	struct page *page;
	bool end;
	unsigned int offset;
	unsigned int length;
	dma_addr_t dma_address;
	unsigned int dma_length;
};

#define sg_dma_address(sg) ((sg)->dma_address)
#define sg_dma_len(sg) ((sg)->dma_length)
#define for_each_sg(list, sg, nr, i) \
	for ((i) = 0, (sg) = (list); (i) < (nr); (i)++, (sg) = sg_next(sg))

static inline struct scatterlist *sg_next(struct scatterlist *sg)
{
	return sg->end ? NULL : sg + 1;
}

static inline void sg_init_table(struct scatterlist *sgl, unsigned int nents)
{
	unsigned int i;

	for (i = 0; i < nents; i++) {
		sgl[i].page = NULL;
		sgl[i].end = i + 1 == nents;
		sgl[i].offset = 0;
		sgl[i].length = 0;
		sgl[i].dma_address = 0;
		sgl[i].dma_length = 0;
	}
}

static inline void sg_set_page(struct scatterlist *sg, struct page *page, unsigned int len,
			       unsigned int offset)
{
	sg->page = page;
	sg->length = len;
	sg->offset = offset;
}

static inline struct page *sg_page(struct scatterlist *sg)
{
	return sg->page;
}

static inline void sg_set_buf(struct scatterlist *sg, const void *buf, unsigned int buflen)
{
	sg_set_page(sg, virt_to_page(buf), buflen,
		    (unsigned int)((unsigned long)buf & (PAGE_SIZE - 1)));
}

static inline void sg_init_one(struct scatterlist *sg, const void *buf, unsigned int buflen)
{
	sg_init_table(sg, 1);
	sg_set_buf(sg, buf, buflen);
}

static inline phys_addr_t sg_phys(struct scatterlist *sg)
{
	return page_to_phys(sg->page) + sg->offset;
}

static inline void *sg_virt(struct scatterlist *sg)
{
	return (char *)page_address(sg->page) + sg->offset;
}

static inline int sg_nents(struct scatterlist *sg)
{
	int nents = 0;

	for (; sg; sg = sg_next(sg))
		nents++;
	return nents;
}

/* Number of entries that hold the first @len bytes; -EINVAL if the list has fewer bytes. */
static inline int sg_nents_for_len(struct scatterlist *sg, u64 len)
{
	u64 total = 0;
	int nents = 0;

	if (!len)
		return 0;
	for (; sg; sg = sg_next(sg)) {
		nents++;
		total += sg->length;
		if (total >= len)
			return nents;
	}
	return -EINVAL;
}

WD_BEGIN_DECLS
/*
 * A list of new pages for @length bytes; NULL without memory or for a length of 0. @nent_p may be
 * NULL.
 */
struct scatterlist *sgl_alloc(unsigned long long length, gfp_t gfp, unsigned int *nent_p);
void sgl_free(struct scatterlist *sgl);
/* Both return the number of bytes copied. */
size_t sg_copy_to_buffer(struct scatterlist *sgl, unsigned int nents, void *buf, size_t buflen);
size_t sg_copy_from_buffer(struct scatterlist *sgl, unsigned int nents, const void *buf,
			   size_t buflen);
WD_END_DECLS

#endif /* _LINUX_SCATTERLIST_H */
