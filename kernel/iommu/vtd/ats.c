// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page requests and ATS of functions (PCI Express 10, VT-d 4.2): find the capabilities, switch both
 * on and off, also before and after a reset, and send answers.
 */
#include <linux/io.h>
#include <linux/pci-ats.h>

#include "iommu_master.h"
#include "regs.h"
#include "vtd.h"

/* Each PASID has groups of its own, so the function must take answers with a PASID. */
static void vtd_pri_probe(struct vtd_dev *dev)
{
	const u64 needed = VTD_ECAP_PRS | VTD_ECAP_PDS;
	u16 at, status = 0;

	if ((dev->unit->ecap & needed) != needed)
		return;
	at = pci_find_ext_capability(dev->pdev, PCI_EXT_CAP_ID_PRI);
	if (!at)
		return;
	pci_read_config_word(dev->pdev, at + PCI_PRI_STATUS, &status);
	if (dev->max_pasids && !(status & PCI_PRI_STATUS_PASID))
		return;
	dev->pri_cap = at;
}

/**
 * vtd_ats_probe - find the capabilities of a function and its unit
 * @dev: function; if it has PASIDs they are on already, since they must be on before ATS
 */
void vtd_ats_probe(struct vtd_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;
	u16 capability = 0;

	if (!(dev->unit->ecap & VTD_ECAP_DT) || !pci_ats_supported(pdev))
		return;
	dev->ats_cap = pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_ATS);
	if (!dev->ats_cap)
		return;
	pci_read_config_word(pdev, dev->ats_cap + PCI_ATS_CAP, &capability);
	dev->ats_depth = PCI_ATS_CAP_QDEP(capability);
	if (dev->unit->ecap & VTD_ECAP_DIT)
		dev->ats_pf = PCI_DEVID(pci_physfn(pdev)->bus->number, pci_physfn(pdev)->devfn);
	vtd_pri_probe(dev);
}

/**
 * vtd_fault_credits - the layer's fault_credits
 * @device: claimed function
 *
 * Return: how many page requests the function may have outstanding. At most a quarter of the queue,
 * since several functions share it.
 */
u32 vtd_fault_credits(struct device *device)
{
	struct vtd_dev *dev = dev_iommu_priv_get(device);
	u32 most = 0;

	if (dev->pri_cap)
		pci_read_config_dword(dev->pdev, dev->pri_cap + PCI_PRI_MAX_REQ, &most);
	return min_t(u32, most, VTD_PRQ_ENTRIES / 4);
}

/*
 * Reset the page request interface of a function, and clear old errors. All answers to earlier
 * requests have been sent, and a write to configuration space does not overtake them. So the
 * function must have stopped (PCI Express 6.0, 10.5.2.2 and 10.5.2.3). If it has not, it would take
 * answers to new requests for answers to old ones: then this fails.
 *
 * The error is not -EBUSY, which would mean that a PASID is in use.
 */
static int vtd_pri_reset(struct vtd_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;
	u16 at = dev->pri_cap, status = 0;

	pci_write_config_word(pdev, at + PCI_PRI_CTRL, PCI_PRI_CTRL_RESET);
	pci_write_config_word(pdev, at + PCI_PRI_STATUS, PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI);
	pci_read_config_word(pdev, at + PCI_PRI_STATUS, &status);
	if (status & PCI_PRI_STATUS_STOPPED)
		return 0;
	dev_err_ratelimited(&pdev->dev, "has not stopped asking for pages, status %#x\n", status);
	return -EIO;
}

/*
 * Linux 6.1 does not export pci_enable_pri(). This also sets the bits in struct pci_dev: with them
 * the PCI core switches page requests on again after a reset of which this driver is not told.
 */
static void vtd_pri_enable(struct vtd_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;
	u16 at = dev->pri_cap;

	pdev->pri_reqs_alloc = vtd_fault_credits(&pdev->dev);
	pci_write_config_dword(pdev, at + PCI_PRI_ALLOC_REQ, pdev->pri_reqs_alloc);
	pci_write_config_word(pdev, at + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
	spin_lock(&wd_iommu_marks_lock);
	pdev->pri_enabled = 1;
	spin_unlock(&wd_iommu_marks_lock);
}

/*
 * Switch ATS and page requests on. Return: -EIO if the function was shut out, or has not stopped
 * sending page requests.
 */
static int vtd_faults_switch_on(struct vtd_dev *dev)
{
	unsigned long flags;
	int ret = -EIO;

	lockdep_assert_held(&dev->lock);
	spin_lock_irqsave(&dev->unit->qi.lock, flags);
	if (!dev->shut_out)
		ret = vtd_pri_reset(dev);
	if (!ret)
		ret = vtd_ats_on(dev);
	if (!ret)
		vtd_pri_enable(dev);
	spin_unlock_irqrestore(&dev->unit->qi.lock, flags);
	return ret;
}

static void vtd_faults_switch_off(struct vtd_dev *dev)
{
	unsigned long flags;

	lockdep_assert_held(&dev->lock);
	spin_lock_irqsave(&dev->unit->qi.lock, flags);
	vtd_ats_off(dev);
	spin_unlock_irqrestore(&dev->unit->qi.lock, flags);
}

/**
 * vtd_faults_enable - the layer's faults_enable
 * @device: claimed function
 *
 * Return: 0; -EOPNOTSUPP if the function or its unit has no page requests; -EIO if the unit is
 * dead, the function was shut out, or it has not stopped sending page requests; -EBUSY if they are
 * on.
 */
int vtd_faults_enable(struct device *device)
{
	struct vtd_dev *dev = dev_iommu_priv_get(device);
	int ret = 0;

	if (!dev->pri_cap)
		return -EOPNOTSUPP;
	mutex_lock(&dev->lock);
	if (dev->faults_on)
		ret = -EBUSY;
	else if (vtd_unit_dead(dev->unit))
		ret = -EIO;
	else if (!dev->resetting)
		ret = vtd_faults_switch_on(dev);
	if (!ret)
		dev->faults_on = true;
	mutex_unlock(&dev->lock);
	return ret;
}

/**
 * vtd_faults_disable - the layer's faults_disable
 * @device: claimed function
 *
 * When this returns the driver has reported all earlier page requests of the function. The layer
 * calls it before it releases the function.
 */
void vtd_faults_disable(struct device *device)
{
	struct vtd_dev *dev = dev_iommu_priv_get(device);

	mutex_lock(&dev->lock);
	if (dev->faults_on)
		vtd_faults_switch_off(dev);
	dev->faults_on = false;
	mutex_unlock(&dev->lock);
	vtd_prq_sync(dev->unit);
}

/**
 * vtd_faults_sync - the layer's faults_sync
 * @device: claimed function
 */
void vtd_faults_sync(struct device *device)
{
	struct vtd_dev *dev = dev_iommu_priv_get(device);

	vtd_prq_sync(dev->unit);
}

static void vtd_set_resetting(struct vtd_dev *dev, bool resetting)
{
	unsigned long flags;

	lockdep_assert_held(&dev->lock);
	spin_lock_irqsave(&dev->unit->qi.lock, flags);
	dev->resetting = resetting;
	spin_unlock_irqrestore(&dev->unit->qi.lock, flags);
}

/**
 * vtd_reset_prepare - the layer's reset_prepare
 * @device: claimed function
 *
 * A device TLB may not answer invalidations during a reset, and may keep its entries over the
 * reset. So ATS is off, and the context entry is not present, until the reset is done.
 */
void vtd_reset_prepare(struct device *device)
{
	struct vtd_dev *dev = dev_iommu_priv_get(device);

	mutex_lock(&dev->lock);
	vtd_set_resetting(dev, true);
	vtd_faults_switch_off(dev);
	vtd_context_block(dev, true);
	mutex_unlock(&dev->lock);
	vtd_prq_sync(dev->unit);
}

/**
 * vtd_reset_done - the layer's reset_done
 * @device: claimed function
 */
void vtd_reset_done(struct device *device)
{
	struct vtd_dev *dev = dev_iommu_priv_get(device);

	mutex_lock(&dev->lock);
	vtd_set_resetting(dev, false);
	vtd_context_block(dev, false);
	if (dev->faults_on && vtd_faults_switch_on(dev))
		dev_err(device, "no page requests after its reset\n");
	mutex_unlock(&dev->lock);
}

/**
 * vtd_page_response - the layer's page_response
 * @device: claimed function
 * @has_pasid: the requests had a PASID
 * @pasid: PASID
 * @grpid: group
 * @code: answer
 */
void vtd_page_response(struct device *device, bool has_pasid, ioasid_t pasid, u16 grpid,
		       enum wd_fault_code code)
{
	static const u8 codes[] = {
		[WD_FAULT_SUCCESS] = VTD_RESPONSE_SUCCESS,
		[WD_FAULT_INVALID] = VTD_RESPONSE_INVALID,
		[WD_FAULT_FAILURE] = VTD_RESPONSE_FAILURE,
	};
	struct vtd_dev *dev = dev_iommu_priv_get(device);

	if (WARN_ON_ONCE(!dev || code >= ARRAY_SIZE(codes)))
		return;
	vtd_respond(dev->unit, dev->rid, has_pasid, pasid, grpid, codes[code]);
}
