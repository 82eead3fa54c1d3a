// SPDX-License-Identifier: Apache-2.0
/* The machine sleeps and is shut down while the device has users of every kind. */
#include "buffers.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <thread>
#include <vector>

#include "machine/pci_function.h"

#include "../hisi_zip/crypto_side.h"

namespace wd::hisitest
{

namespace
{

/* Without FaultyZip, which keeps state that a real function loses. */
class HisiPower : public HisiTest
{
protected:
	HisiPower() : HisiTest(1, false) {}
	int prepare(Space &space, QueueFile &queue)
	{
		const int ret = buffers_.map(space);

		return ret ? ret : makeReady(queue, space);
	}
	static void fill(QueueFile &queue, uint64_t source, uint64_t dest)
	{
		for (unsigned i = 0; i + 1 < queue.depth; i++)
			queue.send(source, kSize, dest, kSize);
	}
	static int work(QueueFile &queue, uint64_t source, uint64_t dest)
	{
		queue.send(source, kSize, dest, kSize);
		return queue.wait();
	}

	Buffers buffers_;
};

} // namespace

TEST_F(HisiPower, StopsDmaTellsUsersAndLetsThemGoOn)
{
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(prepare(space, queue), 0);
	for (int round = 0; round < 3; round++) {
		fill(queue, kSource, kDest);
		ASSERT_EQ(
			hostkernel::systemSleep([&] { std::memset(buffers_.dest(), 0x11, kSize); }),
			0);
		for (size_t i = 0; i < kSize; i++)
			ASSERT_EQ(buffers_.dest()[i], 0x11) << i;
		EXPECT_EQ(queue.poll(0) & (POLLERR | POLLHUP), POLLERR);
		ASSERT_EQ(queue.start(), 0) << "still attached";
		EXPECT_EQ(queue.poll(0) & POLLERR, 0);
		EXPECT_EQ(work(queue, kSource, kDest), 0);
	}
	EXPECT_EQ(Rig::number("available_instances"), 14);
}

TEST_F(HisiPower, LetsProcessesGoOnInTheirAddressSpace)
{
	auto owner = hostkernel::Caller::create(1000);
	QueueFile queue(owner);
	const auto at = buffers_.source();

	ASSERT_EQ(queue.open(), 0);
	ASSERT_EQ(queue.map(), 0);
	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(queue.start(), 0);
		EXPECT_EQ(work(queue, at, at + kSize), 0);
		fill(queue, at, at + kSize);
		ASSERT_EQ(
			hostkernel::systemSleep([&] { std::memset(buffers_.dest(), 0x11, kSize); }),
			0);
		for (size_t i = 0; i < kSize; i++)
			ASSERT_EQ(buffers_.dest()[i], 0x11) << i;
		EXPECT_EQ(queue.poll(0) & (POLLERR | POLLHUP), POLLERR);
	}
}

/* A caller in poll() does not keep the machine awake, and wakes with it. */
TEST_F(HisiPower, WakesWhoWaits)
{
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(prepare(space, queue), 0);
	ASSERT_EQ(work(queue, kSource, kDest), 0);
	queue.poll(0);
	std::thread waiter([&] {
		while (!(queue.poll(-1) & POLLERR))
			;
	});

	ASSERT_EQ(hostkernel::systemSleep(), 0);
	waiter.join();
	EXPECT_EQ(queue.put(), 0);
}

TEST_F(HisiPower, KeepsTheKernelsRequestsGoing)
{
	std::atomic<bool> stop{false};
	std::atomic<unsigned> done{0};
	std::thread kernel([&] {
		std::vector<uint8_t> in(4096, 'w'), out(8192);
		Deflate deflate;

		while (!stop) {
			Job job(deflate);

			EXPECT_EQ(job.run(Way::Compress, in.data(), in.size(), out.data(),
					  out.size()),
				  0);
			done++;
		}
	});

	for (int round = 0; round < 5; round++) {
		const unsigned before = done;

		while (done == before)
			std::this_thread::yield();
		ASSERT_EQ(hostkernel::systemSleep(), 0);
	}
	const long requests = Rig::number("kernel_requests");

	while (Rig::number("kernel_requests") == requests)
		std::this_thread::yield();
	stop = true;
	kernel.join();
}

TEST_F(HisiPower, BindsAgain)
{
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	ASSERT_EQ(Rig::unbind(), 0);
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	ASSERT_EQ(Rig::bind(), 0);
	EXPECT_EQ(Rig::attribute("selftest"), "passed");
}

/* Attack: users come, work and go while the machine sleeps and wakes. */
TEST_F(HisiPower, RacesWithItsUsers)
{
	std::atomic<bool> stop{false};
	std::atomic<unsigned> good{0};
	auto use = [&] {
		auto caller = hostkernel::Caller::create(1000);

		while (!stop) {
			Space space(caller);
			QueueFile queue(caller);

			EXPECT_EQ(makeReady(queue, space), 0);
			queue.poll(0);
			queue.put();
			good++;
		}
	};
	std::thread first(use), second(use);

	for (int i = 0; i < 20; i++) {
		const unsigned before = good;

		EXPECT_EQ(hostkernel::systemSleep(), 0);
		while (good == before)
			std::this_thread::yield();
	}
	stop = true;
	first.join();
	second.join();
	EXPECT_EQ(Rig::number("available_instances"), 15);
}

TEST_F(HisiPower, AShutdownLeavesNoDma)
{
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(prepare(space, queue), 0);
	fill(queue, kSource, kDest);
	hostkernel::systemShutdown();
	std::memset(buffers_.dest(), 0x11, kSize);
	queue.send(kSource, kSize, kDest, kSize);
	for (const machine::MachineFunction &f : rig_.machine().functions())
		EXPECT_FALSE(f.function->busMaster());
	EXPECT_EQ(queue.poll(0) & POLLERR, POLLERR);
	for (size_t i = 0; i < kSize; i++)
		ASSERT_EQ(buffers_.dest()[i], 0x11) << i;
}

} // namespace wd::hisitest
