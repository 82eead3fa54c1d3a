/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address translation services and PASID of a PCI function. No function of the machine has ATS or
 * page requests yet.
 */
#ifndef _LINUX_PCI_ATS_H
#define _LINUX_PCI_ATS_H

#include <linux/pci.h>

#ifdef __cplusplus
extern "C" {
#endif

bool pci_ats_supported(struct pci_dev *dev);
int pci_enable_ats(struct pci_dev *dev, int ps);
void pci_disable_ats(struct pci_dev *dev);
bool pci_pri_supported(struct pci_dev *pdev);
void pci_disable_pri(struct pci_dev *pdev);

/**
 * pci_enable_pasid() - let the function put PASIDs on its requests
 * @features: PCI_PASID_CAP_EXEC, PCI_PASID_CAP_PRIV, or 0
 *
 * Return: 0; -EBUSY if it is on already; -EINVAL without the capability, without end-to-end prefix
 * support on the path, or for a feature that the function does not have.
 */
int pci_enable_pasid(struct pci_dev *pdev, int features);
void pci_disable_pasid(struct pci_dev *pdev);
/* Features of the capability, or -EINVAL without one. */
int pci_pasid_features(struct pci_dev *pdev);
/* Number of PASIDs (a power of two), or -EINVAL without the capability. */
int pci_max_pasids(struct pci_dev *pdev);

#ifdef __cplusplus
}
#endif

#endif /* _LINUX_PCI_ATS_H */
