// SPDX-License-Identifier: Apache-2.0
/*
 * Page requests (Documentation/spec/vtd.rst), and the endpoint's records of them, which neither
 * hostile software nor hostile devices may confuse.
 */
#include <map>
#include <set>
#include <thread>

#include "ats_fixture.h"

namespace wd::machine::test
{
namespace
{

class VtdPageRequest : public VtdAts
{
protected:
	void SetUp() override
	{
		VtdAts::SetUp();
		simpleFirst(5);
	}
	uint32_t tail() { return bench().read32(kPqt); }
	void setHead(uint32_t head) { bench().write64(kPqh, head); }
	/*
	 * Fill the queue up to the entry before its head, with requests that the device does not
	 * count.
	 */
	void fill()
	{
		for (uint64_t i = 0; i + 32 < ringSize_; i += 32)
			device().send(message(pasid(5), 0x5000, 1, false));
		ASSERT_EQ(bench().read32(kPrs), kPpr);
	}
};

/* VTD-PRQ-1 */
TEST_F(VtdPageRequest, Descriptor)
{
	PageRequestMessage request = message(pasid(5), 0x7654321000, 0x155);

	request.privileged = request.write = true;
	device().send(request);
	EXPECT_EQ(bench().get(ring_),
		  1 | bit(8) | uint64_t{kRid.value} << 16 | uint64_t{5} << 32 | bit(53));
	EXPECT_EQ(bench().get(ring_ + 8), 0x7654321000 | 0x155 << 3 | 7);
	EXPECT_EQ(bench().get(ring_ + 16) | bench().get(ring_ + 24), 0u);
	EXPECT_EQ(tail(), 32u);
	EXPECT_EQ(bench().read32(kPrs), kPpr);
	EXPECT_EQ(bench().sink.count(kVectorPageRequest), 1u);
}

/* VTD-EVENT-3 */
TEST_F(VtdPageRequest, OneEventUntilCleared)
{
	device().send(message(pasid(5), 0x5000));
	device().send(message(pasid(5), 0x6000));
	EXPECT_EQ(tail(), 64u);
	EXPECT_EQ(bench().sink.count(kVectorPageRequest), 1u);
	bench().write32(kPrs, kPpr);
	device().send(message(pasid(5), 0x7000));
	EXPECT_EQ(bench().sink.count(kVectorPageRequest), 2u);
}

/* VTD-EVENT-1 */
TEST_F(VtdPageRequest, EventWaitsForItsMask)
{
	bench().write32(kPectl, 1u << 31);
	device().send(message(pasid(5), 0x5000));
	EXPECT_EQ(bench().sink.count(kVectorPageRequest), 0u);
	EXPECT_EQ(bench().read32(kPectl), 3u << 30);
	bench().write32(kPectl, 0);
	EXPECT_EQ(bench().sink.count(kVectorPageRequest), 1u);
}

/* VTD-PRQ-2, VTD-PRQ-3 */
TEST_F(VtdPageRequest, Overflow)
{
	fill();
	const uint32_t before = tail();

	bench().write32(kPrs, kPpr);
	EXPECT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, 1), DmaResult::Pending);
	device().requester.expectOne(1, PageResponse::Success);
	EXPECT_EQ(bench().read32(kPrs), kPro);
	EXPECT_EQ(tail(), before);
	EXPECT_EQ(bench().get(ring_ + before), 0u) << "nothing is written";
	EXPECT_EQ(bench().sink.count(kVectorPageRequest), 2u);
	/* VTD-PRQ-3: the queue stays stopped although it has space. */
	setHead(before);
	EXPECT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, 2), DmaResult::Pending);
	EXPECT_EQ(device().requester.answers().size(), 2u);
	device().send(message(pasid(5), 0x9000, 3, false));
	EXPECT_EQ(tail(), before);
	EXPECT_EQ(bench().sink.count(kVectorPageRequest), 2u);
	EXPECT_EQ(device().endpoint->counters().unexpected, 0u) << "no answer without LPIG";
	bench().write32(kPrs, kPro);
	EXPECT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, 3), DmaResult::Pending);
	EXPECT_EQ(requests().size(), 1u);
	EXPECT_EQ(device().requester.answers().size(), 2u);
}

/* VTD-PRQ-1 */
TEST_F(VtdPageRequest, QueueWrapsAround)
{
	for (uint64_t i = 0; i < 3 * ringSize_ / 32 + 5; i++) {
		device().send(message(pasid(5), 0x1000 * i, i % 512));
		const auto found = requests();
		ASSERT_EQ(found.size(), 1u);
		EXPECT_EQ(found[0].address, 0x1000 * i);
	}
	EXPECT_EQ(bench().read32(kPrs), 0u);
}

/* VTD-PRQ-4, VTD-FAULT-3 */
TEST_F(VtdPageRequest, TornDownPasid)
{
	bench().put(bench().pasidEntry(5), bench().get(bench().pasidEntry(5)) & ~1ull);
	bench().run({pasidOne(1, 5), pasidIotlb(1, 5)});
	EXPECT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, 1), DmaResult::Pending);
	device().requester.expectOne(1, PageResponse::InvalidRequest);
	const uint64_t high = bench().read64(kRecords + 8);
	EXPECT_EQ(high >> 28 & 1, 1u) << "T2";
	EXPECT_EQ(high >> 62 & 1, 0u) << "T1";
	expectOnlyRecord(FaultReason::PasidEntryNotPresent, 0);
	bench().put(bench().pasidEntry(5), bench().get(bench().pasidEntry(5)) | 2); /* FPD */
	EXPECT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, 2), DmaResult::Pending);
	EXPECT_EQ(device().requester.answers().size(), 2u);
	expectNoRecord();
	EXPECT_EQ(tail(), 0u);
}

/* VTD-PRQ-4 */
TEST_F(VtdPageRequest, PageRequestsNotAllowed)
{
	Context context;

	context.pre = false;
	bench().setContext(kRid, context);
	bench().run({contextGlobal()});
	device().send(message(pasid(5), 0x9000, 0, false));
	expectOnlyRecord(FaultReason::PageRequestDisabled, 0);
	EXPECT_EQ(device().endpoint->counters().unexpected, 0u) << "silently dropped";
	EXPECT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, 1), DmaResult::Pending);
	device().requester.expectOne(1, PageResponse::InvalidRequest);
	EXPECT_EQ(tail(), 0u);
}

/* VTD-PRQ-4 */
TEST_F(VtdPageRequest, FrontEnd)
{
	auto expect = [&, answers = uint64_t{0}](FaultReason reason,
						 const StreamId &stream) mutable {
		SCOPED_TRACE(testing::Message() << std::hex << unsigned(reason));
		bench().clearFaults();
		device().send(message(stream, 0x9000, 0, true));
		EXPECT_EQ(device().endpoint->counters().unexpected, ++answers);
		expectOnlyRecord(reason, 0);
	};

	expect(FaultReason::PasidIsRidPasid, pasid(0));
	expect(FaultReason::PasidBeyondDirectory, pasid(8192));
	expect(FaultReason::DirectoryNotPresent, pasid(700));
	Context context;
	context.dte = false;
	bench().setContext(kRid, context);
	bench().run({contextGlobal()});
	expect(FaultReason::ContextInvalid, pasid(5));
	context = {};
	context.pasidEnable = false;
	bench().setContext(kRid, context);
	bench().run({contextGlobal()});
	expect(FaultReason::PasidDisabled, pasid(5));
	bench().write64(kRtaddr, bench().root);
	bench().write32(kGcmd, kTe | kQie | kSrtp);
	expect(FaultReason::LegacyPageRequest, pasid(5));
	expect(FaultReason::LegacyPageRequest, rid());
	EXPECT_EQ(tail(), 0u);
}

/* VTD-PRQ-5, VTD-PRQ-6 */
TEST_F(VtdPageRequest, WithoutPasid)
{
	const uint64_t table = simpleSecond(0, 2);

	bench().mapSecond(table, 4, kInput, target_, kSsR);
	expectMapped(target_, rid(), kInput);
	bench().mapSecond(table, 4, kInput, target_);
	bench().clearFaults();
	EXPECT_EQ(bench().request(rid(), kInput, Access::Write).reason, FaultReason::WriteDenied);
	device().send(message(rid(), kInput));
	const auto found = requests();
	ASSERT_EQ(found.size(), 1u);
	EXPECT_FALSE(found[0].stream.hasPasid);
	EXPECT_EQ(bench().request(rid(), kInput, Access::Write).reason, FaultReason::None)
		<< "the entry of RID_PASID was flushed";
}

/* VTD-PRQ-6: the unit flushes only the page of the request, before software sees the request. */
TEST_F(VtdPageRequest, ImplicitFlush)
{
	const uint64_t table = simpleFirst(6, 7);

	for (uint64_t page : {kInput, kInput + 0x1000}) {
		bench().mapFirst(table, 4, page, target_, kFsP | kFsUs);
		expectMapped(target_, pasid(6), page);
		bench().mapFirst(table, 4, page, target_);
	}
	device().send(message(pasid(6), kInput));
	EXPECT_EQ(bench().request(pasid(6), kInput, Access::Write).reason, FaultReason::None);
	EXPECT_EQ(bench().request(pasid(6), kInput + 0x1000, Access::Write).reason,
		  FaultReason::WriteDenied);
}

/*
 * VTD-PRQ-7: requests that were sent before the invalidation completed are there when the wait
 * ends.
 */
TEST_F(VtdPageRequest, Drain)
{
	const uint64_t status = bench().page();
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> sent{0};
	std::thread sender([&] {
		while (!stop) {
			device().send(message(pasid(5), 0x9000, 1, false));
			sent++;
		}
	});

	for (unsigned round = 1; round <= 200; round++) {
		bench().run(
			{pasidIotlb(1, 5), pasidDeviceTlbAll(kRid, 5), waitDrain(status, round)});
		ASSERT_EQ(bench().get(status), round);
		requests();
		bench().write32(kPrs, kPro);
	}
	/* Tear down: after this drain no request of the PASID may be seen any more. */
	bench().put(bench().pasidEntry(5), 2);
	bench().run({pasidOne(1, 5), pasidIotlb(1, 5), pasidDeviceTlbAll(kRid, 5),
		     waitDrain(status, 1000)});
	requests();
	bench().write32(kPrs, kPro);
	const uint64_t until = sent + 1000;
	while (sent < until)
		std::this_thread::yield();
	EXPECT_TRUE(requests().empty());
	stop = true;
	sender.join();
}

/* VTD-PRQ-8 */
TEST_F(VtdPageRequest, Responses)
{
	for (uint64_t token : {1, 2, 3})
		EXPECT_EQ(device().prepare(pasid(5), 0x1000 * (5 + token), Access::Read, token),
			  DmaResult::Pending);
	const auto found = requests();

	ASSERT_EQ(found.size(), 3u);
	EXPECT_EQ((std::set<unsigned>{found[0].group, found[1].group, found[2].group}).size(), 3u);
	bench().run({groupResponse(pasid(5), found[1].group, kInvalid)});
	device().requester.expectOne(2, PageResponse::InvalidRequest);
	EXPECT_TRUE(device().endpoint->pageRequesting());
	bench().run({groupResponse(pasid(5), found[0].group, kSuccess)});
	EXPECT_EQ(device().requester.answers().size(), 2u);
	/* Send one more, so that two requests wait when the failure comes. */
	EXPECT_EQ(device().prepare(pasid(5), 0xa000, Access::Read, 4), DmaResult::Pending);
	bench().run({groupResponse(pasid(5), found[2].group, kFailure)});
	const auto answers = device().requester.answers();
	ASSERT_EQ(answers.size(), 4u);
	EXPECT_EQ(answers[1].response, PageResponse::Success);
	EXPECT_EQ(answers[2].response, PageResponse::Failure);
	EXPECT_EQ(answers[3].response, PageResponse::Failure);
	EXPECT_TRUE(device().disabled);
	EXPECT_TRUE(device().status & 1);
	EXPECT_FALSE(device().endpoint->pageRequesting());
	EXPECT_EQ(device().prepare(pasid(5), 0xa000, Access::Read, 5), DmaResult::Ok);
	/* The other answer comes later and must do no harm. */
	bench().run({groupResponse(pasid(5), requests()[0].group, kSuccess)});
	EXPECT_EQ(device().requester.answers().size(), 4u);
	EXPECT_EQ(device().endpoint->counters().unexpected, 0u);
	EXPECT_TRUE(device().status & 0x100) << "stopped";
}

/* VTD-PRQ-9 */
TEST_F(VtdPageRequest, StopMarker)
{
	PageRequestMessage marker = message(pasid(5), 0, 0);

	marker.read = false;
	device().send(marker);
	EXPECT_EQ(requests().size(), 1u);
	fill();
	device().send(marker);
	EXPECT_EQ(bench().read32(kPrs) & kPro, 0u);
	EXPECT_EQ(device().endpoint->counters().unexpected, 0u);
	marker.stream = pasid(700);
	device().send(marker);
	expectNoRecord();
	EXPECT_EQ(device().endpoint->counters().unexpected, 0u);
}

TEST_F(VtdPageRequest, OneGroupForManyPages)
{
	EXPECT_EQ(device().prepare(pasid(5), 0x10ff0, Access::Write, 1, 0x2020),
		  DmaResult::Pending);
	const auto found = requests();

	ASSERT_EQ(found.size(), 4u);
	for (unsigned i = 0; i < 4; i++) {
		EXPECT_EQ(found[i].address, 0x10000u + 0x1000 * i);
		EXPECT_EQ(found[i].group, found[0].group);
		EXPECT_EQ(found[i].last, i == 3);
		EXPECT_TRUE(found[i].write);
	}
	bench().run({groupResponse(pasid(5), found[0].group, kSuccess)});
	device().requester.expectOne(1, PageResponse::Success);
}

TEST_F(VtdPageRequest, PresentPagesAreNotAskedFor)
{
	EXPECT_EQ(device().prepare(pasid(5), kInput, Access::Write, 1, 0x3000), DmaResult::Pending);
	const auto found = requests();

	ASSERT_EQ(found.size(), 2u);
	EXPECT_EQ(found[0].address, kInput + 0x1000);
	EXPECT_EQ(device().prepare(pasid(5), ~uint64_t{0} - 5, Access::Read, 2, 100),
		  DmaResult::Blocked)
		<< "wraps around";
	EXPECT_EQ(device().prepare(pasid(5), ~uint64_t{0} - 5, Access::Read, 3, 6),
		  DmaResult::Pending)
		<< "the last page there is";
	EXPECT_EQ(requests()[0].address, ~uint64_t{0xfff});
}

/* VTD-PRQ-10: the device never exceeds its allocation. A waiter without a place gets one later. */
TEST_F(VtdPageRequest, AllocationIsKept)
{
	device().settings.allocation = 8;
	device().endpoint->configure(device().settings);
	for (uint64_t token = 0; token < 10; token++)
		EXPECT_EQ(device().prepare(pasid(5), 0x100000 * (token + 1), Access::Read, token,
					   0x5000),
			  DmaResult::Pending);
	auto found = requests();
	EXPECT_EQ(found.size(), 8u) << "five pages, and three of the next group";
	std::map<uint64_t, unsigned> rounds;
	size_t heard = 0;
	for (unsigned round = 0; round < 100 && heard < 10; round++) {
		for (const auto &request : found)
			if (request.last)
				bench().run({groupResponse(pasid(5), request.group, kSuccess)});
		const auto answers = device().requester.answers();
		for (; heard < answers.size(); heard++)
			EXPECT_EQ(++rounds[answers[heard].token], 1u);
		found = requests();
		EXPECT_LE(found.size(), 8u);
	}
	EXPECT_EQ(rounds.size(), 10u) << "everybody was answered, although nobody tried again";
}

TEST_F(VtdPageRequest, SwitchingOffAnswersOnceWithFailure)
{
	const auto run = [&](auto &&action) {
		TestDevice other(bench(), makeRid(0x75, 2, 0), 4);
		bench().setContext(makeRid(0x75, 2, 0), {});

		EXPECT_EQ(other.prepare(pasidStream(makeRid(0x75, 2, 0), 5), 0x9000, Access::Read,
					1, 0x4000),
			  DmaResult::Pending);
		EXPECT_EQ(other.prepare(pasidStream(makeRid(0x75, 2, 0), 5), 0x90000, Access::Read,
					2),
			  DmaResult::Pending)
			<< "no room";
		action(other);
		const auto answers = other.requester.answers();
		ASSERT_EQ(answers.size(), 2u);
		for (const auto &answer : answers)
			EXPECT_EQ(answer.response, PageResponse::Failure);
		/* Software's answer finds no waiter any more. */
		bench().run({groupResponse(pasidStream(makeRid(0x75, 2, 0), 5), requests()[0].group,
					   kSuccess)});
		EXPECT_EQ(other.requester.answers().size(), 2u);
	};

	run([](TestDevice &d) { d.endpoint->configure({true, false, 4}); });
	run([](TestDevice &d) { d.endpoint->configure({false, true, 4}); });
	run([](TestDevice &d) { d.endpoint->resetPageRequests(); });
	run([](TestDevice &d) { d.endpoint->reset(); });
	run([](TestDevice &d) { d.endpoint->shutdown(); });
}

/*
 * VTD-PRQ-10: a group keeps its index until its answer, even if its requester is gone. Else a later
 * group could get that answer.
 */
TEST_F(VtdPageRequest, IndicesAreNotUsedAgainTooEarly)
{
	EXPECT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, 1), DmaResult::Pending);
	const unsigned old = requests()[0].group;

	device().endpoint->configure({true, false, 64});
	EXPECT_FALSE(device().status & 0x100) << "not stopped: an answer is to come";
	device().endpoint->configure({true, true, 600});
	std::set<unsigned> used;
	for (unsigned i = 0; i < AtsEndpoint::kGroups - 1; i++) {
		EXPECT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, 10 + i),
			  DmaResult::Pending);
		for (const auto &request : requests())
			used.insert(request.group);
	}
	EXPECT_EQ(used.size(), AtsEndpoint::kGroups - 1);
	EXPECT_FALSE(used.contains(old));
	bench().run({groupResponse(pasid(5), old, kInvalid)});
	EXPECT_EQ(device().requester.answers().size(), 1u) << "the failure, and nothing else";
}

/* VTD-PRQ-8: software that answers without a request, with the wrong PASID, or twice. */
TEST_F(VtdPageRequest, WrongAnswersAreIgnored)
{
	EXPECT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, 1), DmaResult::Pending);
	const unsigned group = requests()[0].group;

	bench().run({groupResponse(pasid(6), group, kInvalid),
		     groupResponse(rid(), group, kInvalid),
		     groupResponse(pasid(5), group ^ 1, kInvalid),
		     groupResponse(pasidStream(makeRid(1, 1, 1), 5), group, kInvalid)});
	EXPECT_TRUE(device().requester.answers().empty());
	EXPECT_EQ(device().endpoint->counters().unexpected, 3u);
	EXPECT_TRUE(device().status & 2) << "UPRGI";
	bench().run({groupResponse(pasid(5), group, kSuccess),
		     groupResponse(pasid(5), group, kInvalid)});
	device().requester.expectOne(1, PageResponse::Success);
	EXPECT_EQ(device().endpoint->counters().unexpected, 4u);
}

/*
 * A device floods the queue, at times until it overflows. No request of this device or of another
 * one may get lost.
 */
TEST_F(VtdPageRequest, FloodDoesNotLoseAnybody)
{
	const Rid otherRid = makeRid(0x80, 0, 0);
	uint64_t flooded = 0;
	unsigned answered = 0, overflows = 0;

	simpleFirst(6);
	bench().setContext(otherRid, {});
	TestDevice other(bench(), otherRid);
	for (unsigned i = 0; i < 2000; i++) {
		const uint64_t flood = i % 20 ? 7 : 2 * ringSize_ / 32;

		/* The unit refuses those at PASIDs without a table, so they do not fill the queue. */
		for (uint64_t k = 0; k < flood; k++, flooded++)
			device().send(message(pasid(k % 4 ? 6 : flooded * 37 % (1 << 20)),
					      flooded << 12, flooded % 600, flooded % 3 == 0));
		ASSERT_EQ(device().prepare(pasid(5), 0x9000, Access::Read, i), DmaResult::Pending);
		ASSERT_EQ(other.prepare(pasidStream(otherRid, 5), 0x9000, Access::Read, i),
			  DmaResult::Pending);
		for (const auto &request : requests())
			if (request.last)
				bench().run(
					{groupResponse(request.stream, request.group, kSuccess)});
		if (bench().read32(kPrs) & kPro) {
			overflows++;
			bench().write32(kPrs, kPro);
		}
		answered++;
		for (TestDevice *each : {&device(), &other}) {
			const auto answers = each->requester.answers();

			ASSERT_EQ(answers.size(), answered);
			EXPECT_EQ(answers.back().token, i);
			EXPECT_EQ(answers.back().response, PageResponse::Success);
		}
	}
	EXPECT_EQ(overflows, 100u);
	EXPECT_EQ(other.endpoint->counters().unexpected, 0u) << "no answer for others' requests";
	bench().clearFaults();
}

/* VTD-PRQ-8 */
TEST_F(VtdPageRequest, ResponsesNeedTheFeature)
{
	useAts(VtdBench::e0Without(kEcapPrs));
	const uint32_t head = bench().tail();

	bench().enqueue(groupResponse(pasid(5), 0, kSuccess));
	bench().kick();
	EXPECT_TRUE(bench().read32(kFsts) & kIqe);
	EXPECT_EQ(bench().read64(kIqercd) & 0xf, 3u);
	EXPECT_EQ(bench().read32(kIqh), head);
	EXPECT_EQ(bench().read64(kPqa), 0u);
}

/*
 * 10,000 page requests outstanding at once: 20 functions with 500 groups each, over 1,000 PASIDs.
 * Four threads send them, and a fifth answers in another order.
 */
TEST_F(VtdPageRequest, TenThousandOutstanding)
{
	constexpr unsigned kDevices = 20, kEach = 500, kThreads = 4, kPasids = 1000;

	useAts(VtdBench::e0(), 7);
	for (uint32_t p = 1; p <= kPasids; p++)
		simpleFirst(p, p);
	std::vector<std::unique_ptr<TestDevice>> devices;
	for (unsigned i = 0; i < kDevices; i++) {
		const Rid rid = makeRid(0x80 + i, 0, 0);
		bench().setContext(rid, {});
		devices.push_back(std::make_unique<TestDevice>(bench(), rid, kEach));
	}
	const auto stream = [](unsigned device, unsigned n) {
		return pasidStream(makeRid(0x80 + device, 0, 0),
				   1 + (device * kEach + n) % kPasids);
	};
	std::vector<std::thread> threads;
	std::atomic<unsigned> pending{0};
	for (unsigned t = 0; t < kThreads; t++)
		threads.emplace_back([&, t] {
			for (unsigned n = 0; n < kEach; n++)
				for (unsigned d = t; d < kDevices; d += kThreads)
					pending += devices[d]->prepare(
							   stream(d, n), 0x100000 + n * 0x1000,
							   Access::Write, n) == DmaResult::Pending;
		});
	std::vector<PageRequestDescriptor> found;
	while (found.size() < kDevices * kEach) {
		const auto more = requests();
		found.insert(found.end(), more.begin(), more.end());
		ASSERT_FALSE(bench().read32(kPrs) & kPro);
		std::this_thread::yield();
	}
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(pending, kDevices * kEach);
	std::set<uint32_t> pasids;
	for (const auto &device : devices)
		EXPECT_TRUE(device->requester.answers().empty()) << "all are outstanding";
	for (const auto &request : found)
		pasids.insert(request.stream.pasid);
	EXPECT_EQ(pasids.size(), kPasids);
	/* Every third one is refused. */
	std::map<std::pair<unsigned, uint64_t>, bool> refused;
	for (size_t i = 0; i < found.size(); i++) {
		const auto &request = found[(i * 7919) % found.size()];
		const unsigned device = (request.stream.rid.value >> 8) - 0x80;
		const uint64_t token = (request.address - 0x100000) / 0x1000;
		EXPECT_TRUE(refused.emplace(std::pair(device, token), i % 3 == 0).second);
		bench().run({groupResponse(request.stream, request.group,
					   i % 3 == 0 ? kInvalid : kSuccess)});
	}
	for (unsigned d = 0; d < kDevices; d++) {
		std::set<uint64_t> tokens;
		for (const auto &answer : devices[d]->requester.answers()) {
			EXPECT_TRUE(tokens.insert(answer.token).second) << "answered twice";
			EXPECT_EQ(answer.response == PageResponse::InvalidRequest,
				  refused.at({d, answer.token}));
		}
		EXPECT_EQ(tokens.size(), kEach) << "lost";
		const AtsCounters counters = devices[d]->endpoint->counters();
		EXPECT_EQ(counters.groups, kEach);
		EXPECT_EQ(counters.succeeded + counters.refused, kEach);
		EXPECT_EQ(counters.failed + counters.unexpected, 0u);
	}
}

} // namespace
} // namespace wd::machine::test
