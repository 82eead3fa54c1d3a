// SPDX-License-Identifier: GPL-2.0-only
/*
 * BARs: reads and writes through the file, mappings, and their revocation.
 *
 * While memory is off (by the command register, during a reset, or without an owner) reads and
 * writes fail with -EIO, and accesses to mappings raise SIGBUS. In low power reads and writes resume
 * the function, but mappings cannot. The driver inserts pages one by one
 * on page faults. If mmap() inserted them, a revocation could run before the VMA is in the file's
 * tree, and miss them.
 */
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "trace.h"
#include "wd_vfio.h"

#define WD_VFIO_PGOFF_SHIFT (WD_VFIO_OFFSET_SHIFT - PAGE_SHIFT)

/* Find the MSI-X table. The kernel owns the messages, so the owner must not write the table. */
static void wd_vfio_find_msix(struct wd_vfio *wd)
{
	struct pci_dev *pdev = wd->pdev;
	u32 table = 0;

	wd->msix_bar = -1;
	if (!pdev->msix_cap)
		return;
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	wd->msix_bar = table & PCI_MSIX_TABLE_BIR;
	wd->msix_table = table & PCI_MSIX_TABLE_OFFSET;
	wd->msix_end =
		wd->msix_table + (resource_size_t)pci_msix_vec_count(pdev) * PCI_MSIX_ENTRY_SIZE;
}

/* Find the parts of a BAR that can be mapped: whole pages, except those of the MSI-X table. */
static void wd_vfio_bar_areas(struct wd_vfio *wd, unsigned int index)
{
	struct wd_vfio_bar *bar = &wd->bars[index];

	bar->mappable = !(pci_resource_flags(wd->pdev, index) & IORESOURCE_EXCLUSIVE) &&
			PAGE_ALIGNED(pci_resource_start(wd->pdev, index) | bar->size);
	if (!bar->mappable || wd->msix_bar != (int)index)
		return;
	bar->hole = min(round_down(wd->msix_table, (resource_size_t)PAGE_SIZE), bar->size);
	bar->hole_end = min(round_up(wd->msix_end, (resource_size_t)PAGE_SIZE), bar->size);
	if (!bar->hole && bar->hole_end == bar->size)
		bar->mappable = false;
}

/**
 * wd_vfio_bars_setup() - map the function's memory for the kernel
 * @wd: function, enabled
 *
 * Return: 0 or -ENOMEM.
 */
int wd_vfio_bars_setup(struct wd_vfio *wd)
{
	unsigned int i;

	wd_vfio_find_msix(wd);
	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct wd_vfio_bar *bar = &wd->bars[i];

		if (!(pci_resource_flags(wd->pdev, i) & IORESOURCE_MEM))
			continue;
		bar->size = pci_resource_len(wd->pdev, i);
		if (!bar->size)
			continue;
		bar->io = pci_iomap(wd->pdev, i, 0);
		if (!bar->io) {
			wd_vfio_bars_cleanup(wd);
			return -ENOMEM;
		}
		wd_vfio_bar_areas(wd, i);
	}
	return 0;
}

void wd_vfio_bars_cleanup(struct wd_vfio *wd)
{
	unsigned int i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		if (wd->bars[i].io)
			pci_iounmap(wd->pdev, wd->bars[i].io);
}

/**
 * wd_vfio_zap() - unmap every page of the BARs
 * @wd: its memory_lock is held for writing. As long as it is no page can come back
 */
void wd_vfio_zap(struct wd_vfio *wd)
{
	lockdep_assert_held(&wd->memory_lock);
	if (wd->mapping)
		unmap_mapping_range(wd->mapping, 0,
				    (loff_t)PCI_STD_NUM_BARS << WD_VFIO_OFFSET_SHIFT, 1);
}

/**
 * wd_vfio_set_memory() - allow or forbid accesses of the owner to the BARs
 * @wd: owned, locked
 * @memory: allow them; this is the bit of the command register
 */
void wd_vfio_set_memory(struct wd_vfio *wd, bool memory)
{
	const bool before = wd->memory;

	lockdep_assert_held(&wd->lock);
	if (before && !memory)
		wd_vfio_dmabufs_revoke(wd, true);
	down_write(&wd->memory_lock);
	if (before && !memory)
		wd_vfio_zap(wd);
	wd->memory = memory;
	up_write(&wd->memory_lock);
	if (!before && memory)
		wd_vfio_dmabufs_allow(wd);
}

/**
 * wd_vfio_reset_function() - reset the function, as its driver
 * @wd: locked
 * @reset: function of the PCI core that does it
 *
 * So wd_vfio_reset_prepare() knows that the lock is held by its own thread.
 */
int wd_vfio_reset_function(struct wd_vfio *wd, int (*reset)(struct pci_dev *pdev))
{
	int ret;

	lockdep_assert_held(&wd->lock);
	WRITE_ONCE(wd->resetter, current);
	ret = reset(wd->pdev);
	WRITE_ONCE(wd->resetter, NULL);
	wd_vfio_intx_sync(wd);
	return ret;
}

/**
 * wd_vfio_reset_pci() - reset the function without concurrent accesses to its memory
 * @wd: owned, locked, resettable
 *
 * Afterwards page faults bring the pages of mappings back. A hosted kernel that sees no page faults
 * of the program cannot do this.
 *
 * Return: 0; -EAGAIN if another thread holds the lock of the PCI device; or the error of the reset.
 */
int wd_vfio_reset_pci(struct wd_vfio *wd)
{
	int ret;

	lockdep_assert_held(&wd->lock);
	wd_vfio_dmabufs_revoke(wd, true);
	down_write(&wd->memory_lock);
	wd_vfio_zap(wd);
	ret = wd_vfio_reset_function(wd, pci_try_reset_function);
	up_write(&wd->memory_lock);
	wd_vfio_dmabufs_allow(wd);
	trace_wd_vfio_reset(&wd->pdev->dev, ret);
	return ret;
}

/* --- reads and writes --- */

static u64 wd_vfio_io_read(void __iomem *io, unsigned int size)
{
	switch (size) {
	case 8:
		return readq(io);
	case 4:
		return readl(io);
	case 2:
		return readw(io);
	default:
		return readb(io);
	}
}

/* Write @size bytes, 1, 2, 4 or 8, at @io, which is aligned. Any context. */
void wd_vfio_io_write(void __iomem *io, unsigned int size, u64 value)
{
	switch (size) {
	case 8:
		writeq(value, io);
		break;
	case 4:
		writel(value, io);
		break;
	case 2:
		writew(value, io);
		break;
	default:
		writeb(value, io);
		break;
	}
}

/* Does an access touch the MSI-X table? */
bool wd_vfio_is_msix_table(struct wd_vfio *wd, unsigned int bar, resource_size_t offset,
			   unsigned int size)
{
	return wd->msix_bar == (int)bar && offset < wd->msix_end && offset + size > wd->msix_table;
}

/* Make one access. The MSI-X table reads as all ones, and this drops writes to it. */
static int wd_vfio_bar_access(struct wd_vfio_file *vfile, unsigned int index,
			      resource_size_t offset, unsigned int size, u64 *value, bool write)
{
	struct wd_vfio *wd = vfile->wd;
	void __iomem *io;
	int ret = 0;

	down_read(&wd->memory_lock);
	io = wd->bars[index].io;
	if (wd->owner != vfile || !wd->memory)
		ret = -EIO;
	else if (wd_vfio_is_msix_table(wd, index, offset, size))
		*value = U64_MAX;
	else if (write)
		wd_vfio_io_write(io + offset, size, *value);
	else
		*value = wd_vfio_io_read(io + offset, size);
	up_read(&wd->memory_lock);
	return ret;
}

/* Return: the largest naturally aligned size, at most @count, for an access at @offset. */
static unsigned int wd_vfio_access_size(resource_size_t offset, size_t count)
{
	unsigned int size = 8;

	while (size > count || offset & (size - 1))
		size /= 2;
	return size;
}

/**
 * wd_vfio_bar_rw() - read or write a BAR through the file
 * @vfile: file
 * @index: index of the BAR
 * @buf: user memory
 * @count: bytes; this ignores those after the end of the BAR
 * @offset: offset in the BAR
 * @write: true: write; false: read
 *
 * Return: number of bytes done, possibly fewer than @count; -EINVAL if @offset is outside of the
 * BAR; -EIO if memory is off; -EFAULT; -EINTR.
 */
ssize_t wd_vfio_bar_rw(struct wd_vfio_file *vfile, unsigned int index, char __user *buf,
		       size_t count, loff_t offset, bool write)
{
	const struct wd_vfio_bar *bar = &vfile->wd->bars[index];
	resource_size_t at = offset;
	size_t done = 0;
	int ret = 0;

	if (at >= bar->size)
		return -EINVAL;
	count = min_t(resource_size_t, count, bar->size - at);
	while (done < count && !ret) {
		unsigned int size = wd_vfio_access_size(at + done, count - done);
		u64 value = 0;

		if (write && copy_from_user(&value, buf + done, size))
			ret = -EFAULT;
		if (!ret)
			ret = wd_vfio_bar_access(vfile, index, at + done, size, &value, write);
		if (!ret && !write && copy_to_user(buf + done, &value, size))
			ret = -EFAULT;
		if (!ret)
			done += size;
		/*
		 * Register accesses are slow, and a BAR may have millions: let a signal end this.
		 */
		if (signal_pending(current))
			ret = ret ?: -EINTR;
	}
	return done ?: ret;
}

/* --- mappings --- */

static vm_fault_t wd_vfio_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct wd_vfio_file *vfile = vma->vm_file->private_data;
	struct wd_vfio *wd = vfile->wd;
	unsigned int index = vma->vm_pgoff >> WD_VFIO_PGOFF_SHIFT;
	unsigned long page = vma->vm_pgoff & (BIT(WD_VFIO_PGOFF_SHIFT) - 1);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	page += (vmf->address - vma->vm_start) >> PAGE_SHIFT;
	down_read(&wd->memory_lock);
	if (wd->owner == vfile && wd->memory && !wd->low_power)
		ret = vmf_insert_pfn(vma, vmf->address,
				     PHYS_PFN(pci_resource_start(wd->pdev, index)) + page);
	up_read(&wd->memory_lock);
	return ret;
}

static const struct vm_operations_struct wd_vfio_vm_ops = {
	.fault = wd_vfio_fault,
};

/**
 * wd_vfio_map() - mmap() of a BAR
 * @vfile: file
 * @vma: new VMA, whose offset names the region, as in reads
 *
 * Return: 0; -EINVAL if @vfile is not bound, the mapping is private, or not all of it can be
 * mapped; -EPERM to execute registers; -ENODEV.
 */
int wd_vfio_map(struct wd_vfio_file *vfile, struct vm_area_struct *vma)
{
	u64 index = vma->vm_pgoff >> WD_VFIO_PGOFF_SHIFT;
	u64 start = (u64)(vma->vm_pgoff & (BIT(WD_VFIO_PGOFF_SHIFT) - 1)) << PAGE_SHIFT;
	struct wd_vfio *wd = vfile->wd;
	bool bound;

	/* Do not take wd->lock: the caller holds mmap_lock, which is inside it. */
	down_read(&wd->memory_lock);
	bound = wd->owner == vfile;
	up_read(&wd->memory_lock);
	if (!bound)
		return READ_ONCE(wd->gone) ? -ENODEV : -EINVAL;
	if (!(vma->vm_flags & VM_SHARED) || index >= PCI_STD_NUM_BARS)
		return -EINVAL;
	if (!wd_vfio_can_map(&wd->bars[index], start, vma->vm_end - vma->vm_start))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	/* VM_DONTCOPY: a child of the owner must not access the registers. */
	wd_vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP,
			VM_MAYEXEC);
	vma->vm_ops = &wd_vfio_vm_ops;
	return 0;
}
