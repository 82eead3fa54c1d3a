// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleep of PCI functions, with the machine or alone. As in Linux the bus saves configuration space after the driver's last
 * callback for suspend, and restores it before the driver's first one for resume. For a driver
 * without callbacks it also restores bus mastering.
 */
#include "function.h"

#include <linux/pm_runtime.h>

using namespace wd::hostkernel;

namespace
{

constexpr u16 kD0 = 0, kD3hot = 3;

const dev_pm_ops *driverOps(device *dev)
{
	return dev->driver ? dev->driver->pm : nullptr;
}

int call(device *dev, int (*dev_pm_ops::*which)(device *))
{
	const dev_pm_ops *ops = driverOps(dev);

	return ops && ops->*which ? (ops->*which)(dev) : 0;
}

/* A function without the capability stays in D0. */
void setPower(pci_dev *pdev, u16 state)
{
	const u8 at = pci_find_capability(pdev, PCI_CAP_ID_PM);
	u16 control = 0;

	if (!at)
		return;
	pci_read_config_word(pdev, at + PCI_PM_CTRL, &control);
	pci_write_config_word(pdev, at + PCI_PM_CTRL,
			      static_cast<u16>((control & ~PCI_PM_CTRL_STATE_MASK) | state));
}

int runtimeSuspend(device *dev)
{
	pci_dev *pdev = to_pci_dev(dev);
	const int ret = call(dev, &dev_pm_ops::runtime_suspend);

	if (ret)
		return ret;
	pci_save_state(pdev);
	if (pdev->driver)
		setPower(pdev, kD3hot);
	return 0;
}

int runtimeResume(device *dev)
{
	pci_dev *pdev = to_pci_dev(dev);

	setPower(pdev, kD0);
	pci_restore_state(pdev);
	return call(dev, &dev_pm_ops::runtime_resume);
}

int suspend(device *dev)
{
	pm_runtime_resume(dev);
	to_pci_dev(dev)->state_saved = false;
	return call(dev, &dev_pm_ops::suspend);
}

int suspendLate(device *dev)
{
	return call(dev, &dev_pm_ops::suspend_late);
}

int suspendNoirq(device *dev)
{
	const int ret = call(dev, &dev_pm_ops::suspend_noirq);

	if (!ret && !to_pci_dev(dev)->state_saved)
		pci_save_state(to_pci_dev(dev));
	return ret;
}

int resumeNoirq(device *dev)
{
	pci_restore_state(to_pci_dev(dev));
	return call(dev, &dev_pm_ops::resume_noirq);
}

int resumeEarly(device *dev)
{
	return call(dev, &dev_pm_ops::resume_early);
}

int resume(device *dev)
{
	pci_dev *pdev = to_pci_dev(dev);

	if (driverOps(dev))
		return call(dev, &dev_pm_ops::resume);
	if (pdev->is_busmaster)
		pci_set_master(pdev);
	return 0;
}

} // namespace

namespace wd::hostkernel
{

const dev_pm_ops pciPowerOps = {
	.suspend = suspend,
	.resume = resume,
	.suspend_late = suspendLate,
	.resume_early = resumeEarly,
	.suspend_noirq = suspendNoirq,
	.resume_noirq = resumeNoirq,
	.runtime_suspend = runtimeSuspend,
	.runtime_resume = runtimeResume,
};

} // namespace wd::hostkernel
