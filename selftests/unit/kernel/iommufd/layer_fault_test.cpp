// SPDX-License-Identifier: Apache-2.0
/* The IOMMU layer's page faults: groups, handlers, answers, and devices that misbehave. */
#include <atomic>
#include <cerrno>
#include <set>
#include <thread>

#include "../../../common/asleep.h"
#include "layer_fault.h"

namespace kernel_iommufd
{

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
	/* The other group has not changed. */
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
	 * A request at a PASID without a handler is logged. The requester id's handler must not get
	 * it.
	 */
	EXPECT_EQ(MOCK_UNHANDLED, request(9, 0, false, 6, true));
	EXPECT_EQ(2u, mock_nr_responses());
	EXPECT_EQ(MOCK_UNHANDLED, request(9, 0, true, 6, true));
	ASSERT_EQ(3u, mock_nr_responses());
	EXPECT_EQ(kInvalid, mock_response_at(2).code);
	EXPECT_EQ(6u, mock_response_at(2).pasid);
	/* The device may ask as long as it has a handler. */
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
	/* The incomplete group was dropped; its last request gets an answer. */
	EXPECT_EQ(MOCK_UNHANDLED, request(2, 0x2000, true, 5, true));
	EXPECT_EQ(kInvalid, mock_response_at(1).code);
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x3000, true));
	EXPECT_EQ(1u, layer_group_at(0).count);
	layer_answer(kSuccess);
	layer_unhandle(0, 5);
}

/* A device is removed while its faults are open: the layer answers them and drops later answers. */
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

/* With the next first handler, group numbers start again. So no old group may be open then. */
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

/** An answer stops on its way to the device: it is @answering until @go. */
std::atomic<bool> answering, go;

void stopAnswer()
{
	answering = true;
	while (!go)
		std::this_thread::yield();
}

} // namespace

/* The end of the last handler, and the release of the device, wait for an answer on its way. */
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
		/* If nobody waited for the answer, the other thread would end now. */
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
