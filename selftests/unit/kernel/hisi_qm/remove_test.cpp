// SPDX-License-Identifier: Apache-2.0
/* The device goes away under open files, and comes back. */
#include "../../../common/asleep.h"
#include "buffers.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/mman.h>
#include <thread>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "faulty_zip.h"

namespace wd::hisitest
{

namespace
{

class HisiRemove : public HisiTest
{
protected:
	static int unbind() { return Rig::unbind(); }
	static int bind() { return Rig::bind(); }
};

uint64_t *bellOf(const QueueFile &queue, long words)
{
	return reinterpret_cast<uint64_t *>(queue.mmio + words +
					    HISI_QM_DOORBELL_WORD(queue.number, HISI_QM_WORD_SQ));
}

} // namespace

TEST_F(HisiRemove, AndBindAgainWithoutUsers)
{
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(unbind(), 0);
		EXPECT_EQ(Rig::deviceName(), "");
		ASSERT_EQ(bind(), 0);
		EXPECT_EQ(Rig::attribute("selftest"), "passed");
		EXPECT_EQ(Rig::deviceName(), "hisi_zip-0") << "the number is free again";
	}
}

/* QM-UACCE-2 */
TEST_F(HisiRemove, TurnsOpenFilesIntoZombies)
{
	Space space(caller_);
	QueueFile started(caller_), opened(caller_);

	ASSERT_EQ(makeReady(started, space), 0);
	ASSERT_EQ(opened.open(), 0);
	started.dus[5] = 0x5a;
	ASSERT_EQ(unbind(), 0);

	EXPECT_EQ(started.put(), -ENXIO);
	EXPECT_EQ(started.detach(), -ENXIO);
	EXPECT_EQ(started.bind(space.fd), -ENXIO);
	EXPECT_EQ(opened.ioctl(UACCE_CMD_START_Q), -ENXIO);
	EXPECT_EQ(opened.bind(space.fd), -ENXIO);
	EXPECT_EQ(opened.ioctl(0x4711), -ENXIO);
	opened.dusSize = started.dusSize;
	EXPECT_LT(opened.map(), 0) << "no new mapping";
	EXPECT_EQ(started.poll(1000) & POLLHUP, POLLHUP);
	EXPECT_EQ(started.dus[5], 0x5a) << "mapped memory stays until munmap()";
	uint32_t flag;

	std::memcpy(&flag, started.dus + started.dusSize - HISI_QM_DUS_TX_STOP, sizeof(flag));
	EXPECT_EQ(flag, 1u) << "users are told to stop";
}

/* Attack: a doorbell mapping from before is used on the next owner of the same queue. */
TEST_F(HisiRemove, RevokesDoorbells)
{
	const long words = Rig::number("doorbell_words");
	Space space(caller_), next(caller_);
	QueueFile old(caller_), owner(caller_);

	ASSERT_EQ(makeReady(old, space), 0);
	ASSERT_EQ(unbind(), 0);
	ASSERT_EQ(bind(), 0);
	ASSERT_EQ(makeReady(owner, next), 0);
	ASSERT_EQ(owner.number, old.number) << "the same hardware queue";
	std::atomic_ref(*bellOf(old, words)).store(3, std::memory_order_release);
	EXPECT_EQ(std::atomic_ref(*bellOf(owner, words)).load(), 0u);
	test::settle();
	EXPECT_EQ(owner.poll(0), 0) << "nothing was executed";
}

TEST_F(HisiRemove, StopsDmaUnderLoad)
{
	{
		const Buffers buffers;
		Space space(caller_);
		QueueFile queue(caller_);

		ASSERT_EQ(buffers.map(space), 0);
		ASSERT_EQ(makeReady(queue, space), 0);
		for (unsigned i = 0; i + 1 < queue.depth; i++)
			queue.send(kSource, kSize, kDest, kSize);
		ASSERT_EQ(unbind(), 0);
		std::memset(buffers.memory, 0x11, 2 * kSize);
		test::settle();
		for (size_t i = 0; i < 2 * kSize; i++)
			ASSERT_EQ(buffers.memory[i], 0x11) << i;
	}
	ASSERT_EQ(bind(), 0);
	EXPECT_EQ(Rig::number("available_instances"), 15);
}

/* The driver gives a queue up that the device does not stop. A new probe resets the device. */
TEST_F(HisiRemove, ForgetsWhatWasGivenUp)
{
	{
		Space space(caller_);
		QueueFile queue(caller_);

		ASSERT_EQ(makeReady(queue, space), 0);
		rig_.zip().breakMailbox(kMailboxStop, FaultyZip::Fault::Status);
		EXPECT_EQ(queue.put(), -EIO);
	}
	EXPECT_EQ(Rig::number("available_instances"), 14);
	ASSERT_EQ(unbind(), 0);
	rig_.zip().repair();
	ASSERT_EQ(bind(), 0);
	EXPECT_EQ(Rig::number("available_instances"), 15);
}

/* Attack: files are opened, used and closed while the device comes and goes. */
TEST_F(HisiRemove, RacesWithItsUsers)
{
	std::atomic<bool> stop{false};
	std::atomic<unsigned> good{0};
	auto use = [&] {
		auto caller = hostkernel::Caller::create(1000);

		while (!stop) {
			Space space(caller);
			QueueFile queue(caller);

			if (!makeReady(queue, space))
				good++;
			queue.put();
		}
	};
	std::thread first(use), second(use);

	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(unbind(), 0);
		EXPECT_EQ(bind(), 0);
		const unsigned before = good;

		for (int wait = 0; good == before && wait < 1000; wait++)
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
	stop = true;
	first.join();
	second.join();
	EXPECT_GT(good, 0u);
	EXPECT_EQ(Rig::number("available_instances"), 15);
}

} // namespace wd::hisitest
