/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The PCI core's own view of a function: the model of a struct pci_dev, and the resources that the
 * driver has taken.
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

/** A function of the machine, for as long as the kernel runs. */
struct PciSlotState {
	machine::PciFunction *function = nullptr;
	pci_bus *bus = nullptr;
	uint8_t devfn = 0;
	int node = -1;
	std::string name; /**< "DDDD:BB:DD.F" */

	/** Mirror of the command register's memory bit, for the MMIO accessors. */
	std::atomic<bool> decode{false};
	/** Bus address per BAR, 0 for none. */
	std::array<uint64_t, machine::kBarCount> barAddress{};

	/** The device while it is on the bus (between discovery and removal). */
	pci_dev *device = nullptr;

	/** The owner of each BAR; under @mutex. */
	std::mutex mutex;
	std::array<const char *, machine::kBarCount> region{};
	int managedRegions = 0; /**< bit per BAR */

	/* The bound driver's; it serialises. */
	std::unique_ptr<IrqLines> irqs;
	std::array<void *, machine::kBarCount> table{};
};

/** The state of the slot that @dev sits in. */
inline PciSlotState &slotOf(const pci_dev *dev)
{
	return *static_cast<PciSlotState *>(dev->sysdata);
}

/** Attributes of PCI devices, and of the bus. */
extern const attribute_group *pciDeviceGroups[];
extern const attribute_group *pciBusGroups[];

/** Steps of the bus when the machine sleeps, and calls of the drivers. */
extern const dev_pm_ops pciPowerOps;

/** Look at every slot without device again. @return number of devices found. */
unsigned pciRescan();

} // namespace wd::hostkernel
