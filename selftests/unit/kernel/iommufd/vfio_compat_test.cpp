// SPDX-License-Identifier: Apache-2.0
/* Requests of VFIO containers on /dev/iommu. */
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <linux/vfio.h>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "fixture.h"

namespace kernel_iommufd
{

using wd::hostkernel::failNth;

class VfioCompatTest : public IoasTest
{
protected:
	VfioCompatTest() { setIoas(IOMMU_VFIO_IOAS_SET, ioas_); }
	int setIoas(uint16_t op, uint32_t ioas)
	{
		iommu_vfio_ioas cmd = {};

		cmd.size = sizeof(cmd);
		cmd.ioas_id = ioas;
		cmd.op = op;
		return static_cast<int>(iommufd_->ioctl(IOMMU_VFIO_IOAS, &cmd));
	}
	/** A request whose argument is a number. */
	long ask(unsigned long request, unsigned long number = 0)
	{
		return iommufd_->ioctl(request, reinterpret_cast<void *>(number));
	}
	int mapDma(uint64_t va, uint64_t size, uint64_t iova, uint32_t flags = 3)
	{
		vfio_iommu_type1_dma_map map = {};

		map.argsz = sizeof(map);
		map.flags = flags;
		map.vaddr = va;
		map.iova = iova;
		map.size = size;
		return static_cast<int>(iommufd_->ioctl(VFIO_IOMMU_MAP_DMA, &map));
	}
	/** @done: the size that the kernel writes back. */
	int unmapDma(uint64_t iova, uint64_t size, uint64_t *done = nullptr, uint32_t flags = 0)
	{
		vfio_iommu_type1_dma_unmap unmap = {};

		unmap.argsz = sizeof(unmap);
		unmap.flags = flags;
		unmap.iova = iova;
		unmap.size = size;
		const long rc = iommufd_->ioctl(VFIO_IOMMU_UNMAP_DMA, &unmap);
		if (done)
			*done = unmap.size;
		return static_cast<int>(rc);
	}
	/** GET_INFO with room for @argsz bytes, of which the rest is 0xee. */
	std::vector<uint8_t> info(uint32_t argsz, long expected = 0)
	{
		std::vector<uint8_t> bytes(argsz + 64, 0xee);

		memcpy(bytes.data(), &argsz, sizeof(argsz));
		EXPECT_EQ(expected, iommufd_->ioctl(VFIO_IOMMU_GET_INFO, bytes.data()));
		return bytes;
	}

	Buffer memory_{1024 * kPage, 2 << 20};
};

/* IOMMUFD-COMPAT-1 */
TEST_F(VfioCompatTest, Container)
{
	EXPECT_EQ(0, ask(VFIO_GET_API_VERSION));
	for (const unsigned long extension : {VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_UNMAP_ALL})
		EXPECT_EQ(1, ask(VFIO_CHECK_EXTENSION, extension)) << extension;
	for (const unsigned long extension : {0, 2, 5, 6, 7, 8, 10, 11, 1 << 20})
		EXPECT_EQ(0, ask(VFIO_CHECK_EXTENSION, extension)) << extension;
	EXPECT_EQ(1, ask(VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU)) << "without tables";
	attach();
	EXPECT_EQ(0, ask(VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU)) << "the mock does not snoop";
	for (const unsigned long type : {0, 2, 4, 8, 99})
		EXPECT_EQ(-EINVAL, ask(VFIO_SET_IOMMU, type)) << type;
	EXPECT_EQ(0, ask(VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	/* Requests of VFIO that have no answer here, and numbers that nobody has. */
	for (const unsigned nr : {0x67, 0x68, 0x6a, 0x73, 0x74, 0x75, 0x7f, 0xff, 0})
		EXPECT_EQ(-ENOTTY, ask(0x3b00 | nr)) << nr;
	EXPECT_EQ(-ENOTTY, ask(0x4b64)) << "of another type";
}

/* IOMMUFD-COMPAT-2 */
TEST_F(VfioCompatTest, WithoutAnIoas)
{
	ASSERT_EQ(0, setIoas(IOMMU_VFIO_IOAS_CLEAR, 0));
	EXPECT_EQ(0, ask(VFIO_GET_API_VERSION));
	EXPECT_EQ(1, ask(VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-ENODEV, ask(VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(-EINVAL, ask(VFIO_SET_IOMMU, 8));
	EXPECT_EQ(-ENODEV, ask(VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, mapDma(memory_.address(), kPage, 0, 4));
	EXPECT_EQ(-ENODEV, mapDma(memory_.address(), 0, 0));
	EXPECT_EQ(-EINVAL, unmapDma(0, 0, nullptr, 4));
	EXPECT_EQ(-ENODEV, unmapDma(0, 0));
	info(12, -EINVAL);
	info(16, -ENODEV);
	/* The setting ends with the IOAS. */
	ASSERT_EQ(0, setIoas(IOMMU_VFIO_IOAS_SET, ioas_));
	EXPECT_EQ(0, mapDma(memory_.address(), kPage, 0));
	ASSERT_EQ(0, iommufd_->destroy(ioas_));
	EXPECT_EQ(-ENODEV, mapDma(memory_.address(), kPage, 0));
}

/* IOMMUFD-COMPAT-3 */
TEST_F(VfioCompatTest, Map)
{
	vfio_iommu_type1_dma_map small = {};

	attach();
	small.argsz = sizeof(small) - 1;
	EXPECT_EQ(-EINVAL, iommufd_->ioctl(VFIO_IOMMU_MAP_DMA, &small));
	EXPECT_EQ(-EFAULT, ask(VFIO_IOMMU_MAP_DMA));
	for (const uint32_t flags : {4u, 8u, 1u << 31})
		EXPECT_EQ(-EINVAL, mapDma(memory_.address(), kPage, 0, flags)) << flags;
	EXPECT_EQ(-EINVAL, mapDma(memory_.address(), 0, 0));
	EXPECT_EQ(-EOVERFLOW, mapDma(kMax - 1, kPage, 0));
	EXPECT_EQ(-EOVERFLOW, mapDma(memory_.address(), 2 * kPage, kMax - 0xfff));
	EXPECT_EQ(0, mapDma(memory_.address(), kPage, 0x10000));
	EXPECT_EQ(0, mapDma(memory_.address() + kPage, kPage, 0x11000, VFIO_DMA_MAP_FLAG_READ));
	EXPECT_EQ(-EEXIST, mapDma(memory_.address(), kPage, 0x11000));
	EXPECT_EQ(memory_.address(), entryAt(0, 0x10000).phys);
	EXPECT_TRUE(entryAt(0, 0x10000).write);
	EXPECT_TRUE(entryAt(0, 0x11000).read && !entryAt(0, 0x11000).write);
	EXPECT_EQ(2u, Caller::self()->pinnedPages());
}

/* IOMMUFD-COMPAT-3: nothing that a device can use. */
TEST_F(VfioCompatTest, MapsWhatIsNeitherReadNorWritten)
{
	uint64_t done = 0;

	EXPECT_EQ(0, mapDma(memory_.address(), kPage, 0x10000, 0));
	EXPECT_EQ(0, unmapDma(0x10000, kPage, &done));
	EXPECT_EQ(kPage, done);
}

/* IOMMUFD-COMPAT-4 */
TEST_F(VfioCompatTest, Unmap)
{
	vfio_iommu_type1_dma_unmap small = {};
	uint64_t done = 0;

	attach();
	small.argsz = sizeof(small) - 1;
	EXPECT_EQ(-EINVAL, iommufd_->ioctl(VFIO_IOMMU_UNMAP_DMA, &small));
	EXPECT_EQ(-EFAULT, ask(VFIO_IOMMU_UNMAP_DMA));
	EXPECT_EQ(-EINVAL, unmapDma(0, 0, &done));
	EXPECT_EQ(-EOVERFLOW, unmapDma(2, kMax, &done));
	EXPECT_EQ(kMax, done) << "as it was";
	for (const uint32_t flags : {1u, 4u})
		EXPECT_EQ(-EINVAL, unmapDma(0, kPage, &done, flags)) << flags;
	EXPECT_EQ(-EINVAL, unmapDma(kPage, 0, &done, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(-EINVAL, unmapDma(0, kPage, &done, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(0, unmapDma(0x10000, kPage, &done)) << "of nothing";
	EXPECT_EQ(0u, done);
	EXPECT_EQ(0, unmapDma(0, 0, &done, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(0u, done);
	ASSERT_EQ(0, mapDma(memory_.address(), 4 * kPage, 0x10000));
	ASSERT_EQ(0, mapDma(memory_.address(), 2 * kPage, 0x20000));
	/* Mappings before the one that is cut are removed. */
	EXPECT_EQ(-ENOENT, unmapDma(0x10000, 0x11000, &done));
	EXPECT_EQ(4 * kPage, done);
	ASSERT_EQ(0, mapDma(memory_.address(), kPage, 0x10000));
	EXPECT_EQ(0, unmapDma(0, 0, &done, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(3 * kPage, done);
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

/* IOMMUFD-COMPAT-4: type 1 unmaps parts, in any order; type 1 v2 does not. */
TEST_F(VfioCompatTest, PartsOfMappings)
{
	constexpr uint64_t kPart = 16 * kPage;
	std::vector<unsigned> order(64);
	std::mt19937 random(5);

	attach();
	ASSERT_EQ(0, ask(VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, mapDma(memory_.address(), 64 * kPart, 0x4000000));
	EXPECT_EQ(-ENOENT, unmapDma(0x4000000, kPart));
	EXPECT_EQ(-EINVAL, ask(VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU)) << "there are large pages";
	ASSERT_EQ(0, unmapDma(0x4000000, 64 * kPart));
	ASSERT_EQ(0, ask(VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, mapDma(memory_.address(), 64 * kPart, 0x4000000));
	std::iota(order.begin(), order.end(), 0);
	std::shuffle(order.begin(), order.end(), random);
	for (unsigned i = 0; i < order.size(); i++) {
		const uint64_t iova = 0x4000000 + order[i] * kPart;
		uint64_t done = 0;

		ASSERT_TRUE(entryAt(0, iova).present);
		ASSERT_EQ(0, unmapDma(iova, kPart, &done)) << order[i];
		EXPECT_EQ(kPart, done);
		EXPECT_FALSE(entryAt(0, iova).present);
		EXPECT_FALSE(entryAt(0, iova + kPart - kPage).present);
		EXPECT_EQ((order.size() - 1 - i) * kPart / kPage, Caller::self()->pinnedPages());
	}
}

TEST_F(VfioCompatTest, WhereMappingsAreCut)
{
	uint64_t done = 0, copied = 0x8000000;

	ASSERT_EQ(0, ask(VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	/* A record that is not pinned, a copy of it, and the middle cut out of both. */
	ASSERT_EQ(0, mapDma(memory_.address(), 8 * kPage, 0x10000));
	ASSERT_EQ(0, iommufd_->copy(ioas_, ioas_, 8 * kPage, 0x10000, kReadWrite | kFixed, copied));
	EXPECT_EQ(0, unmapDma(0x12000, 2 * kPage, &done));
	EXPECT_EQ(2 * kPage, done);
	attach();
	EXPECT_EQ(8u, Caller::self()->pinnedPages()) << "the copy has them all";
	EXPECT_EQ(memory_.address() + 4 * kPage, entryAt(0, 0x14000).phys);
	EXPECT_FALSE(entryAt(0, 0x13000).present);
	EXPECT_EQ(0, unmapDma(copied + kPage, 4 * kPage, &done));
	EXPECT_EQ(4 * kPage, done);
	EXPECT_EQ(6u, Caller::self()->pinnedPages()) << "pages 2 and 3 are in none of them";
	EXPECT_EQ(memory_.address() + 5 * kPage, entryAt(0, copied + 5 * kPage).phys);
	EXPECT_TRUE(entryAt(0, copied).present);
	/* Not at a page: nothing changes. */
	EXPECT_EQ(-EINVAL, unmapDma(0x14000 + 8, kPage, &done));
	EXPECT_EQ(kPage, done);
	EXPECT_TRUE(entryAt(0, 0x14000).present && entryAt(0, 0x15000).present);
	EXPECT_EQ(0, unmapDma(0, 0x10000 + kPage, &done)) << "the first page, and nothing before";
	EXPECT_EQ(kPage, done);
	EXPECT_EQ(0, unmapDma(copied + 7 * kPage, kMax - (copied + 7 * kPage), &done))
		<< "the last page, and nothing behind";
	EXPECT_EQ(kPage, done);
	EXPECT_EQ(0, unmapDma(0, 0, &done, VFIO_DMA_UNMAP_FLAG_ALL));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

/* IOMMUFD-COMPAT-4: a failed cut changes nothing. */
TEST_F(VfioCompatTest, CutsWithoutMemory)
{
	attach();
	ASSERT_EQ(0, ask(VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, mapDma(memory_.address(), 64 * kPage, 0x10000));
	bool failed = true;

	for (uint64_t nth = 1; failed; nth++) {
		failNth(FailPoint::Allocation, nth);
		const int rc = unmapDma(0x12000, 2 * kPage);
		failed = failNth(FailPoint::Allocation, 0) >= nth;
		EXPECT_EQ(failed ? -ENOMEM : 0, rc) << nth;
		EXPECT_EQ(failed ? 64u : 62u, Caller::self()->pinnedPages());
		EXPECT_EQ(failed, entryAt(0, 0x13000).present);
	}
	EXPECT_EQ(0, unmapDma(0x10000, 64 * kPage));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

/* IOMMUFD-COMPAT-5 */
TEST_F(VfioCompatTest, Info)
{
	constexpr size_t kStruct = 24, kAvail = 16;
	struct Range {
		uint64_t start, end;
	};

	mock_config.regions[0] = {0xfee00000, 0x100000, 3};
	mock_config.nr_regions = 1;
	auto bytes = info(16);
	vfio_iommu_type1_info head = {};

	memcpy(&head, bytes.data(), 16);
	EXPECT_EQ(3u, head.flags);
	EXPECT_EQ(~uint64_t{0xfff}, head.iova_pgsizes) << "without tables";
	EXPECT_TRUE(std::all_of(bytes.begin() + 16, bytes.end(), [](auto b) { return b == 0xee; }));
	attach();
	bytes = info(24);
	memcpy(&head, bytes.data(), sizeof(head));
	const uint32_t whole = head.argsz;

	EXPECT_EQ(kStruct + kAvail + 16 + 2 * sizeof(Range), whole);
	EXPECT_EQ(0u, head.cap_offset);
	EXPECT_EQ(kPage, head.iova_pgsizes & -head.iova_pgsizes);
	for (uint32_t argsz = 24; argsz < whole; argsz++) {
		bytes = info(argsz);
		memcpy(&head, bytes.data(), sizeof(head));
		EXPECT_EQ(whole, head.argsz);
		EXPECT_EQ(0u, head.cap_offset);
		EXPECT_TRUE(std::all_of(bytes.begin() + 24, bytes.end(), [](auto b) {
			return b == 0xee;
		})) << argsz;
	}
	bytes = info(whole);
	memcpy(&head, bytes.data(), sizeof(head));
	EXPECT_EQ(kStruct, head.cap_offset);
	vfio_iommu_type1_info_dma_avail avail = {};
	vfio_iommu_type1_info_cap_iova_range ranges = {};
	Range range[2];

	memcpy(&avail, &bytes[head.cap_offset], sizeof(avail));
	EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, avail.header.id);
	EXPECT_EQ(1u, avail.header.version);
	EXPECT_EQ(~uint32_t{0}, avail.avail);
	ASSERT_EQ(kStruct + kAvail, avail.header.next);
	memcpy(&ranges, &bytes[avail.header.next], sizeof(ranges));
	EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, ranges.header.id);
	EXPECT_EQ(1u, ranges.header.version);
	EXPECT_EQ(0u, ranges.header.next);
	ASSERT_EQ(2u, ranges.nr_iovas);
	memcpy(range, &bytes[avail.header.next + sizeof(ranges)], sizeof(range));
	EXPECT_EQ(0u, range[0].start);
	EXPECT_EQ(0xfedfffffu, range[0].end);
	EXPECT_EQ(0xfef00000u, range[1].start);
	EXPECT_EQ(0xeeu, bytes[whole]);
	EXPECT_EQ(-EFAULT, ask(VFIO_IOMMU_GET_INFO));
}

/* Attack: requests of a container while the IOAS is destroyed, and named anew. */
TEST_F(VfioCompatTest, WhileTheIoasGoes)
{
	std::thread destroys([&] {
		for (unsigned i = 0; i < 300; i++) {
			const auto ioas = static_cast<uint32_t>(iommufd_->allocIoas());

			EXPECT_EQ(0, setIoas(IOMMU_VFIO_IOAS_SET, ioas));
			while (iommufd_->destroy(ioas) == -EBUSY)
				std::this_thread::yield();
		}
	});

	for (unsigned i = 0; i < 1000; i++) {
		const int rc = mapDma(memory_.address(), kPage, i * kPage);

		EXPECT_TRUE(!rc || rc == -ENODEV) << rc;
		EXPECT_TRUE(ask(VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU) != 0);
		unmapDma(0, 0, nullptr, VFIO_DMA_UNMAP_FLAG_ALL);
	}
	destroys.join();
}

/* Attack: the container gets its type, which forbids large pages, while others unmap from it. */
TEST_F(VfioCompatTest, WhileItGetsItsType)
{
	std::atomic<bool> done{false};
	std::thread unmaps([&] {
		while (!done)
			EXPECT_EQ(0, unmapDma(kPage, kPage));
	});

	for (unsigned i = 0; i < 300; i++) {
		iommu_option option = {};

		EXPECT_EQ(0, ask(VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
		option.size = sizeof(option);
		option.option_id = IOMMU_OPTION_HUGE_PAGES;
		option.op = IOMMU_OPTION_OP_SET;
		option.object_id = ioas_;
		option.val64 = 1;
		EXPECT_EQ(0, iommufd_->ioctl(IOMMU_OPTION, &option));
	}
	done = true;
	unmaps.join();
}

} // namespace kernel_iommufd
