// SPDX-License-Identifier: GPL-2.0-only
/*
 * Services for the driver of a function: enabling, bus mastering, claiming and mapping BARs, and
 * the managed forms, which are undone when the driver leaves.
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

/* --- managed --- */

void undoEnable(void *data)
{
	auto *dev = static_cast<pci_dev *>(data);

	pci_release_selected_regions(dev, slotOf(dev).managedRegions);
	dev->is_managed = 0;
	if (pci_is_enabled(dev))
		pci_disable_device(dev);
}

void undoMap(void *data)
{
	iounmap(data);
}

/* @data is the BAR's entry in the table of managed mappings. */
void undoTableEntry(void *data)
{
	void **entry = static_cast<void **>(data);

	iounmap(*entry);
	*entry = nullptr;
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
	/* As Linux: decoding stays on, only bus mastering ends. */
	setCommand(dev, PCI_COMMAND_MASTER, false);
	dev->is_busmaster = 0;
}

int pcim_enable_device(pci_dev *pdev)
{
	if (pdev->is_managed)
		return 0;
	const int rc = pci_enable_device(pdev);

	if (rc)
		return rc;
	pdev->is_managed = 1;
	return devm_add_action_or_reset(&pdev->dev, undoEnable, pdev);
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
	/* Regions of a pcim_enable_device()d function are released with it. */
	if (pdev->is_managed)
		slot.managedRegions |= 1 << bar;
	return 0;
}

void pci_release_region(pci_dev *pdev, int bar)
{
	PciSlotState &slot = slotOf(pdev);

	if (bar < 0 || bar >= PCI_STD_NUM_BARS)
		return;
	std::lock_guard lock(slot.mutex);

	slot.region[static_cast<size_t>(bar)] = nullptr;
	slot.managedRegions &= ~(1 << bar);
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

void *pci_ioremap_bar(pci_dev *pdev, int bar)
{
	if (bar < 0 || bar >= PCI_STD_NUM_BARS ||
	    !(pci_resource_flags(pdev, bar) & IORESOURCE_MEM)) {
		dev_warn(&pdev->dev, "can't ioremap BAR %d\n", bar);
		return nullptr;
	}
	return pci_iomap(pdev, bar, 0);
}

void *pcim_iomap(pci_dev *pdev, int bar, unsigned long maxlen)
{
	if (bar < 0 || bar >= PCI_STD_NUM_BARS)
		return nullptr;
	void *&entry = slotOf(pdev).table[static_cast<size_t>(bar)];

	if (WARN_ON(entry))
		return nullptr;
	entry = pci_iomap(pdev, bar, maxlen);
	if (!entry || devm_add_action_or_reset(&pdev->dev, undoTableEntry, &entry))
		return nullptr;
	return entry;
}

void pcim_iounmap(pci_dev *pdev, void *addr)
{
	for (void *&entry : slotOf(pdev).table) {
		if (addr && entry == addr)
			devm_release_action(&pdev->dev, undoTableEntry, &entry);
	}
}

int pcim_iomap_regions(pci_dev *pdev, int mask, const char *name)
{
	int rc = 0, bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS && !rc; bar++) {
		if (!(mask & (1 << bar)))
			continue;
		rc = pci_resource_len(pdev, bar) ? pci_request_region(pdev, bar, name) : -EINVAL;
		if (rc)
			break;
		if (!pcim_iomap(pdev, bar, 0)) {
			pci_release_region(pdev, bar);
			rc = -ENOMEM;
			break;
		}
	}
	if (rc)
		pcim_iounmap_regions(pdev, mask & ((1 << bar) - 1));
	return rc;
}

void pcim_iounmap_regions(pci_dev *pdev, int mask)
{
	PciSlotState &slot = slotOf(pdev);

	for (int bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		void *address = slot.table[static_cast<size_t>(bar)];

		if (!(mask & (1 << bar)) || !address)
			continue;
		pcim_iounmap(pdev, address);
		pci_release_region(pdev, bar);
	}
}

void *const *pcim_iomap_table(pci_dev *pdev)
{
	return slotOf(pdev).table.data();
}

void *devm_ioremap(device *dev, resource_size_t offset, resource_size_t size)
{
	void *address = ioremap(offset, size);

	if (!address || devm_add_action_or_reset(dev, undoMap, address))
		return nullptr;
	return address;
}

void devm_iounmap(device *dev, void *addr)
{
	devm_release_action(dev, undoMap, addr);
}

/* --- managed interrupts --- */

namespace
{

struct ManagedIrq {
	unsigned irq;
	void *cookie;
};

void undoIrq(void *data)
{
	auto *managed = static_cast<ManagedIrq *>(data);

	free_irq(managed->irq, managed->cookie);
	delete managed;
}

} // namespace

int devm_request_threaded_irq(device *dev, unsigned int irq, irq_handler_t handler,
			      irq_handler_t thread_fn, unsigned long irqflags, const char *devname,
			      void *dev_id)
{
	const int rc = request_threaded_irq(irq, handler, thread_fn, irqflags,
					    devname ? devname : dev_name(dev), dev_id);

	return rc ? rc : devm_add_action_or_reset(dev, undoIrq, new ManagedIrq{irq, dev_id});
}
