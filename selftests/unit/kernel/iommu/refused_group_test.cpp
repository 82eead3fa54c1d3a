// SPDX-License-Identifier: Apache-2.0
/*
 * Groups with a page request that the driver refuses: the whole group is answered INVALID, once,
 * and nothing of it is left.
 */
#include "base/bits.h"
#include "fixture.h"
#include "guest.h"

#include <thread>
#include <utility>
#include <vector>

namespace wd::kerneltest
{
namespace
{

using machine::PageRequestMessage;
using machine::pasidStream;

constexpr uint64_t k4K = kPageSize, kVa = 0x7f0000345000, kFar = 1ULL << 57;
constexpr unsigned kCredits = 512;

/** Group index and code of an answer. */
using Reply = std::pair<unsigned, unsigned>;
constexpr unsigned kSuccess = 0, kInvalid = 1;

class RefusedGroups : public IommuTest
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }
	void SetUp() override
	{
		IommuTest::SetUp();
		guest_ = std::make_unique<Guest>(firstDev_);
		made_ = guest_->table(firstDev_, guest_->page()).table;
		for (uint32_t pasid : {5, 6})
			ASSERT_EQ(bindTablePasid(guest_->parent(), firstDev_, made_, pasid), 0);
		watchQueue();
	}
	void TearDown() override
	{
		memory_.unwatch();
		for (uint32_t pasid : {5, 6})
			unbindTablePasid(guest_->parent(), firstDev_, made_, pasid);
		tableFree(made_);
		guest_.reset();
		IommuTest::TearDown();
	}
	static PageRequestMessage request(uint64_t va, unsigned group, bool last, uint32_t pasid)
	{
		PageRequestMessage message;

		message.stream = pasidStream(kFirstRid, pasid);
		message.address = va;
		message.read = true;
		message.group = group;
		message.last = last;
		return message;
	}
	void send(const PageRequestMessage &message)
	{
		first_->ats().sendRaw({message});
		sent_++;
	}
	void part(uint64_t va, unsigned group, uint32_t pasid = 5)
	{
		send(request(va, group, false, pasid));
	}
	void last(uint64_t va, unsigned group, uint32_t pasid = 5)
	{
		send(request(va, group, true, pasid));
	}
	/** Waits until the driver has handled all requests. */
	void handled() const
	{
		while (std::stoull(attribute("page_requests")[0]) < sent_)
			std::this_thread::yield();
	}
	/** All answers since the start of the test. */
	std::vector<Reply> replies()
	{
		std::vector<Reply> found;

		handled();
		for (const Descriptor &descriptor : seen())
			if (descriptor.type() == kPageResponse)
				found.emplace_back(descriptor.q1 >> 3 & 0x1ff,
						   descriptor.q0 >> 12 & 0xf);
		return found;
	}
	static std::vector<uint64_t> addresses(const RequestGroup &group)
	{
		std::vector<uint64_t> found;

		for (const auto &request : group.requests)
			found.push_back(request.address);
		return found;
	}
	/** The next group with index @group, of two requests, arrives and has only these two. */
	void expectNextIsWhole(FaultHandler &handler, unsigned group)
	{
		const unsigned before = handler.arrived();

		part(kVa + 10 * k4K, group);
		last(kVa + 11 * k4K, group);
		handled();
		ASSERT_EQ(handler.arrived(), before + 1);
		EXPECT_EQ(addresses(handler.wait(before + 1)),
			  (std::vector<uint64_t>{kVa + 10 * k4K, kVa + 11 * k4K}));
		EXPECT_EQ(handler.answer(Answer::Success), 0);
		EXPECT_EQ(replies().back(), Reply(group, kSuccess));
	}

	std::unique_ptr<Guest> guest_;
	wd_pgtable *made_ = nullptr;
	uint64_t sent_ = 0;
};

TEST_F(RefusedGroups, TheLastOne)
{
	FaultHandler handler(firstDev_, 5);

	part(kVa, 3);
	part(kVa + k4K, 3);
	last(kFar, 3);
	EXPECT_EQ(replies(), (std::vector<Reply>{{3, kInvalid}}));
	EXPECT_EQ(handler.arrived(), 0u);
	expectNextIsWhole(handler, 3);
	EXPECT_EQ(replies().size(), 2u);
}

TEST_F(RefusedGroups, AMiddleOne)
{
	FaultHandler handler(firstDev_, 5);

	part(kVa, 3);
	part(kFar, 3);
	part(kVa + k4K, 3);
	EXPECT_TRUE(replies().empty());
	last(kVa + 2 * k4K, 3);
	EXPECT_EQ(replies(), (std::vector<Reply>{{3, kInvalid}}));
	EXPECT_EQ(handler.arrived(), 0u);
	expectNextIsWhole(handler, 3);
	EXPECT_EQ(replies().size(), 2u);
}

TEST_F(RefusedGroups, TheFirstOne)
{
	FaultHandler handler(firstDev_, 5);
	PageRequestMessage privileged = request(kVa, 3, false, 5);

	privileged.privileged = true;
	send(privileged);
	last(kVa, 3);
	EXPECT_EQ(replies(), (std::vector<Reply>{{3, kInvalid}}));
	EXPECT_EQ(handler.arrived(), 0u);
	expectNextIsWhole(handler, 3);
}

TEST_F(RefusedGroups, EveryOne)
{
	FaultHandler handler(firstDev_, 5);

	for (unsigned i = 0; i < 3; i++)
		part(kFar, 3);
	last(kFar, 3);
	EXPECT_EQ(replies(), (std::vector<Reply>{{3, kInvalid}}));
	EXPECT_EQ(handler.arrived(), 0u);
	expectNextIsWhole(handler, 3);
}

/* Groups with another index, or with the same one at another PASID, go on. */
TEST_F(RefusedGroups, DoNotConcernOthers)
{
	FaultHandler handler(firstDev_, 5), other(firstDev_, 6);

	part(kVa, 3);
	part(kVa, 4);
	part(kVa, 3, 6);
	part(kFar, 3);
	last(kVa + k4K, 4);
	last(kVa + k4K, 3, 6);
	handled();
	ASSERT_EQ(handler.arrived(), 1u);
	ASSERT_EQ(other.arrived(), 1u);
	EXPECT_EQ(handler.wait(1).requests.size(), 2u);
	EXPECT_EQ(other.wait(1).requests.size(), 2u);
	EXPECT_TRUE(replies().empty());
	last(kVa + k4K, 3);
	EXPECT_EQ(replies(), (std::vector<Reply>{{3, kInvalid}}));
	EXPECT_EQ(handler.arrived(), 1u);
}

/* The memory of a refused group is free at once: the user's other incomplete groups keep theirs. */
TEST_F(RefusedGroups, KeepNoMemory)
{
	FaultHandler handler(firstDev_, 5), other(firstDev_, 6);

	part(kVa, 1, 6);
	for (unsigned i = 0; i < kCredits - 1; i++) {
		part(kVa, i);
		last(kFar, i);
		handled();
	}
	part(kVa, kCredits - 1);
	last(kVa + k4K, 1, 6);
	handled();
	ASSERT_EQ(other.arrived(), 1u);
	EXPECT_EQ(other.wait(1).requests.size(), 2u);
	EXPECT_EQ(replies().size(), kCredits - 1);
}

/* A refused one that is not the last keeps the memory of one request, whatever else arrives. */
TEST_F(RefusedGroups, KeepLittleMemoryUntilTheLastOne)
{
	FaultHandler handler(firstDev_, 5), other(firstDev_, 6);

	part(kVa, 1, 6);
	for (unsigned i = 0; i < 2 * kCredits; i++) {
		part(i % 2 ? kFar : kVa + i * k4K, 3);
		handled();
	}
	last(kVa, 3);
	last(kVa + k4K, 1, 6);
	handled();
	ASSERT_EQ(other.arrived(), 1u);
	EXPECT_EQ(other.wait(1).requests.size(), 2u);
	EXPECT_EQ(handler.arrived(), 0u);
	EXPECT_EQ(replies(), (std::vector<Reply>{{3, kInvalid}}));
}

/* Without a handler there is nothing to remember; the last one is answered as usual. */
TEST_F(RefusedGroups, WithoutAHandler)
{
	FaultHandler elsewhere(firstDev_, 6);

	part(kFar, 3);
	last(kVa, 3);
	last(kFar, 4);
	EXPECT_EQ(replies(), (std::vector<Reply>{{3, kInvalid}, {4, kInvalid}}));
	EXPECT_EQ(elsewhere.arrived(), 0u);
}

} // namespace
} // namespace wd::kerneltest
