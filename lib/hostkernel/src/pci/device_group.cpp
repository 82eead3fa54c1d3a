// SPDX-License-Identifier: GPL-2.0-only
/* Which functions share a group of the IOMMU core (LINUX-DOM-6). */
#include "hold.h"

#include <linux/iommu.h>
#include <linux/pci.h>

using namespace wd::hostkernel;

namespace
{

/*
 * The functions of a device may send to each other without the IOMMU, unless they have ACS: with
 * this capability a function says which controls it has, and ours has nothing to control.
 */
bool sharesDevice(pci_dev *dev)
{
	return dev->multifunction && !pci_find_ext_capability(dev, PCI_EXT_CAP_ID_ACS);
}

} // namespace

/*
 * The group of another function of the device that @dev does not exclude, or a new one. Ports
 * exclude functions below them from each other: nothing on a bus answers the requests of others.
 *
 * The IOMMU core calls this for one device at a time, and no device leaves its group meanwhile.
 */
iommu_group *pci_device_group(device *of)
{
	pci_dev *dev = to_pci_dev(of), *other = nullptr;

	if (sharesDevice(dev)) {
		const auto hold = pciHoldBuses();

		list_for_each_entry (other, &dev->bus->devices, bus_list)
			if (other != dev && PCI_SLOT(other->devfn) == PCI_SLOT(dev->devfn) &&
			    other->dev.iommu_group && sharesDevice(other))
				return iommu_group_ref_get(other->dev.iommu_group);
	}
	return iommu_group_alloc();
}
