// SPDX-License-Identifier: Apache-2.0
/* Where mappings may lie: ranges, allow list, reservations, placement. */
#include <bit>
#include <cerrno>
#include <linux/types.h>
#include <map>
#include <random>

#include "fixture.h"

namespace kernel_iommufd
{

/** The placement algorithm (IOMMUFD-IOVA-5), written over a plain list of taken intervals. */
class ReferencePlacement
{
public:
	void take(uint64_t start, uint64_t last) { taken_[start] = std::max(taken_[start], last); }
	void release(uint64_t start) { taken_.erase(start); }
	int place(uint64_t addr, uint64_t length, uint64_t alignment,
		  const std::vector<iommu_iova_range> &allowed, uint64_t &iova) const
	{
		if (length >= kMax / 2)
			return -EOVERFLOW;
		uint64_t align = std::bit_ceil(length);
		if (addr)
			align = std::min(align, addr & -addr);
		align = std::min<uint64_t>(align, 2 << 20);
		if (align < alignment)
			return -EINVAL;
		std::vector<iommu_iova_range> windows = allowed;
		if (windows.empty())
			windows.push_back({kPage, kMax - kPage});
		for (iommu_iova_range window : windows) {
			window.start = std::max<uint64_t>(window.start, kPage);
			window.last = std::min<uint64_t>(window.last, kMax - kPage);
			if (placeInWindow(window, align, addr % kPage, length, iova))
				return 0;
		}
		return -ENOSPC;
	}

private:
	bool placeInWindow(const iommu_iova_range &window, uint64_t align, uint64_t offset,
			   uint64_t length, uint64_t &iova) const
	{
		uint64_t from = window.start;
		auto fits = [&](uint64_t last) {
			iova = ((from + align - 1) & ~(align - 1)) | offset;
			return iova >= from && iova < last && last - iova >= length - 1;
		};
		for (const auto &[start, last] : taken_) {
			if (last < from)
				continue;
			if (start > window.last)
				break;
			if (start > from && fits(start - 1))
				return true;
			if (last >= window.last)
				return false;
			from = last + 1;
		}
		return from <= window.last && fits(window.last);
	}
	std::map<uint64_t, uint64_t> taken_;
};

/* IOMMUFD-IOVA-1 */
TEST_F(IoasTest, RangesOfAFreshIoas)
{
	std::vector<iommu_iova_range> ranges(4);
	uint64_t alignment = 0;
	ASSERT_EQ(0, iommufd_->ranges(ioas_, ranges, alignment));
	ASSERT_EQ(1u, ranges.size());
	EXPECT_EQ(0u, ranges[0].start);
	EXPECT_EQ(kMax, ranges[0].last);
	EXPECT_EQ(1u, alignment);
}

/* IOMMUFD-IOVA-1, IOMMUFD-IOVA-2 */
TEST_F(IoasTest, RangesFollowApertureAndReservedRegions)
{
	mock_config.regions[0] = {0xfee00000, 0x100000, 3};
	mock_config.regions[1] = {0x1000, 0x1000, 1}; /* relaxable: ignored */
	mock_config.nr_regions = 2;
	mock_config.aperture_start = 0x100000;
	attach();
	std::vector<iommu_iova_range> ranges(4);
	uint64_t alignment = 0;
	ASSERT_EQ(0, iommufd_->ranges(ioas_, ranges, alignment));
	ASSERT_EQ(2u, ranges.size());
	EXPECT_EQ(0x100000u, ranges[0].start);
	EXPECT_EQ(0xfedfffffu, ranges[0].last);
	EXPECT_EQ(0xfef00000u, ranges[1].start);
	EXPECT_EQ((1ULL << 48) - 1, ranges[1].last);
	EXPECT_EQ(kPage, alignment);

	/* The kernel fills a short array and returns the true count. */
	iommu_iova_range one[2] = {{7, 7}, {7, 7}};
	iommu_ioas_iova_ranges cmd = {};
	cmd.size = sizeof(cmd);
	cmd.ioas_id = ioas_;
	cmd.num_iovas = 1;
	cmd.allowed_iovas = reinterpret_cast<uint64_t>(one);
	EXPECT_EQ(-EMSGSIZE, iommufd_->ioctl(IOMMU_IOAS_IOVA_RANGES, &cmd));
	EXPECT_EQ(2u, cmd.num_iovas);
	EXPECT_EQ(kPage, cmd.out_iova_alignment);
	EXPECT_EQ(0xfedfffffu, one[0].last);
	EXPECT_EQ(7u, one[1].start);
	cmd.num_iovas = 0;
	cmd.allowed_iovas = 0;
	EXPECT_EQ(-EMSGSIZE, iommufd_->ioctl(IOMMU_IOAS_IOVA_RANGES, &cmd));
	EXPECT_EQ(2u, cmd.num_iovas);
	cmd.allowed_iovas = 8;
	EXPECT_EQ(-EFAULT, iommufd_->ioctl(IOMMU_IOAS_IOVA_RANGES, &cmd));
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->ioctl(IOMMU_IOAS_IOVA_RANGES, &cmd));
	cmd.__reserved = 0;
	cmd.allowed_iovas = reinterpret_cast<uint64_t>(one);
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_IOAS_IOVA_RANGES, cmd));
	cmd.ioas_id = 77;
	EXPECT_EQ(-ENOENT, iommufd_->ioctl(IOMMU_IOAS_IOVA_RANGES, &cmd));

	EXPECT_EQ(0, device_->detach());
	ranges.resize(4);
	EXPECT_EQ(0, iommufd_->ranges(ioas_, ranges, alignment));
	EXPECT_EQ(1u, ranges.size());
	EXPECT_EQ(1u, alignment);
}

/* IOMMUFD-IOVA-3 */
TEST_F(IoasTest, AllowListErrors)
{
	EXPECT_EQ(-ENOENT, iommufd_->allow(77, {}));
	EXPECT_EQ(-EINVAL, iommufd_->allow(ioas_, {{0x1000, 0x1000}}));
	EXPECT_EQ(-EINVAL, iommufd_->allow(ioas_, {{0x2000, 0x1000}}));
	EXPECT_EQ(-EINVAL, iommufd_->allow(ioas_, {{0x1000, 0x2fff}, {0x2fff, 0x4000}}));
	iommu_ioas_allow_iovas cmd = {};
	cmd.size = sizeof(cmd);
	cmd.ioas_id = ioas_;
	/* The attack: claim 2^32 - 1 entries at an address without memory. */
	cmd.num_iovas = 0xffffffff;
	cmd.allowed_iovas = 0x1000;
	EXPECT_EQ(-EFAULT, iommufd_->ioctl(IOMMU_IOAS_ALLOW_IOVAS, &cmd));
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->ioctl(IOMMU_IOAS_ALLOW_IOVAS, &cmd));
}

/* IOMMUFD-IOVA-3, IOMMUFD-IOVA-4 */
TEST_F(IoasTest, AllowListAndReservationsExcludeEachOther)
{
	mock_config.regions[0] = {0xfee00000, 0x100000, 3};
	mock_config.nr_regions = 1;
	EXPECT_EQ(0, iommufd_->allow(ioas_, {{0xfef00000, 0xfeffffff}, {0x1000, 0xfee00000}}));
	uint32_t pt = ioas_;
	EXPECT_EQ(-EADDRINUSE, device_->attach(pt));
	EXPECT_EQ(0, iommufd_->allow(ioas_, {{0xfef00000, 0xfeffffff}}));
	EXPECT_EQ(0, device_->attach(pt));
	EXPECT_EQ(-EADDRINUSE, iommufd_->allow(ioas_, {{0x1000, 0xfee00000}}));
	/* The refused list changed nothing: mappings are still placed inside the old one. */
	Buffer memory(kPage);
	uint64_t iova = 0;
	EXPECT_EQ(0, iommufd_->map(ioas_, memory.address(), kPage, kReadWrite, iova));
	EXPECT_EQ(0xfef00000u, iova);
	EXPECT_EQ(0, iommufd_->allow(ioas_, {}));
	EXPECT_EQ(0, iommufd_->map(ioas_, memory.address(), kPage, kReadWrite, iova));
	EXPECT_EQ(0x1000u, iova);
	/* A fixed IOVA ignores the list. */
	EXPECT_EQ(0, iommufd_->allow(ioas_, {{0x100000, 0x1fffff}}));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x5000));
}

/* IOMMUFD-IOVA-5: entries without a gap between them are one window, in any order. */
TEST_F(IoasTest, AdjacentAllowedRangesAreOneWindow)
{
	Buffer memory(4 * kPage);
	uint64_t iova = 0;
	EXPECT_EQ(0, iommufd_->allow(ioas_, {{0x13000, 0x13fff},
					     {0x10000, 0x10fff},
					     {0x11000, 0x12fff},
					     {0x20000, 0x20fff}}));
	EXPECT_EQ(0, iommufd_->map(ioas_, memory.address() + 0x1000, 2 * kPage, kRead, iova));
	EXPECT_EQ(0x10000u, iova);
	EXPECT_EQ(0, iommufd_->map(ioas_, memory.address() + 0x1000, 2 * kPage, kRead, iova));
	EXPECT_EQ(0x12000u, iova);
	EXPECT_EQ(-ENOSPC, iommufd_->map(ioas_, memory.address(), 2 * kPage, kRead, iova));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	EXPECT_EQ(0, iommufd_->map(ioas_, memory.address() + 0x1000, 3 * kPage, kRead, iova));
	EXPECT_EQ(0x10000u, iova);
	/* A gap of one byte keeps them apart. */
	EXPECT_EQ(0, iommufd_->allow(ioas_, {{0x30000, 0x30ffe}, {0x31000, 0x32ffe}}));
	EXPECT_EQ(-ENOSPC, iommufd_->map(ioas_, memory.address(), 2 * kPage, kRead, iova));
}

/* IOMMUFD-IOVA-4, IOMMUFD-MAP-3 */
TEST_F(IoasTest, ReservationsDoNotLandOnMappings)
{
	Buffer memory(kPage);
	mock_config.regions[0] = {0xfee00000, 0x100000, 3};
	mock_config.nr_regions = 1;
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0xfeeff000));
	uint32_t pt = ioas_;
	EXPECT_EQ(-EADDRINUSE, device_->attach(pt));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0xfeeff000, kPage));
	/* Outside the aperture. */
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 1ULL << 48));
	EXPECT_EQ(-EADDRINUSE, device_->attach(pt));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	EXPECT_EQ(0, device_->attach(pt));
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0xfee00000));
	EXPECT_EQ(-EINVAL, iommufd_->mapFixed(ioas_, memory.address(), kPage, 1ULL << 48));
}

/* IOMMUFD-IOVA-5 */
TEST_F(IoasTest, PlacementSkipsZeroAndTheLastPage)
{
	uint64_t iova = 0;
	EXPECT_EQ(0, iommufd_->map(ioas_, 0, 1, kRead, iova));
	EXPECT_EQ(kPage, iova);
	EXPECT_EQ(0, iommufd_->allow(ioas_, {{0, kPage - 1}}));
	EXPECT_EQ(-ENOSPC, iommufd_->map(ioas_, 0, 1, kRead, iova));
	EXPECT_EQ(0, iommufd_->allow(ioas_, {{kMax - kPage + 1, kMax}}));
	EXPECT_EQ(-ENOSPC, iommufd_->map(ioas_, 0, 1, kRead, iova));
	EXPECT_EQ(-EOVERFLOW, iommufd_->map(ioas_, 0, kMax / 2, kRead, iova));
}

/** IOMMUFD-IOVA-5: random mappings and removals: every placement agrees with the reference. */
TEST_F(IoasTest, PlacementAgreesWithTheAlgorithm)
{
	std::mt19937_64 random(20261121);
	ReferencePlacement reference;
	std::vector<iommu_iova_range> allowed;
	std::map<uint64_t, uint64_t> live;

	for (unsigned i = 0; i < 4000; i++) {
		if (i == 2500) {
			allowed = {{0x1234, 0x15678}, {0x400000, 0x7fffff}, {0x900001, 0x900fff}};
			ASSERT_EQ(0, iommufd_->allow(ioas_, allowed));
		}
		if (!live.empty() && random() % 5 < 2) {
			auto victim = std::next(live.begin(), random() % live.size());
			uint64_t done = 0;
			ASSERT_EQ(0, iommufd_->unmap(ioas_, victim->first, victim->second, &done));
			ASSERT_EQ(victim->second, done);
			reference.release(victim->first);
			live.erase(victim);
			continue;
		}
		const uint64_t length = 1 + random() % (random() % 8 ? 3 * kPage : 512 * kPage);
		const uint64_t addr = random() % 4 ? (random() & 0xffffff) << (random() % 14) : 0;
		uint64_t expected = 0, iova = 0;
		const int rc = reference.place(addr, length, 1, allowed, expected);
		ASSERT_EQ(rc, iommufd_->map(ioas_, addr, length, kRead, iova))
			<< std::hex << addr << "+" << length;
		if (rc)
			continue;
		ASSERT_EQ(expected, iova) << i << std::hex << ": " << addr << "+" << length;
		reference.take(iova, iova + length - 1);
		live[iova] = length;
	}
	EXPECT_GT(live.size(), 100u);
}

/** IOMMUFD-MAP-1, IOMMUFD-MAP-3: with a page table, lengths must be multiples of its page size. */
TEST_F(IoasTest, AutomaticLengthsBelowAPageTable)
{
	mock_config.pgsizes = 2048 | 0x1000 | 0x200000;
	attach();
	Buffer memory(4 * kPage, 2 << 20);
	unsigned made = 0;
	for (uint64_t around = 128; around <= 2 * kPage; around += 128)
		for (const uint64_t length : {around - 1, around, around + 1}) {
			uint64_t iova = 0;
			const int rc = iommufd_->map(ioas_, memory.address(), length, kRead, iova);
			EXPECT_EQ(length % 2048 ? -EINVAL : 0, rc) << length;
			made += !rc;
		}
	EXPECT_EQ(2 * kPage / 2048, made);
	uint64_t iova = 0;
	EXPECT_EQ(0, iommufd_->map(ioas_, memory.address() + 2048, 2048, kRead, iova));
	EXPECT_EQ(memory.address() + 2048, entryAt(0, iova).phys);
	EXPECT_EQ(-EINVAL, iommufd_->map(ioas_, memory.address() + 1024, 2048, kRead, iova));
}

/* IOMMUFD-IOVA-5 */
TEST_F(IoasTest, LargeMappingsGetLargeAlignment)
{
	uint64_t iova = 0;
	EXPECT_EQ(0, iommufd_->map(ioas_, 0x40000000, 3 << 20, kRead, iova));
	EXPECT_EQ(0x200000u, iova);
	EXPECT_EQ(0, iommufd_->map(ioas_, 0x40000000, 1 << 30, kRead, iova));
	EXPECT_EQ(0x600000u, iova);
	EXPECT_EQ(0, iommufd_->map(ioas_, 0x40001000, 1 << 20, kRead, iova));
	EXPECT_EQ(0x1000u, iova);
}

} // namespace kernel_iommufd
