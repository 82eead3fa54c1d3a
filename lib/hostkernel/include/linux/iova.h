/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocator of I/O virtual addresses, in page frames of a granule, from the top downwards.
 * Thread-safe, does not sleep. The names are those of Linux 6.1, the implementation is not.
 */
#ifndef _LINUX_IOVA_H
#define _LINUX_IOVA_H

#include <linux/types.h>

/**
 * struct iova - an allocated or reserved range of frames, both ends inclusive
 */
struct iova {
	unsigned long pfn_hi;
	unsigned long pfn_lo;
};

/**
 * struct iova_domain - a space to allocate from
 * @granule: size of a frame in bytes, a power of two
 * @start_pfn: lowest frame that may be allocated
 * @dma_32bit_pfn: first frame at 4 GiB
 * @ranges: data of the allocator; NULL before init_iova_domain()
 */
struct iova_domain {
	unsigned long granule;
	unsigned long start_pfn;
	unsigned long dma_32bit_pfn;
	void *ranges;
};

static inline unsigned long iova_shift(struct iova_domain *iovad)
{
	return (unsigned long)__builtin_ctzl(iovad->granule);
}

static inline unsigned long iova_mask(struct iova_domain *iovad)
{
	return iovad->granule - 1;
}

static inline size_t iova_offset(struct iova_domain *iovad, dma_addr_t iova)
{
	return iova & iova_mask(iovad);
}

static inline size_t iova_align(struct iova_domain *iovad, size_t size)
{
	return (size + iova_mask(iovad)) & ~iova_mask(iovad);
}

static inline unsigned long iova_pfn(struct iova_domain *iovad, dma_addr_t iova)
{
	return iova >> iova_shift(iovad);
}

#ifdef __cplusplus
extern "C" {
#endif

void init_iova_domain(struct iova_domain *iovad, unsigned long granule, unsigned long start_pfn);
void put_iova_domain(struct iova_domain *iovad);

/**
 * alloc_iova() - allocate the highest free range
 * @size: frames
 * @limit_pfn: highest frame allowed
 * @size_aligned: align the range to its size rounded up to a power of two
 *
 * Return: the range, or NULL.
 */
struct iova *alloc_iova(struct iova_domain *iovad, unsigned long size, unsigned long limit_pfn,
			bool size_aligned);
void free_iova(struct iova_domain *iovad, unsigned long pfn);

/*
 * Returns the first frame, or 0. Rounds @size (frames) up to a power of two and aligns the range to
 * it.
 */
unsigned long alloc_iova_fast(struct iova_domain *iovad, unsigned long size,
			      unsigned long limit_pfn, bool flush_rcache);
void free_iova_fast(struct iova_domain *iovad, unsigned long pfn, unsigned long size);

/* Do not allocate frames of [@pfn_lo, @pfn_hi] any more. It may overlap earlier reservations. */
struct iova *reserve_iova(struct iova_domain *iovad, unsigned long pfn_lo, unsigned long pfn_hi);

#ifdef __cplusplus
}
#endif

#endif /* _LINUX_IOVA_H */
