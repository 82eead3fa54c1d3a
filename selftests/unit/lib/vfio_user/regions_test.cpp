// SPDX-License-Identifier: Apache-2.0
/* REGION_READ, REGION_WRITE, DEVICE_RESET. */
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "client.h"

namespace wd::vfio_user::test
{

using Access = TestFunction::Access;

/* VFIOUSER-REGION-1 */
TEST(Regions, RegistersOfEverySize)
{
	Rig rig;

	for (const uint32_t size : {1u, 2u, 4u, 8u}) {
		const uint64_t value = 0x8877665544332211 >> (64 - 8 * size);
		const auto bytes = std::as_bytes(std::span(&value, 1)).first(size);
		const Answer written = rig.client->write(kRegisterBar, 0x100, bytes);

		ASSERT_TRUE(written.ok());
		EXPECT_EQ(written.body, bytesOf(RegionAccess{0x100, kRegisterBar, size}));
		const Answer read = rig.client->read(kRegisterBar, 0x100, size);

		ASSERT_EQ(read.body.size(), sizeof(RegionAccess) + size);
		EXPECT_EQ(std::memcmp(read.body.data() + sizeof(RegionAccess), &value, size), 0);
		const std::vector<Access> wanted = {{true, kRegisterBar, 0x100, size, value},
						    {false, kRegisterBar, 0x100, size, value}};

		EXPECT_EQ(rig.function.takeAccesses(), wanted);
	}
}

/* VFIOUSER-REGION-1: the ROM is read without an access to a BAR, and cannot be written. */
TEST(Regions, TheRomCanOnlyBeRead)
{
	Rig rig;
	const std::byte bytes[4] = {};
	const Answer read = rig.client->read(kRegionRom, 1, 15);

	ASSERT_EQ(read.body.size(), sizeof(RegionAccess) + 15);
	EXPECT_EQ(read.body[sizeof(RegionAccess)], std::byte{0xaa});
	EXPECT_EQ(rig.client->write(kRegionRom, 0, bytes).error(), uint32_t{EINVAL});
	EXPECT_EQ(rig.client->read(kRegionRom, kRomSize - 2, 4).error(), uint32_t{EINVAL});
	EXPECT_TRUE(rig.function.takeAccesses().empty());
}

/* VFIOUSER-REGION-2: odd accesses become naturally aligned ones: models get only such. */
TEST(Regions, OddAccessesAreTakenApart)
{
	Rig rig;
	const auto sizes = [&](uint64_t offset, uint32_t count) {
		std::vector<std::pair<uint64_t, unsigned>> pieces;

		EXPECT_TRUE(rig.client->read(kRegisterBar, offset, count).ok());
		for (const Access &access : rig.function.takeAccesses())
			pieces.emplace_back(access.offset, access.size);
		return pieces;
	};
	using Pieces = std::vector<std::pair<uint64_t, unsigned>>;

	EXPECT_EQ(sizes(0, 3), (Pieces{{0, 2}, {2, 1}}));
	EXPECT_EQ(sizes(1, 4), (Pieces{{1, 1}, {2, 2}, {4, 1}}));
	EXPECT_EQ(sizes(4, 8), (Pieces{{4, 4}, {8, 4}}));
	EXPECT_EQ(sizes(8, 16), (Pieces{{8, 8}, {16, 8}}));
}

/* VFIOUSER-REGION-1: the attack: accesses outside of the region. */
TEST(Regions, AccessesOutsideAreErrors)
{
	Rig rig;
	const auto readError = [&](uint32_t region, uint64_t offset, uint32_t count) {
		return rig.client->read(region, offset, count).error();
	};

	EXPECT_EQ(readError(kRegisterBar, kRegisterSize - 4, 4), 0u);
	rig.function.takeAccesses();
	for (const auto &[offset, count] :
	     std::vector<std::pair<uint64_t, uint32_t>>{{0, 0},
							{kRegisterSize, 0},
							{kRegisterSize, 1},
							{kRegisterSize - 4, 8},
							{kRegisterSize - 1, 2},
							{UINT64_MAX, 1},
							{UINT64_MAX, 2},
							{UINT64_MAX - 3, 8},
							{0, kMaxTransfer + 1},
							{0, 0x7fffffff},
							{0, 0xffffffff}}) {
		EXPECT_EQ(readError(kRegisterBar, offset, count), uint32_t{EINVAL});
		if (count <= 8) {
			EXPECT_EQ(rig.client->write(kRegisterBar, offset, Bytes(count)).error(),
				  uint32_t{EINVAL});
		}
	}
	/* Regions without content, and regions that do not exist. */
	for (const uint32_t region : {3u, 5u, 8u, 9u, 10u, 0xffffffffu}) {
		EXPECT_EQ(readError(region, 0, 4), uint32_t{EINVAL});
		EXPECT_EQ(rig.client->write(region, 0, uint32_t{0}).error(), uint32_t{EINVAL});
	}
	EXPECT_TRUE(rig.function.takeAccesses().empty());
}

/* VFIOUSER-REGION-1: the attack: a count that disagrees with the length of the message. */
TEST(Regions, CountMustFitTheBody)
{
	Rig rig;

	for (const uint32_t count : {3u, 5u, 0u, 4096u, 0xffffffffu})
		EXPECT_EQ(rig.client
				  ->call(Command::RegionWrite,
					 bytesOf(RegionAccess{0, kRegisterBar, count}, uint32_t{1}))
				  .error(),
			  uint32_t{EINVAL});
	EXPECT_EQ(rig.client
			  ->call(Command::RegionRead,
				 bytesOf(RegionAccess{0, kRegisterBar, 4}, uint32_t{1}))
			  .error(),
		  uint32_t{EINVAL});
	EXPECT_EQ(rig.client->call(Command::RegionRead, Bytes(15)).error(), uint32_t{EINVAL});
	EXPECT_EQ(rig.client->call(Command::RegionWrite, Bytes(15)).error(), uint32_t{EINVAL});
	EXPECT_EQ(rig.client->call(Command::RegionWrite).error(), uint32_t{EINVAL});
	EXPECT_TRUE(rig.function.takeAccesses().empty());
}

/* VFIOUSER-REGION-3 */
TEST(Regions, ConfigSpaceAtOnce)
{
	Rig rig;
	const Answer answer = rig.client->read(kRegionConfig, 0, 4096);

	ASSERT_EQ(answer.body.size(), sizeof(RegionAccess) + 4096);
	for (unsigned at = 0; at < 4096; at += 4)
		EXPECT_EQ(answer.as<uint32_t>(sizeof(RegionAccess) + at),
			  rig.function.configRead(at, 4));
	EXPECT_EQ(rig.client->read(kRegionConfig, 0, 4097).error(), uint32_t{EINVAL});
	EXPECT_EQ(rig.client->read(kRegionConfig, 1, 4096).error(), uint32_t{EINVAL});
}

/* VFIOUSER-REGION-3: fields that QEMU checks before it accepts the function. */
TEST(Regions, ConfigSpaceSuitsQemu)
{
	Rig rig;
	const auto word = [&](uint64_t at) {
		return rig.client->read(kRegionConfig, at, 4).as<uint32_t>(sizeof(RegionAccess));
	};

	EXPECT_EQ(word(0x10) & 0xf, 0u);
	EXPECT_EQ(word(0x18) & 0xf, 0xcu); /* 64 bit, prefetchable */
	EXPECT_EQ(word(0x20) & 0xf, 0xcu);
	EXPECT_TRUE(rig.client->write(kRegionConfig, 0x30, uint32_t{0xfffff800}).ok());
	EXPECT_EQ(word(0x30), 0xfffff800); /* a ROM of 2 KiB */
}

/* VFIOUSER-REGION-3 */
TEST(Regions, ConfigWritesObeyTheMasks)
{
	Rig rig;

	EXPECT_TRUE(rig.client->write(kRegionConfig, 0, uint32_t{0}).ok());
	EXPECT_EQ(rig.function.configRead(0, 4), 0x56781234u);
	EXPECT_FALSE(rig.function.busMaster());
	EXPECT_TRUE(rig.client->write(kRegionConfig, 4, uint16_t{6}).ok());
	EXPECT_TRUE(rig.function.busMaster());
	/* Unaligned: bytes 3 to 6, of which only the command register is writable. */
	EXPECT_TRUE(rig.client->write(kRegionConfig, 3, uint32_t{0}).ok());
	EXPECT_FALSE(rig.function.busMaster());
}

/* VFIOUSER-REGION-4: QEMU may trap accesses to mapped pages: they must reach the same memory. */
TEST(Regions, TrappedAccessSeesTheSharedMemory)
{
	Rig rig;
	const Answer info =
		rig.client->call(Command::GetRegionInfo, bytesOf(RegionInfo{32, 0, kWindowBar, 0}));

	ASSERT_EQ(info.fds.size(), 1u);
	void *map = mmap(nullptr, kWindowSize, PROT_READ | PROT_WRITE, MAP_SHARED,
			 info.fds[0].get(), 0);

	ASSERT_NE(map, MAP_FAILED);
	auto *words = static_cast<uint64_t *>(map);

	words[2] = 0x1234567890abcdef;
	EXPECT_EQ(rig.client->read(kWindowBar, 16, 8).as<uint64_t>(sizeof(RegionAccess)), words[2]);
	EXPECT_TRUE(rig.client->write(kWindowBar, 24, uint64_t{77}).ok());
	EXPECT_EQ(words[3], 77u);
	munmap(map, kWindowSize);
}

/* VFIOUSER-RESET-1 */
TEST(Reset, CommandAndFunctionLevelResetAreOne)
{
	Rig rig;

	EXPECT_TRUE(rig.client->write(kRegionConfig, 4, uint16_t{6}).ok());
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
	EXPECT_EQ(rig.function.resets(), 1u);
	EXPECT_FALSE(rig.function.busMaster());
	/* DEVCTL of the first capability, bit 15. */
	const unsigned express = rig.function.configRead(machine::pci::kCapabilityPointer, 1);

	EXPECT_TRUE(rig.client->write(kRegionConfig, express + 8, uint16_t{0x8000}).ok());
	EXPECT_EQ(rig.function.resets(), 2u);
	EXPECT_EQ(rig.client->call(Command::Reset, Bytes(4)).error(), uint32_t{EINVAL});
	EXPECT_EQ(rig.function.resets(), 2u);
}

/*
 * VFIOUSER-RESET-2: a reset keeps the client's memory and vectors; the end of the connection gives
 * them up.
 */
TEST(Reset, KeepsMapsAndVectors)
{
	Rig rig;
	const UniqueFd file = makeMemory(0x10000), event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	uint64_t value = 0;
	eventfd_t count = 0;
	/* Software switches MSI-X on; a reset switches it off. */
	const auto raise = [&] {
		ASSERT_TRUE(
			rig.client
				->write(kRegionConfig, rig.function.msixControl(), uint16_t{0x8000})
				.ok());
		rig.function.raise(3);
	};

	ASSERT_TRUE(rig.client->map(0, 0x10000, file.get()).ok());
	ASSERT_TRUE(
		rig.client->setIrqs(kSetEventFd | kSetTrigger, kIrqMsix, 3, 1, {event.get()}).ok());
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
	EXPECT_TRUE(rig.memory.load(0, 8, value));
	raise();
	EXPECT_EQ(eventfd_read(event.get(), &count), 0);
	EXPECT_EQ(count, 1u);
	rig.disconnect();
	EXPECT_EQ(rig.function.resets(), 2u);
	EXPECT_FALSE(rig.memory.load(0, 8, value));
	rig.reconnect();
	ASSERT_TRUE(rig.client->version().ok());
	raise();
	EXPECT_NE(eventfd_read(event.get(), &count), 0) << "no client has given a vector";
}

} // namespace wd::vfio_user::test
