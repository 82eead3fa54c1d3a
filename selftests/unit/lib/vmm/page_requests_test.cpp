// SPDX-License-Identifier: Apache-2.0
/* Faults go into the guest, answers come out: also late, twice, wrong, or not at all. */
#include "rig.h"

namespace test
{

class PageRequests : public Rig
{
protected:
	PageRequests()
	{
		iommu_.setDirectory(kRid, kDirectoryGpa, 0);
		iommu_.addQueue(kRid, 3, queue_);
		EXPECT_EQ(VirtualIommu::Result::Done, bind(3, 0x105000));
	}
	std::vector<GuestPageRequest> deliver()
	{
		std::vector<GuestPageRequest> requests;

		iommu_.deliver([&](const auto &request) { requests.push_back(request); });
		return requests;
	}

	FakeDevice &queue_ = device(5);
};

TEST_F(PageRequests, ThereAndBack)
{
	kernel_.fault(9, 5, 103, 0x7000);
	EXPECT_TRUE(iommu_.waitForFaults(0));
	const auto requests = deliver();

	ASSERT_EQ(1u, requests.size());
	EXPECT_EQ(kRid, requests[0].rid);
	EXPECT_EQ(3u, requests[0].pasid) << "the guest's, not the host's";
	EXPECT_EQ(0x7000u, requests[0].page.address);
	EXPECT_TRUE(requests[0].page.write && requests[0].last);
	EXPECT_EQ(1u, iommu_.unanswered());
	iommu_.execute(response(3, requests[0].group, 0));
	ASSERT_EQ(1u, kernel_.answers.size());
	EXPECT_EQ(9u, kernel_.answers[0].cookie);
	EXPECT_EQ(unsigned(IOMMUFD_PAGE_RESP_SUCCESS), kernel_.answers[0].code);
	EXPECT_EQ(0u, iommu_.unanswered());
	/* Answer once more, and answer a group that does not exist. */
	iommu_.execute(response(3, requests[0].group, 0));
	iommu_.execute(response(3, (requests[0].group + 1) % 512, 0));
	EXPECT_EQ(1u, kernel_.answers.size());
	EXPECT_FALSE(iommu_.waitForFaults(0));
}

TEST_F(PageRequests, AnyOtherAnswerIsARefusal)
{
	for (unsigned code : {1u, 7u, 15u}) {
		kernel_.fault(20 + code, 5, 103, 0x7000);
		const auto requests = deliver();

		ASSERT_EQ(1u, requests.size());
		iommu_.execute(response(3, requests[0].group, code));
		EXPECT_EQ(20 + code, kernel_.answers.back().cookie);
		EXPECT_EQ(unsigned(IOMMUFD_PAGE_RESP_INVALID), kernel_.answers.back().code);
	}
}

/* The guest answers with the PASID of another process. */
TEST_F(PageRequests, AnswerWithTheWrongPasid)
{
	kernel_.fault(9, 5, 103, 0x7000);
	const auto requests = deliver();

	ASSERT_EQ(1u, requests.size());
	iommu_.execute(response(4, requests[0].group, 0));
	EXPECT_TRUE(kernel_.answers.empty());
	EXPECT_EQ(1u, iommu_.unanswered());
}

TEST_F(PageRequests, FaultOfNobodyIsRefused)
{
	kernel_.fault(9, 5, 104, 0x7000);
	kernel_.fault(10, 6, 103, 0x7000);
	EXPECT_TRUE(deliver().empty());
	ASSERT_EQ(2u, kernel_.answers.size());
	EXPECT_EQ(unsigned(IOMMUFD_PAGE_RESP_INVALID), kernel_.answers[0].code);
}

/* The kernel answers open groups at a detach, and uses the cookie again. */
TEST_F(PageRequests, LateAnswerAfterTheTableWent)
{
	for (bool replace : {false, true}) {
		kernel_.fault(9, 5, 103, 0x7000);
		const auto requests = deliver();

		ASSERT_EQ(1u, requests.size());
		if (replace)
			bind(3, 0x106000);
		else
			unbind(3);
		EXPECT_EQ(0u, iommu_.unanswered());
		iommu_.execute(response(3, requests[0].group, 0));
		EXPECT_TRUE(kernel_.answers.empty());
		bind(3, 0x105000);
	}
}

/* There are 512 group numbers. If a guest never answers, its further faults wait in the kernel. */
TEST_F(PageRequests, GuestThatNeverAnswers)
{
	for (uint32_t i = 0; i < 600; i++)
		kernel_.fault(1 + i, 5, 103, 0x1000 * i);
	std::vector<GuestPageRequest> requests;
	for (unsigned round = 0; round < 4; round++)
		for (const auto &request : deliver())
			requests.push_back(request);
	ASSERT_EQ(512u, requests.size());
	std::set<uint16_t> groups;

	for (const auto &request : requests)
		groups.insert(request.group);
	EXPECT_EQ(512u, groups.size()) << "each has a number of its own";
	/* With each answer the next one comes, in order. */
	uint64_t next = 512;

	for (unsigned i = 0; i < 88; i++) {
		iommu_.execute(response(3, requests[i].group, 0));
		for (const auto &request : deliver())
			EXPECT_EQ(0x1000 * next++, request.page.address);
	}
	EXPECT_EQ(600u, next);
	EXPECT_EQ(512u, iommu_.unanswered());
}

} // namespace test
