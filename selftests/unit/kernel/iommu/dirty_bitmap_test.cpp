// SPDX-License-Identifier: Apache-2.0
/*
 * GET_DIRTY_BITMAP and SET_DIRTY_TRACKING of a program that owns a function. With few bytes for a
 * bit the kernel reads a bitmap in several windows: at 64 bytes for a bit each has 2 MiB.
 */
#include "owner.h"

#include <algorithm>
#include <cerrno>
#include <vector>

namespace wd::kerneltest
{
namespace
{

using machine::DmaResult;
using machine::ridStream;

constexpr uint64_t k2M = 1ULL << 21, kLength = 4 * k2M, kMax = ~uint64_t{0};
constexpr uint32_t kNoClear = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;

/** 8 MiB of the program are mapped in a table that tracks, in pages of 2 MiB or of 4 KiB. */
class DirtyBitmap : public FunctionOwner, public ::testing::WithParamInterface<bool>
{
protected:
	using Bits = std::vector<uint64_t>;

	void SetUp() override
	{
		FunctionOwner::SetUp();
		unit_->setCacheMode(machine::CacheMode::Maximal);
		memory_ =
			static_cast<uint8_t *>(mmap(nullptr, kLength + k2M, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		ASSERT_NE(memory_, MAP_FAILED);
		if (!large())
			setOption(IOMMU_OPTION_HUGE_PAGES, 0);
		mapMemory();
		tracking_ = allocTable(IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
		ASSERT_EQ(attachTo(tracking_), 0);
		ASSERT_EQ(setCommand(6), 2);
	}
	void TearDown() override
	{
		disown();
		munmap(memory_, kLength + k2M);
		FunctionOwner::TearDown();
	}
	static bool large() { return GetParam(); }
	static uint64_t pageSize() { return large() ? k2M : k4K; }
	void setOption(uint32_t id, uint64_t value)
	{
		iommu_option option = {};

		option.size = sizeof(option);
		option.option_id = id;
		option.op = IOMMU_OPTION_OP_SET;
		option.object_id = ioas_;
		option.val64 = value;
		ASSERT_EQ(call(iommufd_, IOMMU_OPTION, &option), 0);
	}
	void mapMemory()
	{
		const auto start = reinterpret_cast<uintptr_t>(memory_);
		iommu_ioas_map map = {};

		map.size = sizeof(map);
		map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			    IOMMU_IOAS_MAP_WRITEABLE;
		map.ioas_id = ioas_;
		map.user_va = (start + k2M - 1) & ~(k2M - 1);
		map.length = kLength;
		map.iova = kIova;
		ASSERT_EQ(call(iommufd_, IOMMU_IOAS_MAP, &map), 0);
	}
	uint32_t allocTable(uint32_t flags)
	{
		iommu_hwpt_alloc table = {};

		table.size = sizeof(table);
		table.flags = flags;
		table.dev_id = device_;
		table.pt_id = ioas_;
		EXPECT_EQ(call(iommufd_, IOMMU_HWPT_ALLOC, &table), 0);
		return table.out_hwpt_id;
	}
	void writeAt(uint64_t offset)
	{
		EXPECT_EQ(write(ridStream(kFirstRid), kIova + offset, offset), DmaResult::Ok);
	}
	long track(bool on, uint32_t table)
	{
		iommu_hwpt_set_dirty_tracking cmd = {};

		cmd.size = sizeof(cmd);
		cmd.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0;
		cmd.hwpt_id = table;
		return call(iommufd_, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
	}
	long get(uint64_t iova, uint64_t length, uint64_t unit, void *bitmap, uint32_t flags = 0)
	{
		iommu_hwpt_get_dirty_bitmap cmd = {};

		cmd.size = sizeof(cmd);
		cmd.hwpt_id = tracking_;
		cmd.flags = flags;
		cmd.iova = iova;
		cmd.length = length;
		cmd.page_size = unit;
		cmd.data = reinterpret_cast<uintptr_t>(bitmap);
		return call(iommufd_, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	}
	/** Numbers of the bits that are set for [@iova, @iova + @length). */
	Bits bits(uint64_t iova, uint64_t length, uint64_t unit, uint32_t flags = 0)
	{
		std::vector<uint8_t> bitmap((length / unit + 7) / 8);
		Bits found;

		EXPECT_EQ(get(iova, length, unit, bitmap.data(), flags), 0);
		for (uint64_t bit = 0; bit < bitmap.size() * 8; bit++)
			if (bitmap[bit / 8] >> bit % 8 & 1)
				found.push_back(bit);
		return found;
	}
	/** The bits of pages at offsets of the memory, for a bitmap that begins at @start. */
	static Bits expected(const std::vector<uint64_t> &offsets, uint64_t unit,
			     uint64_t start = 0, uint64_t end = kLength)
	{
		Bits result;

		for (uint64_t offset : offsets) {
			const uint64_t page = offset & ~(pageSize() - 1);

			for (uint64_t at = page; at < page + pageSize(); at += unit)
				if (at >= start && at < end)
					result.push_back((at - start) / unit);
		}
		result.erase(std::unique(result.begin(), result.end()), result.end());
		return result;
	}

	uint8_t *memory_ = nullptr;
	uint32_t tracking_ = 0;
};

/* IOMMUFD-DIRTY-3 */
TEST_P(DirtyBitmap, BitsOfEverySize)
{
	const std::vector<uint64_t> offsets = {0x5000, k2M + 0x1ff000, 2 * k2M};

	/* Of a unit that is larger than the pages each bit stands for several. */
	for (const uint64_t unit : {uint64_t{64}, k4K / 2, k4K, 4 * k4K}) {
		for (const uint64_t offset : offsets)
			writeAt(offset);
		EXPECT_EQ(bits(kIova, kLength, unit, kNoClear), expected(offsets, unit)) << unit;
		EXPECT_EQ(bits(kIova, kLength, unit), expected(offsets, unit)) << unit;
		EXPECT_EQ(bits(kIova, kLength, unit), Bits{}) << unit;
	}
	writeAt(0x5000);
	EXPECT_EQ(bits(kIova, kLength, k4K), expected({0x5000}, k4K)) << "written again";
}

/* The range has holes, and begins in one. */
TEST_P(DirtyBitmap, HolesAreClean)
{
	const uint64_t before = 16 * k2M;

	writeAt(k2M);
	EXPECT_EQ(bits(kIova - before, 2 * before, k2M), Bits{(before + k2M) / k2M});
	writeAt(0);
	EXPECT_EQ(bits(0, 2 * kIova, kIova), Bits{1});
}

/* A page of 2 MiB lies in several windows, which begin elsewhere. */
TEST_P(DirtyBitmap, PagesOverTheEndsOfWindows)
{
	const uint64_t start = k4K, end = 3 * k2M + k4K;
	const std::vector<uint64_t> offsets = {k2M - k4K, k2M + 5 * k4K, 2 * k2M + 0x1ff000};

	for (const uint64_t offset : offsets)
		writeAt(offset);
	EXPECT_EQ(bits(kIova + start, end - start, 64), expected(offsets, 64, start, end));
	/* A page that was asked for only in part stays dirty. */
	EXPECT_EQ(bits(kIova, kLength, 64), large() ? expected({0}, 64) : Bits{});
}

/* IOMMUFD-DIRTY-4 */
TEST_P(DirtyBitmap, BitsAreAdded)
{
	std::vector<uint8_t> bitmap(1 + kLength / k4K / 8 + 1, 0x80);

	writeAt(k2M + 9 * k4K);
	/* At an odd address. */
	ASSERT_EQ(get(kIova, kLength, k4K, bitmap.data() + 1), 0);
	for (uint64_t bit = 0; bit < kLength / k4K; bit++) {
		const bool dirty = large() ? bit / 512 == 1 : bit == 512 + 9;

		EXPECT_EQ(bitmap[1 + bit / 8] >> bit % 8 & 1, dirty || bit % 8 == 7) << bit;
	}
	EXPECT_EQ(bitmap.front(), 0x80);
	EXPECT_EQ(bitmap.back(), 0x80);
}

/* IOMMUFD-DIRTY-5: the bitmap cannot be written from its second page on. */
TEST_P(DirtyBitmap, WhatCannotBeReportedStaysDirty)
{
	const std::vector<uint64_t> offsets = {0, k2M + 0x3000, 2 * k2M, 3 * k2M + 0x1ff000};
	auto *bitmap = static_cast<uint8_t *>(
		mmap(nullptr, 2 * k4K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	ASSERT_EQ(mprotect(bitmap + k4K, k4K, PROT_NONE), 0);
	for (const uint64_t offset : offsets)
		writeAt(offset);
	EXPECT_EQ(get(kIova, kLength, 64, bitmap), -EFAULT);
	EXPECT_EQ(bitmap[0] & 1, 1);
	EXPECT_EQ(bits(kIova, kLength, 64),
		  expected({k2M + 0x3000, 2 * k2M, 3 * k2M + 0x1ff000}, 64));
	/* A large page has bits in both pages of the bitmap. */
	writeAt(k2M + 0x3000);
	EXPECT_EQ(get(kIova + k4K, kLength - k4K, 64, bitmap), -EFAULT);
	EXPECT_EQ(bits(kIova, kLength, 64), expected({k2M + 0x3000}, 64));
	munmap(bitmap, 2 * k4K);
}

/* IOMMUFD-DIRTY-5: the process is killed in the call; another one has the context, too. */
TEST_P(DirtyBitmap, WhatAKilledProcessReadsStaysDirty)
{
	const std::vector<uint64_t> offsets = {0, k2M + 0x3000};
	const auto killed = caller_, other = hostkernel::Caller::create(0);
	const int before = iommufd_, shared = caller_->dupTo(iommufd_, *other);

	for (const uint64_t offset : offsets)
		writeAt(offset);
	killed->kill();
	std::vector<uint8_t> bitmap(kLength / 64 / 8);
	EXPECT_EQ(get(kIova + k4K, kLength - k4K, 64, bitmap.data()), -EINTR);
	EXPECT_TRUE(std::all_of(bitmap.begin(), bitmap.end(), [](uint8_t byte) { return !byte; }));
	caller_ = other;
	iommufd_ = shared;
	EXPECT_EQ(bits(kIova, kLength, 64), expected(offsets, 64));
	EXPECT_EQ(other->close(shared), 0);
	caller_ = killed;
	iommufd_ = before;
}

/* IOMMUFD-DIRTY-1 */
TEST_P(DirtyBitmap, TrackingBeginsClean)
{
	const uint32_t plain = allocTable(0);

	writeAt(0x5000);
	EXPECT_EQ(track(true, tracking_), 0);
	EXPECT_EQ(bits(kIova, kLength, k4K), Bits{});
	writeAt(0x6000);
	EXPECT_EQ(track(false, tracking_), 0);
	EXPECT_EQ(track(false, tracking_), 0);
	EXPECT_EQ(bits(kIova, kLength, k4K), expected({0x6000}, k4K));
	EXPECT_EQ(track(true, plain), -EOPNOTSUPP);
	EXPECT_EQ(track(false, plain), -EOPNOTSUPP);
	EXPECT_EQ(track(true, ioas_), -ENOENT);

	/* An unknown flag changes nothing. As in Linux nobody looks at the reserved word. */
	iommu_hwpt_set_dirty_tracking cmd = {};

	writeAt(0x7000);
	cmd.size = sizeof(cmd);
	cmd.flags = 2 | IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	cmd.hwpt_id = tracking_;
	EXPECT_EQ(call(iommufd_, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), -EOPNOTSUPP);
	EXPECT_EQ(bits(kIova, kLength, k4K), expected({0x7000}, k4K));
	cmd.flags = 0;
	cmd.__reserved = 1;
	EXPECT_EQ(call(iommufd_, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), 0);
}

/* Each table tells what was written through it. */
TEST_P(DirtyBitmap, TwoTablesOfAnIoas)
{
	const uint32_t first = tracking_, second = allocTable(IOMMU_HWPT_ALLOC_DIRTY_TRACKING);

	writeAt(0x5000);
	ASSERT_EQ(attachTo(second), 0);
	writeAt(k2M);
	EXPECT_EQ(bits(kIova, kLength, k4K), expected({0x5000}, k4K));
	tracking_ = second;
	EXPECT_EQ(bits(kIova, kLength, k4K), expected({k2M}, k4K));
	tracking_ = first;
}

/* IOMMUFD-DIRTY-2: every call is wrong in several ways; the first error of the list counts. */
TEST_P(DirtyBitmap, ErrorsInOrder)
{
	const uint32_t good = tracking_;
	uint64_t word = 0;

	tracking_ = 77;
	EXPECT_EQ(get(1, 0, 3, &word, 2), -EOPNOTSUPP);
	EXPECT_EQ(get(1, 0, 3, &word), -ENOENT);
	tracking_ = ioas_;
	EXPECT_EQ(get(1, 0, 3, &word), -ENOENT);
	tracking_ = good;
	EXPECT_EQ(get(1, 0, 3, &word), -EINVAL) << "nothing";
	EXPECT_EQ(get(1, kMax, 3, &word), -EINVAL) << "up to the last address, not aligned";
	EXPECT_EQ(get(2, kMax, 3, &word), -EOVERFLOW);
	EXPECT_EQ(get(1, k4K, 64, &word), -EINVAL) << "not aligned to the pages of the table";
	EXPECT_EQ(get(k4K, k4K - 1, 1, &word), -EINVAL) << "nor its end";
	for (const uint64_t unit : {uint64_t{0}, uint64_t{3}, k4K + 1, 3 * k4K, 2 * k4K, k2M})
		EXPECT_EQ(get(k4K, k4K, unit, &word), -EINVAL) << unit;
	tracking_ = allocTable(0);
	EXPECT_EQ(get(k4K, k4K, 2 * k4K, &word), -EINVAL);
	EXPECT_EQ(get(k4K, k4K, k4K, &word), -EOPNOTSUPP) << "it does not track";
	tracking_ = good;
	EXPECT_EQ(get(k4K, k4K, k4K, nullptr), 0) << "nothing to report";
	writeAt(0);
	EXPECT_EQ(get(kIova, k2M, k4K, nullptr), -EFAULT);
	EXPECT_EQ(bits(kIova, kLength, k4K), expected({0}, k4K));

	iommu_hwpt_get_dirty_bitmap reserved = {};

	reserved.size = sizeof(reserved);
	reserved.hwpt_id = tracking_;
	reserved.__reserved = 1;
	EXPECT_EQ(call(iommufd_, IOMMU_HWPT_GET_DIRTY_BITMAP, &reserved), -EOPNOTSUPP);
}

INSTANTIATE_TEST_SUITE_P(LargePages, DirtyBitmap, ::testing::Bool());

} // namespace
} // namespace wd::kerneltest
