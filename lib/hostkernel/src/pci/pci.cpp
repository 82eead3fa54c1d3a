// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PCI bus type: matching, probing and removing drivers, finding functions.
 */
#include "function.h"

#include <hosted/test_hooks.h>
#include <linux/bug.h>
#include <linux/iommu.h>
#include <linux/pm_runtime.h>

#include <cstring>

using namespace wd::hostkernel;

namespace
{

pci_dev *toPci(device *dev)
{
	return to_pci_dev(dev);
}

pci_driver *toDriver(device_driver *drv)
{
	return to_pci_driver(drv);
}

bool agrees(u32 wanted, u32 found)
{
	return wanted == static_cast<u32>(PCI_ANY_ID) || wanted == found;
}

bool matches(const pci_device_id &id, const pci_dev *dev)
{
	return agrees(id.vendor, dev->vendor) && agrees(id.device, dev->device) &&
	       agrees(id.subvendor, dev->subsystem_vendor) &&
	       agrees(id.subdevice, dev->subsystem_device) &&
	       !((id.class_ ^ dev->class_) & id.class_mask);
}

bool atEnd(const pci_device_id &id)
{
	return !id.vendor && !id.subvendor && !id.class_mask;
}

/*
 * If @dev has an override, only the driver of that name matches, even without a row for the device.
 */
const pci_device_id *matchDriver(pci_driver *drv, pci_dev *dev)
{
	static const pci_device_id any = {static_cast<u32>(PCI_ANY_ID),
					  static_cast<u32>(PCI_ANY_ID),
					  static_cast<u32>(PCI_ANY_ID),
					  static_cast<u32>(PCI_ANY_ID),
					  0,
					  0,
					  0,
					  0};

	if (dev->driver_override && std::strcmp(dev->driver_override, drv->name) != 0)
		return nullptr;
	for (const pci_device_id *id = drv->id_table; id && !atEnd(*id); id++) {
		if (matches(*id, dev) && (!id->override_only || dev->driver_override))
			return id;
	}
	return dev->driver_override ? &any : nullptr;
}

int busMatch(device *dev, device_driver *drv)
{
	return matchDriver(toDriver(drv), toPci(dev)) != nullptr;
}

int busProbe(device *dev)
{
	pci_dev *pdev = toPci(dev);
	pci_driver *drv = toDriver(dev->driver);
	const pci_device_id *id = matchDriver(drv, pdev);

	if (!drv->probe)
		return 0;
	if (!id)
		return -ENODEV;
	pm_runtime_get_sync(dev);
	pdev->driver = drv;
	int rc = drv->probe(pdev, id);

	if (rc > 0) {
		/*
		 * The driver returned a positive number, which is neither success nor an error. As
		 * Linux, take it as success.
		 */
		dev_warn(dev, "Driver probe function unexpectedly returned %d\n", rc);
		rc = 0;
	}
	if (rc) {
		pdev->driver = nullptr;
		pm_runtime_put(dev);
	}
	return rc;
}

void busRemove(device *dev)
{
	pci_dev *pdev = toPci(dev);
	const bool counted = toDriver(dev->driver)->probe;

	pm_runtime_get_sync(dev);
	if (pdev->driver && pdev->driver->remove)
		pdev->driver->remove(pdev);
	pm_runtime_put_noidle(dev);
	pdev->driver = nullptr;
	if (counted)
		pm_runtime_put(dev);
}

void busShutdown(device *dev)
{
	pci_dev *pdev = toPci(dev);

	pm_runtime_resume(dev);
	if (pdev->driver && pdev->driver->shutdown)
		pdev->driver->shutdown(pdev);
}

/* A driver uses the DMA API of the default domain, unless it has driver_managed_dma set. */
int busDmaConfigure(device *dev)
{
	return toDriver(dev->driver)->driver_managed_dma ? 0 : iommu_device_use_default_domain(dev);
}

void busDmaCleanup(device *dev)
{
	if (!toDriver(dev->driver)->driver_managed_dma)
		iommu_device_unuse_default_domain(dev);
}

struct Wanted {
	unsigned vendor, device;
};

struct Place {
	int domain;
	unsigned bus, devfn;
};

int matchPlace(device *dev, const void *data)
{
	const auto *place = static_cast<const Place *>(data);
	const pci_dev *pdev = toPci(dev);

	return pdev->bus->domain_nr == place->domain && pdev->bus->number == place->bus &&
	       pdev->devfn == place->devfn;
}

} // namespace

bus_type pci_bus_type = {
	.name = "pci",
	.bus_groups = pciBusGroups,
	.dev_groups = pciDeviceGroups,
	.match = busMatch,
	.probe = busProbe,
	.remove = busRemove,
	.shutdown = busShutdown,
	.dma_configure = busDmaConfigure,
	.dma_cleanup = busDmaCleanup,
	.pm = &pciPowerOps,
};

int __pci_register_driver(pci_driver *drv, module *owner, const char *mod_name)
{
	drv->driver.name = drv->name;
	drv->driver.bus = &pci_bus_type;
	drv->driver.owner = owner;
	drv->driver.mod_name = mod_name;
	drv->driver.groups = drv->groups;
	drv->driver.dev_groups = drv->dev_groups;
	return driver_register(&drv->driver);
}

void pci_unregister_driver(pci_driver *drv)
{
	driver_unregister(&drv->driver);
}

pci_dev *pci_dev_get(pci_dev *dev)
{
	if (dev)
		get_device(&dev->dev);
	return dev;
}

void pci_dev_put(pci_dev *dev)
{
	if (dev)
		put_device(&dev->dev);
}

pci_dev *pci_get_domain_bus_and_slot(int domain, unsigned int bus, unsigned int devfn)
{
	const Place place{domain, bus, devfn};
	device *found = bus_find_device(&pci_bus_type, nullptr, &place, matchPlace);

	return found ? toPci(found) : nullptr;
}
