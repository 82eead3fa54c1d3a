// SPDX-License-Identifier: Apache-2.0
/* HWPT_INVALIDATE. */
#include <cerrno>

#include "fixture.h"

namespace kernel_iommufd
{

class InvalidateTest : public NestedTest
{
protected:
	InvalidateTest()
	{
		EXPECT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xa000, nested_));
	}
	long raw(iommu_hwpt_invalidate &cmd) const
	{
		cmd.size = sizeof(cmd);
		return iommufd_->ioctl(IOMMU_HWPT_INVALIDATE, &cmd);
	}
	uint32_t nested_ = 0;
	static constexpr uint32_t kLength = sizeof(iommu_hwpt_vtd_s1_invalidate);
};

iommu_hwpt_vtd_s1_invalidate pages(uint64_t address, uint64_t count)
{
	return {address, count, 0, 0};
}

/* IOMMUFD-INV-1 */
TEST_F(InvalidateTest, ErrorsInOrderAndTheNumberComesBack)
{
	const iommu_hwpt_vtd_s1_invalidate entry = pages(0x1000, 1);
	iommu_hwpt_invalidate cmd = {};
	auto call = [&] {
		iommu_hwpt_invalidate copy = cmd;
		const long rc = raw(copy);
		EXPECT_EQ(0u, copy.entry_num) << rc;
		return rc;
	};
	cmd.hwpt_id = nested_;
	cmd.data_uptr = reinterpret_cast<uint64_t>(&entry);
	cmd.entry_len = kLength;
	cmd.entry_num = 1;
	/* An entry that cannot be read, or has a wrong length. */
	cmd.data_uptr = 8;
	EXPECT_EQ(-EFAULT, call());
	cmd.data_uptr = kMax - 4;
	EXPECT_EQ(-EFAULT, call());
	cmd.data_uptr = reinterpret_cast<uint64_t>(&entry);
	cmd.entry_len = kLength - 1;
	EXPECT_EQ(-EINVAL, call());
	cmd.entry_len = kLength;
	/* A wrong type is refused before the kernel looks at the array. */
	cmd.data_type = 1;
	cmd.data_uptr = 8;
	EXPECT_EQ(-EINVAL, call());
	cmd.data_uptr = reinterpret_cast<uint64_t>(&entry);
	/* None of these is a user-managed table. */
	for (const uint32_t id : {parent_, ioas_, device_->id()}) {
		cmd.hwpt_id = id;
		EXPECT_EQ(-EINVAL, call()) << id;
	}
	for (const uint32_t id : {0u, 77u, ~0u}) {
		cmd.hwpt_id = id;
		EXPECT_EQ(-ENOENT, call()) << id;
	}
	cmd.entry_num = (1 << 19) + 1;
	EXPECT_EQ(-EINVAL, call());
	cmd.entry_num = ~0u;
	EXPECT_EQ(-EINVAL, call());
	cmd.entry_num = 1;
	cmd.entry_len = kPage + 1;
	EXPECT_EQ(-EINVAL, call());
	cmd.entry_len = 0;
	EXPECT_EQ(-EINVAL, call());
	cmd.entry_len = kLength;
	cmd.data_uptr = 0;
	EXPECT_EQ(-EINVAL, call());
	cmd.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, call());
	EXPECT_EQ(0u, mock_counters.invalidations);
}

/* IOMMUFD-INV-2 */
TEST_F(InvalidateTest, AnEmptyArrayAsksForTheType)
{
	uint32_t number = 0;
	EXPECT_EQ(0, iommufd_->invalidate(nested_, nullptr, 0, number));
	EXPECT_EQ(0, iommufd_->invalidate(nested_, reinterpret_cast<void *>(8), ~0u, number));
	EXPECT_EQ(-EINVAL, iommufd_->invalidate(nested_, nullptr, 0, number, 1));
	EXPECT_EQ(-EINVAL, iommufd_->invalidate(parent_, nullptr, 0, number));
	EXPECT_EQ(0u, mock_counters.invalidations);
}

/* IOMMUFD-INV-2, IOMMUFD-INV-3 */
TEST_F(InvalidateTest, ABadEntryStopsBehindTheGoodOnes)
{
	std::vector<iommu_hwpt_vtd_s1_invalidate> entries(7, pages(0x1000, 1));
	entries[1] = pages(0, kMax);
	entries[1].flags = IOMMU_VTD_INV_FLAGS_LEAF;
	uint32_t number = 7;
	EXPECT_EQ(0, iommufd_->invalidate(nested_, entries.data(), kLength, number));
	EXPECT_EQ(7u, number);
	EXPECT_EQ(1u, mock_counters.invalidate_all);
	entries[4].addr = 0x1001;
	EXPECT_EQ(-EINVAL, iommufd_->invalidate(nested_, entries.data(), kLength, number));
	EXPECT_EQ(4u, number);
	number = 7;
	entries[3].flags = 2;
	EXPECT_EQ(-EOPNOTSUPP, iommufd_->invalidate(nested_, entries.data(), kLength, number));
	EXPECT_EQ(3u, number);
	number = 7;
	entries[0] = pages(0x1000, kMax);
	EXPECT_EQ(-EINVAL, iommufd_->invalidate(nested_, entries.data(), kLength, number));
	EXPECT_EQ(0u, number);
	EXPECT_EQ(14u, mock_counters.invalidations);
}

/** IOMMUFD-INV-2: an array that the kernel copies in several pieces. The last one is unreadable. */
TEST_F(InvalidateTest, LongArraysAndAnEndThatIsNotThere)
{
	constexpr uint32_t kMost = 1 << 19;
	Buffer memory(kMost * kLength + 2 * kPage);
	auto *entries = reinterpret_cast<iommu_hwpt_vtd_s1_invalidate *>(memory.data());
	for (uint32_t i = 0; i < kMost; i++)
		entries[i] = pages(uint64_t{i} << 12, 1);
	uint32_t number = kMost;
	ASSERT_EQ(0, iommufd_->invalidate(nested_, entries, kLength, number));
	EXPECT_EQ(kMost, number);
	EXPECT_EQ(kMost, mock_counters.invalidations);

	constexpr uint32_t kEntriesOfAPiece = kPage / kLength;
	ASSERT_EQ(0, mprotect(memory.data() + 2 * kPage, kPage, PROT_NONE));
	number = 3 * kEntriesOfAPiece;
	EXPECT_EQ(-EFAULT, iommufd_->invalidate(nested_, entries, kLength, number));
	EXPECT_EQ(2 * kEntriesOfAPiece, number);
	EXPECT_EQ(kMost + 2 * kEntriesOfAPiece, mock_counters.invalidations);
	ASSERT_EQ(0, mprotect(memory.data() + 2 * kPage, kPage, PROT_READ | PROT_WRITE));
}

TEST_F(InvalidateTest, AnswerThatCannotBeWritten)
{
	Buffer page(kPage);
	const iommu_hwpt_vtd_s1_invalidate entry = pages(0x1000, 1);
	auto *cmd = reinterpret_cast<iommu_hwpt_invalidate *>(page.data());
	*cmd = {};
	cmd->size = sizeof(*cmd);
	cmd->hwpt_id = nested_;
	cmd->data_uptr = reinterpret_cast<uint64_t>(&entry);
	cmd->entry_len = kLength;
	cmd->entry_num = 1;
	ASSERT_EQ(0, mprotect(page.data(), kPage, PROT_READ));
	EXPECT_EQ(-EFAULT, iommufd_->ioctl(IOMMU_HWPT_INVALIDATE, cmd));
	EXPECT_EQ(1u, mock_counters.invalidations);
	EXPECT_EQ(1u, cmd->entry_num);
}

} // namespace kernel_iommufd
