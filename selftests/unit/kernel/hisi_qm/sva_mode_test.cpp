// SPDX-License-Identifier: Apache-2.0
/*
 * The other modes of a device: memory that the process pins, and physical addresses. FaultyZip has
 * no page requests, so "sva" is not among its modes.
 */
#include "buffers.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <poll.h>
#include <sys/mman.h>
#include <vector>
#include <zlib.h>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "faulty_zip.h"

namespace wd::hisitest
{

namespace
{

long pin(QueueFile &queue, const void *memory, size_t length, bool undo = false)
{
	hisi_qm_pin request = {reinterpret_cast<uint64_t>(memory), length, HISI_QM_PIN_WRITE, 0};

	return queue.ioctl(undo ? HISI_QM_CMD_UNPIN : HISI_QM_CMD_PIN, &request);
}

/** PASID of the only process that has its address space on the device; 0 if there is none. */
uint32_t bondPasid()
{
	const std::string text = Rig::unitAttribute("attachments");
	const size_t at = text.find("pasid=", text.find("type=sva "));
	return at == text.npos ? 0 : static_cast<uint32_t>(std::stoul(text.substr(at + 6)));
}

using HisiMode = HisiTest;

/** Boots with the option that allows this mode: the function's own requests are not translated. */
class HisiPhysical : public HisiTest
{
protected:
	void SetUp() override
	{
		setenv("WD_PARAM_hisi_qm_unsafe_physical", "1", 1);
		HisiTest::SetUp();
	}
	void TearDown() override
	{
		HisiTest::TearDown();
		unsetenv("WD_PARAM_hisi_qm_unsafe_physical");
	}
	static int setIdentity()
	{
		std::string group;
		const std::string device = std::string("/sys/bus/pci/devices/") + Rig::kAddress;

		if (Rig::unbind() || hostkernel::sysfsResolve(device + "/iommu_group", group))
			return -ENODEV;
		const int ret = hostkernel::sysfsWrite(group + "/type", "identity");
		return ret < 0 ? ret : Rig::bind();
	}
};

} // namespace

TEST_F(HisiMode, OffersWhatTheDeviceCan)
{
	EXPECT_EQ(Rig::attribute("dma_mode"), "pinned [iommufd]");
	EXPECT_EQ(Rig::setMode("sva"), -EOPNOTSUPP);
	EXPECT_EQ(Rig::setMode("physical"), -EOPNOTSUPP);
	EXPECT_EQ(Rig::setMode("pinned\n"), 0);
	EXPECT_EQ(Rig::attribute("dma_mode"), "[pinned] iommufd");
	EXPECT_EQ(Rig::attribute("api"), "hisi_qm_v3");
}

/* Limit and charge are the same as for mapped memory. A dead process gives everything back. */
TEST_F(HisiMode, PinnedMemoryCounts)
{
	auto owner = hostkernel::Caller::create(1000), other = hostkernel::Caller::create(1001);
	const Buffers buffers;
	uint8_t *const memory = buffers.memory;

	ASSERT_EQ(Rig::setMode("pinned"), 0);
	owner->setMemlockLimit(kSize);
	{
		QueueFile queue(owner);

		ASSERT_EQ(makeReady(queue), 0);
		EXPECT_EQ(pin(queue, memory, kSize), 0);
		EXPECT_EQ(owner->pinnedPages(), 4u);
		EXPECT_EQ(owner->lockedPages(), 4u);
		EXPECT_EQ(pin(queue, memory + kSize, 1), -ENOMEM);
		EXPECT_EQ(pin(queue, memory, 1), -ENOMEM) << "twice counts twice";
		EXPECT_EQ(owner->lockedPages(), 4u);
		EXPECT_EQ(pin(queue, memory, kSize, true), 0);
		EXPECT_EQ(owner->lockedPages(), 0u);
		EXPECT_EQ(pin(queue, memory + 5, kPage), 0) << "two pages";
		EXPECT_EQ(owner->lockedPages(), 2u);

		/* Attack: the file of another process. */
		const int fd = owner->dupTo(queue.fd, *other);
		QueueFile copy(other);
		copy.fd = fd;
		EXPECT_EQ(pin(copy, memory, kPage), -EPERM);
		EXPECT_EQ(other->lockedPages(), 0u);
		EXPECT_EQ(pin(copy, memory + 5, kPage, true), 0) << "releasing is harmless";
		EXPECT_EQ(owner->lockedPages(), 0u);
		EXPECT_EQ(pin(queue, memory, kSize), 0);
	}
	EXPECT_EQ(owner->lockedPages(), 0u) << "the close";
	{
		QueueFile queue(owner);

		ASSERT_EQ(makeReady(queue), 0);
		EXPECT_EQ(pin(queue, memory, kSize), 0);
		queue.mmio = queue.dus = nullptr;
		queue.fd = -1;
	}
	owner.reset(); /* the kernel warns if a page is still charged */
}

/* The device does not stop: the driver takes the memory out of its reach and keeps the PASID. */
TEST_F(HisiMode, AQueueThatDoesNotStopLosesItsMemory)
{
	const long before = Rig::number("available_instances");
	const Buffers buffers;
	const uint64_t at = buffers.source();
	uint32_t pasid;
	{
		QueueFile queue(caller_), other(caller_);

		ASSERT_EQ(Rig::setMode("pinned"), 0);
		ASSERT_EQ(makeReady(queue), 0);
		ASSERT_EQ(makeReady(other), 0);
		ASSERT_EQ(pin(other, buffers.memory, 2 * kSize), 0);
		other.send(at, kSize, at + kSize, kSize);
		EXPECT_EQ(other.wait(), 0);
		rig_.zip().breakMailbox(kMailboxStop, FaultyZip::Fault::Status,
					static_cast<int>(queue.number));
		EXPECT_EQ(queue.put(), -EIO);
		EXPECT_EQ(queue.start(), -ENXIO);
		other.send(at, kSize, at + kSize, kSize);
		EXPECT_NE(other.wait(), 0) << "it shared the address space";
		pasid = bondPasid();
		EXPECT_EQ(other.put(), 0);
		EXPECT_EQ(other.start(), 0) << "in a new one";
		EXPECT_NE(bondPasid(), pasid);
		other.send(at, kSize, at + kSize, kSize);
		EXPECT_EQ(other.wait(), 0);
	}
	EXPECT_EQ(Rig::number("available_instances"), before - 1);
	Space space(caller_);
	QueueFile next(caller_);

	ASSERT_EQ(next.open(), 0);
	ASSERT_EQ(next.bind(space.fd), 0);
	ASSERT_EQ(space.makeHwpt(next), 0);
	EXPECT_EQ(next.attach(space.hwpt, pasid), -EBUSY) << "the device may still use it";
}

TEST_F(HisiPhysical, NeedsAnIdentityDomainToo)
{
	EXPECT_EQ(Rig::setMode("physical"), -EOPNOTSUPP) << "requests are translated";
}

TEST_F(HisiPhysical, WorksWithDmaAddresses)
{
	ASSERT_EQ(setIdentity(), 0);
	ASSERT_EQ(Rig::setMode("physical"), 0);
	EXPECT_EQ(Rig::attribute("dma_mode"), "pinned iommufd [physical]");
	EXPECT_EQ(Rig::attribute("api"), "hisi_qm_v3_noiommu");
	EXPECT_EQ(Rig::number("flags"), UACCE_DEV_NOIOMMU | UACCE_DEV_IOMMUFD);

	constexpr size_t kRegion = 5 << 20;
	QueueFile queue(caller_);
	unsigned long slice = 0, first;
	void *memory;

	ASSERT_EQ(makeReady(queue), 0);
	EXPECT_EQ(queue.ioctl(UACCE_CMD_GET_SS_DMA, &slice), -EINVAL) << "no region yet";
	ASSERT_EQ(caller_->mmap(kRegion, PROT_READ | PROT_WRITE, MAP_SHARED, queue.fd, 2 * kPage,
				&memory),
		  0);
	auto *bytes = static_cast<uint8_t *>(memory);
	const long more = queue.ioctl(UACCE_CMD_GET_SS_DMA, &slice);
	ASSERT_GE(more, 1) << "slices have at most 4 MiB";
	first = slice & ~0xffful;
	size_t total = (slice & 0xfff) << 16;
	unsigned long last = first;
	for (long i = 1; i <= more; i++) {
		slice = static_cast<unsigned long>(i);
		EXPECT_EQ(queue.ioctl(UACCE_CMD_GET_SS_DMA, &slice), more - i);
		EXPECT_GT(slice & ~0xffful, last) << "in the order of their addresses";
		last = slice & ~0xffful;
		total += (slice & 0xfff) << 16;
	}
	EXPECT_EQ(total, kRegion);
	slice = static_cast<unsigned long>(more + 1);
	EXPECT_EQ(queue.ioctl(UACCE_CMD_GET_SS_DMA, &slice), -EINVAL);

	EXPECT_EQ(bytes[0] | bytes[kRegion - 1], 0);
	std::memset(bytes, 'w', kSize);
	queue.send(first, kSize, first + kSize, kSize);
	ASSERT_EQ(queue.wait(), 0);
	uint8_t text[kSize + 1];
	z_stream stream = {};
	stream.next_in = bytes + kSize;
	stream.avail_in = kSize;
	stream.next_out = text;
	stream.avail_out = sizeof(text);
	ASSERT_EQ(inflateInit2(&stream, -15), Z_OK);
	EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
	EXPECT_EQ(stream.total_out, kSize);
	EXPECT_EQ(std::memcmp(text, bytes, kSize), 0);
	inflateEnd(&stream);
	EXPECT_EQ(caller_->munmap(memory, kRegion), 0);
}

/* Unmap the first page, and one at the end of a slice, before the others are touched. */
TEST_F(HisiPhysical, PartsOfTheRegionKeepTheirPages)
{
	constexpr size_t kRegion = 5 << 20, kSlice = 4 << 20;
	QueueFile queue(caller_);
	std::vector<uint64_t> frames;
	unsigned long slice = 0;
	void *memory;

	ASSERT_EQ(setIdentity(), 0);
	ASSERT_EQ(Rig::setMode("physical"), 0);
	ASSERT_EQ(queue.open(), 0);
	ASSERT_EQ(caller_->mmap(kRegion, PROT_READ | PROT_WRITE, MAP_SHARED, queue.fd, 2 * kPage,
				&memory),
		  0);
	auto *bytes = static_cast<uint8_t *>(memory);

	for (unsigned long i = 0, more = 1; more; i++) {
		slice = i;
		more = static_cast<unsigned long>(queue.ioctl(UACCE_CMD_GET_SS_DMA, &slice));
		for (uint64_t at = 0; at < (slice & 0xfff) << 16; at += kPage)
			frames.push_back((slice & ~0xffful) + at);
	}
	ASSERT_EQ(frames.size(), kRegion / kPage);
	ASSERT_EQ(caller_->munmap(bytes, kPage), 0);
	ASSERT_EQ(caller_->munmap(bytes + kSlice - kPage, kPage), 0);
	for (size_t page : {size_t{1}, kSlice / kPage - 2, kSlice / kPage, kRegion / kPage - 1}) {
		const uint32_t mark = 0x1234 + static_cast<uint32_t>(page);
		uint32_t seen = 0;

		std::memcpy(bytes + page * kPage, &mark, sizeof(mark));
		ASSERT_TRUE(hostkernel::physicalMemory().read(frames[page], &seen, sizeof(seen)));
		EXPECT_EQ(seen, mark) << page;
	}
	EXPECT_EQ(caller_->munmap(bytes + kPage, kSlice - 2 * kPage), 0);
	EXPECT_EQ(caller_->munmap(bytes + kSlice, kRegion - kSlice), 0);
}

/* Attack: the right to open a queue is not the right to read all memory. */
TEST_F(HisiPhysical, NeedsTheRightToTouchHardware)
{
	auto user = hostkernel::Caller::create(1000);
	QueueFile queue(user);
	void *memory;

	ASSERT_EQ(setIdentity(), 0);
	ASSERT_EQ(Rig::setMode("physical"), 0);
	ASSERT_EQ(queue.open(), 0);
	EXPECT_EQ(queue.start(), -EPERM);
	EXPECT_EQ(user->mmap(kSize, PROT_READ, MAP_SHARED, queue.fd, 2 * kPage, &memory), -EPERM);
	user->setCapability(hostkernel::Capability::SysRawio, true);
	EXPECT_EQ(user->mmap(1 << 30, PROT_READ, MAP_SHARED, queue.fd, 2 * kPage, &memory), -EINVAL)
		<< "too much";
	EXPECT_EQ(queue.start(), 0);
}

} // namespace wd::hisitest
