// SPDX-License-Identifier: Apache-2.0
/* The IOMMU layer's page faults: groups, handlers, answers, and devices that misbehave. */
#include <atomic>
#include <cerrno>
#include <set>
#include <string>
#include <thread>

#include "../../../common/asleep.h"
#include "fixture.h"
#include "mock_layer.h"

namespace kernel_iommufd
{

constexpr int kSuccess = 0, kInvalid = 1;

/** PASID 5 of device 0 is on a domain. */
class LayerFaultTest : public KernelTest
{
protected:
	LayerFaultTest() : KernelTest(true)
	{
		domain_ = layer_domain(0, kParentFlags);
		EXPECT_EQ(0, layer_attach_pasid(domain_, 0, 5));
	}
	~LayerFaultTest() override
	{
		layer_detach_pasid(domain_, 0, 5);
		layer_domain_free(domain_);
		EXPECT_EQ(0u, layer_nr_groups());
		EXPECT_EQ(0u, mock_counters.faults_enabled);
	}
	/** Until the layer has answered @count groups. */
	static void answered(unsigned count)
	{
		while (mock_nr_responses() < count)
			std::this_thread::yield();
	}
	static void setLimit(const std::string &ms)
	{
		EXPECT_EQ(0, wd::hostkernel::sysfsWrite(
				     "/sys/module/wd_iommu/parameters/fault_response_ms", ms));
	}
	static mock_verdict request(unsigned short grpid, uint64_t addr, bool last,
				    unsigned pasid = 5, bool forced = false)
	{
		const mock_request request = {0, pasid != 0, pasid, grpid, addr, 1, last, forced};
		return mock_ask(&request);
	}
	iommu_domain *domain_;
};

TEST_F(LayerFaultTest, AGroupIsDeliveredWhenItIsComplete)
{
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, false));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x9000, false));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x2000, false));
	EXPECT_EQ(0u, layer_nr_groups());
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x3000, true));
	ASSERT_EQ(1u, layer_nr_groups());
	const layer_group group = layer_group_at(0);
	EXPECT_EQ(3u, group.count);
	EXPECT_EQ(0x1000u, group.first);
	EXPECT_EQ(0x3000u, group.last);
	EXPECT_EQ(5u, group.pasid);
	EXPECT_EQ(1u, group.grpid);
	EXPECT_EQ(0u, mock_nr_responses());
	layer_answer(kSuccess);
	ASSERT_EQ(1u, mock_nr_responses());
	const mock_response response = mock_response_at(0);
	EXPECT_EQ(5u, response.pasid);
	EXPECT_EQ(1, response.has_pasid);
	EXPECT_EQ(1u, response.grpid);
	EXPECT_EQ(kSuccess, response.code);
	/* The other group was not touched. */
	EXPECT_EQ(MOCK_TAKEN, request(2, 0xa000, true));
	EXPECT_EQ(2u, layer_group_at(0).count);
	layer_answer(kInvalid);
	EXPECT_EQ(kInvalid, mock_response_at(1).code);
	layer_unhandle(0, 5);
}

TEST_F(LayerFaultTest, HandlersAreOfOnePlace)
{
	ASSERT_EQ(0, layer_handle(0, 5, kSuccess));
	EXPECT_EQ(-EBUSY, layer_handle(0, 5, kSuccess));
	EXPECT_EQ(0, layer_handle(0, 0, kSuccess));
	EXPECT_EQ(1u, mock_counters.faults_enabled);
	EXPECT_EQ(MOCK_TAKEN, request(1, 0, true));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0, true, 0, true));
	EXPECT_EQ(0, mock_response_at(1).has_pasid);
	/*
	 * At a PASID without a handler: the requester id's handler does not get it, and it is
	 * logged.
	 */
	EXPECT_EQ(MOCK_UNHANDLED, request(9, 0, false, 6, true));
	EXPECT_EQ(2u, mock_nr_responses());
	EXPECT_EQ(MOCK_UNHANDLED, request(9, 0, true, 6, true));
	ASSERT_EQ(3u, mock_nr_responses());
	EXPECT_EQ(kInvalid, mock_response_at(2).code);
	EXPECT_EQ(6u, mock_response_at(2).pasid);
	/* The device may ask as long as one handler is there. */
	layer_unhandle(0, 5);
	EXPECT_EQ(1u, mock_counters.faults_enabled);
	layer_unhandle(0, 5);
	layer_unhandle(0, 0);
	EXPECT_EQ(0u, mock_counters.faults_enabled);
	EXPECT_EQ(MOCK_REFUSED, request(1, 0, true));
}

TEST_F(LayerFaultTest, ADeviceThatCannotAskHasNoHandler)
{
	mock_config.fail_faults = 1;
	EXPECT_EQ(-ENOSPC, layer_handle(0, 5, kSuccess));
	EXPECT_EQ(MOCK_UNHANDLED, request(1, 0, true, 5, true));
	EXPECT_EQ(0, layer_handle(0, 5, kSuccess));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0, true));
	layer_unhandle(0, 5);
}

TEST_F(LayerFaultTest, WhatTheHandlerGotIsAnsweredAfterItWent)
{
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x1000, false));
	layer_unhandle(0, 5);
	layer_answer(kSuccess);
	ASSERT_EQ(1u, mock_nr_responses());
	/* An incomplete group is forgotten; its last request is answered. */
	EXPECT_EQ(MOCK_UNHANDLED, request(2, 0x2000, true, 5, true));
	EXPECT_EQ(kInvalid, mock_response_at(1).code);
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x3000, true));
	EXPECT_EQ(1u, layer_group_at(0).count);
	layer_answer(kSuccess);
	layer_unhandle(0, 5);
}

/* A device is removed with faults that wait for an answer: it gets one, the owner's goes nowhere. */
TEST_F(LayerFaultTest, AnswersAfterTheReleaseAreDropped)
{
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x1000, false));
	layer_release(0);
	EXPECT_EQ(0u, mock_counters.faults_enabled);
	EXPECT_EQ(MOCK_REFUSED, request(2, 0x1000, true, 5, true));
	EXPECT_EQ(-ECANCELED, layer_answer(kSuccess));
	ASSERT_EQ(1u, mock_nr_responses());
	EXPECT_EQ(kInvalid, mock_response_at(0).code);
	layer_unhandle(0, 5);
	EXPECT_EQ(-ENODEV, layer_handle(0, 5, -1));
}

/* Numbers of groups begin anew with the next first handler: none of before is open then. */
TEST_F(LayerFaultTest, TheLastHandlerLeavesNothingOpen)
{
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	ASSERT_EQ(0, layer_handle(0, 6, -1));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x1000, true));
	layer_unhandle(0, 5);
	EXPECT_EQ(0u, mock_nr_responses());
	EXPECT_EQ(0, layer_answer(kSuccess));
	layer_unhandle(0, 6);
	ASSERT_EQ(2u, mock_nr_responses());
	EXPECT_EQ(2u, mock_response_at(1).grpid);
	EXPECT_EQ(kInvalid, mock_response_at(1).code);
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x1000, true));
	EXPECT_EQ(-ECANCELED, layer_answer(kSuccess));
	EXPECT_EQ(2u, mock_nr_responses());
	EXPECT_EQ(0, layer_answer(kSuccess));
	EXPECT_EQ(3u, mock_nr_responses());
	layer_unhandle(0, 5);
}

namespace
{

/** Where an answer stops on its way to the device. */
std::atomic<bool> answering, go;

void stopAnswer()
{
	answering = true;
	while (!go)
		std::this_thread::yield();
}

} // namespace

/* An answer that is being given is given, before page requests may come on anew; or the device go. */
TEST_F(LayerFaultTest, AnAnswerThatIsBeingGivenIsWaitedFor)
{
	for (bool release : {false, true}) {
		std::atomic<bool> gone{false};

		answering = go = false;
		mock_on_response = stopAnswer;
		ASSERT_EQ(0, layer_handle(0, 5, -1));
		EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
		std::thread owner([] { EXPECT_EQ(0, layer_answer(kSuccess)); });

		while (!answering)
			std::this_thread::yield();
		std::thread other([&] {
			if (release)
				layer_release(0);
			else
				layer_unhandle(0, 5);
			gone = true;
		});

		while (__atomic_load_n(&mock_counters.faults_enabled, __ATOMIC_RELAXED))
			std::this_thread::yield();
		/* Were it not waited for it would have every chance to be gone. */
		wd::test::settle();
		EXPECT_FALSE(gone);
		go = true;
		owner.join();
		other.join();
		mock_on_response = nullptr;
		EXPECT_EQ(1u + release, mock_nr_responses());
		EXPECT_EQ(kSuccess, mock_response_at(release).code);
	}
	layer_unhandle(0, 5);
}

/* The attack: requests of groups that never end. The oldest are forgotten. */
TEST_F(LayerFaultTest, AFloodOfIncompleteGroupsIsLimited)
{
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	EXPECT_EQ(MOCK_TAKEN, request(0xffff, 0x1000, false));
	for (unsigned i = 0; i < WD_FAULT_MAX_PARTIAL; i++)
		EXPECT_EQ(MOCK_TAKEN, request(static_cast<unsigned short>(i % 1000), i, false));
	EXPECT_EQ(MOCK_TAKEN, request(0xffff, 0x2000, true));
	EXPECT_EQ(1u, layer_group_at(0).count);
	layer_answer(kSuccess);
	/* One group of everything that is left. */
	for (unsigned i = 0; i < 2 * WD_FAULT_MAX_PARTIAL; i++)
		EXPECT_EQ(MOCK_TAKEN, request(7, i, false));
	EXPECT_EQ(MOCK_TAKEN, request(7, 0x2000, true));
	EXPECT_EQ(WD_FAULT_MAX_PARTIAL + 1u, layer_group_at(0).count);
	layer_answer(kSuccess);
	layer_unhandle(0, 5);
}

/* The attack: endless groups without answers, by an exclusive owner. */
TEST_F(LayerFaultTest, AFloodOfGroupsIsLimited)
{
	constexpr unsigned kCredits = 500;
	setLimit("0");
	mock_config.fault_credits = kCredits;
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	for (unsigned i = 0; i < kCredits; i++)
		ASSERT_EQ(MOCK_TAKEN, request(static_cast<unsigned short>(i), i, true)) << i;
	EXPECT_EQ(0u, mock_nr_responses());
	EXPECT_EQ(MOCK_UNHANDLED, request(1, 0, true));
	ASSERT_EQ(1u, mock_nr_responses());
	EXPECT_EQ(kInvalid, mock_response_at(0).code);
	/* An answer makes room for one, not for two. */
	layer_answer(kSuccess);
	EXPECT_EQ(MOCK_TAKEN, request(1, 0, false));
	EXPECT_EQ(MOCK_UNHANDLED, request(1, 0, true));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0, true));
	while (layer_nr_groups())
		layer_answer(kSuccess);
	EXPECT_EQ(kCredits + 3u, mock_nr_responses());
	layer_unhandle(0, 5);
}

/* One of several owners that answers nothing has an eighth of the device's credits. */
TEST_F(LayerFaultTest, AnOwnerHasAShare)
{
	setLimit("0");
	mock_config.fault_credits = 64;
	ASSERT_EQ(0, layer_handle_as(0, 5, LAYER_SHARED));
	ASSERT_EQ(0, layer_handle_as(0, 6, LAYER_SHARED));
	for (unsigned i = 0; i < 8; i++)
		EXPECT_EQ(MOCK_TAKEN, request(1, i, true));
	EXPECT_EQ(MOCK_UNHANDLED, request(2, 0, true));
	ASSERT_EQ(1u, mock_nr_responses());
	EXPECT_EQ(kInvalid, mock_response_at(0).code);
	EXPECT_EQ(2u, mock_response_at(0).grpid);
	/* The other one has its own. A group is refused or taken as a whole. */
	EXPECT_EQ(MOCK_TAKEN, request(3, 0, true, 6, true));
	for (unsigned i = 0; i < 7; i++)
		EXPECT_EQ(MOCK_TAKEN, request(4, i, false, 6, true));
	EXPECT_EQ(MOCK_UNHANDLED, request(4, 7, true, 6, true));
	for (unsigned i = 0; i < 6; i++)
		EXPECT_EQ(MOCK_TAKEN, request(4, i, false, 6, true));
	EXPECT_EQ(MOCK_TAKEN, request(4, 7, true, 6, true));
	EXPECT_EQ(0, layer_answer_at(5, kSuccess));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0, true));
	EXPECT_EQ(MOCK_UNHANDLED, request(2, 0, true));
	while (layer_nr_groups())
		EXPECT_EQ(0, layer_answer(kSuccess));
	/* One that is larger than the share is taken, if it is the only one. */
	for (unsigned i = 0; i < 15; i++)
		EXPECT_EQ(MOCK_TAKEN, request(5, i, false));
	EXPECT_EQ(MOCK_TAKEN, request(5, 15, true));
	EXPECT_EQ(MOCK_UNHANDLED, request(6, 0, true));
	layer_unhandle(0, 5);
	layer_unhandle(0, 6);
	layer_answer(kSuccess);
}

/* Any number of owners in user space leave credits for faults that the kernel answers. */
TEST_F(LayerFaultTest, OwnersTogetherLeaveCreditsToTheKernel)
{
	constexpr unsigned kOwners = 10;
	unsigned taken = 0;
	setLimit("0");
	mock_config.fault_credits = 512;
	ASSERT_EQ(0, layer_handle_as(0, 5, LAYER_KERNEL));
	for (unsigned pasid = 10; pasid < 10 + kOwners; pasid++) {
		ASSERT_EQ(0, layer_handle_as(0, pasid, LAYER_SHARED));
		for (unsigned i = 0; i < 65; i++)
			taken += request(1, i, true, pasid, true) == MOCK_TAKEN;
	}
	EXPECT_EQ(504u, taken);
	for (unsigned i = 0; i < 8; i++)
		EXPECT_EQ(MOCK_TAKEN, request(2, i, true));
	/* Not even a device that asks for more than it may. */
	EXPECT_EQ(MOCK_UNHANDLED, request(2, 8, true));
	while (layer_nr_groups())
		layer_answer(kSuccess);
	for (unsigned pasid = 10; pasid < 10 + kOwners; pasid++)
		layer_unhandle(0, pasid);
	layer_unhandle(0, 5);
}

/*
 * The owner did not answer: the layer does, once, tells the owner, and gives it no further groups.
 */
TEST_F(LayerFaultTest, WhoDoesNotAnswerInTimeIsAnsweredFor)
{
	setLimit("1");
	mock_config.fault_credits = 16;
	/* Not the only one: the last handler leaves nothing open. */
	ASSERT_EQ(0, layer_handle_as(0, 6, LAYER_SHARED));
	ASSERT_EQ(0, layer_handle_as(0, 5, LAYER_SHARED));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x2000, true));
	answered(2);
	EXPECT_EQ(1u, mock_response_at(0).grpid);
	EXPECT_EQ(2u, mock_response_at(1).grpid);
	EXPECT_EQ(kInvalid, mock_response_at(0).code);
	EXPECT_EQ(kInvalid, mock_response_at(1).code);
	/* The device may use the number again; the late answer is not for that. */
	EXPECT_EQ(MOCK_UNHANDLED, request(1, 0x1000, true));
	EXPECT_EQ(3u, mock_nr_responses());
	EXPECT_EQ(2u, layer_nr_groups());
	EXPECT_EQ(-ETIMEDOUT, layer_answer(kSuccess));
	EXPECT_EQ(-ETIMEDOUT, layer_answer(kSuccess));
	EXPECT_EQ(3u, mock_nr_responses());
	setLimit("0");
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
	EXPECT_EQ(0, layer_answer(kSuccess));
	EXPECT_EQ(kSuccess, mock_response_at(3).code);
	/* After its handler has gone, and after the device has: no group is answered twice. */
	setLimit("1");
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
	layer_unhandle(0, 5);
	answered(5);
	EXPECT_EQ(-ETIMEDOUT, layer_answer(kSuccess));
	ASSERT_EQ(0, layer_handle_as(0, 5, LAYER_SHARED));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
	answered(6);
	layer_release(0);
	EXPECT_EQ(-ETIMEDOUT, layer_answer(kSuccess));
	EXPECT_EQ(6u, mock_nr_responses());
}

/* A process that waits for memory keeps its share, after a while; before, all that it needs. */
TEST_F(LayerFaultTest, MemoryThatDoesNotComeTakesAShare)
{
	setLimit("0");
	mock_config.fault_credits = 64;
	ASSERT_EQ(0, layer_handle_as(0, 5, LAYER_KERNEL));
	ASSERT_EQ(0, layer_handle_as(0, 6, LAYER_KERNEL));
	for (unsigned i = 0; i < 20; i++)
		EXPECT_EQ(MOCK_TAKEN, request(static_cast<unsigned short>(i), i, true));
	answered(12);
	for (unsigned i = 0; i < 12; i++) {
		EXPECT_EQ(19 - i, mock_response_at(i).grpid);
		EXPECT_EQ(kInvalid, mock_response_at(i).code);
	}
	EXPECT_EQ(MOCK_UNHANDLED, request(30, 0, true));
	EXPECT_EQ(MOCK_TAKEN, request(31, 0, true, 6, true));
	EXPECT_EQ(21u, layer_nr_groups());
	for (unsigned i = 0; i < 20; i++)
		EXPECT_EQ(i < 8 ? 0 : -ETIMEDOUT, layer_answer_at(5, kSuccess)) << i;
	EXPECT_EQ(MOCK_TAKEN, request(30, 0, true));
	EXPECT_EQ(0, layer_answer_at(5, kSuccess));
	EXPECT_EQ(0, layer_answer_at(6, kSuccess));
	layer_unhandle(0, 5);
	layer_unhandle(0, 6);
}

TEST_F(LayerFaultTest, IncompleteGroupsAreForgottenWhenRequestsWereLost)
{
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, false));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x1000, true));
	layer_faults_lost(0);
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x2000, true));
	EXPECT_EQ(2u, layer_nr_groups());
	EXPECT_EQ(1u, layer_group_at(1).count);
	layer_answer(kSuccess);
	layer_answer(kSuccess);
	layer_unhandle(0, 5);
}

/* A thread that waits for memory holds no lock that the device's page requests need. */
TEST_F(LayerFaultTest, NobodyWhoWaitsForMemoryHoldsThemUp)
{
	unsigned asked = 0;
	ASSERT_EQ(0, layer_handle(0, 5, kSuccess));
	{
		wd::hostkernel::AllocationHook hook([&] {
			EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
			asked++;
		});
		iommu_domain *other = layer_domain(0, kParentFlags);
		wd_pgtable *table = nullptr;
		EXPECT_EQ(0, layer_attach_pasid(other, 0, 7));
		EXPECT_EQ(0, layer_handle(0, 7, -1));
		EXPECT_EQ(0, layer_table(0, other, 1, 0xa000, &table));
		EXPECT_EQ(0, layer_bind(other, 0, table, 8));
		layer_unbind(other, 0, table, 8);
		layer_table_free(table);
		layer_unhandle(0, 7);
		layer_detach_pasid(other, 0, 7);
		layer_domain_free(other);
	}
	EXPECT_GE(asked, 8u);
	EXPECT_EQ(asked, mock_nr_responses());
	layer_unhandle(0, 5);
}

TEST_F(LayerFaultTest, AGroupWithoutMemoryIsInvalid)
{
	wd::hostkernel::FaultScope scope;
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, false));
	wd::hostkernel::failNth(FailPoint::Allocation, 1);
	EXPECT_EQ(MOCK_UNHANDLED, request(1, 0x2000, true));
	EXPECT_EQ(kInvalid, mock_response_at(0).code);
	wd::hostkernel::failNth(FailPoint::Allocation, 1);
	EXPECT_EQ(MOCK_UNHANDLED, request(1, 0x2000, false));
	wd::hostkernel::failNth(FailPoint::Allocation, 0);
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x3000, true));
	EXPECT_EQ(1u, layer_group_at(0).count);
	layer_answer(kSuccess);
	layer_unhandle(0, 5);
}

/* Handlers come and go while devices ask: each group is answered once. */
TEST_F(LayerFaultTest, HandlersComeAndGoWhileDevicesAsk)
{
	constexpr unsigned kThreads = 3, kGroups = 4000;
	std::vector<std::thread> threads;
	std::atomic<unsigned> asked{0}, running{kThreads};
	for (unsigned thread = 0; thread < kThreads; thread++)
		threads.emplace_back([&, thread] {
			for (unsigned i = 0; i < kGroups; i++) {
				const auto grpid =
					static_cast<unsigned short>(thread * kGroups + i);
				if (i % 3 == 0)
					request(grpid, i, false, 5, true);
				if (request(grpid, i, true, 5, true) != MOCK_REFUSED)
					asked++;
			}
			running--;
		});
	std::thread answers([&] {
		while (running || layer_nr_groups())
			layer_answer(kSuccess);
	});
	while (running) {
		ASSERT_EQ(0, layer_handle(0, 5, -1));
		layer_unhandle(0, 5);
	}
	for (std::thread &thread : threads)
		thread.join();
	answers.join();
	while (layer_nr_groups())
		layer_answer(kSuccess);
	EXPECT_EQ(kThreads * kGroups, asked);
	ASSERT_EQ(asked, mock_nr_responses());
	std::set<unsigned> seen;
	for (unsigned i = 0; i < asked; i++)
		seen.insert(mock_response_at(i).grpid);
	EXPECT_EQ(asked, seen.size());
}

} // namespace kernel_iommufd
