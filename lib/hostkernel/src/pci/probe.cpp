// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes devices on buses from the functions of BootConfig: BAR addresses, discovery, hot removal
 * and rediscovery. Also set-up and tear-down of the whole bus part of the hosted kernel.
 */
#include "bus_hooks.h"

#include <hosted/test_hooks.h>
#include <linux/bug.h>
#include <linux/slab.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include "core/immortal.h"
#include "driver_core/runtime_pm.h"
#include "function.h"
#include "hold.h"
#include "hostkernel/kernel.h"
#include "io_window.h"
#include "iommu/dma_counter.h"
#include "iommu/group.h"

namespace wd::hostkernel
{

namespace
{

/** A root bus, which has @root, or the bus below a root port. */
struct Bus {
	pci_bus bus{};
	device *root = nullptr;
};

struct Machine {
	std::map<unsigned, std::unique_ptr<Bus>> buses; /* by domain << 8 | number */
	std::vector<std::unique_ptr<PciSlotState>> slots;
	/* Serialises discovery and removal. */
	std::mutex mutex;
	/* For the lists of devices: without it @mutex would be held by callbacks of drivers. */
	std::shared_mutex lists;
	bool busRegistered = false, iommuReady = false;
};

Immortal<std::unique_ptr<Machine>> theMachineObject;
auto &theMachine = *theMachineObject;

bool isPort(const machine::PciFunction &function)
{
	return (function.configRead(PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK) ==
	       PCI_HEADER_TYPE_BRIDGE;
}

/* --- configuration access through struct pci_bus --- */

const PciSlotState *slotAt(const pci_bus *bus, unsigned devfn)
{
	for (const auto &slot : theMachine->slots) {
		if (slot->bus == bus && slot->devfn == devfn)
			return slot.get();
	}
	return nullptr;
}

int opRead(pci_bus *bus, unsigned devfn, int where, int size, u32 *value)
{
	const PciSlotState *slot = slotAt(bus, devfn);

	*value = ~0U;
	if (!slot)
		return PCIBIOS_DEVICE_NOT_FOUND;
	*value = slot->function->configRead(static_cast<unsigned>(where),
					    static_cast<unsigned>(size));
	return PCIBIOS_SUCCESSFUL;
}

int opWrite(pci_bus *bus, unsigned devfn, int where, int size, u32 value)
{
	const PciSlotState *slot = slotAt(bus, devfn);

	if (!slot)
		return PCIBIOS_DEVICE_NOT_FOUND;
	slot->function->configWrite(static_cast<unsigned>(where), value,
				    static_cast<unsigned>(size));
	return PCIBIOS_SUCCESSFUL;
}

pci_ops busOps = {opRead, opWrite};

/* --- BARs --- */

int assignRom(PciSlotState &slot)
{
	const uint64_t size = slot.function->romSize();

	if (!size)
		return 0;
	const auto address =
		mmioAdd({slot.function, &slot.romDecode, machine::kRomIndex, size}, true);

	if (!address)
		return -ENOMEM;
	slot.romAddress = *address;
	slot.function->configWrite(PCI_ROM_ADDRESS, static_cast<uint32_t>(*address), 4);
	return 0;
}

int assignBars(PciSlotState &slot)
{
	for (unsigned i = 0; i < machine::kBarCount; i++) {
		const machine::BarInfo &info = slot.function->bar(i);

		if (!info.size)
			continue;
		const auto address =
			mmioAdd({slot.function, &slot.decode, i, info.size}, !info.is64);

		if (!address)
			return -ENOMEM;
		slot.barAddress[i] = *address;
		slot.function->configWrite(PCI_BASE_ADDRESS_0 + 4 * i,
					   static_cast<uint32_t>(*address), 4);
		if (info.is64)
			slot.function->configWrite(PCI_BASE_ADDRESS_0 + 4 * i + 4,
						   static_cast<uint32_t>(*address >> 32), 4);
	}
	return assignRom(slot);
}

void fillRom(pci_dev *dev, const PciSlotState &slot)
{
	resource &r = dev->resource[PCI_ROM_RESOURCE];

	if (!slot.romAddress)
		return;
	r.start = slot.romAddress;
	r.end = r.start + slot.function->romSize() - 1;
	r.name = pci_name(dev);
	r.flags = IORESOURCE_MEM | IORESOURCE_PREFETCH | IORESOURCE_SIZEALIGN;
}

void fillResources(pci_dev *dev, const PciSlotState &slot)
{
	for (unsigned i = 0; i < machine::kBarCount; i++) {
		const machine::BarInfo &info = slot.function->bar(i);
		resource &r = dev->resource[i];

		if (!info.size)
			continue;
		r.start = slot.barAddress[i];
		r.end = r.start + info.size - 1;
		r.name = pci_name(dev);
		r.flags = IORESOURCE_MEM | IORESOURCE_SIZEALIGN;
		if (info.is64)
			r.flags |= IORESOURCE_MEM_64 | PCI_BASE_ADDRESS_MEM_TYPE_64;
		if (info.prefetchable)
			r.flags |= IORESOURCE_PREFETCH | PCI_BASE_ADDRESS_MEM_PREFETCH;
		/* A program cannot map registers whose accesses the model executes. */
		if (!slot.function->barShared(i, 0, info.size))
			r.flags |= IORESOURCE_EXCLUSIVE;
	}
}

/* --- devices --- */

/* As Linux, look whether software can keep the function from its line. */
bool cannotDisableIntx(const PciSlotState &slot)
{
	machine::PciFunction &function = *slot.function;
	const uint32_t before = function.configRead(PCI_COMMAND, 2);

	function.configWrite(PCI_COMMAND, before ^ PCI_COMMAND_INTX_DISABLE, 2);
	const uint32_t after = function.configRead(PCI_COMMAND, 2);

	function.configWrite(PCI_COMMAND, before, 2);
	return before == after;
}

void releaseDevice(device *dev)
{
	pci_dev *pdev = to_pci_dev(dev);

	kfree(pdev->driver_override);
	kfree(pdev);
}

void readIdentity(pci_dev *dev)
{
	u32 revision = 0;

	pci_read_config_word(dev, PCI_VENDOR_ID, &dev->vendor);
	pci_read_config_word(dev, PCI_DEVICE_ID, &dev->device);
	pci_read_config_word(dev, PCI_SUBSYSTEM_VENDOR_ID, &dev->subsystem_vendor);
	pci_read_config_word(dev, PCI_SUBSYSTEM_ID, &dev->subsystem_device);
	pci_read_config_dword(dev, PCI_CLASS_REVISION, &revision);
	dev->revision = static_cast<u8>(revision);
	dev->class_ = revision >> 8;
	pci_read_config_byte(dev, PCI_HEADER_TYPE, &dev->hdr_type);
	dev->multifunction = dev->hdr_type >> 7;
	dev->hdr_type &= PCI_HEADER_TYPE_MASK;
}

void readCapabilities(pci_dev *dev)
{
	u32 capabilities = 0;

	dev->pcie_cap = pci_find_capability(dev, PCI_CAP_ID_EXP);
	dev->msi_cap = pci_find_capability(dev, PCI_CAP_ID_MSI);
	dev->msix_cap = pci_find_capability(dev, PCI_CAP_ID_MSIX);
	dev->pasid_cap = pci_find_ext_capability(dev, PCI_EXT_CAP_ID_PASID);
	dev->ats_cap = pci_find_ext_capability(dev, PCI_EXT_CAP_ID_ATS);
	dev->pri_cap = pci_find_ext_capability(dev, PCI_EXT_CAP_ID_PRI);
	pcie_capability_read_dword(dev, PCI_EXP_DEVCAP2, &capabilities);
	/* No bridge is above a root-complex integrated endpoint, so only its own bit counts. */
	dev->eetlp_prefix_path = (capabilities & PCI_EXP_DEVCAP2_EE_PREFIX) != 0;
}

Bus &busAt(int domain, unsigned number)
{
	return *theMachine->buses.at(static_cast<unsigned>(domain) << 8 | number);
}

device *parentOf(const pci_bus *bus)
{
	return bus->self ? &bus->self->dev : busAt(bus->domain_nr, bus->number).root;
}

/* The bus below @slot, or nullptr. */
pci_bus *busBelow(const PciSlotState &slot)
{
	if (!isPort(*slot.function))
		return nullptr;
	return &busAt(slot.bus->domain_nr, slot.function->configRead(PCI_SECONDARY_BUS, 1)).bus;
}

/* Put the device into its bus, and make it the port of the bus below it. */
void linkDevice(PciSlotState &slot, pci_dev *dev)
{
	std::lock_guard lock(theMachine->lists);

	slot.device = dev;
	list_add_tail(&dev->bus_list, &slot.bus->devices);
	dev->subordinate = busBelow(slot);
	if (dev->subordinate)
		dev->subordinate->self = dev;
}

void unlinkDevice(PciSlotState &slot)
{
	std::lock_guard lock(theMachine->lists);
	pci_dev *dev = std::exchange(slot.device, nullptr);

	list_del(&dev->bus_list);
	if (dev->subordinate)
		dev->subordinate->self = nullptr;
}

int addDevice(PciSlotState &slot)
{
	/* The port above it may have been removed. */
	if (slot.bus->parent && !slot.bus->self)
		return -ENODEV;
	auto *dev = static_cast<pci_dev *>(kzalloc(sizeof(pci_dev), GFP_KERNEL));

	if (!dev)
		return -ENOMEM;
	INIT_LIST_HEAD(&dev->bus_list);
	dev->bus = slot.bus;
	dev->sysdata = &slot;
	dev->devfn = slot.devfn;
	dev->cfg_size = PCI_CFG_SPACE_EXP_SIZE;
	dev->error_state = pci_channel_io_normal;
	device_initialize(&dev->dev);
	dev->dev.bus = &pci_bus_type;
	dev->dev.release = releaseDevice;
	dev->dev.parent = parentOf(slot.bus);
	set_dev_node(&dev->dev, slot.node);
	dev->dma_mask = 0xffffffff;
	dev->dev.dma_mask = &dev->dma_mask;
	dev->dev.coherent_dma_mask = 0xffffffff;
	dev->dev.dma_parms = &dev->dma_parms;
	int rc = dev_set_name(&dev->dev, "%s", slot.name.c_str());

	if (!rc) {
		readIdentity(dev);
		readCapabilities(dev);
		fillResources(dev, slot);
		fillRom(dev, slot);
		noteDecode(slot);
		dev->broken_intx_masking = cannotDisableIntx(slot);
		dev->irq = slot.pin ? slot.pin->number() : 0;
		runtimePmEnable(&dev->dev);
		linkDevice(slot, dev);
		rc = device_add(&dev->dev);
	}
	if (rc) {
		if (slot.device)
			unlinkDevice(slot);
		put_device(&dev->dev);
	}
	return rc;
}

void removeDevice(PciSlotState &slot)
{
	pci_dev *dev = slot.device;

	if (!dev)
		return;
	for (const auto &below : theMachine->slots)
		if (dev->subordinate && below->bus == dev->subordinate)
			removeDevice(*below);
	unlinkDevice(slot);
	device_del(&dev->dev);
	runtimePmDisable(&dev->dev);
	/* Free what a driver has forgotten to free. */
	if (WARN(slot.irqs != nullptr, "%s: interrupt vectors were not freed\n", pci_name(dev)))
		pci_free_irq_vectors(dev);
	slot.region.fill(nullptr);
	put_device(&dev->dev);
}

/* --- buses --- */

/* The bus @number, below @port, which is nullptr for a root bus. */
Bus *busOf(unsigned domain, unsigned number, pci_bus *port = nullptr)
{
	auto &entry = theMachine->buses[domain << 8 | number];

	if (entry)
		return entry.get();
	entry = std::make_unique<Bus>();
	pci_bus &bus = entry->bus;

	INIT_LIST_HEAD(&bus.node);
	INIT_LIST_HEAD(&bus.devices);
	bus.ops = &busOps;
	bus.number = static_cast<unsigned char>(number);
	bus.domain_nr = static_cast<int>(domain);
	std::snprintf(bus.name, sizeof(bus.name), "PCI Bus %04x:%02x", domain, number);
	if (port) {
		bus.parent = port;
		return entry.get();
	}
	char name[32];

	std::snprintf(name, sizeof(name), "pci%04x:%02x", domain, number);
	entry->root = root_device_register(name);
	if (!IS_ERR(entry->root))
		return entry.get();
	theMachine->buses.erase(domain << 8 | number);
	return nullptr;
}

int addSlot(const PciSlot &config)
{
	Bus *bus = busOf(config.domain, config.bus);

	if (!bus)
		return -ENOMEM;
	if (!config.pciFunction || config.device > 31 || config.function > 7)
		return -EINVAL;
	auto slot = std::make_unique<PciSlotState>();
	char name[32];

	std::snprintf(name, sizeof(name), "%04x:%02x:%02x.%d", config.domain, config.bus,
		      config.device, config.function);
	slot->function = config.pciFunction;
	slot->bus = &bus->bus;
	slot->devfn = static_cast<uint8_t>(PCI_DEVFN(config.device, config.function));
	slot->node = config.numaNode;
	slot->name = name;
	if (slotAt(slot->bus, slot->devfn))
		return -EEXIST;
	if (slot->function->interruptPin())
		slot->pin = std::make_unique<PinLine>(*slot->function, slot->name);
	theMachine->slots.push_back(std::move(slot));
	return assignBars(*theMachine->slots.back());
}

/* Make the buses below root ports, before functions could make root buses of these numbers. */
int addPortBuses(const BootConfig &config)
{
	for (const PciSlot &slot : config.pci) {
		if (!slot.pciFunction || !isPort(*slot.pciFunction))
			continue;
		Bus *above = busOf(slot.domain, slot.bus);

		if (!above ||
		    !busOf(slot.domain, slot.pciFunction->configRead(PCI_SECONDARY_BUS, 1),
			   &above->bus))
			return -ENOMEM;
	}
	return 0;
}

int initAll(const BootConfig &config)
{
	int rc = bus_register(&pci_bus_type);

	if (rc)
		return rc;
	theMachine->busRegistered = true;
	rc = iommuInit();
	if (rc)
		return rc;
	theMachine->iommuReady = true;
	rc = addPortBuses(config);
	if (rc)
		return rc;
	for (const PciSlot &slot : config.pci) {
		rc = addSlot(slot);
		if (rc)
			return rc;
	}
	/* A port before the functions below it. */
	std::stable_partition(theMachine->slots.begin(), theMachine->slots.end(),
			      [](const auto &slot) { return isPort(*slot->function); });
	std::lock_guard lock(theMachine->mutex);

	for (const auto &slot : theMachine->slots) {
		rc = addDevice(*slot);
		if (rc)
			return rc;
	}
	return 0;
}

/* Bring the function back to its state at boot. */
void retire(PciSlotState &slot)
{
	slot.irqs.reset();
	slot.pin.reset();
	mmioRemove(slot.function);
}

} // namespace

unsigned pciRescan()
{
	unsigned found = 0;
	std::lock_guard lock(theMachine->mutex);

	for (const auto &slot : theMachine->slots) {
		if (!slot->device && !addDevice(*slot))
			found++;
	}
	return found;
}

void hostkernel_bus_power_cycle()
{
	for (const auto &slot : theMachine->slots) {
		slot->function->powerOn();
		slot->decode = slot->romDecode = false;
	}
}

std::shared_lock<std::shared_mutex> pciHoldBuses()
{
	return std::shared_lock(theMachine->lists);
}

int hostkernel_bus_init(const BootConfig &config)
{
	theMachine = std::make_unique<Machine>();
	liveDma = 0;
	const int rc = initAll(config);

	if (rc)
		hostkernel_bus_exit();
	return rc;
}

void hostkernel_bus_exit()
{
	if (!theMachine)
		return;
	{
		std::lock_guard lock(theMachine->mutex);

		for (auto it = theMachine->slots.rbegin(); it != theMachine->slots.rend(); ++it)
			removeDevice(**it);
	}
	if (theMachine->iommuReady)
		iommuExit();
	for (const auto &slot : theMachine->slots)
		retire(*slot);
	for (const auto &[key, bus] : theMachine->buses)
		if (bus->root)
			root_device_unregister(bus->root);
	if (theMachine->busRegistered)
		bus_unregister(&pci_bus_type);
	theMachine.reset();
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

void pci_stop_and_remove_bus_device_locked(pci_dev *dev)
{
	PciSlotState &slot = slotOf(dev);
	std::lock_guard lock(theMachine->mutex);

	if (slot.device == dev)
		removeDevice(slot);
}

void pci_walk_bus(pci_bus *bus, int (*fn)(pci_dev *dev, void *data), void *data)
{
	const auto lock = pciHoldBuses();
	pci_dev *dev;

	list_for_each_entry (dev, &bus->devices, bus_list)
		if (fn(dev, data))
			return;
}

unsigned int pci_rescan_bus(pci_bus *)
{
	return pciRescan();
}
