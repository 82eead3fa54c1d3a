// SPDX-License-Identifier: Apache-2.0
/* Descriptors and what becomes of them. */
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

#include "../../../common/asleep.h"
#include "fixture.h"

namespace wd::movertest
{

using test::eventually;

void expectStatus(const wd_mover_completion &completion, uint16_t status, uint64_t result = 0,
		  uint32_t error = 0)
{
	EXPECT_EQ(status, completion.status);
	EXPECT_EQ(result, completion.result);
	EXPECT_EQ(error, completion.error);
	EXPECT_EQ(0u, completion.reserved | completion.reserved2);
}

TEST_F(WorkTest, Nop)
{
	for (uint64_t i = 0; i < 5 * kDepth; i++) {
		const auto completion = rings_.run(nop(i * 0x100000001));

		expectStatus(completion, WD_MOVER_OK);
		EXPECT_EQ(i * 0x100000001, completion.user_data);
	}
	EXPECT_EQ(5 * kDepth, queue_.control().head);
	EXPECT_EQ(5 * kDepth, queue_.control().cq_tail);
}

/* As memmove(), for each way in which the two can overlap, and lengths around those of a piece. */
TEST_F(WorkTest, Move)
{
	struct {
		uint32_t src, dst, length;
	} cases[] = {
		{0, 300000, 1},	   {5, 300001, 200000},	 {0, 0, 100000},     {0, 1, 200000},
		{1, 0, 200000},	   {0, 65536, 65536},	 {0, 65535, 65536},  {100000, 34464, 65537},
		{7, 4103, 131073}, {4095, 8193, 300000}, {0, 200000, 65536},
	};

	for (const auto &c : cases) {
		fillRandom(c.length);
		std::vector<uint8_t> expected(data(), data(kBytes));

		std::memmove(&expected[c.dst], &expected[c.src], c.length);
		expectStatus(rings_.run(move(kData + c.src, kData + c.dst, c.length)), WD_MOVER_OK);
		EXPECT_EQ(0, std::memcmp(data(), expected.data(), kBytes))
			<< c.src << " " << c.dst << " " << c.length;
	}
}

TEST_F(WorkTest, Fill)
{
	for (uint32_t length : {1, 7, 8, 9, 65535, 65536, 65537, 200003}) {
		fillRandom(length);
		std::vector<uint8_t> expected(data(), data(kBytes));

		for (uint32_t i = 0; i < length; i++)
			expected[3 + i] = static_cast<uint8_t>(0x11 * (i % 8));
		expectStatus(rings_.run(fill(kData + 3, 0x7766554433221100, length)), WD_MOVER_OK);
		EXPECT_EQ(0, std::memcmp(data(), expected.data(), kBytes)) << length;
	}
}

TEST_F(WorkTest, Compare)
{
	fillRandom(1);
	std::memcpy(data(250001), data(1), 200000);
	expectStatus(rings_.run(compare(kData + 1, kData + 250001, 200000)), WD_MOVER_OK);
	for (uint32_t at : {199999u, 131072u, 65536u, 65535u, 1u, 0u}) {
		data(250001)[at] ^= 1;
		expectStatus(rings_.run(compare(kData + 1, kData + 250001, 200000)),
			     WD_MOVER_MISMATCH, at);
	}
	expectStatus(rings_.run(compare(kData + 5, kData + 5, 1)), WD_MOVER_OK);
}

TEST_F(WorkTest, Crc32c)
{
	std::memcpy(data(4090), "123456789", 9);
	auto completion = rings_.run(crc32c(kData + 4090, ~0u, 9));

	expectStatus(completion, WD_MOVER_OK, 0xe3069283 ^ 0xffffffff);
	/* In two parts, of which one is longer than a piece. */
	fillRandom(2);
	const auto whole = rings_.run(crc32c(kData, 0, 200000));
	const auto first = rings_.run(crc32c(kData, 0, 70000));
	const auto rest =
		rings_.run(crc32c(kData + 70000, static_cast<uint32_t>(first.result), 130000));

	EXPECT_EQ(whole.result, rest.result);
	EXPECT_NE(whole.result, first.result);
}

TEST_F(WorkTest, BadDescriptors)
{
	std::vector<uint8_t> before(data(), data(kBytes));
	wd_mover_desc desc = move(kData, kData + 64, 64);

	for (uint32_t opcode : {5u, 0x100u, ~0u}) {
		desc.opcode = opcode;
		expectStatus(rings_.run(desc), WD_MOVER_BAD_OPCODE);
	}
	for (unsigned i = 0; i < 3; i++) {
		desc = move(kData, kData + 64, 64);
		desc.reserved[i] = 1;
		expectStatus(rings_.run(desc), WD_MOVER_BAD_RESERVED);
	}
	desc = nop();
	desc.length = 1;
	expectStatus(rings_.run(desc), WD_MOVER_BAD_LENGTH);
	for (uint32_t length : {0u, WD_MOVER_MAX_LENGTH + 1, ~0u}) {
		expectStatus(rings_.run(move(kData, kData + 64, length)), WD_MOVER_BAD_LENGTH);
		expectStatus(rings_.run(fill(kData, 1, length)), WD_MOVER_BAD_LENGTH);
		expectStatus(rings_.run(compare(kData, kData, length)), WD_MOVER_BAD_LENGTH);
		expectStatus(rings_.run(crc32c(kData, 1, length)), WD_MOVER_BAD_LENGTH);
	}
	expectStatus(rings_.run(move(kMax - 62, kData, 64)), WD_MOVER_BAD_LENGTH);
	expectStatus(rings_.run(move(kData, kMax - 62, 64)), WD_MOVER_BAD_LENGTH);
	expectStatus(rings_.run(fill(kMax - 62, 1, 64)), WD_MOVER_BAD_LENGTH);
	expectStatus(rings_.run(crc32c(kMax - 62, 1, 64)), WD_MOVER_BAD_LENGTH);
	EXPECT_EQ(0, std::memcmp(data(), before.data(), kBytes)) << "nothing was moved";
	expectStatus(rings_.run(nop()), WD_MOVER_OK);
}

/* IOMMUFD-ACCESS-4: a fault concerns one descriptor, and names the address. */
TEST_F(WorkTest, Faults)
{
	const uint64_t end = kData + kBytes;
	Buffer readOnly(kPage);

	ASSERT_EQ(0, iommufd_.mapFixed(ioas_, readOnly.address(), kPage, end + kPage, kRead));
	ASSERT_EQ(0, iommufd_.mapFixed(ioas_, readOnly.address(), kPage, end + 3 * kPage, kWrite));
	fillRandom(3);
	expectStatus(rings_.run(move(end - 10, kData, 11)), WD_MOVER_FAULT, end, ENOENT);
	expectStatus(rings_.run(move(kData + 5, end - 3 * kPage, 6 * kPage)), WD_MOVER_FAULT, end,
		     ENOENT);
	EXPECT_EQ(0, std::memcmp(data(5), data(kBytes - 3 * kPage), 3 * kPage))
		<< "the pages before it";
	expectStatus(rings_.run(fill(end + kPage + 8, 0, 8)), WD_MOVER_FAULT, end + kPage + 8,
		     EPERM);
	expectStatus(rings_.run(crc32c(end + 3 * kPage, 0, 8)), WD_MOVER_FAULT, end + 3 * kPage,
		     EPERM);
	expectStatus(rings_.run(compare(kData, end + 9 * kPage + 1, 8)), WD_MOVER_FAULT,
		     end + 9 * kPage + 1, ENOENT);
	expectStatus(rings_.run(move(end + kPage, end + 3 * kPage, kPage)), WD_MOVER_OK);
	ASSERT_EQ(0, iommufd_.unmap(ioas_, kData, kBytes));
	expectStatus(rings_.run(move(kData, kData, 8)), WD_MOVER_FAULT, kData, ENOENT);
	expectStatus(rings_.run(nop()), WD_MOVER_OK);
	EXPECT_EQ(uint32_t{WD_MOVER_STARTED}, queue_.state());
	EXPECT_EQ(2u, pinned()) << "only the rings";
}

/* The memory behind the mapping has gone. */
TEST_F(WorkTest, FaultsOfTheMemory)
{
	Buffer gone(kPage);

	ASSERT_EQ(0, iommufd_.mapFixed(ioas_, gone.address(), kPage, kIova * 4));
	ASSERT_EQ(0, mprotect(gone.data(), kPage, PROT_NONE));
	expectStatus(rings_.run(crc32c(kIova * 4 + 1, 0, 8)), WD_MOVER_FAULT, kIova * 4 + 1,
		     EFAULT);
}

/* An idle worker asks for a kick, and takes the next descriptor after it at the latest. */
TEST_F(WorkTest, SleepAndKick)
{
	ASSERT_EQ(0, setParameter("spin_us", "0"));
	for (unsigned i = 0; i < 200; i++) {
		ASSERT_TRUE(eventually([&] { return queue_.asleep(); }));
		rings_.stage(nop(i));
		__atomic_store_n(&queue_.control().tail, rings_.tail, __ATOMIC_SEQ_CST);
		ASSERT_EQ(0, queue_.kick());
		EXPECT_EQ(i, rings_.next().user_data);
	}
}

/* A worker that polls needs no kick at all. */
TEST_F(WorkTest, NoSystemCallInTheBusyCase)
{
	ASSERT_EQ(0, setParameter("spin_us", "10000"));
	for (unsigned i = 0; i < 50; i++)
		expectStatus(rings_.run(nop(i)), WD_MOVER_OK);
}

/* Completions that the user has not read yet are not overwritten. */
TEST_F(WorkTest, TheUserMakesRoom)
{
	for (unsigned i = 0; i < kDepth; i++)
		rings_.submit(nop(i));
	ASSERT_TRUE(eventually([&] {
		return __atomic_load_n(&queue_.control().cq_tail, __ATOMIC_ACQUIRE) == kDepth;
	}));
	for (unsigned i = 0; i < 3; i++)
		rings_.submit(nop(kDepth + i));
	test::settle();
	EXPECT_EQ(kDepth, __atomic_load_n(&queue_.control().head, __ATOMIC_RELAXED));
	for (unsigned i = 0; i < kDepth + 3; i++)
		EXPECT_EQ(i, rings_.next().user_data);
}

TEST_F(WorkTest, PutFinishesWhatIsSubmitted)
{
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < kDepth; i++)
			rings_.submit(fill(kData, i, 1000));
		ASSERT_EQ(0, queue_.put());
		EXPECT_EQ(rings_.tail, queue_.control().cq_tail);
		EXPECT_EQ(0u, pinned());
		EXPECT_EQ(POLLIN, queue_.poll());
		for (unsigned i = 0; i < kDepth; i++)
			rings_.next();
		/* It goes on where it was, and takes what was submitted meanwhile. */
		rings_.submit(nop(round));
		ASSERT_EQ(0, queue_.start());
		EXPECT_EQ(round, rings_.next().user_data);
	}
}

TEST_F(WorkTest, PollAndEvent)
{
	const int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	eventfd_t count = 0;

	EXPECT_EQ(0, queue_.poll());
	rings_.submit(nop());
	EXPECT_EQ(POLLIN, queue_.poll(-1));
	rings_.next();
	EXPECT_EQ(0, queue_.poll());
	ASSERT_EQ(0, queue_.setEvent(event));
	for (unsigned i = 0; i < 3; i++)
		rings_.submit(nop());
	for (unsigned i = 0; i < 3; i++)
		rings_.next();
	ASSERT_EQ(0, queue_.put()) << "after it no signal is on its way";
	EXPECT_EQ(0, eventfd_read(event, &count));
	EXPECT_EQ(3u, count);
	ASSERT_EQ(0, queue_.setEvent(-1));
	ASSERT_EQ(0, queue_.start());
	rings_.run(nop());
	ASSERT_EQ(0, queue_.put());
	EXPECT_NE(0, eventfd_read(event, &count)) << "no event any more";
	::close(event);
}

/* With several workers completions come in any order, each once. */
TEST_F(WorkTest, SeveralWorkers)
{
	constexpr unsigned kRounds = 200;
	std::vector<unsigned> seen(kRounds * kDepth);

	for (const char *threads : {"0", "4", "1000"}) {
		ASSERT_EQ(0, queue_.put());
		ASSERT_EQ(0, setParameter("threads", threads));
		ASSERT_EQ(0, queue_.start());
		std::fill(seen.begin(), seen.end(), 0);
		for (unsigned round = 0; round < kRounds; round++) {
			for (unsigned i = 0; i < kDepth; i++) {
				auto desc = fill(kData + i * 4096, i, 4096);

				desc.user_data = round * kDepth + i;
				rings_.submit(desc);
			}
			for (unsigned i = 0; i < kDepth; i++)
				seen[rings_.next().user_data]++;
		}
		for (unsigned count : seen)
			ASSERT_EQ(1u, count);
	}
}

/* The largest ring. */
TEST_F(WorkTest, ADeepRing)
{
	Rings deep(queue_, memory_.data(), WD_MOVER_MAX_DEPTH);

	ASSERT_EQ(0, queue_.put());
	ASSERT_EQ(0, queue_.setRing(kIova, kIova + Rings::sqBytes(WD_MOVER_MAX_DEPTH),
				    WD_MOVER_MAX_DEPTH));
	ASSERT_EQ(0, queue_.start());
	for (unsigned i = 0; i < WD_MOVER_MAX_DEPTH; i++)
		deep.stage(nop(i));
	deep.ring();
	for (unsigned i = 0; i < WD_MOVER_MAX_DEPTH; i++)
		ASSERT_EQ(i, deep.next().user_data);
	EXPECT_EQ(1, deep.run(nop(1)).user_data);
}

} // namespace wd::movertest
