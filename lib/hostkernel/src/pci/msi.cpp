// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSI and MSI-X: enabling, message tables, and the interrupt numbers of a function. Messages have
 * addresses in the interrupt range (0xfee00000), so that a device model sees the same addresses as
 * on x86.
 */
#include "msi.h"

#include <algorithm>
#include <bit>

#include "function.h"

using namespace wd::hostkernel;

namespace
{

constexpr u32 kMessageAddress = 0xfee00000;

/* Number of messages that the MSI capability allows, a power of two. */
unsigned msiCount(pci_dev *dev)
{
	u16 control = 0;

	pci_read_config_word(dev, dev->msi_cap + PCI_MSI_FLAGS, &control);
	return 1u << ((control & PCI_MSI_FLAGS_QMASK) >> 1);
}

unsigned msixCount(pci_dev *dev)
{
	u16 control = 0;

	pci_read_config_word(dev, dev->msix_cap + PCI_MSIX_FLAGS, &control);
	return (control & PCI_MSIX_FLAGS_QSIZE) + 1;
}

void updateWord(pci_dev *dev, int where, u16 clear, u16 set)
{
	u16 value = 0;

	pci_read_config_word(dev, where, &value);
	pci_write_config_word(dev, where, static_cast<u16>((value & ~clear) | set));
}

void writeTableEntry(PciSlotState &slot, unsigned bar, u32 offset, u32 data)
{
	wd::machine::PciFunction &function = *slot.function;

	function.barWrite(bar, offset + PCI_MSIX_ENTRY_LOWER_ADDR, kMessageAddress, 4);
	function.barWrite(bar, offset + PCI_MSIX_ENTRY_UPPER_ADDR, 0, 4);
	function.barWrite(bar, offset + PCI_MSIX_ENTRY_DATA, data, 4);
	function.barWrite(bar, offset + PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
}

/* Write the table with the function mask set, as the specification demands. */
void programMsix(pci_dev *dev)
{
	PciSlotState &slot = slotOf(dev);
	const int control = dev->msix_cap + PCI_MSIX_FLAGS;
	u32 table = 0;

	updateWord(dev, control, 0, PCI_MSIX_FLAGS_MASKALL | PCI_MSIX_FLAGS_ENABLE);
	pci_read_config_dword(dev, dev->msix_cap + PCI_MSIX_TABLE, &table);
	for (unsigned i = 0; i < slot.irqs->count(); i++)
		writeTableEntry(slot, table & PCI_MSIX_TABLE_BIR,
				(table & PCI_MSIX_TABLE_OFFSET) + i * PCI_MSIX_ENTRY_SIZE,
				slot.irqs->number(i));
	updateWord(dev, control, PCI_MSIX_FLAGS_MASKALL, 0);
}

void programMsi(pci_dev *dev)
{
	PciSlotState &slot = slotOf(dev);
	const int control = dev->msi_cap + PCI_MSI_FLAGS;
	u16 flags = 0;

	pci_read_config_word(dev, control, &flags);
	pci_write_config_dword(dev, dev->msi_cap + PCI_MSI_ADDRESS_LO, kMessageAddress);
	if (flags & PCI_MSI_FLAGS_64BIT)
		pci_write_config_dword(dev, dev->msi_cap + PCI_MSI_ADDRESS_HI, 0);
	pci_write_config_word(
		dev,
		dev->msi_cap + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32),
		static_cast<u16>(slot.irqs->number(0)));
	/* MSI enables a power of two of messages. IrqLines ignores those without a number. */
	const unsigned log2 = std::bit_width(std::bit_ceil(slot.irqs->count())) - 1;

	updateWord(dev, control, PCI_MSI_FLAGS_QSIZE,
		   static_cast<u16>(log2 << 4 | PCI_MSI_FLAGS_ENABLE));
}

int makeLines(pci_dev *dev, unsigned count)
{
	PciSlotState &slot = slotOf(dev);

	slot.irqs = std::make_unique<IrqLines>(*slot.function, count, slot.name);
	if (slot.irqs->count() == count)
		return static_cast<int>(count);
	slot.irqs.reset();
	return -ENOSPC;
}

int enableMsix(pci_dev *dev, unsigned min, unsigned max)
{
	const unsigned have = dev->msix_cap ? std::min(msixCount(dev), max) : 0;

	if (have < min)
		return -ENOSPC;
	const int rc = makeLines(dev, have);

	if (rc < 0)
		return rc;
	dev->msix_enabled = 1;
	pci_intx(dev, 0);
	programMsix(dev);
	return rc;
}

int enableMsi(pci_dev *dev, unsigned min, unsigned max)
{
	const unsigned have = dev->msi_cap ? std::min(msiCount(dev), max) : 0;

	if (have < min)
		return -ENOSPC;
	const int rc = makeLines(dev, have);

	if (rc < 0)
		return rc;
	dev->msi_enabled = 1;
	dev->irq = slotOf(dev).irqs->number(0);
	pci_intx(dev, 0);
	programMsi(dev);
	return rc;
}

} // namespace

namespace wd::hostkernel
{

void pciRestoreMsi(pci_dev *dev)
{
	if (dev->msix_enabled)
		programMsix(dev);
	else if (dev->msi_enabled)
		programMsi(dev);
}

} // namespace wd::hostkernel

int pci_alloc_irq_vectors_affinity(pci_dev *dev, unsigned int min_vecs, unsigned int max_vecs,
				   unsigned int flags, irq_affinity *)
{
	if (!min_vecs || max_vecs < min_vecs)
		return -ERANGE;
	if (dev->msi_enabled || dev->msix_enabled)
		return -EINVAL;
	int rc = -ENOSPC;

	if (flags & PCI_IRQ_MSIX)
		rc = enableMsix(dev, min_vecs, max_vecs);
	if (rc < 0 && (flags & PCI_IRQ_MSI))
		rc = enableMsi(dev, min_vecs, max_vecs);
	return rc;
}

int pci_irq_vector(pci_dev *dev, unsigned int nr)
{
	PciSlotState &slot = slotOf(dev);

	if (!slot.irqs || nr >= slot.irqs->count())
		return -EINVAL;
	return static_cast<int>(slot.irqs->number(nr));
}

void pci_free_irq_vectors(pci_dev *dev)
{
	PciSlotState &slot = slotOf(dev);

	if (dev->msix_enabled)
		updateWord(dev, dev->msix_cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 0);
	if (dev->msi_enabled)
		updateWord(dev, dev->msi_cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 0);
	if (dev->msix_enabled || dev->msi_enabled)
		pci_intx(dev, 1);
	dev->msix_enabled = 0;
	dev->msi_enabled = 0;
	slot.irqs.reset();
	dev->irq = slot.pin ? slot.pin->number() : 0;
}

int pci_msi_vec_count(pci_dev *dev)
{
	return dev->msi_cap ? static_cast<int>(msiCount(dev)) : -EINVAL;
}

int pci_msix_vec_count(pci_dev *dev)
{
	return dev->msix_cap ? static_cast<int>(msixCount(dev)) : -EINVAL;
}
