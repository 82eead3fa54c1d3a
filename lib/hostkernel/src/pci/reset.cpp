// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saving and restoring configuration space, function-level reset, and reset of a bus.
 *
 * As in Linux only standard state is restored: header, PCI Express, PASID, MSI and MSI-X.
 * Vendor-specific capabilities are not.
 */
#include <linux/delay.h>

#include "function.h"
#include "hold.h"
#include "msi.h"

using namespace wd::hostkernel;

namespace
{

u16 saved16(const pci_dev *dev, unsigned where)
{
	return static_cast<u16>(dev->saved_config_space[where / 4] >> (8 * (where & 2)));
}

void restoreExpress(pci_dev *dev)
{
	if (!dev->pcie_cap)
		return;
	pcie_capability_write_word(dev, PCI_EXP_DEVCTL,
				   saved16(dev, dev->pcie_cap + PCI_EXP_DEVCTL) &
					   ~PCI_EXP_DEVCTL_BCR_FLR);
	pcie_capability_write_word(dev, PCI_EXP_DEVCTL2,
				   saved16(dev, dev->pcie_cap + PCI_EXP_DEVCTL2));
}

void restorePasid(pci_dev *dev)
{
	if (dev->pasid_enabled)
		pci_write_config_word(
			dev, dev->pasid_cap + PCI_PASID_CTRL,
			static_cast<u16>(PCI_PASID_CTRL_ENABLE | dev->pasid_features));
}

void restorePri(pci_dev *dev)
{
	if (!dev->pri_enabled)
		return;
	pci_write_config_dword(dev, dev->pri_cap + PCI_PRI_ALLOC_REQ, dev->pri_reqs_alloc);
	pci_write_config_word(dev, dev->pri_cap + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
}

void restoreAts(pci_dev *dev)
{
	if (dev->ats_enabled)
		pci_write_config_word(
			dev, dev->ats_cap + PCI_ATS_CTRL,
			static_cast<u16>(PCI_ATS_CTRL_ENABLE |
					 PCI_ATS_CTRL_STU(dev->ats_stu - PCI_ATS_MIN_STU)));
}

/*
 * Write the BARs before the command register, so that the function never decodes a wrong address.
 */
void restoreHeader(pci_dev *dev)
{
	for (int where = PCI_STD_HEADER_SIZEOF - 4; where >= 0; where -= 4) {
		const u32 value = dev->saved_config_space[where / 4];

		if (where == PCI_COMMAND)
			pci_write_config_word(dev, where, static_cast<u16>(value));
		else
			pci_write_config_dword(dev, where, value);
	}
}

bool canReset(pci_dev *dev)
{
	u32 capabilities = 0;

	pcie_capability_read_dword(dev, PCI_EXP_DEVCAP, &capabilities);
	return capabilities & PCI_EXP_DEVCAP_FLR;
}

const pci_error_handlers *handlersOf(const pci_dev *dev)
{
	return dev->driver ? dev->driver->err_handler : nullptr;
}

void saveAndDisable(pci_dev *dev)
{
	const pci_error_handlers *handlers = handlersOf(dev);

	if (handlers && handlers->reset_prepare)
		handlers->reset_prepare(dev);
	pci_save_state(dev);
	/* Disable all that the function could do while it comes back. */
	pci_write_config_word(dev, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
}

void restore(pci_dev *dev)
{
	const pci_error_handlers *handlers = handlersOf(dev);

	pci_restore_state(dev);
	if (handlers && handlers->reset_done)
		handlers->reset_done(dev);
}

/*
 * Reset, and call the driver's reset_prepare before and reset_done after it. The caller holds the
 * device lock.
 */
int resetLocked(pci_dev *dev)
{
	if (!canReset(dev))
		return -ENOTTY;
	saveAndDisable(dev);
	const int rc = pcie_flr(dev);

	restore(dev);
	return rc;
}

/* Calls @use with each function on @bus. */
template <typename Use>
void forEach(pci_bus *bus, Use use)
{
	pci_dev *dev;

	list_for_each_entry (dev, &bus->devices, bus_list)
		use(dev);
}

/* All device locks on the bus, or none. */
bool tryLock(pci_bus *bus)
{
	pci_dev *dev;

	list_for_each_entry (dev, &bus->devices, bus_list) {
		if (device_trylock(&dev->dev))
			continue;
		list_for_each_entry_continue_reverse (dev, &bus->devices, bus_list)
			device_unlock(&dev->dev);
		return false;
	}
	return true;
}

/* Reset the bus below @port: the functions are in reset while the bit is set. */
void resetBelow(pci_dev *port)
{
	u16 control = 0;

	pci_read_config_word(port, PCI_BRIDGE_CONTROL, &control);
	pci_write_config_word(port, PCI_BRIDGE_CONTROL, control | PCI_BRIDGE_CTL_BUS_RESET);
	pci_write_config_word(port, PCI_BRIDGE_CONTROL, control);
	forEach(port->subordinate, [](pci_dev *dev) { noteDecode(slotOf(dev)); });
}

} // namespace

int pci_save_state(pci_dev *dev)
{
	for (int where = 0; where < PCI_CFG_SPACE_EXP_SIZE; where += 4)
		pci_read_config_dword(dev, where, &dev->saved_config_space[where / 4]);
	dev->state_saved = true;
	return 0;
}

void pci_restore_state(pci_dev *dev)
{
	if (!dev->state_saved)
		return;
	restoreExpress(dev);
	restorePasid(dev);
	restorePri(dev);
	restoreAts(dev);
	restoreHeader(dev);
	pciRestoreMsi(dev);
	dev->state_saved = false;
}

int pci_wait_for_pending_transaction(pci_dev *dev)
{
	if (!pci_is_pcie(dev))
		return 1;
	for (unsigned wait = 0; wait <= 4; wait++) {
		u16 status = 0;

		if (wait)
			msleep((1 << (wait - 1)) * 100);
		pcie_capability_read_word(dev, PCI_EXP_DEVSTA, &status);
		if (!(status & PCI_EXP_DEVSTA_TRPND))
			return 1;
	}
	return 0;
}

int pcie_flr(pci_dev *dev)
{
	PciSlotState &slot = slotOf(dev);

	/*
	 * As "initiate function level reset" in Device Control. The model is ready when this
	 * returns.
	 */
	slot.function->reset();
	noteDecode(slot);
	return 0;
}

int pcie_reset_flr(pci_dev *dev, bool probe)
{
	if (!canReset(dev))
		return -ENOTTY;
	return probe ? 0 : pcie_flr(dev);
}

int pci_reset_function_locked(pci_dev *dev)
{
	return resetLocked(dev);
}

int pci_reset_function(pci_dev *dev)
{
	device_lock(&dev->dev);
	const int rc = resetLocked(dev);

	device_unlock(&dev->dev);
	return rc;
}

int pci_try_reset_function(pci_dev *dev)
{
	if (!device_trylock(&dev->dev))
		return -EAGAIN;
	const int rc = resetLocked(dev);

	device_unlock(&dev->dev);
	return rc;
}

int pci_probe_reset_slot(pci_slot *slot)
{
	return slot ? 0 : -ENOTTY;
}

int pci_probe_reset_bus(pci_bus *bus)
{
	return bus->self ? 0 : -ENOTTY;
}

int pci_reset_bus(pci_dev *dev)
{
	pci_bus *bus = dev->bus;

	if (pci_probe_reset_bus(bus))
		return -ENOTTY;
	const auto lock = pciHoldBuses();

	if (!tryLock(bus))
		return -EAGAIN;
	forEach(bus, saveAndDisable);
	resetBelow(bus->self);
	forEach(bus, restore);
	forEach(bus, [](pci_dev *each) { device_unlock(&each->dev); });
	return 0;
}
