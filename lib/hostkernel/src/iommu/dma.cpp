// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA API: masks, and the choice between the device's implementation (dma_domain.cpp) and direct
 * DMA. In direct DMA the device uses physical addresses.
 */
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>

#include <linux/bug.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <algorithm>

#include "dma_counter.h"
#include "pci/bus_hooks.h"

using namespace wd::hostkernel;

namespace
{

/* Without translation a device must be able to use addresses of 32 bits. */
constexpr u64 kLeastMask = DMA_BIT_MASK(32);

bool supported(device *dev, u64 mask)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	if (!ops)
		return mask >= kLeastMask;
	return !ops->dma_supported || ops->dma_supported(dev, mask);
}

/*
 * LINUX-DMA-9: whether @dev can reach all of [@address, +@size) directly. There are no bounce
 * buffers.
 */
bool reachable(device *dev, phys_addr_t address, size_t size, u64 mask)
{
	const u64 limit = dev->bus_dma_limit ? std::min(mask, dev->bus_dma_limit) : mask;

	return size && address + size - 1 <= limit;
}

dma_addr_t mapDirect(device *dev, phys_addr_t address, size_t size)
{
	if (reachable(dev, address, size, dma_get_mask(dev)))
		return address;
	dev_warn_ratelimited(dev, "DMA addr %#llx+%zu overflow (mask %llx)\n",
			     static_cast<unsigned long long>(address), size,
			     static_cast<unsigned long long>(dma_get_mask(dev)));
	return DMA_MAPPING_ERROR;
}

void *allocDirect(device *dev, size_t size, dma_addr_t *handle, gfp_t gfp)
{
	void *memory = alloc_pages_exact(PAGE_ALIGN(size), gfp | __GFP_ZERO);

	if (!memory)
		return nullptr;
	*handle = virt_to_phys(memory);
	if (reachable(dev, *handle, size, dev->coherent_dma_mask))
		return memory;
	free_pages_exact(memory, PAGE_ALIGN(size));
	return nullptr;
}

int mapListDirect(device *dev, scatterlist *list, int nents)
{
	scatterlist *sg = list;

	for (int i = 0; i < nents; i++, sg = sg_next(sg)) {
		sg->dma_address = mapDirect(dev, sg_phys(sg), sg->length);
		sg->dma_length = sg->length;
		if (sg->dma_address == DMA_MAPPING_ERROR)
			return -EIO;
	}
	return nents;
}

int mapList(device *dev, scatterlist *sg, int nents, dma_data_direction dir, unsigned long attrs)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	if (WARN_ON(!valid_dma_direction(dir)) || WARN_ON_ONCE(!dev->dma_mask))
		return -EIO;
	const int mapped =
		ops ? ops->map_sg(dev, sg, nents, dir, attrs) : mapListDirect(dev, sg, nents);

	if (mapped > 0)
		liveDma++;
	return mapped;
}

} // namespace

namespace wd::hostkernel
{

uint64_t hostkernel_bus_dma_allocations()
{
	return static_cast<uint64_t>(std::max<int64_t>(liveDma, 0));
}

} // namespace wd::hostkernel

int dma_set_mask(device *dev, u64 mask)
{
	if (!dev->dma_mask || !supported(dev, mask))
		return -EIO;
	*dev->dma_mask = mask;
	return 0;
}

int dma_set_coherent_mask(device *dev, u64 mask)
{
	if (!supported(dev, mask))
		return -EIO;
	dev->coherent_dma_mask = mask;
	return 0;
}

void *dma_alloc_attrs(device *dev, size_t size, dma_addr_t *dma_handle, gfp_t gfp,
		      unsigned long attrs)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	if (!size || WARN_ON_ONCE(!dev->coherent_dma_mask))
		return nullptr;
	gfp &= ~(__GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM);
	void *memory = ops ? ops->alloc(dev, size, dma_handle, gfp, attrs)
			   : allocDirect(dev, size, dma_handle, gfp);

	if (memory)
		liveDma++;
	return memory;
}

void dma_free_attrs(device *dev, size_t size, void *cpu_addr, dma_addr_t dma_handle,
		    unsigned long attrs)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	if (!cpu_addr)
		return;
	if (ops)
		ops->free(dev, size, cpu_addr, dma_handle, attrs);
	else
		free_pages_exact(cpu_addr, PAGE_ALIGN(size));
	liveDma--;
}

dma_addr_t dma_map_page_attrs(device *dev, page *page, size_t offset, size_t size,
			      dma_data_direction dir, unsigned long attrs)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	if (WARN_ON(!valid_dma_direction(dir)) || WARN_ON_ONCE(!dev->dma_mask))
		return DMA_MAPPING_ERROR;
	const dma_addr_t address = ops ? ops->map_page(dev, page, offset, size, dir, attrs)
				       : mapDirect(dev, page_to_phys(page) + offset, size);

	if (address != DMA_MAPPING_ERROR)
		liveDma++;
	return address;
}

void dma_unmap_page_attrs(device *dev, dma_addr_t addr, size_t size, dma_data_direction dir,
			  unsigned long attrs)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	if (ops)
		ops->unmap_page(dev, addr, size, dir, attrs);
	liveDma--;
}

dma_addr_t dma_map_single_attrs(device *dev, void *ptr, size_t size, dma_data_direction dir,
				unsigned long attrs)
{
	const unsigned long offset = reinterpret_cast<unsigned long>(ptr) & (PAGE_SIZE - 1);

	return dma_map_page_attrs(dev, virt_to_page(ptr), offset, size, dir, attrs);
}

unsigned int dma_map_sg_attrs(device *dev, scatterlist *sg, int nents, dma_data_direction dir,
			      unsigned long attrs)
{
	const int mapped = mapList(dev, sg, nents, dir, attrs);

	return mapped > 0 ? static_cast<unsigned>(mapped) : 0;
}

void dma_unmap_sg_attrs(device *dev, scatterlist *sg, int nents, dma_data_direction dir,
			unsigned long attrs)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	if (ops)
		ops->unmap_sg(dev, sg, nents, dir, attrs);
	liveDma--;
}
