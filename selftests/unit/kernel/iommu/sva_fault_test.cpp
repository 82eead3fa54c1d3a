// SPDX-License-Identifier: Apache-2.0
/*
 * Page faults of bonds, with pages that never come. Only their owner may have to wait.
 *
 * Mutants that these tests kill, each tried once: one workqueue for all bonds; a close that does
 * not answer the current group, or the waiting ones; a page-in that holds the mmap lock.
 */
#include "../../../common/stuck_memory.h"
#include "base/bits.h"
#include "requester.h"
#include "sva_process.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace wd::kerneltest
{
namespace
{

using machine::Access;
using machine::DmaResult;
using machine::PageResponse;
using machine::pasidStream;
using test::endsBefore;
using test::StuckMemory;

constexpr uint32_t kPasid = 77;
constexpr uint64_t kPage = kPageSize;

class SvaFault : public IommuTest
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }
	void SetUp() override
	{
		IommuTest::SetUp();
		/* No time limit for answers, so that a slow machine changes nothing. */
		setFaultLimit(0);
		process_.emplace();
	}
	void TearDown() override
	{
		process_.reset();
		setFaultLimit(kFaultLimit);
		IommuTest::TearDown();
	}
	/** Send a request for a page that is missing. */
	void ask(uint64_t address, uint64_t token, uint32_t pasid = kPasid)
	{
		EXPECT_EQ(agent_->prepare(pasidStream(kFirstRid, pasid), address, 8, Access::Read,
					  requester_, token),
			  DmaResult::Pending);
	}
	PageResponse asked(uint64_t address, uint64_t token, uint32_t pasid = kPasid)
	{
		ask(address, token, pasid);
		return requester_.wait(token);
	}

	std::optional<Process> process_;
	UserPages pages_{2};
	Requester requester_;
};

TEST_F(SvaFault, BringsPagesAndRefusesWhatIsNotThere)
{
	Bond bond(firstDev_, process_->mm(), kPasid, true);

	ASSERT_EQ(bond.error(), 0);
	EXPECT_EQ(asked(pages_.address(), 1), PageResponse::Success);
	EXPECT_EQ(word(pasidStream(kFirstRid, kPasid), pages_.address()), pages_.word());
	EXPECT_EQ(asked(kPage, 2), PageResponse::InvalidRequest);
}

/* The worker waits for pages that another program provides later. */
/* The function must not go on using a page that the process has unmapped. */
TEST_F(SvaFault, AChangeReachesTheDeviceTlb)
{
	Bond bond(firstDev_, process_->mm(), kPasid, true);
	std::vector<unsigned> order;

	ASSERT_EQ(bond.error(), 0);
	ASSERT_TRUE(process_->mm().fill(pages_.address(), true));
	EXPECT_EQ(word(pasidStream(kFirstRid, kPasid), pages_.address()), pages_.word());
	watchQueue();
	process_->caller().memoryChanged(pages_.at(), kPage);
	memory_.unwatch();
	for (const Descriptor &descriptor : seen()) {
		EXPECT_EQ(descriptor.pasid(), kPasid);
		order.push_back(descriptor.type());
	}
	EXPECT_EQ(order, (std::vector<unsigned>{kPasidIotlb, kPasidDeviceTlb}));
}

/* Its PASID is taken, or the page requests of it: then nothing of the bond stays. */
TEST_F(SvaFault, ARefusedBondLeavesNothing)
{
	const DomainResult domain = domainAlloc(firstDev_);

	ASSERT_EQ(attachPasid(domain.domain, firstDev_, kPasid), 0);
	EXPECT_EQ(Bond(firstDev_, process_->mm(), kPasid, true).error(), -EBUSY);
	process_->caller().memoryChanged(pages_.at(), kPage);
	detachPasid(domain.domain, firstDev_, kPasid);
	domainFree(domain.domain);
	{
		FaultHandler handler(firstDev_, kPasid);

		EXPECT_EQ(handler.error(), 0) << "the bond's handler has gone";
		EXPECT_EQ(Bond(firstDev_, process_->mm(), kPasid, true).error(), -EBUSY);
		process_->caller().memoryChanged(pages_.at(), kPage);
	}
	EXPECT_EQ(Bond(firstDev_, process_->mm(), kPasid, true).error(), 0);
	EXPECT_FALSE(first_->atsEnabled());
}

TEST_F(SvaFault, WaitsForPagesThatComeLate)
{
	StuckMemory stuck(1);
	Bond bond(firstDev_, process_->mm(), kPasid, true);

	ASSERT_EQ(bond.error(), 0);
	ask(stuck.address(), 1);
	stuck.waitTouched();
	EXPECT_FALSE(requester_.has(1));
	stuck.bring(0);
	EXPECT_EQ(requester_.wait(1), PageResponse::Success);
	EXPECT_EQ(word(pasidStream(kFirstRid, kPasid), stuck.address()), 0u);
}

/* Attack: many processes with pages that never come. */
TEST_F(SvaFault, PagesThatNeverComeHoldUpNobodyElse)
{
	constexpr unsigned kStuck = 40;
	StuckMemory stuck(kStuck);
	std::vector<std::unique_ptr<Process>> processes;
	std::vector<std::unique_ptr<Bond>> bonds;
	Bond bond(firstDev_, process_->mm(), kPasid, true);

	ASSERT_EQ(bond.error(), 0);
	for (unsigned i = 0; i < kStuck; i++) {
		processes.push_back(std::make_unique<Process>());
		bonds.push_back(
			std::make_unique<Bond>(firstDev_, processes[i]->mm(), 100 + i, true));
		ASSERT_EQ(bonds[i]->error(), 0);
		ask(stuck.address() + i * kPage, 100 + i, 100 + i);
	}
	EXPECT_TRUE(endsBefore(stuck, [&] {
		ask(pages_.address(), 1);
		EXPECT_EQ(requester_.wait(1), PageResponse::Success);
	}));
	for (unsigned i = 0; i < kStuck; i++)
		EXPECT_FALSE(requester_.has(100 + i));
	stuck.release();
	for (unsigned i = 0; i < kStuck; i++)
		EXPECT_EQ(requester_.wait(100 + i), PageResponse::Success);
}

/*
 * Such pages do not use up the memory of the user's other processes either: the layer frees the
 * groups that it has answered itself, although the worker still waits.
 */
TEST_F(SvaFault, PagesThatNeverComeTakeNoMemoryOfOthers)
{
	constexpr unsigned kPages = 200, kRounds = 3;
	StuckMemory stuck(kPages);
	Process other;
	Bond bond(firstDev_, process_->mm(), kPasid, true);
	Bond next(firstDev_, other.mm(), kPasid + 1, true);

	ASSERT_EQ(bond.error(), 0);
	ASSERT_EQ(next.error(), 0);
	setFaultLimit(1);
	for (unsigned round = 0; round < kRounds; round++) {
		for (unsigned i = 0; i < kPages; i++)
			ask(stuck.address() + i * kPage, 1 + round * kPages + i);
		for (unsigned i = 0; i < kPages; i++)
			EXPECT_EQ(requester_.wait(1 + round * kPages + i),
				  PageResponse::InvalidRequest);
	}
	setFaultLimit(0);
	EXPECT_EQ(asked(pages_.address(), kRounds * kPages + 1, kPasid + 1), PageResponse::Success);
	stuck.release();
}

/* The end of a bond answers its faults, and the PASID is free, even if the page never comes. */
TEST_F(SvaFault, UnbindWaitsForNoPage)
{
	StuckMemory stuck(3);
	Bond bond(firstDev_, process_->mm(), kPasid, true);
	Process other;

	ASSERT_EQ(bond.error(), 0);
	ask(stuck.address(), 1);
	stuck.waitTouched();
	ask(stuck.address() + kPage, 2);
	EXPECT_TRUE(endsBefore(stuck, [&] { bond.unbind(); }));
	EXPECT_EQ(bond.releases(), 1u);
	EXPECT_EQ(requester_.wait(1), PageResponse::InvalidRequest);
	EXPECT_EQ(requester_.wait(2), PageResponse::InvalidRequest);

	Bond next(firstDev_, other.mm(), kPasid, true);

	ASSERT_EQ(next.error(), 0);
	EXPECT_EQ(asked(pages_.address(), 3), PageResponse::Success);
	EXPECT_EQ(word(pasidStream(kFirstRid, kPasid), pages_.address()), pages_.word());
}

TEST_F(SvaFault, CutWaitsForNoPage)
{
	StuckMemory stuck(1);
	Bond bond(firstDev_, process_->mm(), kPasid, true);

	ASSERT_EQ(bond.error(), 0);
	ask(stuck.address(), 1);
	stuck.waitTouched();
	EXPECT_TRUE(endsBefore(stuck, [&] { bond.cut(); }));
	EXPECT_EQ(requester_.wait(1), PageResponse::InvalidRequest);
}

TEST_F(SvaFault, MayBeUnboundWhenTheMmEnds)
{
	Bond bond(firstDev_, process_->mm(), kPasid, true, [](Bond &self) { self.unbind(); });

	ASSERT_EQ(bond.error(), 0);
	EXPECT_EQ(asked(pages_.address(), 1), PageResponse::Success);
	process_->end();
	while (!bond.releases())
		std::this_thread::yield();
	EXPECT_EQ(attachments("type=sva"), 0u);
}

TEST_F(SvaFault, TheDriverGoesUnderAPageThatDoesNotCome)
{
	StuckMemory stuck(1);
	Bond bond(firstDev_, process_->mm(), kPasid, true);

	ASSERT_EQ(bond.error(), 0);
	ask(stuck.address(), 1);
	stuck.waitTouched();
	EXPECT_TRUE(endsBefore(stuck, [&] {
		removeDevice(kFirst);
		bond.unbind();
	}));
}

/* The process may go on, and end: the worker uses its memory, but does not hold its mmap lock. */
TEST_F(SvaFault, TheProcessDoesNotWaitForTheDevicesPage)
{
	StuckMemory stuck(1);
	Bond bond(firstDev_, process_->mm(), kPasid, true);

	ASSERT_EQ(bond.error(), 0);
	ask(stuck.address(), 1);
	stuck.waitTouched();
	EXPECT_TRUE(endsBefore(stuck, [&] {
		process_->caller().memoryChanged(pages_.at(), kPage);
		process_->end();
	}));
	EXPECT_EQ(bond.exits(), 0u);
	stuck.release();
	while (!bond.exits())
		std::this_thread::yield();
	bond.unbind();
}

} // namespace
} // namespace wd::kerneltest
