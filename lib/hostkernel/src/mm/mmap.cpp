// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of device files. mapFile() first reserves the address range, so that the vma has its
 * real address. Then the driver fills it with pages of the arena or of a BAR, both of which are
 * memfds: in its mmap(), or page by page in its fault handler, which mapFile() calls when the vma
 * is in the list of the file's mappings. If the handler refuses a page, the page is a private zero
 * page, as after a revocation. When a part is unmapped, the handler is called for the other pages
 * once more, since in Linux a program may touch a page for the first time after its vma has been
 * split.
 */
#include "fs/vfs.h"

#include <algorithm>
#include <sys/mman.h>

#include <linux/mm.h>
#include <linux/slab.h>

#include "arena.h"
#include "machine/pci_function.h"
#include "pages.h"
#include "pci/bus_hooks.h"
#include "user_table.h"

namespace wd::hostkernel
{
namespace
{

/* The object at vma->wd_private. */
struct Mapping {
	list_head entry; /* in the list of the file's address space */
	vm_area_struct *vma;
	int prot;
	bool device;
};

Mapping *mappingOf(vm_area_struct *vma)
{
	return static_cast<Mapping *>(vma->wd_private);
}

bool inside(const vm_area_struct *vma, unsigned long addr, unsigned long size)
{
	return addr >= vma->vm_start && addr <= vma->vm_end && size <= vma->vm_end - addr;
}

/*
 * With VM_DONTCOPY a child of fork() does not get the range. A new mapping over a part of the range
 * needs the advice again.
 */
void keepFromChildren(vm_area_struct *vma, unsigned long addr, unsigned long size)
{
	if (vma->vm_flags & VM_DONTCOPY)
		WARN_ON(madvise(reinterpret_cast<void *>(addr), size, MADV_DONTFORK));
}

/*
 * Replace the pages of part of a vma by private zero pages, so that no device sees what is written.
 */
void forget(vm_area_struct *vma, unsigned long addr, unsigned long size)
{
	void *at = mmap(reinterpret_cast<void *>(addr), size, mappingOf(vma)->prot,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	if (!WARN_ON(at == MAP_FAILED))
		keepFromChildren(vma, addr, size);
}

int place(vm_area_struct *vma, unsigned long addr, uint64_t phys, unsigned long size)
{
	int fd;
	uint64_t offset;
	if (!size || !inside(vma, addr, size) || !PAGE_ALIGNED(addr | phys | size))
		return -EINVAL;
	auto *kernel = reinterpret_cast<void *>(phys);
	if (hostkernel_bus_is_mmio(phys)) {
		auto pages = hostkernel_bus_shared_pages(phys, size);
		if (!pages || pages->length < size)
			return -EINVAL;
		fd = pages->fd;
		offset = pages->offset;
	} else if (arenaContains(kernel, size)) {
		fd = arenaFd();
		offset = arenaOffset(kernel);
	} else {
		return -EINVAL;
	}
	void *at = mmap(reinterpret_cast<void *>(addr), size, mappingOf(vma)->prot,
			MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset));
	if (at == MAP_FAILED)
		return -errno;
	keepFromChildren(vma, addr, size);
	return 0;
}

unsigned long vmFlags(int prot, int flags, const file *filp)
{
	unsigned long vm = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
	vm |= (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) |
	      (prot & PROT_EXEC ? VM_EXEC : 0);
	if (flags & MAP_SHARED) {
		vm |= VM_SHARED | VM_MAYSHARE;
		if (!(filp->f_mode & FMODE_WRITE))
			vm &= ~(VM_MAYWRITE | VM_SHARED);
	}
	return vm;
}

int checkRequest(const file *filp, size_t length, int prot, int flags, uint64_t offset)
{
	int type = flags & (MAP_SHARED | MAP_PRIVATE);
	if (!length || !PAGE_ALIGNED(offset) || (type != MAP_SHARED && type != MAP_PRIVATE))
		return -EINVAL;
	if (length > TASK_SIZE)
		return -ENOMEM;
	if (offset + PAGE_ALIGN(length) < offset)
		return -EOVERFLOW;
	if (!(filp->f_mode & FMODE_READ))
		return -EACCES;
	if (type == MAP_SHARED && (prot & PROT_WRITE) && !(filp->f_mode & FMODE_WRITE))
		return -EACCES;
	return filp->f_op->mmap ? 0 : -ENODEV;
}

void release(vm_area_struct *vma)
{
	munmap(reinterpret_cast<void *>(vma->vm_start), vma->vm_end - vma->vm_start);
	kfree(mappingOf(vma));
	kfree(vma);
}

/* A vma over an address range that is reserved and still empty. */
vm_area_struct *reserve(file *filp, mm_struct *mm, size_t length, int prot, int flags,
			uint64_t offset)
{
	auto *vma = static_cast<vm_area_struct *>(kzalloc(sizeof(vm_area_struct), GFP_KERNEL));
	auto *mapping = static_cast<Mapping *>(kzalloc(sizeof(Mapping), GFP_KERNEL));
	void *at = MAP_FAILED;
	if (vma && mapping)
		at = mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	if (at == MAP_FAILED) {
		kfree(vma);
		kfree(mapping);
		return nullptr;
	}
	mapping->vma = vma;
	mapping->prot = prot;
	INIT_LIST_HEAD(&mapping->entry);
	vma->wd_private = mapping;
	vma->vm_start = reinterpret_cast<unsigned long>(at);
	vma->vm_end = vma->vm_start + length;
	vma->vm_mm = mm;
	vma->vm_flags = vmFlags(prot, flags, filp);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	vma->vm_pgoff = offset >> PAGE_SHIFT;
	vma->vm_file = filp;
	return vma;
}

void faultAll(vm_area_struct *vma)
{
	if (!vma->vm_ops || !vma->vm_ops->fault)
		return;
	mmap_read_lock(vma->vm_mm);
	for (unsigned long at = vma->vm_start; at < vma->vm_end; at += PAGE_SIZE) {
		vm_fault vmf = {};
		vmf.vma = vma;
		vmf.pgoff = vma->vm_pgoff + ((at - vma->vm_start) >> PAGE_SHIFT);
		vmf.address = at;
		if (!(vma->vm_ops->fault(&vmf) & VM_FAULT_NOPAGE))
			forget(vma, at, PAGE_SIZE);
	}
	mmap_read_unlock(vma->vm_mm);
}

} // namespace

int mapFile(file *filp, mm_struct *mm, size_t length, int prot, int flags, uint64_t offset,
	    vm_area_struct *&out)
{
	int ret = checkRequest(filp, length, prot, flags, offset);
	if (ret)
		return ret;
	vm_area_struct *vma = reserve(filp, mm, PAGE_ALIGN(length), prot, flags, offset);
	if (!vma)
		return -ENOMEM;
	get_file(filp);
	mmap_write_lock(mm);
	userRangeChanged(mm, vma->vm_start, vma->vm_end);
	ret = filp->f_op->mmap(filp, vma);
	mm->total_vm += ret ? 0 : vma_pages(vma);
	mmap_write_unlock(mm);
	if (ret) {
		fput(filp);
		release(vma);
		return ret;
	}
	/* Again, since the driver may have placed pages before it set the flag. */
	keepFromChildren(vma, vma->vm_start, vma->vm_end - vma->vm_start);
	Mapping *mapping = mappingOf(vma);
	mapping->device = vma->vm_flags & (VM_PFNMAP | VM_IO);
	if (mapping->device)
		deviceMappingAdd(vma->vm_start, vma->vm_end - vma->vm_start);
	mutex_lock(&filp->f_mapping->i_mmap_lock);
	list_add_tail(&mapping->entry, &filp->f_mapping->i_mmap);
	mutex_unlock(&filp->f_mapping->i_mmap_lock);
	faultAll(vma);
	out = vma;
	return 0;
}

namespace
{

/* Make the part of @vma from @at on a vma of its own, @upper, with a reference to the file. */
int split(vm_area_struct *vma, unsigned long at, vm_area_struct *&upper)
{
	if (vma->vm_ops && vma->vm_ops->may_split) {
		const int ret = vma->vm_ops->may_split(vma, at);
		if (ret)
			return ret;
	}
	auto *part = static_cast<vm_area_struct *>(kzalloc(sizeof(vm_area_struct), GFP_KERNEL));
	auto *mapping = static_cast<Mapping *>(kzalloc(sizeof(Mapping), GFP_KERNEL));
	if (!part || !mapping) {
		kfree(part);
		kfree(mapping);
		return -ENOMEM;
	}
	*part = *vma;
	*mapping = *mappingOf(vma);
	mapping->vma = part;
	part->wd_private = mapping;
	part->vm_start = at;
	part->vm_pgoff += (at - vma->vm_start) >> PAGE_SHIFT;
	get_file(part->vm_file);
	mmap_write_lock(vma->vm_mm);
	if (vma->vm_ops && vma->vm_ops->open)
		vma->vm_ops->open(part);
	mutex_lock(&vma->vm_file->f_mapping->i_mmap_lock);
	vma->vm_end = at;
	list_add(&mapping->entry, &mappingOf(vma)->entry);
	mutex_unlock(&vma->vm_file->f_mapping->i_mmap_lock);
	mmap_write_unlock(vma->vm_mm);
	if (mapping->device) {
		deviceMappingAdd(part->vm_start, part->vm_end - part->vm_start);
		deviceMappingAdd(vma->vm_start, vma->vm_end - vma->vm_start);
	}
	upper = part;
	return 0;
}

} // namespace

int unmapPart(vm_area_struct *vma, unsigned long start, unsigned long end,
	      std::vector<vm_area_struct *> &rest)
{
	vm_area_struct *middle = vma, *tail = nullptr;
	int ret = 0;
	if (end < vma->vm_end)
		ret = split(vma, end, tail);
	if (!ret && start > vma->vm_start)
		ret = split(vma, start, middle);
	if (ret)
		middle = nullptr;
	for (vm_area_struct *kept : {vma, tail})
		if (kept && kept != middle)
			rest.push_back(kept);
	if (middle)
		unmapFile(middle);
	for (vm_area_struct *kept : rest)
		faultAll(kept);
	return ret;
}

void unmapFile(vm_area_struct *vma)
{
	Mapping *mapping = mappingOf(vma);
	file *filp = vma->vm_file;
	mm_struct *mm = vma->vm_mm;
	mutex_lock(&filp->f_mapping->i_mmap_lock);
	list_del_init(&mapping->entry);
	mutex_unlock(&filp->f_mapping->i_mmap_lock);
	if (mapping->device)
		deviceMappingRemove(vma->vm_start, vma->vm_end - vma->vm_start);
	mmap_write_lock(mm);
	mm->total_vm -= vma_pages(vma);
	if (vma->vm_ops && vma->vm_ops->close)
		vma->vm_ops->close(vma);
	userRangeChanged(mm, vma->vm_start, vma->vm_end);
	mmap_write_unlock(mm);
	release(vma);
	fput(filp);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

vm_fault_t vmf_insert_pfn(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn)
{
	if (WARN_ON(!(vma->vm_flags & VM_PFNMAP)))
		return VM_FAULT_SIGBUS;
	return place(vma, addr, PFN_PHYS(pfn), PAGE_SIZE) ? VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
}

void unmap_mapping_range(struct address_space *mapping, loff_t holebegin, loff_t holelen, int)
{
	unsigned long first = PFN_DOWN(static_cast<unsigned long>(holebegin));
	/* a length of 0 means "to the end of the file" */
	unsigned long last =
		holelen ? PFN_UP(static_cast<unsigned long>(holebegin + holelen)) : ULONG_MAX;
	Mapping *entry;

	mutex_lock(&mapping->i_mmap_lock);
	list_for_each_entry (entry, &mapping->i_mmap, entry) {
		vm_area_struct *vma = entry->vma;
		unsigned long from = std::max(first, vma->vm_pgoff);
		unsigned long to = std::min(last, vma->vm_pgoff + vma_pages(vma));
		if (from < to)
			forget(vma, vma->vm_start + ((from - vma->vm_pgoff) << PAGE_SHIFT),
			       (to - from) << PAGE_SHIFT);
	}
	mutex_unlock(&mapping->i_mmap_lock);
}
