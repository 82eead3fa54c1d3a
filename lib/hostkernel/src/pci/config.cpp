// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuration space: accessors, capability search, saving and restoring.
 */
#include "function.h"

using namespace wd::hostkernel;

namespace
{

/*
 * Whether a field of @size bytes at @where is misaligned or outside of configuration space. As in
 * Linux, the access then returns an error code.
 */
bool badRegister(int where, unsigned size)
{
	return where < 0 || (where & (size - 1)) || where >= PCI_CFG_SPACE_EXP_SIZE;
}

template <typename Value>
int readConfig(const pci_dev *dev, int where, Value *val)
{
	if (badRegister(where, sizeof(Value))) {
		*val = static_cast<Value>(~0U);
		return PCIBIOS_BAD_REGISTER_NUMBER;
	}
	*val = static_cast<Value>(
		slotOf(dev).function->configRead(static_cast<unsigned>(where), sizeof(Value)));
	return PCIBIOS_SUCCESSFUL;
}

template <typename Value>
int writeConfig(const pci_dev *dev, int where, Value val)
{
	if (badRegister(where, sizeof(Value)))
		return PCIBIOS_BAD_REGISTER_NUMBER;
	PciSlotState &slot = slotOf(dev);

	slot.function->configWrite(static_cast<unsigned>(where), val, sizeof(Value));
	/*
	 * Any write may have changed whether the function decodes memory: one to the command
	 * register, or a reset by Device Control.
	 */
	noteDecode(slot);
	return PCIBIOS_SUCCESSFUL;
}

/*
 * Follow the chain that begins at register @pointer. The bound on its length ends a chain with a
 * loop.
 */
u8 findCapability(pci_dev *dev, int pointer, int cap)
{
	u8 pos = 0;

	pci_read_config_byte(dev, pointer, &pos);
	for (int hops = 48; hops > 0 && pos >= PCI_STD_HEADER_SIZEOF; hops--) {
		u8 id;

		pos &= ~3;
		pci_read_config_byte(dev, pos + PCI_CAP_LIST_ID, &id);
		if (id == 0xff)
			break;
		if (id == cap)
			return pos;
		pci_read_config_byte(dev, pos + PCI_CAP_LIST_NEXT, &pos);
	}
	return 0;
}

} // namespace

int pci_read_config_byte(const pci_dev *dev, int where, u8 *val)
{
	return readConfig(dev, where, val);
}

int pci_read_config_word(const pci_dev *dev, int where, u16 *val)
{
	return readConfig(dev, where, val);
}

int pci_read_config_dword(const pci_dev *dev, int where, u32 *val)
{
	return readConfig(dev, where, val);
}

int pci_write_config_word(const pci_dev *dev, int where, u16 val)
{
	return writeConfig(dev, where, val);
}

int pci_write_config_dword(const pci_dev *dev, int where, u32 val)
{
	return writeConfig(dev, where, val);
}

/* Without the capability, reads give zero and writes do nothing. */
int pcie_capability_read_word(pci_dev *dev, int pos, u16 *val)
{
	*val = 0;
	if (pos & 1)
		return PCIBIOS_BAD_REGISTER_NUMBER;
	return dev->pcie_cap ? pci_read_config_word(dev, dev->pcie_cap + pos, val) : 0;
}

int pcie_capability_read_dword(pci_dev *dev, int pos, u32 *val)
{
	*val = 0;
	if (pos & 3)
		return PCIBIOS_BAD_REGISTER_NUMBER;
	return dev->pcie_cap ? pci_read_config_dword(dev, dev->pcie_cap + pos, val) : 0;
}

int pcie_capability_write_word(pci_dev *dev, int pos, u16 val)
{
	if (pos & 1)
		return PCIBIOS_BAD_REGISTER_NUMBER;
	return dev->pcie_cap ? pci_write_config_word(dev, dev->pcie_cap + pos, val) : 0;
}

u8 pci_find_capability(pci_dev *dev, int cap)
{
	u16 status = 0;

	pci_read_config_word(dev, PCI_STATUS, &status);
	return status & PCI_STATUS_CAP_LIST ? findCapability(dev, PCI_CAPABILITY_LIST, cap) : 0;
}

u8 pci_find_next_capability(pci_dev *dev, u8 pos, int cap)
{
	return findCapability(dev, pos + PCI_CAP_LIST_NEXT, cap);
}

u16 pci_find_next_ext_capability(pci_dev *dev, u16 start, int cap)
{
	unsigned pos = start ? start : PCI_CFG_SPACE_SIZE;

	for (int hops = (PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / 8; hops > 0; hops--) {
		u32 header = 0;

		if (pci_read_config_dword(dev, static_cast<int>(pos), &header) || !header)
			return 0;
		if (PCI_EXT_CAP_ID(header) == static_cast<u32>(cap) && pos != start)
			return static_cast<u16>(pos);
		pos = PCI_EXT_CAP_NEXT(header);
		if (pos < PCI_CFG_SPACE_SIZE)
			return 0;
	}
	return 0;
}

u16 pci_find_ext_capability(pci_dev *dev, int cap)
{
	return pci_find_next_ext_capability(dev, 0, cap);
}
