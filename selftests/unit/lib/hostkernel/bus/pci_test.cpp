// SPDX-License-Identifier: Apache-2.0
#include "test_function.h"

#include <hosted/test_hooks.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>

#include <string>

using namespace wd::hostkernel;

namespace
{

module testModule{};

/* A driver that counts its calls. A test can make probe() fail. */
struct CountingDriver {
	static inline int probes, removes, probeResult, prepares, dones;
	static inline pci_dev *last;

	static int probe(pci_dev *dev, const pci_device_id *id)
	{
		probes++;
		last = dev;
		EXPECT_EQ(dev->driver->driver.name, std::string("counting"));
		EXPECT_EQ(id->driver_data, 0x77u);
		return probeResult;
	}

	static void remove(pci_dev *) { removes++; }

	CountingDriver()
	{
		probes = removes = probeResult = prepares = dones = 0;
		handlers.reset_prepare = [](pci_dev *) { prepares++; };
		handlers.reset_done = [](pci_dev *) { dones++; };
		driver.name = "counting";
		driver.id_table = ids;
		driver.probe = probe;
		driver.remove = remove;
		driver.err_handler = &handlers;
	}

	pci_device_id ids[2] = {{PCI_DEVICE(kTestVendor, kTestDevice), .driver_data = 0x77}, {}};
	pci_error_handlers handlers{};
	pci_driver driver{};
};

class PciTest : public BusTest
{
protected:
	void SetUp() override
	{
		BusTest::SetUp();
		dev_ = pci_get_domain_bus_and_slot(0, 1, PCI_DEVFN(0, 0));
		ASSERT_NE(dev_, nullptr);
	}

	void TearDown() override
	{
		pci_dev_put(dev_);
		BusTest::TearDown();
	}

	pci_dev *dev_ = nullptr;
};

TEST_F(PciTest, DevicesCarryTheIdentityOfTheFunction)
{
	EXPECT_STREQ(pci_name(dev_), "0000:01:00.0");
	EXPECT_EQ(dev_->vendor, kTestVendor);
	EXPECT_EQ(dev_->device, kTestDevice);
	EXPECT_EQ(dev_->revision, 0x21);
	EXPECT_EQ(dev_->class_, 0x120000u);
	EXPECT_EQ(dev_->devfn, 0u);
	EXPECT_EQ(dev_to_node(&dev_->dev), 2);
	EXPECT_EQ(dev_->bus->number, 1);
	EXPECT_TRUE(dev_is_pci(&dev_->dev));
	EXPECT_EQ(pci_get_domain_bus_and_slot(0, 1, PCI_DEVFN(5, 0)), nullptr);
}

TEST_F(PciTest, SysfsShowsTheDevice)
{
	std::string text;

	ASSERT_EQ(sysfsRead("/sys/bus/pci/devices/0000:01:00.0/vendor", text), 0);
	EXPECT_EQ(text, "0x1af4\n");
	ASSERT_EQ(sysfsRead("/sys/bus/pci/devices/0000:01:00.0/class", text), 0);
	EXPECT_EQ(text, "0x120000\n");
	ASSERT_EQ(sysfsRead("/sys/bus/pci/devices/0000:01:00.0/numa_node", text), 0);
	EXPECT_EQ(text, "2\n");
	ASSERT_EQ(sysfsRead("/sys/bus/pci/devices/0000:01:00.1/numa_node", text), 0);
	EXPECT_EQ(text, "-1\n");
	ASSERT_EQ(sysfsResolve("/sys/bus/pci/devices/0000:01:00.0", text), 0);
	EXPECT_EQ(text, "/sys/devices/pci0000:01/0000:01:00.0");
}

TEST_F(PciTest, FindsCapabilities)
{
	EXPECT_NE(pci_find_capability(dev_, PCI_CAP_ID_EXP), 0);
	EXPECT_NE(pci_find_capability(dev_, PCI_CAP_ID_VNDR), 0);
	EXPECT_EQ(pci_find_capability(dev_, PCI_CAP_ID_PM), 0);
	EXPECT_EQ(pci_find_ext_capability(dev_, PCI_EXT_CAP_ID_PASID), 0x100);
	EXPECT_EQ(pci_find_ext_capability(dev_, PCI_EXT_CAP_ID_SRIOV), 0);
	EXPECT_EQ(pci_find_next_capability(dev_, pci_find_capability(dev_, PCI_CAP_ID_VNDR),
					   PCI_CAP_ID_VNDR),
		  0);
}

TEST_F(PciTest, ConfigAccessesAreChecked)
{
	u32 dword = 0;
	u16 word = 0;
	u8 byte = 0;

	EXPECT_EQ(pci_read_config_word(dev_, PCI_VENDOR_ID, &word), 0);
	EXPECT_EQ(word, kTestVendor);
	/* Misaligned and out of range. */
	EXPECT_EQ(pci_read_config_dword(dev_, 2, &dword), PCIBIOS_BAD_REGISTER_NUMBER);
	EXPECT_EQ(dword, ~0u);
	EXPECT_EQ(pci_read_config_byte(dev_, 4096, &byte), PCIBIOS_BAD_REGISTER_NUMBER);
	EXPECT_EQ(pci_read_config_byte(dev_, -1, &byte), PCIBIOS_BAD_REGISTER_NUMBER);
	EXPECT_EQ(pci_write_config_word(dev_, 1, 0), PCIBIOS_BAD_REGISTER_NUMBER);
	/* Identity is read-only. */
	pci_write_config_word(dev_, PCI_VENDOR_ID, 0);
	pci_read_config_word(dev_, PCI_VENDOR_ID, &word);
	EXPECT_EQ(word, kTestVendor);
}

TEST_F(PciTest, ResourcesAreAlignedAndApart)
{
	EXPECT_EQ(pci_resource_len(dev_, 0), 4096u);
	EXPECT_EQ(pci_resource_len(dev_, 1), 0u);
	EXPECT_EQ(pci_resource_len(dev_, kRegisters), kRegistersSize);
	EXPECT_EQ(pci_resource_start(dev_, kDoorbells) % kDoorbellsSize, 0u);
	EXPECT_LT(pci_resource_end(dev_, 0), 1ULL << 32) << "a 32-bit BAR holds 32-bit addresses";
	EXPECT_LT(pci_resource_end(dev_, kDoorbells), 1ULL << 52);
	EXPECT_TRUE(pci_resource_flags(dev_, kDoorbells) & IORESOURCE_PREFETCH);
	EXPECT_TRUE(pci_resource_flags(dev_, kRegisters) & IORESOURCE_EXCLUSIVE)
		<< "trapped registers cannot be mapped";
	u32 low = 0, high = 0;

	pci_read_config_dword(dev_, PCI_BASE_ADDRESS_2, &low);
	pci_read_config_dword(dev_, PCI_BASE_ADDRESS_3, &high);
	EXPECT_EQ((low & PCI_BASE_ADDRESS_MEM_MASK) | u64{high} << 32,
		  pci_resource_start(dev_, kRegisters));
}

TEST_F(PciTest, BarAddressesAreNoMemory)
{
	uint64_t value;

	EXPECT_FALSE(physicalMemory().read(pci_resource_start(dev_, kRegisters), &value, 8));
	EXPECT_FALSE(physicalMemory().write(pci_resource_start(dev_, kRegisters), &value, 8));
}

TEST_F(PciTest, BindsAndUnbindsDrivers)
{
	CountingDriver counting;

	ASSERT_EQ(__pci_register_driver(&counting.driver, &testModule, "test"), 0);
	EXPECT_EQ(counting.probes, 2);
	EXPECT_NE(dev_->driver, nullptr);
	std::string text;

	EXPECT_EQ(sysfsResolve("/sys/bus/pci/devices/0000:01:00.0/driver", text), 0);
	EXPECT_EQ(text, "/sys/bus/pci/drivers/counting");
	pci_unregister_driver(&counting.driver);
	EXPECT_EQ(counting.removes, 2);
	EXPECT_EQ(dev_->driver, nullptr);
}

TEST_F(PciTest, SysfsBindAndUnbind)
{
	CountingDriver counting;

	ASSERT_EQ(__pci_register_driver(&counting.driver, &testModule, "test"), 0);
	EXPECT_GE(sysfsWrite("/sys/bus/pci/drivers/counting/unbind", "0000:01:00.1"), 0);
	EXPECT_EQ(counting.removes, 1);
	EXPECT_LT(sysfsWrite("/sys/bus/pci/drivers/counting/unbind", "0000:01:00.1"), 0);
	EXPECT_GE(sysfsWrite("/sys/bus/pci/drivers/counting/bind", "0000:01:00.1"), 0);
	EXPECT_EQ(counting.probes, 3);
	pci_unregister_driver(&counting.driver);
}

TEST_F(PciTest, FailedProbeLeavesTheDeviceUnbound)
{
	CountingDriver counting;

	counting.probeResult = -ENOMEM;
	ASSERT_EQ(__pci_register_driver(&counting.driver, &testModule, "test"), 0);
	EXPECT_EQ(counting.probes, 2);
	EXPECT_EQ(dev_->driver, nullptr);
	pci_unregister_driver(&counting.driver);
	EXPECT_EQ(counting.removes, 0);
}

TEST_F(PciTest, DriverOverrideRestrictsMatching)
{
	CountingDriver counting;

	ASSERT_GE(sysfsWrite("/sys/bus/pci/devices/0000:01:00.0/driver_override", "other\n"), 0);
	ASSERT_EQ(__pci_register_driver(&counting.driver, &testModule, "test"), 0);
	EXPECT_EQ(counting.probes, 1);
	EXPECT_EQ(dev_->driver, nullptr);
	pci_unregister_driver(&counting.driver);
}

TEST_F(PciTest, EnablingIsCounted)
{
	u16 command = 0;

	EXPECT_FALSE(pci_is_enabled(dev_));
	ASSERT_EQ(pci_enable_device(dev_), 0);
	ASSERT_EQ(pci_enable_device(dev_), 0);
	pci_set_master(dev_);
	EXPECT_TRUE(first.busMaster());
	pci_disable_device(dev_);
	EXPECT_TRUE(first.busMaster()) << "somebody still uses it";
	pci_disable_device(dev_);
	EXPECT_FALSE(first.busMaster());
	pci_read_config_word(dev_, PCI_COMMAND, &command);
	EXPECT_TRUE(command & PCI_COMMAND_MEMORY);
}

TEST_F(PciTest, RegionsHaveOneOwner)
{
	ASSERT_EQ(pci_request_mem_regions(dev_, "one"), 0);
	EXPECT_EQ(pci_request_region(dev_, kRegisters, "two"), -EBUSY);
	EXPECT_EQ(pci_request_regions(dev_, "two"), -EBUSY);
	pci_release_mem_regions(dev_);
	ASSERT_EQ(pci_request_region(dev_, kDoorbells, "two"), 0);
	/* If one region cannot be had, those before it are released. */
	EXPECT_EQ(pci_request_regions(dev_, "three"), -EBUSY);
	EXPECT_EQ(pci_request_region(dev_, kRegisters, "two"), 0);
	pci_release_regions(dev_);
}

TEST_F(PciTest, ResetRestoresStandardState)
{
	CountingDriver counting;

	ASSERT_EQ(__pci_register_driver(&counting.driver, &testModule, "test"), 0);
	ASSERT_EQ(pci_enable_device(dev_), 0);
	pci_set_master(dev_);
	ASSERT_EQ(pci_enable_pasid(dev_, 0), 0);
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 4, 4, PCI_IRQ_MSIX), 4);
	void *registers = pci_iomap(dev_, kRegisters, 0);

	writel(0x1234, registers);
	ASSERT_EQ(pci_reset_function(dev_), 0);
	EXPECT_EQ(first.resets, 1u);
	EXPECT_EQ(counting.prepares, 1);
	EXPECT_EQ(counting.dones, 1);
	EXPECT_EQ(readl(registers), 0u) << "the device is at power-on state, and decodes memory";
	EXPECT_TRUE(first.busMaster());
	u16 control = 0;

	pci_read_config_word(dev_, dev_->pasid_cap + PCI_PASID_CTRL, &control);
	EXPECT_EQ(control, PCI_PASID_CTRL_ENABLE);
	pci_read_config_word(dev_, dev_->msix_cap + PCI_MSIX_FLAGS, &control);
	EXPECT_TRUE(control & PCI_MSIX_FLAGS_ENABLE);
	EXPECT_FALSE(control & PCI_MSIX_FLAGS_MASKALL);
	iounmap(registers);
	pci_free_irq_vectors(dev_);
	pci_disable_pasid(dev_);
	pci_disable_device(dev_);
	pci_unregister_driver(&counting.driver);
}

TEST_F(PciTest, ResetLeavesTheRouting)
{
	const u8 vendor = pci_find_capability(dev_, PCI_CAP_ID_VNDR);
	u32 routing = 0;

	pci_write_config_dword(dev_, vendor + 0xc, 1 << 16 | 0x100);
	ASSERT_TRUE(first.routing());
	ASSERT_EQ(pci_reset_function(dev_), 0);
	EXPECT_TRUE(first.routing());
	pci_read_config_dword(dev_, vendor + 0xc, &routing);
	EXPECT_EQ(routing, 1u << 16 | 0x100);
}

TEST_F(PciTest, PasidErrors)
{
	EXPECT_EQ(pci_max_pasids(dev_), 1024);
	EXPECT_EQ(pci_pasid_features(dev_), PCI_PASID_CAP_PRIV);
	EXPECT_EQ(pci_enable_pasid(dev_, PCI_PASID_CAP_EXEC), -EINVAL);
	dev_->eetlp_prefix_path = 0;
	EXPECT_EQ(pci_enable_pasid(dev_, 0), -EINVAL);
	dev_->eetlp_prefix_path = 1;
	EXPECT_EQ(pci_enable_pasid(dev_, PCI_PASID_CAP_PRIV), 0);
	pci_disable_pasid(dev_);
}

class Ats : public PciTest
{
protected:
	u16 control(u16 at)
	{
		u16 value = 0;

		pci_read_config_word(dev_, at, &value);
		return value;
	}
	/* Enable PRI as an IOMMU driver does: Linux does not export pci_enable_pri(). */
	void enablePri(u32 requests)
	{
		dev_->pri_reqs_alloc = requests;
		pci_write_config_dword(dev_, dev_->pri_cap + PCI_PRI_ALLOC_REQ, requests);
		pci_write_config_word(dev_, dev_->pri_cap + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
		dev_->pri_enabled = 1;
	}
};

TEST_F(Ats, OnAndOff)
{
	ASSERT_TRUE(pci_ats_supported(dev_));
	EXPECT_TRUE(pci_pri_supported(dev_));
	EXPECT_EQ(pci_enable_ats(dev_, 11), -EINVAL);
	EXPECT_EQ(control(dev_->ats_cap + PCI_ATS_CTRL), 0u);
	ASSERT_EQ(pci_enable_ats(dev_, 13), 0);
	EXPECT_EQ(control(dev_->ats_cap + PCI_ATS_CTRL), PCI_ATS_CTRL_ENABLE | 1);
	pci_disable_ats(dev_);
	EXPECT_EQ(control(dev_->ats_cap + PCI_ATS_CTRL), 1u);
	/* An untrusted function gets no ATS: with ATS it could use any physical address. */
	dev_->untrusted = 1;
	EXPECT_FALSE(pci_ats_supported(dev_));
	EXPECT_EQ(pci_enable_ats(dev_, 12), -EINVAL);
	dev_->untrusted = 0;
	enablePri(16);
	pci_disable_pri(dev_);
	EXPECT_EQ(control(dev_->pri_cap + PCI_PRI_CTRL), 0u);
	EXPECT_FALSE(dev_->pri_enabled);
}

TEST_F(Ats, ResetRestoresThem)
{
	u32 requests = 0;

	ASSERT_EQ(pci_enable_ats(dev_, 12), 0);
	enablePri(16);
	ASSERT_EQ(pci_reset_function(dev_), 0);
	EXPECT_EQ(control(dev_->ats_cap + PCI_ATS_CTRL), PCI_ATS_CTRL_ENABLE);
	EXPECT_EQ(control(dev_->pri_cap + PCI_PRI_CTRL), PCI_PRI_CTRL_ENABLE);
	pci_read_config_dword(dev_, dev_->pri_cap + PCI_PRI_ALLOC_REQ, &requests);
	EXPECT_EQ(requests, 16u);
	pci_disable_pri(dev_);
	pci_disable_ats(dev_);
	/* A reset does not switch on what is off. */
	ASSERT_EQ(pci_reset_function(dev_), 0);
	EXPECT_EQ(control(dev_->ats_cap + PCI_ATS_CTRL), 0u);
	EXPECT_EQ(control(dev_->pri_cap + PCI_PRI_CTRL), 0u);
}

TEST_F(PciTest, RemoveAndRescan)
{
	CountingDriver counting;

	ASSERT_EQ(__pci_register_driver(&counting.driver, &testModule, "test"), 0);
	pci_bus *bus = dev_->bus;

	pci_stop_and_remove_bus_device_locked(dev_);
	EXPECT_EQ(counting.removes, 1);
	EXPECT_EQ(pci_get_domain_bus_and_slot(0, 1, 0), nullptr);
	EXPECT_EQ(pci_rescan_bus(bus), 1u);
	EXPECT_EQ(counting.probes, 3);
	pci_unregister_driver(&counting.driver);
}

TEST_F(PciTest, BootsAgainAfterShutdown)
{
	pci_dev_put(dev_);
	dev_ = nullptr;
	shutdown();
	boot();
	dev_ = pci_get_domain_bus_and_slot(0, 1, 0);
	EXPECT_NE(dev_, nullptr);
}

} // namespace
