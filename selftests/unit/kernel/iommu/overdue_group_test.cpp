// SPDX-License-Identifier: Apache-2.0
/* Groups of page requests that nobody answers in time: the layer answers them INVALID. */
#include "fixture.h"
#include "guest.h"
#include "requester.h"

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace wd::kerneltest
{
namespace
{

using machine::Access;
using machine::DmaResult;
using machine::PageRequestMessage;
using machine::PageResponse;
using machine::pasidStream;
using machine::StreamId;

constexpr uint64_t kVa = 0x7f0000345000;
/* As many groups as a function may have outstanding. */
constexpr unsigned kCredits = 512;

class OverdueGroups : public IommuTest
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }
	void SetUp() override
	{
		IommuTest::SetUp();
		guest_ = std::make_unique<Guest>(firstDev_);
		table_ = guest_->table(firstDev_, guest_->page()).table;
		for (::device *dev : {firstDev_, secondDev_})
			ASSERT_EQ(bindTablePasid(guest_->parent(), dev, table_, 5), 0);
	}
	void TearDown() override
	{
		setFaultLimit(kFaultLimit);
		for (::device *dev : {firstDev_, secondDev_})
			unbindTablePasid(guest_->parent(), dev, table_, 5);
		tableFree(table_);
		guest_.reset();
		IommuTest::TearDown();
	}
	DmaResult prepare(const StreamId &stream, uint64_t token)
	{
		return agent_->prepare(stream, kVa, 8, Access::Write, requester_, token);
	}
	uint64_t number(const std::string &name) const { return std::stoull(attribute(name)[0]); }

	const StreamId first5_ = pasidStream(kFirstRid, 5), second5_ = pasidStream(kSecondRid, 5);
	std::unique_ptr<Guest> guest_;
	wd_pgtable *table_ = nullptr;
	Requester requester_;
};

TEST_F(OverdueGroups, AreAnsweredAndCounted)
{
	FaultHandler handler(firstDev_, 5);

	setFaultLimit(1);
	ASSERT_EQ(prepare(first5_, 1), DmaResult::Pending);
	EXPECT_EQ(requester_.wait(1), PageResponse::InvalidRequest);
	EXPECT_EQ(number("page_groups_expired"), 1u);
	EXPECT_EQ(handler.answer(Answer::Success), -ETIMEDOUT);
	EXPECT_EQ(number("page_groups_refused"), 0u);
	setFaultLimit(0);
	for (unsigned i = 0; i <= kCredits; i++) {
		PageRequestMessage message;

		message.stream = first5_;
		message.address = kVa;
		message.read = message.last = true;
		message.group = static_cast<uint16_t>(i % kCredits);
		first_->ats().sendRaw({message});
	}
	while (number("page_requests") < kCredits + 2)
		std::this_thread::yield();
	EXPECT_EQ(handler.arrived(), kCredits + 1);
	EXPECT_EQ(number("page_groups_refused"), 1u);
	EXPECT_EQ(number("page_groups_expired"), 1u);
}

/*
 * A group may arrive after the check for overdue groups has read the clock: it has not waited. Here
 * the clock of the thread that reports the group is ahead of the clock of the check.
 */
TEST_F(OverdueGroups, DoNotIncludeOneThatArrivesDuringTheCheck)
{
	constexpr uint64_t kAhead = 10'000'000'000;
	FaultHandler handler(firstDev_, 5, [ahead = false](const RequestGroup &) mutable {
		hostkernel::passTime(ahead ? -kAhead : kAhead);
		ahead = !ahead;
		return ahead ? std::optional(Answer::Success) : std::nullopt;
	});
	FaultHandler other(secondDev_, 5);

	setFaultLimit(1);
	ASSERT_EQ(prepare(first5_, 1), DmaResult::Pending);
	requester_.wait(1);
	ASSERT_EQ(prepare(first5_, 2), DmaResult::Pending);
	handler.wait(2);
	/* While five groups of the other function become overdue, this one is checked, too. */
	for (uint64_t token = 3; token < 8; token++) {
		ASSERT_EQ(prepare(second5_, token), DmaResult::Pending);
		EXPECT_EQ(requester_.wait(token), PageResponse::InvalidRequest);
		EXPECT_EQ(other.answer(Answer::Success), -ETIMEDOUT);
	}
	EXPECT_EQ(handler.answer(Answer::Success), 0);
	EXPECT_EQ(requester_.wait(2), PageResponse::Success);
}

} // namespace
} // namespace wd::kerneltest
