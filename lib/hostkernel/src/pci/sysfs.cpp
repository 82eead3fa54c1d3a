// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of PCI devices in sysfs, in the formats of Linux.
 */
#include "function.h"

#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <cstdlib>
#include <cstring>

#include "driver_core/runtime_pm.h"

using namespace wd::hostkernel;

namespace
{

using Show = ssize_t (*)(device *, device_attribute *, char *);
using Store = ssize_t (*)(device *, device_attribute *, const char *, size_t);

device_attribute makeAttribute(const char *name, umode_t mode, Show show, Store store = nullptr)
{
	device_attribute attribute{};

	attribute.attr.name = name;
	attribute.attr.mode = mode;
	attribute.show = show;
	attribute.store = store;
	return attribute;
}

/* An attribute that prints one number of the pci_dev. */
#define PCI_NUMBER(name, format, expression)                                                \
	device_attribute name##Attribute =                                                  \
		makeAttribute(#name, 0444, [](device *dev, device_attribute *, char *buf) { \
			const pci_dev *pdev = to_pci_dev(dev);                              \
			return static_cast<ssize_t>(sysfs_emit(buf, format, expression));   \
		})

PCI_NUMBER(vendor, "0x%04x\n", pdev->vendor);
PCI_NUMBER(device, "0x%04x\n", pdev->device);
PCI_NUMBER(subsystem_vendor, "0x%04x\n", pdev->subsystem_vendor);
PCI_NUMBER(subsystem_device, "0x%04x\n", pdev->subsystem_device);
PCI_NUMBER(revision, "0x%02x\n", pdev->revision);
PCI_NUMBER(irq, "%u\n", pdev->irq);
PCI_NUMBER(numa_node, "%d\n", pdev->dev.numa_node);
PCI_NUMBER(enable, "%u\n", static_cast<unsigned>(atomic_read(&pdev->enable_cnt)));

device_attribute classAttribute =
	makeAttribute("class", 0444, [](struct device *dev, device_attribute *, char *buf) {
		return static_cast<ssize_t>(sysfs_emit(buf, "0x%06x\n", to_pci_dev(dev)->class_));
	});

ssize_t resourceShow(struct device *dev, device_attribute *, char *buf)
{
	int length = 0;

	for (const resource &r : to_pci_dev(dev)->resource)
		length += sysfs_emit_at(buf, length, "0x%016llx 0x%016llx 0x%016llx\n",
					static_cast<unsigned long long>(r.start),
					static_cast<unsigned long long>(r.end),
					static_cast<unsigned long long>(r.flags));
	return length;
}

ssize_t modaliasShow(struct device *dev, device_attribute *, char *buf)
{
	const pci_dev *pdev = to_pci_dev(dev);

	return sysfs_emit(buf, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n", pdev->vendor,
			  pdev->device, pdev->subsystem_vendor, pdev->subsystem_device,
			  (pdev->class_ >> 16) & 0xff, (pdev->class_ >> 8) & 0xff,
			  pdev->class_ & 0xff);
}

ssize_t overrideShow(struct device *dev, device_attribute *, char *buf)
{
	device_lock(dev);
	const char *name = to_pci_dev(dev)->driver_override;
	const ssize_t length = sysfs_emit(buf, "%s\n", name ? name : "(null)");

	device_unlock(dev);
	return length;
}

/* @buf has a driver's name, or an empty line to end the override. */
ssize_t overrideStore(struct device *dev, device_attribute *, const char *buf, size_t count)
{
	const size_t length = strcspn(buf, "\n");
	char *name = nullptr;

	if (count >= PAGE_SIZE - 1)
		return -EINVAL;
	if (length) {
		name = static_cast<char *>(kzalloc(length + 1, GFP_KERNEL));
		if (!name)
			return -ENOMEM;
		std::memcpy(name, buf, length);
	}
	device_lock(dev);
	pci_dev *pdev = to_pci_dev(dev);
	const char *old = pdev->driver_override;

	pdev->driver_override = name;
	device_unlock(dev);
	kfree(old);
	return static_cast<ssize_t>(count);
}

ssize_t resetStore(struct device *dev, device_attribute *, const char *buf, size_t count)
{
	if (std::strtoul(buf, nullptr, 0) != 1)
		return -EINVAL;
	pm_runtime_get_sync(dev);
	const int rc = pci_reset_function(to_pci_dev(dev));

	pm_runtime_put(dev);
	return rc ? rc : static_cast<ssize_t>(count);
}

ssize_t rescanStore(bus_type *, const char *buf, size_t count)
{
	if (std::strtoul(buf, nullptr, 0))
		pciRescan();
	return static_cast<ssize_t>(count);
}

device_attribute resourceAttribute = makeAttribute("resource", 0444, resourceShow);
device_attribute modaliasAttribute = makeAttribute("modalias", 0444, modaliasShow);
device_attribute overrideAttribute =
	makeAttribute("driver_override", 0644, overrideShow, overrideStore);
device_attribute resetAttribute = makeAttribute("reset", 0200, nullptr, resetStore);

attribute *deviceAttributes[] = {
	&vendorAttribute.attr,
	&deviceAttribute.attr,
	&subsystem_vendorAttribute.attr,
	&subsystem_deviceAttribute.attr,
	&revisionAttribute.attr,
	&classAttribute.attr,
	&irqAttribute.attr,
	&numa_nodeAttribute.attr,
	&enableAttribute.attr,
	&resourceAttribute.attr,
	&modaliasAttribute.attr,
	&overrideAttribute.attr,
	&resetAttribute.attr,
	nullptr,
};

/* Only functions that can reset themselves have the file "reset". */
umode_t deviceVisible(kobject *kobj, attribute *attribute, int)
{
	if (attribute == &resetAttribute.attr &&
	    pcie_reset_flr(to_pci_dev(kobj_to_dev(kobj)), true))
		return 0;
	return attribute->mode;
}

attribute_group deviceGroup = {nullptr, deviceVisible, nullptr, deviceAttributes, nullptr};

device_attribute statusAttribute = makeAttribute(
	"runtime_status", 0444, [](struct device *dev, device_attribute *, char *buf) {
		return static_cast<ssize_t>(sysfs_emit(buf, "%s\n", runtimePmStatus(dev)));
	});
attribute *powerAttributes[] = {&statusAttribute.attr, nullptr};
attribute_group powerGroup = {"power", nullptr, nullptr, powerAttributes, nullptr};

bus_attribute rescanAttribute = {{"rescan", 0200}, nullptr, rescanStore};
attribute *busAttributes[] = {&rescanAttribute.attr, nullptr};
attribute_group busGroup = {nullptr, nullptr, nullptr, busAttributes, nullptr};

} // namespace

namespace wd::hostkernel
{

const attribute_group *pciDeviceGroups[] = {&deviceGroup, &powerGroup, nullptr};
const attribute_group *pciBusGroups[] = {&busGroup, nullptr};

} // namespace wd::hostkernel
