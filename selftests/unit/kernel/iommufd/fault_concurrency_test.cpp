// SPDX-License-Identifier: Apache-2.0
/*
 * Devices ask for pages while tables are attached, replaced and detached, and while readers read,
 * answer, and misbehave. Every group of a device gets exactly one answer.
 */
#include <atomic>
#include <cerrno>
#include <map>
#include <random>
#include <thread>

#include "fixture.h"

namespace kernel_iommufd
{

#if defined(__SANITIZE_THREAD__)
constexpr unsigned kGroups = 3000;
#else
constexpr unsigned kGroups = 15000;
#endif
constexpr unsigned kAskers = 3;
constexpr unsigned kPasids = 4;

class FaultConcurrencyTest : public NestedTest
{
protected:
	/** Threads of the device that ask at PASIDs 1 .. kPasids; groups of 1 to 3 pages. */
	void startDevice()
	{
		running_ = kAskers;
		for (unsigned asker = 0; asker < kAskers; asker++)
			threads_.emplace_back([this, asker] {
				for (unsigned i = 0; i < kGroups; i++) {
					const auto group =
						static_cast<unsigned short>(asker * kGroups + i);
					if (request(1 + i % kPasids, group, 1 + i % 3) !=
					    MOCK_REFUSED)
						asked_++;
				}
				running_--;
			});
	}
	/**
	 * A reader that answers every group, by a fixed rule. If it is hostile, it also gives bad
	 * answers.
	 */
	void startReader(const FaultQueue &queue, bool hostile)
	{
		threads_.emplace_back([this, &queue, hostile] {
			std::mt19937 random(hostile);
			iommu_hwpt_pgfault records[8] = {};
			while (running_ || queue.readable()) {
				const ssize_t got =
					queue.read(hostile && random() % 2 ? nullptr : records, 8);
				if (hostile)
					queue.answer(random() % 8, random() % 3);
				for (ssize_t i = 0; i < got / 40; i++)
					if (records[i].flags & 2)
						queue.answer(records[i].cookie, i % 2);
			}
		});
	}
	void join()
	{
		for (std::thread &thread : threads_)
			thread.join();
		threads_.clear();
	}
	/** Expect one answer for each group. The test uses each group number once. */
	void expectOneAnswerEach() const
	{
		std::map<unsigned, unsigned> seen;
		for (unsigned i = 0; i < mock_nr_responses(); i++)
			EXPECT_EQ(1u, ++seen[mock_response_at(i).grpid]);
		EXPECT_EQ(asked_, seen.size());
	}
	std::vector<std::thread> threads_;
	std::atomic<unsigned> asked_{0}, running_{0};
};

TEST_F(FaultConcurrencyTest, ReadersAndAHostileReader)
{
	FaultQueue queue(*iommufd_);
	uint32_t nested = 0;
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0xa000, nested,
				      IOMMU_HWPT_ALLOC_PASID, queue.id()));
	for (unsigned pasid = 1; pasid <= kPasids; pasid++)
		ASSERT_EQ(0, device_->attachTo(nested, pasid));
	startDevice();
	startReader(queue, false);
	startReader(queue, false);
	startReader(queue, true);
	join();
	for (unsigned pasid = 1; pasid <= kPasids; pasid++)
		EXPECT_EQ(0, device_->detach(pasid));
	EXPECT_EQ(kAskers * kGroups, asked_);
	expectOneAnswerEach();
}

TEST_F(FaultConcurrencyTest, TablesComeAndGo)
{
	FaultQueue queue(*iommufd_), other(*iommufd_);
	uint32_t tables[3] = {};
	const uint32_t queues[3] = {queue.id(), other.id(), 0};
	for (unsigned i = 0; i < 3; i++)
		ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0x1000 * i, tables[i],
					      IOMMU_HWPT_ALLOC_PASID, queues[i]));
	startDevice();
	startReader(queue, false);
	startReader(other, false);
	startReader(queue, true);
	std::mt19937 random(1);
	bool attached[kPasids + 1] = {};
	while (running_) {
		const unsigned pasid = 1 + random() % kPasids;
		uint32_t pt = tables[random() % 3];
		if (!attached[pasid] || random() % 3)
			ASSERT_EQ(0, device_->attach(pt, pasid, attached[pasid]));
		else
			ASSERT_EQ(0, device_->detach(pasid));
		attached[pasid] = pt != 0 && mock_table_at(0, pasid) >= 0;
	}
	join();
	for (unsigned pasid = 1; pasid <= kPasids; pasid++)
		EXPECT_EQ(0, device_->detach(pasid));
	expectOneAnswerEach();
}

/** A process dies while its faults are pending, and the next one starts. */
TEST_F(FaultConcurrencyTest, CallersDieWithFaultsPending)
{
	device_->close();
	startDevice();
	while (running_) {
		auto caller = Caller::create(1000);
		Iommufd iommufd(caller);
		MockDevice device(0, caller);
		ASSERT_EQ(0, device.bind(iommufd));
		const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
		FaultQueue queue(iommufd);
		uint32_t parent = 0, nested = 0;
		ASSERT_EQ(0, iommufd.hwpt(device.id(), ioas, kParentFlags, parent));
		ASSERT_EQ(0, iommufd.nested(device.id(), parent, 0, nested, IOMMU_HWPT_ALLOC_PASID,
					    queue.id()));
		for (unsigned pasid = 1; pasid <= kPasids; pasid++)
			ASSERT_EQ(0, device.attachTo(nested, pasid));
		iommu_hwpt_pgfault records[8] = {};
		if (queue.readable())
			queue.read(records, 8);
		if (running_ % 2)
			iommufd.close();
	}
	join();
	expectOneAnswerEach();
}

/** 10,000 faults over 1,000 PASIDs wait at the same time. */
TEST_F(FaultConcurrencyTest, TenThousandFaultsOverAThousandPasids)
{
	FaultQueue queue(*iommufd_);
	uint32_t nested = 0;
	ASSERT_EQ(0, iommufd_->nested(device_->id(), parent_, 0, nested, IOMMU_HWPT_ALLOC_PASID,
				      queue.id()));
	for (unsigned pasid = 1; pasid <= 1000; pasid++)
		ASSERT_EQ(0, device_->attachTo(nested, pasid));
	for (unsigned i = 0; i < 10000; i++) {
		ASSERT_EQ(MOCK_TAKEN, request(1 + i % 1000, static_cast<unsigned short>(i)));
		asked_++;
	}
	std::vector<iommu_hwpt_pgfault> records(10000);
	ASSERT_EQ(400000, queue.read(records.data(), records.size()));
	EXPECT_EQ(0u, mock_nr_responses());
	/* Detach half of the PASIDs. Answer the groups of the others, the last one first. */
	for (unsigned pasid = 1; pasid <= 500; pasid++)
		EXPECT_EQ(0, device_->detach(pasid));
	EXPECT_EQ(5000u, mock_nr_responses());
	for (unsigned i = 10000; i-- > 0;)
		EXPECT_EQ(records[i].pasid <= 500 ? -EINVAL : 0, queue.answer(records[i].cookie));
	EXPECT_EQ(10000u, mock_nr_responses());
	for (unsigned pasid = 501; pasid <= 1000; pasid++)
		EXPECT_EQ(0, device_->detach(pasid));
	expectOneAnswerEach();
}

} // namespace kernel_iommufd
