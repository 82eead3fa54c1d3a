// SPDX-License-Identifier: Apache-2.0
/* What runs when software takes bus mastering away from the function (QM-MB-6). */
#include <thread>

#include "rig.h"

namespace wd::machine::test
{
namespace
{

constexpr uint64_t kIn = Rig::kData, kOut = Rig::kData + 0x1000000;
constexpr uint32_t kLength = 0x100000;

/**
 * Holds the device at its access to one address until bus mastering is off. Counts the accesses
 * that come after the write that switched it off.
 */
class BusMasterOff : public ::testing::Test
{
protected:
	void SetUp() override
	{
		const auto text = textLike(kLength);

		rig.start();
		rig.startQueue(0, 0);
		rig.memory.write(kIn, text.data(), text.size());
		rig.translated.onAccess = [this](uint64_t address) {
			late += off;
			if (address != stopAt.load())
				return;
			held = true;
			EXPECT_TRUE(eventually([this] { return !rig.zip.busMaster(); }));
		};
	}
	void switchOff()
	{
		rig.zip.configWrite(4, 0x2, 2);
		off = true;
	}
	void switchOn()
	{
		off = false;
		stopAt = 0;
		rig.zip.configWrite(4, 0x6, 2);
	}
	static Sqe request() { return Rig::flat(0x1, kIn, kLength, kOut, kLength); }

	std::atomic<uint64_t> stopAt{0};
	std::atomic<bool> held{false}, off{false};
	std::atomic<unsigned> late{0};
	Rig rig;
};

/* The request ends, with its completion and its event, before the write returns. */
TEST_F(BusMasterOff, ComesWhenTheRequestThatRunsHasEnded)
{
	stopAt = kIn;
	rig.putSqe(0, 0, request());
	rig.putSqe(0, 1, request());
	rig.ring(Bell::Window, 0, 0, 2);
	ASSERT_TRUE(eventually([&] { return held.load(); }));
	switchOff();
	EXPECT_TRUE(rig.completed(0, 0));
	EXPECT_EQ(rig.event(0), 0u);
	EXPECT_EQ(rig.getSqe(0, 0)[3] & 0xff, 0u);
	settle();
	EXPECT_FALSE(rig.completed(0, 1));
	EXPECT_EQ(late, 0u);
	switchOn();
	EXPECT_TRUE(eventually([&] { return rig.completed(0, 1); }));
	EXPECT_EQ(rig.getSqe(0, 1)[3] & 0xff, 0u);
}

/* A mailbox command reads its context before the write returns, or not at all. */
TEST_F(BusMasterOff, ComesWhenTheMailboxCommandThatRunsHasEnded)
{
	stopAt = Rig::kContext;
	std::thread command([&] { EXPECT_EQ(rig.loadSq(1, 0), 0u); });
	EXPECT_TRUE(eventually([&] { return held.load(); }));
	switchOff();
	EXPECT_EQ(rig.reg(0x300) & 0x2000, 0u);
	command.join();
	EXPECT_EQ(late, 0u);
	EXPECT_EQ(rig.loadSq(2, 0), 4u) << "no memory at the address";
	EXPECT_EQ(late, 0u);
}

} // namespace
} // namespace wd::machine::test
