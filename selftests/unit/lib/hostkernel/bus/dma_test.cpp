// SPDX-License-Identifier: Apache-2.0
/*
 * The DMA API with default domains, and without IOMMU.
 */
#include "test_function.h"
#include "toy_iommu.h"

#include <hosted/test_hooks.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>

#include <set>

#include "../../../../common/asleep.h"

namespace
{

class DmaTest : public BusTest
{
protected:
	void SetUp() override
	{
		BusTest::SetUp();
		pdev_ = pci_get_domain_bus_and_slot(0, 1, 0);
		dev_ = &pdev_->dev;
	}

	void TearDown() override
	{
		if (toy_.started)
			toy_.stop();
		EXPECT_EQ(toy_.domains, 0u);
		pci_dev_put(pdev_);
		BusTest::TearDown();
	}

	void start()
	{
		ASSERT_EQ(toy_.start(), 0);
		ASSERT_EQ(dma_set_mask_and_coherent(dev_, DMA_BIT_MASK(64)), 0);
		domain_ = iommu_get_domain_for_dev(dev_);
	}

	ToyIommu toy_;
	pci_dev *pdev_ = nullptr;
	device *dev_ = nullptr;
	iommu_domain *domain_ = nullptr;
};

/* LINUX-DMA-2, LINUX-DMA-4, LINUX-MAP-8 */
TEST_F(DmaTest, CoherentMemoryGetsAddressesBelow4GiBDownwards)
{
	start();
	dma_addr_t one, two;
	void *a = dma_alloc_coherent(dev_, 16384, &one, GFP_KERNEL);
	void *b = dma_alloc_coherent(dev_, 100, &two, GFP_KERNEL);

	ASSERT_NE(a, nullptr);
	ASSERT_NE(b, nullptr);
	EXPECT_EQ(one, 0xffffc000u);
	EXPECT_EQ(two, 0xffffb000u);
	EXPECT_EQ(iommu_iova_to_phys(domain_, one + 4096), virt_to_phys(a) + 4096);
	EXPECT_EQ(toy_.lastGfp, GFP_ATOMIC);
	EXPECT_EQ(toy_.lastProt, IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE);
	for (int i = 0; i < 16384; i++)
		ASSERT_EQ(static_cast<char *>(a)[i], 0);
	dma_free_coherent(dev_, 16384, a, one);
	dma_free_coherent(dev_, 100, b, two);
	EXPECT_TRUE(toyDomain(domain_)->pages.empty());
}

/* LINUX-DMA-2 */
TEST_F(DmaTest, MaskLimitsAddresses)
{
	start();
	ASSERT_EQ(dma_set_mask_and_coherent(dev_, DMA_BIT_MASK(28)), 0);
	dma_addr_t handle;
	void *memory = dma_alloc_coherent(dev_, 16384, &handle, GFP_KERNEL);

	EXPECT_EQ(handle, 0x0fffc000u);
	dma_free_coherent(dev_, 16384, memory, handle);
}

/* LINUX-DMA-3 */
TEST_F(DmaTest, TheInterruptWindowIsSkipped)
{
	start();
	std::vector<std::pair<void *, dma_addr_t>> blocks;
	bool below = false;

	/* 17 MiB from 4 GiB down to 0xfee00000. */
	for (int i = 0; i < 40; i++) {
		dma_addr_t handle;
		void *memory = dma_alloc_coherent(dev_, 0x80000, &handle, GFP_KERNEL);

		ASSERT_NE(memory, nullptr);
		EXPECT_FALSE(handle < 0xfef00000 && handle + 0x80000 > 0xfee00000) << handle;
		below |= handle < 0xfee00000;
		blocks.emplace_back(memory, handle);
	}
	EXPECT_TRUE(below) << "the test must get past the window";
	for (const auto &[memory, handle] : blocks)
		dma_free_coherent(dev_, 0x80000, memory, handle);
}

/* LINUX-DMA-4 */
TEST_F(DmaTest, StreamingMappings)
{
	start();
	alignas(4096) static char buffer[8192];
	const dma_addr_t address = dma_map_single(dev_, buffer + 100, 4096, DMA_TO_DEVICE);

	ASSERT_FALSE(dma_mapping_error(dev_, address));
	EXPECT_EQ(address & 0xfff, 100u);
	EXPECT_EQ(toy_.lastProt, IOMMU_READ | IOMMU_CACHE);
	EXPECT_EQ(iommu_iova_to_phys(domain_, address), virt_to_phys(buffer + 100));
	EXPECT_EQ(toyDomain(domain_)->pages.size(), 2u) << "both pages it touches";
	dma_unmap_single(dev_, address, 4096, DMA_TO_DEVICE);
	EXPECT_TRUE(toyDomain(domain_)->pages.empty());
	EXPECT_GE(toy_.syncs, 1u);
	const dma_addr_t page = dma_map_single(dev_, buffer + 8, 16, DMA_FROM_DEVICE);

	EXPECT_EQ(toy_.lastProt, IOMMU_WRITE | IOMMU_CACHE);
	EXPECT_EQ(page & 0xfff, 8u);
	dma_unmap_single(dev_, page, 16, DMA_FROM_DEVICE);
}

/* LINUX-DMA-5 */
TEST_F(DmaTest, ScatterListBecomesOneSegment)
{
	start();
	alignas(4096) static char pages[8 * 4096];
	scatterlist list[4];

	sg_init_table(list, 4);
	for (int i = 0; i < 4; i++)
		sg_set_buf(&list[i], pages + 2 * i * 4096, 4096);
	ASSERT_EQ(dma_map_sg(dev_, list, 4, DMA_BIDIRECTIONAL), 1u);
	EXPECT_EQ(sg_dma_len(&list[0]), 4u * 4096);
	EXPECT_EQ(iommu_iova_to_phys(domain_, sg_dma_address(&list[0]) + 3 * 4096),
		  virt_to_phys(pages + 6 * 4096));
	dma_unmap_sg(dev_, list, 4, DMA_BIDIRECTIONAL);
	/* A gap inside a page keeps the pieces apart. */
	sg_set_buf(&list[1], pages + 2 * 4096 + 8, 100);
	ASSERT_EQ(dma_map_sg(dev_, list, 4, DMA_BIDIRECTIONAL), 4u);
	EXPECT_EQ(sg_dma_len(&list[1]), 100u);
	dma_unmap_sg(dev_, list, 4, DMA_BIDIRECTIONAL);
	EXPECT_TRUE(toyDomain(domain_)->pages.empty());
}

/* LINUX-DMA-6 */
TEST_F(DmaTest, FailuresLeaveNothingMapped)
{
	start();
	alignas(4096) static char pages[4 * 4096];
	scatterlist list[2];

	sg_init_table(list, 2);
	sg_set_buf(&list[0], pages, 4096);
	sg_set_buf(&list[1], pages + 2 * 4096, 4096);
	toy_.failMapAfter = 2;
	EXPECT_EQ(dma_map_sg(dev_, list, 2, DMA_BIDIRECTIONAL), 0u);
	toy_.failMapAfter = 1;
	const dma_addr_t address = dma_map_single(dev_, pages, 64, DMA_TO_DEVICE);

	EXPECT_EQ(dma_mapping_error(dev_, address), -ENOMEM);
	toy_.failMapAfter = 1;
	dma_addr_t handle;

	EXPECT_EQ(dma_alloc_coherent(dev_, 4096, &handle, GFP_KERNEL), nullptr);
	EXPECT_EQ(dma_alloc_coherent(dev_, 0, &handle, GFP_KERNEL), nullptr);
	EXPECT_TRUE(dma_mapping_error(dev_, dma_map_single(dev_, pages, 0, DMA_TO_DEVICE)));
	EXPECT_TRUE(toyDomain(domain_)->pages.empty());
	void *memory = dma_alloc_coherent(dev_, 4096, &handle, GFP_KERNEL);

	EXPECT_EQ(handle, 0xfffff000u) << "no address was lost";
	dma_free_coherent(dev_, 4096, memory, handle);
}

/* LINUX-DMA-9 */
TEST_F(DmaTest, DirectWithoutIommu)
{
	ASSERT_EQ(dma_set_mask_and_coherent(dev_, DMA_BIT_MASK(64)), 0);
	dma_addr_t handle;
	char *memory = static_cast<char *>(dma_alloc_coherent(dev_, 8192, &handle, GFP_KERNEL));

	ASSERT_NE(memory, nullptr);
	EXPECT_EQ(handle, virt_to_phys(memory));
	const dma_addr_t address = dma_map_single(dev_, memory + 5, 100, DMA_TO_DEVICE);

	EXPECT_EQ(address, handle + 5);
	dma_unmap_single(dev_, address, 100, DMA_TO_DEVICE);
	dma_free_coherent(dev_, 8192, memory, handle);
	/* Memory above the mask cannot be reached, and there are no bounce buffers. */
	ASSERT_EQ(dma_set_mask_and_coherent(dev_, DMA_BIT_MASK(32)), 0);
	EXPECT_EQ(dma_alloc_coherent(dev_, 4096, &handle, GFP_KERNEL), nullptr);
	int local;

	EXPECT_TRUE(dma_mapping_error(dev_, dma_map_single(dev_, &local, 4, DMA_TO_DEVICE)));
	EXPECT_EQ(dma_set_mask(dev_, DMA_BIT_MASK(24)), -EIO);
	dev_->dma_mask = nullptr;
	EXPECT_EQ(dma_set_mask(dev_, DMA_BIT_MASK(64)), -EIO);
	dev_->dma_mask = &pdev_->dma_mask;
}

/* LINUX-DMA-8 */
TEST_F(DmaTest, FlushQueueDelaysInvalidation)
{
	toy_.refusedTypes.clear();
	start();
	ASSERT_EQ(domain_->type, IOMMU_DOMAIN_DMA_FQ);
	alignas(4096) static char buffer[4096];
	std::set<dma_addr_t> seen;
	/* The timer may flush at any moment. */
	const auto flushes = [&] {
		std::lock_guard lock(toy_.mutex);
		return toy_.flushes;
	};

	toy_.syncs = toy_.flushes = 0;
	/* An address must not be used again before its invalidation. */
	for (int i = 0; i < 100; i++) {
		const dma_addr_t address = dma_map_single(dev_, buffer, 64, DMA_TO_DEVICE);

		if (!flushes()) {
			EXPECT_TRUE(seen.insert(address).second);
		}
		dma_unmap_single(dev_, address, 64, DMA_TO_DEVICE);
	}
	EXPECT_EQ(toy_.syncs, 0u);
	for (int i = 0; i < 2000; i++) {
		const dma_addr_t address = dma_map_single(dev_, buffer, 64, DMA_TO_DEVICE);

		dma_unmap_single(dev_, address, 64, DMA_TO_DEVICE);
	}
	{
		std::lock_guard lock(toy_.mutex);

		EXPECT_GE(toy_.flushes, 8u);
		EXPECT_EQ(toy_.syncs, 0u);
	}
	/* The timer flushes the rest. */
	const unsigned before = flushes();
	dma_unmap_single(dev_, dma_map_single(dev_, buffer, 64, DMA_TO_DEVICE), 64, DMA_TO_DEVICE);
	EXPECT_TRUE(wd::test::eventually([&] { return flushes() > before; }));
}

TEST_F(DmaTest, LeakedMappingIsReported)
{
	start();
	int local;
	const dma_addr_t address = dma_map_single(dev_, &local, 4, DMA_TO_DEVICE);
	dma_addr_t handle;
	void *memory = dma_alloc_coherent(dev_, 4096, &handle, GFP_KERNEL);

	/* Both count as leaks until they are released; after that the shutdown is clean. */
	ASSERT_NE(memory, nullptr);
	dma_unmap_single(dev_, address, 4, DMA_TO_DEVICE);
	dma_free_coherent(dev_, 4096, memory, handle);
	int forgotten;

	dma_map_single(dev_, &forgotten, 4, DMA_TO_DEVICE);
	toy_.stop();
	pci_dev_put(pdev_);
	pdev_ = nullptr;
	const wd::hostkernel::LeakReport report = wd::hostkernel::shutdown();

	EXPECT_EQ(report.dmaAllocations, 1u);
	EXPECT_FALSE(report.clean());
}

} // namespace
