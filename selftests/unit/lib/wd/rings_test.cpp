// SPDX-License-Identifier: Apache-2.0
/* The fast path with a device in memory: laps, batches, doorbells, and hostile devices. */
#include <array>
#include <gtest/gtest.h>
#include <vector>

#include "fake_host.h"
#include "rings.h"
#include "wd/zip_queue.h"

using namespace wd;
using namespace wd::test;

namespace
{

class RingsTest : public ::testing::Test
{
protected:
	explicit RingsTest(bool words = true) : dus_(kDus, std::byte{0xff}), mmio_(kMmio)
	{
		/* A new queue: its stop flags are zero, its rings may have any content. */
		std::memset(dus_.data() + kDus - 8, 0, 8);
		device_.dus = dus_.data();
		device_.mmio = mmio_.data();
		device_.words = words;
		restart(layout());
	}

	detail::Rings::Layout layout()
	{
		detail::Rings::Layout l;
		l.dus = dus_.data();
		l.dusSize = dus_.size();
		l.mmio = mmio_.data();
		l.mmioSize = mmio_.size();
		if (device_.words)
			l.doorbellWords = kWords;
		l.number = device_.number;
		l.sqDepth = l.cqDepth = kDepth;
		l.descriptorSize = sizeof(zip::Sqe);
		return l;
	}

	/** Set the queue up again with @l. */
	void restart(const detail::Rings::Layout &l)
	{
		rings_.emplace(l, "device");
		slots_ = zip::Slots(rings_->slots());
	}

	zip::Request request(uint64_t tag)
	{
		zip::Request r;
		r.source = reinterpret_cast<uintptr_t>(source_.data());
		r.destination = reinterpret_cast<uintptr_t>(destination_.data());
		r.sourceLength = r.destinationLength = 16;
		r.tag = tag;
		return r;
	}

	QueueStatus send(uint64_t tag)
	{
		const zip::Request r = request(tag);
		unsigned sent;
		return slots_.send(*rings_, {&r, 1}, sent);
	}

	PollResult poll() { return slots_.poll(*rings_, out_); }

	alignas(64) std::array<std::byte, 64> source_{}, destination_{};
	std::vector<std::byte> dus_, mmio_;
	FakeDevice device_;
	std::optional<detail::Rings> rings_;
	zip::Slots slots_;
	std::array<zip::Completion, 2 * kDepth> out_;
};

class ArchitectedRingsTest : public RingsTest
{
protected:
	ArchitectedRingsTest() : RingsTest(false) {}
};

} // namespace

TEST_F(RingsTest, FreshRingHasNoCompletion)
{
	EXPECT_FALSE(rings_->ready());
	EXPECT_EQ(poll().count, 0u);
	EXPECT_EQ(rings_->depth(), kDepth - 1);
}

/* QM-RING-1: the phase toggles at each lap. No completion is lost or seen twice in many laps. */
TEST_F(RingsTest, ManyLapsInOrder)
{
	uint64_t sent = 0, received = 0;
	for (unsigned step = 0; step < 500; step++) {
		for (unsigned n = step % 7 + 1; n; n--)
			if (send(sent) == QueueStatus::Ok)
				sent++;
		device_.run(step % 5 + 1);
		const PollResult result = poll();
		ASSERT_EQ(result.status, QueueStatus::Ok);
		for (unsigned i = 0; i < result.count; i++)
			ASSERT_EQ(out_[i].tag, received++);
	}
	device_.run();
	received += poll().count;
	EXPECT_EQ(received, sent);
	EXPECT_EQ(rings_->inFlight(), 0u);
	EXPECT_GT(sent, 60u * kDepth) << "many laps";
}

/* QM-RING-4 */
TEST_F(RingsTest, FullAtDepthLessOne)
{
	for (unsigned i = 0; i < kDepth - 1; i++)
		ASSERT_EQ(send(i), QueueStatus::Ok);
	EXPECT_EQ(send(99), QueueStatus::Full);
	EXPECT_EQ(device_.run(), kDepth - 1);
	EXPECT_EQ(send(99), QueueStatus::Full) << "slots are free only when taken";
	EXPECT_EQ(poll().count, kDepth - 1);
	EXPECT_EQ(send(99), QueueStatus::Ok);
}

TEST_F(RingsTest, BatchStopsAtTheFirstThatDoesNotGo)
{
	std::vector<zip::Request> batch(kDepth + 3, request(1));
	unsigned sent = 0;
	EXPECT_EQ(slots_.send(*rings_, batch, sent), QueueStatus::Full);
	EXPECT_EQ(sent, kDepth - 1);
	device_.run();
	poll();
	batch.resize(3);
	batch[1].destinationLength = 0;
	EXPECT_EQ(slots_.send(*rings_, batch, sent), QueueStatus::Invalid);
	EXPECT_EQ(sent, 1u);
	EXPECT_EQ(device_.run(), 1u) << "earlier requests were rung";
}

/* ZIP-SQE-8 */
TEST_F(RingsTest, LengthsThatNoDeviceTakes)
{
	for (auto [source, destination] : {std::pair<uint32_t, uint32_t>{1, 0},
					   {zip::kMaxBuffer + 1, 1},
					   {1, zip::kMaxBuffer + 1},
					   {UINT32_MAX, UINT32_MAX}}) {
		zip::Request r = request(0);
		r.sourceLength = source;
		r.destinationLength = destination;
		unsigned sent;
		EXPECT_EQ(slots_.send(*rings_, {&r, 1}, sent), QueueStatus::Invalid);
	}
	EXPECT_EQ(device_.tail(), 0u);
}

/* pci.rst: one word per kind, indexes in bits 15:0, the arm word with a growing counter. */
TEST_F(RingsTest, DoorbellWords)
{
	ASSERT_EQ(send(1), QueueStatus::Ok);
	ASSERT_EQ(send(2), QueueStatus::Ok);
	EXPECT_EQ(device_.wordValue(HISI_QM_WORD_SQ), 2u);
	device_.run();
	EXPECT_EQ(device_.wordValue(HISI_QM_WORD_CQ), 0u);
	poll();
	EXPECT_EQ(device_.wordValue(HISI_QM_WORD_CQ), 2u);
	rings_->arm();
	EXPECT_EQ(device_.wordValue(HISI_QM_WORD_CQ_ARM), 1u << 16 | 2u);
	rings_->arm();
	EXPECT_EQ(device_.wordValue(HISI_QM_WORD_CQ_ARM), 2u << 16 | 2u);
	for (size_t i = 0; i < kMmio; i += 8)
		if (i < kWords || i >= kWords + 4096) {
			ASSERT_EQ(mmio_[i], std::byte{0}) << "wrote beside the words at " << i;
		}
}

/* QM-DB-1, queue 3 */
TEST_F(ArchitectedRingsTest, Doorbells)
{
	const auto doorbell = [&] {
		uint64_t value;
		std::memcpy(&value, mmio_.data() + 0x1000, sizeof(value));
		return value;
	};
	for (unsigned i = 0; i < 5; i++)
		ASSERT_EQ(send(i), QueueStatus::Ok);
	EXPECT_EQ(doorbell(), 0x0000000500000003u);
	EXPECT_EQ(device_.run(), 5u);
	EXPECT_EQ(poll().count, 5u);
	EXPECT_EQ(doorbell(), 0x0000000500001003u);
	rings_->arm();
	EXPECT_EQ(doorbell(), 0x0001000500001003u);
}

/* QM-UACCE-4: the kernel's flags. Completed requests are still delivered. */
TEST_F(RingsTest, StopFlags)
{
	ASSERT_EQ(send(1), QueueStatus::Ok);
	device_.run();
	device_.setStop(HISI_QM_DUS_TX_STOP);
	EXPECT_EQ(send(2), QueueStatus::Stopped);
	device_.setStop(HISI_QM_DUS_RX_STOP);
	EXPECT_TRUE(rings_->ready());
	PollResult result = poll();
	EXPECT_EQ(result.count, 1u);
	EXPECT_EQ(result.status, QueueStatus::Ok);
	EXPECT_EQ(poll().status, QueueStatus::Stopped);
}

TEST_F(RingsTest, MarkedStopped)
{
	rings_->markStopped();
	EXPECT_TRUE(rings_->ready());
	EXPECT_EQ(send(1), QueueStatus::Stopped);
	EXPECT_EQ(poll().status, QueueStatus::Stopped);
}

/* QM-RING-6: with each wrong completion the queue ends with Protocol, and nothing else happens. */
TEST_F(RingsTest, HostileCompletions)
{
	using Tamper = std::function<void(zip::Sqe &, Cqe &)>;
	const std::pair<const char *, Tamper> lies[] = {
		{"slot beyond the ring", [](zip::Sqe &, Cqe &c) { c.sqHead = kDepth; }},
		{"slot far beyond", [](zip::Sqe &, Cqe &c) { c.sqHead = 0xffff; }},
		{"next head in place of the slot", [](zip::Sqe &, Cqe &c) { c.sqHead++; }},
		{"another queue's number", [](zip::Sqe &, Cqe &c) { c.sqNumber ^= 1; }},
		{"another tag", [](zip::Sqe &s, Cqe &) { s.dw[26] ^= 1; }},
		{"tag's high half", [](zip::Sqe &s, Cqe &) { s.dw[27] = ~0u; }},
		{"more output than there is room", [](zip::Sqe &s, Cqe &) { s.dw[1] = 17; }},
		{"more input than there was", [](zip::Sqe &s, Cqe &) { s.dw[0] = ~0u; }},
	};
	for (const auto &[what, tamper] : lies) {
		restart(layout());
		device_.reset();
		device_.tamper = nullptr;
		ASSERT_EQ(send(1), QueueStatus::Ok);
		ASSERT_EQ(send(2), QueueStatus::Ok);
		device_.run(1);
		device_.tamper = tamper;
		device_.run(1);
		const PollResult result = poll();
		EXPECT_EQ(result.status, QueueStatus::Protocol) << what;
		EXPECT_EQ(result.count, 1u) << what << ": the good one before it";
		EXPECT_EQ(poll().status, QueueStatus::Protocol) << what;
		EXPECT_EQ(send(3), QueueStatus::Protocol) << what;
		EXPECT_TRUE(rings_->ready());
	}
}

/* A completion without a request, and a whole ring of garbage with the right phase. */
TEST_F(RingsTest, CompletionWithoutRequest)
{
	for (unsigned i = 0; i < kDepth; i++)
		dus_[kDepth * 128 + i * 16 + 14] = std::byte{1};
	const PollResult result = poll();
	EXPECT_EQ(result.status, QueueStatus::Protocol);
	EXPECT_EQ(result.count, 0u);
}

TEST_F(RingsTest, GarbageEverywhere)
{
	uint32_t seed = 7;
	for (int round = 0; round < 200; round++) {
		restart(layout());
		for (unsigned i = 0; i < 5; i++)
			ASSERT_EQ(send(i), QueueStatus::Ok);
		for (size_t i = 0; i < kDus - 8; i++)
			dus_[i] = std::byte((seed = seed * 1664525 + 1013904223) >> 24);
		for (int i = 0; i < 3; i++) {
			const PollResult result = poll();
			EXPECT_LE(result.count, 5u);
		}
	}
}

/* The driver's answers contradict each other: they are refused before anything is written. */
TEST_F(RingsTest, ImpossibleLayouts)
{
	const auto refused = [&](const std::function<void(detail::Rings::Layout &)> &change) {
		detail::Rings::Layout l = layout();
		change(l);
		EXPECT_THROW(detail::Rings(l, "device"), Error);
	};
	refused([](auto &l) { l.sqDepth = 0; });
	refused([](auto &l) { l.sqDepth = 1; });
	refused([](auto &l) { l.cqDepth = 1; });
	refused([](auto &l) { l.sqDepth = 65535; });
	refused([](auto &l) { l.cqDepth = 65535; });
	refused([](auto &l) { l.dusSize = 7; });
	refused([](auto &l) { l.dusSize = kDepth * (128 + 16) + 7; });
	refused([](auto &l) { l.doorbellWords = kMmio - 8; });
	refused([](auto &l) {
		l.doorbellWords.reset();
		l.mmioSize = 0x1000;
	});
}

/* A completion ring smaller than the submission ring bounds the requests in flight. */
TEST_F(RingsTest, SmallCompletionRing)
{
	detail::Rings::Layout l = layout();
	l.cqDepth = 4;
	restart(l);
	EXPECT_EQ(rings_->depth(), 3u);
	for (unsigned i = 0; i < 3; i++)
		EXPECT_EQ(send(i), QueueStatus::Ok);
	EXPECT_EQ(send(3), QueueStatus::Full);
}
