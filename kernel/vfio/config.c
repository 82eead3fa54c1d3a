// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuration space as the owner of a function sees it.
 *
 * The driver passes no write of the owner to the function. It stores the fields that the owner may
 * change, and acts on two of them: the command register (memory, bus mastering, the interrupt pin)
 * and the function level reset in Device Control. The owner may size and move BARs in its view, but the real ones
 * stay. Writes to the MSI and MSI-X capabilities are only stored: SET_IRQS connects messages.
 *
 * The owner sees only the capabilities that this file knows. It does not see power states, nor
 * PASID, ATS and PRI, which belong to the IOMMU driver. It can read the vendor-specific capability,
 * which tells the place of the doorbell words.
 */
#include <linux/iommu.h>
#include <linux/kernel.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "iommu_master.h"
#include "wd_vfio.h"

/* Limits for the length of a chain: the chain of a broken function could be endless. */
#define WD_VFIO_MAX_CAPS 48
#define WD_VFIO_MAX_EXT_CAPS ((PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / 8)
#define WD_VFIO_VNDR_LENGTH 2
#define WD_VFIO_MSI_SIZE 10
#define WD_VFIO_MSIX_SIZE 12
#define WD_VFIO_EXP_SIZE_V1 0x14
#define WD_VFIO_EXP_SIZE_V2 0x3c
#define WD_VFIO_DSN_SIZE 12

/**
 * struct wd_vfio_config - three bytes for each byte of configuration space
 * @value: value that the owner reads
 * @real: bits that the owner reads from the function instead
 * @write: bits of @value that the owner may change
 * @control: offset of Device Control if its function level reset works, otherwise 0
 */
struct wd_vfio_config {
	u8 value[PCI_CFG_SPACE_EXP_SIZE];
	u8 real[PCI_CFG_SPACE_EXP_SIZE];
	u8 write[PCI_CFG_SPACE_EXP_SIZE];
	unsigned int control;
};

static void wd_vfio_set(u8 *bytes, unsigned int offset, unsigned int size, u32 value)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		bytes[offset + i] = value >> (8 * i);
}

static u32 wd_vfio_get(const u8 *bytes, unsigned int offset, unsigned int size)
{
	u32 value = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		value |= (u32)bytes[offset + i] << (8 * i);
	return value;
}

/*
 * Define a field that the driver stores: its first value, and the bits that the owner may change.
 */
static void wd_vfio_field(struct wd_vfio_config *config, unsigned int offset, unsigned int size,
			  u32 value, u32 write)
{
	wd_vfio_set(config->value, offset, size, value);
	wd_vfio_set(config->real, offset, size, 0);
	wd_vfio_set(config->write, offset, size, write);
}

static void wd_vfio_config_bars(struct wd_vfio *wd, struct wd_vfio_config *config)
{
	unsigned int i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * i;
		u64 mask = ~((u64)wd->bars[i].size - 1);
		u32 flags;

		wd_vfio_field(config, offset, 4, 0, 0);
		if (!wd->bars[i].size)
			continue;
		/* Hide addresses of the host from the owner: its BARs begin with address 0. */
		pci_read_config_dword(wd->pdev, offset, &flags);
		flags &= ~PCI_BASE_ADDRESS_MEM_MASK;
		wd_vfio_field(config, offset, 4, flags, mask & PCI_BASE_ADDRESS_MEM_MASK);
		if (!(flags & PCI_BASE_ADDRESS_MEM_TYPE_64) || i + 1 == PCI_STD_NUM_BARS)
			continue;
		i++;
		wd_vfio_field(config, offset + 4, 4, 0, mask >> 32);
	}
}

/* The owner can size the ROM, and move it in its view (IOMMUFD-VFIO-13). */
static void wd_vfio_config_rom(struct wd_vfio *wd, struct wd_vfio_config *config)
{
	u32 write = 0;

	if (wd->rom_size)
		write = (~((u32)wd->rom_size - 1) & (u32)PCI_ROM_ADDRESS_MASK) |
			PCI_ROM_ADDRESS_ENABLE;
	wd_vfio_field(config, PCI_ROM_ADDRESS, 4, 0, write);
}

static void wd_vfio_config_header(struct wd_vfio *wd, struct wd_vfio_config *config)
{
	u8 line;

	memset(config->real, 0xff, PCI_STD_HEADER_SIZEOF);
	wd_vfio_field(config, PCI_COMMAND, 2, PCI_COMMAND_MEMORY,
		      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	wd_vfio_field(config, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
	wd_vfio_field(config, PCI_LATENCY_TIMER, 1, 0, 0xff);
	wd_vfio_config_bars(wd, config);
	wd_vfio_config_rom(wd, config);
	wd_vfio_field(config, PCI_CAPABILITY_LIST, 1, 0, 0);
	pci_read_config_byte(wd->pdev, PCI_INTERRUPT_LINE, &line);
	wd_vfio_field(config, PCI_INTERRUPT_LINE, 1, line, 0xff);
	wd_vfio_field(config, PCI_INTERRUPT_PIN, 1, wd->intx_pin, 0);
}

/*
 * Find the offset of the next capability after @pos, where the one at @pos must end. This does not
 * trust its length field. It reads the whole chain, which need not be sorted by offsets.
 */
static unsigned int wd_vfio_cap_limit(struct wd_vfio *wd, unsigned int pos)
{
	unsigned int limit = PCI_CFG_SPACE_SIZE, hops;
	u8 at;

	pci_read_config_byte(wd->pdev, PCI_CAPABILITY_LIST, &at);
	for (hops = 0; hops < WD_VFIO_MAX_CAPS; hops++) {
		at &= ~3;
		if (at < PCI_STD_HEADER_SIZEOF)
			break;
		if (at > pos)
			limit = min_t(unsigned int, limit, at);
		pci_read_config_byte(wd->pdev, at + PCI_CAP_LIST_NEXT, &at);
	}
	return limit;
}

/* Size of an MSI capability with the control word @flags. */
static unsigned int wd_vfio_msi_size(u16 flags)
{
	unsigned int size = WD_VFIO_MSI_SIZE;

	if (flags & PCI_MSI_FLAGS_64BIT)
		size += 4;
	return flags & PCI_MSI_FLAGS_MASKBIT ? round_up(size, 4) + 8 : size;
}

static unsigned int wd_vfio_config_msi(struct wd_vfio *wd, struct wd_vfio_config *config,
				       unsigned int pos, unsigned int limit)
{
	unsigned int size;
	bool wide, masks;
	u16 flags;

	pci_read_config_word(wd->pdev, pos + PCI_MSI_FLAGS, &flags);
	wide = flags & PCI_MSI_FLAGS_64BIT;
	masks = flags & PCI_MSI_FLAGS_MASKBIT;
	size = wd_vfio_msi_size(flags);
	if (size > limit - pos)
		return 0;
	flags &= ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	wd_vfio_field(config, pos + PCI_MSI_FLAGS, 2, flags,
		      PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	wd_vfio_field(config, pos + PCI_MSI_ADDRESS_LO, 4, 0, ~3u);
	if (wide)
		wd_vfio_field(config, pos + PCI_MSI_ADDRESS_HI, 4, 0, ~0u);
	wd_vfio_field(config, pos + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, 0, 0xffff);
	if (masks)
		wd_vfio_field(config, pos + size - 8, 4, 0, ~0u);
	return size;
}

static unsigned int wd_vfio_config_msix(struct wd_vfio *wd, struct wd_vfio_config *config,
					unsigned int pos, unsigned int limit)
{
	u16 flags;

	if (WD_VFIO_MSIX_SIZE > limit - pos)
		return 0;
	pci_read_config_word(wd->pdev, pos + PCI_MSIX_FLAGS, &flags);
	memset(config->real + pos, 0xff, WD_VFIO_MSIX_SIZE);
	wd_vfio_field(config, pos + PCI_MSIX_FLAGS, 2, flags & PCI_MSIX_FLAGS_QSIZE,
		      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	return WD_VFIO_MSIX_SIZE;
}

static unsigned int wd_vfio_config_express(struct wd_vfio *wd, struct wd_vfio_config *config,
					   unsigned int pos, unsigned int limit)
{
	unsigned int size;
	u32 capabilities;
	u16 word;

	if (WD_VFIO_EXP_SIZE_V1 > limit - pos)
		return 0;
	pci_read_config_word(wd->pdev, pos + PCI_EXP_FLAGS, &word);
	size = (word & 0xf) >= 2 ? WD_VFIO_EXP_SIZE_V2 : WD_VFIO_EXP_SIZE_V1;
	size = min(size, limit - pos);
	memset(config->real + pos, 0xff, size);
	pci_read_config_word(wd->pdev, pos + PCI_EXP_DEVCTL, &word);
	word &= ~PCI_EXP_DEVCTL_BCR_FLR;
	wd_vfio_field(config, pos + PCI_EXP_DEVCTL, 2, word, 0xffff & ~PCI_EXP_DEVCTL_BCR_FLR);
	pci_read_config_dword(wd->pdev, pos + PCI_EXP_DEVCAP, &capabilities);
	if (wd->resettable && capabilities & PCI_EXP_DEVCAP_FLR)
		config->control = pos + PCI_EXP_DEVCTL;
	return size;
}

static unsigned int wd_vfio_config_vendor(struct wd_vfio *wd, struct wd_vfio_config *config,
					  unsigned int pos, unsigned int limit)
{
	u8 size;

	pci_read_config_byte(wd->pdev, pos + WD_VFIO_VNDR_LENGTH, &size);
	size = min_t(unsigned int, size, limit - pos);
	memset(config->real + pos, 0xff, size);
	return size;
}

/*
 * Add a capability to the owner's view. Return: its size; 0 if the owner does not see it, since it
 * is unknown, or reaches into the next one.
 */
static unsigned int wd_vfio_config_cap(struct wd_vfio *wd, struct wd_vfio_config *config,
				       unsigned int pos, u8 id)
{
	unsigned int limit = wd_vfio_cap_limit(wd, pos);

	switch (id) {
	case PCI_CAP_ID_MSI:
		return wd_vfio_config_msi(wd, config, pos, limit);
	case PCI_CAP_ID_MSIX:
		return wd_vfio_config_msix(wd, config, pos, limit);
	case PCI_CAP_ID_EXP:
		return wd_vfio_config_express(wd, config, pos, limit);
	case PCI_CAP_ID_VNDR:
		return wd_vfio_config_vendor(wd, config, pos, limit);
	default:
		return 0;
	}
}

/* Link the capabilities that the owner sees to a chain. */
static void wd_vfio_config_caps(struct wd_vfio *wd, struct wd_vfio_config *config)
{
	unsigned int link = PCI_CAPABILITY_LIST, hops;
	u16 status;
	u8 pos, id;

	pci_read_config_word(wd->pdev, PCI_STATUS, &status);
	if (!(status & PCI_STATUS_CAP_LIST))
		return;
	pci_read_config_byte(wd->pdev, PCI_CAPABILITY_LIST, &pos);
	for (hops = 0; hops < WD_VFIO_MAX_CAPS; hops++) {
		pos &= ~3;
		if (pos < PCI_STD_HEADER_SIZEOF)
			break;
		pci_read_config_byte(wd->pdev, pos + PCI_CAP_LIST_ID, &id);
		if (wd_vfio_config_cap(wd, config, pos, id)) {
			wd_vfio_field(config, link, 1, pos, 0);
			wd_vfio_field(config, pos + PCI_CAP_LIST_ID, 1, id, 0);
			link = pos + PCI_CAP_LIST_NEXT;
			wd_vfio_field(config, link, 1, 0, 0);
		}
		pci_read_config_byte(wd->pdev, pos + PCI_CAP_LIST_NEXT, &pos);
	}
}

/*
 * Show only a serial number. If it is not the first capability, the first header is empty and leads
 * to it.
 */
static void wd_vfio_config_ext_caps(struct wd_vfio *wd, struct wd_vfio_config *config)
{
	unsigned int pos = PCI_CFG_SPACE_SIZE, hops;
	u32 header;

	if (wd->pdev->cfg_size <= PCI_CFG_SPACE_SIZE)
		return;
	for (hops = 0; hops < WD_VFIO_MAX_EXT_CAPS; hops++) {
		if (pos > PCI_CFG_SPACE_EXP_SIZE - WD_VFIO_DSN_SIZE)
			return;
		pci_read_config_dword(wd->pdev, pos, &header);
		if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_DSN &&
		    (PCI_EXT_CAP_NEXT(header) <= pos ||
		     PCI_EXT_CAP_NEXT(header) >= pos + WD_VFIO_DSN_SIZE)) {
			if (pos != PCI_CFG_SPACE_SIZE)
				wd_vfio_field(config, PCI_CFG_SPACE_SIZE, 4, pos << 20, 0);
			wd_vfio_field(config, pos, 4, header & 0xfffff, 0);
			memset(config->real + pos + 4, 0xff, WD_VFIO_DSN_SIZE - 4);
			return;
		}
		pos = PCI_EXT_CAP_NEXT(header);
		if (pos < PCI_CFG_SPACE_SIZE)
			return;
	}
}

/**
 * wd_vfio_config_create() - make the view of a new owner
 * @wd: function, as after a reset
 *
 * Return: the view, to be freed with kfree(); NULL without memory.
 */
struct wd_vfio_config *wd_vfio_config_create(struct wd_vfio *wd)
{
	struct wd_vfio_config *config = kzalloc(sizeof(*config), GFP_KERNEL_ACCOUNT);

	if (!config)
		return NULL;
	wd_vfio_config_header(wd, config);
	wd_vfio_config_caps(wd, config);
	wd_vfio_config_ext_caps(wd, config);
	return config;
}

/*
 * Switch bus mastering on, if an IOMMU still keeps the function from memory of others. A function
 * that was taken without an IOMMU must still have none: it could be in a group with others now.
 */
static int wd_vfio_config_master(struct wd_vfio *wd)
{
	return wd->noiommu != device_iommu_mapped(&wd->pdev->dev) ? wd_iommu_set_master(wd->pdev)
								  : -ENODEV;
}

/* Act on a write to the command register. After an error nothing has changed. */
static int wd_vfio_config_command(struct wd_vfio *wd, u32 command)
{
	int ret = 0;

	if (command & PCI_COMMAND_MASTER)
		ret = wd_vfio_config_master(wd);
	else
		wd_iommu_clear_master(wd->pdev);
	wd_vfio_intx_sync(wd);
	if (!ret)
		wd_vfio_set_memory(wd, command & PCI_COMMAND_MEMORY);
	return ret;
}

/**
 * wd_vfio_config_restored() - after a reset: clear bus mastering in the owner's view if it is not
 *	allowed any more
 * @wd: owned and locked
 */
void wd_vfio_config_restored(struct wd_vfio *wd)
{
	u8 *value = wd->config->value;
	u32 command = wd_vfio_get(value, PCI_COMMAND, 2);

	lockdep_assert_held(&wd->lock);
	if (command & PCI_COMMAND_MASTER && wd_vfio_config_master(wd))
		wd_vfio_set(value, PCI_COMMAND, 2, command & ~PCI_COMMAND_MASTER);
	wd_vfio_intx_sync(wd);
}

/**
 * wd_vfio_reset() - reset the function while it has an owner
 * @wd: owned, locked, resettable
 *
 * Afterwards configuration space is as before.
 *
 * Return: as wd_vfio_reset_pci().
 */
int wd_vfio_reset(struct wd_vfio *wd)
{
	int ret = wd_vfio_reset_pci(wd);

	wd_vfio_config_restored(wd);
	return ret;
}

/**
 * wd_vfio_config_stop() - switch memory and bus mastering off
 * @wd: owned and locked
 *
 * The owner has to ask for bus mastering again.
 */
void wd_vfio_config_stop(struct wd_vfio *wd)
{
	u8 *value = wd->config->value;

	lockdep_assert_held(&wd->lock);
	wd_vfio_set(value, PCI_COMMAND, 2,
		    wd_vfio_get(value, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
	wd_iommu_clear_master(wd->pdev);
	wd_vfio_intx_sync(wd);
	wd_vfio_set_memory(wd, false);
}

/**
 * wd_vfio_config_resume() - switch memory on again, if the owner had it on
 * @wd: owned and locked
 */
void wd_vfio_config_resume(struct wd_vfio *wd)
{
	wd_vfio_set_memory(wd, wd_vfio_get(wd->config->value, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
}

static u32 wd_vfio_config_read(struct wd_vfio *wd, unsigned int offset, unsigned int size)
{
	u32 mask = wd_vfio_get(wd->config->real, offset, size);
	u32 value = wd_vfio_get(wd->config->value, offset, size);
	u32 real = 0;

	if (!mask)
		return value;
	if (size == 4) {
		pci_read_config_dword(wd->pdev, offset, &real);
	} else if (size == 2) {
		u16 word;

		pci_read_config_word(wd->pdev, offset, &word);
		real = word;
	} else {
		u8 byte;

		pci_read_config_byte(wd->pdev, offset, &byte);
		real = byte;
	}
	return (value & ~mask) | (real & mask);
}

static int wd_vfio_config_write(struct wd_vfio *wd, unsigned int offset, unsigned int size,
				u32 value)
{
	struct wd_vfio_config *config = wd->config;
	u32 mask = wd_vfio_get(config->write, offset, size);
	u32 after = (wd_vfio_get(config->value, offset, size) & ~mask) | (value & mask);
	unsigned int reset = config->control + 1;
	int ret = 0;

	if (offset <= PCI_COMMAND && offset + size > PCI_COMMAND)
		ret = wd_vfio_config_command(wd, after >> (8 * (PCI_COMMAND - offset)));
	if (ret)
		return ret;
	wd_vfio_set(config->value, offset, size, after);
	if (offset <= PCI_COMMAND + 1 && offset + size > PCI_COMMAND + 1)
		wd_vfio_intx_switch(wd, wd_vfio_get(config->value, PCI_COMMAND, 2) &
						PCI_COMMAND_INTX_DISABLE);
	/* The bit for the reset is the highest one of Device Control, and reads as 0. */
	if (config->control && offset <= reset && offset + size > reset &&
	    value >> (8 * (reset - offset)) & PCI_EXP_DEVCTL_BCR_FLR >> 8)
		wd_vfio_reset(wd);
	return 0;
}

/* Make one access of 1, 2 or 4 bytes, naturally aligned. */
static int wd_vfio_config_access(struct wd_vfio_file *vfile, unsigned int offset, unsigned int size,
				 u32 *value, bool write)
{
	struct wd_vfio *wd = vfile->wd;
	int ret;

	ret = wd_vfio_lock_owner(vfile);
	if (ret)
		return ret;
	if (write)
		ret = wd_vfio_config_write(wd, offset, size, *value);
	else
		*value = wd_vfio_config_read(wd, offset, size);
	mutex_unlock(&wd->lock);
	return ret;
}

/**
 * wd_vfio_config_rw() - read or write configuration space
 * @vfile: file
 * @buf: user memory
 * @count: bytes
 * @offset: offset in configuration space
 * @write: true: write; false: read
 *
 * Return: number of bytes done, possibly fewer than @count; -EFAULT, also if the range leaves
 * configuration space; -ENODEV or -EIO if a write asks for bus mastering, but no live IOMMU
 * translates for the function.
 */
ssize_t wd_vfio_config_rw(struct wd_vfio_file *vfile, char __user *buf, size_t count, loff_t offset,
			  bool write)
{
	unsigned int end = vfile->wd->pdev->cfg_size;
	size_t done = 0;
	int ret = 0;

	if (offset >= end || count > end - offset)
		return -EFAULT;
	while (done < count && !ret) {
		unsigned int at = offset + done, size = 4;
		u32 value = 0;
		__le32 le = 0;

		while (size > count - done || at & (size - 1))
			size /= 2;
		if (write && copy_from_user(&le, buf + done, size))
			ret = -EFAULT;
		value = le32_to_cpu(le);
		if (!ret)
			ret = wd_vfio_config_access(vfile, at, size, &value, write);
		le = cpu_to_le32(value);
		if (!ret && !write && copy_to_user(buf + done, &le, size))
			ret = -EFAULT;
		if (!ret)
			done += size;
	}
	return done ?: ret;
}
