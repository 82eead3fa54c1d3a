// SPDX-License-Identifier: Apache-2.0
/*
 * Queues that are stopped while requests wait for pages, or are many. All queues share the mailbox:
 * STOP_QP must find a queue that is idle. A request that the device abandons in STOP_QP has a
 * status of its own (Documentation/design/machine/zip.rst), so none may have it.
 */
#include "fixture.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <poll.h>
#include <sys/mman.h>
#include <vector>

#include <linux/iommufd.h>

namespace wd::hisitest
{

namespace
{

constexpr unsigned kAbandoned = 0x04, kSqe = 128, kStatus = 12;
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

unsigned abandoned(const uint8_t *rings, unsigned requests)
{
	unsigned count = 0;

	for (unsigned i = 0; i < requests; i++)
		count += statusOf(rings, i) == kAbandoned;
	return count;
}

/** A table without a single page; its faults go to a queue without a reader. */
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
	~Faulting() { caller_.close(fd_); }
	int error() const { return error_; }
	uint32_t id() const { return id_; }
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
		/* And at the end. */
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

/* Another process has the rings of a process that ends, and sees the results of its requests. */
TEST_F(HisiStop, EndsAllQueuesOfAProcessTogether)
{
	constexpr unsigned kQueues = 6, kRequests = 200;
	constexpr size_t kSize = 8u << 20;
	auto watcher = hostkernel::Caller::create(0);
	std::vector<std::unique_ptr<QueueFile>> copies;
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
		queue.mmio = copies[n]->mmio;
		queue.dus = copies[n]->dus;
		for (unsigned i = 0; i < kRequests; i++)
			queue.send(reinterpret_cast<uint64_t>(memory), kSize,
				   reinterpret_cast<uint64_t>(memory) + kSize, kSize);
		queue.mmio = queue.dus = nullptr;
		queue.fd = -1;
	}
	owner.reset();
	for (unsigned n = 0; n < kQueues; n++) {
		while (!(copies[n]->poll(1000) & POLLERR))
			;
		EXPECT_EQ(abandoned(copies[n]->dus, kRequests), 0u) << n;
	}
	copies.clear();
	EXPECT_EQ(Rig::number("available_instances"), 15);
	munmap(memory, 2 * kSize);
}

} // namespace wd::hisitest
