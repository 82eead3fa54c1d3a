// SPDX-License-Identifier: Apache-2.0
/* IOAS_MAP and IOAS_UNMAP: errors in the documented order, and entries of page tables. */
#include <cerrno>
#include <cstring>

#include "fixture.h"

namespace kernel_iommufd
{

class MapErrors : public IoasTest
{
protected:
	iommu_ioas_map cmd()
	{
		iommu_ioas_map map = {};
		map.size = sizeof(map);
		map.flags = kReadWrite;
		map.ioas_id = ioas_;
		map.user_va = memory_.address();
		map.length = kPage;
		return map;
	}
	long call(iommu_ioas_map map) { return iommufd_->ioctl(IOMMU_IOAS_MAP, &map); }
	Buffer memory_{4 * kPage};
};

/**
 * IOMMUFD-MAP-1, IOMMUFD-MAP-2: in each step all members of the later steps are wrong, too. The
 * kernel must report the first error.
 */
TEST_F(MapErrors, Order)
{
	iommu_ioas_map map = cmd();
	map.length = 0;
	EXPECT_EQ(-EINVAL, call(map));
	map.user_va = kMax;
	map.length = 2;
	EXPECT_EQ(-EOVERFLOW, call(map));
	map.ioas_id = device_->id();
	EXPECT_EQ(-ENOENT, call(map));
	map.flags = 0;
	EXPECT_EQ(-EINVAL, call(map));
	map.iova = kMax;
	EXPECT_EQ(-EOVERFLOW, call(map));
	map.iova = 0;
	map.length = kMax;
	EXPECT_EQ(-EOVERFLOW, call(map));
	map.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, call(map));
	map.__reserved = 0;
	map.flags = 8;
	EXPECT_EQ(-EOPNOTSUPP, call(map));
}

/* IOMMUFD-MAP-1 */
TEST_F(MapErrors, HugeLengths)
{
	iommu_ioas_map map = cmd();
	map.user_va = 0;
	map.length = kMax - 1;
	EXPECT_EQ(-EINVAL, call(map));
	map.length = kMax - kPage + 1;
	EXPECT_EQ(-EINVAL, call(map));
	map.flags |= kFixed;
	map.length = kMax - 2 * kPage + 1;
	EXPECT_EQ(0, call(map));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	map.iova = 2 * kPage + 1;
	EXPECT_EQ(-EOVERFLOW, call(map));
	/*
	 * With a page table the length must fit the aperture. If it does, there is no such memory.
	 */
	attach();
	map.iova = 0;
	EXPECT_EQ(-EINVAL, call(map));
	map.length = 1ULL << 48;
	EXPECT_EQ(-EFAULT, call(map));
	EXPECT_EQ(0, mock_entries(0, 0));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

/* IOMMUFD-MAP-3 */
TEST_F(MapErrors, FixedPlacement)
{
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), 2 * kPage, 4 * kPage));
	for (const uint64_t iova : {3 * kPage + 1, 4 * kPage, 5 * kPage, 6 * kPage - 1})
		EXPECT_EQ(-EEXIST, iommufd_->mapFixed(ioas_, memory_.address(), kPage, iova));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 3 * kPage));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 6 * kPage));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), 1, kMax - 1));
	EXPECT_EQ(-EOVERFLOW, iommufd_->mapFixed(ioas_, memory_.address(), kPage, kMax - 2));
}

/* IOMMUFD-MAP-3 */
TEST_F(MapErrors, AlignmentBelowAPageTable)
{
	attach();
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 0x800));
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(ioas_, memory_.address(), 0x800, 0));
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(ioas_, memory_.address() + 8, kPage, 0));
	uint64_t chosen = 0;
	EXPECT_EQ(-EINVAL, iommufd_->map(ioas_, memory_.address(), 0x800, kReadWrite, chosen));
	/* The kernel checks the IOVA before the offset of the source. */
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 0));
	EXPECT_EQ(-EEXIST, iommufd_->mapFixed(ioas_, memory_.address() + 8, kPage, 0));
}

/* IOMMUFD-MAP-4 */
TEST_F(MapErrors, UnwritableAnswerKeepsTheMapping)
{
	Buffer page(kPage);
	auto *map = reinterpret_cast<iommu_ioas_map *>(page.data());
	*map = cmd();
	map->flags |= kFixed;
	map->iova = 0x7000;
	ASSERT_EQ(0, mprotect(page.data(), kPage, PROT_READ));
	EXPECT_EQ(-EFAULT, iommufd_->ioctl(IOMMU_IOAS_MAP, map));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x7000, kPage));
}

/* IOMMUFD-UNMAP-3: the mapping has gone, whether the answer arrives or not. */
TEST_F(MapErrors, UnwritableAnswerOfAnUnmap)
{
	iommu_ioas_unmap unmap = {};

	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 0x7000));
	unmap.size = sizeof(unmap);
	unmap.ioas_id = ioas_;
	unmap.iova = 0x7000;
	unmap.length = kPage;
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_IOAS_UNMAP, unmap));
	EXPECT_EQ(-ENOENT, iommufd_->unmap(ioas_, 0x7000, kPage));
}

/* IOMMUFD-MAP-5 */
TEST_F(MapErrors, MemoryIsLookedAtOnlyWhenAPageTableNeedsIt)
{
	uint64_t iova = 0x10000;
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, 0x1000, kPage, iova));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
	/* The table cannot be filled: nothing is attached, nothing pinned. */
	uint32_t pt = ioas_;
	EXPECT_EQ(-EFAULT, device_->attach(pt));
	EXPECT_EQ(0u, mock_counters.domains);
	EXPECT_EQ(0, mock_rid_type(0));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, iova, kPage));
	attach();
	EXPECT_EQ(-EFAULT, iommufd_->mapFixed(ioas_, 0x1000, kPage, iova));
	/* Only half of the memory exists. */
	Buffer two(2 * kPage);
	ASSERT_EQ(0, mprotect(two.data() + kPage, kPage, PROT_NONE));
	EXPECT_EQ(-EFAULT, iommufd_->mapFixed(ioas_, two.address(), 2 * kPage, iova));
	ASSERT_EQ(0, mprotect(two.data(), 2 * kPage, PROT_READ));
	EXPECT_EQ(-EFAULT, iommufd_->mapFixed(ioas_, two.address(), kPage, iova));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, two.address(), kPage, iova, kRead));
	EXPECT_EQ(1u, Caller::self()->pinnedPages());
}

/* IOMMUFD-MAP-6 */
TEST_F(IoasTest, PageTableHasWhatWasMapped)
{
	Buffer memory(8 * kPage);
	memset(memory.data(), 1, memory.size());
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), 2 * kPage, 0x10000));
	attach();
	EXPECT_EQ(0,
		  iommufd_->mapFixed(ioas_, memory.address() + 2 * kPage, kPage, 0x20000, kRead));
	EXPECT_EQ(0,
		  iommufd_->mapFixed(ioas_, memory.address() + 3 * kPage, kPage, 0x30000, kWrite));
	for (uint64_t offset = 0; offset < 2 * kPage; offset += 0x123) {
		const Entry entry = entryAt(0, 0x10000 + offset);
		EXPECT_TRUE(entry.present && entry.read && entry.write);
		EXPECT_EQ(memory.address() + offset, entry.phys);
	}
	EXPECT_TRUE(entryAt(0, 0x20000).read && !entryAt(0, 0x20000).write);
	EXPECT_TRUE(entryAt(0, 0x30000).write && !entryAt(0, 0x30000).read);
	EXPECT_FALSE(entryAt(0, 0x12000).present);
	EXPECT_EQ(4u, Caller::self()->pinnedPages());

	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x10000, 2 * kPage));
	EXPECT_FALSE(entryAt(0, 0x10000).present);
	EXPECT_EQ(2u, Caller::self()->pinnedPages());
	EXPECT_EQ(0, device_->detach());
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

/* IOMMUFD-MAP-7 */
TEST_F(IoasTest, ContiguousMemoryUsesLargePages)
{
	Buffer memory(6 << 20, 2 << 20);
	memset(memory.data(), 1, memory.size());
	attach();
	uint64_t iova = 0;
	EXPECT_EQ(0, iommufd_->map(ioas_, memory.address(), memory.size(), kReadWrite, iova));
	EXPECT_EQ(3, mock_entries(0, 0));
	EXPECT_EQ(3u, mock_counters.large_pages);
	EXPECT_EQ(1u, mock_counters.map_calls);
	EXPECT_EQ(memory.address() + (5 << 20) + 7, entryAt(0, iova + (5 << 20) + 7).phys);
	EXPECT_EQ(0, iommufd_->unmap(ioas_, iova, memory.size()));
	EXPECT_EQ(0, mock_entries(0, 0));
	EXPECT_EQ(1u, mock_counters.syncs);

	/* The option turns it off: every page is an entry of its own. */
	uint64_t off = 0;
	EXPECT_EQ(0, iommufd_->option(IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas_, off));
	EXPECT_EQ(0, iommufd_->map(ioas_, memory.address(), memory.size(), kReadWrite, iova));
	EXPECT_EQ(3 * 512, mock_entries(0, 0));
	EXPECT_EQ(3u, mock_counters.large_pages);
}

/* IOMMUFD-UNMAP-1 */
TEST_F(IoasTest, UnmapErrors)
{
	Buffer memory(16 * kPage);
	uint64_t done = 0;
	EXPECT_EQ(-ENOENT, iommufd_->unmap(77, 0, kMax));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax, &done));
	EXPECT_EQ(0u, done);
	EXPECT_EQ(-EOVERFLOW, iommufd_->unmap(ioas_, kMax, 1));
	EXPECT_EQ(-EOVERFLOW, iommufd_->unmap(ioas_, 1, kMax));
	EXPECT_EQ(-EINVAL, iommufd_->unmap(ioas_, 1, 0));
	EXPECT_EQ(-EOVERFLOW, iommufd_->unmap(ioas_, kMax - 1, 3));
	EXPECT_EQ(-ENOENT, iommufd_->unmap(ioas_, 0, kPage));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), 10 * kPage, 0x10000));
	EXPECT_EQ(-ENOENT, iommufd_->unmap(ioas_, 0x10000, kPage));
	EXPECT_EQ(-ENOENT, iommufd_->unmap(ioas_, 0x11000, 20 * kPage));
	EXPECT_EQ(-ENOENT, iommufd_->unmap(ioas_, 0, 0x10001));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, 0x100000, &done));
	EXPECT_EQ(10 * kPage, done);
	/* Up to the last address of all. */
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), 2, kMax - 1));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kMax - 1, 2, &done));
	EXPECT_EQ(2u, done);
}

/* IOMMUFD-UNMAP-2 */
TEST_F(IoasTest, UnmapOfSeveralAreasWithHoles)
{
	Buffer memory(16 * kPage);
	attach();
	for (unsigned i = 0; i < 4; i++)
		EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), 2 * kPage,
						0x10000 + i * 4 * kPage));
	uint64_t done = 0;
	/* The range ends inside the last area: those before it are unmapped, as in Linux. */
	EXPECT_EQ(-ENOENT, iommufd_->unmap(ioas_, 0x10000, 13 * kPage, &done));
	EXPECT_EQ(13 * kPage, done);
	EXPECT_EQ(2, mock_entries(0, 0));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x1000, 0x100000, &done));
	EXPECT_EQ(2 * kPage, done);
	EXPECT_EQ(0, mock_entries(0, 0));
}

} // namespace kernel_iommufd
