// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASID, ATS and page requests of a function.
 */
#include <linux/pci-ats.h>

#include <linux/bug.h>

#include "function.h"

bool pci_ats_supported(pci_dev *dev)
{
	return dev->ats_cap && !dev->untrusted;
}

int pci_enable_ats(pci_dev *dev, int ps)
{
	if (!pci_ats_supported(dev))
		return -EINVAL;
	if (WARN_ON(dev->ats_enabled))
		return -EBUSY;
	if (ps < PCI_ATS_MIN_STU)
		return -EINVAL;
	dev->ats_stu = static_cast<u8>(ps);
	pci_write_config_word(
		dev, dev->ats_cap + PCI_ATS_CTRL,
		static_cast<u16>(PCI_ATS_CTRL_ENABLE | PCI_ATS_CTRL_STU(ps - PCI_ATS_MIN_STU)));
	dev->ats_enabled = 1;
	return 0;
}

void pci_disable_ats(pci_dev *dev)
{
	u16 control = 0;

	if (WARN_ON(!dev->ats_enabled))
		return;
	pci_read_config_word(dev, dev->ats_cap + PCI_ATS_CTRL, &control);
	pci_write_config_word(dev, dev->ats_cap + PCI_ATS_CTRL,
			      static_cast<u16>(control & ~PCI_ATS_CTRL_ENABLE));
	dev->ats_enabled = 0;
}

bool pci_pri_supported(pci_dev *dev)
{
	return dev->pri_cap;
}

void pci_disable_pri(pci_dev *dev)
{
	u16 control = 0;

	if (WARN_ON(!dev->pri_enabled) || !dev->pri_cap)
		return;
	pci_read_config_word(dev, dev->pri_cap + PCI_PRI_CTRL, &control);
	pci_write_config_word(dev, dev->pri_cap + PCI_PRI_CTRL,
			      static_cast<u16>(control & ~PCI_PRI_CTRL_ENABLE));
	dev->pri_enabled = 0;
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
	/* A feature that the function does not have cannot be enabled. */
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
