// SPDX-License-Identifier: Apache-2.0
/* The driver of the SEC: its device file, and requests of a user. */
#include "../hisi_qm/buffers.h"

#include <array>
#include <vector>

namespace wd::hisitest
{

namespace
{

machine::MachineDescription describeSec(std::vector<std::string> algorithms)
{
	machine::MachineDescription description = describe(16, 1);

	description.accelerators[0].kind = machine::AcceleratorKind::Sec;
	description.accelerators[0].algorithms = std::move(algorithms);
	return description;
}

class HisiSec : public HisiTest
{
protected:
	HisiSec() : HisiTest(describeSec({"cipher", "digest", "aead"})) {}

	/* SHA-256 of the first @length bytes of the source, to the destination (SEC-MAC-1). */
	static std::array<uint32_t, 32> digest(uint64_t source, uint32_t length, uint64_t mac)
	{
		std::array<uint32_t, 32> words{};

		words[0] = 3;
		words[4] = static_cast<uint32_t>(source);
		words[5] = static_cast<uint32_t>(source >> 32);
		words[14] = 1 | 8 << 4 | 1 << 15;
		words[17] = length;
		words[21] = static_cast<uint32_t>(mac);
		words[22] = static_cast<uint32_t>(mac >> 32);
		return words;
	}
	/** @return word 28 of the descriptor, after it is done. */
	static uint32_t run(QueueFile &queue, const std::array<uint32_t, 32> &words)
	{
		const unsigned slot = queue.sendRaw(words.data());
		uint32_t done = 0;

		EXPECT_EQ(queue.wait(), 0);
		std::memcpy(&done, queue.dus + slot * 128 + 28 * 4, sizeof(done));
		return done;
	}
};

class HisiSecDigest : public HisiTest
{
protected:
	HisiSecDigest() : HisiTest(describeSec({"digest"})) {}
};

/* SHA-256 of three times 'w' */
constexpr uint8_t kSum[] = {0x7c, 0x2e, 0xcd, 0x07, 0xf1, 0x55, 0x64, 0x84};

} // namespace

/* SEC-FUNC-1 to SEC-FUNC-3 */
TEST_F(HisiSec, ShowsItselfAndPassesItsTest)
{
	EXPECT_EQ(Rig::deviceName(), "hisi_sec-0");
	EXPECT_EQ(Rig::attribute("algorithms"), "cipher\ndigest\naead");
	EXPECT_EQ(Rig::attribute("selftest"), "passed");
}

/* The driver writes the classes that the device has. The self test needs ciphers. */
TEST_F(HisiSecDigest, ShowsTheClassesOfTheDevice)
{
	EXPECT_EQ(Rig::attribute("algorithms"), "digest");
	EXPECT_EQ(Rig::attribute("selftest"), "not run");
}

TEST_F(HisiSec, UsersReachOnlyTheirMemory)
{
	Space space(caller_);
	QueueFile queue(caller_);
	Buffers buffers;

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(buffers.map(space), 0);
	EXPECT_GT(queue.pasid, 0u);
	EXPECT_EQ(run(queue, digest(kSource, 3, kDest)), 0x81u);
	EXPECT_EQ(std::memcmp(buffers.dest(), kSum, sizeof(kSum)), 0);
	/* SEC-DONE-2: not mapped, and the queue still works */
	EXPECT_EQ(run(queue, digest(0x40000000, 3, kDest)), 0x00070001u);
	EXPECT_EQ(run(queue, digest(kSource, 3, kDest)), 0x81u);
}

TEST_F(HisiSec, LeavesAndComesBack)
{
	const std::string driver = "/sys/bus/pci/drivers/hisi_sec/";

	ASSERT_EQ(hostkernel::sysfsWrite(driver + "unbind", Rig::kAddress), 0);
	EXPECT_EQ(Rig::deviceName(), "");
	ASSERT_EQ(hostkernel::sysfsWrite(driver + "bind", Rig::kAddress), 0);
	EXPECT_EQ(Rig::attribute("selftest"), "passed");
}

/* The engine starts again after a reset. */
TEST_F(HisiSec, WorksAfterAReset)
{
	ASSERT_EQ(Rig::reset(), 0);
	Space space(caller_);
	QueueFile queue(caller_);
	Buffers buffers;

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(buffers.map(space), 0);
	EXPECT_EQ(run(queue, digest(kSource, 3, kDest)), 0x81u);
}

/* A sleep stops queues, and the device serves new ones after it. */
TEST_F(HisiSec, Sleeps)
{
	{
		Space space(caller_);
		QueueFile queue(caller_);

		ASSERT_EQ(makeReady(queue, space), 0);
		ASSERT_EQ(hostkernel::systemSleep([] {}), 0);
	}
	Space space(caller_);
	QueueFile queue(caller_);
	Buffers buffers;

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(buffers.map(space), 0);
	EXPECT_EQ(run(queue, digest(kSource, 3, kDest)), 0x81u);
}

} // namespace wd::hisitest
