// SPDX-License-Identifier: Apache-2.0
/* IOAS_COPY, and the segments of shared memory. */
#include <algorithm>
#include <cerrno>
#include <random>

#include "fixture.h"

namespace kernel_iommufd
{

class CopyTest : public IoasTest
{
protected:
	uint64_t pinned() { return Caller::self()->pinnedPages(); }
	Buffer memory_{64 * kPage};
};

/* IOMMUFD-COPY-1 */
TEST_F(CopyTest, ErrorsInOrder)
{
	iommu_ioas_copy cmd = {};
	cmd.size = sizeof(cmd);
	auto call = [&] {
		iommu_ioas_copy copy = cmd;
		return iommufd_->ioctl(IOMMU_IOAS_COPY, &copy);
	};
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), 4 * kPage, 0x10000, kRead));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 0x20000));
	cmd.flags = kReadWrite | kFixed;
	cmd.src_ioas_id = cmd.dst_ioas_id = ioas_;
	cmd.src_iova = 0x10000;
	cmd.length = kPage;
	cmd.dst_iova = 0x30000;
	EXPECT_EQ(-EPERM, call());
	cmd.dst_iova = 0x20000;
	EXPECT_EQ(-EEXIST, call());
	cmd.dst_ioas_id = 77;
	EXPECT_EQ(-ENOENT, call());
	cmd.length = 0;
	EXPECT_EQ(-EINVAL, call());
	cmd.src_iova = kMax - 1;
	cmd.length = 3;
	EXPECT_EQ(-EOVERFLOW, call());
	cmd.src_ioas_id = 77;
	EXPECT_EQ(-ENOENT, call());
	cmd.flags = kFixed;
	EXPECT_EQ(-EINVAL, call());
	cmd.dst_iova = kMax;
	EXPECT_EQ(-EOVERFLOW, call());
	cmd.flags = 8;
	EXPECT_EQ(-EOPNOTSUPP, call());
}

/* IOMMUFD-MAP-4, for a copy: it stays even if the answer does not arrive. */
TEST_F(CopyTest, UnwritableAnswerKeepsTheCopy)
{
	iommu_ioas_copy cmd = {};

	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 0x10000));
	cmd.size = sizeof(cmd);
	cmd.flags = kReadWrite | kFixed;
	cmd.src_ioas_id = cmd.dst_ioas_id = ioas_;
	cmd.src_iova = 0x10000;
	cmd.length = kPage;
	cmd.dst_iova = 0x30000;
	EXPECT_EQ(-EFAULT, iommufd_->withoutAnswer(IOMMU_IOAS_COPY, cmd));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x30000, kPage));
}

/* IOMMUFD-COPY-2 */
TEST_F(CopyTest, SourceMustBeMappedWithoutHoles)
{
	uint64_t iova = 0;
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 0x10000));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 0x11000));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), kPage, 0x13000));
	EXPECT_EQ(0, iommufd_->copy(ioas_, ioas_, 2 * kPage, 0x10000, kReadWrite, iova));
	EXPECT_EQ(-ENOENT, iommufd_->copy(ioas_, ioas_, 4 * kPage, 0x10000, kReadWrite, iova));
	EXPECT_EQ(-ENOENT, iommufd_->copy(ioas_, ioas_, 1, 0xffff, kReadWrite, iova));
	for (uint64_t start = 0x10000; start < 0x12000; start += 511)
		EXPECT_EQ(start + 2048 <= 0x12000 ? 0 : -ENOENT,
			  iommufd_->copy(ioas_, ioas_, 2048, start, kReadWrite, iova))
			<< start;
}

/* IOMMUFD-COPY-3 */
TEST_F(CopyTest, PagesArePinnedOnceAndAsLongAsSomeoneNeedsThem)
{
	const auto quiet = static_cast<uint32_t>(iommufd_->allocIoas());
	uint64_t iova = 0x100000;
	EXPECT_EQ(0, iommufd_->mapFixed(quiet, memory_.address(), 16 * kPage, 0x10000));
	attach();
	EXPECT_EQ(0u, pinned());
	/* Only the part that the page table needs is pinned. */
	EXPECT_EQ(0, iommufd_->copy(ioas_, quiet, 4 * kPage, 0x12000, kReadWrite | kFixed, iova));
	EXPECT_EQ(4u, pinned());
	EXPECT_EQ(memory_.address() + 2 * kPage + 5, entryAt(0, 0x100005).phys);
	/* A copy of pages 5 to 8. Page 5 is pinned already, 6 to 8 are new. */
	iova = 0x200000;
	EXPECT_EQ(0, iommufd_->copy(ioas_, quiet, 4 * kPage, 0x15000, kRead | kFixed, iova));
	EXPECT_EQ(7u, pinned());
	/* A copy of everything: one entry in the place of three segments. */
	iova = 0x300000;
	EXPECT_EQ(0, iommufd_->copy(ioas_, quiet, 16 * kPage, 0x10000, kRead | kFixed, iova));
	EXPECT_EQ(16u, pinned());
	for (uint64_t at = 0; at < 16 * kPage; at += kPage / 2)
		EXPECT_EQ(memory_.address() + at, entryAt(0, 0x300000 + at).phys);
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x100000, 4 * kPage));
	EXPECT_EQ(16u, pinned());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x300000, 16 * kPage));
	EXPECT_EQ(4u, pinned());
	EXPECT_EQ(memory_.address() + 5 * kPage, entryAt(0, 0x200000).phys);
	/* The copy stays after the source has gone. */
	EXPECT_EQ(0, iommufd_->destroy(quiet));
	EXPECT_EQ(4u, pinned());
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x200000, 4 * kPage));
	EXPECT_EQ(0u, pinned());
}

/* IOMMUFD-COPY-2 */
TEST_F(CopyTest, SeveralAreasBecomeAsMany)
{
	attach();
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address() + 8 * kPage, 2 * kPage, 0x10000));
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory_.address(), 2 * kPage, 0x12000));
	uint64_t iova = 0x80000;
	EXPECT_EQ(0, iommufd_->copy(ioas_, ioas_, 2 * kPage, 0x11000, kRead | kFixed, iova));
	EXPECT_EQ(memory_.address() + 9 * kPage, entryAt(0, 0x80000).phys);
	EXPECT_EQ(memory_.address(), entryAt(0, 0x81000).phys);
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x80000, kPage));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x81000, kPage));
}

/**
 * IOMMUFD-COPY-3: areas over random parts of the same memory come and go. Pinned is the union of
 * these parts.
 */
TEST_F(CopyTest, RandomOverlaps)
{
	const auto quiet = static_cast<uint32_t>(iommufd_->allocIoas());
	std::mt19937 random(7);
	struct Copy {
		uint64_t iova, first, count;
	};
	std::vector<Copy> copies;
	EXPECT_EQ(0, iommufd_->mapFixed(quiet, memory_.address(), 64 * kPage, 0));
	attach();
	for (unsigned i = 0; i < 2000; i++) {
		if (copies.size() > 12 || (!copies.empty() && random() % 3 == 0)) {
			const size_t victim = random() % copies.size();
			ASSERT_EQ(0, iommufd_->unmap(ioas_, copies[victim].iova,
						     copies[victim].count * kPage));
			copies.erase(copies.begin() + static_cast<long>(victim));
		} else {
			Copy copy = {0, random() % 64, 0};
			copy.count = 1 + random() % (64 - copy.first);
			ASSERT_EQ(0, iommufd_->copy(ioas_, quiet, copy.count * kPage,
						    copy.first * kPage, kRead, copy.iova));
			const uint64_t last = copy.count - 1;
			ASSERT_EQ(memory_.address() + copy.first * kPage,
				  entryAt(0, copy.iova).phys);
			ASSERT_EQ(memory_.address() + (copy.first + last) * kPage,
				  entryAt(0, copy.iova + last * kPage).phys);
			copies.push_back(copy);
		}
		std::vector<bool> used(64);
		for (const Copy &copy : copies)
			for (uint64_t page = copy.first; page < copy.first + copy.count; page++)
				used[page] = true;
		ASSERT_EQ(static_cast<uint64_t>(std::count(used.begin(), used.end(), true)),
			  pinned());
	}
}

} // namespace kernel_iommufd
