// SPDX-License-Identifier: Apache-2.0
/*
 * Queues in the address space of a process: the owner, the end of the process, and flushes after
 * changes of its memory. Processes are callers: they share the memory of this process, but for the
 * kernel each has an address space of its own.
 *
 * Mutants that this file and sva_mode_test.cpp kill, each tried once: vtd_mm_table_flush() does
 * nothing; vtd_flush_mm_once() without its IOTLB command; without its device TLB command;
 * wd_sva_exit() does not call mm_exit; wd_iommu_sva_cut() leaves page requests unanswered; START
 * takes the mmap lock under the queue's; qm_queue_bond() does not compare address spaces, nor
 * pin_check(); qm_queue_block() does not cut a bond; a bond with a broken queue gives its PASID
 * back.
 */
#include "../../../common/asleep.h"
#include "../../../common/stuck_memory.h"
#include "fixture.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <poll.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

namespace wd::hisitest
{

namespace
{

using test::endsBefore;
using test::isAsleep;
using test::StuckMemory;

constexpr size_t kSize = 4 * kPage;

/** Memory. Only its first half has been touched. */
struct Memory {
	explicit Memory(size_t pages = 8) : size(pages * kPage)
	{
		void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);
		bytes = static_cast<uint8_t *>(at);
		std::memset(bytes, 'w', size / 2);
	}
	~Memory() { munmap(bytes, size); }
	uint64_t source() const { return reinterpret_cast<uint64_t>(bytes); }
	uint64_t dest() const { return source() + size / 2; }

	size_t size;
	uint8_t *bytes;
};

class HisiSva : public HisiTest
{
protected:
	HisiSva() : HisiTest(1, false) {}

	static int compress(QueueFile &queue, const Memory &memory)
	{
		queue.send(memory.source(), kSize, memory.dest(), kSize);
		return queue.wait();
	}
	static unsigned long pageRequests()
	{
		return std::stoul(Rig::unitAttribute("page_requests"));
	}
	static unsigned bonds()
	{
		const std::string text = Rig::unitAttribute("attachments");
		unsigned count = 0;
		for (size_t at = 0; (at = text.find("type=sva ", at)) != text.npos; at++)
			count++;
		return count;
	}
	/** Put a queue file of @from into @to's table. */
	static std::unique_ptr<QueueFile> hand(QueueFile &queue, hostkernel::Caller &from,
					       std::shared_ptr<hostkernel::Caller> to)
	{
		const int fd = from.dupTo(queue.fd, *to);
		auto copy = std::make_unique<QueueFile>(std::move(to));
		copy->fd = fd;
		return copy;
	}
	/**
	 * Wait: an mm may end after its process, because a handler of a page fault still uses it.
	 */
	static bool ended(QueueFile &watched)
	{
		return test::eventually([&] { return watched.poll(10) & POLLERR; });
	}
	static bool stopFlag(const QueueFile &queue)
	{
		uint32_t flag;
		std::memcpy(&flag, queue.dus + queue.dusSize - HISI_QM_DUS_TX_STOP, sizeof(flag));
		return flag;
	}
};

} // namespace

TEST_F(HisiSva, IsTheModeOfADeviceThatCan)
{
	EXPECT_EQ(Rig::attribute("dma_mode"), "[sva] pinned iommufd");
	EXPECT_EQ(Rig::number("flags"), UACCE_DEV_SVA | UACCE_DEV_IOMMUFD);
}

/* The device asks for a page once, and again after the process has changed the page. */
TEST_F(HisiSva, ForgetsWhatTheProcessChanges)
{
	/* Not this process: its table has entries of earlier tests. */
	auto owner = hostkernel::Caller::create(0);
	QueueFile queue(owner);
	Memory memory;

	ASSERT_EQ(makeReady(queue), 0);
	ASSERT_EQ(compress(queue, memory), 0);
	const unsigned long first = pageRequests();
	EXPECT_GT(first, 0u);
	ASSERT_EQ(compress(queue, memory), 0);
	EXPECT_EQ(pageRequests(), first) << "nothing was asked for twice";

	owner->memoryChanged(memory.bytes, kPage);
	ASSERT_EQ(compress(queue, memory), 0);
	const unsigned long second = pageRequests();
	EXPECT_GT(second, first) << "the page is gone from the device TLB and the IOTLB";
	owner->memoryChanged(memory.bytes + memory.size, kPage);
	ASSERT_EQ(compress(queue, memory), 0);
	EXPECT_EQ(pageRequests(), second) << "somebody else's page";

	owner->memoryChanged(nullptr, size_t{1} << 46);
	owner->memoryChanged(memory.bytes, memory.size);
	ASSERT_EQ(compress(queue, memory), 0);
	EXPECT_GT(pageRequests(), second);
}

/* Attack: a process gets the queue of another one, or is made to start it. */
TEST_F(HisiSva, OnlyTheOpenerLendsItsMemory)
{
	auto owner = hostkernel::Caller::create(1000), other = hostkernel::Caller::create(1000);
	QueueFile queue(owner);

	ASSERT_EQ(queue.open(), 0);
	auto copy = hand(queue, *owner, other);
	EXPECT_EQ(copy->start(), -EPERM);
	EXPECT_EQ(bonds(), 0u);
	ASSERT_EQ(queue.map(), 0);
	ASSERT_EQ(queue.start(), 0);
	EXPECT_EQ(bonds(), 1u);
	EXPECT_EQ(copy->put(), 0) << "every process that has the file may stop it";
	EXPECT_EQ(bonds(), 0u);
	EXPECT_EQ(copy->start(), -EPERM);
	EXPECT_EQ(queue.start(), 0);
}

TEST_F(HisiSva, QueuesOfAProcessShareOneAddressSpace)
{
	auto other = hostkernel::Caller::create(0);
	QueueFile a(caller_), b(caller_), c(other);
	Memory memory;

	ASSERT_EQ(makeReady(a), 0);
	ASSERT_EQ(makeReady(b), 0);
	EXPECT_EQ(bonds(), 1u);
	ASSERT_EQ(makeReady(c), 0);
	EXPECT_EQ(bonds(), 2u);
	a.close();
	EXPECT_EQ(bonds(), 2u);
	EXPECT_EQ(compress(b, memory), 0);
	b.close();
	EXPECT_EQ(bonds(), 1u);
	EXPECT_EQ(compress(c, memory), 0);
}

/* The file stays open over exec(). The new program has other memory. */
TEST_F(HisiSva, ExecStopsTheQueue)
{
	auto owner = hostkernel::Caller::create(0), watcher = hostkernel::Caller::create(0);
	QueueFile queue(owner);
	Memory memory;

	ASSERT_EQ(makeReady(queue), 0);
	auto copy = hand(queue, *owner, watcher);
	ASSERT_EQ(copy->poll(0) & POLLERR, 0);
	for (unsigned i = 0; i + 1 < queue.depth; i++)
		queue.send(memory.source(), kSize, memory.dest(), kSize);
	queue.mmio = queue.dus = nullptr; /* the mappings go with the mm */
	owner->exec();
	EXPECT_TRUE(ended(*copy));
	EXPECT_EQ(bonds(), 0u);
	EXPECT_EQ(queue.start(), -EPERM) << "the new program";
	EXPECT_EQ(copy->start(), -EPERM) << "and anybody else";
	EXPECT_EQ(queue.put(), 0);
	QueueFile fresh(owner);
	EXPECT_EQ(makeReady(fresh), 0) << "a file of its own works";
	EXPECT_EQ(compress(fresh, memory), 0);
}

/* Attack: a process is killed with full rings and open page faults, and its file stays open. */
TEST_F(HisiSva, TheEndOfTheProcessStopsTheQueue)
{
	const long before = Rig::number("available_instances");
	auto watcher = hostkernel::Caller::create(0);
	std::unique_ptr<QueueFile> copy;

	for (int round = 0; round < 10; round++) {
		auto owner = hostkernel::Caller::create(1000);
		Memory memory(2 * 64);
		{
			QueueFile queue(owner);
			ASSERT_EQ(makeReady(queue), 0);
			copy = hand(queue, *owner, watcher);
			for (unsigned i = 0; i < 64; i++)
				queue.send(memory.source() + i * kPage, kPage,
					   memory.dest() + i * kPage, kPage);
			queue.mmio = queue.dus = nullptr;
			queue.fd = -1;
		}
		owner.reset();
		EXPECT_TRUE(ended(*copy));
		EXPECT_EQ(bonds(), 0u);
		EXPECT_EQ(copy->start(), -EPERM);
		EXPECT_EQ(Rig::number("available_instances"), before - 1);
		copy.reset();
		EXPECT_EQ(Rig::number("available_instances"), before);
	}
}

TEST_F(HisiSva, TheDriverGoesUnderTheQueue)
{
	QueueFile queue(caller_);
	Memory memory(2 * 64);

	ASSERT_EQ(makeReady(queue), 0);
	for (unsigned i = 0; i < 64; i++)
		queue.send(memory.source() + i * kPage, kPage, memory.dest() + i * kPage, kPage);
	EXPECT_EQ(Rig::unbind(), 0);
	EXPECT_EQ(bonds(), 0u);
	EXPECT_TRUE(stopFlag(queue));
	EXPECT_EQ(queue.start(), -ENXIO);
	EXPECT_TRUE(queue.poll(0) & POLLHUP);
	EXPECT_EQ(Rig::bind(), 0);
	QueueFile fresh(caller_);
	EXPECT_EQ(makeReady(fresh), 0);
	EXPECT_EQ(compress(fresh, memory), 0);
}

/* Attack: a request waits for a page that never comes. Then its owner, or root, ends the queue. */
TEST_F(HisiSva, NobodyWaitsForAPageThatNeverComes)
{
	const long before = Rig::number("available_instances");

	for (bool byClose : {true, false}) {
		/* Not this process: its table may have the addresses already. */
		auto owner = hostkernel::Caller::create(0);
		StuckMemory stuck(4);
		QueueFile queue(owner);
		Memory memory;

		ASSERT_EQ(makeReady(queue), 0);
		queue.send(stuck.address(), kSize, memory.dest(), kSize);
		stuck.waitTouched();
		EXPECT_TRUE(endsBefore(stuck, [&] {
			if (byClose)
				queue.close();
			else
				EXPECT_EQ(Rig::unbind(), 0);
		}));
		EXPECT_EQ(bonds(), 0u);
		queue.close();
		if (!byClose) {
			EXPECT_EQ(Rig::bind(), 0);
		}
		EXPECT_EQ(Rig::number("available_instances"), before) << "the queue is no loss";
	}
	QueueFile fresh(caller_);
	Memory memory;
	EXPECT_EQ(makeReady(fresh), 0);
	EXPECT_EQ(compress(fresh, memory), 0);
}

namespace
{

/* A page that is in memory, but writes to it wait until the test ends. */
class WriteProtected
{
public:
	explicit WriteProtected(const Memory &memory)
		: range_{memory.dest(), memory.size / 2},
		  fd_(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)))
	{
		uffdio_api api = {};
		uffdio_register all = {};
		uffdio_writeprotect protect = {};

		api.api = UFFD_API;
		api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
		all.range = protect.range = range_;
		all.mode = UFFDIO_REGISTER_MODE_WP;
		protect.mode = UFFDIO_WRITEPROTECT_MODE_WP;
		std::memset(memory.bytes + memory.size / 2, 1, memory.size / 2);
		EXPECT_EQ(ioctl(fd_, UFFDIO_API, &api), 0);
		EXPECT_EQ(ioctl(fd_, UFFDIO_REGISTER, &all), 0);
		EXPECT_EQ(ioctl(fd_, UFFDIO_WRITEPROTECT, &protect), 0);
	}
	~WriteProtected()
	{
		release();
		::close(fd_);
	}
	void waitTouched() const
	{
		pollfd wait = {fd_, POLLIN, 0};
		EXPECT_EQ(::poll(&wait, 1, StuckMemory::kPatienceMs), 1);
	}
	void release() const
	{
		uffdio_writeprotect protect = {};
		protect.range = range_;
		ioctl(fd_, UFFDIO_WRITEPROTECT, &protect);
	}

private:
	uffdio_range range_;
	int fd_;
};

} // namespace

/*
 * Attack: a thread holds the mmap lock of its process for ever, and another one starts a queue. The
 * start waits for that lock, but others and the driver do not wait for the start.
 */
TEST_F(HisiSva, AStartThatWaitsForItsProcessStopsNobody)
{
	auto owner = hostkernel::Caller::create(1000), other = hostkernel::Caller::create(1001);
	QueueFile queue(owner), second(owner), third(other);
	Memory memory;
	WriteProtected stuck(memory);

	ASSERT_EQ(makeReady(queue), 0);
	ASSERT_EQ(second.open(), 0);
	queue.send(memory.source(), kSize, memory.dest(), kSize);
	stuck.waitTouched();
	ASSERT_EQ(Rig::setMode("pinned"), 0);
	std::atomic<pid_t> starter{0};
	std::thread start([&] {
		starter = gettid();
		second.start();
	});
	while (!starter || !isAsleep(starter))
		std::this_thread::yield();
	EXPECT_TRUE(endsBefore(stuck, [&] { EXPECT_EQ(makeReady(third), 0); }));
	EXPECT_TRUE(endsBefore(stuck, [&] { EXPECT_EQ(Rig::unbind(), 0); }));
	stuck.release();
	start.join();
	EXPECT_EQ(Rig::bind(), 0);
}

TEST_F(HisiSva, GoesDownWithTheKernel)
{
	QueueFile queue(caller_);
	Memory memory(2 * 64);

	ASSERT_EQ(makeReady(queue), 0);
	for (unsigned i = 0; i < 64; i++)
		queue.send(memory.source() + i * kPage, kPage, memory.dest() + i * kPage, kPage);
	queue.mmio = queue.dus = nullptr;
	queue.fd = -1;
	shutdown();
}

/* Attack: each allocation of a start fails in turn. */
TEST_F(HisiSva, SurvivesEveryFailingAllocation)
{
	bool failed = true;
	uint64_t n;

	for (n = 1; failed && n < 200; n++) {
		QueueFile queue(caller_);

		ASSERT_EQ(queue.open(), 0);
		hostkernel::failNth(hostkernel::FailPoint::Allocation, n);
		const int error = queue.start();

		hostkernel::failNth(hostkernel::FailPoint::Allocation, 0);
		failed = error != 0;
		EXPECT_TRUE(!error || error == -ENOMEM) << error << " at allocation " << n;
		EXPECT_EQ(bonds(), failed ? 0u : 1u) << "allocation " << n;
	}
	EXPECT_GT(n, 5u) << "allocations were failed";
	EXPECT_FALSE(failed) << "it never succeeded";
	EXPECT_EQ(bonds(), 0u);
}

/*
 * Starts, stops, changes of memory and ends of processes at the same time, with requests that
 * fault. For the sanitizers, and to check lock orders.
 */
TEST_F(HisiSva, ManyProcessesComeAndGo)
{
	std::atomic<bool> end{false};
	std::atomic<unsigned> rounds{0};
	std::vector<std::thread> threads;

	for (int i = 0; i < 3; i++)
		threads.emplace_back([&] {
			while (!end) {
				auto owner = hostkernel::Caller::create(0);
				Memory memory(16);
				QueueFile queue(owner), second(owner);
				EXPECT_EQ(makeReady(queue), 0);
				EXPECT_EQ(makeReady(second), 0);
				for (int n = 0; n < 4; n++) {
					queue.send(memory.source(), kSize, memory.dest(), kSize);
					second.send(memory.source(), kSize, memory.dest(), kSize);
					madvise(memory.bytes, memory.size, MADV_DONTNEED);
					owner->memoryChanged(memory.bytes, memory.size);
				}
				EXPECT_EQ(queue.wait(), 0);
				if (rounds++ % 2) {
					EXPECT_EQ(second.put(), 0);
				}
			}
		});
	while (rounds < 60)
		std::this_thread::yield();
	end = true;
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(bonds(), 0u);
}

} // namespace wd::hisitest
