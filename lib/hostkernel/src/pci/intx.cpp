// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupt pin of a function: keep it from its line, and look whether it waits. As in Linux a
 * lock makes the accesses to the command and the status register one.
 */
#include <mutex>

#include "function.h"

namespace
{

std::mutex &intxMutex()
{
	static auto *mutex = new std::mutex;
	return *mutex;
}

u16 commandWith(u16 command, bool disable)
{
	constexpr u16 bit = PCI_COMMAND_INTX_DISABLE;

	return static_cast<u16>(disable ? command | bit : command & ~bit);
}

/*
 * Set or clear Interrupt Disable, if an interrupt waits or not.
 * @return whether it was so
 */
bool checkAndSet(pci_dev *dev, bool disable)
{
	std::lock_guard lock(intxMutex());
	u32 both = 0;

	pci_read_config_dword(dev, PCI_COMMAND, &both);
	const bool waits = both >> 16 & PCI_STATUS_INTERRUPT;

	if (waits != disable)
		return false;
	const u16 before = static_cast<u16>(both), after = commandWith(before, disable);

	if (after != before)
		pci_write_config_word(dev, PCI_COMMAND, after);
	return true;
}

} // namespace

void pci_intx(pci_dev *dev, int enable)
{
	std::lock_guard lock(intxMutex());
	u16 before = 0;

	pci_read_config_word(dev, PCI_COMMAND, &before);
	const u16 after = commandWith(before, !enable);

	if (after != before)
		pci_write_config_word(dev, PCI_COMMAND, after);
}

bool pci_check_and_mask_intx(pci_dev *dev)
{
	return checkAndSet(dev, true);
}

bool pci_check_and_unmask_intx(pci_dev *dev)
{
	return checkAndSet(dev, false);
}
