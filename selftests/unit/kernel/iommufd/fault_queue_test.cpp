// SPDX-License-Identifier: Apache-2.0
/* Fault queues: read, write, poll, and detach. */
#include <cerrno>
#include <poll.h>
#include <thread>

#include "fixture.h"

namespace kernel_iommufd
{

constexpr int kSuccess = 0, kInvalid = 1;

/** A fault-capable table at PASID 5 of device 0. */
class FaultQueueTest : public NestedTest
{
protected:
	FaultQueueTest()
	{
		queue_ = std::make_unique<FaultQueue>(*iommufd_);
		EXPECT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xa000, nested_,
					      IOMMU_HWPT_ALLOC_PASID, queue_->id()));
		EXPECT_EQ(0, device_->attachTo(nested_, 5));
	}
	~FaultQueueTest() override { queue_.reset(); }
	/** The first group, which has one record. */
	iommu_hwpt_pgfault readOne() const
	{
		iommu_hwpt_pgfault record = {};
		EXPECT_EQ(40, queue_->read(&record, 1));
		return record;
	}
	std::unique_ptr<FaultQueue> queue_;
	uint32_t nested_ = 0;
};

/* IOMMUFD-FAULT-1 */
TEST_F(KernelTest, FaultQueueAllocErrors)
{
	Iommufd iommufd;
	Buffer page(kPage);
	iommu_fault_alloc cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP, iommufd.ioctl(IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	cmd.flags = 0;
	cmd.size = 12;
	EXPECT_EQ(-EINVAL, iommufd.ioctl(IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	/* The answer cannot be written: no object, no file. */
	auto *shut = reinterpret_cast<iommu_fault_alloc *>(page.data());
	shut->size = sizeof(*shut);
	ASSERT_EQ(0, mprotect(page.data(), kPage, PROT_READ));
	EXPECT_EQ(-EFAULT, iommufd.ioctl(IOMMU_FAULT_QUEUE_ALLOC, shut));
	cmd.size = sizeof(cmd);
	ASSERT_EQ(0, iommufd.ioctl(IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	EXPECT_EQ(1u, cmd.out_fault_id);
	EXPECT_EQ(iommufd.fd() + 1u, cmd.out_fault_fd);
	EXPECT_EQ(-EBUSY, iommufd.destroy(1));
	EXPECT_EQ(0, iommufd.caller().close(static_cast<int>(cmd.out_fault_fd)));
	EXPECT_EQ(0, iommufd.destroy(1));
}

/* IOMMUFD-FAULT-2 */
TEST_F(FaultQueueTest, RecordsAndAnswers)
{
	iommu_hwpt_pgfault records[4] = {};
	EXPECT_FALSE(queue_->readable());
	EXPECT_EQ(0, queue_->read(records, 4));
	EXPECT_EQ(MOCK_TAKEN, request(5, 7, 3));
	EXPECT_TRUE(queue_->readable());
	ASSERT_EQ(120, queue_->read(records, 4));
	EXPECT_FALSE(queue_->readable());
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(1u | (i == 2 ? 2u : 0), records[i].flags);
		EXPECT_EQ(device_->id(), records[i].dev_id);
		EXPECT_EQ(5u, records[i].pasid);
		EXPECT_EQ(7u, records[i].grpid);
		EXPECT_EQ(3u, records[i].perm);
		EXPECT_EQ(0u, records[i].__reserved);
		EXPECT_EQ(0x5000 + i * kPage, records[i].addr);
		EXPECT_EQ(0u, records[i].length);
		EXPECT_EQ(1u, records[i].cookie);
	}
	int code = -1;
	EXPECT_EQ(0u, answers(7));
	EXPECT_EQ(0, queue_->answer(1));
	EXPECT_EQ(1u, answers(7, &code));
	EXPECT_EQ(kSuccess, code);
	/* The attack: answer again, answer a group that was never delivered. */
	EXPECT_EQ(-EINVAL, queue_->answer(1));
	EXPECT_EQ(-EINVAL, queue_->answer(0));
	EXPECT_EQ(-EINVAL, queue_->answer(~0u));
	EXPECT_EQ(MOCK_TAKEN, request(5, 8));
	EXPECT_EQ(-EINVAL, queue_->answer(1));
	EXPECT_EQ(1u, readOne().cookie);
	EXPECT_EQ(-EINVAL, queue_->answer(1, 2));
	EXPECT_EQ(0, queue_->answer(1, IOMMUFD_PAGE_RESP_INVALID));
	EXPECT_EQ(1u, answers(8, &code));
	EXPECT_EQ(kInvalid, code);
}

/* IOMMUFD-FAULT-2 */
TEST_F(FaultQueueTest, CookiesAreTheLowestFreeOnes)
{
	for (unsigned short group = 1; group <= 3; group++)
		EXPECT_EQ(MOCK_TAKEN, request(5, group));
	for (uint32_t cookie = 1; cookie <= 3; cookie++)
		EXPECT_EQ(cookie, readOne().cookie);
	EXPECT_EQ(0, queue_->answer(2));
	EXPECT_EQ(1u, answers(2));
	EXPECT_EQ(MOCK_TAKEN, request(5, 4));
	EXPECT_EQ(2u, readOne().cookie);
	EXPECT_EQ(0, queue_->answer(2));
	EXPECT_EQ(0, queue_->answer(1));
	EXPECT_EQ(0, queue_->answer(3));
	EXPECT_EQ(4u, mock_nr_responses());
}

/**
 * IOMMUFD-FAULT-3: the attack: read with lengths, offsets and buffers that do not fit.
 */
TEST_F(FaultQueueTest, ReadRules)
{
	Caller &caller = iommufd_->caller();
	Buffer memory(2 * kPage);
	auto *edge = reinterpret_cast<iommu_hwpt_pgfault *>(memory.data() + kPage) - 2;
	iommu_hwpt_pgfault records[8] = {};
	EXPECT_EQ(-ESPIPE, caller.read(queue_->fd(), records, 39));
	EXPECT_EQ(-ESPIPE, caller.read(queue_->fd(), records, 41));
	EXPECT_EQ(-ESPIPE, caller.pread(queue_->fd(), records, 40, 40));
	EXPECT_EQ(0, caller.read(queue_->fd(), records, 0));
	EXPECT_EQ(0, caller.read(queue_->fd(), nullptr, 40));
	EXPECT_EQ(MOCK_TAKEN, request(5, 1, 2));
	EXPECT_EQ(MOCK_TAKEN, request(5, 2, 1));
	EXPECT_EQ(MOCK_TAKEN, request(5, 3, 3));
	EXPECT_EQ(-EINVAL, caller.read(queue_->fd(), records, 0));
	EXPECT_EQ(-EINVAL, queue_->read(records, 1));
	EXPECT_EQ(-EFAULT, caller.read(queue_->fd(), nullptr, 80));
	EXPECT_TRUE(queue_->readable());
	/* The first group reaches the end of the memory; the second stays queued. */
	ASSERT_EQ(0, mprotect(memory.data() + kPage, kPage, PROT_NONE));
	EXPECT_EQ(80, queue_->read(edge, 8));
	EXPECT_EQ(1u, edge[0].grpid);
	EXPECT_EQ(1u, edge[1].cookie);
	EXPECT_EQ(-EFAULT, queue_->read(edge + 2, 1));
	/* Half of a group can be written: none of it counts. */
	EXPECT_EQ(0, queue_->answer(1));
	EXPECT_EQ(40, queue_->read(edge + 1, 1));
	EXPECT_EQ(2u, edge[1].grpid);
	EXPECT_EQ(-EFAULT, queue_->read(edge, 3));
	EXPECT_EQ(-EINVAL, queue_->answer(2));
	ASSERT_EQ(120, queue_->read(records, 8));
	EXPECT_EQ(3u, records[0].grpid);
	EXPECT_EQ(2u, records[0].cookie);
	EXPECT_EQ(0, queue_->answer(1));
	EXPECT_EQ(0, queue_->answer(2));
	EXPECT_EQ(3u, mock_nr_responses());
}

/* IOMMUFD-FAULT-2 */
TEST_F(FaultQueueTest, AsManyWholeGroupsAsFit)
{
	iommu_hwpt_pgfault records[8] = {};
	EXPECT_EQ(MOCK_TAKEN, request(5, 1, 2));
	EXPECT_EQ(MOCK_TAKEN, request(5, 2, 1));
	EXPECT_EQ(MOCK_TAKEN, request(5, 3, 2));
	EXPECT_EQ(3 * 40, queue_->read(records, 4));
	EXPECT_EQ(2 * 40, queue_->read(records, 4));
	EXPECT_EQ(0, queue_->read(records, 4));
	EXPECT_EQ(0, device_->detach(5));
	EXPECT_EQ(3u, mock_nr_responses());
}

/** IOMMUFD-FAULT-4: the attack: answers in arrays with bad ones among them. */
TEST_F(FaultQueueTest, WriteRules)
{
	Caller &caller = iommufd_->caller();
	Buffer memory(2 * kPage);
	iommu_hwpt_pgfault records[4] = {};
	iommu_hwpt_page_response responses[4] = {{1, 0}, {2, 1}, {2, 0}, {3, 0}};
	for (unsigned short group = 1; group <= 4; group++)
		EXPECT_EQ(MOCK_TAKEN, request(5, group));
	ASSERT_EQ(160, queue_->read(records, 4));
	EXPECT_EQ(-ESPIPE, caller.write(queue_->fd(), responses, 7));
	EXPECT_EQ(-ESPIPE, caller.write(queue_->fd(), responses, 12));
	EXPECT_EQ(-ESPIPE, caller.pwrite(queue_->fd(), responses, 8, 8));
	EXPECT_EQ(0, caller.write(queue_->fd(), responses, 0));
	EXPECT_EQ(-EFAULT, caller.write(queue_->fd(), nullptr, 8));
	EXPECT_EQ(0u, mock_nr_responses());
	/* The third names a group that has been answered. */
	EXPECT_EQ(16, caller.write(queue_->fd(), responses, sizeof(responses)));
	EXPECT_EQ(2u, mock_nr_responses());
	auto *edge = reinterpret_cast<iommu_hwpt_page_response *>(memory.data() + kPage) - 1;
	*edge = {3, 0};
	ASSERT_EQ(0, mprotect(memory.data() + kPage, kPage, PROT_NONE));
	EXPECT_EQ(8, caller.write(queue_->fd(), edge, 16));
	EXPECT_EQ(-EFAULT, caller.write(queue_->fd(), edge + 1, 8));
	responses[0] = {4, 77};
	EXPECT_EQ(-EINVAL, caller.write(queue_->fd(), responses, 8));
	EXPECT_EQ(0, queue_->answer(4));
	EXPECT_EQ(4u, mock_nr_responses());
}

/* IOMMUFD-FAULT-5 */
TEST_F(FaultQueueTest, PollWaitsForAGroup)
{
	pollfd poll = {queue_->fd(), POLLIN | POLLOUT, 0};
	EXPECT_EQ(1, iommufd_->caller().poll(&poll, 1, 0));
	EXPECT_EQ(POLLOUT, poll.revents);
	std::thread device([] { EXPECT_EQ(MOCK_TAKEN, request(5, 1)); });
	EXPECT_TRUE(queue_->waitReadable(60000));
	device.join();
	EXPECT_EQ(0, queue_->answer(readOne().cookie));
}

/** The attack: take the group away from its waiters, again and again. */
TEST_F(FaultQueueTest, AReaderThatFailsWakesTheOthers)
{
	EXPECT_EQ(MOCK_TAKEN, request(5, 1));
	std::thread hostile([&] {
		for (unsigned i = 0; i < 5000; i++) {
			const ssize_t got = queue_->read(nullptr, 1);
			ASSERT_EQ(-EFAULT, got);
		}
	});
	for (unsigned i = 0; i < 5000; i++)
		ASSERT_TRUE(queue_->waitReadable(60000)) << i;
	hostile.join();
	EXPECT_EQ(0, queue_->answer(readOne().cookie));
	EXPECT_EQ(1u, mock_nr_responses());
}

/* IOMMUFD-FAULT-6 */
TEST_F(FaultQueueTest, DetachAnswersWhatIsLeft)
{
	EXPECT_EQ(0, device_->attachTo(nested_, 6));
	EXPECT_EQ(MOCK_TAKEN, request(5, 1));
	EXPECT_EQ(MOCK_TAKEN, request(6, 2));
	EXPECT_EQ(MOCK_TAKEN, request(5, 3));
	const uint32_t cookie = readOne().cookie;
	EXPECT_EQ(1u, mock_counters.faults_enabled);
	EXPECT_EQ(0, device_->detach(5));
	/* Delivered or queued: INVALID, and the user's answer comes too late. */
	int first = -1, third = -1;
	EXPECT_EQ(1u, answers(1, &first));
	EXPECT_EQ(1u, answers(3, &third));
	EXPECT_EQ(kInvalid, first);
	EXPECT_EQ(kInvalid, third);
	EXPECT_EQ(-EINVAL, queue_->answer(cookie));
	EXPECT_EQ(MOCK_REFUSED, request(5, 4));
	/* The other PASID goes on. */
	const iommu_hwpt_pgfault record = readOne();
	EXPECT_EQ(6u, record.pasid);
	EXPECT_EQ(0, queue_->answer(record.cookie));
	EXPECT_EQ(0, device_->detach(6));
	EXPECT_EQ(0u, mock_counters.faults_enabled);
	EXPECT_EQ(3u, mock_nr_responses());
}

TEST_F(FaultQueueTest, ReplaceLeavesWhatIsThereToBeAnswered)
{
	FaultQueue other(*iommufd_);
	uint32_t second = 0, silent = 0, pt;
	int code = -1;
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xb000, second,
				      IOMMU_HWPT_ALLOC_PASID, other.id()));
	ASSERT_EQ(0,
		  iommufd_->nested(device_->id(), parent_, 0xc000, silent, IOMMU_HWPT_ALLOC_PASID));
	EXPECT_EQ(MOCK_TAKEN, request(5, 1));
	EXPECT_EQ(MOCK_TAKEN, request(5, 2));
	const uint32_t cookie = readOne().cookie;
	pt = second;
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	/* Read before, or not yet: with the old table's queue, and with the table gone. */
	EXPECT_EQ(0u, mock_nr_responses());
	EXPECT_EQ(0, iommufd_->destroy(nested_));
	EXPECT_EQ(0, queue_->answer(cookie));
	EXPECT_EQ(1u, answers(1, &code));
	EXPECT_EQ(kSuccess, code);
	ASSERT_TRUE(queue_->readable());
	EXPECT_EQ(0, queue_->answer(readOne().cookie));
	EXPECT_EQ(1u, answers(2));
	/* Later groups go to the new one. */
	EXPECT_EQ(MOCK_TAKEN, request(5, 3));
	EXPECT_FALSE(queue_->readable());
	EXPECT_TRUE(other.readable());
	/* To itself: nothing changes. */
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	EXPECT_EQ(0u, answers(3));
	/* One that fails: nothing changes either. */
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xa000, nested_,
				      IOMMU_HWPT_ALLOC_PASID, queue_->id()));
	pt = nested_;
	mock_config.fail_attach = 1;
	EXPECT_EQ(-ENOSPC, device_->attach(pt, 5, true));
	EXPECT_EQ(0u, answers(3));
	EXPECT_EQ(0xb000, mock_table_at(0, 5));
	EXPECT_EQ(MOCK_TAKEN, request(5, 4));
	EXPECT_FALSE(queue_->readable());
	/* No fault queue: page requests are refused, and so they are known to be. */
	pt = silent;
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	EXPECT_EQ(MOCK_UNHANDLED, request(5, 5));
	EXPECT_EQ(1u, answers(5, &code));
	EXPECT_EQ(kInvalid, code);
	pt = nested_;
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	EXPECT_EQ(MOCK_TAKEN, request(5, 6));
	EXPECT_TRUE(queue_->readable());
	/* The end: the kernel answers groups without an answer, through three tables. */
	EXPECT_EQ(0u, answers(3) + answers(4) + answers(6));
	EXPECT_EQ(0, device_->detach(5));
	for (unsigned short group : {3, 4, 6}) {
		EXPECT_EQ(1u, answers(group, &code)) << group;
		EXPECT_EQ(kInvalid, code);
	}
	EXPECT_EQ(0u, mock_counters.faults_enabled);
	EXPECT_FALSE(other.readable());
}

/* From a table without a queue to one with: the device asks from now on, unless that fails. */
TEST_F(FaultQueueTest, ReplaceLetsADeviceAsk)
{
	uint32_t silent = 0, pt;
	ASSERT_EQ(0,
		  iommufd_->nested(device_->id(), parent_, 0xc000, silent, IOMMU_HWPT_ALLOC_PASID));
	EXPECT_EQ(0, device_->detach(5));
	ASSERT_EQ(0, device_->attachTo(silent, 5));
	EXPECT_EQ(MOCK_REFUSED, request(5, 1));
	for (unsigned *fail : {&mock_config.fail_faults, &mock_config.fail_attach}) {
		*fail = 1;
		pt = nested_;
		EXPECT_EQ(-ENOSPC, device_->attach(pt, 5, true));
		EXPECT_EQ(0u, mock_counters.faults_enabled);
		EXPECT_EQ(0xc000, mock_table_at(0, 5));
	}
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	EXPECT_EQ(MOCK_TAKEN, request(5, 2));
	EXPECT_TRUE(queue_->readable());
}

TEST_F(FaultQueueTest, KernelManagedTablesMayFaultToo)
{
	iommu_hwpt_alloc cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	cmd.dev_id = device_->id();
	cmd.pt_id = ioas_;
	cmd.fault_id = queue_->id();
	ASSERT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_ALLOC, &cmd));
	ASSERT_EQ(0, device_->attachTo(cmd.out_hwpt_id));
	EXPECT_EQ(MOCK_TAKEN, request(0, 1));
	iommu_hwpt_pgfault record = readOne();
	EXPECT_EQ(2u, record.flags);
	EXPECT_EQ(0u, record.pasid);
	EXPECT_EQ(0, queue_->answer(record.cookie));
	EXPECT_EQ(0, mock_response_at(0).has_pasid);
	/* A PASID without an attachment is not the requester id's business. */
	const mock_request stray = {0, 1, 9, 9, 0, 1, 1, 1};
	EXPECT_EQ(MOCK_UNHANDLED, mock_ask(&stray));
	EXPECT_FALSE(queue_->readable());
	int code = -1;
	EXPECT_EQ(1u, answers(9, &code));
	EXPECT_EQ(kInvalid, code);
	EXPECT_EQ(0, device_->detach());
}

/** An owner that answers late gets an error, for groups that it has read and for groups that it has
 * not. */
TEST_F(FaultQueueTest, ALateAnswer)
{
	ASSERT_EQ(0, wd::hostkernel::sysfsWrite("/sys/module/wd_iommu/parameters/fault_response_ms",
						"1"));
	EXPECT_EQ(MOCK_TAKEN, request(5, 1));
	EXPECT_EQ(1u, readOne().cookie);
	EXPECT_EQ(MOCK_TAKEN, request(5, 2));
	int code = -1;
	while (answers(1, &code) + answers(2, &code) < 2)
		std::this_thread::yield();
	EXPECT_EQ(kInvalid, code);
	EXPECT_EQ(-ETIMEDOUT, queue_->answer(1));
	EXPECT_EQ(-EINVAL, queue_->answer(1));
	EXPECT_EQ(1u, readOne().cookie);
	EXPECT_EQ(-ETIMEDOUT, queue_->answer(1, IOMMUFD_PAGE_RESP_INVALID));
	EXPECT_EQ(2u, mock_nr_responses());
}

/**
 * A reader at the limit of its memory: whenever it allocates, the device asks for more pages, which
 * must not wait for the reader.
 */
TEST_F(FaultQueueTest, AReaderThatWaitsForMemoryHoldsNobodyUp)
{
	unsigned short group = 100;
	EXPECT_EQ(MOCK_TAKEN, request(5, 1));
	{
		wd::hostkernel::AllocationHook hook([&] {
			EXPECT_EQ(MOCK_TAKEN, request(5, ++group, 2));
			EXPECT_TRUE(queue_->readable());
		});
		EXPECT_EQ(1u, readOne().cookie);
	}
	EXPECT_GE(group, 101u);
	iommu_hwpt_pgfault records[8] = {};
	EXPECT_EQ((group - 100u) * 80, queue_->read(records, 8));
	EXPECT_EQ(101u, records[0].grpid);
}

/** Meanwhile the group is detached with its device, and another one that is larger comes. */
TEST_F(FaultQueueTest, AReaderThatWaitsForMemoryFindsAnotherGroup)
{
	iommu_hwpt_pgfault records[4] = {};
	unsigned calls = 0;
	EXPECT_EQ(MOCK_TAKEN, request(5, 1));
	{
		wd::hostkernel::AllocationHook hook([&] {
			if (calls++)
				return;
			EXPECT_EQ(0, device_->detach(5));
			EXPECT_EQ(0, device_->attachTo(nested_, 5));
			EXPECT_EQ(MOCK_TAKEN, request(5, 2, 3));
		});
		EXPECT_EQ(120, queue_->read(records, 4));
	}
	EXPECT_EQ(1u, answers(1));
	EXPECT_EQ(2u, records[0].grpid);
	EXPECT_EQ(1u, records[0].cookie);
	EXPECT_EQ(MOCK_TAKEN, request(5, 3));
	{
		wd::hostkernel::AllocationHook hook([&] { device_->detach(5); });
		EXPECT_EQ(0, queue_->read(records, 4));
	}
	EXPECT_EQ(-EINVAL, queue_->answer(2));
}

/** Everything is closed in every order, with faults queued and delivered. */
TEST_F(FaultQueueTest, CloseInAnyOrder)
{
	queue_.reset();
	device_.reset();
	iommufd_.reset();
	for (unsigned order = 0; order < 6; order++) {
		auto iommufd = std::make_unique<Iommufd>();
		auto device = std::make_unique<MockDevice>(0);
		auto queue = std::make_unique<FaultQueue>(*iommufd);
		ASSERT_EQ(0, device->bind(*iommufd));
		const auto ioas = static_cast<uint32_t>(iommufd->allocIoas());
		uint32_t parent = 0, nested = 0;
		ASSERT_EQ(0, iommufd->hwpt(device->id(), ioas, kParentFlags, parent));
		ASSERT_EQ(0, iommufd->nested(device->id(), parent, 0xa000, nested, 0, queue->id()));
		ASSERT_EQ(0, device->attachTo(nested));
		mock_forget_responses();
		iommu_hwpt_pgfault record = {};
		EXPECT_EQ(MOCK_TAKEN, request(0, 1));
		EXPECT_EQ(MOCK_TAKEN, request(0, 2));
		EXPECT_EQ(40, queue->read(&record, 1));
		bool deviceClosed = false;
		for (unsigned step = 0; step < 3; step++) {
			switch ((step * (order % 2 + 1) + order / 2) % 3) {
			case 0:
				iommufd.reset();
				break;
			case 1:
				device.reset();
				deviceClosed = true;
				EXPECT_EQ(2u, mock_nr_responses());
				break;
			default:
				/* The queue's file outlives the iommufd. */
				EXPECT_EQ(!deviceClosed, queue->readable());
				queue.reset();
			}
		}
		EXPECT_EQ(2u, mock_nr_responses()) << order;
		EXPECT_EQ(0u, mock_counters.tables) << order;
	}
}

/** The device is gone while its faults wait: the answer goes nowhere, and nothing breaks. */
TEST_F(FaultQueueTest, TheQueueOutlivesTheDevice)
{
	EXPECT_EQ(MOCK_TAKEN, request(5, 1));
	EXPECT_EQ(MOCK_TAKEN, request(5, 2));
	const uint32_t cookie = readOne().cookie;
	device_->close();
	EXPECT_EQ(2u, mock_nr_responses());
	EXPECT_EQ(-EINVAL, queue_->answer(cookie));
	iommu_hwpt_pgfault record;
	EXPECT_EQ(0, queue_->read(&record, 1));
	EXPECT_EQ(0, iommufd_->destroy(nested_));
	queue_->close();
	EXPECT_EQ(0, iommufd_->destroy(queue_->id()));
}

} // namespace kernel_iommufd
