// SPDX-License-Identifier: Apache-2.0
/*
 * How long the driver waits for the device's registers. If the driver did not run, the device need
 * not be late. So the driver looks once more after its time is over, and counts only time in which
 * it looked.
 *
 * The test uses no real time: each read of a register lets time pass for the reader.
 */
#include "fixture.h"

#include <cerrno>

#include "faulty_zip.h"

namespace wd::hisitest
{

namespace
{

constexpr uint64_t kNanoseconds = 1000000000, kStep = 50000000;
constexpr uint64_t kMemoryDone = 0x100044, kVftReady = 0x10006c;
/* The driver waits 2 s for a command and 1 s for a register. Here each look takes 50 ms. */
constexpr unsigned kCommandLooks = 2000 / 50, kRegisterLooks = 1000 / 50;

class HisiDeadline : public HisiTest
{
protected:
	/** The device is ready at the @nth look of the driver; each look takes @ns. */
	void readyAfter(unsigned nth, uint64_t ns)
	{
		looks_ = 0;
		rig_.zip().onBusy = [=, this] {
			hostkernel::passTime(ns);
			if (++looks_ < nth)
				return;
			rig_.zip().repair();
			rig_.zip().restoreRegister();
		};
	}
	void late() { rig_.zip().breakMailbox(kMailboxCqc, FaultyZip::Fault::Late); }

	unsigned looks_ = 0;
};

TEST_F(HisiDeadline, ACommandIsLookedAtOnceMore)
{
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(queue.put(), 0);
	readyAfter(kCommandLooks, kStep);
	late();
	EXPECT_EQ(queue.start(), 0);
	EXPECT_EQ(looks_, kCommandLooks);
	EXPECT_EQ(queue.put(), 0);
}

/* As if the whole machine had stopped for ten seconds. */
TEST_F(HisiDeadline, TimeInWhichNobodyLookedAtACommandDoesNotCount)
{
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(queue.put(), 0);
	readyAfter(3, 10 * kNanoseconds);
	late();
	EXPECT_EQ(queue.start(), 0);
	EXPECT_EQ(queue.put(), 0);
}

TEST_F(HisiDeadline, ALateCommandHasFailed)
{
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(queue.put(), 0);
	readyAfter(kCommandLooks + 1, kStep);
	late();
	EXPECT_EQ(queue.start(), -ETIMEDOUT);
}

TEST_F(HisiDeadline, RegistersAreLookedAtOnceMore)
{
	for (const uint64_t offset : {kMemoryDone, kVftReady}) {
		for (const auto &[looks, ns] :
		     {std::pair{kRegisterLooks, kStep}, std::pair{3u, 10 * kNanoseconds}}) {
			ASSERT_EQ(Rig::unbind(), 0);
			readyAfter(looks, ns);
			rig_.zip().overrideRegister(offset, 0);
			EXPECT_EQ(Rig::bind(), 0) << std::hex << offset;
			EXPECT_EQ(looks_, looks);
		}
	}
	ASSERT_EQ(Rig::unbind(), 0);
	readyAfter(kRegisterLooks + 1, kStep);
	rig_.zip().overrideRegister(kMemoryDone, 0);
	EXPECT_EQ(Rig::bind(), -ETIMEDOUT);
	EXPECT_EQ(Rig::bind(), 0);
}

} // namespace

} // namespace wd::hisitest
