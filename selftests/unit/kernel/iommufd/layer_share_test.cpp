// SPDX-License-Identifier: Apache-2.0
/* How many of a device's credits an owner may hold that answers page requests late, or never. */
#include <algorithm>
#include <cerrno>

#include "hostkernel/charge.h"
#include "layer_fault.h"

namespace kernel_iommufd
{

/* One of several owners answers nothing: it gets at most an eighth of the device's credits. */
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
	/* Another owner has its own share. A group is refused or taken as a whole. */
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
	/* A group that is larger than the share is taken if the owner has no other. */
	for (unsigned i = 0; i < 15; i++)
		EXPECT_EQ(MOCK_TAKEN, request(5, i, false));
	EXPECT_EQ(MOCK_TAKEN, request(5, 15, true));
	EXPECT_EQ(MOCK_UNHANDLED, request(6, 0, true));
	layer_unhandle(0, 5);
	layer_unhandle(0, 6);
	layer_answer(kSuccess);
}

/* Any number of users leave credits for faults that the kernel answers. */
TEST_F(LayerFaultTest, OwnersTogetherLeaveCreditsToTheKernel)
{
	constexpr unsigned kUsers = 16;
	unsigned taken = 0;
	setLimit("0");
	mock_config.fault_credits = 512;
	ASSERT_EQ(0, layer_handle_as(0, 5, LAYER_KERNEL));
	for (unsigned user = 10; user < 10 + kUsers; user++) {
		ASSERT_EQ(0, layer_handle_of(1000 + user, 0, user, LAYER_SHARED));
		taken += flood(user, 65);
	}
	EXPECT_EQ(504u, taken);
	for (unsigned i = 0; i < 8; i++)
		EXPECT_EQ(MOCK_TAKEN, request(2, i, true));
	/* A device that asks for more than it may cannot take them either. */
	EXPECT_EQ(MOCK_UNHANDLED, request(2, 8, true));
	while (layer_nr_groups())
		layer_answer(kSuccess);
	for (unsigned user = 10; user < 10 + kUsers; user++)
		layer_unhandle(0, user);
	layer_unhandle(0, 5);
}

/* The attack: a user that answers nothing, with more binds than there are shares of binds. */
TEST_F(LayerFaultTest, AUserWithManyBindsLeavesCreditsToOtherUsers)
{
	constexpr unsigned kBinds = 10;
	unsigned taken = 0;
	setLimit("0");
	mock_config.fault_credits = 512;
	for (unsigned pasid = 10; pasid < 10 + kBinds; pasid++) {
		ASSERT_EQ(0, layer_handle_of(1000, 0, pasid, LAYER_SHARED));
		taken += flood(pasid, 65);
	}
	EXPECT_EQ(252u, taken) << "half of what is shared";
	EXPECT_EQ(kBinds * 65 - taken, mock_nr_responses()) << "the others are answered at once";
	EXPECT_EQ(kInvalid, mock_response_at(0).code);
	/*
	 * Every further user may have half of the rest, and with one bind at most the share of a
	 * bind.
	 */
	for (unsigned pasid = 30; pasid < 34; pasid++)
		ASSERT_EQ(0, layer_handle_of(971 + pasid, 0, pasid, LAYER_SHARED));
	EXPECT_EQ(64u, flood(30, 65));
	EXPECT_EQ(64u, flood(31, 65));
	EXPECT_EQ(62u, flood(32, 65));
	EXPECT_EQ(31u, flood(33, 65));
	/* A user's part is half of the rest, so it grows when others answer. */
	for (unsigned pasid = 30; pasid < 34; pasid++)
		while (!layer_answer_at(pasid, kSuccess))
			;
	EXPECT_EQ(0u, flood(10, 1));
	EXPECT_EQ(0, layer_answer_at(10, kSuccess));
	EXPECT_EQ(1u, flood(11 + kBinds / 2, 2));
	/* The credits of a bind that ends are free when its groups are answered. */
	for (unsigned pasid = 10; pasid < 10 + kBinds; pasid++)
		layer_unhandle(0, pasid);
	ASSERT_EQ(0, layer_handle_of(1000, 0, 10, LAYER_SHARED));
	EXPECT_EQ(0u, flood(10, 1));
	while (layer_nr_groups())
		EXPECT_EQ(0, layer_answer(kSuccess));
	EXPECT_EQ(64u, flood(10, 65));
	while (layer_nr_groups())
		layer_answer(kSuccess);
	for (unsigned pasid = 30; pasid < 34; pasid++)
		layer_unhandle(0, pasid);
	layer_unhandle(0, 10);
}

/*
 * As for queues, a privileged process may exceed the limit of its user, but not the share of a
 * bind.
 */
TEST_F(LayerFaultTest, APrivilegedProcessMayExceedItsUsersPart)
{
	setLimit("0");
	mock_config.fault_credits = 512;
	for (unsigned pasid = 10; pasid < 18; pasid++) {
		ASSERT_EQ(0, layer_handle_as(0, pasid, LAYER_SHARED));
		EXPECT_EQ(pasid < 17 ? 64u : 56u, flood(pasid, 65));
	}
	while (layer_nr_groups())
		layer_answer(kSuccess);
	for (unsigned pasid = 10; pasid < 18; pasid++)
		layer_unhandle(0, pasid);
}

/*
 * Groups that the layer answered for a user count at all its binds until the user gives them back.
 */
TEST_F(LayerFaultTest, AUserThatNeverAnswersHoldsHisPartOnce)
{
	setLimit("1");
	mock_config.fault_credits = 16;
	for (unsigned pasid = 10; pasid < 30; pasid++) {
		ASSERT_EQ(0, layer_handle_of(1000, 0, pasid, LAYER_SHARED));
		const unsigned taken = flood(pasid, 2), before = layer_nr_groups() - taken;

		EXPECT_EQ(taken, std::min(2u, 7 - before)) << pasid;
		answered(2 * (pasid - 9));
	}
	EXPECT_EQ(7u, layer_nr_groups());
	while (layer_nr_groups())
		EXPECT_EQ(-ETIMEDOUT, layer_answer(kSuccess));
	for (unsigned pasid = 10; pasid < 30; pasid++)
		layer_unhandle(0, pasid);
}

/*
 * If the owner does not answer in time, the layer answers once, tells the owner, and gives it no
 * further groups.
 */
TEST_F(LayerFaultTest, WhoDoesNotAnswerInTimeIsAnsweredFor)
{
	setLimit("1");
	mock_config.fault_credits = 16;
	/* Keep another handler: when the last one goes, nothing stays open. */
	ASSERT_EQ(0, layer_handle_as(0, 6, LAYER_SHARED));
	ASSERT_EQ(0, layer_handle_as(0, 5, LAYER_SHARED));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0x1000, true));
	EXPECT_EQ(MOCK_TAKEN, request(2, 0x2000, true));
	answered(2);
	EXPECT_EQ(1u, mock_response_at(0).grpid);
	EXPECT_EQ(2u, mock_response_at(1).grpid);
	EXPECT_EQ(kInvalid, mock_response_at(0).code);
	EXPECT_EQ(kInvalid, mock_response_at(1).code);
	/* The device may use the group number again. The late answer must not go to that group. */
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
	/*
	 * No group is answered twice, neither after its handler has gone nor after the device has.
	 */
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

/*
 * A process that waits for memory may hold all that it needs. After a while it keeps its share
 * only.
 */
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

/* The attack: many processes of one user, and all wait for memory. */
TEST_F(LayerFaultTest, AUserWhoseMemoryDoesNotComeLeavesCreditsToOtherUsers)
{
	setLimit("0");
	mock_config.fault_credits = 64;
	for (unsigned pasid = 10; pasid < 18; pasid++) {
		ASSERT_EQ(0, layer_handle_of(1000, 0, pasid, LAYER_KERNEL));
		flood(pasid, 8);
	}
	ASSERT_EQ(0, layer_handle_of(1001, 0, 20, LAYER_KERNEL));
	/* Each process has at most its share, but the user has more than its part. */
	answered(32);
	for (unsigned i = 0; i < 32; i++)
		EXPECT_EQ(kInvalid, mock_response_at(i).code);
	EXPECT_EQ(0u, flood(10, 1));
	EXPECT_EQ(8u, flood(20, 8));
	while (layer_nr_groups())
		layer_answer(kSuccess);
	for (unsigned pasid = 10; pasid < 18; pasid++)
		layer_unhandle(0, pasid);
	layer_unhandle(0, 20);
}

/* The attack: groups that never end. The layer drops the oldest ones of the user. */
TEST_F(LayerFaultTest, AFloodOfIncompleteGroupsIsLimited)
{
	constexpr unsigned kCredits = 100;
	mock_config.fault_credits = kCredits;
	ASSERT_EQ(0, layer_handle(0, 5, -1));
	ASSERT_EQ(0, layer_handle_of(1000, 0, 6, LAYER_EXCLUSIVE));
	EXPECT_EQ(MOCK_TAKEN, request(0xffff, 0x1000, false, 6, true));
	EXPECT_EQ(MOCK_TAKEN, request(0xffff, 0x1000, false));
	for (unsigned i = 0; i < kCredits; i++)
		EXPECT_EQ(MOCK_TAKEN, request(static_cast<unsigned short>(i), i, false));
	EXPECT_EQ(MOCK_TAKEN, request(0xffff, 0x2000, true));
	EXPECT_EQ(1u, layer_group_at(0).count);
	layer_answer(kSuccess);
	/* One group with all credits that are left. */
	for (unsigned i = 0; i < 2 * kCredits; i++)
		EXPECT_EQ(MOCK_TAKEN, request(7, i, false));
	EXPECT_EQ(MOCK_TAKEN, request(7, 0x2000, true));
	EXPECT_EQ(kCredits, layer_group_at(0).count);
	EXPECT_EQ(0x2000u, layer_group_at(0).last);
	layer_answer(kSuccess);
	/* The groups of another user are not dropped. */
	EXPECT_EQ(MOCK_TAKEN, request(0xffff, 0x2000, true, 6, true));
	EXPECT_EQ(2u, layer_group_at(0).count);
	layer_answer(kSuccess);
	layer_unhandle(0, 5);
	layer_unhandle(0, 6);
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
	EXPECT_EQ(MOCK_UNHANDLED, request(1, 0, false));
	EXPECT_EQ(MOCK_UNHANDLED, request(1, 0, true));
	ASSERT_EQ(1u, mock_nr_responses());
	EXPECT_EQ(kInvalid, mock_response_at(0).code);
	/* An answer makes room for one group, not for two. */
	layer_answer(kSuccess);
	EXPECT_EQ(MOCK_TAKEN, request(1, 0, false));
	EXPECT_EQ(MOCK_TAKEN, request(1, 0, true));
	EXPECT_EQ(MOCK_UNHANDLED, request(2, 0, true));
	unsigned left = 0;
	for (; layer_nr_groups(); left++)
		layer_answer(kSuccess);
	EXPECT_EQ(kCredits, left);
	EXPECT_EQ(kCredits + 3u, mock_nr_responses());
	layer_unhandle(0, 5);
}

/* The attack: an owner that answers nothing goes on to the next PASID after each reset. */
TEST_F(LayerFaultTest, AnOwnerThatNeverAnswersHoldsBoundedGroupsOverResets)
{
	constexpr unsigned kCredits = 64, kResets = 100;
	setLimit("0");
	mock_config.fault_credits = kCredits;
	for (unsigned reset = 0; reset < kResets; reset++) {
		ASSERT_EQ(0, layer_handle_as(0, 10 + reset, LAYER_EXCLUSIVE));
		EXPECT_EQ(reset ? 0u : kCredits, flood(10 + reset, kCredits));
		layer_reset(0);
	}
	EXPECT_EQ(kCredits, layer_nr_groups());
	EXPECT_EQ(kCredits * kResets, mock_nr_responses()) << "the device has all answers";
	/* A group that the owner gives back frees a credit. */
	EXPECT_EQ(-ECANCELED, layer_answer(kSuccess));
	EXPECT_EQ(1u, flood(10, 2));
	while (layer_nr_groups())
		layer_answer(kSuccess);
	for (unsigned reset = 0; reset < kResets; reset++)
		layer_unhandle(0, 10 + reset);
}

/* A bind charges the memory for all page requests in advance. */
TEST_F(LayerFaultTest, MemoryForPageRequestsIsChargedToTheirUser)
{
	constexpr unsigned kCredits = 64;
	auto chargeOf = [](unsigned uid, unsigned pasid, layer_owner owner) {
		const uint64_t before = wd::hostkernel::chargedBytes();

		EXPECT_EQ(0, layer_handle_of(uid, 0, pasid, owner));
		return wd::hostkernel::chargedBytes() - before;
	};
	mock_config.fault_credits = kCredits;
	for (const layer_owner owner : {LAYER_KERNEL, LAYER_SHARED, LAYER_EXCLUSIVE}) {
		const uint64_t first = chargeOf(1000, 10, owner),
			       second = chargeOf(1000, 11, owner);
		const uint64_t other = chargeOf(1001, 12, owner);

		EXPECT_GE(first, second + kCredits * 100) << "a group for each credit";
		EXPECT_GE(other, kCredits * 100);
		const uint64_t before = wd::hostkernel::chargedBytes();
		unsigned allocations = 0;
		{
			wd::hostkernel::AllocationHook hook([&] { allocations++; });

			for (unsigned pasid = 10; pasid < 13; pasid++) {
				request(1, 0x1000, false, pasid, true);
				flood(pasid, 2 * kCredits);
			}
			while (layer_nr_groups())
				layer_answer(kSuccess);
		}
		EXPECT_EQ(0u, allocations) << "a page request needs no memory";
		EXPECT_EQ(before, wd::hostkernel::chargedBytes());
		for (unsigned pasid = 10; pasid < 13; pasid++)
			layer_unhandle(0, pasid);
	}
}

TEST_F(LayerFaultTest, AHandlerWithoutMemoryIsNone)
{
	wd::hostkernel::FaultScope scope;
	int rc = -ENOMEM;

	for (unsigned nth = 1; rc; nth++) {
		wd::hostkernel::failNth(FailPoint::Allocation, nth);
		rc = layer_handle_as(0, 5, LAYER_SHARED);
		wd::hostkernel::failNth(FailPoint::Allocation, 0);
		ASSERT_TRUE(!rc || rc == -ENOMEM) << rc;
		EXPECT_EQ(rc ? MOCK_UNHANDLED : MOCK_TAKEN, request(1, 0x1000, true, 5, true));
	}
	EXPECT_EQ(0, layer_answer(kSuccess));
	layer_unhandle(0, 5);
}

} // namespace kernel_iommufd
