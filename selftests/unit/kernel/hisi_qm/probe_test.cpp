// SPDX-License-Identifier: Apache-2.0
/* Probe and remove, on hardware that works and on hardware that does not. */
#include "fixture.h"

#include "faulty_zip.h"

namespace wd::hisitest
{

namespace
{

constexpr uint64_t kIsolation = 0x30, kDepths = 0x3108, kQueues = 0x100158;

/** Each test boots the Rig, so that it can break the hardware before. */
class HisiProbe : public HisiTest
{
protected:
	void SetUp() override { up_ = false; }
	void boot()
	{
		rig_.boot();
		up_ = true;
	}
};

} // namespace

TEST_F(HisiProbe, RepeatsWithoutALeak)
{
	for (int i = 0; i < 3; i++) {
		boot();
		EXPECT_EQ(Rig::attribute("selftest"), "passed");
		EXPECT_EQ(Rig::number("available_instances"), 15) << "of 16, one is the kernel's";
		shutdown();
	}
}

TEST_F(HisiProbe, FailsWhenTheEventQueueIsRefused)
{
	rig_.zip().breakMailbox(kMailboxEqc, FaultyZip::Fault::Status);
	boot();
	EXPECT_EQ(Rig::deviceName(), "");
	EXPECT_GT(rig_.zip().hits(), 0u);
}

TEST_F(HisiProbe, FailsWhenTheMailboxNeverAnswers)
{
	rig_.zip().breakMailbox(kMailboxEqc, FaultyZip::Fault::Busy);
	boot();
	EXPECT_EQ(Rig::deviceName(), "");
}

TEST_F(HisiProbe, GoesOnWhenOnlyTheSelfTestFails)
{
	rig_.zip().breakMailbox(kMailboxSqc, FaultyZip::Fault::Status);
	boot();
	EXPECT_EQ(Rig::attribute("selftest"), "failed");
	rig_.zip().repair();
	Space space(caller_);
	QueueFile queue(caller_);

	EXPECT_EQ(makeReady(queue, space), 0);
}

TEST_F(HisiProbe, FailsWhenTheKernelQueueDoesNotStop)
{
	rig_.zip().breakMailbox(kMailboxStop, FaultyZip::Fault::Status);
	boot();
	EXPECT_EQ(Rig::deviceName(), "");
	EXPECT_GT(rig_.zip().hits(), 0u);
}

TEST_F(HisiProbe, RefusesADeviceWithoutQueues)
{
	for (uint32_t total : {0u, 1u}) {
		rig_.zip().overrideRegister(kQueues, total | total << 11);
		boot();
		EXPECT_EQ(Rig::deviceName(), "") << total;
		shutdown();
	}
}

TEST_F(HisiProbe, RefusesDepthsThatCannotWork)
{
	for (uint32_t depths :
	     {0u, 0x04000000u, 0x00000400u, 0x02000400u, 0x00100010u, 0x04010401u, 0xffffffffu}) {
		rig_.zip().overrideRegister(kDepths, depths);
		boot();
		EXPECT_EQ(Rig::deviceName(), "") << std::hex << depths;
		shutdown();
	}
}

/* Without isolation of doorbells every process could ring the doorbell of every queue. */
TEST_F(HisiProbe, GivesNoQueuesToUsersWithoutDoorbellIsolation)
{
	rig_.zip().overrideRegister(kIsolation, 0);
	boot();
	EXPECT_EQ(Rig::deviceName(), "");
}

} // namespace wd::hisitest
