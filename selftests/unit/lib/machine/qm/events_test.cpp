// SPDX-License-Identifier: Apache-2.0
/* Arming and interrupts, and rings that cannot be reached. */
#include "rig.h"

namespace wd::machine::test
{

namespace
{

Sqe quick()
{
	return Rig::flat(0x40, Rig::kData, 64, Rig::kData, 64);
}

class Events : public ::testing::Test
{
protected:
	void SetUp() override
	{
		rig.start();
		rig.startQueue(0, 0);
		rig.startQueue(1, 0);
	}
	void complete(unsigned queue, unsigned count = 1)
	{
		for (unsigned i = 0; i < count; i++)
			rig.run(queue, quick());
	}
	bool interrupts(unsigned count, unsigned vector = 0)
	{
		const bool reached = eventually([&] { return rig.sink.count[vector] >= count; });
		settle();
		return reached && rig.sink.count[vector] == count;
	}
	Rig rig;
};

} // namespace

/* QM-EVENT-1: a queue is armed at its start; an event disarms it. */
TEST_F(Events, ComeOnceUntilArmedAgain)
{
	complete(0, 3);
	EXPECT_TRUE(interrupts(1));
	EXPECT_EQ(rig.event(0), 0u);
	EXPECT_FALSE(rig.event(1));
	/* QM-EVENT-4 */
	EXPECT_NE(rig.reg(8), 0u) << "the source stays until the doorbell";
	rig.ringEvents(1);
	EXPECT_EQ(rig.reg(8), 0u);
	rig.arm(Bell::Window, 0, 3, 0);
	settle();
	EXPECT_EQ(rig.sink.count[0], 1u) << "nothing behind the head: it stays armed";
	complete(0);
	EXPECT_TRUE(interrupts(2));
	EXPECT_EQ(rig.event(1), 0u);
}

/* QM-EVENT-1: arming with completions waiting. */
TEST_F(Events, ComeAtOnceIfCompletionsWait)
{
	complete(0);
	EXPECT_TRUE(interrupts(1));
	rig.ringEvents(1);
	rig.putSqe(0, 1, quick());
	rig.ring(Bell::Window, 0, 0, 2);
	ASSERT_TRUE(eventually([&] { return rig.completed(0, 1); }));
	EXPECT_TRUE(interrupts(1));
	uint64_t count = 0;
	for (Bell bell : {Bell::Window, Bell::Registers, Bell::TrappedWord, Bell::SharedWord}) {
		rig.arm(bell, 0, 1, ++count);
		EXPECT_TRUE(interrupts(1 + count)) << count;
		EXPECT_EQ(rig.event(count), 0u);
		rig.ringEvents(1 + count);
	}
	/* Without the flag the doorbell arms nothing. */
	rig.ring(Bell::Window, 0, 1, 1);
	EXPECT_TRUE(interrupts(1 + count));
}

/*
 * QM-EVENT-2: no second interrupt before the doorbell. QM-EVENT-6: one more after it if events
 * remain.
 */
TEST_F(Events, InterruptOncePerDoorbell)
{
	complete(0);
	complete(1);
	EXPECT_TRUE(interrupts(1));
	EXPECT_EQ(rig.event(0), 0u);
	EXPECT_EQ(rig.event(1), 1u);
	rig.ringEvents(1);
	EXPECT_TRUE(interrupts(2));
	EXPECT_NE(rig.reg(8), 0u);
	rig.ringEvents(2);
	EXPECT_TRUE(interrupts(2));
	EXPECT_EQ(rig.reg(8), 0u);
}

/* QM-EVENT-3: the attacker arms again and again; one queue never has two events waiting. */
TEST_F(Events, AreAtMostOnePerQueue)
{
	rig.putSqe(0, 0, quick());
	rig.ring(Bell::Window, 0, 0, 1);
	ASSERT_TRUE(eventually([&] { return rig.completed(0, 0); }));
	for (unsigned i = 0; i < 1000; i++)
		rig.arm(i & 1 ? Bell::SharedWord : Bell::Window, 0, 0, i);
	EXPECT_TRUE(interrupts(1));
	EXPECT_EQ(rig.event(0), 0u);
	EXPECT_FALSE(rig.event(1));
	rig.ringEvents(1);
	rig.arm(Bell::Window, 0, 0, 0);
	EXPECT_TRUE(interrupts(2));
}

/* QM-EVENT-5 */
TEST_F(Events, WaitWhileMasked)
{
	rig.reg(0xc, 1);
	complete(0);
	EXPECT_TRUE(interrupts(0));
	EXPECT_NE(rig.reg(8), 0u);
	rig.reg(0xc, 0);
	EXPECT_TRUE(interrupts(1));
	rig.reg(0xc, 1);
	rig.reg(0xc, 0);
	EXPECT_TRUE(interrupts(1)) << "one interrupt per doorbell, across the mask";
}

/* QM-RING-1 */
TEST_F(Events, WrapWithTheirPhase)
{
	Rig small;
	small.start(4);
	small.startQueue(0, 0);
	bool phase = true;
	for (unsigned i = 0; i < 11; i++) {
		small.run(0, quick());
		ASSERT_TRUE(eventually([&] { return small.event(i % 4, phase).has_value(); })) << i;
		if (i % 4 == 3)
			phase = !phase;
		small.ringEvents((i + 1) % 4);
		small.arm(Bell::Window, 0, i + 1, 0);
	}
}

/*
 * QM-EVENT-7: a ring that the IOMMU refuses stops its queue, sends an AEQ entry, and does not
 * affect others.
 */
TEST_F(Events, ReportBlockedRings)
{
	for (bool sq : {true, false}) {
		const unsigned queue = sq ? 0 : 1;
		const uint64_t base = sq ? Rig::sq(0) : Rig::cq(1);
		rig.translated.block(base, base + 16);
		rig.putSqe(queue, 0, quick());
		rig.ring(Bell::Window, queue, 0, 1);
		EXPECT_TRUE(interrupts(queue + 1, 1));
		EXPECT_NE(rig.reg(0), 0u);
		EXPECT_EQ(rig.event(queue, true, Rig::kAsync), queue | 2u << 16);
		rig.ringAsync(queue + 1);
		EXPECT_EQ(rig.reg(0), 0u);
		rig.translated.unblockAll();
		rig.ring(Bell::Window, queue, 0, 2);
		settle();
		EXPECT_FALSE(rig.completed(queue, 0)) << "stopped until it is set up again";
	}
	rig.startQueue(2, 0);
	complete(2);
	EXPECT_EQ(rig.mailbox(8, 0, 0), 0u);
	rig.startQueue(0, 0);
	complete(0);
}

/* QM-EVENT-7 */
TEST_F(Events, OverflowAndFaultOfTheEventQueueAreReported)
{
	Rig small;
	small.start(2);
	for (unsigned q = 0; q < 2; q++) {
		small.startQueue(q, 0);
		small.run(q, quick());
	}
	ASSERT_TRUE(eventually([&] { return small.sink.count[1] == 1; }));
	EXPECT_EQ(small.event(0, true, Rig::kAsync), 1u | 1u << 16);
	rig.translated.block(Rig::kEvents, Rig::kEvents + 64);
	complete(0);
	EXPECT_TRUE(eventually([&] { return rig.reg(0x100000) == 2; }));
}

/*
 * QM-DB-2, QM-DB-3: the attacker rings queues and positions that do not exist. Error bits are set;
 * nothing runs.
 */
TEST_F(Events, BadDoorbellsOnlySetErrorBits)
{
	auto take = [&] {
		const uint32_t bits = rig.reg(0x100000);
		rig.reg(0x100000, 0xffffffff);
		return bits;
	};
	EXPECT_EQ(take(), 0u);
	rig.zip.barWrite(4, 0x1000, 1ull << 32 | 1, 8);
	EXPECT_EQ(take(), 1u << 7) << "another queue through one's own window";
	rig.ring(Bell::Registers, 5, 0, 1);
	EXPECT_EQ(take(), 1u << 9) << "a queue that is not started";
	rig.ring(Bell::Registers, 5, 1, 1);
	EXPECT_EQ(take(), 1u << 8);
	rig.zip.barWrite(2, 0x1000, 0xfff, 8);
	EXPECT_EQ(take(), 1u << 9);
	rig.zip.barWrite(2, 0x1000, 1ull << 32 | 0x77ull << 16, 8);
	EXPECT_EQ(take(), 1u << 12) << "wrong key";
	rig.zip.barWrite(2, 0x1000, 0x5000, 8);
	EXPECT_EQ(take(), 0u);
	for (uint16_t index : {1024, 4096, 0xffff}) {
		for (Bell bell : {Bell::Window, Bell::SharedWord}) {
			rig.ring(bell, 0, 0, index);
			EXPECT_TRUE(eventually([&] { return rig.reg(0x100000) == 1u << 9; }));
			take();
			rig.ring(bell, 0, 1, index);
			EXPECT_TRUE(eventually([&] { return rig.reg(0x100000) == 1u << 8; }));
			take();
		}
		rig.ringEvents(index);
		rig.ringAsync(index);
	}
	/* The device ignores a head that no completion has reached. */
	rig.ring(Bell::Window, 0, 1, 500);
	complete(0, 5);
	EXPECT_EQ(rig.dump(1, 0)[0], 5u | 5u << 16);
}

/* QM-DB-4: halves of a doorbell, as 32-bit stores deliver it. */
TEST_F(Events, DoorbellsMayArriveInHalves)
{
	rig.putSqe(0, 0, quick());
	rig.putSqe(0, 1, quick());
	rig.zip.barWrite(2, 0x1000, 0, 4);
	settle();
	EXPECT_FALSE(rig.completed(0, 0));
	rig.zip.barWrite(2, 0x1004, 1, 4);
	EXPECT_TRUE(eventually([&] { return rig.completed(0, 0); }));
	rig.zip.barWrite(4, 0x1000, 0, 4);
	rig.zip.barWrite(4, 0x1004, 2, 4);
	EXPECT_TRUE(eventually([&] { return rig.completed(0, 1); }));
	EXPECT_EQ(rig.reg(0x100000), 0u);
}

} // namespace wd::machine::test
