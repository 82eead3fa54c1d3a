// SPDX-License-Identifier: Apache-2.0
/*
 * Splitting by page size, errors and holes of map and unmap. The tests need a domain, but no booted
 * kernel.
 */
#include "toy_iommu.h"
#include <hosted/test_hooks.h>

#include <gtest/gtest.h>

#include "base/bits.h"

namespace
{

using Run = std::pair<size_t, size_t>;
using Runs = std::vector<Run>;
constexpr size_t k4K = wd::kPageSize, k2M = 0x200000, k1G = 0x40000000;
constexpr int kRw = IOMMU_READ | IOMMU_WRITE;

class IommuMapTest : public ::testing::Test
{
protected:
	void SetUp() override
	{
		domain_ = toy_.ops.domain_alloc(IOMMU_DOMAIN_UNMANAGED);
		domain_->type = IOMMU_DOMAIN_UNMANAGED;
		domain_->ops = &toy_.domainOps;
		domain_->pgsize_bitmap = toy_.ops.pgsize_bitmap;
	}

	void TearDown() override { iommu_domain_free(domain_); }

	Runs takeRuns() { return std::exchange(toy_.runs, {}); }

	ToyIommu toy_;
	iommu_domain *domain_ = nullptr;
};

/* LINUX-MAP-1, LINUX-MAP-6, LINUX-MAP-8 */
TEST_F(IommuMapTest, SmallPagesInOneRun)
{
	ASSERT_EQ(iommu_map(domain_, 0x10000, 0x7000, 5 * k4K, kRw), 0);
	EXPECT_EQ(takeRuns(), (Runs{{k4K, 5}}));
	EXPECT_EQ(iommu_iova_to_phys(domain_, 0x12345), 0x9345u);
	EXPECT_EQ(toy_.lastGfp, GFP_KERNEL);
	EXPECT_EQ(toy_.lastProt, kRw);
	EXPECT_EQ(iommu_unmap(domain_, 0x10000, 5 * k4K), 5 * k4K);
	EXPECT_EQ(takeRuns(), (Runs{{k4K, 5}}));
	EXPECT_EQ(toy_.syncs, 1u);
}

/* LINUX-MAP-1 */
TEST_F(IommuMapTest, LargePagesWhereAlignmentAllows)
{
	/* From 2 MiB - 8 KiB over two large pages to 12 KiB after them. */
	const unsigned long iova = k2M - 2 * k4K;

	ASSERT_EQ(iommu_map(domain_, iova, iova, 2 * k4K + 2 * k2M + 3 * k4K, kRw), 0);
	EXPECT_EQ(takeRuns(), (Runs{{k4K, 2}, {k2M, 2}, {k4K, 3}}));
	EXPECT_EQ(iommu_unmap(domain_, iova, 2 * k4K + 2 * k2M + 3 * k4K),
		  2 * k4K + 2 * k2M + 3 * k4K);
	EXPECT_EQ(takeRuns(), (Runs{{k4K, 2}, {k2M, 2}, {k4K, 3}}));
}

/* LINUX-MAP-1 */
TEST_F(IommuMapTest, PhysicalAddressMustBeAlignedToo)
{
	ASSERT_EQ(iommu_map(domain_, k2M, k2M + k4K, k2M, kRw), 0);
	EXPECT_EQ(takeRuns(), (Runs{{k4K, 512}}));
}

/* LINUX-MAP-1 */
TEST_F(IommuMapTest, Gigabyte)
{
	ASSERT_EQ(iommu_map(domain_, k1G - k2M, 3 * k1G - k2M, k2M + 2 * k1G + k2M + k4K, kRw), 0);
	EXPECT_EQ(takeRuns(), (Runs{{k2M, 1}, {k1G, 2}, {k2M, 1}, {k4K, 1}}));
}

/* LINUX-MAP-1 */
TEST_F(IommuMapTest, AddressZero)
{
	ASSERT_EQ(iommu_map(domain_, 0, 0, k1G, kRw), 0);
	EXPECT_EQ(takeRuns(), (Runs{{k1G, 1}}));
}

/* LINUX-MAP-2 */
TEST_F(IommuMapTest, UnalignedIsInvalid)
{
	EXPECT_EQ(iommu_map(domain_, 0x10001, 0x1000, k4K, kRw), -EINVAL);
	EXPECT_EQ(iommu_map(domain_, 0x10000, 0x1001, k4K, kRw), -EINVAL);
	EXPECT_EQ(iommu_map(domain_, 0x10000, 0x1000, k4K - 1, kRw), -EINVAL);
	EXPECT_EQ(iommu_unmap(domain_, 0x10001, k4K), 0u);
	EXPECT_TRUE(takeRuns().empty()) << "the driver is not bothered";
	EXPECT_EQ(iommu_map(domain_, 0x10000, 0x1000, 0, kRw), 0);
}

/* LINUX-MAP-3 */
TEST_F(IommuMapTest, HoleEndsAnUnmap)
{
	ASSERT_EQ(iommu_map(domain_, 0x10000, 0x1000, 2 * k4K, kRw), 0);
	EXPECT_EQ(iommu_unmap(domain_, 0x20000, k4K), 0u);
	EXPECT_EQ(iommu_unmap(domain_, 0x10000, 4 * k4K), 2 * k4K);
	EXPECT_EQ(iommu_iova_to_phys(domain_, 0x10000), 0u);
}

/* LINUX-MAP-3 */
TEST_F(IommuMapTest, UnmapOfPartOfALargePageTellsItsSize)
{
	ASSERT_EQ(iommu_map(domain_, k2M, k2M, k2M, kRw), 0);
	EXPECT_EQ(iommu_unmap(domain_, k2M, k4K), k2M);
}

/* LINUX-MAP-4 */
TEST_F(IommuMapTest, FailureUndoesWhatWasMapped)
{
	toy_.failMapAfter = 4;
	EXPECT_EQ(iommu_map(domain_, 0x10000, 0x1000, 8 * k4K, kRw), -ENOMEM);
	EXPECT_TRUE(toyDomain(domain_)->pages.empty());
	/* Fail in the second run of pages. */
	toy_.failMapAfter = 3;
	EXPECT_EQ(iommu_map(domain_, k2M - 2 * k4K, k2M - 2 * k4K, 2 * k4K + k2M, kRw), -ENOMEM);
	EXPECT_TRUE(toyDomain(domain_)->pages.empty());
	/* A collision must not remove earlier mappings. */
	ASSERT_EQ(iommu_map(domain_, 0x13000, 0x1000, k4K, kRw), 0);
	EXPECT_EQ(iommu_map(domain_, 0x10000, 0x1000, 8 * k4K, kRw), -EEXIST);
	EXPECT_EQ(toyDomain(domain_)->pages.size(), 1u);
}

/* LINUX-MAP-8 */
TEST_F(IommuMapTest, AtomicUsesAtomicAllocations)
{
	ASSERT_EQ(iommu_map_atomic(domain_, 0x10000, 0x1000, k4K, kRw), 0);
	EXPECT_EQ(toy_.lastGfp, GFP_ATOMIC);
}

/* LINUX-MAP-5 */
TEST_F(IommuMapTest, DomainsWithoutPageTables)
{
	iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	domain_->type = IOMMU_DOMAIN_IDENTITY;
	EXPECT_EQ(iommu_map(domain_, 0x10000, 0x1000, k4K, kRw), -EINVAL);
	EXPECT_EQ(iommu_unmap_fast(domain_, 0x10000, k4K, &gather), 0u);
	EXPECT_EQ(iommu_iova_to_phys(domain_, 0x1234), 0x1234u);
	domain_->type = IOMMU_DOMAIN_BLOCKED;
	EXPECT_EQ(iommu_map(domain_, 0x10000, 0x1000, k4K, kRw), -EINVAL);
	EXPECT_EQ(iommu_iova_to_phys(domain_, 0x1234), 0u);
	domain_->type = IOMMU_DOMAIN_UNMANAGED;
}

/* LINUX-MAP-6 */
TEST_F(IommuMapTest, FastUnmapLeavesTheSyncToTheCaller)
{
	iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	ASSERT_EQ(iommu_map(domain_, 0x10000, 0x1000, 4 * k4K, kRw), 0);
	EXPECT_EQ(iommu_unmap_fast(domain_, 0x10000, 4 * k4K, &gather), 4 * k4K);
	EXPECT_EQ(toy_.syncs, 0u);
	EXPECT_EQ(gather.start, 0x10000u);
	EXPECT_EQ(gather.end, 0x13fffu);
	iommu_iotlb_sync(domain_, &gather);
	EXPECT_EQ(toy_.syncs, 1u);
	EXPECT_EQ(gather.end, 0u);
	/* Even an empty unmap syncs. */
	EXPECT_EQ(iommu_unmap(domain_, 0x10000, k4K), 0u);
	EXPECT_EQ(toy_.syncs, 2u);
}

} // namespace
