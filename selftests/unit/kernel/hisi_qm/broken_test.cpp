// SPDX-License-Identifier: Apache-2.0
/* Queues that the device did not stop in time: they can be used again after it has stopped them. */
#include "fixture.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <unistd.h>

#include "../../../common/asleep.h"
#include "faulty_zip.h"

namespace wd::hisitest
{

namespace
{

constexpr size_t kWindow = 0x10000;

class HisiBroken : public HisiTest
{
protected:
	void breakStop(const QueueFile &queue, FaultyZip::Fault fault = FaultyZip::Fault::Status)
	{
		rig_.zip().breakMailbox(kMailboxStop, fault, static_cast<int>(queue.number));
	}
	/** Wait: the kernel asks the device from time to time. */
	static bool available(long count)
	{
		return test::eventually(
			[count] { return Rig::number("available_instances") == count; });
	}
};

} // namespace

TEST_F(HisiBroken, ComesBackAfterItsOwnerHasGone)
{
	Space space(caller_);
	uint32_t pasid;
	{
		QueueFile queue(caller_);

		ASSERT_EQ(makeReady(queue, space), 0);
		pasid = queue.pasid;
		breakStop(queue);
		EXPECT_EQ(queue.put(), -EIO);
	}
	EXPECT_EQ(Rig::number("available_instances"), 14);
	rig_.zip().repair();
	EXPECT_TRUE(available(15));
	QueueFile next(caller_);

	ASSERT_EQ(next.open(), 0);
	ASSERT_EQ(next.bind(space.fd), 0);
	EXPECT_EQ(next.attach(space.hwpt, pasid), 0) << "its PASID, too";
	ASSERT_EQ(next.map(), 0);
	EXPECT_EQ(next.start(), 0);
	EXPECT_EQ(next.number, 1u);
}

TEST_F(HisiBroken, ComesBackUnderItsOwner)
{
	Space space(caller_);
	QueueFile queue(caller_), other(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(makeReady(other, space), 0);
	breakStop(queue);
	EXPECT_EQ(queue.put(), -EIO);
	other.close();
	EXPECT_TRUE(available(14)) << "the other one stops as usual";
	rig_.zip().repair();
	EXPECT_EQ(queue.start(), -ENXIO) << "but not for this file";
	queue.close();
	EXPECT_TRUE(available(15));
}

/* The device finishes the command late: the driver has given the queue up before. */
TEST_F(HisiBroken, ComesBackWhenTheCommandIsLate)
{
	Space space(caller_);
	{
		QueueFile queue(caller_);

		ASSERT_EQ(makeReady(queue, space), 0);
		breakStop(queue, FaultyZip::Fault::Busy);
		EXPECT_EQ(queue.put(), -EIO);
	}
	EXPECT_EQ(Rig::number("available_instances"), 14);
	rig_.zip().repair();
	EXPECT_TRUE(available(15));
}

/*
 * The mapping of the rings holds the last reference to the file. During its munmap() each
 * allocation fails once, and the device refuses the command that stops the queue, or is late with
 * it.
 */
TEST_F(HisiBroken, ComesBackAfterMunmapWithFailures)
{
	for (FaultyZip::Fault fault : {FaultyZip::Fault::Status, FaultyZip::Fault::Busy}) {
		const pid_t self = gettid();
		std::atomic<bool> asked{false};
		uint64_t seen = 0;

		/* At the driver's next look its waiting time is over. */
		rig_.zip().onBusy = [self, &asked] {
			if (gettid() == self)
				hostkernel::passTime(10'000'000'000);
			else
				asked = true;
		};
		for (uint64_t n = 1; n == 1 || n <= seen; n++) {
			Space space(caller_);
			QueueFile queue(caller_);

			ASSERT_EQ(makeReady(queue, space), 0);
			ASSERT_EQ(caller_->munmap(queue.mmio, kWindow), 0);
			ASSERT_EQ(caller_->close(queue.fd), 0);
			queue.mmio = nullptr;
			queue.fd = -1;
			EXPECT_EQ(Rig::number("available_instances"), 14);
			breakStop(queue, fault);
			hostkernel::failNth(hostkernel::FailPoint::Allocation, n);
			const int error = caller_->munmap(queue.dus, queue.dusSize);

			seen = hostkernel::failNth(hostkernel::FailPoint::Allocation, 0);
			EXPECT_TRUE(!error || error == -ENOMEM) << error << " at " << n;
			if (error) {
				EXPECT_EQ(caller_->munmap(queue.dus, queue.dusSize), 0);
			}
			queue.dus = nullptr;
			const unsigned hits = rig_.zip().hits();

			EXPECT_GT(hits, 0u);
			EXPECT_TRUE(test::eventually([&] {
				return asked || rig_.zip().hits() > hits;
			})) << "the driver asks, in vain";
			asked = false;
			EXPECT_EQ(Rig::number("available_instances"), 14) << "the device has it";
			rig_.zip().repair();
			EXPECT_TRUE(available(15)) << "allocation " << n;
		}
		rig_.zip().onBusy = nullptr;
	}
}

TEST_F(HisiBroken, ComesBackWhenAStartHasFailed)
{
	Space space(caller_);
	{
		QueueFile queue(caller_);

		ASSERT_EQ(makeReady(queue, space), 0);
		ASSERT_EQ(queue.put(), 0);
		rig_.zip().breakMailbox(kMailboxCqc, FaultyZip::Fault::Busy);
		EXPECT_EQ(queue.start(), -ETIMEDOUT);
		EXPECT_EQ(queue.start(), -ENXIO);
	}
	EXPECT_EQ(Rig::number("available_instances"), 14);
	rig_.zip().repair();
	EXPECT_TRUE(available(15));
}

/*
 * The device is slow with a command. A caller that waits for the mailbox can be killed.
 */
TEST_F(HisiBroken, WhoWaitsForTheMailboxCanBeKilled)
{
	auto victim = hostkernel::Caller::create(1000);
	Space space(caller_), other(victim);
	QueueFile queue(caller_), waiting(victim);
	std::atomic<bool> held{false}, go{false};
	std::atomic<pid_t> waiter{0};

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(makeReady(waiting, other), 0);
	ASSERT_EQ(waiting.put(), 0);
	rig_.zip().onBusy = [&] {
		held = true;
		while (!go)
			std::this_thread::yield();
	};
	breakStop(queue, FaultyZip::Fault::Busy);
	std::thread holder([&] { EXPECT_EQ(queue.put(), 0); });

	while (!held)
		std::this_thread::yield();
	auto start = std::async(std::launch::async, [&] {
		waiter = gettid();
		return waiting.start();
	});

	while (!waiter)
		std::this_thread::yield();
	test::untilAsleep(waiter);
	victim->kill();
	EXPECT_EQ(start.wait_for(std::chrono::minutes(2)), std::future_status::ready);
	rig_.zip().repair();
	go = true;
	EXPECT_EQ(start.get(), -EINTR);
	holder.join();
	rig_.zip().onBusy = nullptr;
}

TEST_F(HisiBroken, IsMendedByAReset)
{
	Space space(caller_);
	QueueFile open(caller_);
	{
		QueueFile queue(caller_);

		ASSERT_EQ(makeReady(open, space), 0);
		ASSERT_EQ(makeReady(queue, space), 0);
		rig_.zip().breakMailbox(kMailboxStop, FaultyZip::Fault::Status);
		EXPECT_EQ(queue.put(), -EIO);
		EXPECT_EQ(open.put(), -EIO);
	}
	EXPECT_EQ(Rig::number("available_instances"), 13);
	ASSERT_EQ(Rig::reset(), 0);
	EXPECT_EQ(Rig::number("available_instances"), 14);
	EXPECT_EQ(open.start(), -ENXIO);
	open.close();
	EXPECT_EQ(Rig::number("available_instances"), 15);
	rig_.zip().repair();
}

} // namespace wd::hisitest
