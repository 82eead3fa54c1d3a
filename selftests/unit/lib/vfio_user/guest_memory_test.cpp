// SPDX-License-Identifier: Apache-2.0
/* Several connections announce memory: what the machine sees of it. */
#include <fcntl.h>
#include <system_error>
#include <thread>
#include <vector>

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

GuestRange pages(uint64_t first, uint64_t count, bool writable = true)
{
	return {first * kPage, count * kPage, first * kPage, writable};
}

void release(GuestMemory &memory, GuestMemory::Claim claim)
{
	memory.release({&claim, 1});
}

int claimError(GuestMemory &memory, const GuestRange &range, int fd)
{
	try {
		memory.claim(range, fd);
		return 0;
	} catch (const std::system_error &error) {
		return error.code().value();
	}
}

} // namespace

/* Every function's connection announces the same memory. */
TEST(GuestMemory, RangeStaysUntilTheLastClaimGoes)
{
	GuestMemory memory;
	const UniqueFd file = makeMemory(kSize);
	const auto one = memory.claim(pages(0, 16), file.get());
	const auto two = memory.claim(pages(0, 16), file.get());

	EXPECT_NE(one, two);
	release(memory, one);
	EXPECT_TRUE(present(memory, 0));
	release(memory, two);
	EXPECT_FALSE(present(memory, 0));
	/* This claim has ended already. */
	release(memory, two);
}

/*
 * QEMU changes the map of one function after the other. In between one function claims the whole
 * range, and the other claims its pieces, one of them read-only.
 */
TEST(GuestMemory, NewestClaimDecidesAboutWriting)
{
	GuestMemory memory;
	const UniqueFd file = makeMemory(kSize);
	const auto whole = memory.claim(pages(0, 16), file.get());
	const auto low = memory.claim(pages(0, 4), file.get());
	const auto rom = memory.claim(pages(4, 2, false), file.get());
	const auto high = memory.claim(pages(6, 10), file.get());

	EXPECT_TRUE(memory.store(3 * kPage, 8, 1));
	EXPECT_FALSE(memory.store(4 * kPage, 8, 1));
	EXPECT_FALSE(memory.store(6 * kPage - 8, 8, 1));
	EXPECT_TRUE(memory.store(6 * kPage, 8, 1));
	release(memory, whole);
	EXPECT_FALSE(memory.store(5 * kPage, 8, 1));
	EXPECT_TRUE(present(memory, 5 * kPage));
	const GuestMemory::Claim rest[] = {low, rom, high};

	memory.release(rest);
	EXPECT_FALSE(present(memory, 5 * kPage));
}

TEST(GuestMemory, CopiesCrossTheBordersOfRanges)
{
	GuestMemory memory;
	const UniqueFd a = makeMemory(kPage), b = makeMemory(kPage);
	const GuestRange first{0x10000, kPage, 0, true}, second{0x10000 + kPage, kPage, 0, true};
	std::vector<char> pattern(5000), back(5000);

	memory.claim(first, a.get());
	memory.claim(second, b.get());
	for (size_t i = 0; i < pattern.size(); i++)
		pattern[i] = static_cast<char>(i * 7);
	for (const uint64_t shift : {0u, 1u, 5u, 8u, 100u}) {
		EXPECT_TRUE(memory.write(0x10000 + shift, pattern.data(), pattern.size()));
		EXPECT_TRUE(memory.read(0x10000 + shift, back.data(), back.size()));
		EXPECT_EQ(back, pattern);
	}
	char byte;

	ASSERT_EQ(pread(b.get(), &byte, 1, 0), 1);
	EXPECT_EQ(byte, pattern[kPage - 100]);
	EXPECT_FALSE(memory.read(0x10000 + 2 * kPage - 4, back.data(), 8));
	EXPECT_FALSE(memory.write(0xfffc, back.data(), 8));
	EXPECT_TRUE(memory.read(0, back.data(), 0));
}

/* Every split into head, words and tail. Bytes beside the range must not change. */
TEST(GuestMemory, ShortCopiesAtEveryOffset)
{
	GuestMemory memory;
	const UniqueFd file = makeMemory(kPage);

	memory.claim(pages(0, 1), file.get());
	for (uint64_t at = 8; at < 24; at++)
		for (size_t length = 0; length < 40; length++) {
			std::vector<char> wanted(80, 0), seen(80), back(length);

			for (size_t i = 0; i < length; i++)
				wanted[at + i] = back[i] = static_cast<char>(i + 1);
			ASSERT_EQ(pwrite(file.get(), seen.data(), seen.size(), 0), 80);
			ASSERT_TRUE(memory.write(at, back.data(), length));
			ASSERT_EQ(pread(file.get(), seen.data(), seen.size(), 0), 80);
			ASSERT_EQ(seen, wanted) << at << ' ' << length;
			std::vector<char> copy(length);

			ASSERT_TRUE(memory.read(at, copy.data(), length));
			ASSERT_EQ(copy, back);
		}
}

TEST(GuestMemory, WordsAreNaturallyAligned)
{
	GuestMemory memory;
	const UniqueFd file = makeMemory(kPage);
	uint64_t value = 0;

	memory.claim(pages(0, 1), file.get());
	EXPECT_TRUE(memory.store(8, 8, 0x8877665544332211));
	for (const auto &[at, size, wanted] :
	     std::vector<std::tuple<uint64_t, unsigned, uint64_t>>{{8, 1, 0x11},
								   {9, 1, 0x22},
								   {10, 2, 0x4433},
								   {12, 4, 0x88776655},
								   {8, 8, 0x8877665544332211}}) {
		EXPECT_TRUE(memory.load(at, size, value));
		EXPECT_EQ(value, wanted);
	}
	for (const auto &[at, size] : std::vector<std::pair<uint64_t, unsigned>>{
		     {9, 2}, {10, 4}, {12, 8}, {8, 0}, {8, 3}, {8, 16}}) {
		EXPECT_FALSE(memory.load(at, size, value));
		EXPECT_FALSE(memory.store(at, size, 0));
	}
	EXPECT_TRUE(memory.store(14, 2, 0xffff1234));
	EXPECT_TRUE(memory.load(8, 8, value));
	EXPECT_EQ(value, 0x1234665544332211u);
}

TEST(GuestMemory, CompareExchange)
{
	GuestMemory memory;
	const UniqueFd file = makeMemory(kPage);
	uint64_t expected = 5;
	bool exchanged = true;

	memory.claim(pages(0, 1), file.get());
	EXPECT_TRUE(memory.compareExchange(16, expected, 7, exchanged));
	EXPECT_FALSE(exchanged);
	EXPECT_EQ(expected, 0u);
	EXPECT_TRUE(memory.compareExchange(16, expected, 7, exchanged));
	EXPECT_TRUE(exchanged);
	EXPECT_FALSE(memory.compareExchange(12, expected, 7, exchanged));
	EXPECT_FALSE(memory.compareExchange(kPage, expected, 7, exchanged));
}

/* Another virtual machine must not join the functions of this one. */
TEST(GuestMemory, OtherMemoryAtTheSamePlaceIsRefused)
{
	GuestMemory memory;
	const UniqueFd file = makeMemory(kSize), other = makeMemory(kSize);

	memory.claim(pages(4, 4), file.get());
	EXPECT_EQ(claimError(memory, pages(4, 4), other.get()), EEXIST);
	EXPECT_EQ(claimError(memory, pages(0, 16), other.get()), EEXIST);
	EXPECT_EQ(claimError(memory, {4 * kPage, kPage, 0, true}, file.get()), EEXIST);
	EXPECT_EQ(claimError(memory, pages(0, 16), file.get()), 0);
	EXPECT_EQ(claimError(memory, pages(16, 1), file.get()), EINVAL);
}

TEST(GuestMemory, FileThatGrewIsMappedAgain)
{
	GuestMemory memory;
	const UniqueFd file = makeMemory(kSize, false);

	ASSERT_EQ(fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
	memory.claim(pages(0, 16), file.get());
	ASSERT_EQ(ftruncate(file.get(), 2 * kSize), 0);
	memory.claim(pages(16, 16), file.get());
	EXPECT_TRUE(memory.store(2 * kSize - 8, 8, 9));
	char bytes[16];

	EXPECT_TRUE(memory.read(kSize - 8, bytes, 16));
}

TEST(GuestMemory, DistrustLastsUntilAllClaimsAreGone)
{
	GuestMemory memory;
	const UniqueFd file = makeMemory(kSize);
	auto claim = memory.claim(pages(0, 8), file.get());

	memory.distrust();
	EXPECT_TRUE(memory.distrusted());
	EXPECT_FALSE(present(memory, 0));
	const auto second = memory.claim(pages(8, 8), file.get());

	EXPECT_FALSE(present(memory, 8 * kPage));
	const GuestMemory::Claim both[] = {claim, second};

	memory.release(both);
	claim = memory.claim(pages(0, 8), file.get());
	EXPECT_TRUE(present(memory, 0));
}

TEST(ReadGate, WaitsForOldLeasesOnly)
{
	ReadGate gate;
	std::atomic<bool> done{false};
	std::optional<ReadGate::Lease> old(std::in_place, gate);
	std::jthread writer([&] {
		gate.synchronize();
		done = true;
	});

	EXPECT_FALSE(done);
	old.reset();
	while (!done) {
		/* The writer does not wait for readers that come later. */
		ReadGate::Lease lease(gate);
	}
}

/* The main property: when the writer goes on, no reader uses the old object. */
TEST(ReadGate, NobodyUsesWhatWasReplaced)
{
	ReadGate gate;
	std::array<std::atomic<bool>, 2> valid{true, false};
	std::atomic<unsigned> current{0};
	std::atomic<bool> stop{false};
	std::atomic<unsigned> violations{0};
	const auto use = [&] {
		while (!stop) {
			ReadGate::Lease outer(gate), lease(gate);
			const unsigned mine = current;

			for (unsigned i = 0; i < 20; i++)
				violations += !valid[mine];
		}
	};
	std::jthread one(use), two(use), three(use);

	for (unsigned i = 0; i < 200; i++) {
		const unsigned old = current;

		valid[!old] = true;
		current = !old;
		gate.synchronize();
		valid[old] = false;
	}
	stop = true;
	EXPECT_EQ(violations, 0u);
}

/* Threads that have no slot of their own share one. Slots of threads that have ended are free. */
TEST(ReadGate, ServesMoreThreadsThanItHasSlots)
{
	constexpr unsigned kThreads = 2 * detail::kSlots;
	ReadGate gate;

	for (unsigned round = 0; round < 2; round++) {
		std::atomic<unsigned> inside{0}, shared{0};
		std::atomic<bool> leave{false}, done{false};
		std::vector<std::jthread> threads;

		for (unsigned i = 0; i < kThreads; i++)
			threads.emplace_back([&] {
				ReadGate::Lease lease(gate);

				shared += detail::threadSlot == detail::kSharedSlot;
				inside++;
				inside.notify_all();
				leave.wait(false);
			});
		for (unsigned now = inside; now < kThreads; now = inside)
			inside.wait(now);
		EXPECT_GE(shared, kThreads - detail::kSlots);
		EXPECT_LE(shared, kThreads - detail::kSlots + 8) << "slots were given back";
		std::jthread writer([&] {
			gate.synchronize();
			done = true;
		});

		EXPECT_FALSE(done);
		leave = true;
		leave.notify_all();
		threads.clear();
		writer.join();
		EXPECT_TRUE(done);
	}
}

} // namespace wd::vfio_user::test
