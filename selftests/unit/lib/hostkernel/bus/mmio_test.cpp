// SPDX-License-Identifier: Apache-2.0
#include "test_function.h"

#include <hosted/test_hooks.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/pci.h>

#include <array>

namespace
{

char *at(void *base, long offset)
{
	return static_cast<char *>(base) + offset;
}

class MmioTest : public BusTest
{
protected:
	void SetUp() override
	{
		BusTest::SetUp();
		dev_ = pci_get_domain_bus_and_slot(0, 1, 0);
		ASSERT_EQ(pci_enable_device(dev_), 0);
		base_ = pci_iomap(dev_, kRegisters, 0);
		ASSERT_NE(base_, nullptr);
	}

	void TearDown() override
	{
		iounmap(base_);
		pci_disable_device(dev_);
		pci_dev_put(dev_);
		BusTest::TearDown();
	}

	pci_dev *dev_ = nullptr;
	void *base_ = nullptr;
};

TEST_F(MmioTest, AllSizes)
{
	writeq(0x8877665544332211, base_);
	EXPECT_EQ(readb(base_), 0x11);
	EXPECT_EQ(readw(at(base_, 2)), 0x4433);
	EXPECT_EQ(readl(at(base_, 4)), 0x88776655u);
	EXPECT_EQ(readq(base_), 0x8877665544332211u);
	writeb(0xab, at(base_, 7));
	writew(0xcdef, at(base_, 4));
	writel(1, base_);
	EXPECT_EQ(readq(base_), 0xab77cdef00000001u);
}

TEST_F(MmioTest, CookieIsNoPointer)
{
	const auto cookie = reinterpret_cast<uintptr_t>(base_);

	/* Canonical addresses repeat bit 47 above it. */
	EXPECT_NE(cookie >> 47, 0u);
	EXPECT_NE(cookie >> 47, 0x1ffffu);
}

TEST_F(MmioTest, AccessesOutsideTheMappingReachNothing)
{
	const unsigned reads = first.reads, writes = first.writes;

	EXPECT_EQ(readl(at(base_, kRegistersSize)), ~0u);
	EXPECT_EQ(readl(at(base_, kRegistersSize - 2)), ~0u) << "half inside";
	EXPECT_EQ(readb(at(base_, -1)), 0xff);
	EXPECT_EQ(readq(at(base_, -4)), ~0ull);
	writel(1, at(base_, kRegistersSize));
	writel(1, at(base_, 1L << 39));
	EXPECT_EQ(readl(nullptr), ~0u);
	EXPECT_EQ(readl(&reads), ~0u) << "a pointer is no cookie";
	EXPECT_EQ(first.reads, reads);
	EXPECT_EQ(first.writes, writes);
}

TEST_F(MmioTest, UnmappedCookieIsDead)
{
	void *other = pci_iomap(dev_, kRegisters, 0);

	EXPECT_NE(other, base_);
	iounmap(other);
	EXPECT_EQ(readl(other), ~0u);
	iounmap(other);
	iounmap(nullptr);
	writel(3, base_);
	EXPECT_EQ(readl(base_), 3u);
}

TEST_F(MmioTest, PartialMappings)
{
	void *part = pci_iomap_range(dev_, kRegisters, 0x1000, 0x100);

	writel(0x55, at(part, 0xfc));
	EXPECT_EQ(readl(at(base_, 0x10fc)), 0x55u);
	EXPECT_EQ(readl(at(part, 0x100)), ~0u);
	iounmap(part);
	part = ioremap(pci_resource_start(dev_, kRegisters) + 8, 8);
	writeq(7, part);
	EXPECT_EQ(readq(at(base_, 8)), 7u);
	iounmap(part);
	EXPECT_EQ(pci_iomap_range(dev_, kRegisters, kRegistersSize, 0), nullptr);
	EXPECT_EQ(pci_iomap(dev_, 1, 0), nullptr);
	EXPECT_EQ(pci_iomap(dev_, 6, 0), nullptr);
	EXPECT_EQ(pci_iomap(dev_, -1, 0), nullptr);
}

TEST_F(MmioTest, OnlyBarsCanBeRemapped)
{
	const resource_size_t start = pci_resource_start(dev_, kRegisters);

	EXPECT_EQ(ioremap(start, kRegistersSize + 1), nullptr);
	EXPECT_EQ(ioremap(start, 0), nullptr);
	EXPECT_EQ(ioremap(start, SIZE_MAX), nullptr);
	EXPECT_EQ(ioremap(start + kRegistersSize - 1, 2), nullptr);
	EXPECT_EQ(ioremap(0, 4096), nullptr);
	EXPECT_EQ(ioremap(~0ULL, 1), nullptr);
}

TEST_F(MmioTest, NothingAnswersWithoutMemoryDecoding)
{
	writel(0x77, base_);
	pci_write_config_word(dev_, PCI_COMMAND, 0);
	EXPECT_EQ(readl(base_), ~0u);
	writel(0x88, base_);
	pci_write_config_word(dev_, PCI_COMMAND, PCI_COMMAND_MEMORY);
	EXPECT_EQ(readl(base_), 0x77u);
}

TEST_F(MmioTest, ManyMappings)
{
	std::vector<void *> mappings;

	for (int i = 0; i < 2000; i++) {
		void *address = pci_iomap_range(
			dev_, kRegisters, static_cast<unsigned long>(i % 16) * 0x1000, 0x1000);

		ASSERT_NE(address, nullptr);
		mappings.push_back(address);
	}
	writel(42, at(mappings[1999], 16));
	EXPECT_EQ(readl(at(base_, (1999 % 16) * 0x1000 + 16)), 42u);
	for (void *address : mappings)
		iounmap(address);
}

} // namespace
