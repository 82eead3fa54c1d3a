// SPDX-License-Identifier: Apache-2.0
/* Queue files with failing hardware, with failing allocations, and at the end of their owners. */
#include "../../../common/asleep.h"
#include "buffers.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <sys/mman.h>
#include <thread>
#include <vector>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "faulty_zip.h"

namespace wd::hisitest
{

namespace
{

using HisiQueue = HisiTest;

void fill(QueueFile &queue)
{
	for (unsigned i = 0; i + 1 < queue.depth; i++)
		queue.send(kSource, kSize, kDest, kSize);
}

} // namespace

TEST_F(HisiQueue, CompressesThroughItsAddressSpace)
{
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_);

	ASSERT_EQ(buffers.error, 0);
	ASSERT_EQ(makeReady(queue, space), 0);
	queue.send(kSource, kSize, kDest, kSize);
	EXPECT_EQ(queue.wait(), 0);
	EXPECT_EQ(queue.poll(10000), POLLIN);
}

TEST_F(HisiQueue, StaysInInitWhenTheDeviceRefusesAContext)
{
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(queue.put(), 0);
	for (unsigned command : {kMailboxSqc, kMailboxCqc}) {
		rig_.zip().breakMailbox(command, FaultyZip::Fault::Status);
		EXPECT_EQ(queue.start(), -EIO);
		EXPECT_GT(rig_.zip().hits(), 0u);
		rig_.zip().repair();
		EXPECT_EQ(queue.start(), 0) << "after a failed start";
		EXPECT_EQ(queue.put(), 0);
	}
}

/* The device may still use the queue's memory, number and PASID: no other queue gets them. */
TEST_F(HisiQueue, IsGivenUpWhenTheDeviceDoesNotStopIt)
{
	const long before = Rig::number("available_instances");
	Space space(caller_);
	Buffers buffers(space);
	uint32_t pasid;
	{
		QueueFile queue(caller_);

		ASSERT_EQ(makeReady(queue, space), 0);
		pasid = queue.pasid;
		rig_.zip().breakMailbox(kMailboxStop, FaultyZip::Fault::Status,
					static_cast<int>(queue.number));
		EXPECT_EQ(queue.put(), -EIO);
		EXPECT_EQ(queue.put(), -ENXIO);
		EXPECT_EQ(queue.start(), -ENXIO);
		EXPECT_EQ(queue.detach(), -ENXIO);
		EXPECT_EQ(queue.ioctl(0), -ENXIO) << "an unknown request too";
		EXPECT_EQ(queue.poll(1000) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
		queue.dus[0] = 1;
		EXPECT_EQ(queue.dus[0], 1) << "mapped memory stays";
	}
	EXPECT_EQ(Rig::number("available_instances"), before - 1);
	QueueFile next(caller_);

	ASSERT_EQ(next.open(), 0);
	ASSERT_EQ(next.bind(space.fd), 0);
	EXPECT_EQ(next.attach(space.hwpt, pasid), -EBUSY);
	EXPECT_EQ(next.attach(space.hwpt), 0) << "another PASID";
	EXPECT_NE(next.pasid, pasid);
}

TEST_F(HisiQueue, TimesOutWhenAStopNeverEnds)
{
	Space space(caller_);
	QueueFile queue(caller_), other(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	ASSERT_EQ(makeReady(other, space), 0);
	rig_.zip().breakMailbox(kMailboxStop, FaultyZip::Fault::Busy);
	EXPECT_EQ(queue.put(), -EIO);
	rig_.zip().repair();
	EXPECT_EQ(other.put(), 0) << "the mailbox works again";
	EXPECT_EQ(other.start(), 0);
}

/* Attack: each allocation in turn fails. */
TEST_F(HisiQueue, SurvivesEveryFailingAllocation)
{
	const long before = Rig::number("available_instances");
	Space space(caller_);
	bool failed = true;
	uint64_t n;

	for (n = 1; failed && n < 200; n++) {
		QueueFile queue(caller_);

		hostkernel::failNth(hostkernel::FailPoint::Allocation, n);
		const int error = makeReady(queue, space);

		hostkernel::failNth(hostkernel::FailPoint::Allocation, 0);
		failed = error != 0;
		EXPECT_TRUE(!error || error == -ENOMEM) << error << " at allocation " << n;
		queue.close();
		EXPECT_EQ(Rig::number("available_instances"), before) << "allocation " << n;
	}
	EXPECT_GT(n, 10u) << "allocations were failed";
	EXPECT_FALSE(failed) << "it never succeeded";
}

/* Attack: a page of the caller vanishes while the kernel copies. */
TEST_F(HisiQueue, SurvivesEveryFailingCopy)
{
	const long before = Rig::number("available_instances");
	Space space(caller_);
	uint64_t n;
	bool failed = true;

	for (n = 1; failed && n < 100; n++) {
		QueueFile queue(caller_);

		hostkernel::failNth(hostkernel::FailPoint::CopyUser, n);
		const int error = makeReady(queue, space);

		hostkernel::failNth(hostkernel::FailPoint::CopyUser, 0);
		failed = error != 0;
		EXPECT_TRUE(!error || error == -EFAULT) << error << " at copy " << n;
		queue.close();
		EXPECT_EQ(Rig::number("available_instances"), before) << "copy " << n;
	}
	EXPECT_GT(n, 8u) << "copies were failed";
	EXPECT_FALSE(failed) << "it never succeeded";
}

/*
 * If the kernel cannot write its answer, all device files follow one rule: it undoes a bind and a
 * first attachment, and keeps a replacement.
 */
TEST_F(HisiQueue, IsUndoneWhenTheAnswerDoesNotArrive)
{
	Space space(caller_);
	QueueFile queue(caller_);
	const auto failingCopy = [](uint64_t n) {
		hostkernel::failNth(hostkernel::FailPoint::CopyUser, n);
	};

	ASSERT_EQ(queue.open(), 0);
	/* The third copy: argsz, the structure, the answer. */
	failingCopy(3);
	EXPECT_EQ(queue.bind(space.fd), -EFAULT);
	failingCopy(0);
	EXPECT_EQ(queue.detach(), -EINVAL) << "not bound";
	queue.close();

	ASSERT_EQ(makeReady(queue, space), 0);
	/*
	 * The second copy: the structure, the answer. The queue has started, and its table is
	 * replaced.
	 */
	failingCopy(2);
	EXPECT_EQ(queue.attach(space.hwpt), -EFAULT);
	failingCopy(0);
	EXPECT_EQ(queue.start(), -EINVAL) << "started as before";
	EXPECT_EQ(queue.put(), 0);
	EXPECT_EQ(queue.detach(), 0);
	failingCopy(2);
	EXPECT_EQ(queue.attach(space.hwpt), -EFAULT);
	failingCopy(0);
	EXPECT_EQ(queue.start(), -EOPNOTSUPP) << "nothing is attached";
	EXPECT_EQ(queue.attach(space.hwpt), 0);
	EXPECT_EQ(queue.start(), 0);
}

/* Attack: the process is killed with full rings. The kernel closes its files. */
TEST_F(HisiQueue, IsTakenBackWhenItsOwnerDies)
{
	const long before = Rig::number("available_instances");
	{
		auto owner = hostkernel::Caller::create(1000);
		std::vector<std::unique_ptr<QueueFile>> queues;
		auto space = std::make_unique<Space>(owner);
		Buffers buffers(*space);

		ASSERT_EQ(buffers.error, 0);
		for (int i = 0; i < 8; i++) {
			queues.push_back(std::make_unique<QueueFile>(owner));
			ASSERT_EQ(makeReady(*queues.back(), *space), 0);
			fill(*queues.back());
		}
		/* As at an exit: first the mappings go with the memory, then the files. */
		for (auto &queue : queues) {
			owner->munmap(queue->mmio, 0x10000);
			owner->munmap(queue->dus, queue->dusSize);
			queue->mmio = queue->dus = nullptr;
			queue->fd = -1;
		}
		space->fd = -1;
		queues.clear();
		space.reset();
		owner.reset();
		EXPECT_EQ(Rig::number("available_instances"), before);
	}
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	queue.send(kSource, kSize, kDest, kSize);
	EXPECT_EQ(queue.wait(), 0);
}

TEST_F(HisiQueue, GoesDownWithTheKernelUnderLoad)
{
	Space space(caller_);
	Buffers buffers(space);
	std::vector<std::unique_ptr<QueueFile>> queues;

	for (int i = 0; i < 4; i++) {
		queues.push_back(std::make_unique<QueueFile>(caller_));
		ASSERT_EQ(makeReady(*queues.back(), space), 0);
		fill(*queues.back());
	}
	for (auto &queue : queues) {
		caller_->munmap(queue->mmio, 0x10000);
		caller_->munmap(queue->dus, queue->dusSize);
		queue->mmio = queue->dus = nullptr;
	}
	shutdown();
	for (auto &queue : queues)
		queue->fd = -1;
	space.fd = -1;
}

/* Another process has the file, too, as after SCM_RIGHTS. The last close() ends the queue. */
TEST_F(HisiQueue, BelongsToWhoeverHasTheFile)
{
	const long before = Rig::number("available_instances");
	auto other = hostkernel::Caller::create(1000);
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	const int fd = caller_->dupTo(queue.fd, *other);

	ASSERT_GE(fd, 0);
	queue.close();
	EXPECT_EQ(Rig::number("available_instances"), before - 1);
	EXPECT_EQ(other->ioctl(fd, UACCE_CMD_PUT_Q, 0), 0);
	EXPECT_EQ(other->ioctl(fd, UACCE_CMD_START_Q, 0), 0);
	EXPECT_EQ(other->close(fd), 0);
	EXPECT_EQ(Rig::number("available_instances"), before);
}

/* Attack: one thread closes the file while others use its number. */
TEST_F(HisiQueue, SurvivesACloseUnderItsIoctls)
{
	const long before = Rig::number("available_instances");
	Space space(caller_);

	for (int round = 0; round < 20; round++) {
		QueueFile queue(caller_);

		ASSERT_EQ(makeReady(queue, space), 0);
		std::atomic<bool> stop{false};
		std::atomic<unsigned> calls{0};
		std::vector<std::thread> threads;

		for (unsigned long request : {UACCE_CMD_START_Q, UACCE_CMD_PUT_Q})
			threads.emplace_back([&, request] {
				for (; !stop; calls++)
					queue.ioctl(request);
			});
		while (calls < 20)
			std::this_thread::yield();
		caller_->close(queue.fd);
		stop = true;
		for (auto &thread : threads)
			thread.join();
		queue.fd = -1;
	}
	EXPECT_EQ(Rig::number("available_instances"), before);
}

/* A user's mistakes must not fill the kernel's log. */
TEST_F(HisiQueue, IsSilentAboutMistakes)
{
	const size_t lines = hostkernel::kernelLog().size();
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(makeReady(queue, space), 0);
	EXPECT_EQ(queue.ioctl(UACCE_CMD_START_Q), -EINVAL);
	EXPECT_EQ(queue.ioctl(0x1234), -EINVAL);
	/* A doorbell for another queue, and a tail outside the ring. */
	auto *bell = reinterpret_cast<uint64_t *>(queue.mmio + Rig::number("doorbell_words") +
						  HISI_QM_DOORBELL_WORD(queue.number, 0));

	std::atomic_ref(*bell).store(0xffff, std::memory_order_release);
	test::settle();
	EXPECT_EQ(queue.put(), 0);
	EXPECT_EQ(hostkernel::kernelLog().size(), lines);
}

} // namespace wd::hisitest
