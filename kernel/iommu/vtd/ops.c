// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations for Linux's core: claim and release of functions, groups, reserved regions; and
 * operations for the layer: user domains, PASIDs, description of the hardware.
 */
#include <linux/dma-map-ops.h>
#include <linux/io.h>
#include <linux/iommufd.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iommu_master.h"
#include "iommu_pasid.h"
#include "regs.h"
#include "vtd.h"

/* VTD-MSI-1, LINUX-DMA-3: on x86 a write to this range is an interrupt, and never translated. */
#define VTD_MSI_START 0xfee00000
#define VTD_MSI_LENGTH 0x100000

/* Switch PASIDs on if the function, the bridges above it and the unit support them. */
static void vtd_enable_pasid(struct vtd_dev *dev)
{
	int max, features;

	if (!(dev->unit->ecap & VTD_ECAP_PASID))
		return;
	max = pci_max_pasids(dev->pdev);
	features = max > 1 ? pci_pasid_features(dev->pdev) : -EINVAL;
	if (features < 0 || pci_enable_pasid(dev->pdev, features))
		return;
	dev->max_pasids = min_t(u32, max, vtd_ecap_max_pasids(dev->unit->ecap));
}

static void vtd_dev_free(struct vtd_dev *dev)
{
	if (dev->max_pasids)
		pci_disable_pasid(dev->pdev);
	if (dev->directory)
		vtd_pasid_free(dev);
	vtd_eviction_free(dev->eviction);
	xa_destroy(&dev->attaches);
	xa_destroy(&dev->dids);
	mutex_destroy(&dev->dids_lock);
	kfree(dev);
}

static struct vtd_dev *vtd_dev_alloc(struct vtd_unit *unit, struct pci_dev *pdev, int vsec)
{
	struct vtd_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	dev->unit = unit;
	dev->pdev = pdev;
	dev->rid = PCI_DEVID(pdev->bus->number, pdev->devfn);
	dev->vsec = vsec;
	mutex_init(&dev->lock);
	xa_init(&dev->attaches);
	mutex_init(&dev->dids_lock);
	xa_init(&dev->dids);
	vtd_enable_pasid(dev);
	vtd_ats_probe(dev);
	dev->eviction = vtd_eviction_alloc();
	if (!dev->eviction || vtd_pasid_alloc(dev)) {
		vtd_dev_free(dev);
		return NULL;
	}
	return dev;
}

/* Make the function known to the fault log and the unit: table of devices and context entry. */
static int vtd_dev_install(struct vtd_dev *dev)
{
	struct vtd_unit *unit = dev->unit;
	int ret;

	mutex_lock(&unit->devices_lock);
	ret = xa_insert(&unit->devices, dev->rid, dev, GFP_KERNEL);
	if (!ret) {
		ret = vtd_context_set(dev);
		if (ret)
			xa_erase(&unit->devices, dev->rid);
	}
	mutex_unlock(&unit->devices_lock);
	return ret;
}

static void vtd_dev_uninstall(struct vtd_dev *dev)
{
	struct vtd_unit *unit = dev->unit;

	mutex_lock(&unit->devices_lock);
	vtd_context_clear(dev);
	mutex_lock(&unit->prq.lock);
	spin_lock_irq(&unit->qi.lock);
	xa_erase(&unit->devices, dev->rid);
	spin_unlock_irq(&unit->qi.lock);
	mutex_unlock(&unit->prq.lock);
	mutex_unlock(&unit->devices_lock);
}

/*
 * LINUX-REG-9: claim functions of the machine that have no driver yet: a driver may use DMA
 * addresses which the unit does not know. LINUX-REG-4: for other errors than -ENODEV the core would
 * not go on to the next device; so this logs a message and returns -ENODEV if the set-up of a
 * function fails.
 */
static struct iommu_device *vtd_probe_device(struct device *dev)
{
	struct pci_dev *pdev;
	struct vtd_unit *unit;
	struct vtd_dev *vdev;
	int vsec, ret;
	u32 flags;

	if (!dev_is_pci(dev))
		return ERR_PTR(-ENODEV);
	pdev = to_pci_dev(dev);
	vsec = vtd_find_vsec(pdev, &flags);
	if (!vsec || flags & VTD_VSEC_FLAG_UNIT)
		return ERR_PTR(-ENODEV);
	unit = vtd_unit_for(pdev);
	if (!unit)
		return ERR_PTR(-ENODEV);
	if (dev->driver) {
		dev_warn(dev, "has a driver already, not claimed by the IOMMU\n");
		return ERR_PTR(-ENODEV);
	}
	vdev = vtd_dev_alloc(unit, pdev, vsec);
	if (!vdev)
		return ERR_PTR(-ENODEV);
	ret = vtd_dev_install(vdev);
	if (ret)
		goto err_free;
	/* With the context entry, requests of the function fault until something is attached. */
	ret = vtd_route(vdev);
	if (ret)
		goto err_uninstall;
	ret = vtd_power_link(unit, pdev);
	if (ret)
		goto err_uninstall;
	dev_iommu_priv_set(dev, vdev);
	/* The last step: from now on others may attach PASIDs. */
	ret = wd_iommu_device_claimed(&unit->iommu, dev);
	if (ret)
		goto err_unlink;
	return &unit->iommu;

err_unlink:
	vtd_power_unlink(unit, pdev);
err_uninstall:
	dev_iommu_priv_set(dev, NULL);
	vtd_dev_uninstall(vdev);
err_free:
	vtd_dev_free(vdev);
	dev_err(dev, "cannot be put under the IOMMU: %d\n", ret);
	return ERR_PTR(-ENODEV);
}

/*
 * Block all requests before the function leaves the unit. When the unit stops, requests reach
 * memory untranslated; so this takes bus mastering away until a driver asks for it again.
 */
static void vtd_release_device(struct device *dev)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);

	wd_iommu_clear_master(vdev->pdev);
	vtd_rid_release(vdev);
	wd_iommu_device_released(dev);
	WARN_ON(!xa_empty(&vdev->attaches) || vdev->nr_dids || vdev->faults_on);
	vtd_dev_uninstall(vdev);
	vtd_power_unlink(vdev->unit, vdev->pdev);
	set_dma_ops(dev, NULL);
	dev_iommu_priv_set(dev, NULL);
	vtd_dev_free(vdev);
}

/* LINUX-DMA-1: Linux 6.1 leaves the DMA API to the driver. */
static void vtd_probe_finalize(struct device *dev)
{
	set_dma_ops(dev, NULL);
	iommu_setup_dma_ops(dev, 0, U64_MAX);
}

static void vtd_get_resv_regions(struct device *dev, struct list_head *list)
{
	struct iommu_resv_region *region;

	region = iommu_alloc_resv_region(VTD_MSI_START, VTD_MSI_LENGTH,
					 IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO, IOMMU_RESV_MSI,
					 GFP_KERNEL);
	if (region)
		list_add_tail(&region->list, list);
}

static bool vtd_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

/*
 * LINUX-DOM-1: the first domain of a device is a strict one, which the core would take in the end,
 * with a complaint. Later the administrator may choose.
 */
static int vtd_def_domain_type(struct device *dev)
{
	if (iommu_get_domain_for_dev(dev) || iommu_default_passthrough())
		return 0;
	return IOMMU_DOMAIN_DMA;
}

const struct iommu_ops vtd_iommu_ops = {
	.capable = vtd_capable,
	.def_domain_type = vtd_def_domain_type,
	.domain_alloc = vtd_domain_alloc,
	.probe_device = vtd_probe_device,
	.release_device = vtd_release_device,
	.probe_finalize = vtd_probe_finalize,
	.device_group = pci_device_group,
	.get_resv_regions = vtd_get_resv_regions,
	.default_domain_ops = &vtd_paging_ops,
	.pgsize_bitmap = SZ_4K,
	.owner = THIS_MODULE,
};

/* --- for the layer --- */

/* Does the driver know the flags, and does the function's unit support them? */
static bool vtd_knows_flags(const struct vtd_dev *dev, u32 flags)
{
	if (flags & ~(IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_ALLOC_NEST_PARENT |
		      IOMMU_HWPT_ALLOC_DIRTY_TRACKING))
		return false;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && !vtd_can_track(dev->unit))
		return false;
	if (flags & IOMMU_HWPT_ALLOC_NEST_PARENT && !(dev->unit->ecap & VTD_ECAP_NEST))
		return false;
	return !(flags & IOMMU_HWPT_ALLOC_PASID) || dev->max_pasids;
}

static struct iommu_domain *vtd_domain_alloc_user(struct device *dev, u32 flags,
						  const struct wd_user_data *data)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct iommu_domain *domain;

	if (vtd_unit_dead(vdev->unit))
		return ERR_PTR(-EIO);
	if (!vtd_knows_flags(vdev, flags))
		return ERR_PTR(-EOPNOTSUPP);
	domain = vtd_domain_alloc(IOMMU_DOMAIN_UNMANAGED);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	to_vtd_domain(domain)->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	to_vtd_domain(domain)->track = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	return domain;
}

/*
 * IOMMU_HWPT_ALLOC_PASID makes no difference to the domain, so this does not compare it. Domains
 * that record writes are never shared: the record is about the writes through one page table.
 */
static bool vtd_domain_serves(struct iommu_domain *domain, struct device *dev, u32 flags)
{
	return !to_vtd_domain(domain)->track && !(flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
	       vtd_knows_flags(dev_iommu_priv_get(dev), flags) &&
	       to_vtd_domain(domain)->nest_parent == !!(flags & IOMMU_HWPT_ALLOC_NEST_PARENT) &&
	       vtd_domain_is_current(to_vtd_domain(domain));
}

static bool vtd_is_attached(struct device *dev, ioasid_t pasid, struct iommu_domain *domain,
			    struct wd_pgtable *table)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);

	if (table && vtd_is_mm_table(table))
		return vtd_mm_table_is_at(table, vdev, pasid);
	return vtd_attach_is(vdev, pasid, domain, table ? to_vtd_pgtable(table) : NULL);
}

static u32 vtd_max_pasids(struct device *dev)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);

	return vdev->max_pasids;
}

static int vtd_hw_info(struct device *dev, struct wd_iommu_hw_info *info)
{
	struct vtd_dev *vdev = dev_iommu_priv_get(dev);
	struct iommu_hw_info_vtd data = {
		.cap_reg = vdev->unit->cap,
		.ecap_reg = vdev->unit->ecap,
	};
	int features;

	info->type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	info->len = sizeof(data);
	memcpy(info->data, &data, sizeof(data));
	info->capabilities = vdev->ats_cap ? 0 : IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	if (vtd_can_track(vdev->unit))
		info->capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (!vdev->max_pasids)
		return 0;
	info->max_pasid_log2 = ilog2(vdev->max_pasids);
	/* vtd_enable_pasid() has enabled all features of the function. */
	features = pci_pasid_features(vdev->pdev);
	if (features > 0 && features & PCI_PASID_CAP_EXEC)
		info->capabilities |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (features > 0 && features & PCI_PASID_CAP_PRIV)
		info->capabilities |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	return 0;
}

const struct wd_iommu_ops vtd_layer_ops = {
	.owner = THIS_MODULE,
	.domain_alloc_user = vtd_domain_alloc_user,
	.domain_serves = vtd_domain_serves,
	.set_dev_pasid = vtd_set_dev_pasid,
	.remove_dev_pasid = vtd_remove_dev_pasid,
	.replace_prepare = vtd_replace_prepare,
	.replace_commit = vtd_replace_commit,
	.replace_abort = vtd_replace_abort,
	.is_attached = vtd_is_attached,
	.read_dirty = vtd_read_dirty,
	.mark_dirty = vtd_mark_dirty,
	.max_pasids = vtd_max_pasids,
	.mm_supported = vtd_mm_supported,
	.mm_table_alloc = vtd_mm_table_alloc,
	.mm_table_fill = vtd_mm_table_fill,
	.mm_table_flush = vtd_mm_table_flush,
	.mm_table_cut = vtd_mm_table_cut,
	.hw_info = vtd_hw_info,
	.pgtable_alloc = vtd_pgtable_alloc,
	.pgtable_free = vtd_pgtable_free,
	.bind_pgtable = vtd_bind_pgtable,
	.unbind_pgtable = vtd_unbind_pgtable,
	.cache_invalidate = vtd_cache_invalidate,
	.fault_credits = vtd_fault_credits,
	.faults_enable = vtd_faults_enable,
	.faults_disable = vtd_faults_disable,
	.faults_sync = vtd_faults_sync,
	.page_response = vtd_page_response,
	.reset_prepare = vtd_reset_prepare,
	.reset_done = vtd_reset_done,
};
