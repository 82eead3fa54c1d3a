// SPDX-License-Identifier: Apache-2.0
/* DMA_MAP and DMA_UNMAP: which memory is accepted, its size, and how long it is used. */
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "client.h"

namespace wd::vfio_user::test
{

namespace
{

constexpr uint64_t kPage = kPageSize, kSize = 16 * kPage;

bool present(GuestMemory &memory, uint64_t address)
{
	uint64_t value;

	return memory.load(address, 8, value);
}

} // namespace

/* VFIOUSER-DMA-1 */
TEST(DmaMap, MemoryIsTheFile)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);
	const uint64_t value = 0x0123456789abcdef;
	uint64_t seen = 0;

	ASSERT_TRUE(rig.client->map(0x100000, kSize - kPage, file.get(), kPage).ok());
	ASSERT_EQ(pwrite(file.get(), &value, 8, kPage + 24), 8);
	EXPECT_TRUE(rig.memory.load(0x100000 + 24, 8, seen));
	EXPECT_EQ(seen, value);
	EXPECT_TRUE(rig.memory.write(0x100000 + kPage - 4, &value, 8));
	ASSERT_EQ(pread(file.get(), &seen, 8, 2 * kPage - 4), 8);
	EXPECT_EQ(seen, value);
	EXPECT_FALSE(present(rig.memory, 0xff000));
	EXPECT_FALSE(present(rig.memory, 0x100000 + kSize - kPage));
}

/* VFIOUSER-DMA-2: ROM and mapped BARs are ranges without memory. */
TEST(DmaMap, RangeWithoutDescriptorHasNoMemory)
{
	Rig rig;
	char byte;

	EXPECT_TRUE(rig.client->map(0xfffc0000, 0x40000, -1, 0, kDmaReadable).ok());
	EXPECT_TRUE(rig.client->map(0xf4000000, 0x4000000).ok());
	EXPECT_FALSE(rig.memory.read(0xfffc0000, &byte, 1));
	EXPECT_FALSE(rig.memory.write(0xf4000000, &byte, 1));
	EXPECT_TRUE(rig.client->unmap(0xf4000000, 0x4000000).ok());
}

/* VFIOUSER-DMA-1 */
TEST(DmaMap, ReadOnlyMemoryIsNotWritten)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);
	uint64_t value = 1, expected = 0;
	bool exchanged;

	ASSERT_TRUE(rig.client->map(0, kSize, file.get(), 0, kDmaReadable).ok());
	EXPECT_TRUE(rig.memory.load(0, 8, value));
	EXPECT_FALSE(rig.memory.store(0, 8, 1));
	EXPECT_FALSE(rig.memory.write(0, &value, 8));
	EXPECT_FALSE(rig.memory.compareExchange(0, expected, 1, exchanged));
}

/* VFIOUSER-DMA-3: the attack: ranges that overflow or are not aligned. */
TEST(DmaMap, ImpossibleRangesAreErrors)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);
	const struct {
		uint64_t address, size, offset;
	} bad[] = {
		{0, 0, 0},
		{0, kSize + kPage, 0},
		{0, kSize, kPage},
		{0, kPage, kSize},
		{0, kPage, UINT64_MAX - kPage + 1},
		{0, kPage, 1},
		{0, kPage - 1, 0},
		{1, kPage, 0},
		{UINT64_MAX - kPage + 1, 2 * kPage, 0},
		{UINT64_MAX, 2, 0},
		{kPage, UINT64_MAX - kPage + 1, 0},
		{0, UINT64_MAX, 0},
		{0, uint64_t{1} << 63, uint64_t{1} << 63},
	};

	for (const auto &[address, size, offset] : bad)
		EXPECT_EQ(rig.client->map(address, size, file.get(), offset).error(),
			  uint32_t{EINVAL})
			<< address << ' ' << size << ' ' << offset;
	EXPECT_EQ(rig.client->map(0, 0).error(), uint32_t{EINVAL});
	EXPECT_EQ(rig.client->map(UINT64_MAX, 2).error(), uint32_t{EINVAL});
	/* The last page of the address space is legal. */
	EXPECT_TRUE(rig.client->map(UINT64_MAX - kPage + 1, kPage, file.get()).ok());
	EXPECT_TRUE(present(rig.memory, UINT64_MAX - 7));
	char two[16];

	EXPECT_FALSE(rig.memory.read(UINT64_MAX - 7, two, 16));
	EXPECT_TRUE(rig.client->unmap(UINT64_MAX - kPage + 1, kPage).ok());
	EXPECT_FALSE(present(rig.memory, UINT64_MAX - 7));
}

/* VFIOUSER-DMA-3 */
TEST(DmaMap, MalformedRequestsAreErrors)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);
	const int fd = file.get();
	const auto error = [&](uint32_t argsz, uint32_t flags, std::initializer_list<int> fds) {
		return rig.client
			->call(Command::DmaMap, bytesOf(DmaMap{argsz, flags, 0, 0, kPage}), fds)
			.error();
	};

	EXPECT_EQ(error(31, 3, {fd}), uint32_t{EINVAL});
	EXPECT_EQ(error(0, 3, {fd}), uint32_t{EINVAL});
	EXPECT_EQ(error(32, 3 | 4, {}), uint32_t{EINVAL});
	EXPECT_EQ(error(32, 3 | 8, {}), uint32_t{EINVAL});
	EXPECT_EQ(error(32, 3 | 0x10, {fd}), uint32_t{EINVAL});
	EXPECT_EQ(error(32, 0x80000003, {}), uint32_t{EINVAL});
	EXPECT_EQ(error(32, 2, {fd}), uint32_t{EINVAL});
	EXPECT_EQ(error(32, 0, {fd}), uint32_t{EINVAL});
	EXPECT_EQ(error(32, 3, {fd, fd}), uint32_t{EINVAL});
	EXPECT_EQ(rig.client->call(Command::DmaMap, Bytes(31)).error(), uint32_t{EINVAL});
	EXPECT_EQ(rig.client->call(Command::DmaMap, Bytes(33)).error(), uint32_t{EINVAL});
	EXPECT_FALSE(present(rig.memory, 0));
	EXPECT_EQ(error(32, 3 | 4, {fd}), 0u);
}

/*
 * VFIOUSER-DMA-4: the attack: a descriptor of something else than memory, or of memory that can
 * vanish while the server uses it.
 */
TEST(DmaMap, FilesThatCannotBeTrustedAreErrors)
{
	Rig rig;
	int ends[2];

	ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
	const UniqueFd reader(ends[0]), writer(ends[1]), event(eventfd(0, EFD_CLOEXEC));
	const UniqueFd folder(open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const UniqueFd unsealed = makeMemory(kSize, false);
	const UniqueFd program(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));

	for (const int fd : {reader.get(), event.get(), folder.get()})
		EXPECT_EQ(rig.client->map(0, kPage, fd).error(), uint32_t{EINVAL});
	EXPECT_EQ(rig.client->map(0, kPage, unsealed.get()).error(), uint32_t{EPERM});
	EXPECT_EQ(rig.client->map(0, kPage, program.get(), 0, kDmaReadable).error(),
		  uint32_t{EPERM});
	EXPECT_NE(rig.log().find("use a memory-backend-memfd"), std::string::npos);
	/* Sealed against writing: it can be mapped for reading only. */
	const UniqueFd fixed = makeMemory(kSize, false);

	ASSERT_EQ(fcntl(fixed.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	EXPECT_EQ(rig.client->map(0, kPage, fixed.get()).error(), uint32_t{EPERM});
	/* A read-only descriptor cannot give write access. */
	const UniqueFd file = makeMemory(kSize);
	const UniqueFd readOnly(
		open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_RDONLY | O_CLOEXEC));

	EXPECT_EQ(rig.client->map(0, kPage, readOnly.get()).error(), uint32_t{EACCES});
	EXPECT_TRUE(rig.client->map(0, kPage, readOnly.get(), 0, kDmaReadable).ok());
	EXPECT_FALSE(rig.memory.store(0, 8, 1));
}

/* VFIOUSER-DMA-4: a sparse file of enormous size. */
TEST(DmaMap, MonstrousFileIsAnError)
{
	Rig rig;
	const UniqueFd file = makeMemory(uint64_t{1} << 50);

	EXPECT_EQ(rig.client->map(0, kPage, file.get()).error(), uint32_t{EINVAL});
	EXPECT_TRUE(rig.client->call(Command::Reset).ok());
}

/* VFIOUSER-DMA-3 */
TEST(DmaMap, OverlapsAreErrorsAndChangeNothing)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize), other = makeMemory(kSize);
	const auto error = [&](uint64_t page, uint64_t pages, int fd) {
		return rig.client->map(page * kPage, pages * kPage, fd).error();
	};

	ASSERT_EQ(error(8, 4, file.get()), 0u);
	for (const int fd : {file.get(), other.get(), -1}) {
		EXPECT_EQ(error(8, 4, fd), uint32_t{EEXIST});
		EXPECT_EQ(error(6, 3, fd), uint32_t{EEXIST});
		EXPECT_EQ(error(11, 2, fd), uint32_t{EEXIST});
		EXPECT_EQ(error(9, 1, fd), uint32_t{EEXIST});
		EXPECT_EQ(error(4, 12, fd), uint32_t{EEXIST});
	}
	EXPECT_EQ(error(6, 2, file.get()), 0u);
	EXPECT_EQ(error(12, 1, file.get()), 0u);
	/* A range without memory overlaps, too. */
	ASSERT_EQ(error(20, 4, -1), 0u);
	EXPECT_EQ(error(21, 1, file.get()), uint32_t{EEXIST});
}

/* VFIOUSER-DMA-5 */
TEST(DmaMap, NumberOfRangesIsLimited)
{
	Rig rig;

	for (uint64_t i = 0; i < kMaxDmaMaps; i++)
		ASSERT_TRUE(rig.client->map(i * kPage, kPage).ok());
	EXPECT_EQ(rig.client->map(kMaxDmaMaps * kPage, kPage).error(), uint32_t{ENOSPC});
	EXPECT_TRUE(rig.client->unmap(0, 0, kUnmapAll).ok());
	EXPECT_TRUE(rig.client->map(kMaxDmaMaps * kPage, kPage).ok());
}

/* VFIOUSER-DMA-6, VFIOUSER-DMA-7 */
TEST(DmaUnmap, ExactRangeGoesAndIsEchoed)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(0, kSize, file.get()).ok());
	const Answer answer = rig.client->unmap(0, kSize);

	EXPECT_EQ(answer.body, bytesOf(DmaUnmap{24, 0, 0, kSize}));
	EXPECT_FALSE(present(rig.memory, 0));
	/* Nothing is mapped there: the client gets an error, as from libvfio-user. */
	EXPECT_EQ(rig.client->unmap(0, kSize).error(), uint32_t{ENOENT});
}

/* VFIOUSER-DMA-7 */
TEST(DmaUnmap, ARangeIsNotCut)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(kPage, 4 * kPage, file.get()).ok());
	ASSERT_TRUE(rig.client->map(8 * kPage, kPage).ok());
	for (const auto &[first, pages] :
	     std::vector<std::pair<uint64_t, uint64_t>>{{1, 3}, {2, 3}, {2, 1}, {0, 3}, {4, 8}})
		EXPECT_EQ(rig.client->unmap(first * kPage, pages * kPage).error(),
			  uint32_t{EINVAL});
	EXPECT_TRUE(present(rig.memory, kPage));
	EXPECT_TRUE(present(rig.memory, 5 * kPage - 8));
}

/* VFIOUSER-DMA-7 */
TEST(DmaUnmap, SeveralRangesGoAtOnceIfNothingIsMissing)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(kPage, 4 * kPage, file.get()).ok());
	ASSERT_TRUE(rig.client->map(5 * kPage, kPage).ok());
	ASSERT_TRUE(rig.client->map(8 * kPage, kPage).ok());
	for (const auto &[first, pages] :
	     std::vector<std::pair<uint64_t, uint64_t>>{{0, 16}, {0, 5}, {1, 8}, {5, 4}, {6, 2}})
		EXPECT_EQ(rig.client->unmap(first * kPage, pages * kPage).error(), uint32_t{ENOENT})
			<< first << '+' << pages;
	EXPECT_TRUE(present(rig.memory, kPage));
	EXPECT_TRUE(rig.client->unmap(kPage, 5 * kPage).ok());
	EXPECT_FALSE(present(rig.memory, kPage));
	EXPECT_TRUE(rig.client->unmap(8 * kPage, kPage).ok());
}

/* VFIOUSER-DMA-7 */
TEST(DmaUnmap, EnormousRanges)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(kPage, kSize, file.get()).ok());
	for (const auto &[address, size] : std::vector<std::pair<uint64_t, uint64_t>>{
		     {0, uint64_t{1} << 47}, {0, UINT64_MAX}, {kPage, UINT64_MAX - kPage + 1}}) {
		EXPECT_EQ(rig.client->unmap(address, size).error(), uint32_t{ENOENT}) << size;
		EXPECT_TRUE(present(rig.memory, kPage));
	}
}

TEST(DmaUnmap, MalformedRequestsAreErrors)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);
	const auto error = [&](const DmaUnmap &request) {
		return rig.client->call(Command::DmaUnmap, bytesOf(request)).error();
	};

	ASSERT_TRUE(rig.client->map(0, kSize, file.get()).ok());
	EXPECT_EQ(error({23, 0, 0, kSize}), uint32_t{EINVAL});
	EXPECT_EQ(error({24, kUnmapDirtyBitmap, 0, kSize}), uint32_t{EINVAL});
	EXPECT_EQ(error({24, 4, 0, kSize}), uint32_t{EINVAL});
	EXPECT_EQ(error({24, kUnmapAll, 0, kSize}), uint32_t{EINVAL});
	EXPECT_EQ(error({24, kUnmapAll, kPage, 0}), uint32_t{EINVAL});
	EXPECT_EQ(error({24, 0, 0, 0}), uint32_t{EINVAL});
	EXPECT_EQ(error({24, 0, kPage, UINT64_MAX}), uint32_t{EINVAL});
	EXPECT_EQ(rig.client->call(Command::DmaUnmap, Bytes(23)).error(), uint32_t{EINVAL});
	EXPECT_TRUE(present(rig.memory, 0));
	EXPECT_EQ(error({24, kUnmapAll, 0, 0}), 0u);
	EXPECT_FALSE(present(rig.memory, 0));
}

/* VFIOUSER-DMA-6: after the reply no function uses the memory any more. */
TEST(DmaUnmap, ReplyWaitsForTheLastUser)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);

	ASSERT_TRUE(rig.client->map(0, kSize, file.get()).ok());
	{
		std::optional<GuestMemory::Hold> hold(std::in_place, rig.memory);

		rig.client->send(Command::DmaUnmap,
				 bytesOf(DmaUnmap{sizeof(DmaUnmap), 0, 0, kSize}));
		/* New users find no memory, although the old one still uses it. */
		while (present(rig.memory, 0))
			std::this_thread::yield();
		EXPECT_FALSE(rig.client->pending());
		hold.reset();
	}
	const auto answer = rig.client->receive();

	ASSERT_TRUE(answer);
	EXPECT_TRUE(answer->ok());
}

/* For TSan and ASan: devices use memory while the client maps and unmaps it. */
TEST(DmaUnmap, RacesWithUsers)
{
	Rig rig;
	const UniqueFd file = makeMemory(kSize);
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> hits{0};
	const auto use = [&](uint64_t seed) {
		std::vector<char> buffer(3 * kPage);
		uint64_t value = 0;
		bool exchanged;

		for (uint64_t i = seed; !stop; i++) {
			const uint64_t at = i * 8 % (kSize + kPage);

			hits += rig.memory.read(at, buffer.data(), buffer.size());
			rig.memory.write(at, buffer.data(), 4000);
			rig.memory.store(at, 8, i);
			rig.memory.compareExchange(at, value, i, exchanged);
		}
	};
	std::jthread one(use, 1), two(use, 99);

	for (unsigned i = 0; i < 200 || !hits; i++) {
		ASSERT_TRUE(rig.client->map(0, kSize / 2, file.get()).ok());
		ASSERT_TRUE(rig.client->map(kSize / 2, kSize / 2, file.get(), kSize / 2).ok());
		ASSERT_TRUE(rig.client->unmap(0, kSize / 2).ok());
		ASSERT_TRUE(rig.client->unmap(kSize / 2, kSize / 2).ok());
	}
	stop = true;
}

} // namespace wd::vfio_user::test
