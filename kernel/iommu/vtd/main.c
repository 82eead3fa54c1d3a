// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI driver of the remapping unit. The registers are in BAR0, and the unit reports events by MSI-X
 * messages (Documentation/design/machine/pci.rst). There is no ACPI table.
 */
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/slab.h>

#include "compat.h"
#include "iommu_master.h"
#include "iommu_pasid.h"
#include "iommu_sva.h"
#include "regs.h"
#include "vtd.h"

#define VTD_NAME "wd_iommu"
#define VTD_VECTOR_FAULT 0
#define VTD_VECTOR_PAGE_REQUEST 2
#define VTD_VECTORS 3

static DEFINE_IDA(vtd_unit_ids);

/*
 * LINUX-REG-6: Linux 6.1 keeps pointers from its bus types to the operations of a driver that has
 * been unloaded: clear them after the last unit.
 */
static void vtd_unit_leave(struct vtd_unit *unit)
{
	if (vtd_units_remove(unit))
		wd_clear_bus_iommu_ops(&vtd_iommu_ops);
}

static const struct attribute_group *vtd_unit_groups[] = {
	&vtd_state_group, &vtd_did_group, &vtd_fault_group, &vtd_prq_group, &wd_iommu_group, NULL,
};

/* LINUX-REG-2: the sysfs entry comes first, since the core links every claimed device to it. */
static int vtd_unit_register(struct vtd_unit *unit)
{
	int ret;

	ret = iommu_device_sysfs_add(&unit->iommu, &unit->pdev->dev, vtd_unit_groups, "wd-iommu%d",
				     unit->id);
	if (ret)
		return ret;
	unit->entry = get_device(unit->iommu.dev);
	ret = wd_iommu_register(&unit->iommu, &vtd_layer_ops);
	if (ret)
		goto err_sysfs;
	vtd_unit_set_live(unit, true);
	ret = iommu_device_register(&unit->iommu, &vtd_iommu_ops, NULL);
	if (!ret)
		return 0;
	vtd_unit_set_live(unit, false);
	vtd_unit_leave(unit);
	wd_iommu_unregister(&unit->iommu);
err_sysfs:
	iommu_device_sysfs_remove(&unit->iommu);
	return ret;
}

static void vtd_unit_unregister(struct vtd_unit *unit)
{
	vtd_unit_set_live(unit, false);
	iommu_device_unregister(&unit->iommu);
	vtd_unit_leave(unit);
	wd_iommu_unregister(&unit->iommu);
	iommu_device_sysfs_remove(&unit->iommu);
}

static int vtd_map(struct vtd_unit *unit)
{
	struct pci_dev *pdev = unit->pdev;
	int ret;

	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	ret = pci_request_regions(pdev, VTD_NAME);
	if (ret)
		goto err_disable;
	unit->regs = pci_iomap(pdev, 0, 0);
	if (!unit->regs) {
		ret = -ENOMEM;
		goto err_regions;
	}
	/* The unit reads its tables and its queue, and writes status words. */
	pci_set_master(pdev);
	return 0;

err_regions:
	pci_release_regions(pdev);
err_disable:
	pci_disable_device(pdev);
	return ret;
}

static void vtd_unmap(struct vtd_unit *unit)
{
	pci_clear_master(unit->pdev);
	pci_iounmap(unit->pdev, unit->regs);
	pci_release_regions(unit->pdev);
	pci_disable_device(unit->pdev);
}

static int vtd_request_irqs(struct vtd_unit *unit)
{
	const unsigned int needed =
		1 + (unit->prq.ring ? VTD_VECTOR_PAGE_REQUEST : VTD_VECTOR_FAULT);
	struct pci_dev *pdev = unit->pdev;
	int ret;

	ret = pci_alloc_irq_vectors(pdev, needed, VTD_VECTORS, PCI_IRQ_MSIX);
	if (ret < 0)
		goto err_report;
	ret = request_threaded_irq(pci_irq_vector(pdev, VTD_VECTOR_FAULT), NULL, vtd_fault_thread,
				   IRQF_ONESHOT, VTD_NAME, unit);
	if (ret)
		goto err_vectors;
	if (unit->prq.ring)
		ret = request_threaded_irq(pci_irq_vector(pdev, VTD_VECTOR_PAGE_REQUEST), NULL,
					   vtd_prq_thread, IRQF_ONESHOT, VTD_NAME "-prq", unit);
	if (ret)
		goto err_fault;
	vtd_unit_events(unit, true);
	return 0;

err_fault:
	free_irq(pci_irq_vector(pdev, VTD_VECTOR_FAULT), unit);
	/* The unit may have sent messages already, since its state at the start is not known. */
	vtd_unit_quiet(unit);
err_vectors:
	pci_free_irq_vectors(pdev);
err_report:
	dev_err(&pdev->dev, "cannot have its %u interrupts: %d\n", needed, ret);
	return ret;
}

static void vtd_free_irqs(struct vtd_unit *unit)
{
	vtd_unit_events(unit, false);
	if (unit->prq.ring)
		free_irq(pci_irq_vector(unit->pdev, VTD_VECTOR_PAGE_REQUEST), unit);
	free_irq(pci_irq_vector(unit->pdev, VTD_VECTOR_FAULT), unit);
	vtd_unit_quiet(unit);
	pci_free_irq_vectors(unit->pdev);
}

static struct vtd_unit *vtd_unit_alloc(struct pci_dev *pdev, u32 flags)
{
	struct vtd_unit *unit = kzalloc(sizeof(*unit), GFP_KERNEL);
	int id;

	if (!unit)
		return NULL;
	id = ida_alloc_range(&vtd_unit_ids, 0, INT_MAX, GFP_KERNEL);
	if (id < 0) {
		kfree(unit);
		return NULL;
	}
	unit->id = id;
	unit->pdev = pdev;
	unit->haw = VTD_VSEC_HAW(flags);
	ida_init(&unit->dids);
	mutex_init(&unit->devices_lock);
	mutex_init(&unit->prq.lock);
	xa_init(&unit->devices);
	vtd_faults_init(unit);
	vtd_death_init(unit);
	return unit;
}

static void vtd_unit_free(struct vtd_unit *unit)
{
	put_device(unit->entry);
	xa_destroy(&unit->devices);
	ida_destroy(&unit->dids);
	ida_free(&vtd_unit_ids, unit->id);
	kfree(unit);
}

static int vtd_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vtd_unit *unit;
	u32 flags = 0;
	int ret;

	if (!vtd_find_vsec(pdev, &flags) || !(flags & VTD_VSEC_FLAG_UNIT)) {
		dev_err(&pdev->dev, "no vendor capability of a remapping unit\n");
		return -ENODEV;
	}
	unit = vtd_unit_alloc(pdev, flags);
	if (!unit)
		return -ENOMEM;
	ret = vtd_map(unit);
	if (ret)
		goto err_free;
	ret = vtd_unit_start(unit);
	if (ret)
		goto err_unmap;
	ret = vtd_request_irqs(unit);
	if (ret)
		goto err_stop;
	ret = vtd_unit_register(unit);
	if (ret)
		goto err_irq;
	pci_set_drvdata(pdev, unit);
	dev_info(&pdev->dev, "scalable mode, %u-bit host addresses, %u-bit PASIDs\n", unit->haw,
		 order_base_2(vtd_ecap_max_pasids(unit->ecap)));
	return 0;

err_irq:
	vtd_free_irqs(unit);
err_stop:
	vtd_unit_stop(unit);
err_unmap:
	cancel_delayed_work_sync(&unit->death);
	vtd_unmap(unit);
err_free:
	vtd_unit_free(unit);
	return ret;
}

/* LINUX-REG-8: this releases all functions. Their drivers should have been unbound before. */
static void vtd_pci_remove(struct pci_dev *pdev)
{
	struct vtd_unit *unit = pci_get_drvdata(pdev);

	vtd_unit_unregister(unit);
	vtd_free_irqs(unit);
	vtd_unit_stop(unit);
	cancel_delayed_work_sync(&unit->death);
	vtd_unmap(unit);
	vtd_unit_free(unit);
}

/* Linux has shut the functions down before. From now on no function is claimed. */
static void vtd_pci_shutdown(struct pci_dev *pdev)
{
	struct vtd_unit *unit = pci_get_drvdata(pdev);

	vtd_unit_set_live(unit, false);
	vtd_unit_sleep(unit);
	pci_clear_master(pdev);
}

/* Linux calls this after every function of the unit sleeps. */
static int vtd_suspend_noirq(struct device *dev)
{
	vtd_unit_sleep(dev_get_drvdata(dev));
	return 0;
}

/* Linux calls this before the first function of the unit wakes. */
static int vtd_resume_noirq(struct device *dev)
{
	return vtd_unit_wake(dev_get_drvdata(dev));
}

static const struct dev_pm_ops vtd_pm_ops = {
	NOIRQ_SYSTEM_SLEEP_PM_OPS(vtd_suspend_noirq, vtd_resume_noirq)};

static const struct pci_device_id vtd_pci_ids[] = {
	{PCI_DEVICE(0x1234, 0x1dd0)},
	{},
};
MODULE_DEVICE_TABLE(pci, vtd_pci_ids);

static struct pci_driver vtd_pci_driver = {
	.name = VTD_NAME,
	.id_table = vtd_pci_ids,
	.probe = vtd_pci_probe,
	.remove = vtd_pci_remove,
	.shutdown = vtd_pci_shutdown,
	.driver.pm = pm_sleep_ptr(&vtd_pm_ops),
	.driver_managed_dma = true,
};

static int __init wd_iommu_init(void)
{
	int ret = wd_iommu_sva_init();

	if (ret)
		return ret;
	wd_iommu_master_hook(vtd_set_master);
	ret = vtd_evictions_init();
	if (ret)
		goto err_sva;
	ret = vtd_static_domains_init();
	if (ret)
		goto err_evictions;
	ret = pci_register_driver(&vtd_pci_driver);
	if (ret)
		goto err_domains;
	return 0;

err_domains:
	vtd_static_domains_exit();
err_evictions:
	vtd_evictions_exit();
err_sva:
	wd_iommu_sva_exit();
	return ret;
}

static void __exit wd_iommu_exit(void)
{
	pci_unregister_driver(&vtd_pci_driver);
	vtd_evictions_exit();
	vtd_static_domains_exit();
	wd_iommu_sva_exit();
	ida_destroy(&vtd_unit_ids);
}

module_init(wd_iommu_init);
module_exit(wd_iommu_exit);
MODULE_DESCRIPTION("PASID services of the IOMMU layer, and driver of the PCI-attached VT-d unit");
MODULE_LICENSE("GPL");
