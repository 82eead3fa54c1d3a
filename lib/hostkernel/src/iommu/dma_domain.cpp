// SPDX-License-Identifier: GPL-2.0-only
/*
 * The DMA API in a domain of a DMA type. It takes I/O virtual addresses below the device's mask
 * (for PCI functions from 4 GiB downwards, LINUX-DMA-2), outside of reserved regions (LINUX-DMA-3)
 * and of BARs. In a strict domain an unmap invalidates before it returns. In a flush-queue domain
 * unmapped addresses wait in a queue until the whole domain has been invalidated.
 */
#include "dma_domain.h"

#include <linux/bug.h>
#include <linux/dma-map-ops.h>
#include <linux/iova.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "pci/io_window.h"

using namespace wd::hostkernel;

namespace
{

/* The flush queue: a flush comes with so many entries, or after so many milliseconds. */
constexpr size_t kQueueLength = 256;
constexpr unsigned kQueueTimeoutMs = 10;

} // namespace

struct iommu_dma_cookie {
	iommu_domain *domain = nullptr;
	iova_domain iovad{};
	/* Goes only from false (strict) to true while the domain lives. */
	std::atomic<bool> flushQueue{false};
	delayed_work flushWork;
	std::mutex mutex; /* protects initialisation and queue */
	std::vector<std::pair<unsigned long, unsigned long>> queue;
};

namespace
{

void flush(iommu_dma_cookie *cookie)
{
	std::vector<std::pair<unsigned long, unsigned long>> ranges;
	{
		std::lock_guard lock(cookie->mutex);

		ranges.swap(cookie->queue);
	}
	if (ranges.empty())
		return;
	preempt_disable();
	cookie->domain->ops->flush_iotlb_all(cookie->domain);
	preempt_enable();
	for (const auto &[pfn, count] : ranges)
		free_iova_fast(&cookie->iovad, pfn, count);
}

void flushWorkFn(work_struct *work)
{
	flush(reinterpret_cast<iommu_dma_cookie *>(reinterpret_cast<char *>(to_delayed_work(work)) -
						   offsetof(iommu_dma_cookie, flushWork)));
}

/* LINUX-DMA-8 */
void enqueue(iommu_dma_cookie *cookie, unsigned long pfn, unsigned long count)
{
	bool full;
	{
		std::lock_guard lock(cookie->mutex);

		cookie->queue.emplace_back(pfn, count);
		full = cookie->queue.size() >= kQueueLength;
	}
	if (full)
		flush(cookie);
	else
		schedule_delayed_work(&cookie->flushWork, msecs_to_jiffies(kQueueTimeoutMs));
}

/* --- addresses --- */

void reserveRange(iova_domain &iovad, uint64_t start, uint64_t last)
{
	reserve_iova(&iovad, iova_pfn(&iovad, start), iova_pfn(&iovad, last));
}

void reserveRegions(device *dev, iova_domain &iovad)
{
	list_head regions;

	if (dev_is_pci(dev))
		mmioForEachWindow(
			[](void *context, uint64_t start, uint64_t last) {
				reserveRange(*static_cast<iova_domain *>(context), start, last);
			},
			&iovad);
	INIT_LIST_HEAD(&regions);
	iommu_get_resv_regions(dev, &regions);
	for (list_head *entry = regions.next; entry != &regions; entry = entry->next) {
		const auto *region = reinterpret_cast<iommu_resv_region *>(
			reinterpret_cast<char *>(entry) - offsetof(iommu_resv_region, list));

		if (region->type != IOMMU_RESV_SW_MSI && region->length)
			reserveRange(iovad, region->start, region->start + region->length - 1);
	}
	iommu_put_resv_regions(dev, &regions);
}

int initDomain(iommu_domain *domain, u64 base, u64 limit, device *dev)
{
	iommu_dma_cookie *cookie = domain->iova_cookie;

	if (!cookie || !domain->pgsize_bitmap)
		return -EINVAL;
	const unsigned long granule = domain->pgsize_bitmap & -domain->pgsize_bitmap;
	const iommu_domain_geometry &geometry = domain->geometry;
	/* Frame 0 stays free, so that no address is 0. */
	unsigned long basePfn = std::max<unsigned long>(1, base / granule);

	if (geometry.force_aperture) {
		if (base > geometry.aperture_end || limit < geometry.aperture_start) {
			_printk(KERN_WARNING "specified DMA range outside IOMMU capability\n");
			return -EFAULT;
		}
		basePfn = std::max<unsigned long>(basePfn, geometry.aperture_start / granule);
	}
	std::lock_guard lock(cookie->mutex);

	if (cookie->iovad.ranges) {
		if (granule == cookie->iovad.granule && basePfn >= cookie->iovad.start_pfn)
			return 0;
		_printk(KERN_WARNING "Incompatible range for DMA domain\n");
		return -EFAULT;
	}
	init_iova_domain(&cookie->iovad, granule, basePfn);
	cookie->flushQueue = domain->type == IOMMU_DOMAIN_DMA_FQ;
	reserveRegions(dev, cookie->iovad);
	return 0;
}

/* An address for @size bytes, a multiple of the granule; 0 if there is none. */
dma_addr_t allocIova(iommu_domain *domain, size_t size, u64 limit, device *dev)
{
	iova_domain &iovad = domain->iova_cookie->iovad;
	const unsigned long shift = iova_shift(&iovad), count = size >> shift;
	unsigned long pfn = 0;

	if (dev->bus_dma_limit)
		limit = std::min(limit, dev->bus_dma_limit);
	if (domain->geometry.force_aperture)
		limit = std::min<u64>(limit, domain->geometry.aperture_end);
	/* Try 32-bit addresses first, as Linux does, since some bridges handle them better. */
	if (limit > DMA_BIT_MASK(32) && dev_is_pci(dev))
		pfn = alloc_iova_fast(&iovad, count, DMA_BIT_MASK(32) >> shift, false);
	if (!pfn)
		pfn = alloc_iova_fast(&iovad, count, limit >> shift, true);
	return static_cast<dma_addr_t>(pfn) << shift;
}

void freeIova(iommu_dma_cookie *cookie, dma_addr_t iova, size_t size)
{
	free_iova_fast(&cookie->iovad, iova_pfn(&cookie->iovad, iova),
		       size >> iova_shift(&cookie->iovad));
}

/* --- mapping --- */

/* LINUX-DMA-4 */
int protOf(dma_data_direction dir, unsigned long attrs)
{
	const int prot = IOMMU_CACHE | (attrs & DMA_ATTR_PRIVILEGED ? IOMMU_PRIV : 0);

	switch (dir) {
	case DMA_BIDIRECTIONAL:
		return prot | IOMMU_READ | IOMMU_WRITE;
	case DMA_TO_DEVICE:
		return prot | IOMMU_READ;
	case DMA_FROM_DEVICE:
		return prot | IOMMU_WRITE;
	default:
		return 0;
	}
}

dma_addr_t mapRange(device *dev, phys_addr_t phys, size_t size, int prot, u64 mask)
{
	iommu_domain *domain = iommu_get_dma_domain(dev);
	iommu_dma_cookie *cookie = domain->iova_cookie;
	const size_t offset = iova_offset(&cookie->iovad, phys);
	const size_t length = iova_align(&cookie->iovad, size + offset);

	if (!size)
		return DMA_MAPPING_ERROR;
	const dma_addr_t iova = allocIova(domain, length, mask, dev);

	if (!iova)
		return DMA_MAPPING_ERROR;
	if (iommu_map_atomic(domain, iova, phys - offset, length, prot)) {
		freeIova(cookie, iova, length);
		return DMA_MAPPING_ERROR;
	}
	return iova + offset;
}

void unmapRange(device *dev, dma_addr_t address, size_t size)
{
	iommu_domain *domain = iommu_get_dma_domain(dev);
	iommu_dma_cookie *cookie = domain->iova_cookie;
	const size_t offset = iova_offset(&cookie->iovad, address);
	const dma_addr_t iova = address - offset;
	const size_t length = iova_align(&cookie->iovad, size + offset);
	iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	const bool queued = cookie->flushQueue;

	gather.queued = queued;
	const size_t unmapped = iommu_unmap_fast(domain, iova, length, &gather);

	WARN_ON(unmapped != length);
	if (!queued) {
		iommu_iotlb_sync(domain, &gather);
		freeIova(cookie, iova, length);
		return;
	}
	enqueue(cookie, iova_pfn(&cookie->iovad, iova), length >> iova_shift(&cookie->iovad));
}

/* --- implementation of the DMA API --- */

void *opAlloc(device *dev, size_t size, dma_addr_t *handle, gfp_t gfp, unsigned long attrs)
{
	void *memory = alloc_pages_exact(PAGE_ALIGN(size), gfp | __GFP_ZERO);

	if (!memory)
		return nullptr;
	*handle = mapRange(dev, virt_to_phys(memory), PAGE_ALIGN(size),
			   protOf(DMA_BIDIRECTIONAL, attrs), dev->coherent_dma_mask);
	if (*handle != DMA_MAPPING_ERROR)
		return memory;
	free_pages_exact(memory, PAGE_ALIGN(size));
	return nullptr;
}

void opFree(device *dev, size_t size, void *memory, dma_addr_t handle, unsigned long)
{
	unmapRange(dev, handle, PAGE_ALIGN(size));
	free_pages_exact(memory, PAGE_ALIGN(size));
}

dma_addr_t opMapPage(device *dev, page *page, unsigned long offset, size_t size,
		     dma_data_direction dir, unsigned long attrs)
{
	return mapRange(dev, page_to_phys(page) + offset, size, protOf(dir, attrs),
			dma_get_mask(dev));
}

void opUnmapPage(device *dev, dma_addr_t handle, size_t size, dma_data_direction, unsigned long)
{
	/*
	 * If @handle is not mapped, its address may belong to nobody or to another mapping: do not
	 * free it.
	 */
	if (WARN_ON(!iommu_iova_to_phys(iommu_get_dma_domain(dev), handle)))
		return;
	unmapRange(dev, handle, size);
}

/*
 * Length of the list if every piece starts and ends on a granule, except for the start of the first
 * and the end of the last piece.
 */
size_t contiguousLength(scatterlist *list, int nents, unsigned long mask)
{
	size_t total = 0;
	scatterlist *sg = list;

	for (int i = 0; i < nents; i++, sg = sg_next(sg)) {
		if ((i && (sg->offset & mask)) ||
		    (i + 1 < nents && ((sg->offset + sg->length) & mask)) || !sg->length)
			return 0;
		total += sg->length;
	}
	return total;
}

/*
 * LINUX-DMA-5, LINUX-DMA-6: map the whole list into one range of addresses, which becomes one
 * segment.
 */
int mapAsOne(device *dev, scatterlist *list, int nents, size_t total, int prot)
{
	iommu_domain *domain = iommu_get_dma_domain(dev);
	iommu_dma_cookie *cookie = domain->iova_cookie;
	const size_t offset = iova_offset(&cookie->iovad, list->offset);
	const size_t length = iova_align(&cookie->iovad, total + offset);
	const dma_addr_t iova = allocIova(domain, length, dma_get_mask(dev), dev);
	size_t done = 0;
	scatterlist *sg = list;

	if (!iova)
		return -ENOMEM;
	for (int i = 0; i < nents; i++, sg = sg_next(sg)) {
		const size_t start = iova_offset(&cookie->iovad, sg->offset);
		const size_t piece = iova_align(&cookie->iovad, sg->length + start);
		const int rc =
			iommu_map_atomic(domain, iova + done, sg_phys(sg) - start, piece, prot);

		if (rc) {
			iommu_unmap(domain, iova, done);
			freeIova(cookie, iova, length);
			return rc == -ENOMEM ? rc : -EINVAL;
		}
		done += piece;
		sg->dma_address = DMA_MAPPING_ERROR;
		sg->dma_length = 0;
	}
	list->dma_address = iova + offset;
	list->dma_length = static_cast<unsigned>(total);
	return 1;
}

void unmapEach(device *dev, scatterlist *list, int nents)
{
	scatterlist *sg = list;

	for (int i = 0; i < nents && sg; i++, sg = sg_next(sg)) {
		if (sg->dma_length)
			unmapRange(dev, sg->dma_address, sg->dma_length);
		sg->dma_length = 0;
	}
}

int opMapSg(device *dev, scatterlist *list, int nents, dma_data_direction dir, unsigned long attrs)
{
	iommu_dma_cookie *cookie = iommu_get_dma_domain(dev)->iova_cookie;
	const int prot = protOf(dir, attrs);

	if (nents <= 0)
		return -EINVAL;
	const size_t total = contiguousLength(list, nents, iova_mask(&cookie->iovad));

	if (total && total <= UINT32_MAX)
		return mapAsOne(dev, list, nents, total, prot);
	/* The pieces cannot be joined, so each gets a range of its own. */
	scatterlist *sg = list;

	for (int i = 0; i < nents; i++, sg = sg_next(sg)) {
		sg->dma_address = mapRange(dev, sg_phys(sg), sg->length, prot, dma_get_mask(dev));
		sg->dma_length = sg->dma_address == DMA_MAPPING_ERROR ? 0 : sg->length;
		if (!sg->dma_length) {
			unmapEach(dev, list, i);
			return -ENOMEM;
		}
	}
	return nents;
}

void opUnmapSg(device *dev, scatterlist *list, int nents, dma_data_direction, unsigned long)
{
	unmapEach(dev, list, nents);
}

const dma_map_ops iommuDmaOps = {
	.alloc = opAlloc,
	.free = opFree,
	.map_page = opMapPage,
	.unmap_page = opUnmapPage,
	.map_sg = opMapSg,
	.unmap_sg = opUnmapSg,
};

} // namespace

namespace wd::hostkernel
{

bool dmaCookieCreate(iommu_domain *domain)
{
	/*
	 * From the kernel's allocator, so that the leak report shows a domain that is never freed.
	 */
	void *memory = kzalloc(sizeof(iommu_dma_cookie), GFP_KERNEL);

	if (!memory)
		return false;
	auto *cookie = new (memory) iommu_dma_cookie;

	cookie->domain = domain;
	INIT_DELAYED_WORK(&cookie->flushWork, flushWorkFn);
	domain->iova_cookie = cookie;
	return true;
}

void dmaCookieDestroy(iommu_domain *domain)
{
	iommu_dma_cookie *cookie = domain->iova_cookie;

	if (!cookie)
		return;
	if (cookie->flushQueue) {
		cancel_delayed_work_sync(&cookie->flushWork);
		flush(cookie);
	}
	if (cookie->iovad.ranges)
		put_iova_domain(&cookie->iovad);
	domain->iova_cookie = nullptr;
	cookie->~iommu_dma_cookie();
	kfree(cookie);
}

void dmaStartFlushQueue(iommu_domain *domain)
{
	domain->type = IOMMU_DOMAIN_DMA_FQ;
	if (domain->iova_cookie)
		domain->iova_cookie->flushQueue = true;
}

} // namespace wd::hostkernel

/* LINUX-DMA-1 */
void iommu_setup_dma_ops(device *dev, u64 dma_base, u64 dma_limit)
{
	iommu_domain *domain = iommu_get_domain_for_dev(dev);

	if (domain && !iommu_is_dma_domain(domain))
		return;
	if (domain && !initDomain(domain, dma_base, dma_limit, dev)) {
		dev->dma_ops = &iommuDmaOps;
		return;
	}
	_printk(KERN_WARNING "Failed to set up IOMMU for device %s; retaining platform DMA ops\n",
		dev_name(dev));
}
