// SPDX-License-Identifier: Apache-2.0
/*
 * Requests of a device to an IOAS, through the model of the remapping unit. The device reaches
 * mapped memory. It does not reach memory that is not mapped, or no longer.
 */
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "machine/iommu_unit.h"
#include "mock_function.h"

namespace kernel_iommufd
{

using namespace wd::hostkernel;
using namespace wd::machine;

/** A function with PASIDs that the driver of the unit claims; pci.rst has the capability. */
class PasidFunction : public MockFunction
{
public:
	PasidFunction()
	{
		const unsigned express = addCapability(pci::kCapExpress, 0x3c);
		configSet(express + 2, 0x92, 2);
		configSet(express + 0x24, 3u << 21, 4);
		addVendorCapability(0, 0);
		const unsigned pasid = addExtendedCapability(pci::kExtCapPasid, 1, 8);
		configSet(pasid + 4, kPasidBits << 8, 2);
		configWritable(pasid + 6, 1, 2);
	}
};

class DmaTest : public ::testing::Test
{
protected:
	DmaTest() : unit_(IommuCapabilities::defaults(), physicalMemory())
	{
		mock_config = {};
		BootConfig config;
		config.pci.push_back({0, 0, 4, 0, 0, &unit_});
		config.pci.push_back({0, 0, 0, 0, 0, &function_});
		boot(config);
		agent_ = unit_.createAgent();
		iommufd_ = std::make_unique<Iommufd>();
		device_ = std::make_unique<MockDevice>(0);
		ioas_ = static_cast<uint32_t>(iommufd_->allocIoas());
		EXPECT_EQ(0, device_->bind(*iommufd_, true));
		EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, IOMMU_HWPT_ALLOC_PASID, hwpt_));
		EXPECT_EQ(0, device_->attachTo(hwpt_, kPasid));
	}
	~DmaTest() override
	{
		device_.reset();
		iommufd_.reset();
		EXPECT_TRUE(wd::hostkernel::shutdown().clean());
		agent_.reset();
	}
	StreamId stream(uint32_t pasid = kPasid)
	{
		return pasidStream(function_.routing().value_or(Rid{0xffff}), pasid);
	}
	DmaResult write(uint64_t iova, uint8_t byte, uint32_t pasid = kPasid)
	{
		const auto value = static_cast<std::byte>(byte);
		return agent_->write(stream(pasid), iova, {&value, 1});
	}
	DmaResult read(uint64_t iova, uint8_t &byte)
	{
		std::byte value{};
		const DmaResult result = agent_->read(stream(), iova, {&value, 1});
		byte = static_cast<uint8_t>(value);
		return result;
	}

	static constexpr uint32_t kPasid = 42;
	IommuUnit unit_;
	PasidFunction function_;
	std::unique_ptr<DmaAgent> agent_;
	std::unique_ptr<Iommufd> iommufd_;
	std::unique_ptr<MockDevice> device_;
	uint32_t ioas_ = 0, hwpt_ = 0;
};

TEST_F(DmaTest, MappedMemoryIsReachedAndNothingElse)
{
	Buffer memory(3 * kPage);
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x10000));
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address() + kPage, kPage, 0x20000, kRead));
	EXPECT_EQ(DmaResult::Ok, write(0x10005, 0x77));
	EXPECT_EQ(0x77, memory.data()[5]);
	memory.data()[kPage + 9] = 0x31;
	uint8_t byte = 0;
	EXPECT_EQ(DmaResult::Ok, read(0x20009, byte));
	EXPECT_EQ(0x31, byte);
	/* The attack: writing read-only memory, the neighbour page, another PASID. */
	EXPECT_EQ(DmaResult::Blocked, write(0x20000, 1));
	EXPECT_EQ(DmaResult::Blocked, write(0x11000, 1));
	EXPECT_EQ(DmaResult::Blocked, write(memory.address(), 1));
	EXPECT_EQ(DmaResult::Blocked, write(0x10000, 1, kPasid + 1));
	EXPECT_EQ(0x31, memory.data()[kPage + 9]);
}

/* IOMMUFD-UNMAP-3 */
TEST_F(DmaTest, UnmapAndDetachTakeEffectAtOnce)
{
	Buffer memory(kPage);
	for (unsigned i = 0; i < 50; i++) {
		ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x10000));
		ASSERT_EQ(DmaResult::Ok, write(0x10000, static_cast<uint8_t>(i)));
		ASSERT_EQ(0, iommufd_->unmap(ioas_, 0x10000, kPage));
		ASSERT_EQ(DmaResult::Blocked, write(0x10000, 0xff));
		ASSERT_EQ(static_cast<uint8_t>(i), memory.data()[0]);
	}
	ASSERT_EQ(0, iommufd_->mapFixed(ioas_, memory.address(), kPage, 0x10000));
	ASSERT_EQ(DmaResult::Ok, write(0x10000, 1));
	ASSERT_EQ(0, device_->detach(kPasid));
	EXPECT_EQ(DmaResult::Blocked, write(0x10000, 2));
	EXPECT_EQ(1, memory.data()[0]);
}

TEST_F(DmaTest, LargePagesReachEveryByte)
{
	Buffer memory(8 << 20, 2 << 20);
	uint64_t iova = 0;
	ASSERT_EQ(0, iommufd_->map(ioas_, memory.address() + kPage, memory.size() - 2 * kPage,
				   kReadWrite, iova));
	for (uint64_t at = 0; at < memory.size() - 2 * kPage; at += 60 * kPage + 7) {
		ASSERT_EQ(DmaResult::Ok, write(iova + at, static_cast<uint8_t>(at >> 12)));
		ASSERT_EQ(static_cast<uint8_t>(at >> 12), memory.data()[kPage + at]);
	}
	EXPECT_EQ(DmaResult::Blocked, write(iova - 1, 1));
	EXPECT_EQ(DmaResult::Blocked, write(iova + memory.size() - 2 * kPage, 1));
}

TEST_F(DmaTest, MemoryOfAnotherProcess)
{
	Buffer memory(4 * kPage);
	memset(memory.data(), 0x11, memory.size());
	int pipes[2];
	ASSERT_EQ(0, pipe(pipes));
	iommu_ioas_map map = {};
	map.size = sizeof(map);
	map.flags = kReadWrite | kFixed;
	map.ioas_id = ioas_;
	map.user_va = memory.address();
	map.length = 2 * kPage;
	map.iova = 0x10000;
	const pid_t child = fork();
	if (!child) {
		memset(memory.data(), 0x5c, 2 * kPage);
		memcpy(memory.data() + 3 * kPage, &map, sizeof(map));
		(void)!::write(pipes[1], "x", 1);
		pause();
		_exit(0);
	}
	char ready;
	ASSERT_EQ(1, ::read(pipes[0], &ready, 1));
	{
		auto remote = Caller::remote(child, 1000);
		const int fd = Caller::self()->dupTo(iommufd_->fd(), *remote);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, remote->ioctl(fd, IOMMU_IOAS_MAP, memory.address() + 3 * kPage));
		EXPECT_EQ(2u, remote->pinnedPages());
		uint8_t byte = 0;
		EXPECT_EQ(DmaResult::Ok, read(0x11003, byte));
		EXPECT_EQ(0x5c, byte);
		EXPECT_EQ(DmaResult::Ok, write(0x10003, 0x99));
		EXPECT_EQ(0x11, memory.data()[3]);
		uint8_t seen = 0;
		iovec local = {&seen, 1}, far = {memory.data() + 3, 1};
		ASSERT_EQ(1, process_vm_readv(child, &local, 1, &far, 1, 0));
		EXPECT_EQ(0x99, seen);
		/*
		 * The process dies while the device may still send requests: they reach no memory,
		 * and no crash.
		 */
		kill(child, SIGKILL);
		waitpid(child, nullptr, 0);
		EXPECT_NE(DmaResult::Ok, write(0x10003, 1));
		EXPECT_EQ(0, iommufd_->unmap(ioas_, 0x10000, 2 * kPage));
		EXPECT_EQ(0u, remote->pinnedPages());
	}
	close(pipes[0]);
	close(pipes[1]);
}

} // namespace kernel_iommufd
