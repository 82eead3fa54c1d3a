/* SPDX-License-Identifier: GPL-2.0-only */
/* MSI and MSI-X of a function, beyond the functions for drivers. */
#pragma once

#include <linux/pci.h>

namespace wd::hostkernel
{

/** Program the messages again, after a reset. */
void pciRestoreMsi(pci_dev *dev);

} // namespace wd::hostkernel
