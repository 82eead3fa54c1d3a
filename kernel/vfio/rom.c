// SPDX-License-Identifier: GPL-2.0-only
/*
 * The expansion ROM of a function: a region that the owner can only read (IOMMUFD-VFIO-13).
 *
 * The function decodes its ROM only while the driver reads it. What lies behind the image reads as
 * ones, without an access.
 */
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "wd_vfio.h"

/**
 * wd_vfio_rom_setup() - find out whether the function has a ROM with a valid image
 * @wd: function, enabled, without an owner
 */
void wd_vfio_rom_setup(struct wd_vfio *wd)
{
	void __iomem *io;
	size_t image;

	if (!pci_resource_start(wd->pdev, PCI_ROM_RESOURCE))
		return;
	io = pci_map_rom(wd->pdev, &image);
	if (!io)
		return;
	pci_unmap_rom(wd->pdev, io);
	wd->rom_size = pci_resource_len(wd->pdev, PCI_ROM_RESOURCE);
}

/* Some functions have no accesses of 8 bytes to their ROM. */
static void wd_vfio_rom_copy(const void __iomem *io, size_t image, loff_t offset, u8 *to,
			     size_t count)
{
	size_t done = 0;

	memset(to, 0xff, count);
	while (done < count && offset + done < image) {
		const size_t at = offset + done;

		if (at % 4 || count - done < 4 || image - at < 4) {
			to[done++] = readb(io + at);
		} else {
			__le32 value = cpu_to_le32(readl(io + at));

			memcpy(to + done, &value, sizeof(value));
			done += sizeof(value);
		}
	}
}

/* The lock keeps another reader from switching the decoding off. */
static int wd_vfio_rom_piece(struct wd_vfio_file *vfile, loff_t offset, u8 *to, size_t count)
{
	struct wd_vfio *wd = vfile->wd;
	void __iomem *io = NULL;
	size_t image;
	int ret;

	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	down_read(&wd->memory_lock);
	if (!wd->memory)
		ret = -EIO;
	else
		io = pci_map_rom(wd->pdev, &image);
	if (io) {
		wd_vfio_rom_copy(io, image, offset, to, count);
		pci_unmap_rom(wd->pdev, io);
	} else if (!ret) {
		ret = -ENOMEM;
	}
	up_read(&wd->memory_lock);
	mutex_unlock(&wd->lock);
	return ret;
}

/**
 * wd_vfio_rom_read() - read the expansion ROM through the file
 * @vfile: file
 * @buf: user memory
 * @count: bytes; this ignores those after the end of the ROM
 * @offset: offset in the ROM
 *
 * Return: number of bytes done, possibly fewer than @count; -EINVAL if @offset is outside of the
 * ROM; -EIO if memory is off; -EFAULT, -ENOMEM, -EINTR.
 */
ssize_t wd_vfio_rom_read(struct wd_vfio_file *vfile, char __user *buf, size_t count, loff_t offset)
{
	const resource_size_t size = vfile->wd->rom_size;
	size_t done = 0;
	int ret = 0;
	u8 *piece;

	if (offset >= size)
		return -EINVAL;
	count = min_t(resource_size_t, count, size - offset);
	piece = kmalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	if (!piece)
		return -ENOMEM;
	while (done < count && !ret) {
		const size_t step = min_t(size_t, count - done, PAGE_SIZE);

		ret = wd_vfio_rom_piece(vfile, offset + done, piece, step);
		if (!ret && copy_to_user(buf + done, piece, step))
			ret = -EFAULT;
		if (!ret)
			done += step;
		if (signal_pending(current))
			ret = ret ?: -EINTR;
	}
	kfree(piece);
	return done ?: ret;
}
