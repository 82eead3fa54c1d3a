// SPDX-License-Identifier: GPL-2.0-only
/* Expansion ROMs: a function decodes its ROM only while somebody has mapped it. */
#include "function.h"

using namespace wd::hostkernel;

namespace
{

constexpr uint16_t kSignature = 0xaa55;
constexpr uint32_t kDataSignature = 0x52494350; /* "PCIR" */
constexpr unsigned kPointer = 0x18, kImageLength = 0x10, kIndicator = 0x15, kData = 0x18;
constexpr u8 kLastImage = 0x80;

void enable(pci_dev *dev, bool on)
{
	u32 value = 0;

	pci_read_config_dword(dev, PCI_ROM_ADDRESS, &value);
	pci_write_config_dword(dev, PCI_ROM_ADDRESS,
			       on ? value | PCI_ROM_ADDRESS_ENABLE
				  : value & ~PCI_ROM_ADDRESS_ENABLE);
}

/* Bytes of all images, at most @size; 0 if the first one is not valid. */
size_t imageSize(const char *rom, size_t size)
{
	size_t at = 0;

	while (at + kPointer + 2 <= size && readw(rom + at) == kSignature) {
		const size_t data = at + readw(rom + at + kPointer);

		if (data + kData > size || readl(rom + data) != kDataSignature)
			break;
		const size_t length = readw(rom + data + kImageLength) * size_t{512};

		at += length;
		if (!length || readb(rom + data + kIndicator) & kLastImage)
			break;
	}
	return at < size ? at : size;
}

} // namespace

void *pci_map_rom(pci_dev *dev, size_t *size)
{
	*size = pci_resource_len(dev, PCI_ROM_RESOURCE);
	if (!*size)
		return nullptr;
	enable(dev, true);
	void *rom = ioremap(pci_resource_start(dev, PCI_ROM_RESOURCE), *size);

	*size = rom ? imageSize(static_cast<const char *>(rom), *size) : 0;
	if (*size)
		return rom;
	if (rom)
		iounmap(rom);
	enable(dev, false);
	return nullptr;
}

void pci_unmap_rom(pci_dev *dev, void *rom)
{
	iounmap(rom);
	enable(dev, false);
}
