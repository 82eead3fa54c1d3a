// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASID, ATS and page requests of a function.
 */
#include <linux/pci-ats.h>

#include <linux/bug.h>

#include "pci_bus.h"

bool pci_ats_supported(pci_dev *dev)
{
	return dev->ats_cap && !dev->untrusted;
}

int pci_enable_ats(pci_dev *, int)
{
	/* No function of the machine has translation caches: there is no capability to enable. */
	return -EINVAL;
}

void pci_disable_ats(pci_dev *dev)
{
	WARN_ON(!dev->ats_enabled);
}

bool pci_pri_supported(pci_dev *dev)
{
	return pci_find_ext_capability(dev, PCI_EXT_CAP_ID_PRI) != 0;
}

void pci_disable_pri(pci_dev *dev)
{
	WARN_ON(!dev->pri_enabled);
}

int pci_enable_pasid(pci_dev *dev, int features)
{
	u16 supported = 0;

	if (WARN_ON(dev->pasid_enabled))
		return -EBUSY;
	if (!dev->eetlp_prefix_path || !dev->pasid_cap)
		return -EINVAL;
	pci_read_config_word(dev, dev->pasid_cap + PCI_PASID_CAP, &supported);
	supported &= PCI_PASID_CAP_EXEC | PCI_PASID_CAP_PRIV;
	/* Cannot enable what the function does not have. */
	if ((supported & features) != features)
		return -EINVAL;
	pci_write_config_word(dev, dev->pasid_cap + PCI_PASID_CTRL,
			      static_cast<u16>(PCI_PASID_CTRL_ENABLE | features));
	dev->pasid_features = static_cast<u16>(features);
	dev->pasid_enabled = 1;
	return 0;
}

void pci_disable_pasid(pci_dev *dev)
{
	if (WARN_ON(!dev->pasid_enabled) || !dev->pasid_cap)
		return;
	pci_write_config_word(dev, dev->pasid_cap + PCI_PASID_CTRL, 0);
	dev->pasid_enabled = 0;
}

int pci_pasid_features(pci_dev *dev)
{
	u16 supported = 0;

	if (!dev->pasid_cap)
		return -EINVAL;
	pci_read_config_word(dev, dev->pasid_cap + PCI_PASID_CAP, &supported);
	return supported & (PCI_PASID_CAP_EXEC | PCI_PASID_CAP_PRIV);
}

int pci_max_pasids(pci_dev *dev)
{
	u16 supported = 0;

	if (!dev->pasid_cap)
		return -EINVAL;
	pci_read_config_word(dev, dev->pasid_cap + PCI_PASID_CAP, &supported);
	return 1 << ((supported >> 8) & 0x1f);
}
