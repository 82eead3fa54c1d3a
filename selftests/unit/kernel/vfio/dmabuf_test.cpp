// SPDX-License-Identifier: Apache-2.0
/* BARs as dma-bufs: one device reaches memory of another, until the owner or the kernel ends it. */
#include "fixture.h"

#include <cerrno>
#include <cstring>

namespace wd::vfiotest
{

namespace
{

using hisitest::Rig;

constexpr uint64_t kPeer = 0x40000000;
constexpr unsigned kDoorbells = VFIO_PCI_BAR1_REGION_INDEX;
/* In BAR1: the page of the doorbell words of queue 1. */
constexpr uint64_t kWords = 0x1000;
constexpr uint16_t kMemory = 2, kMaster = 4;

/** An owner that has exported a part of its function. */
class VfioDmaBuf : public VfioOwner
{
protected:
	VfioDmaBuf() : VfioOwner(ZIP_MEMORY) {}
	void TearDown() override
	{
		if (buffer_ >= 0) {
			EXPECT_EQ(caller_->close(buffer_), 0);
		}
		VfioOwner::TearDown();
	}
	int exportWords()
	{
		buffer_ = file_->dmaBuf(kDoorbells, {{kWords, kPage}});
		return buffer_ < 0 ? buffer_ : 0;
	}
	int map(uint64_t iova = kPeer, uint64_t length = kPage)
	{
		return mapBuffer(*space_, buffer_, iova, length);
	}

	int buffer_ = -1;
};

} // namespace

/* IOMMUFD-DMABUF-3 */
TEST_F(VfioDmaBuf, ADeviceReachesABar)
{
	void *words = nullptr;

	ASSERT_EQ(exportWords(), 0);
	ASSERT_EQ(start(), 0);
	EXPECT_EQ(zip_dump(&zip_, kPeer), -EIO) << "not mapped";
	ASSERT_EQ(map(), 0);
	ASSERT_EQ(file_->map(kDoorbells, kWords, kPage, &words), 0);
	/* The context of a queue is written there: not all of it is 0. */
	uint8_t context[32] = {};

	std::memcpy(words, context, sizeof(context));
	EXPECT_EQ(zip_dump(&zip_, kPeer), 0);
	EXPECT_NE(std::memcmp(words, context, sizeof(context)), 0);
	EXPECT_EQ(file_->unmap(words, kPage), 0);
	EXPECT_EQ(space_->unmap(kPeer, kPage), 0);
	EXPECT_EQ(zip_dump(&zip_, kPeer), -EIO);
}

/* IOMMUFD-PIN-5: a BAR is neither pinned nor charged. */
TEST_F(VfioDmaBuf, DoesNotCountAsLocked)
{
	ASSERT_EQ(exportWords(), 0);
	ASSERT_EQ(start(), 0);
	const uint64_t pinned = caller_->pinnedPages(), locked = caller_->lockedPages();

	caller_->setCapability(hostkernel::Capability::IpcLock, false);
	EXPECT_EQ(map(), 0);
	/* Later tests have the same caller. */
	caller_->setCapability(hostkernel::Capability::IpcLock, true);
	EXPECT_EQ(zip_dump(&zip_, kPeer), 0);
	EXPECT_EQ(caller_->pinnedPages(), pinned);
	EXPECT_EQ(caller_->lockedPages(), locked);
	EXPECT_EQ(space_->unmap(kPeer, kPage), 0);
}

/* IOMMUFD-DMABUF-3: one IOAS shares the buffer among devices. */
TEST_F(VfioDmaBuf, AnotherFunctionReachesIt)
{
	FunctionFile other(caller_);
	void *words = nullptr;
	uint32_t table = space_->ioas;

	ASSERT_EQ(give("wd_vfio", Rig::kAddress), 0);
	ASSERT_EQ(other.open(nameOf(Rig::kAddress)), 0);
	ASSERT_EQ(other.bind(space_->fd), 0);
	ASSERT_EQ(other.attach(table), 0);
	ASSERT_EQ(exportWords(), 0);
	ASSERT_EQ(map(), 0);
	ASSERT_EQ(file_->map(kDoorbells, kWords, kPage, &words), 0);
	std::memset(words, 0, 32);
	const zip_registers registers = other.registers();

	ASSERT_EQ(other.setConfig(0x04, kMemory | kMaster, 2), 2);
	ASSERT_EQ(zip_start(&zip_, &registers, arena_.memory, kArena), 0);
	ASSERT_EQ(zip_queue(&zip_, ZIP_COMPRESS), 0);
	EXPECT_EQ(zip_dump(&zip_, kPeer), 0);
	const uint8_t zeros[32] = {};

	EXPECT_NE(std::memcmp(words, zeros, sizeof(zeros)), 0);
	EXPECT_EQ(file_->unmap(words, kPage), 0);
	/* The owner of the memory switches it off, or goes: the other device loses it. */
	ASSERT_EQ(command(kMaster), 0);
	EXPECT_EQ(zip_dump(&zip_, kPeer), -EIO);
}

/* IOMMUFD-DMABUF-3 */
TEST_F(VfioDmaBuf, MemoryOffRevokes)
{
	ASSERT_EQ(exportWords(), 0);
	ASSERT_EQ(map(), 0);
	ASSERT_EQ(command(kMaster), 0);
	EXPECT_EQ(map(2 * kPeer), -ENODEV);
	const int second = file_->dmaBuf(kDoorbells, {{0, kPage}});

	ASSERT_GE(second, 0) << "exported while memory is off";
	std::swap(buffer_, const_cast<int &>(second));
	EXPECT_EQ(map(3 * kPeer), -ENODEV);
	ASSERT_EQ(command(kMaster | kMemory), 0);
	EXPECT_EQ(map(3 * kPeer), 0);
	EXPECT_EQ(caller_->close(buffer_), 0);
	buffer_ = second;
	ASSERT_EQ(start(), 0);
	EXPECT_EQ(zip_dump(&zip_, kPeer), -EIO) << "the old mapping does not come back";
	EXPECT_EQ(space_->unmap(kPeer, kPage), 0);
	EXPECT_EQ(map(), 0);
	EXPECT_EQ(zip_dump(&zip_, kPeer), 0);
}

/* IOMMUFD-DMABUF-3 */
TEST_F(VfioDmaBuf, AResetRevokes)
{
	ASSERT_EQ(exportWords(), 0);
	ASSERT_EQ(map(), 0);
	ASSERT_EQ(file_->reset(), 0);
	ASSERT_EQ(start(), 0);
	EXPECT_EQ(zip_dump(&zip_, kPeer), -EIO);
	EXPECT_EQ(map(2 * kPeer), 0);
	EXPECT_EQ(zip_dump(&zip_, 2 * kPeer), 0);
}

/* IOMMUFD-DMABUF-3: not the owner, but the administrator. */
TEST_F(VfioDmaBuf, AResetBySysfsRevokes)
{
	ASSERT_EQ(exportWords(), 0);
	ASSERT_EQ(map(), 0);
	ASSERT_EQ(Rig::reset(Rig::kSecond), 0);
	ASSERT_EQ(command(kMaster | kMemory), 0);
	ASSERT_EQ(start(), 0);
	EXPECT_EQ(zip_dump(&zip_, kPeer), -EIO);
	EXPECT_EQ(map(2 * kPeer), 0);
	EXPECT_EQ(zip_dump(&zip_, 2 * kPeer), 0);
}

/* IOMMUFD-DMABUF-3: the next owner's memory is not the buffer's. */
TEST_F(VfioDmaBuf, TheEndOfTheOwnershipRevokesForEver)
{
	ASSERT_EQ(exportWords(), 0);
	ASSERT_EQ(map(), 0);
	file_->close();
	EXPECT_EQ(map(2 * kPeer), -ENODEV);
	ASSERT_EQ(makeReady(*file_, *space_), 0);
	EXPECT_EQ(map(2 * kPeer), -ENODEV);
	ASSERT_EQ(command(kMaster), 0);
	ASSERT_EQ(command(kMaster | kMemory), 0);
	EXPECT_EQ(map(2 * kPeer), -ENODEV);
	ASSERT_EQ(start(), 0);
	EXPECT_EQ(zip_dump(&zip_, kPeer), -EIO);
}

/* IOMMUFD-DMABUF-3: the driver goes, the descriptor and the mapping stay. */
TEST_F(VfioDmaBuf, OutlivesTheDriver)
{
	ASSERT_EQ(exportWords(), 0);
	ASSERT_EQ(map(), 0);
	ASSERT_EQ(give("hisi_zip"), 0);
	EXPECT_EQ(map(2 * kPeer), -ENODEV);
	EXPECT_EQ(space_->unmap(kPeer, kPage), 0);
}

/* IOMMUFD-DMABUF-1: a buffer of several ranges cannot be mapped, as in Linux. */
TEST_F(VfioDmaBuf, OnlyOneRangeCanBeMapped)
{
	buffer_ = file_->dmaBuf(kDoorbells, {{0, kPage}, {2 * kPage, 2 * kPage}});
	ASSERT_GE(buffer_, 0);
	EXPECT_EQ(map(kPeer, 4 * kPage), -EINVAL) << "larger than the buffer";
	EXPECT_EQ(map(kPeer, 3 * kPage), -EOPNOTSUPP);
	ASSERT_EQ(command(kMaster), 0);
	EXPECT_EQ(map(kPeer, 3 * kPage), -ENODEV);
}

/* IOMMUFD-DMABUF-3 */
TEST_F(VfioDmaBuf, RefusesRanges)
{
	const uint64_t wrap = ~uint64_t{0} - kPage + 1;

	EXPECT_EQ(file_->dmaBuf(kDoorbells, {}), -EINVAL);
	EXPECT_EQ(file_->dmaBuf(kDoorbells, {{0, 0}}), -EINVAL);
	EXPECT_EQ(file_->dmaBuf(kDoorbells, {{1, kPage}}), -EINVAL);
	EXPECT_EQ(file_->dmaBuf(kDoorbells, {{0, 1}}), -EINVAL);
	EXPECT_EQ(file_->dmaBuf(kDoorbells, {{wrap, 2 * kPage}}), -EOVERFLOW);
	EXPECT_EQ(file_->dmaBuf(kDoorbells, {{kPage, wrap}}), -EOVERFLOW);
	EXPECT_EQ(file_->dmaBuf(kDoorbells, {{0, kPage}, {uint64_t{1} << 40, kPage}}), -EINVAL);
	EXPECT_EQ(file_->dmaBuf(kDoorbells, {{0, kPage}}, 1), -EINVAL);
	EXPECT_EQ(file_->dmaBuf(VFIO_PCI_BAR3_REGION_INDEX, {{0, kPage}}), -ENODEV);
	EXPECT_EQ(file_->dmaBuf(VFIO_PCI_ROM_REGION_INDEX, {{0, kPage}}), -ENODEV);
	EXPECT_EQ(file_->dmaBuf(~0u, {{0, kPage}}), -ENODEV);
}

/* IOMMUFD-DMABUF-3: nobody else may write the table of messages, so no device may. */
TEST_F(VfioDmaBuf, TheMsixTableCannotBeExported)
{
	constexpr uint8_t kMsix = 0x11;
	const unsigned capability = file_->capability(kMsix);

	ASSERT_NE(capability, 0u);
	const uint32_t table = file_->config(capability + 4);

	EXPECT_EQ(file_->dmaBuf(table & 7, {{table & ~7u, kPage}}), -EINVAL);
}

/* IOMMUFD-VFIO-7 */
TEST_F(VfioDmaBuf, FeaturesAreProbed)
{
	constexpr uint32_t kGet = VFIO_DEVICE_FEATURE_GET, kSet = VFIO_DEVICE_FEATURE_SET;
	constexpr uint32_t kProbe = VFIO_DEVICE_FEATURE_PROBE;
	constexpr uint32_t kBuf = VFIO_DEVICE_FEATURE_DMA_BUF;
	const auto ask = [&](uint32_t flags, uint32_t argsz = sizeof(vfio_device_feature)) {
		uint32_t words[2] = {argsz, flags};

		return file_->ioctl(VFIO_DEVICE_FEATURE, words);
	};

	EXPECT_EQ(file_->ioctl(VFIO_DEVICE_FEATURE, nullptr), -EFAULT);
	EXPECT_EQ(ask(kBuf | kProbe, 7), -EINVAL);
	EXPECT_EQ(ask(kBuf | kProbe | 1 << 19), -EINVAL);
	EXPECT_EQ(ask(kBuf | kGet | kSet), -EINVAL);
	EXPECT_EQ(ask(kBuf | kProbe), 0);
	EXPECT_EQ(ask(kBuf | kProbe | kGet), 0);
	EXPECT_EQ(ask(kBuf | kProbe | kGet | kSet), -EINVAL);
	EXPECT_EQ(ask(kBuf | kSet), -EINVAL);
	EXPECT_EQ(ask(kBuf), -EINVAL) << "neither GET nor SET";
	EXPECT_EQ(ask(kBuf | kGet), -EINVAL) << "no room for its structure";
	/* Migration (1, 2, 9), logging of DMA (6 to 8), what comes later. */
	for (uint32_t other : {0u, 1u, 2u, 6u, 7u, 8u, 9u, 10u, 12u, 0xffffu}) {
		for (uint32_t how : {kProbe, kGet, kSet, kProbe | kGet | kSet})
			EXPECT_EQ(ask(other | how), -ENOTTY) << other << ' ' << how;
	}
}

} // namespace wd::vfiotest
