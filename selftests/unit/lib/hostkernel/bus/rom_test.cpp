// SPDX-License-Identifier: Apache-2.0
/* Expansion ROMs. */
#include "test_function.h"

#include <hosted/test_hooks.h>
#include <linux/pci.h>

using namespace wd::hostkernel;

namespace
{

class RomFunction : public TestFunction
{
public:
	RomFunction() { addRom(4096); }
};

class RomTest : public testing::Test
{
protected:
	void SetUp() override
	{
		BootConfig config;

		config.pci = {{0, 1, 0, 0, -1, &with_}, {0, 1, 1, 0, -1, &without_}};
		boot(config);
		dev_ = pci_get_domain_bus_and_slot(0, 1, 0);
		ASSERT_NE(dev_, nullptr);
	}
	void TearDown() override
	{
		pci_dev_put(dev_);
		EXPECT_EQ(shutdown().kernelAllocations, 0u);
	}
	bool decodes() { return with_.configRead(PCI_ROM_ADDRESS, 4) & PCI_ROM_ADDRESS_ENABLE; }

	RomFunction with_;
	TestFunction without_;
	pci_dev *dev_ = nullptr;
};

TEST_F(RomTest, IsDecodedWhileItIsMapped)
{
	size_t size = 0;

	EXPECT_EQ(pci_resource_len(dev_, PCI_ROM_RESOURCE), 4096u);
	EXPECT_EQ(pci_resource_start(dev_, PCI_ROM_RESOURCE) % 4096, 0u);
	EXPECT_EQ(pci_map_rom(dev_, &size), nullptr) << "memory is off: it reads as ones";
	EXPECT_FALSE(decodes());
	ASSERT_EQ(pci_enable_device(dev_), 0);
	auto *rom = static_cast<char *>(pci_map_rom(dev_, &size));

	ASSERT_NE(rom, nullptr);
	EXPECT_EQ(size, 1024u) << "the image";
	EXPECT_TRUE(decodes());
	EXPECT_EQ(readw(rom), 0xaa55u);
	writew(0, rom);
	EXPECT_EQ(readw(rom), 0xaa55u);
	EXPECT_EQ(readl(rom + 4092), ~0u);
	pci_unmap_rom(dev_, rom);
	EXPECT_FALSE(decodes());
	EXPECT_EQ(pci_reset_function(dev_), 0);
	rom = static_cast<char *>(pci_map_rom(dev_, &size));
	ASSERT_NE(rom, nullptr) << "its address is as before";
	pci_unmap_rom(dev_, rom);
	pci_disable_device(dev_);
}

TEST_F(RomTest, MostFunctionsHaveNone)
{
	pci_dev *other = pci_get_domain_bus_and_slot(0, 1, PCI_DEVFN(1, 0));
	size_t size = 1;

	ASSERT_EQ(pci_enable_device(other), 0);
	EXPECT_EQ(pci_map_rom(other, &size), nullptr);
	EXPECT_EQ(pci_resource_len(other, PCI_ROM_RESOURCE), 0u);
	pci_disable_device(other);
	pci_dev_put(other);
}

} // namespace
