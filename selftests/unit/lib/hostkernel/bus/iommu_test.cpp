// SPDX-License-Identifier: Apache-2.0
/*
 * The IOMMU core: order of callbacks, groups, ownership, registration and its errors
 * (Documentation/spec/linux-iommu.rst).
 */
#include "test_function.h"
#include "toy_iommu.h"

#include <hosted/test_hooks.h>
#include <linux/platform_device.h>

#include <string>

using namespace wd::hostkernel;
using Events = std::vector<std::string>;

namespace
{

const std::string kFirst = "0000:01:00.0", kSecond = "0000:01:00.1";

class IommuTest : public BusTest
{
protected:
	void SetUp() override { bootAll(); }

	void bootAll()
	{
		boot();
		dev_ = pci_get_domain_bus_and_slot(0, 1, 0);
		other_ = pci_get_domain_bus_and_slot(0, 1, 1);
	}

	void shutdownAll()
	{
		pci_dev_put(dev_);
		pci_dev_put(other_);
		shutdown();
	}

	void TearDown() override
	{
		if (toy_.started)
			toy_.stop();
		EXPECT_EQ(toy_.domains, 0u);
		EXPECT_EQ(module_refcount(&toy_.owner), 0);
		pci_dev_put(dev_);
		pci_dev_put(other_);
		BusTest::TearDown();
	}

	/* The group of @dev. The reference lasts until the end of the test. */
	iommu_group *group(pci_dev *dev)
	{
		iommu_group *group = iommu_group_get(&dev->dev);

		iommu_group_put(group);
		return group;
	}

	ToyIommu toy_;
	pci_dev *dev_ = nullptr, *other_ = nullptr;
};

/* LINUX-REG-1, LINUX-REG-5, LINUX-DOM-1, LINUX-DMA-1 */
TEST_F(IommuTest, RegistrationOrder)
{
	ASSERT_EQ(toy_.start(), 0);
	const Events expected = {
		"probe_device " + kFirst,
		"device_group " + kFirst,
		"probe_device " + kSecond,
		"device_group " + kSecond,
		"def_domain_type",
		"domain_alloc 11",
		"domain_alloc 3",
		"get_resv_regions",
		"attach_dev 3",
		"probe_finalize " + kFirst,
		"get_resv_regions",
		"def_domain_type",
		"domain_alloc 11",
		"domain_alloc 3",
		"get_resv_regions",
		"attach_dev 3",
		"probe_finalize " + kSecond,
		"get_resv_regions",
	};

	EXPECT_EQ(toy_.takeEvents(), expected);
	EXPECT_EQ(module_refcount(&toy_.owner), 2) << "one per claimed device";
	EXPECT_NE(dev_->dev.dma_ops, nullptr);
}

/* LINUX-DOM-1, LINUX-DMA-1 */
TEST_F(IommuTest, DriverPreferenceDecidesTheType)
{
	toy_.defaultType = IOMMU_DOMAIN_IDENTITY;
	ASSERT_EQ(toy_.start(), 0);
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev)->type, IOMMU_DOMAIN_IDENTITY);
	EXPECT_EQ(dev_->dev.dma_ops, nullptr) << "identity keeps direct DMA";
}

/* LINUX-REG-4 */
TEST_F(IommuTest, IgnoredDevicesAreLeftAlone)
{
	toy_.ignoredDevfns.insert(1);
	ASSERT_EQ(toy_.start(), 0);
	EXPECT_NE(dev_->dev.iommu, nullptr);
	EXPECT_EQ(other_->dev.iommu, nullptr);
	EXPECT_EQ(other_->dev.iommu_group, nullptr);
	EXPECT_FALSE(device_iommu_mapped(&other_->dev));
	EXPECT_FALSE(device_iommu_capable(&other_->dev, IOMMU_CAP_CACHE_COHERENCY));
	EXPECT_TRUE(device_iommu_capable(&dev_->dev, IOMMU_CAP_CACHE_COHERENCY));
	EXPECT_FALSE(device_iommu_capable(&dev_->dev, IOMMU_CAP_INTR_REMAP));
	EXPECT_EQ(dev_iommu_priv_get(&dev_->dev), &toy_);
	EXPECT_EQ(dev_iommu_priv_get(&other_->dev), nullptr);
}

/* LINUX-REG-3 */
TEST_F(IommuTest, SecondDriverIsBusy)
{
	ASSERT_EQ(toy_.start(), 0);
	iommu_ops foreign = toy_.ops;
	iommu_device instance{};

	ASSERT_EQ(iommu_device_sysfs_add(&instance, nullptr, nullptr, "foreign"), 0);
	EXPECT_EQ(iommu_device_register(&instance, &foreign, nullptr), -EBUSY);
	/* A second instance of the same driver is fine, and re-probes. */
	EXPECT_EQ(iommu_device_register(&instance, &toy_.ops, nullptr), 0);
	iommu_device_unregister(&instance);
	EXPECT_NE(dev_->dev.iommu, nullptr) << "devices of the other instance stay";
	iommu_device_sysfs_remove(&instance);
}

/* LINUX-REG-2 */
TEST_F(IommuTest, InstanceNamesAreUnique)
{
	iommu_device a{}, b{};

	ASSERT_EQ(iommu_device_sysfs_add(&a, nullptr, nullptr, "same"), 0);
	EXPECT_EQ(iommu_device_sysfs_add(&b, nullptr, nullptr, "same"), -EEXIST);
	iommu_device_sysfs_remove(&a);
}

/* LINUX-REG-4, LINUX-REG-6 */
TEST_F(IommuTest, FailingProbeFailsRegistration)
{
	toy_.probeError = -EIO;
	EXPECT_EQ(toy_.start(), -EIO);
	EXPECT_EQ(dev_->dev.iommu, nullptr);
	EXPECT_EQ(pci_bus_type.iommu_ops, &toy_.ops) << "6.1 leaves the bus pointers set";
	pci_bus_type.iommu_ops = nullptr;
	platform_bus_type.iommu_ops = nullptr;
}

/* LINUX-REG-4 */
TEST_F(IommuTest, FailingAttachFailsRegistration)
{
	toy_.attachError = -EIO;
	EXPECT_EQ(toy_.start(), -EIO);
	EXPECT_EQ(dev_->dev.iommu, nullptr);
	EXPECT_EQ(dev_->dev.iommu_group, nullptr);
	pci_bus_type.iommu_ops = nullptr;
	platform_bus_type.iommu_ops = nullptr;
}

/* LINUX-DOM-1 */
TEST_F(IommuTest, DeviceWithoutDefaultDomain)
{
	toy_.refusedTypes = {IOMMU_DOMAIN_DMA_FQ, IOMMU_DOMAIN_DMA};
	ASSERT_EQ(toy_.start(), 0);
	EXPECT_NE(dev_->dev.iommu_group, nullptr);
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev), nullptr);
	EXPECT_EQ(dev_->dev.dma_ops, nullptr);
}

/* LINUX-REG-8 */
TEST_F(IommuTest, UnregisterReleasesEverything)
{
	ASSERT_EQ(toy_.start(), 0);
	toy_.takeEvents();
	toy_.stop();
	EXPECT_EQ(toy_.takeEvents(),
		  (Events{"release_device " + kFirst, "release_device " + kSecond}));
	EXPECT_EQ(dev_->dev.iommu, nullptr);
	EXPECT_EQ(dev_->dev.iommu_group, nullptr);
	EXPECT_EQ(toy_.domains, 0u) << "default domains go with their groups";
	/* Start once more: groups get the same numbers. */
	ASSERT_EQ(toy_.start(), 0);
	EXPECT_EQ(iommu_group_id(group(dev_)), 0);
}

/* LINUX-DOM-3 */
TEST_F(IommuTest, GroupOutlivesTheDevice)
{
	ASSERT_EQ(toy_.start(), 0);
	iommu_group *held = iommu_group_get(&dev_->dev);

	toy_.stop();
	EXPECT_EQ(toy_.domains, 1u) << "the domain is freed with the last group reference";
	EXPECT_EQ(iommu_group_id(held), 0);
	iommu_group_put(held);
	EXPECT_EQ(toy_.domains, 0u);
}

/* LINUX-REG-7 */
TEST_F(IommuTest, LateDevicesArriveThroughTheNotifier)
{
	ASSERT_EQ(toy_.start(), 0);
	pci_bus *bus = dev_->bus;

	toy_.takeEvents();
	pci_stop_and_remove_bus_device_locked(dev_);
	EXPECT_EQ(toy_.takeEvents(), Events{"release_device " + kFirst});
	EXPECT_EQ(pci_rescan_bus(bus), 1u);
	EXPECT_EQ(toy_.takeEvents(),
		  (Events{"probe_device " + kFirst, "device_group " + kFirst, "def_domain_type",
			  "domain_alloc 11", "domain_alloc 3", "get_resv_regions", "attach_dev 3",
			  "probe_finalize " + kFirst, "get_resv_regions"}));
}

/* LINUX-REG-2, LINUX-DMA-3 */
TEST_F(IommuTest, SysfsShowsGroupsAndInstances)
{
	ASSERT_EQ(toy_.start(), 0);
	std::string text;
	std::vector<std::string> names;

	ASSERT_EQ(sysfsRead("/sys/kernel/iommu_groups/0/type", text), 0);
	EXPECT_EQ(text, "DMA\n");
	ASSERT_EQ(sysfsRead("/sys/kernel/iommu_groups/0/reserved_regions", text), 0);
	EXPECT_EQ(text, "0x00000000fee00000 0x00000000feefffff msi\n");
	ASSERT_EQ(sysfsList("/sys/kernel/iommu_groups/1/devices", names), 0);
	EXPECT_EQ(names, std::vector<std::string>{kSecond});
	ASSERT_EQ(sysfsResolve("/sys/bus/pci/devices/" + kFirst + "/iommu_group", text), 0);
	EXPECT_EQ(text, "/sys/kernel/iommu_groups/0");
	ASSERT_EQ(sysfsResolve("/sys/bus/pci/devices/" + kFirst + "/iommu", text), 0);
	EXPECT_EQ(text, "/sys/devices/virtual/iommu/toy0");
	names.clear();
	ASSERT_EQ(sysfsList("/sys/class/iommu/toy0/devices", names), 0);
	EXPECT_EQ(names, (std::vector<std::string>{kFirst, kSecond}));
	toy_.stop();
	EXPECT_LT(sysfsRead("/sys/kernel/iommu_groups/0/type", text), 0);
	EXPECT_LT(sysfsResolve("/sys/class/iommu/toy0", text), 0);
}

/* LINUX-DOM-5, LINUX-OWN-4 */
TEST_F(IommuTest, AttachAndDetach)
{
	ASSERT_EQ(toy_.start(), 0);
	iommu_domain *defaultDomain = iommu_get_domain_for_dev(&dev_->dev);
	iommu_domain *mine = iommu_domain_alloc(&pci_bus_type);
	iommu_domain *another = iommu_domain_alloc(&pci_bus_type);

	ASSERT_NE(mine, nullptr);
	EXPECT_EQ(mine->type, IOMMU_DOMAIN_UNMANAGED);
	EXPECT_EQ(mine->pgsize_bitmap, toy_.ops.pgsize_bitmap);
	EXPECT_EQ(iommu_attach_group(mine, group(dev_)), 0);
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev), mine);
	EXPECT_EQ(iommu_attach_group(another, group(dev_)), -EBUSY);
	iommu_detach_group(mine, group(dev_));
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev), defaultDomain);
	EXPECT_EQ(iommu_domain_alloc(nullptr), nullptr);
	iommu_domain_free(mine);
	iommu_domain_free(another);
}

/* LINUX-OWN-1 */
TEST_F(IommuTest, ClaimingOwnership)
{
	ASSERT_EQ(toy_.start(), 0);
	iommu_group *g = group(dev_);
	iommu_domain *defaultDomain = iommu_get_domain_for_dev(&dev_->dev);
	iommu_domain *mine = iommu_domain_alloc(&pci_bus_type);
	int owner, stranger;

	ASSERT_EQ(iommu_group_claim_dma_owner(g, &owner), 0);
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev)->type, IOMMU_DOMAIN_BLOCKED);
	EXPECT_EQ(iommu_group_claim_dma_owner(g, &stranger), -EPERM);
	EXPECT_EQ(iommu_group_claim_dma_owner(g, &owner), -EPERM);
	/* A driver that wants the default domain cannot bind now. */
	EXPECT_EQ(iommu_device_use_default_domain(&dev_->dev), -EBUSY);
	ASSERT_EQ(iommu_attach_group(mine, g), 0);
	iommu_detach_group(mine, g);
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev)->type, IOMMU_DOMAIN_BLOCKED);
	iommu_group_release_dma_owner(g);
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev), defaultDomain);
	iommu_domain_free(mine);
}

/* LINUX-OWN-1 */
TEST_F(IommuTest, ClaimRefusals)
{
	ASSERT_EQ(toy_.start(), 0);
	iommu_group *g = group(dev_);
	iommu_domain *mine = iommu_domain_alloc(&pci_bus_type);
	int owner;

	ASSERT_EQ(iommu_device_use_default_domain(&dev_->dev), 0);
	EXPECT_EQ(iommu_group_claim_dma_owner(g, &owner), -EPERM);
	iommu_device_unuse_default_domain(&dev_->dev);
	ASSERT_EQ(iommu_attach_group(mine, g), 0);
	EXPECT_EQ(iommu_group_claim_dma_owner(g, &owner), -EBUSY) << "a foreign domain";
	iommu_detach_group(mine, g);
	iommu_domain_free(mine);
}

/* LINUX-OWN-2 */
TEST_F(IommuTest, BlockingDomainFallsBackToUnmanaged)
{
	toy_.refusedTypes.insert(IOMMU_DOMAIN_BLOCKED);
	ASSERT_EQ(toy_.start(), 0);
	iommu_group *g = group(dev_);
	int owner;

	ASSERT_EQ(iommu_group_claim_dma_owner(g, &owner), 0);
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev)->type, IOMMU_DOMAIN_UNMANAGED);
	iommu_group_release_dma_owner(g);
	toy_.refusedTypes.insert(IOMMU_DOMAIN_UNMANAGED);
	g = group(other_);
	EXPECT_EQ(iommu_group_claim_dma_owner(g, &owner), -EINVAL);
}

/* LINUX-OWN-1, LINUX-OWN-3 */
TEST_F(IommuTest, BindingADriverOwnsTheGroup)
{
	ASSERT_EQ(toy_.start(), 0);
	module driverModule{};
	const pci_device_id ids[] = {{PCI_DEVICE(kTestVendor, kTestDevice)}, {}};
	pci_driver driver{};
	int owner;

	driver.name = "owner";
	driver.id_table = ids;
	driver.probe = [](pci_dev *, const pci_device_id *) { return 0; };
	ASSERT_EQ(__pci_register_driver(&driver, &driverModule, "t"), 0);
	EXPECT_EQ(iommu_group_claim_dma_owner(group(dev_), &owner), -EPERM);
	pci_unregister_driver(&driver);
	EXPECT_EQ(iommu_group_claim_dma_owner(group(dev_), &owner), 0);
	/* Binding to an owned group is refused... */
	ASSERT_EQ(__pci_register_driver(&driver, &driverModule, "t"), 0);
	EXPECT_EQ(dev_->driver, nullptr);
	EXPECT_NE(other_->driver, nullptr);
	pci_unregister_driver(&driver);
	/* ... unless the driver manages DMA itself. */
	driver.driver_managed_dma = true;
	ASSERT_EQ(__pci_register_driver(&driver, &driverModule, "t"), 0);
	EXPECT_NE(dev_->driver, nullptr);
	pci_unregister_driver(&driver);
	iommu_group_release_dma_owner(group(dev_));
}

/* LINUX-DOM-6 */
TEST_F(IommuTest, FunctionsOfADeviceShareAGroupWithoutAcs)
{
	for (const bool acs : {false, true}) {
		shutdownAll();
		first.setMultifunction(acs);
		second.setMultifunction(acs);
		bootAll();
		ASSERT_EQ(toy_.start(), 0);
		ASSERT_NE(group(dev_), nullptr);
		EXPECT_EQ(group(dev_) == group(other_), !acs);
		toy_.stop();
	}
	EXPECT_TRUE(dev_->multifunction);
}

/* LINUX-DOM-6: the group stays while one of the functions is there. */
TEST_F(IommuTest, AFunctionComesBackIntoItsGroup)
{
	shutdownAll();
	first.setMultifunction(false);
	second.setMultifunction(false);
	bootAll();
	ASSERT_EQ(toy_.start(), 0);
	iommu_group *const common = group(dev_);
	pci_bus *const bus = dev_->bus;

	pci_stop_and_remove_bus_device_locked(dev_);
	pci_dev_put(dev_);
	EXPECT_EQ(group(other_), common);
	EXPECT_EQ(pci_rescan_bus(bus), 1u);
	dev_ = pci_get_domain_bus_and_slot(0, 1, 0);
	ASSERT_NE(dev_, nullptr);
	EXPECT_EQ(group(dev_), common);
	EXPECT_NE(dev_->dev.dma_ops, nullptr) << "attached to the group's domain";
}

/* LINUX-OWN-4 */
TEST_F(IommuTest, GroupWithSeveralDevices)
{
	ASSERT_EQ(toy_.start(), 0);
	iommu_group *g = iommu_group_alloc();

	ASSERT_FALSE(IS_ERR(g));
	iommu_group_remove_device(&dev_->dev);
	iommu_group_remove_device(&other_->dev);
	ASSERT_EQ(iommu_group_add_device(g, &dev_->dev), 0);
	ASSERT_EQ(iommu_group_add_device(g, &other_->dev), 0);
	iommu_domain *mine = iommu_domain_alloc(&pci_bus_type);

	EXPECT_EQ(iommu_attach_group(mine, g), 0);
	EXPECT_EQ(toyDomain(mine)->attached.size(), 2u);
	unsigned devices = 0;

	EXPECT_EQ(iommu_group_for_each_dev(g, &devices,
					   [](device *, void *count) {
						   ++*static_cast<unsigned *>(count);
						   return 0;
					   }),
		  0);
	EXPECT_EQ(devices, 2u);
	EXPECT_EQ(iommu_group_for_each_dev(g, nullptr, [](device *, void *) { return -EFAULT; }),
		  -EFAULT);
	iommu_group_put(g);
	toy_.stop();
	iommu_domain_free(mine);
}

/* LINUX-DOM-4 */
TEST_F(IommuTest, DirectRegionsAreMapped)
{
	toy_.directRegion = true;
	ASSERT_EQ(toy_.start(), 0);
	iommu_domain *domain = iommu_get_domain_for_dev(&dev_->dev);

	EXPECT_EQ(iommu_iova_to_phys(domain, 0x100000), 0x100000u);
	EXPECT_EQ(iommu_iova_to_phys(domain, 0x102fff), 0x102fffu);
	EXPECT_EQ(iommu_iova_to_phys(domain, 0x103000), 0u);
	EXPECT_GE(toy_.flushes, 1u);
	std::string text;

	ASSERT_EQ(sysfsRead("/sys/kernel/iommu_groups/0/reserved_regions", text), 0);
	EXPECT_EQ(text, "0x0000000000100000 0x0000000000102fff direct\n"
			"0x00000000fee00000 0x00000000feefffff msi\n");
}

/* LINUX-DOM-2 */
TEST_F(IommuTest, TypeCanBeChangedWhileUnbound)
{
	const std::string type = "/sys/kernel/iommu_groups/0/type";
	std::string text;

	ASSERT_EQ(toy_.start(), 0);
	EXPECT_EQ(sysfsWrite(type, "nonsense"), -EINVAL);
	toy_.takeEvents();
	ASSERT_GE(sysfsWrite(type, "identity\n"), 0);
	EXPECT_EQ(toy_.takeEvents(), (Events{"def_domain_type", "domain_alloc 4", "attach_dev 4",
					     "probe_finalize " + kFirst}));
	ASSERT_EQ(sysfsRead(type, text), 0);
	EXPECT_EQ(text, "identity\n");
	EXPECT_EQ(dev_->dev.dma_ops, nullptr);
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev)->type, IOMMU_DOMAIN_IDENTITY);
	/* The driver refuses flush queues. */
	EXPECT_EQ(sysfsWrite(type, "auto"), -EINVAL);
	ASSERT_GE(sysfsWrite(type, "DMA"), 0);
	EXPECT_NE(dev_->dev.dma_ops, nullptr);
	EXPECT_EQ(toy_.domains, 2u) << "old domains are freed";
	int owner;

	ASSERT_EQ(iommu_group_claim_dma_owner(group(dev_), &owner), 0);
	EXPECT_EQ(sysfsWrite(type, "identity"), -EBUSY) << "owned";
	iommu_group_release_dma_owner(group(dev_));
}

/* LINUX-DOM-2 */
TEST_F(IommuTest, TypeOfABoundDevice)
{
	const std::string type = "/sys/kernel/iommu_groups/0/type";
	module driverModule{};
	const pci_device_id ids[] = {{PCI_DEVICE(kTestVendor, kTestDevice)}, {}};
	pci_driver driver{};

	ASSERT_EQ(toy_.start(), 0);
	driver.name = "bound";
	driver.id_table = ids;
	driver.probe = [](pci_dev *, const pci_device_id *) { return 0; };
	ASSERT_EQ(__pci_register_driver(&driver, &driverModule, "t"), 0);
	EXPECT_EQ(sysfsWrite(type, "identity"), -EBUSY);
	EXPECT_GE(sysfsWrite(type, "DMA-FQ"), 0);
	EXPECT_EQ(iommu_get_domain_for_dev(&dev_->dev)->type, IOMMU_DOMAIN_DMA_FQ);
	EXPECT_EQ(sysfsWrite(type, "DMA"), -EBUSY);
	pci_unregister_driver(&driver);
	EXPECT_NE(dev_->dev.dma_ops, nullptr) << "the DMA API outlives a driver";
}

/* --- faults --- */

/* LINUX-FAULT-1 */
TEST_F(IommuTest, DomainFaultHandler)
{
	ASSERT_EQ(toy_.start(), 0);
	iommu_domain *domain = iommu_get_domain_for_dev(&dev_->dev);
	unsigned long seen = 0;

	EXPECT_EQ(report_iommu_fault(domain, &dev_->dev, 0x1000, 0), -ENOSYS);
	iommu_set_fault_handler(
		domain,
		[](iommu_domain *, device *, unsigned long iova, int, void *token) {
			*static_cast<unsigned long *>(token) = iova;
			return -EAGAIN;
		},
		&seen);
	EXPECT_EQ(report_iommu_fault(domain, &dev_->dev, 0x1000, IOMMU_FAULT_WRITE), -EAGAIN);
	EXPECT_EQ(seen, 0x1000u);
}

} // namespace
