// SPDX-License-Identifier: Apache-2.0
/*
 * Page requests: from the device through the queue to a handler, and the answer back; malformed
 * requests, overflow, and requests that remain when an entry is torn down.
 */
#include "base/bits.h"
#include "fixture.h"
#include "guest.h"
#include "requester.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
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
using machine::ridStream;
using machine::StreamId;

constexpr uint64_t k4K = kPageSize;
constexpr uint64_t kVa = 0x7f0000345000;
constexpr unsigned kRing = 2048;
constexpr unsigned kUnhandled = 0x0, kBadRequest = 0x1;

/** A gate where a handler waits. */
class Gate
{
public:
	void open()
	{
		std::lock_guard lock(mutex_);

		open_ = true;
		changed_.notify_all();
	}
	/** The handler waits here until the gate is open. */
	void pass()
	{
		std::unique_lock lock(mutex_);

		waiting_ = true;
		changed_.notify_all();
		changed_.wait(lock, [&] { return open_; });
	}
	/** Wait until a handler waits at the gate. */
	void reached()
	{
		std::unique_lock lock(mutex_);

		changed_.wait(lock, [&] { return waiting_; });
	}

private:
	std::mutex mutex_;
	std::condition_variable changed_;
	bool open_ = false, waiting_ = false;
};

class PageRequests : public IommuTest
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }
	void SetUp() override
	{
		IommuTest::SetUp();
		unit_->setCacheMode(machine::CacheMode::Maximal);
		guest_ = std::make_unique<Guest>(firstDev_);
		root_ = guest_->page();
		page_ = guest_->page();
		guest_->at(page_) = 0x1234;
		/*
		 * Make the tables down to the last level, so that a handler only has to write an
		 * entry.
		 */
		guest_->entry(root_, kVa);
	}
	void TearDown() override
	{
		guest_.reset();
		IommuTest::TearDown();
	}
	wd_pgtable *bound(uint32_t pasid, ::device *dev = nullptr)
	{
		wd_pgtable *made = guest_->table(firstDev_, root_).table;

		EXPECT_EQ(bindTablePasid(guest_->parent(), dev ? dev : firstDev_, made, pasid), 0);
		return made;
	}
	void drop(wd_pgtable *made, uint32_t pasid)
	{
		unbindTablePasid(guest_->parent(), firstDev_, made, pasid);
		tableFree(made);
	}
	DmaResult prepare(const StreamId &stream, uint64_t va, uint64_t token,
			  Access access = Access::Write, uint64_t length = 8)
	{
		return agent_->prepare(stream, va, length, access, requester_, token);
	}
	static PageRequestMessage request(const StreamId &stream, uint64_t va, unsigned group,
					  bool last = true)
	{
		PageRequestMessage message;

		message.stream = stream;
		message.address = va;
		message.read = true;
		message.group = group;
		message.last = last;
		return message;
	}
	static StreamId at(uint32_t pasid) { return pasidStream(kFirstRid, pasid); }
	uint64_t number(const std::string &name) const { return std::stoull(attribute(name)[0]); }
	/** Waits until the unit has handled @count requests. */
	void handled(uint64_t count) const
	{
		while (number("page_requests") < count)
			std::this_thread::yield();
	}
	/** Mask the interrupt of the page request queue: then only a drain empties the queue. */
	void mask(bool masked) { unit_->barWrite(0, 0xe0, masked ? 1u << 31 : 0, 4); }
	void expectLogged(const StreamId &stream, uint64_t address, unsigned reason)
	{
		const Fault fault = lastFault();

		EXPECT_EQ(fault.type, "page-request");
		EXPECT_EQ(fault.reason, reason);
		EXPECT_EQ(fault.address, address);
		EXPECT_EQ(fault.pasid, stream.hasPasid ? std::to_string(stream.pasid) : "-");
	}

	std::unique_ptr<Guest> guest_;
	uint64_t root_ = 0, page_ = 0;
	Requester requester_;
};

/* VTD-DRV-14 */
TEST_F(PageRequests, AreHandledAnsweredAndTheDmaGoesThrough)
{
	FaultHandler handler(firstDev_, 5);
	wd_pgtable *made = bound(5);

	ASSERT_EQ(prepare(at(5), kVa, 1, Access::Write, 2 * k4K), DmaResult::Pending);
	const RequestGroup group = handler.wait(1);

	EXPECT_EQ(group.pasid, 5u);
	ASSERT_EQ(group.requests.size(), 2u);
	EXPECT_EQ(group.requests[0].address, kVa);
	EXPECT_EQ(group.requests[1].address, kVa + k4K);
	EXPECT_TRUE(group.requests[0].perm & kAskedWrite);
	EXPECT_FALSE(requester_.has(1));
	guest_->map(root_, kVa, page_);
	guest_->map(root_, kVa + k4K, page_);
	handler.answer(Answer::Success);
	EXPECT_EQ(requester_.wait(1), PageResponse::Success);
	EXPECT_EQ(prepare(at(5), kVa, 2, Access::Write, 2 * k4K), DmaResult::Ok);
	EXPECT_EQ(word(at(5), kVa), 0x1234u);
	EXPECT_EQ(write(at(5), kVa + k4K, 5), DmaResult::Ok);
	EXPECT_EQ(guest_->at(page_), 5u);
	handled(2);
	EXPECT_EQ(number("page_requests"), 2u);
	drop(made, 5);
}

TEST_F(PageRequests, OfTheRequesterId)
{
	FaultHandler handler(firstDev_, 0, [&](const RequestGroup &group) {
		guest_->map(root_, group.requests[0].address, page_);
		return Answer::Success;
	});
	wd_pgtable *made = guest_->table(firstDev_, root_).table;

	unregisterDriver();
	ASSERT_EQ(claimAndAttach(guest_->parent(), firstDev_), 0);
	ASSERT_EQ(bindTable(guest_->parent(), firstDev_, made), 0);
	first_->configWrite(machine::pci::kCommand, 6, 2);
	ASSERT_EQ(prepare(ridStream(kFirstRid), kVa, 1), DmaResult::Pending);
	EXPECT_EQ(requester_.wait(1), PageResponse::Success);
	EXPECT_EQ(word(ridStream(kFirstRid), kVa), 0x1234u);
	unbindTable(guest_->parent(), firstDev_, made);
	detachAndRelease(guest_->parent(), firstDev_);
	tableFree(made);
	ASSERT_EQ(registerDriver(), 0);
}

/* A page request of the old table gets its answer after a replace. The DMA uses the new table. */
TEST_F(PageRequests, AnOpenOneSurvivesAReplace)
{
	FaultHandler handler(firstDev_, 5);
	wd_pgtable *made = bound(5);
	const uint64_t root = guest_->page(), page = guest_->page();
	wd_pgtable *other = guest_->table(firstDev_, root).table;

	guest_->at(page) = 0x5678;
	guest_->map(root, kVa, page);
	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	handler.wait(1);
	ASSERT_EQ(replace(guest_->parent(), other, firstDev_, 5), 0);
	EXPECT_FALSE(requester_.has(1));
	tableFree(made);
	handler.answer(Answer::Success);
	EXPECT_EQ(requester_.wait(1), PageResponse::Success);
	EXPECT_EQ(prepare(at(5), kVa, 2), DmaResult::Ok);
	EXPECT_EQ(word(at(5), kVa), 0x5678u);
	/* From a nested table to the parent alone, and back. */
	ASSERT_EQ(replace(guest_->parent(), nullptr, firstDev_, 5), 0);
	EXPECT_EQ(word(at(5), page), 0x5678u);
	ASSERT_EQ(replace(guest_->parent(), other, firstDev_, 5), 0);
	EXPECT_EQ(word(at(5), kVa), 0x5678u);
	ASSERT_EQ(prepare(at(5), kVa + k4K, 3), DmaResult::Pending);
	handler.wait(2);
	handler.answer(Answer::Invalid);
	EXPECT_EQ(requester_.wait(3), PageResponse::InvalidRequest);
	drop(other, 5);
}

/* Requests that the unit has received go to the handler of that time, even without interrupt. */
TEST_F(PageRequests, AHandlerGetsThoseFromBeforeItsChange)
{
	constexpr unsigned kRequests = 100, kPart = 300;
	FaultHandler handler(firstDev_, 5, [](const RequestGroup &) { return Answer::Invalid; });
	FaultHandler next(firstDev_, 5, [](const RequestGroup &) { return Answer::Invalid; });
	wd_pgtable *made = bound(5);

	ASSERT_EQ(next.error(), -EBUSY);
	mask(true);
	for (unsigned i = 0; i < kRequests; i++)
		first_->ats().sendRaw({request(at(5), kVa, i)});
	first_->ats().sendRaw({request(at(5), kVa, kPart, false)});
	EXPECT_EQ(handler.arrived(), 0u);
	handler.handOver(next);
	EXPECT_EQ(handler.arrived(), kRequests);
	mask(false);
	/* The next handler does not get what an incomplete group asked of the old one. */
	first_->ats().sendRaw({request(at(5), kVa + k4K, kPart)});
	const RequestGroup group = next.wait(1);

	EXPECT_EQ(group.index, kPart);
	EXPECT_EQ(group.requests.size(), 1u);
	EXPECT_EQ(handler.arrived(), kRequests);
	drop(made, 5);
}

/* VTD-DRV-9, VTD-DRV-14 */
TEST_F(PageRequests, RefusedOnesFail)
{
	FaultHandler handler(firstDev_, 5, [](const RequestGroup &) { return Answer::Invalid; });
	FaultHandler failing(firstDev_, 6, [](const RequestGroup &) { return Answer::Failure; });
	wd_pgtable *made = bound(5), *other = bound(6);

	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	EXPECT_EQ(requester_.wait(1), PageResponse::InvalidRequest);
	EXPECT_TRUE(first_->priEnabled());
	ASSERT_EQ(prepare(at(6), kVa, 2), DmaResult::Pending);
	EXPECT_EQ(requester_.wait(2), PageResponse::Failure);
	EXPECT_FALSE(first_->priEnabled());
	drop(made, 5);
	drop(other, 6);
	/* After page requests are switched on anew, the function may ask again. */
	handler.unregister();
	failing.unregister();
	FaultHandler again(firstDev_, 5, [](const RequestGroup &) { return Answer::Invalid; });

	made = bound(5);
	ASSERT_EQ(prepare(at(5), kVa, 3), DmaResult::Pending);
	EXPECT_EQ(requester_.wait(3), PageResponse::InvalidRequest);
	drop(made, 5);
}

TEST_F(PageRequests, NobodyHandlesThem)
{
	FaultHandler elsewhere(firstDev_, 6);
	wd_pgtable *made = bound(5);
	const uint64_t before = faults();

	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	EXPECT_EQ(requester_.wait(1), PageResponse::InvalidRequest);
	EXPECT_EQ(elsewhere.arrived(), 0u);
	while (faults() < before + 1)
		std::this_thread::yield();
	expectLogged(at(5), kVa, kUnhandled);
	drop(made, 5);
}

/* When the last handler has gone, all earlier requests of the function have been handled. */
TEST_F(PageRequests, NothingIsLeftWhenTheyGoOff)
{
	FaultHandler elsewhere(firstDev_, 6);
	wd_pgtable *made = bound(5);
	const uint64_t before = faults();

	mask(true);
	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	elsewhere.unregister();
	EXPECT_EQ(number("page_requests"), 1u);
	EXPECT_EQ(faults(), before + 1);
	mask(false);
	drop(made, 5);
}

/* Attack: a device asks for addresses that nobody can map. */
/* VTD-DRV-14 */
TEST_F(PageRequests, BadOnesAreRefused)
{
	FaultHandler handler(firstDev_, 5);
	wd_pgtable *made = bound(5);
	PageRequestMessage privileged = request(at(5), kVa, 1);
	const uint64_t far = 1ULL << 57;
	uint64_t before = faults();

	privileged.privileged = true;
	watchQueue();
	first_->ats().sendRaw({privileged});
	handled(1);
	EXPECT_EQ(faults(), before + 1);
	expectLogged(at(5), kVa, kBadRequest);
	first_->ats().sendRaw({request(at(5), far, 2)});
	handled(2);
	EXPECT_EQ(faults(), before + 2);
	expectLogged(at(5), far, kBadRequest);
	/* A request that is not the last of its group gets no answer. */
	first_->ats().sendRaw({request(at(5), far, 3, false)});
	handled(3);
	unsigned answers = 0;

	for (const Descriptor &descriptor : seen()) {
		if (descriptor.type() != kPageResponse)
			continue;
		answers++;
		EXPECT_EQ(descriptor.q0 >> 12 & 0xf, 1u);
		EXPECT_EQ(descriptor.q0 >> 16 & 0xffff, kFirstRid.value);
		EXPECT_EQ(descriptor.pasid(), 5u);
		EXPECT_EQ(descriptor.q1 >> 3 & 0x1ff, answers);
	}
	EXPECT_EQ(answers, 2u);
	EXPECT_EQ(handler.arrived(), 0u);
	memory_.unwatch();
	drop(made, 5);
}

/* VTD-DRV-14 */
TEST_F(PageRequests, StopMarkersAreNotAnswered)
{
	FaultHandler handler(firstDev_, 5);
	wd_pgtable *made = bound(5);
	PageRequestMessage marker = request(at(5), 0, 7);
	const uint64_t before = faults();

	marker.read = false;
	watchQueue();
	first_->ats().sendRaw({marker});
	handled(1);
	EXPECT_TRUE(seen().empty());
	EXPECT_EQ(handler.arrived(), 0u);
	EXPECT_EQ(faults(), before);
	memory_.unwatch();
	drop(made, 5);
}

/* VTD-PRQ-4 seen from the driver: after the tear-down the unit itself refuses. */
TEST_F(PageRequests, AfterTheTearDownTheUnitRefuses)
{
	FaultHandler handler(firstDev_, 5);
	wd_pgtable *made = bound(5);

	drop(made, 5);
	const auto answered = first_->ats().counters().unexpected;

	first_->ats().sendRaw({request(at(5), kVa, 1)});
	EXPECT_EQ(first_->ats().counters().unexpected, answered + 1);
	EXPECT_EQ(lastFault().reason, kNoPasidEntry);
	EXPECT_EQ(lastFault().type, "page-request");
	EXPECT_EQ(handler.arrived(), 0u);
	EXPECT_EQ(number("page_requests"), 0u);
}

/* More requests than the queue holds: the device repeats those that were dropped. */
TEST_F(PageRequests, Overflow)
{
	Gate gate;
	std::atomic<unsigned> groups{0};
	FaultHandler handler(firstDev_, 5, [&](const RequestGroup &group) {
		if (groups++ == 0)
			gate.pass();
		/* The driver has forgotten the incomplete group from before the overflow. */
		EXPECT_EQ(group.requests.size(), 1u);
		return Answer::Invalid;
	});
	wd_pgtable *made = bound(5);
	constexpr unsigned kFlood = kRing + 500;

	first_->ats().sendRaw({request(at(5), kVa, 0)});
	gate.reached();
	first_->ats().sendRaw({request(at(5), kVa, 300, false)});
	for (unsigned i = 1; i < kFlood; i++)
		first_->ats().sendRaw({request(at(5), kVa, i % 256)});
	EXPECT_EQ(unit_->barRead(0, 0xdc, 4) & 2, 2u);
	gate.open();
	while (number("page_request_overflows") < 1)
		std::this_thread::yield();
	EXPECT_EQ(number("page_request_overflows"), 1u);
	/* As many as fit, because one entry of the ring stays free. */
	EXPECT_EQ(number("page_requests"), kRing - 1);
	EXPECT_EQ(groups, kRing - 2);
	EXPECT_EQ(unit_->barRead(0, 0xdc, 4) & 2, 0u);
	first_->ats().sendRaw({request(at(5), kVa, 300)});
	handled(kRing);
	EXPECT_EQ(groups, kRing - 1);
	drop(made, 5);
}

/*
 * At the end of a tear-down the driver has reported all earlier requests, even without interrupt.
 */
TEST_F(PageRequests, DrainBeforeAPasidIsUsedAnew)
{
	unsigned before = 0, after = 0;
	auto old = std::make_unique<FaultHandler>(firstDev_, 5, [&](const RequestGroup &) {
		before++;
		return Answer::Invalid;
	});
	wd_pgtable *made = bound(5);

	mask(true);
	for (unsigned i = 0; i < 100; i++)
		first_->ats().sendRaw({request(at(5), kVa, i)});
	EXPECT_EQ(before, 0u);
	watchQueue();
	unbindTablePasid(guest_->parent(), firstDev_, made, 5);
	EXPECT_EQ(before, 100u);
	/*
	 * VTD-DRV-8: fence, IOTLB, device TLB, and a wait that completes after earlier page
	 * requests.
	 */
	const auto &all = memory_.descriptors;
	const auto last = std::find_if(all.rbegin(), all.rend(), [](const Descriptor &descriptor) {
		return descriptor.type() == kWait && (descriptor.q0 & 0x80);
	});

	ASSERT_NE(last, all.rend());
	EXPECT_EQ((last + 1)->type(), kPasidDeviceTlb);
	EXPECT_EQ((last + 2)->type(), kIotlb);
	EXPECT_EQ((last + 3)->type(), kWait);
	EXPECT_EQ((last + 3)->q0 & 0x40, 0x40u);
	memory_.unwatch();
	old.reset();
	FaultHandler fresh(firstDev_, 5, [&](const RequestGroup &) {
		after++;
		return Answer::Invalid;
	});

	EXPECT_EQ(bindTablePasid(guest_->parent(), firstDev_, made, 5), 0);
	mask(false);
	drop(made, 5);
	EXPECT_EQ(after, 0u);
}

/* VTD-DRV-8: the same for a domain at a PASID, and while the queue overflows. */
TEST_F(PageRequests, DrainWhileTheQueueOverflows)
{
	unsigned before = 0;
	FaultHandler handler(firstDev_, 5, [&](const RequestGroup &) {
		before++;
		return Answer::Invalid;
	});

	ASSERT_EQ(attachPasid(guest_->parent(), firstDev_, 5), 0);
	mask(true);
	for (unsigned i = 0; i < kRing + 100; i++)
		first_->ats().sendRaw({request(at(5), kVa, i % 512)});
	EXPECT_EQ(unit_->barRead(0, 0xdc, 4) & 2, 2u);
	watchQueue();
	detachPasid(guest_->parent(), firstDev_, 5);
	EXPECT_EQ(before, kRing - 1);
	/* The drain runs once more after the overflow. */
	EXPECT_EQ(std::count_if(memory_.descriptors.begin(), memory_.descriptors.end(),
				[](const Descriptor &descriptor) {
					return descriptor.type() == kWait && (descriptor.q0 & 0x80);
				}),
		  2);
	memory_.unwatch();
	EXPECT_EQ(unit_->barRead(0, 0xdc, 4) & 2, 0u);
	EXPECT_EQ(number("page_request_overflows"), 1u);
	mask(false);
}

/* A tear-down waits for a slow handler in the queue's thread, and for nothing else. */
TEST_F(PageRequests, TearDownWaitsForARunningHandler)
{
	Gate gate;
	std::atomic<bool> done{false};
	FaultHandler handler(firstDev_, 5, [&](const RequestGroup &) {
		gate.pass();
		EXPECT_FALSE(done);
		return Answer::Invalid;
	});
	wd_pgtable *made = bound(5);

	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	gate.reached();
	std::thread unbinder([&] {
		unbindTablePasid(guest_->parent(), firstDev_, made, 5);
		done = true;
	});

	while (pasidEntry(kFirstRid, 5)[1])
		std::this_thread::yield();
	EXPECT_FALSE(done);
	gate.open();
	unbinder.join();
	EXPECT_EQ(requester_.wait(1), PageResponse::InvalidRequest);
	tableFree(made);
}

/* Answers of any order, from other threads, while entries come and go. */
TEST_F(PageRequests, FaultsUnderBindAndUnbind)
{
	constexpr unsigned kThreads = 3, kRounds = 100;
	std::vector<std::thread> threads;
	std::atomic<unsigned> wrong{0};

	for (unsigned t = 0; t < kThreads; t++) {
		threads.emplace_back([&, t] {
			const auto agent = unit_->createAgent();
			const uint32_t pasid = 10 + t;
			Requester requester;

			for (unsigned i = 0; i < kRounds; i++) {
				FaultHandler handler(firstDev_, pasid);
				wd_pgtable *made = bound(pasid);
				const DmaResult asked = agent->prepare(at(pasid), kVa, 8,
								       Access::Write, requester, i);

				wrong += asked != DmaResult::Pending;
				if (i % 2) {
					handler.answer(Answer::Invalid);
					wrong += requester.wait(i) != PageResponse::InvalidRequest;
				}
				drop(made, pasid);
				handler.unregister();
				/*
				 * The drain has brought the group to the handler, whose destructor
				 * answers it.
				 */
				wrong += handler.arrived() != 1;
			}
		});
	}
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(wrong, 0u);
}

TEST_F(PageRequests, ManyOutstanding)
{
	constexpr unsigned kPasids = 40, kGroups = 12;
	std::vector<std::unique_ptr<FaultHandler>> handlers;
	std::vector<wd_pgtable *> tables;

	for (uint32_t pasid = 1; pasid <= kPasids; pasid++) {
		handlers.push_back(std::make_unique<FaultHandler>(firstDev_, pasid));
		tables.push_back(bound(pasid));
	}
	for (unsigned i = 0; i < kGroups; i++)
		for (uint32_t pasid = 1; pasid <= kPasids; pasid++)
			ASSERT_EQ(prepare(at(pasid), kVa, pasid * 100 + i), DmaResult::Pending);
	for (auto &handler : handlers)
		handler->wait(kGroups);
	for (auto handler = handlers.rbegin(); handler != handlers.rend(); ++handler)
		for (unsigned i = 0; i < kGroups; i++)
			(*handler)->answer(i % 2 ? Answer::Success : Answer::Invalid);
	for (unsigned i = 0; i < kGroups; i++)
		for (uint32_t pasid = 1; pasid <= kPasids; pasid++)
			EXPECT_EQ(requester_.wait(pasid * 100 + i),
				  i % 2 ? PageResponse::Success : PageResponse::InvalidRequest);
	for (uint32_t pasid = 1; pasid <= kPasids; pasid++) {
		drop(tables[pasid - 1], pasid);
		EXPECT_EQ(handlers[pasid - 1]->arrived(), kGroups);
	}
}

/* The function is reset while requests are open. Afterwards it asks for the pages again. */
TEST_F(PageRequests, SurviveAReset)
{
	FaultHandler handler(firstDev_, 5);
	wd_pgtable *made = bound(5);

	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	handler.wait(1);
	ASSERT_EQ(resetFunction(firstDev_), 0);
	EXPECT_EQ(requester_.wait(1), PageResponse::Failure);
	EXPECT_TRUE(first_->atsEnabled());
	EXPECT_TRUE(first_->priEnabled());
	/*
	 * The function uses the same group numbers again. An answer to an old group must not reach
	 * a new one.
	 */
	ASSERT_EQ(prepare(at(5), kVa, 2), DmaResult::Pending);
	EXPECT_EQ(handler.wait(2).index, handler.wait(1).index);
	EXPECT_EQ(handler.answer(Answer::Invalid), -ECANCELED);
	EXPECT_FALSE(requester_.has(2));
	guest_->map(root_, kVa, page_);
	EXPECT_EQ(handler.answer(Answer::Success), 0);
	EXPECT_EQ(requester_.wait(2), PageResponse::Success);
	EXPECT_EQ(word(at(5), kVa), 0x1234u);
	ASSERT_EQ(unmap(guest_->parent(), page_, k4K), k4K);
	EXPECT_EQ(read(at(5), kVa), DmaResult::Blocked);
	drop(made, 5);
}

/* After a sleep of the machine a function starts from the beginning, as after a reset. */
TEST_F(PageRequests, SurviveASleep)
{
	FaultHandler handler(firstDev_, 5);
	wd_pgtable *made = bound(5);

	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	handler.wait(1);
	ASSERT_EQ(hostkernel::systemSleep(), 0);
	EXPECT_EQ(requester_.wait(1), PageResponse::Failure);
	ASSERT_EQ(prepare(at(5), kVa, 2), DmaResult::Pending);
	EXPECT_EQ(handler.wait(2).index, handler.wait(1).index);
	EXPECT_EQ(handler.answer(Answer::Success), -ECANCELED);
	EXPECT_FALSE(requester_.has(2));
	EXPECT_EQ(handler.answer(Answer::Invalid), 0);
	EXPECT_EQ(requester_.wait(2), PageResponse::InvalidRequest);
	drop(made, 5);
}

/* An incomplete group from before a reset must not become part of a group after it. */
TEST_F(PageRequests, AResetForgetsIncompleteGroups)
{
	FaultHandler handler(firstDev_, 5);
	wd_pgtable *made = bound(5);

	first_->ats().sendRaw({request(at(5), kVa, 3, false)});
	handled(1);
	/* Another request is still in the queue. */
	mask(true);
	first_->ats().sendRaw({request(at(5), kVa, 4)});
	ASSERT_EQ(resetFunction(firstDev_), 0);
	mask(false);
	EXPECT_EQ(handler.arrived(), 1u);
	EXPECT_EQ(handler.answer(Answer::Success), -ECANCELED);
	first_->ats().sendRaw({request(at(5), kVa, 3)});
	EXPECT_EQ(handler.wait(2).requests.size(), 1u);
	EXPECT_EQ(handler.answer(Answer::Success), 0);
	drop(made, 5);
}

/* The next handler gets groups with the same numbers as those that the last one left open. */
TEST_F(PageRequests, ALateAnswerIsNotTakenForOneOfNow)
{
	FaultHandler before(firstDev_, 5);
	wd_pgtable *made = bound(5);

	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	const unsigned index = before.wait(1).index;

	EXPECT_FALSE(first_->priStopped());
	before.unregister();
	EXPECT_EQ(requester_.wait(1), PageResponse::Failure);
	EXPECT_TRUE(first_->priStopped());

	FaultHandler now(firstDev_, 5);

	ASSERT_EQ(now.error(), 0);
	ASSERT_EQ(prepare(at(5), kVa, 2), DmaResult::Pending);
	EXPECT_EQ(now.wait(1).index, index);
	EXPECT_EQ(before.answer(Answer::Success), -ECANCELED);
	EXPECT_FALSE(requester_.has(2));
	EXPECT_EQ(now.answer(Answer::Invalid), 0);
	EXPECT_EQ(requester_.wait(2), PageResponse::InvalidRequest);
	drop(made, 5);
}

/* A handler goes, and the function has another one: open groups stay open and can be answered. */
TEST_F(PageRequests, AnOpenOneSurvivesTheEndOfItsHandlerIfOthersStay)
{
	FaultHandler elsewhere(firstDev_, 6);
	FaultHandler before(firstDev_, 5);
	wd_pgtable *made = bound(5), *other = bound(6);

	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	ASSERT_EQ(prepare(at(6), kVa, 2), DmaResult::Pending);
	before.wait(1);
	elsewhere.wait(1);
	before.unregister();
	EXPECT_FALSE(requester_.has(1) || requester_.has(2));
	/* The other handler goes on: with the open group, and with new ones. */
	ASSERT_EQ(prepare(at(6), kVa + k4K, 3), DmaResult::Pending);
	EXPECT_EQ(elsewhere.wait(2).requests.at(0).address, kVa + k4K);
	EXPECT_EQ(elsewhere.answer(Answer::Success), 0);
	EXPECT_EQ(requester_.wait(2), PageResponse::Success);
	EXPECT_FALSE(requester_.has(1) || requester_.has(3));
	EXPECT_EQ(before.answer(Answer::Invalid), 0);
	EXPECT_EQ(requester_.wait(1), PageResponse::InvalidRequest);
	EXPECT_EQ(elsewhere.answer(Answer::Invalid), 0);
	EXPECT_EQ(requester_.wait(3), PageResponse::InvalidRequest);
	EXPECT_EQ(before.arrived(), 1u);
	drop(made, 5);
	drop(other, 6);
}

/* Incomplete groups do not prevent that page requests are enabled: a reset clears them. */
TEST_F(PageRequests, AreEnabledAfterIncompleteGroups)
{
	wd_pgtable *made = bound(5);
	{
		FaultHandler before(firstDev_, 5);

		first_->ats().sendRaw({request(at(5), kVa, 3, false)});
		handled(1);
	}
	FaultHandler now(firstDev_, 5);

	EXPECT_EQ(now.error(), 0);
	EXPECT_TRUE(first_->priEnabled());
	drop(made, 5);
}

/* If a function waits for answers for ever, its page requests stay off. */
TEST_F(PageRequests, StayOffInAFunctionThatDoesNotStop)
{
	first_->neverStop(true);
	{
		FaultHandler early(firstDev_, 5);

		EXPECT_EQ(early.error(), -EIO);
		EXPECT_FALSE(first_->atsEnabled());
		EXPECT_FALSE(first_->priEnabled());
	}
	first_->neverStop(false);
	FaultHandler handler(firstDev_, 5);

	EXPECT_EQ(handler.error(), 0);
	EXPECT_TRUE(first_->atsEnabled());
	EXPECT_TRUE(first_->priEnabled());
}

/* During its reset a function reaches nothing, with or without PASID. Attachments stay. */
TEST_F(PageRequests, AResetBlocksTheFunction)
{
	FaultHandler handler(firstDev_, 5);
	const DmaBuffer buffer = dmaAlloc(firstDev_, k4K);
	wd_pgtable *made = bound(5);
	unsigned resets = 0;

	guest_->map(root_, kVa, page_);
	EXPECT_EQ(word(at(5), kVa), 0x1234u);
	EXPECT_EQ(read(ridStream(kFirstRid), buffer.handle), DmaResult::Ok);
	first_->onReset = [&] {
		resets++;
		EXPECT_EQ(read(at(5), kVa), DmaResult::Blocked);
		EXPECT_EQ(read(ridStream(kFirstRid), buffer.handle), DmaResult::Blocked);
		EXPECT_FALSE(first_->atsEnabled());
		/* Attach and detach work during the reset, and are in effect afterwards. */
		EXPECT_EQ(attachPasid(guest_->parent(), firstDev_, 6), 0);
		EXPECT_EQ(read(at(6), page_), DmaResult::Blocked);
		drop(made, 5);
	};
	ASSERT_EQ(resetFunction(firstDev_), 0);
	EXPECT_EQ(resets, 1u);
	EXPECT_TRUE(first_->atsEnabled());
	EXPECT_EQ(word(at(6), page_), 0x1234u);
	EXPECT_EQ(read(at(5), kVa), DmaResult::Blocked);
	EXPECT_EQ(read(ridStream(kFirstRid), buffer.handle), DmaResult::Ok);
	detachPasid(guest_->parent(), firstDev_, 6);
	dmaFree(firstDev_, buffer);
}

/* The first handler comes, and the last one goes, during a reset. */
TEST_F(PageRequests, HandlersComeAndGoDuringAReset)
{
	auto handler = std::make_unique<FaultHandler>(firstDev_, 5);
	std::unique_ptr<FaultHandler> other;

	first_->onReset = [&] { handler.reset(); };
	ASSERT_EQ(resetFunction(firstDev_), 0);
	EXPECT_FALSE(first_->atsEnabled());
	first_->onReset = [&] {
		other = std::make_unique<FaultHandler>(firstDev_, 5);
		EXPECT_EQ(other->error(), 0);
		EXPECT_FALSE(first_->atsEnabled());
	};
	ASSERT_EQ(resetFunction(firstDev_), 0);
	EXPECT_TRUE(first_->priEnabled());
	wd_pgtable *made = bound(5);

	ASSERT_EQ(prepare(at(5), kVa, 1), DmaResult::Pending);
	other->wait(1);
	EXPECT_EQ(other->answer(Answer::Invalid), 0);
	EXPECT_EQ(requester_.wait(1), PageResponse::InvalidRequest);
	drop(made, 5);
}

/*
 * The unit goes while a request is open. A late answer must use neither the unit nor the function.
 */
TEST_F(PageRequests, AnswerAfterTheUnitIsGone)
{
	auto handler = std::make_unique<FaultHandler>(secondDev_, 5);
	wd_pgtable *made = bound(5, secondDev_);

	ASSERT_EQ(prepare(pasidStream(kSecondRid, 5), kVa, 1), DmaResult::Pending);
	handler->wait(1);
	removeDevice(kUnit);
	EXPECT_EQ(requester_.wait(1), PageResponse::Failure);
	handler->answer(Answer::Success);
	handler.reset();
	tableFree(made);
}

/* The device goes while requests are open. The answers are dropped. */
TEST_F(PageRequests, ReleaseOfTheDevice)
{
	auto handler = std::make_unique<FaultHandler>(secondDev_, 5);
	wd_pgtable *made = bound(5, secondDev_);

	ASSERT_EQ(prepare(pasidStream(kSecondRid, 5), kVa, 1), DmaResult::Pending);
	handler->wait(1);
	removeDevice(kSecond);
	EXPECT_EQ(requester_.wait(1), PageResponse::Failure);
	handler->answer(Answer::Success);
	EXPECT_FALSE(second_->priEnabled());
	handler.reset();
	rescan(findDevice(kNoPasid));
	secondDev_ = findDevice(kSecond);
	tableFree(made);
}

} // namespace
} // namespace wd::kerneltest
