// SPDX-License-Identifier: Apache-2.0
/* A function level reset while the device has users of every kind. */
#include "../../../common/asleep.h"
#include "buffers.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <poll.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "../hisi_zip/crypto_side.h"
#include "faulty_zip.h"

namespace wd::hisitest
{

namespace
{

uint32_t stopFlags(const QueueFile &queue)
{
	uint32_t tx, rx;

	std::memcpy(&tx, queue.dus + queue.dusSize - HISI_QM_DUS_TX_STOP, sizeof(tx));
	std::memcpy(&rx, queue.dus + queue.dusSize - HISI_QM_DUS_RX_STOP, sizeof(rx));
	return tx + rx;
}

int work(QueueFile &queue)
{
	queue.send(kSource, kSize, kDest, kSize);
	return queue.wait();
}

using HisiReset = HisiTest;

class HisiResetSva : public HisiTest
{
protected:
	HisiResetSva() : HisiTest(1, false) {}
};

} // namespace

TEST_F(HisiReset, TellsUsersWhoGoOnWithTheSameFile)
{
	const long before = Rig::number("available_instances");
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_);

	ASSERT_EQ(buffers.error, 0);
	ASSERT_EQ(makeReady(queue, space), 0);
	rig_.zip().hold(true);
	for (unsigned i = 0; i < 8; i++)
		queue.send(kSource, kSize, kDest, kSize);
	rig_.zip().onReset = [&] { rig_.zip().hold(false); };
	ASSERT_EQ(Rig::reset(), 0);
	rig_.zip().onReset = nullptr;

	EXPECT_EQ(queue.poll(0) & (POLLERR | POLLHUP), POLLERR) << "told, and not a zombie";
	EXPECT_EQ(stopFlags(queue), 2u) << "nothing more will come";
	EXPECT_EQ(Rig::number("available_instances"), before - 1);
	for (int round = 0; round < 2; round++) {
		ASSERT_EQ(queue.start(), 0) << "still attached";
		EXPECT_EQ(queue.poll(0) & POLLERR, 0);
		EXPECT_EQ(work(queue), 0);
		ASSERT_EQ(queue.put(), 0);
	}
	queue.close();
	EXPECT_EQ(Rig::number("available_instances"), before);
}

TEST_F(HisiReset, LeavesNothingToDoForThoseWhoJustClose)
{
	const long before = Rig::number("available_instances");
	Space space(caller_);
	{
		QueueFile closed(caller_), put(caller_), detached(caller_), idle(caller_);

		ASSERT_EQ(makeReady(closed, space), 0);
		ASSERT_EQ(makeReady(put, space), 0);
		ASSERT_EQ(makeReady(detached, space), 0);
		ASSERT_EQ(idle.open(), 0);
		ASSERT_EQ(Rig::reset(), 0);
		EXPECT_EQ(idle.poll(0), 0) << "nothing happened to a queue that was not started";
		EXPECT_EQ(put.put(), 0);
		EXPECT_EQ(put.start(), 0);
		EXPECT_EQ(detached.detach(), 0);
		EXPECT_EQ(detached.start(), -EOPNOTSUPP);
		EXPECT_EQ(detached.attach(space.hwpt), 0);
		EXPECT_EQ(detached.start(), 0);
	}
	EXPECT_EQ(Rig::number("available_instances"), before);
}

TEST_F(HisiReset, ServesNewUsersAfterwards)
{
	for (int round = 0; round < 3; round++) {
		Space space(caller_);
		Buffers buffers(space);
		QueueFile queue(caller_);

		ASSERT_EQ(Rig::reset(), 0);
		ASSERT_EQ(makeReady(queue, space), 0);
		EXPECT_EQ(work(queue), 0);
		EXPECT_EQ(queue.poll(10000) & POLLIN, POLLIN) << "events come";
	}
}

/* Calls of the owner on a queue do not wait for the reset; open() and START_Q do. */
TEST_F(HisiReset, HoldsUpOnlyWhatNeedsTheDevice)
{
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_), closed(caller_), other(caller_);
	std::atomic<int> started{1}, opened{1};
	std::vector<std::thread> threads;
	const auto expectWaits = [&](std::atomic<int> &result, const std::function<int()> &call) {
		const auto thread = std::make_shared<std::atomic<pid_t>>(0);

		threads.emplace_back([&result, thread, call] {
			*thread = gettid();
			thread->notify_all();
			result = call();
		});
		thread->wait(0);
		test::untilAsleep(*thread);
		test::settle();
		EXPECT_EQ(result, 1) << "during the reset";
	};

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(makeReady(closed, space), 0);
	rig_.zip().onReset = [&] {
		EXPECT_EQ(queue.poll(0) & POLLERR, POLLERR);
		EXPECT_EQ(queue.put(), 0);
		EXPECT_EQ(queue.detach(), 0);
		EXPECT_EQ(queue.attach(space.hwpt), 0);
		closed.close();
		expectWaits(started, [&] { return queue.start(); });
		expectWaits(opened, [&] { return other.open(); });
	};
	ASSERT_EQ(Rig::reset(), 0);
	rig_.zip().onReset = nullptr;
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(started, 0);
	EXPECT_EQ(opened, 0);
	EXPECT_EQ(work(queue), 0);
}

/*
 * The function is reset after START_Q has prepared the queue, and works again before the device
 * gets the queue. Driver and device must agree on whether it is started.
 */
TEST_F(HisiReset, DuringAStart)
{
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_);
	unsigned resets = 0;

	ASSERT_EQ(buffers.error, 0);
	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(queue.put(), 0);
	{
		hostkernel::MutexHook hook("&qm->mailbox_lock", [&] {
			if (resets++)
				return;
			std::thread([] { EXPECT_EQ(Rig::reset(), 0); }).join();
		});
		ASSERT_EQ(queue.start(), 0);
	}
	EXPECT_GT(resets, 1u) << "the queue was given to the device once more";
	EXPECT_EQ(queue.poll(0) & POLLERR, 0) << "for the driver it is started";
	EXPECT_EQ(work(queue), 0);
	/* Stopped for the driver, and for the device, which does not read the ring any more. */
	rig_.zip().hold(true);
	queue.send(kSource, kSize, kDest, kSize);
	rig_.zip().hold(false);
	ASSERT_EQ(queue.put(), 0);
	EXPECT_EQ(queue.wait(), 0) << "STOP_QP has waited for it";
	ASSERT_EQ(queue.start(), 0);
	EXPECT_EQ(work(queue), 0);
}

/* The kernel's requests do not wait either: another device does them, or software. */
TEST_F(HisiReset, FinishesTheKernelsRequests)
{
	std::vector<uint8_t> in(4096, 'w'), out(8192);
	std::vector<std::unique_ptr<Job>> jobs;
	std::vector<int> submitted;
	std::vector<std::vector<uint8_t>> outs;
	Deflate deflate;

	rig_.zip().hold(true);
	for (unsigned i = 0; i < 300; i++) {
		outs.emplace_back(8192);
		jobs.push_back(std::make_unique<Job>(deflate));
		submitted.push_back(jobs[i]->submit(Way::Compress, in.data(), in.size(),
						    outs[i].data(), outs[i].size()));
	}
	rig_.zip().onReset = [&] { rig_.zip().hold(false); };
	ASSERT_EQ(Rig::reset(), 0);
	rig_.zip().onReset = nullptr;
	for (unsigned i = 0; i < 300; i++)
		EXPECT_EQ(jobs[i]->wait(submitted[i]), 0) << i;
	jobs.clear();

	const long before = Rig::number("kernel_requests");
	Job job(deflate);

	EXPECT_EQ(job.run(Way::Compress, in.data(), in.size(), out.data(), out.size()), 0);
	EXPECT_EQ(Rig::number("kernel_requests"), before + 1) << "the device is used again";
}

/* A reset frees a device that hangs. */
TEST_F(HisiReset, RevivesADeviceThatHangs)
{
	const long before = Rig::number("available_instances");
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	rig_.zip().breakMailbox(kMailboxSqc, FaultyZip::Fault::Busy);
	rig_.zip().onReset = [&] { rig_.zip().repair(); };
	ASSERT_EQ(Rig::reset(), 0);
	rig_.zip().onReset = nullptr;
	EXPECT_EQ(queue.poll(0) & (POLLERR | POLLHUP), POLLERR);
	ASSERT_EQ(queue.start(), 0);
	EXPECT_EQ(work(queue), 0);
	queue.close();
	EXPECT_EQ(Rig::number("available_instances"), before);
}

TEST_F(HisiReset, SaysThatTheDeviceDidNotComeBack)
{
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_), late(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	rig_.zip().breakMailbox(kMailboxEqc, FaultyZip::Fault::Status);
	ASSERT_EQ(Rig::reset(), 0);
	EXPECT_EQ(queue.poll(0) & POLLERR, POLLERR);
	EXPECT_EQ(queue.start(), -EIO);
	EXPECT_EQ(late.open(), -EIO);
	EXPECT_EQ(queue.put(), 0);
	rig_.zip().repair();
	ASSERT_EQ(Rig::reset(), 0) << "another try";
	ASSERT_EQ(queue.start(), 0);
	EXPECT_EQ(work(queue), 0);
}

TEST_F(HisiReset, OfADeviceThatDidNotComeBackAllowsUnbinding)
{
	QueueFile queue(caller_);

	ASSERT_EQ(queue.open(), 0);
	rig_.zip().breakMailbox(kMailboxEqc, FaultyZip::Fault::Status);
	ASSERT_EQ(Rig::reset(), 0);
	rig_.zip().repair();
	ASSERT_EQ(Rig::unbind(), 0);
	EXPECT_EQ(queue.put(), -ENXIO);
	ASSERT_EQ(Rig::bind(), 0);
	EXPECT_EQ(Rig::attribute("selftest"), "passed");
}

TEST_F(HisiResetSva, LetsProcessesGoOn)
{
	auto owner = hostkernel::Caller::create(1000);
	const Buffers buffers;
	QueueFile queue(owner);
	const auto at = buffers.source();

	ASSERT_EQ(queue.open(), 0);
	ASSERT_EQ(queue.map(), 0);
	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(queue.start(), 0);
		queue.send(at, kSize, at + kSize, kSize);
		EXPECT_EQ(queue.wait(), 0);
		for (unsigned i = 0; i + 1 < queue.depth; i++)
			queue.send(at, kSize, at + kSize, kSize);
		ASSERT_EQ(Rig::reset(), 0);
		EXPECT_EQ(queue.poll(0) & (POLLERR | POLLHUP), POLLERR);
	}
}

/* Attack: resets while users and the kernel's requests come, work and go. */
TEST_F(HisiReset, RacesWithItsUsers)
{
	std::atomic<bool> stop{false};
	std::atomic<unsigned> good{0};
	auto use = [&] {
		auto caller = hostkernel::Caller::create(1000);

		while (!stop) {
			Space space(caller);
			Buffers buffers(space);
			QueueFile queue(caller);

			if (!makeReady(queue, space)) {
				queue.send(kSource, kSize, kDest, kSize);
				while (!stopFlags(queue) && queue.wait(1) == -ETIMEDOUT)
					;
				good++;
			}
			queue.put();
		}
	};
	auto compress = [&] {
		std::vector<uint8_t> in(4096, 'w'), out(8192);
		Deflate deflate;

		while (!stop) {
			Job job(deflate);

			EXPECT_EQ(job.run(Way::Compress, in.data(), in.size(), out.data(),
					  out.size()),
				  0);
		}
	};
	std::thread first(use), second(use), third(compress);

	for (int i = 0; i < 20; i++) {
		const unsigned before = good;

		EXPECT_EQ(Rig::reset(), 0);
		for (int wait = 0; good == before && wait < 1000; wait++)
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
	stop = true;
	first.join();
	second.join();
	third.join();
	EXPECT_GT(good, 0u);
	EXPECT_EQ(Rig::number("available_instances"), 15);
}

} // namespace wd::hisitest
