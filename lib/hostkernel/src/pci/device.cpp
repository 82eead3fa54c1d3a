// SPDX-License-Identifier: GPL-2.0-only
/*
 * Services for the driver of a function: enabling, bus mastering, claiming and mapping BARs.
 */
#include "function.h"

#include <linux/bug.h>

using namespace wd::hostkernel;

namespace
{

void setCommand(pci_dev *dev, u16 bits, bool on)
{
	u16 command = 0;

	pci_read_config_word(dev, PCI_COMMAND, &command);
	const u16 wanted = static_cast<u16>(on ? command | bits : command & ~bits);

	if (wanted != command)
		pci_write_config_word(dev, PCI_COMMAND, wanted);
}

} // namespace

int pci_enable_device_mem(pci_dev *dev)
{
	if (atomic_inc_return(&dev->enable_cnt) > 1)
		return 0;
	for (const resource &r : dev->resource) {
		if (r.flags & IORESOURCE_UNSET) {
			atomic_dec(&dev->enable_cnt);
			dev_err(&dev->dev, "can't enable device: a BAR is not assigned\n");
			return -EINVAL;
		}
	}
	setCommand(dev, PCI_COMMAND_MEMORY, true);
	if (slotOf(dev).pin && !dev->msi_enabled && !dev->msix_enabled)
		setCommand(dev, PCI_COMMAND_INTX_DISABLE, false);
	return 0;
}

int pci_enable_device(pci_dev *dev)
{
	return pci_enable_device_mem(dev);
}

void pci_disable_device(pci_dev *dev)
{
	if (WARN(atomic_read(&dev->enable_cnt) <= 0, "%s: disabling already-disabled device\n",
		 pci_name(dev)))
		return;
	if (atomic_dec_return(&dev->enable_cnt) != 0)
		return;
	/* As in Linux, this ends bus mastering only; the function still decodes memory. */
	setCommand(dev, PCI_COMMAND_MASTER, false);
	dev->is_busmaster = 0;
}

void pci_set_master(pci_dev *dev)
{
	setCommand(dev, PCI_COMMAND_MASTER, true);
	dev->is_busmaster = 1;
}

void pci_clear_master(pci_dev *dev)
{
	setCommand(dev, PCI_COMMAND_MASTER, false);
	dev->is_busmaster = 0;
}

/* --- BARs --- */

int pci_select_bars(pci_dev *dev, unsigned long flags)
{
	int bars = 0;

	for (int i = 0; i < PCI_NUM_RESOURCES; i++) {
		if (pci_resource_flags(dev, i) & flags)
			bars |= 1 << i;
	}
	return bars;
}

int pci_request_region(pci_dev *pdev, int bar, const char *name)
{
	PciSlotState &slot = slotOf(pdev);

	if (bar < 0 || bar >= PCI_STD_NUM_BARS || !pci_resource_len(pdev, bar))
		return 0;
	std::lock_guard lock(slot.mutex);

	if (slot.region[static_cast<size_t>(bar)]) {
		dev_warn(&pdev->dev, "BAR %d: can't reserve, it belongs to %s\n", bar,
			 slot.region[static_cast<size_t>(bar)]);
		return -EBUSY;
	}
	slot.region[static_cast<size_t>(bar)] = name ? name : "?";
	return 0;
}

void pci_release_region(pci_dev *pdev, int bar)
{
	PciSlotState &slot = slotOf(pdev);

	if (bar < 0 || bar >= PCI_STD_NUM_BARS)
		return;
	std::lock_guard lock(slot.mutex);

	slot.region[static_cast<size_t>(bar)] = nullptr;
}

int pci_request_selected_regions(pci_dev *pdev, int bars, const char *name)
{
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (!(bars & (1 << i)) || !pci_request_region(pdev, i, name))
			continue;
		while (--i >= 0) {
			if (bars & (1 << i))
				pci_release_region(pdev, i);
		}
		return -EBUSY;
	}
	return 0;
}

void pci_release_selected_regions(pci_dev *pdev, int bars)
{
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (bars & (1 << i))
			pci_release_region(pdev, i);
	}
}

int pci_request_regions(pci_dev *pdev, const char *name)
{
	return pci_request_selected_regions(pdev, (1 << PCI_STD_NUM_BARS) - 1, name);
}

void pci_release_regions(pci_dev *pdev)
{
	pci_release_selected_regions(pdev, (1 << PCI_STD_NUM_BARS) - 1);
}

void *pci_iomap_range(pci_dev *dev, int bar, unsigned long offset, unsigned long maxlen)
{
	if (bar < 0 || bar >= PCI_STD_NUM_BARS)
		return nullptr;
	resource_size_t length = pci_resource_len(dev, bar);

	if (length <= offset || !pci_resource_start(dev, bar))
		return nullptr;
	length -= offset;
	if (maxlen && length > maxlen)
		length = maxlen;
	return ioremap(pci_resource_start(dev, bar) + offset, length);
}

void *pci_iomap(pci_dev *dev, int bar, unsigned long maxlen)
{
	return pci_iomap_range(dev, bar, 0, maxlen);
}

void pci_iounmap(pci_dev *, void *addr)
{
	iounmap(addr);
}
