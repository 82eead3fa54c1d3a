/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the PCI core knows of a function: the model behind a struct pci_dev, and the resources that
 * the driver has taken.
 */
#pragma once

#include <linux/pci.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "irq_lines.h"
#include "machine/pci_function.h"

namespace wd::hostkernel
{

/** A function of the machine. The object exists from boot to shutdown. */
struct PciSlotState {
	machine::PciFunction *function = nullptr;
	pci_bus *bus = nullptr;
	uint8_t devfn = 0;
	int node = -1;
	std::string name; /**< "DDDD:BB:DD.F" */

	/** Copy of the memory bit of the command register, for the MMIO accessors. */
	std::atomic<bool> decode{false};
	/** Whether the function decodes its expansion ROM, too. */
	std::atomic<bool> romDecode{false};
	/** Bus address of each BAR; 0 for none. */
	std::array<uint64_t, machine::kBarCount> barAddress{};
	uint64_t romAddress = 0;

	/** The line of the interrupt pin, if the function has one. */
	std::unique_ptr<PinLine> pin;

	/** The device, from discovery to removal. */
	pci_dev *device = nullptr;

	/** The name of each BAR's owner; under @mutex. */
	std::mutex mutex;
	std::array<const char *, machine::kBarCount> region{};

	/* For the bound driver, which does not use them on two threads at once. */
	std::unique_ptr<IrqLines> irqs;
	std::array<void *, machine::kBarCount> table{};
};

/** The state of the slot of @dev. */
inline PciSlotState &slotOf(const pci_dev *dev)
{
	return *static_cast<PciSlotState *>(dev->sysdata);
}

/** Sysfs attributes of PCI devices, and of the bus. */
extern const attribute_group *pciDeviceGroups[];
extern const attribute_group *pciBusGroups[];

/** What the bus does when the machine sleeps; it calls the drivers' callbacks. */
extern const dev_pm_ops pciPowerOps;

/** Note whether the function decodes memory now. */
inline void noteDecode(PciSlotState &slot)
{
	const bool memory = slot.function->configRead(PCI_COMMAND, 2) & PCI_COMMAND_MEMORY;

	slot.decode = memory;
	slot.romDecode =
		memory && slot.function->configRead(PCI_ROM_ADDRESS, 4) & PCI_ROM_ADDRESS_ENABLE;
}

/** Look for functions in slots that have no device. @return number of devices found. */
unsigned pciRescan();

} // namespace wd::hostkernel
