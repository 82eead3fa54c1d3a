// SPDX-License-Identifier: Apache-2.0
/*
 * Stops of queues with many requests, or with requests that wait for pages. All queues share the
 * mailbox, so a queue must be idle before the command STOP_QP. If not, the device abandons requests
 * and gives them a status of their own (Documentation/design/machine/zip.rst): no request may have
 * that status.
 */
#include "../../../common/trace_file.h"
#include "fixture.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

#include <linux/iommufd.h>

namespace wd::hisitest
{

namespace
{

constexpr unsigned kSqe = 128, kProduced = 4, kStatus = 12, kTag = 104;
constexpr unsigned kCqe = 16, kPhase = 14, kAbandoned = 0x04;
constexpr uint64_t kMemory = 0x100000, kHole = 0x4000;

class HisiStop : public HisiTest
{
protected:
	HisiStop() : HisiTest(1, false) {}
};

unsigned statusOf(const uint8_t *rings, unsigned slot)
{
	uint32_t status;

	std::memcpy(&status, rings + slot * kSqe + kStatus, sizeof(status));
	return status & 0xff;
}

/** How many of the first @requests succeeded without output. The ring must not have wrapped. */
unsigned succeededWithoutOutput(const uint8_t *rings, unsigned depth, unsigned requests)
{
	unsigned count = 0;

	for (unsigned i = 0; i < requests; i++) {
		uint32_t produced;
		uint16_t phase;

		std::memcpy(&produced, rings + i * kSqe + kProduced, sizeof(produced));
		std::memcpy(&phase, rings + depth * kSqe + i * kCqe + kPhase, sizeof(phase));
		count += phase & 1 && !statusOf(rings, i) && !produced;
	}
	return count;
}

unsigned abandoned(const uint8_t *rings, unsigned requests)
{
	unsigned count = 0;

	for (unsigned i = 0; i < requests; i++)
		count += statusOf(rings, i) == kAbandoned;
	return count;
}

/** A table without a page. Its faults go to a queue that nobody reads. */
class Faulting
{
public:
	Faulting(hostkernel::Caller &caller, const Space &space, const QueueFile &queue)
		: caller_(caller)
	{
		iommu_fault_alloc fault = {};
		iommu_hwpt_vtd_s1 guest = {};
		iommu_hwpt_alloc parent = {}, nested = {};

		fault.size = sizeof(fault);
		error_ = ioctl(space, IOMMU_FAULT_QUEUE_ALLOC, &fault);
		fd_ = static_cast<int>(fault.out_fault_fd);
		parent.size = sizeof(parent);
		parent.flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID;
		parent.dev_id = queue.deviceId;
		parent.pt_id = space.ioas;
		if (!error_)
			error_ = ioctl(space, IOMMU_HWPT_ALLOC, &parent);
		guest.pgtbl_addr = kMemory;
		guest.addr_width = 48;
		nested.size = sizeof(nested);
		nested.flags = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID;
		nested.dev_id = queue.deviceId;
		nested.pt_id = parent.out_hwpt_id;
		nested.data_type = IOMMU_HWPT_DATA_VTD_S1;
		nested.data_len = sizeof(guest);
		nested.data_uptr = reinterpret_cast<uintptr_t>(&guest);
		nested.fault_id = fault.out_fault_id;
		if (!error_)
			error_ = ioctl(space, IOMMU_HWPT_ALLOC, &nested);
		id_ = nested.out_hwpt_id;
	}
	~Faulting()
	{
		if (fd_ >= 0)
			caller_.close(fd_);
	}
	int error() const { return error_; }
	uint32_t id() const { return id_; }
	/** Read @count faults, and do not answer them. */
	void read(unsigned count)
	{
		while (count) {
			iommu_hwpt_pgfault fault;
			const ssize_t bytes =
				arrived() ? caller_.read(fd_, &fault, sizeof(fault)) : -1;

			ASSERT_EQ(bytes, static_cast<ssize_t>(sizeof(fault)));
			count--;
		}
	}
	/** The end of the process closes the file. */
	void forget() { fd_ = -1; }
	/** Wait until there is a fault that has not been read. */
	bool arrived()
	{
		struct pollfd file = {fd_, POLLIN, 0};

		return caller_.poll(&file, 1, 20000) == 1;
	}

private:
	int ioctl(const Space &space, unsigned long request, void *argument)
	{
		return static_cast<int>(
			caller_.ioctl(space.fd, request, reinterpret_cast<uintptr_t>(argument)));
	}
	hostkernel::Caller &caller_;
	int fd_ = -1, error_ = 0;
	uint32_t id_ = 0;
};

} // namespace

TEST_F(HisiStop, AnswersTheFaultsThatItsOwnerDoesNot)
{
	void *table =
		mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	{
		Space space(caller_);
		QueueFile queue(caller_);

		ASSERT_EQ(space.map(table, kPage, kMemory), 0);
		ASSERT_EQ(queue.open(), 0);
		ASSERT_EQ(queue.bind(space.fd), 0);
		Faulting faulting(*caller_, space, queue);

		ASSERT_EQ(faulting.error(), 0);
		ASSERT_EQ(queue.attach(faulting.id()), 0);
		ASSERT_EQ(queue.map(), 0);
		for (int round = 0; round < 2; round++) {
			ASSERT_EQ(queue.start(), 0);
			for (unsigned i = 0; i < 8; i++)
				queue.send(kHole, kPage, kHole + kPage, kPage);
			ASSERT_TRUE(faulting.arrived());
			EXPECT_EQ(queue.put(), 0);
			EXPECT_EQ(abandoned(queue.dus, 8), 0u);
			EXPECT_NE(queue.wait(0), 0) << "there was no page";
		}
		/* The same with detach() in the place of put(). */
		ASSERT_EQ(queue.start(), 0);
		queue.send(kHole, kPage, kHole + kPage, kPage);
		ASSERT_TRUE(faulting.arrived());
		EXPECT_EQ(queue.detach(), 0);
		EXPECT_EQ(abandoned(queue.dus, 1), 0u);
		queue.close();
	}
	EXPECT_EQ(Rig::number("available_instances"), 15);
	munmap(table, kPage);
}

namespace
{

/** Trace events of the queue manager driver and of the model, in their order. */
class StopTrace
{
public:
	void skip() { file_.skip(); }
	/** For each stopped queue: the number of its requests that ended while STOP_QP waited. */
	std::map<unsigned, int> waits() const
	{
		std::map<unsigned, int> requests;
		int stopping = -1;

		for (const std::string &line : file_.lines()) {
			if (isEvent(line, "qm:mailbox") && has(line, "cmd=0x8 ")) {
				stopping = number(line, "queue=");
				requests.try_emplace(static_cast<unsigned>(stopping), 0);
			} else if (isEvent(line, "qm:mailbox_done")) {
				stopping = -1;
			} else if (isEvent(line, "qm:cqe") && number(line, "qn=") == stopping) {
				requests[static_cast<unsigned>(stopping)]++;
			}
		}
		return requests;
	}
	/** Requests that the device began after the driver's first command. */
	int takenAfterFirstCommand() const
	{
		bool begun = false;
		int requests = 0;

		for (const std::string &line : file_.lines()) {
			if (isEvent(line, "hisi_qm:hisi_qm_mailbox"))
				begun = true;
			else if (isEvent(line, "qm:sqe") && has(line, "again=0"))
				requests += begun && !has(line, "dw9=0x0 ");
		}
		return begun ? requests : -1;
	}

private:
	static int number(const std::string &line, const std::string &name)
	{
		return std::stoi(line.substr(line.find(" " + name) + 1 + name.size()));
	}
	static bool has(const std::string &line, const std::string &text)
	{
		return line.find(text) != line.npos;
	}
	static bool isEvent(const std::string &line, const char *event)
	{
		return has(line, " " + std::string(event) + ": ");
	}
	TraceFile file_{"qm,hisi_qm"};
};

class HisiCrowd : public HisiTest
{
protected:
	/* Not all queues: the kernel has one, and some are kept back for other users. */
	static constexpr unsigned kOwned = 60, kAll = 72;
	HisiCrowd() : HisiTest(1, false, kAll) {}
	StopTrace trace_;
};

} // namespace

/*
 * Attack: a process with many queues ends; each has a request that waits for a page. The mailbox
 * stays free for others: no STOP_QP waits for such a request.
 */
TEST_F(HisiCrowd, NoStopWaitsForAPage)
{
	auto owner = hostkernel::Caller::create(1000);
	void *table =
		mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	auto space = std::make_unique<Space>(owner);
	Space place(caller_);
	std::vector<std::unique_ptr<QueueFile>> queues;
	std::unique_ptr<Faulting> faulting;
	QueueFile other(caller_);
	std::atomic<bool> end{false};
	unsigned starts = 0;

	ASSERT_EQ(makeReady(other, place), 0);
	ASSERT_EQ(other.put(), 0);
	ASSERT_EQ(space->map(table, kPage, kMemory), 0);
	for (unsigned n = 0; n < kOwned; n++) {
		queues.push_back(std::make_unique<QueueFile>(owner));
		QueueFile &queue = *queues[n];

		ASSERT_EQ(queue.open(), 0);
		ASSERT_EQ(queue.bind(space->fd), 0);
		if (!n)
			faulting = std::make_unique<Faulting>(*owner, *space, queue);
		ASSERT_EQ(faulting->error(), 0);
		ASSERT_EQ(queue.attach(faulting->id()), 0);
		ASSERT_EQ(queue.map(), 0);
		ASSERT_EQ(queue.start(), 0);
		queue.send(kHole, kPage, kHole + kPage, kPage);
	}
	faulting->read(kOwned);
	trace_.skip();
	std::thread starter([&] {
		do {
			EXPECT_EQ(other.start(), 0);
			EXPECT_EQ(other.put(), 0);
			starts++;
		} while (!end);
	});

	/* The end of the process closes its files. */
	for (auto &queue : queues) {
		queue->mmio = queue->dus = nullptr;
		queue->fd = -1;
	}
	queues.clear();
	faulting->forget();
	space->fd = -1;
	space.reset();
	owner.reset();
	end = true;
	starter.join();
	EXPECT_GT(starts, 0u);
	const auto waits = trace_.waits();

	EXPECT_EQ(waits.size(), kOwned + 1);
	for (const auto &[queue, requests] : waits)
		EXPECT_EQ(requests, 0) << queue;
	other.close();
	EXPECT_EQ(Rig::number("available_instances"), kAll - 1);
	munmap(table, kPage);
}

/*
 * A process ends, and another one still has its rings mapped: it sees the results of the requests.
 */
TEST_F(HisiCrowd, EndsAllQueuesOfAProcessTogether)
{
	constexpr unsigned kQueues = 6, kRequests = 200;
	constexpr size_t kSize = 256u << 10;
	auto watcher = hostkernel::Caller::create(0);
	std::vector<std::unique_ptr<QueueFile>> copies;
	std::array<std::array<uint8_t, kSqe>, kQueues> done;
	unsigned depth = 0;
	auto *memory = static_cast<uint8_t *>(mmap(nullptr, 2 * kSize, PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	for (size_t i = 0; i < kSize; i++)
		memory[i] = static_cast<uint8_t>(i * i >> 7);
	auto owner = hostkernel::Caller::create(1000);

	for (unsigned n = 0; n < kQueues; n++) {
		QueueFile queue(owner);

		ASSERT_EQ(queue.open(), 0);
		copies.push_back(std::make_unique<QueueFile>(watcher));
		copies[n]->fd = owner->dupTo(queue.fd, *watcher);
		ASSERT_EQ(copies[n]->map(), 0);
		ASSERT_EQ(queue.start(), 0);
		depth = queue.depth;
		queue.mmio = copies[n]->mmio;
		queue.dus = copies[n]->dus;
		for (unsigned i = 0; i < kRequests; i++) {
			queue.send(reinterpret_cast<uint64_t>(memory), kSize,
				   reinterpret_cast<uint64_t>(memory) + kSize, kSize);
			/* The first one is done. */
			if (!i) {
				ASSERT_EQ(queue.wait(), 0);
			}
		}
		std::memcpy(done[n].data(), queue.dus, kSqe);
		queue.mmio = queue.dus = nullptr;
		queue.fd = -1;
	}
	trace_.skip();
	owner.reset();
	for (unsigned n = 0; n < kQueues; n++) {
		while (!(copies[n]->poll(1000) & POLLERR))
			;
		EXPECT_EQ(abandoned(copies[n]->dus, kRequests), 0u) << n;
		EXPECT_EQ(succeededWithoutOutput(copies[n]->dus, depth, kRequests), 0u) << n;
		/* The words from "consumed" to "status" and the tag have not changed. */
		EXPECT_EQ(std::memcmp(copies[n]->dus, done[n].data(), 16), 0) << n;
		EXPECT_EQ(std::memcmp(copies[n]->dus + kTag, &done[n][kTag], 8), 0) << n;
	}
	/* The one engine may have begun a request before the command, and trace that later. */
	const int taken = trace_.takenAfterFirstCommand();

	EXPECT_TRUE(taken == 0 || taken == 1)
		<< taken << "all queues are told to stop before the first one is waited for";
	copies.clear();
	EXPECT_EQ(Rig::number("available_instances"), kAll - 1);
	munmap(memory, 2 * kSize);
}

} // namespace wd::hisitest
