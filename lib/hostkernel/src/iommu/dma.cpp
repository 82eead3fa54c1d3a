// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA API: masks, and the choice between the device's implementation (dma_domain.cpp) and direct
 * DMA, where the address for the device is the physical address.
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

/* Devices that cannot even use 32 bits are not supported without translation. */
constexpr u64 kLeastMask = DMA_BIT_MASK(32);

bool supported(device *dev, u64 mask)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	if (!ops)
		return mask >= kLeastMask;
	return !ops->dma_supported || ops->dma_supported(dev, mask);
}

/* LINUX-DMA-9: can @dev reach all of [@address, +@size) directly? There is no bounce buffer. */
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

u64 dma_get_required_mask(device *dev)
{
	/* With translation any device can do with 32 bits. */
	return get_dma_ops(dev) ? DMA_BIT_MASK(32) : DMA_BIT_MASK(47);
}

size_t dma_max_mapping_size(device *dev)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	return ops && ops->max_mapping_size ? ops->max_mapping_size(dev) : SIZE_MAX;
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

int dma_mmap_attrs(device *, vm_area_struct *vma, void *cpu_addr, dma_addr_t, size_t size,
		   unsigned long)
{
	const unsigned long count = PAGE_ALIGN(size) >> PAGE_SHIFT;
	const unsigned long wanted = vma_pages(vma);

	if (vma->vm_pgoff >= count || wanted > count - vma->vm_pgoff)
		return -ENXIO;
	return remap_pfn_range(vma, vma->vm_start, virt_to_pfn(cpu_addr) + vma->vm_pgoff,
			       wanted << PAGE_SHIFT, vma->vm_page_prot);
}

bool dma_can_mmap(device *)
{
	return true;
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

int dma_map_sgtable(device *dev, sg_table *sgt, dma_data_direction dir, unsigned long attrs)
{
	const int mapped = mapList(dev, sgt->sgl, static_cast<int>(sgt->orig_nents), dir, attrs);

	if (mapped <= 0)
		return mapped ? mapped : -EIO;
	sgt->nents = static_cast<unsigned>(mapped);
	return 0;
}

void dma_unmap_sg_attrs(device *dev, scatterlist *sg, int nents, dma_data_direction dir,
			unsigned long attrs)
{
	const dma_map_ops *ops = get_dma_ops(dev);

	if (ops)
		ops->unmap_sg(dev, sg, nents, dir, attrs);
	liveDma--;
}

/* --- managed --- */

namespace
{

struct ManagedDma {
	device *dev;
	size_t size;
	void *memory;
	dma_addr_t handle;
};

void freeManaged(void *data)
{
	auto *managed = static_cast<ManagedDma *>(data);

	dma_free_attrs(managed->dev, managed->size, managed->memory, managed->handle, 0);
	kfree(managed);
}

} // namespace

void *dmam_alloc_attrs(device *dev, size_t size, dma_addr_t *dma_handle, gfp_t gfp,
		       unsigned long attrs)
{
	auto *managed = static_cast<ManagedDma *>(kzalloc(sizeof(ManagedDma), gfp));

	if (!managed)
		return nullptr;
	managed->dev = dev;
	managed->size = size;
	managed->memory = dma_alloc_attrs(dev, size, &managed->handle, gfp, attrs);
	if (!managed->memory) {
		kfree(managed);
		return nullptr;
	}
	void *memory = managed->memory;

	*dma_handle = managed->handle;
	return devm_add_action_or_reset(dev, freeManaged, managed) ? nullptr : memory;
}
