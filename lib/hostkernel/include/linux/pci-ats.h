/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ATS, page requests and PASID of a PCI function. pci_enable_pri() is not here, since Linux does
 * not export it.
 */
#ifndef _LINUX_PCI_ATS_H
#define _LINUX_PCI_ATS_H

#include <linux/pci.h>

#ifdef __cplusplus
extern "C" {
#endif

bool pci_ats_supported(struct pci_dev *dev);

/**
 * pci_enable_ats() - let the function ask for translations and keep them; does not sleep
 * @ps: log2 of the smallest page size in an answer
 *
 * Return: 0; -EBUSY (with a warning) if it is on already; -EINVAL without the capability, or for
 * pages smaller than 4 KiB.
 */
int pci_enable_ats(struct pci_dev *dev, int ps);
/* Warns if ATS is off. Does not sleep. */
void pci_disable_ats(struct pci_dev *dev);
bool pci_pri_supported(struct pci_dev *pdev);
/* Warns if page requests are off. */
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
/* Features in the capability, or -EINVAL without the capability. */
int pci_pasid_features(struct pci_dev *pdev);
/* Number of PASIDs (a power of two), or -EINVAL without the capability. */
int pci_max_pasids(struct pci_dev *pdev);

#ifdef __cplusplus
}
#endif

#endif /* _LINUX_PCI_ATS_H */
