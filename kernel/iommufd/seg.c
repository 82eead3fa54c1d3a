// SPDX-License-Identifier: GPL-2.0-only
/* The runs of a new segment. */
#include <linux/slab.h>
#include <linux/string.h>

#include "io_pagetable.h"

/* Make room for one more run. When @inline_run is full, use an array, and double it when needed. */
static int iopt_seg_grow(struct iopt_seg *seg, unsigned int *capacity)
{
	unsigned int wanted = max(*capacity * 2, 16U);
	struct iopt_run *runs;

	if (seg->nr_runs < *capacity)
		return 0;
	runs = kvmalloc_array(wanted, sizeof(*runs), GFP_KERNEL_ACCOUNT);
	if (!runs)
		return -ENOMEM;
	memcpy(runs, seg->runs, seg->nr_runs * sizeof(*runs));
	if (seg->runs != &seg->inline_run)
		kvfree(seg->runs);
	seg->runs = runs;
	*capacity = wanted;
	return 0;
}

/**
 * iopt_seg_append() - add contiguous pages at the end of a segment
 * @seg: new segment
 * @pfn: the first of them
 * @npages: their number, at most IOPT_RUN_MAX_PAGES
 * @capacity: runs that @seg has room for; 1 for a segment without runs
 *
 * Return: 0, -ENOMEM
 */
int iopt_seg_append(struct iopt_seg *seg, unsigned long pfn, unsigned long npages,
		    unsigned int *capacity)
{
	int rc;

	if (seg->nr_runs) {
		struct iopt_run *run = &seg->runs[seg->nr_runs - 1];

		if (pfn == run->pfn + run->npages && run->npages + npages <= IOPT_RUN_MAX_PAGES) {
			run->npages += npages;
			return 0;
		}
	}
	rc = iopt_seg_grow(seg, capacity);
	if (rc)
		return rc;
	seg->runs[seg->nr_runs].pfn = pfn;
	seg->runs[seg->nr_runs].npages = npages;
	seg->nr_runs++;
	return 0;
}
