/* SPDX-License-Identifier: GPL-2.0-only */
/* MSI and MSI-X, for the other files of the PCI core. */
#pragma once

#include <linux/pci.h>

namespace wd::hostkernel
{

/** Program the messages of @dev again, after a reset. */
void pciRestoreMsi(pci_dev *dev);

} // namespace wd::hostkernel
