// SPDX-License-Identifier: Apache-2.0
/* Buses below root ports: discovery, hot removal, and resets of the whole bus. */
#include "machine/root_port.h"
#include "test_function.h"

#include <hosted/test_hooks.h>
#include <linux/pci.h>

#include <string>

using namespace wd::hostkernel;

namespace
{

module testModule{};

/* A driver that counts the callbacks around resets, for each function. */
struct ResetDriver {
	static inline unsigned prepares[256], dones[256];

	ResetDriver()
	{
		for (unsigned i = 0; i < 256; i++)
			prepares[i] = dones[i] = 0;
		handlers.reset_prepare = [](pci_dev *dev) { prepares[dev->devfn]++; };
		handlers.reset_done = [](pci_dev *dev) { dones[dev->devfn]++; };
		driver.name = "resets";
		driver.id_table = ids;
		driver.probe = [](pci_dev *dev, const pci_device_id *) {
			return pci_enable_device(dev);
		};
		driver.remove = [](pci_dev *dev) { pci_disable_device(dev); };
		driver.err_handler = &handlers;
	}

	pci_device_id ids[2] = {{PCI_DEVICE(kTestVendor, kTestDevice)}, {}};
	pci_error_handlers handlers{};
	pci_driver driver{};
};

/** Two functions below a port; another function beside the port. */
class BelowPort : public testing::Test
{
protected:
	void SetUp() override
	{
		BootConfig config;

		/* The port comes last: the order does not matter. */
		config.pci = {{0, 1, 0, 0, -1, &first_},
			      {0, 1, 0, 1, -1, &second_},
			      {0, 0, 3, 0, -1, &beside_},
			      {0, 0, 0x1c, 0, -1, &port_}};
		boot(config);
		dev_ = pci_get_domain_bus_and_slot(0, 1, 0);
		ASSERT_NE(dev_, nullptr);
	}
	void TearDown() override
	{
		pci_dev_put(dev_);
		const LeakReport report = shutdown();

		EXPECT_EQ(report.devices, 0u);
		EXPECT_EQ(report.kernelAllocations, 0u);
	}

	TestFunction first_, second_, beside_;
	wd::machine::RootPort port_{{{0, 0, 0x1c, 0}, 0, 1}, {&first_, &second_}};
	pci_dev *dev_ = nullptr;
};

TEST_F(BelowPort, TheBusHasAParent)
{
	pci_dev *port = pci_get_domain_bus_and_slot(0, 0, PCI_DEVFN(0x1c, 0));
	unsigned count = 0;

	ASSERT_NE(port, nullptr);
	EXPECT_EQ(pci_upstream_bridge(dev_), port);
	EXPECT_EQ(port->subordinate, dev_->bus);
	EXPECT_EQ(dev_->bus->parent, port->bus);
	EXPECT_FALSE(pci_is_root_bus(dev_->bus));
	EXPECT_TRUE(pci_is_root_bus(port->bus));
	EXPECT_EQ(port->hdr_type, PCI_HEADER_TYPE_BRIDGE);
	EXPECT_EQ(dev_->dev.parent, &port->dev);
	pci_walk_bus(
		dev_->bus,
		[](pci_dev *dev, void *data) {
			++*static_cast<unsigned *>(data);
			return static_cast<int>(dev->devfn);
		},
		&count);
	EXPECT_EQ(count, 2u) << "the second one ended it";
	pci_dev_put(port);
}

TEST_F(BelowPort, AllFunctionsAreReset)
{
	ResetDriver driver;

	ASSERT_EQ(__pci_register_driver(&driver.driver, &testModule, "test"), 0);
	EXPECT_EQ(pci_probe_reset_slot(dev_->slot), -ENOTTY);
	ASSERT_EQ(pci_probe_reset_bus(dev_->bus), 0);
	void *io = pci_iomap(dev_, kRegisters, 0);

	writel(0x1234, static_cast<char *>(io) + 0x10);
	ASSERT_EQ(pci_reset_bus(dev_), 0);
	for (unsigned i = 0; i < 2; i++) {
		EXPECT_EQ(ResetDriver::prepares[i], 1u);
		EXPECT_EQ(ResetDriver::dones[i], 1u);
	}
	EXPECT_EQ(ResetDriver::prepares[PCI_DEVFN(3, 0)], 0u) << "beside the port";
	EXPECT_EQ(readl(static_cast<char *>(io) + 0x10), 0u)
		<< "the function decodes memory, at its address, and is reset";
	pci_iounmap(dev_, io);
	pci_unregister_driver(&driver.driver);
}

/* Somebody holds the lock of one of the devices: nothing happens to any of them. */
TEST_F(BelowPort, AResetDoesNotWait)
{
	ResetDriver driver;
	pci_dev *second = pci_get_domain_bus_and_slot(0, 1, 1);

	ASSERT_EQ(__pci_register_driver(&driver.driver, &testModule, "test"), 0);
	device_lock(&second->dev);
	EXPECT_EQ(pci_reset_bus(dev_), -EAGAIN);
	device_unlock(&second->dev);
	EXPECT_EQ(ResetDriver::prepares[0], 0u);
	EXPECT_EQ(pci_reset_bus(dev_), 0) << "no lock was left";
	pci_unregister_driver(&driver.driver);
	pci_dev_put(second);
}

TEST_F(BelowPort, ARootBusHasNoReset)
{
	pci_dev *beside = pci_get_domain_bus_and_slot(0, 0, PCI_DEVFN(3, 0));

	EXPECT_EQ(pci_probe_reset_bus(beside->bus), -ENOTTY);
	EXPECT_EQ(pci_reset_bus(beside), -ENOTTY);
	pci_dev_put(beside);
}

TEST_F(BelowPort, GoesWithThePort)
{
	pci_dev *port = pci_get_domain_bus_and_slot(0, 0, PCI_DEVFN(0x1c, 0));

	pci_stop_and_remove_bus_device_locked(port);
	EXPECT_EQ(pci_get_domain_bus_and_slot(0, 1, 1), nullptr);
	EXPECT_EQ(pci_rescan_bus(port->bus), 3u);
	pci_dev_put(port);
	pci_dev *second = pci_get_domain_bus_and_slot(0, 1, 1);

	ASSERT_NE(second, nullptr);
	EXPECT_EQ(pci_reset_bus(second), 0);
	pci_dev_put(second);
}

} // namespace
