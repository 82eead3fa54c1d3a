// SPDX-License-Identifier: Apache-2.0
/* Fault queues: read, write, poll, and detach. */
#include <cerrno>
#include <poll.h>
#include <thread>

#include "fixture.h"
#include "mock_layer.h"

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
	/** Read the first group, which must have one record. */
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
	/* The kernel cannot write its answer: it makes neither object nor file. */
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

/* IOMMUFD-FAULT-1: the process has no descriptor left. */
TEST_F(KernelTest, FaultQueueWithoutADescriptor)
{
	Iommufd iommufd;
	Caller &caller = iommufd.caller();
	std::vector<int> files;
	iommu_fault_alloc cmd = {};
	int fd;

	while ((fd = caller.dupTo(iommufd.fd(), caller)) >= 0)
		files.push_back(fd);
	ASSERT_EQ(-EMFILE, fd);
	cmd.size = sizeof(cmd);
	EXPECT_EQ(-EMFILE, iommufd.ioctl(IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	for (const int file : files)
		EXPECT_EQ(0, caller.close(file));
	ASSERT_EQ(0, iommufd.ioctl(IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	EXPECT_EQ(1u, cmd.out_fault_id) << "the first queue has left no object";
	EXPECT_EQ(0, caller.close(static_cast<int>(cmd.out_fault_fd)));
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

/* IOMMUFD-FAULT-2: each permission by itself, and a request without PASID. */
TEST_F(FaultQueueTest, RecordsTellWhatWasAskedFor)
{
	const uint32_t kinds[] = {IOMMU_PGFAULT_PERM_READ, IOMMU_PGFAULT_PERM_WRITE,
				  IOMMU_PGFAULT_PERM_EXEC, IOMMU_PGFAULT_PERM_PRIV};
	unsigned short group = 0;

	ASSERT_EQ(0, device_->attachTo(nested_));
	for (const bool pasid : {true, false})
		for (const uint32_t kind : kinds) {
			const mock_request asked = {
				0,	 pasid,	 pasid ? 5u : 0u,
				++group, 0x7000, static_cast<unsigned char>(kind),
				1,	 0};

			ASSERT_EQ(MOCK_TAKEN, mock_ask(&asked));
			const iommu_hwpt_pgfault record = readOne();
			EXPECT_EQ(kind, record.perm);
			EXPECT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE |
					  (pasid ? uint32_t{IOMMU_PGFAULT_FLAGS_PASID_VALID} : 0),
				  record.flags)
				<< "and no other flag";
			EXPECT_EQ(asked.pasid, record.pasid);
			EXPECT_EQ(0, queue_->answer(record.cookie));
		}
	EXPECT_EQ(8u, mock_nr_responses());
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
 * IOMMUFD-FAULT-3: the attack: read with wrong lengths, offsets and buffers.
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
	/* The first group fills the buffer up to its end; the second stays queued. */
	ASSERT_EQ(0, mprotect(memory.data() + kPage, kPage, PROT_NONE));
	EXPECT_EQ(80, queue_->read(edge, 8));
	EXPECT_EQ(1u, edge[0].grpid);
	EXPECT_EQ(1u, edge[1].cookie);
	EXPECT_EQ(-EFAULT, queue_->read(edge + 2, 1));
	/* Only half of a group can be written: the whole group stays queued. */
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

/** The attack: a reader whose reads fail takes the wake-ups of the others. */
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
	/*
	 * Groups that were read and groups that were not get INVALID. The user's answer is too
	 * late.
	 */
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
	/*
	 * Answer groups of the old table: one was read before, the other is read now that it is
	 * gone.
	 */
	EXPECT_EQ(0u, mock_nr_responses());
	EXPECT_EQ(0, iommufd_->destroy(nested_));
	EXPECT_EQ(0, queue_->answer(cookie));
	EXPECT_EQ(1u, answers(1, &code));
	EXPECT_EQ(kSuccess, code);
	ASSERT_TRUE(queue_->readable());
	EXPECT_EQ(0, queue_->answer(readOne().cookie));
	EXPECT_EQ(1u, answers(2));
	/* Later groups go to the new table's queue. */
	EXPECT_EQ(MOCK_TAKEN, request(5, 3));
	EXPECT_FALSE(queue_->readable());
	EXPECT_TRUE(other.readable());
	/* A replace by the same table changes nothing. */
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	EXPECT_EQ(0u, answers(3));
	/* A replace that fails changes nothing either. */
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xa000, nested_,
				      IOMMU_HWPT_ALLOC_PASID, queue_->id()));
	pt = nested_;
	mock_config.fail_attach = 1;
	EXPECT_EQ(-ENOSPC, device_->attach(pt, 5, true));
	EXPECT_EQ(0u, answers(3));
	EXPECT_EQ(0xb000, mock_table_at(0, 5));
	EXPECT_EQ(MOCK_TAKEN, request(5, 4));
	EXPECT_FALSE(queue_->readable());
	/* A table without fault queue: the layer answers page requests with INVALID. */
	pt = silent;
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	EXPECT_EQ(MOCK_UNHANDLED, request(5, 5));
	EXPECT_EQ(1u, answers(5, &code));
	EXPECT_EQ(kInvalid, code);
	pt = nested_;
	EXPECT_EQ(0, device_->attach(pt, 5, true));
	EXPECT_EQ(MOCK_TAKEN, request(5, 6));
	EXPECT_TRUE(queue_->readable());
	/* At the end the kernel answers the open groups, which belong to three tables. */
	EXPECT_EQ(0u, answers(3) + answers(4) + answers(6));
	EXPECT_EQ(0, device_->detach(5));
	for (unsigned short group : {3, 4, 6}) {
		EXPECT_EQ(1u, answers(group, &code)) << group;
		EXPECT_EQ(kInvalid, code);
	}
	EXPECT_EQ(0u, mock_counters.faults_enabled);
	EXPECT_FALSE(other.readable());
}

/* Replace a table without queue by one with a queue: then the device may ask, unless it fails. */
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
	/* A request at a PASID without attachment must not go to the requester id's queue. */
	const mock_request stray = {0, 1, 9, 9, 0, 1, 1, 1};
	EXPECT_EQ(MOCK_UNHANDLED, mock_ask(&stray));
	EXPECT_FALSE(queue_->readable());
	int code = -1;
	EXPECT_EQ(1u, answers(9, &code));
	EXPECT_EQ(kInvalid, code);
	EXPECT_EQ(0, device_->detach());
}

/** An owner that is too late gets an error, for groups that it has read and for others. */
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
 * A reader has no memory left. Whenever it allocates, the device asks for more pages. These
 * requests must not wait for the reader.
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

/** While a reader waits for memory, a detach takes its group away, and a larger group comes. */
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

/** Close everything in every order, with faults that were read and faults that were not. */
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

/** The device goes while its faults wait: the answer is dropped, and nothing breaks. */
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

namespace
{

/** A program of user @uid with shared binds of device 1, whose page requests arrive in a queue. */
class SharedUser
{
public:
	explicit SharedUser(unsigned uid) : caller_(Caller::create(uid))
	{
		EXPECT_EQ(0, device_.bind(iommufd_, true));
		const auto ioas = static_cast<uint32_t>(iommufd_.allocIoas());
		uint32_t parent = 0;
		EXPECT_EQ(0, iommufd_.hwpt(device_.id(), ioas, kParentFlags, parent));
		EXPECT_EQ(0, iommufd_.nested(device_.id(), parent, 0xa000, nested_,
					     IOMMU_HWPT_ALLOC_PASID, queue_.id()));
	}
	void attach(unsigned pasid) { EXPECT_EQ(0, device_.attachTo(nested_, pasid)); }
	const FaultQueue &queue() const { return queue_; }

private:
	std::shared_ptr<Caller> caller_;
	Iommufd iommufd_{caller_};
	MockDevice device_{1, caller_};
	FaultQueue queue_{iommufd_};
	uint32_t nested_ = 0;
};

} // namespace

/* The attack: one user has ten tables on a device, and answers none of their page requests. */
TEST_F(NestedTest, AUserThatAnswersNothingLeavesPageRequestsToOthers)
{
	mock_config.fault_credits = 512;
	SharedUser greedy(1000), modest(1001);
	for (unsigned pasid = 10; pasid < 20; pasid++) {
		greedy.attach(pasid);
		for (unsigned i = 0; i < 65; i++)
			request(pasid, static_cast<unsigned short>(i), 1, 1);
	}
	const unsigned refused = mock_nr_responses();
	modest.attach(20);
	for (unsigned i = 0; i < 64; i++) {
		iommu_hwpt_pgfault record = {};
		ASSERT_EQ(MOCK_TAKEN, request(20, static_cast<unsigned short>(i), 1, 1)) << i;
		ASSERT_EQ(40, modest.queue().read(&record, 1));
		EXPECT_EQ(0, modest.queue().answer(record.cookie));
	}
	EXPECT_EQ(refused + 64, mock_nr_responses());
}

/* The attack: a device's owner reads nothing, and attaches at a new PASID after each reset. */
TEST_F(NestedTest, AnOwnerThatReadsNothingHoldsBoundedGroupsOverResets)
{
	constexpr unsigned kCredits = 64, kResets = 100;
	mock_config.fault_credits = kCredits;
	FaultQueue queue(*iommufd_);
	uint32_t nested = 0;
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xa000, nested,
				      IOMMU_HWPT_ALLOC_PASID, queue.id()));
	unsigned allocations = 0;
	for (unsigned pasid = 1; pasid <= kResets; pasid++) {
		ASSERT_EQ(0, device_->attachTo(nested, pasid));
		wd::hostkernel::AllocationHook hook([&] { allocations++; });

		for (unsigned i = 0; i < kCredits; i++)
			request(pasid, static_cast<unsigned short>(i), 1, 0);
		layer_reset(0);
	}
	EXPECT_EQ(0u, allocations) << "a page request needs no memory";
	EXPECT_EQ(kCredits * kResets, mock_nr_responses());
	std::vector<iommu_hwpt_pgfault> records(kCredits * kResets);
	EXPECT_EQ(static_cast<ssize_t>(kCredits * sizeof(records[0])),
		  queue.read(records.data(), records.size()));
	/* An answer gives the user its credit back. */
	EXPECT_EQ(-ECANCELED, queue.answer(records[0].cookie));
	EXPECT_EQ(MOCK_TAKEN, request(kResets, 1, 1, 0));
	EXPECT_EQ(MOCK_UNHANDLED, request(kResets, 2, 1, 0));
	for (unsigned pasid = 1; pasid <= kResets; pasid++)
		EXPECT_EQ(0, device_->detach(pasid));
}

} // namespace kernel_iommufd
