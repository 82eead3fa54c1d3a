// SPDX-License-Identifier: Apache-2.0
/*
 * In-kernel accesses: a driver without an IOMMU pins, reads and writes the memory of an IOAS. The
 * driver is the module of tests, whose files stand for it.
 */
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <vector>

#include "../iommufd/memory_file.h"
#include "fixture.h"

namespace kernel_selftest
{

using kernel_iommufd::MemoryFile;
using wd::hostkernel::failNth;
using wd::hostkernel::FailPoint;

/* IOMMUFD-ACCESS-1 */
TEST_F(AccessTest, PinsTheMemoryThatDevicesReach)
{
	Buffer memory(8 * kPage);
	uint32_t one = 0, other = 0;

	ASSERT_EQ(0, mapBuffer(memory));
	Access access(*iommufd_, ioas_);
	ASSERT_EQ(0, access.error());
	ASSERT_EQ(0, access.pin(kIova + kPage, 2 * kPage, one, memory.data() + kPage));
	EXPECT_EQ(2u, pinned());
	ASSERT_EQ(0, access.pin(kIova, 8 * kPage, other, memory.data(), MOCK_ACCESS_WRITE));
	EXPECT_EQ(8u, pinned()) << "a page counts once";
	MockDevice device(*iommufd_, ioas_);
	ASSERT_EQ(0, device.error);
	EXPECT_EQ(8u, pinned());
	EXPECT_EQ(0, access.unpin(other));
	EXPECT_EQ(8u, pinned()) << "the device needs them";
	EXPECT_EQ(0, iommufd_->destroy(device.id));
	EXPECT_EQ(2u, pinned());
	EXPECT_EQ(0, access.unpin(one));
	EXPECT_EQ(0u, pinned());
	EXPECT_EQ(-ENOENT, access.unpin(one));
}

/* IOMMUFD-ACCESS-1: over several areas. */
TEST_F(AccessTest, PinsAreasThatTouch)
{
	Buffer first(2 * kPage), second(3 * kPage);
	uint32_t item = 0;

	ASSERT_EQ(0, mapBuffer(first));
	ASSERT_EQ(0, mapBuffer(second, kIova + 2 * kPage));
	Access access(*iommufd_, ioas_);
	EXPECT_EQ(0, access.pin(kIova + kPage, 3 * kPage, item));
	EXPECT_EQ(3u, pinned());
	EXPECT_EQ(-EBADE, access.pin(kIova, 5 * kPage, item, first.data()));
	EXPECT_EQ(-ENOENT, access.pin(kIova, 6 * kPage, item)) << "a hole behind";
	EXPECT_EQ(3u, pinned()) << "all or nothing";
	access.close();
	EXPECT_EQ(0u, pinned());
}

/* IOMMUFD-ACCESS-1 */
TEST_F(AccessTest, RefusesToPin)
{
	Buffer memory(4 * kPage), readOnly(kPage);
	uint32_t item = 0;

	ASSERT_EQ(0, mapBuffer(memory));
	ASSERT_EQ(0, mapBuffer(readOnly, kIova + 4 * kPage, kRead));
	Access access(*iommufd_, ioas_), copies(*iommufd_, ioas_, false);
	EXPECT_EQ(-EINVAL, access.pin(kIova, 0, item));
	EXPECT_EQ(-EOVERFLOW, access.pin(kMax, kPage, item));
	EXPECT_EQ(-EINVAL, access.pin(kIova + 8, kPage, item));
	EXPECT_EQ(-EINVAL, access.pin(kIova, kPage - 8, item));
	EXPECT_EQ(-EPERM, access.pin(kIova + 4 * kPage, kPage, item, nullptr, MOCK_ACCESS_WRITE));
	EXPECT_EQ(0, access.pin(kIova + 4 * kPage, kPage, item));
	EXPECT_EQ(-EOPNOTSUPP, access.pin(kIova, kPage, item, nullptr, 1 << 5));
	EXPECT_EQ(-EOPNOTSUPP, copies.pin(kIova, kPage, item));
	EXPECT_EQ(-ENOMEM, access.pin(kIova, (16 << 20) + 1, item));
	EXPECT_EQ(1u, pinned());
	ASSERT_EQ(0, ::mprotect(memory.data() + kPage, kPage, PROT_NONE));
	EXPECT_EQ(-EFAULT, access.pin(kIova, 2 * kPage, item));
	EXPECT_EQ(1u, pinned());
}

/* IOMMUFD-ACCESS-2 */
TEST_F(AccessTest, UnmapTakesThePins)
{
	Buffer memory(4 * kPage), other(kPage);
	uint32_t one = 0, two = 0, theirs = 0, far = 0;

	ASSERT_EQ(0, mapBuffer(memory));
	ASSERT_EQ(0, mapBuffer(other, 2 * kIova));
	Access access(*iommufd_, ioas_), second(*iommufd_, ioas_);
	ASSERT_EQ(0, access.pin(kIova, kPage, one));
	ASSERT_EQ(0, access.pin(kIova + kPage, 3 * kPage, two));
	ASSERT_EQ(0, second.pin(kIova + 3 * kPage, kPage, theirs));
	ASSERT_EQ(0, access.pin(2 * kIova, kPage, far));
	EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, 4 * kPage));
	EXPECT_EQ(-ENOENT, access.unpin(one));
	EXPECT_EQ(-ENOENT, access.unpin(two));
	EXPECT_EQ(-ENOENT, second.unpin(theirs));
	EXPECT_EQ(1u, pinned());
	EXPECT_EQ(0, access.unpin(far)) << "of other memory";
}

/* IOMMUFD-COMPAT-4: a mapping with pins of a driver is removed as a whole, or not. */
TEST_F(AccessTest, PinsPreventACut)
{
	Buffer memory(4 * kPage);
	uint32_t item = 0;

	useType1();
	ASSERT_EQ(0, mapBuffer(memory));
	Access access(*iommufd_, ioas_);
	ASSERT_EQ(0, access.pin(kIova + 3 * kPage, kPage, item));
	EXPECT_EQ(-EINVAL, unmapPart(kIova, kPage));
	EXPECT_EQ(0, access.unpin(item)) << "it was not asked to give that up";
	EXPECT_EQ(0, unmapPart(kIova, kPage));
	ASSERT_EQ(0, access.pin(kIova + 3 * kPage, kPage, item));
	EXPECT_EQ(0, unmapPart(kIova, 4 * kPage)) << "all of it";
	EXPECT_EQ(-ENOENT, access.unpin(item));
}

/* IOMMUFD-ACCESS-3 */
TEST_F(AccessTest, WhoPinsWantsWholePages)
{
	Buffer memory(kPage);

	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + 512, 512, kIova + 512));
	{
		Access copies(*iommufd_, ioas_, false);
		EXPECT_EQ(0, copies.error());
		EXPECT_EQ(-EADDRINUSE, Access(*iommufd_, ioas_).error());
	}
	EXPECT_EQ(0, iommufd_->unmap(ioas_, 0, kMax));
	{
		Access access(*iommufd_, ioas_);
		ASSERT_EQ(0, access.error());
		EXPECT_EQ(-EINVAL,
			  iommufd_->mapFixed(ioas_, memory.address() + 512, 512, kIova + 512));
		EXPECT_EQ(-EBUSY, iommufd_->destroy(ioas_));
	}
	EXPECT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + 512, 512, kIova + 512));
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
	EXPECT_EQ(-ENOENT, Access(*iommufd_, ioas_).error());
}

static std::vector<uint8_t> pattern(size_t length, uint8_t first)
{
	std::vector<uint8_t> bytes(length);

	std::iota(bytes.begin(), bytes.end(), first);
	return bytes;
}

/* IOMMUFD-ACCESS-4: both ways, at any alignment. */
TEST_F(AccessTest, Copies)
{
	Buffer memory(3 * kPage), more(kPage);

	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + 100, 3 * kPage - 100, kIova));
	ASSERT_EQ(0, mapBuffer(more, kIova + 3 * kPage - 100));
	Access access(*iommufd_, ioas_, false);
	for (uint32_t slow : {0, MOCK_ACCESS_RW_SLOW_PATH}) {
		auto out = pattern(3 * kPage, static_cast<uint8_t>(slow + 1));
		std::vector<uint8_t> in(out.size());

		ASSERT_EQ(0,
			  access.copy(kIova + 7, out.data(), out.size(), slow | MOCK_ACCESS_WRITE));
		EXPECT_EQ(0, std::memcmp(memory.data() + 107, out.data(), 3 * kPage - 107));
		EXPECT_EQ(0, std::memcmp(more.data(), out.data() + 3 * kPage - 107, 107));
		ASSERT_EQ(0, access.copy(kIova + 7, in.data(), in.size(), slow));
		EXPECT_EQ(in, out);
		EXPECT_EQ(0u, pinned());
	}
}

/* IOMMUFD-ACCESS-4: memory of another process, and of a file. */
TEST_F(AccessTest, CopiesWhatIsNotItsProcess)
{
	MemoryFile file(2);
	Buffer memory(kPage);
	const auto other = limited(1000, 8);
	const int fd = Caller::self()->dupTo(iommufd_->fd(), *other);
	const int imported = Caller::self()->importFile(file.fd());
	auto out = pattern(300, 5);
	std::vector<uint8_t> in(out.size());
	iommu_ioas_map map = {};

	map.size = sizeof(map);
	map.flags = kReadWrite | kFixed;
	map.ioas_id = ioas_;
	map.user_va = memory.address();
	map.length = kPage;
	map.iova = kIova;
	ASSERT_EQ(0, other->ioctl(fd, IOMMU_IOAS_MAP, reinterpret_cast<uintptr_t>(&map)));
	ASSERT_EQ(0, iommufd_->mapFile(ioas_, imported, 0, 2 * kPage, 2 * kIova));
	Access access(*iommufd_, ioas_, false);
	for (uint64_t iova : {kIova, 2 * kIova + kPage - 100}) {
		ASSERT_EQ(0, access.copy(iova, out.data(), out.size(), MOCK_ACCESS_WRITE));
		ASSERT_EQ(0, access.copy(iova, in.data(), in.size()));
		EXPECT_EQ(in, out);
	}
	EXPECT_EQ(0, std::memcmp(memory.data(), out.data(), out.size()));
	EXPECT_EQ(0, std::memcmp(file.memory() + kPage - 100, out.data(), out.size()));
	EXPECT_EQ(0u, other->pinnedPages());
	EXPECT_EQ(0, other->close(fd));
}

/* IOMMUFD-ACCESS-4 */
TEST_F(AccessTest, RefusesToCopy)
{
	Buffer memory(kPage), readOnly(kPage);
	uint8_t data[16] = {};

	ASSERT_EQ(0, mapBuffer(memory));
	ASSERT_EQ(0, mapBuffer(readOnly, kIova + kPage, kRead));
	Access access(*iommufd_, ioas_, false);
	EXPECT_EQ(-EPERM, access.copy(kIova + kPage, data, 1, MOCK_ACCESS_WRITE));
	EXPECT_EQ(-ENOENT, access.copy(kIova + 2 * kPage - 8, data, 16));
	EXPECT_EQ(-EINVAL, access.copy(kIova, data, 0));
	EXPECT_EQ(-EOVERFLOW, access.copy(kMax, data, 2));
	EXPECT_EQ(-EOPNOTSUPP, access.copy(kIova, data, 1, 1 << 5));
	EXPECT_EQ(-EFAULT, access.copy(kIova, nullptr, 1, MOCK_ACCESS_WRITE));
	ASSERT_EQ(0, ::mprotect(memory.data(), kPage, PROT_NONE));
	EXPECT_EQ(-EFAULT, access.copy(kIova, data, 1));
	EXPECT_EQ(-EFAULT, access.copy(kIova, data, 1, MOCK_ACCESS_RW_SLOW_PATH));
}

/* IOMMUFD-ACCESS-5 */
TEST_F(AccessTest, GoesToAnotherIoas)
{
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	Buffer memory(2 * kPage), small(kPage);
	uint32_t item = 0;

	ASSERT_EQ(0, mapBuffer(memory));
	ASSERT_EQ(0, iommufd_->mapFixed(other, memory.address(), kPage, kIova));
	Access access(*iommufd_, ioas_);
	ASSERT_EQ(0, access.pin(kIova, 2 * kPage, item));
	EXPECT_EQ(0, access.replace(ioas_)) << "it is there";
	EXPECT_EQ(2u, pinned());
	EXPECT_EQ(-ENOENT, access.replace(12345));
	EXPECT_EQ(2u, pinned());
	EXPECT_EQ(0, access.replace(other));
	EXPECT_EQ(0u, pinned());
	EXPECT_EQ(-ENOENT, access.unpin(item));
	EXPECT_EQ(-ENOENT, access.pin(kIova, 2 * kPage, item)) << "one page there";
	EXPECT_EQ(0, access.pin(kIova, kPage, item));
	EXPECT_EQ(0, iommufd_->destroy(ioas_));
	EXPECT_EQ(-EBUSY, iommufd_->destroy(other));
	/* An IOAS that does not fit changes nothing. */
	const auto uneven = static_cast<uint32_t>(iommufd_->allocIoas());
	ASSERT_EQ(0, iommufd_->mapFixed(uneven, small.address() + 8, 8, 8));
	EXPECT_EQ(-EADDRINUSE, access.replace(uneven));
	EXPECT_EQ(0, access.unpin(item));
}

/* IOMMUFD-ACCESS-5: an open access keeps the context open. */
TEST_F(AccessTest, OutlivesTheFile)
{
	Buffer memory(kPage);
	uint32_t item = 0;

	ASSERT_EQ(0, mapBuffer(memory));
	Access access(*iommufd_, ioas_);
	ASSERT_EQ(0, access.pin(kIova, kPage, item));
	iommufd_->close();
	EXPECT_EQ(1u, pinned());
	access.close();
	EXPECT_EQ(0u, pinned());
}

/* IOMMUFD-PIN-1 */
TEST_F(AccessTest, CountsAgainstTheLimit)
{
	const auto caller = limited(1000, 4);
	Iommufd iommufd(caller);
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	Buffer memory(8 * kPage);
	uint32_t item = 0, same = 0;

	ASSERT_EQ(0, iommufd.mapFixed(ioas, memory.address(), 8 * kPage, kIova));
	Access access(iommufd, ioas);
	EXPECT_EQ(-ENOMEM, access.pin(kIova, 5 * kPage, item));
	EXPECT_EQ(0u, caller->lockedPages());
	EXPECT_EQ(0, access.pin(kIova, 4 * kPage, item));
	EXPECT_EQ(0, access.pin(kIova + kPage, kPage, same));
	EXPECT_EQ(4u, caller->lockedPages());
	access.close();
	EXPECT_EQ(0u, caller->lockedPages());
}

/* All or nothing, at each allocation and each pin. */
TEST_F(AccessTest, EveryFailure)
{
	Buffer first(2 * kPage), second(3 * kPage);

	ASSERT_EQ(0, mapBuffer(first));
	ASSERT_EQ(0, mapBuffer(second, kIova + 2 * kPage));
	for (FailPoint point : {FailPoint::Allocation, FailPoint::Pin}) {
		bool failed = true;

		for (uint64_t nth = 1; failed; nth++) {
			uint32_t item = 0;

			failNth(point, nth);
			Access access(*iommufd_, ioas_);
			const int rc = access.error() ?: access.pin(kIova + kPage, 3 * kPage, item);
			failed = failNth(point, 0) >= nth;
			EXPECT_EQ(failed, rc != 0) << nth;
			EXPECT_EQ(failed ? 0u : 3u, pinned()) << nth;
		}
	}
}

} // namespace kernel_selftest
