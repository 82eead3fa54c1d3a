// SPDX-License-Identifier: Apache-2.0
/* No doorbell is lost in any mode, with many queues, many threads and random speed. */
#include <chrono>
#include <random>
#include <thread>

#include "rig.h"

namespace wd::machine::test
{

namespace
{

constexpr unsigned kThreads = 4, kQueuesPerThread = 6, kRequests = 400, kDepth = 32;

/** The work of one thread on one of its queues. */
struct Producer {
	unsigned queue;
	Bell bell;
	unsigned sent = 0, done = 0;
	uint64_t arms = 0;
};

class Doorbells : public ::testing::TestWithParam<std::tuple<Bell, DoorbellMode, unsigned>>
{
};

/* Send as much as fits and take all results, in steps of random size with random pauses. */
void drive(Rig &rig, Producer &p, std::mt19937 &random)
{
	const unsigned room = kDepth - 1 - (p.sent - p.done);
	unsigned burst =
		std::min<unsigned>({room, static_cast<unsigned>(random() % 8), kRequests - p.sent});

	for (; burst; burst--) {
		Sqe sqe = Rig::flat(0x40, Rig::kData, 64, Rig::kData, 64);
		sqe[26] = p.sent;
		rig.putSqe(p.queue, p.sent++ % kDepth, sqe);
		if (random() % 3 == 0)
			rig.ring(p.bell, p.queue, 0, p.sent % kDepth);
	}
	rig.ring(p.bell, p.queue, 0, p.sent % kDepth);
	while (p.done < p.sent &&
	       rig.completed(p.queue, p.done % kDepth, p.done / kDepth % 2 == 0)) {
		const Completion done = rig.completion(p.queue, p.done % kDepth);
		ASSERT_EQ(done.slot, p.done % kDepth);
		ASSERT_EQ(done.queue, p.queue);
		ASSERT_EQ(rig.getSqe(p.queue, done.slot)[26], p.done) << "exactly once, in order";
		ASSERT_EQ(rig.getSqe(p.queue, done.slot)[3], 1u);
		p.done++;
		if (random() % 2)
			rig.ring(p.bell, p.queue, 1, p.done % kDepth);
	}
	rig.ring(p.bell, p.queue, 1, p.done % kDepth);
	/*
	 * The test needs pauses of any length: engines spin, sleep and cool down between requests.
	 */
	if (random() % 4 == 0)
		std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
}

} // namespace

/* QM-DB-5, QM-RING-2, QM-RING-3 */
TEST_P(Doorbells, EveryRequestCompletesExactlyOnce)
{
	const auto [bell, mode, engines] = GetParam();
	EnginePolicy policy;
	/*
	 * Short limits, so that the engine often changes between spinning, sleeping, hot and cold.
	 */
	policy.spinNs = 20000;
	policy.coldNs = 50000;
	Rig rig(describe(kThreads * kQueuesPerThread, mode), engines, policy);
	rig.start();
	for (unsigned q = 0; q < rig.queues; q++)
		rig.startQueue(q, 0, {}, kDepth);
	std::vector<std::thread> threads;
	for (unsigned t = 0; t < kThreads; t++)
		threads.emplace_back([&, t, bell = bell] {
			std::mt19937 random(t);
			std::vector<Producer> producers;
			for (unsigned i = 0; i < kQueuesPerThread; i++)
				producers.push_back({t * kQueuesPerThread + i, bell});
			const bool ended = eventually([&] {
				bool all = true;
				for (Producer &p : producers) {
					if (p.done < kRequests)
						drive(rig, p, random);
					all &= p.done == kRequests;
				}
				return all;
			});
			EXPECT_TRUE(ended) << "a doorbell was lost";
		});
	for (auto &thread : threads)
		thread.join();
}

/* Arm and complete: the event always comes, in both orders in which the engine may see the two. */
TEST_P(Doorbells, EveryArmRequestLeadsToAnEvent)
{
	const auto [bell, mode, engines] = GetParam();
	EnginePolicy policy;
	policy.spinNs = 20000;
	policy.coldNs = 50000;
	Rig rig(describe(4, mode), engines, policy);
	rig.start();
	rig.startQueue(0, 0, {}, kDepth, false);
	std::mt19937 random(7);
	for (unsigned i = 0; i < 300; i++) {
		auto pause = [&] {
			if (random() % 2)
				std::this_thread::sleep_for(
					std::chrono::microseconds(random() % 100));
		};
		rig.putSqe(0, i % kDepth, Rig::flat(0x40, Rig::kData, 64, Rig::kData, 64));
		const bool armFirst = random() % 2;
		if (armFirst)
			rig.arm(bell, 0, i % kDepth, i + 1);
		pause();
		rig.ring(bell, 0, 0, (i + 1) % kDepth);
		pause();
		if (!armFirst)
			rig.arm(bell, 0, i % kDepth, i + 1);
		ASSERT_TRUE(eventually([&] { return rig.sink.count[0] == i + 1; })) << i;
		EXPECT_TRUE(rig.completed(0, i % kDepth, i / kDepth % 2 == 0));
		rig.ringEvents(i + 1);
	}
}

INSTANTIATE_TEST_SUITE_P(Modes, Doorbells,
			 ::testing::Values(std::tuple(Bell::Window, DoorbellMode::Trapped, 1u),
					   std::tuple(Bell::Registers, DoorbellMode::Trapped, 2u),
					   std::tuple(Bell::TrappedWord, DoorbellMode::Trapped, 2u),
					   std::tuple(Bell::SharedWord, DoorbellMode::Shared, 1u),
					   std::tuple(Bell::SharedWord, DoorbellMode::Shared, 2u),
					   std::tuple(Bell::TrappedWord, DoorbellMode::Shared, 2u),
					   std::tuple(Bell::Window, DoorbellMode::Shared, 2u)));

TEST(DoorbellPages, AreSharedOnlyInSharedMode)
{
	Rig shared(describe(8, DoorbellMode::Shared)), trapped(describe(8, DoorbellMode::Trapped));
	auto pages = shared.zip.barShared(1, 0x3000, 0x1000);
	ASSERT_TRUE(pages);
	EXPECT_GE(pages->fd, 0);
	EXPECT_EQ(pages->length, 0x1000u);
	EXPECT_TRUE(shared.zip.barShared(1, 0, 8 * 0x1000));
	EXPECT_FALSE(shared.zip.barShared(1, 0, 8 * 0x1000 + 4096));
	EXPECT_FALSE(shared.zip.barShared(1, 8, 4096));
	EXPECT_FALSE(shared.zip.barShared(1, 0, 100));
	EXPECT_FALSE(shared.zip.barShared(1, 0, 0));
	EXPECT_FALSE(shared.zip.barShared(1, ~0xfffull, 0x2000));
	EXPECT_FALSE(shared.zip.barShared(2, 0, 4096));
	EXPECT_FALSE(shared.zip.barShared(4, 0, 4096)) << "the architected doorbells always trap";
	EXPECT_FALSE(trapped.zip.barShared(1, 0, 0x1000));
	/* Trapped accesses and the shared pages are the same memory. */
	shared.zip.barWrite(1, 0x3100, 0x1122334455667788, 8);
	EXPECT_EQ(*reinterpret_cast<uint64_t *>(static_cast<char *>(pages->address) + 0x100),
		  0x1122334455667788u);
	/* Words read back as written in both modes. */
	for (Rig *rig : {&shared, &trapped}) {
		rig->zip.barWrite(1, Rig::words(3) + 16, 0xabcdef, 8);
		EXPECT_EQ(rig->zip.barRead(1, Rig::words(3) + 16, 8), 0xabcdefu);
		EXPECT_EQ(rig->zip.barRead(1, Rig::words(3) + 17, 1), 0xcdu);
	}
	EXPECT_EQ(trapped.zip.barRead(1, 0x3100, 8), 0u);
}

} // namespace wd::machine::test
