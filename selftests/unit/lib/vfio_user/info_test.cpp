// SPDX-License-Identifier: Apache-2.0
/* The client asks for information about the function. */
#include <sys/stat.h>

#include "client.h"

namespace wd::vfio_user::test
{

namespace
{

Answer regionInfo(Rig &rig, uint32_t index, uint32_t argsz = 32)
{
	return rig.client->call(Command::GetRegionInfo, bytesOf(RegionInfo{argsz, 0, index, 0}));
}

Answer irqInfo(Rig &rig, uint32_t index, uint32_t argsz = 16)
{
	return rig.client->call(Command::GetIrqInfo, bytesOf(IrqInfo{argsz, 0, index, 0}));
}

bool sameFile(int a, int b)
{
	struct stat one = {}, two = {};

	return !fstat(a, &one) && !fstat(b, &two) && one.st_dev == two.st_dev &&
	       one.st_ino == two.st_ino;
}

} // namespace

/* VFIOUSER-INFO-1 */
TEST(Info, Device)
{
	Rig rig;
	const Answer answer = rig.client->call(Command::GetInfo, bytesOf(DeviceInfo{16, 0, 0, 0}));
	const auto info = answer.as<DeviceInfo>();

	EXPECT_EQ(answer.body.size(), sizeof(info));
	EXPECT_EQ(info.argsz, 16u);
	EXPECT_EQ(info.flags, kDeviceReset | kDevicePci);
	EXPECT_EQ(info.regions, 9u);
	EXPECT_EQ(info.interrupts, 5u);
}

/* VFIOUSER-INFO-6, VFIOUSER-MSG-6: the attack: make the server read or write beyond a structure. */
TEST(Info, WrongSizesAreErrors)
{
	Rig rig;
	const auto error = [&](Command command, size_t body, uint32_t argsz) {
		Bytes bytes(body);

		if (body >= sizeof(argsz))
			std::memcpy(bytes.data(), &argsz, sizeof(argsz));
		return rig.client->call(command, bytes).error();
	};
	const struct {
		Command command;
		uint32_t size;
	} commands[] = {
		{Command::GetInfo, 16}, {Command::GetRegionInfo, 32}, {Command::GetIrqInfo, 16}};

	for (const auto &[command, size] : commands) {
		EXPECT_EQ(error(command, size, size), 0u);
		EXPECT_EQ(error(command, size, size - 1), uint32_t{EINVAL});
		EXPECT_EQ(error(command, size, 0), uint32_t{EINVAL});
		EXPECT_EQ(error(command, size + 1, size), uint32_t{EINVAL});
		EXPECT_EQ(error(command, size / 2, size), uint32_t{EINVAL});
		EXPECT_EQ(error(command, 0, 0), uint32_t{EINVAL});
	}
}

/* VFIOUSER-INFO-2 */
TEST(Info, TrappedRegions)
{
	Rig rig;
	const uint64_t sizes[] = {4096, kRegisterSize, 0, 0, 0, 0, kRomSize, 4096, 0};
	const uint32_t both = kRegionRead | kRegionWrite;

	/* 3 and 5 are the upper halves of BARs of 64 bits; 6 is the ROM, 8 VGA. */
	for (const uint32_t index : {0u, 1u, 3u, 5u, 6u, 7u, 8u}) {
		const Answer answer = regionInfo(rig, index);
		const auto info = answer.as<RegionInfo>();

		EXPECT_EQ(answer.body.size(), sizeof(info));
		EXPECT_EQ(info.argsz, 32u);
		EXPECT_EQ(info.index, index);
		EXPECT_EQ(info.size, sizes[index]);
		EXPECT_EQ(info.flags, index == kRegionRom ? kRegionRead : sizes[index] ? both : 0);
		EXPECT_EQ(info.capabilityOffset, 0u);
		EXPECT_TRUE(answer.fds.empty());
	}
}

/* VFIOUSER-INFO-3 */
TEST(Info, WholeSharedBar)
{
	Rig rig;
	const Answer answer = regionInfo(rig, kWindowBar);
	const auto info = answer.as<RegionInfo>();

	EXPECT_EQ(info.argsz, 32u);
	EXPECT_EQ(info.size, kWindowSize);
	EXPECT_EQ(info.flags, kRegionRead | kRegionWrite | kRegionMmap);
	EXPECT_EQ(info.offset, 0u);
	ASSERT_EQ(answer.fds.size(), 1u);
	EXPECT_TRUE(sameFile(answer.fds[0].get(), rig.function.windowFd()));
}

/*
 * VFIOUSER-INFO-3, VFIOUSER-INFO-4: QEMU asks twice, with a short and a long buffer. With a
 * capability flag in the short reply it would refuse the device.
 */
TEST(Info, PartlySharedBarNeedsRoom)
{
	Rig rig;
	constexpr uint32_t kFull = 32 + 16 + 16;

	for (const uint32_t argsz : {32u, 33u, kFull - 1}) {
		const Answer answer = regionInfo(rig, kPartBar, argsz);
		const auto info = answer.as<RegionInfo>();

		EXPECT_EQ(answer.body.size(), sizeof(info));
		EXPECT_EQ(info.argsz, kFull);
		EXPECT_EQ(info.flags & kRegionCapabilities, 0u);
		EXPECT_EQ(info.capabilityOffset, 0u);
		EXPECT_TRUE(answer.fds.empty());
	}
	for (const uint32_t argsz : {kFull, 0xffffffffu}) {
		const Answer answer = regionInfo(rig, kPartBar, argsz);
		const auto info = answer.as<RegionInfo>();

		ASSERT_EQ(answer.body.size(), kFull);
		EXPECT_EQ(info.argsz, kFull);
		EXPECT_EQ(info.flags,
			  kRegionRead | kRegionWrite | kRegionMmap | kRegionCapabilities);
		EXPECT_EQ(info.capabilityOffset, 32u);
		EXPECT_EQ(info.offset, 0x2000u);
		const auto sparse = answer.as<SparseMmap>(32);
		const auto area = answer.as<SparseArea>(48);

		EXPECT_EQ(sparse.id, 1);
		EXPECT_EQ(sparse.version, 1);
		EXPECT_EQ(sparse.next, 0u);
		EXPECT_EQ(sparse.areas, 1u);
		EXPECT_EQ(area.offset, 0u);
		EXPECT_EQ(area.size, kPartShared);
		ASSERT_EQ(answer.fds.size(), 1u);
		EXPECT_TRUE(sameFile(answer.fds[0].get(), rig.function.partFd()));
	}
}

/* VFIOUSER-INFO-2, VFIOUSER-INFO-5 */
TEST(Info, UnknownIndexIsAnError)
{
	Rig rig;

	for (const uint32_t index : {9u, 10u, 0x7fffffffu, 0xffffffffu})
		EXPECT_EQ(regionInfo(rig, index).error(), uint32_t{EINVAL});
	for (const uint32_t index : {5u, 0x7fffffffu, 0xffffffffu})
		EXPECT_EQ(irqInfo(rig, index).error(), uint32_t{EINVAL});
}

/* VFIOUSER-INFO-5 */
TEST(Info, Interrupts)
{
	Rig rig;
	const uint32_t counts[] = {1, kMsiVectors, kMsixVectors, 1, 1};

	for (uint32_t index = 0; index < kIrqTypes; index++) {
		const Answer answer = irqInfo(rig, index);
		const auto info = answer.as<IrqInfo>();

		EXPECT_EQ(answer.body.size(), sizeof(info));
		EXPECT_EQ(info.index, index);
		EXPECT_EQ(info.count, counts[index]);
		EXPECT_EQ(info.flags, index == kIrqIntx
					      ? kIrqEventFd | kIrqMaskable | kIrqAutoMasked
					      : kIrqEventFd | kIrqNoResize);
	}
}

} // namespace wd::vfio_user::test
