// SPDX-License-Identifier: Apache-2.0
/* Users who do what no program should: at the wrong time, to the wrong memory, in many threads. */
#include <atomic>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <thread>
#include <vector>

#include "../../../common/stuck_memory.h"
#include "../slow_call.h"
#include "fixture.h"

namespace wd::movertest
{

using test::Call;
using test::endsBefore;
using test::eventually;
using test::StuckMemory;

class HostileTest : public WorkTest
{
};

TEST_F(HostileTest, AProducerIndexOutOfRange)
{
	for (uint32_t ahead : {kDepth + 1, 0x80000000u, ~0u}) {
		rings_.run(nop());
		__atomic_store_n(&queue_.control().tail, rings_.tail + ahead, __ATOMIC_SEQ_CST);
		EXPECT_EQ(0, queue_.kick());
		EXPECT_TRUE(queue_.becomes(WD_MOVER_BAD_TAIL)) << ahead;
		EXPECT_EQ(POLLERR, queue_.poll(-1));
		EXPECT_EQ(0, queue_.put());
		EXPECT_EQ(0u, pinned());
		ASSERT_EQ(0, queue_.setRing(kIova, kIova + Rings::sqBytes(kDepth), kDepth));
		std::memset(memory_.data(), 0, memory_.size());
		rings_.tail = rings_.head = 0;
		ASSERT_EQ(0, queue_.start());
	}
	EXPECT_EQ(WD_MOVER_OK, rings_.run(nop()).status);
}

/* A consumer index without sense: there is no room, and the queue can be stopped. */
TEST_F(HostileTest, AConsumerIndexOutOfRange)
{
	for (uint32_t index : {1u, 0x80000000u, ~kDepth}) {
		__atomic_store_n(&queue_.control().cq_head, index, __ATOMIC_SEQ_CST);
		rings_.submit(nop());
		EXPECT_EQ(0, queue_.put());
		EXPECT_EQ(0u, queue_.control().cq_tail);
		ASSERT_EQ(0, queue_.start());
	}
	__atomic_store_n(&queue_.control().cq_head, 0, __ATOMIC_SEQ_CST);
	EXPECT_EQ(0, queue_.kick());
	for (unsigned i = 0; i < 3; i++)
		EXPECT_EQ(WD_MOVER_OK, rings_.next().status);
}

/* The words of the mover are for the user's eyes only. */
TEST_F(HostileTest, WordsOfTheMoverAreOverwritten)
{
	std::memset(&queue_.control().head, 0xff, 16);
	rings_.submit(nop(1));
	EXPECT_EQ(0, queue_.kick());
	EXPECT_EQ(1, rings_.next().user_data);
	EXPECT_EQ(1u, queue_.control().head);
	EXPECT_EQ(0, queue_.put());
	EXPECT_EQ(uint32_t{WD_MOVER_INIT}, queue_.state());
}

/* Descriptors change while they are fetched. The mover executes the copy that it has checked. */
TEST_F(HostileTest, DescriptorsChange)
{
	std::atomic<bool> end{false};
	std::vector<uint8_t> guard(kBytes - 200000, 0x5a);

	std::memcpy(data(200000), guard.data(), guard.size());
	std::thread writer([&] {
		auto *length = reinterpret_cast<uint32_t *>(memory_.data() + 4);

		/* The first is good; each other would reach beyond the memory, or wrap. */
		for (unsigned i = 0; !end; i++)
			__atomic_store_n(length, i % 2 ? 100000 : ~0u, __ATOMIC_RELAXED);
	});
	for (unsigned i = 0; i < 500; i++) {
		const wd_mover_desc desc = fill(kData, i, 100000);

		/* Slot 0 each time: the others are no-operations. */
		std::memcpy(&rings_.slot(rings_.tail), &desc, 4);
		rings_.slot(rings_.tail).dst = kData;
		rings_.tail++;
		rings_.ring();
		const auto status = rings_.next().status;

		EXPECT_TRUE(status == WD_MOVER_OK || status == WD_MOVER_BAD_LENGTH) << status;
		while (rings_.tail % kDepth)
			rings_.run(nop());
	}
	end = true;
	writer.join();
	EXPECT_EQ(0, std::memcmp(data(200000), guard.data(), guard.size()));
}

/* The rings are the data. The user harms itself only. */
TEST_F(HostileTest, RingsAreData)
{
	const uint64_t cq = kIova + Rings::sqBytes(kDepth);

	rings_.submit(fill(cq, ~uint64_t{0}, kPage));
	ASSERT_TRUE(eventually(
		[&] { return __atomic_load_n(&queue_.control().cq_tail, __ATOMIC_ACQUIRE) == 1; }));
	rings_.next();
	rings_.submit(move(cq, kIova, kPage));
	ASSERT_TRUE(eventually(
		[&] { return __atomic_load_n(&queue_.control().cq_tail, __ATOMIC_ACQUIRE) == 2; }));
	/* Both rings in one page. */
	EXPECT_EQ(0, queue_.put());
	ASSERT_EQ(0, queue_.setRing(kIova, kIova, kDepth));
	ASSERT_EQ(0, queue_.start());
	__atomic_store_n(&queue_.control().tail, kDepth, __ATOMIC_SEQ_CST);
	EXPECT_EQ(0, queue_.kick());
	ASSERT_TRUE(eventually([&] {
		return __atomic_load_n(&queue_.control().cq_tail, __ATOMIC_ACQUIRE) == kDepth;
	}));
	EXPECT_EQ(0, queue_.put());
}

/* Memory comes and goes under descriptors that use it. Only they fail. */
TEST_F(HostileTest, DataIsUnmappedDuringWork)
{
	std::atomic<bool> end{false};
	std::thread mapper([&] {
		for (unsigned i = 0; i < 200; i++) {
			const int rc = iommufd_.unmap(ioas_, kData, kBytes);

			EXPECT_TRUE(rc == 0 || rc == -EBUSY || rc == -ENOENT) << rc;
			iommufd_.mapFixed(ioas_, data_.address(), kBytes, kData);
		}
		end = true;
	});

	while (!end) {
		const auto completion = rings_.run(move(kData, kData + 200000, 200000));

		EXPECT_TRUE(completion.status == WD_MOVER_OK ||
			    completion.status == WD_MOVER_FAULT);
	}
	mapper.join();
	EXPECT_EQ(uint32_t{WD_MOVER_STARTED}, queue_.state());
}

/* All verbs at once, in several threads, with the rings coming and going. */
TEST_F(HostileTest, ManyThreads)
{
	constexpr unsigned kRounds = 150;
	std::vector<std::thread> threads;
	const uint32_t other = static_cast<uint32_t>(iommufd_.allocIoas());

	iommufd_.mapFixed(other, memory_.address(), memory_.size(), kIova);
	ASSERT_EQ(0, setParameter("threads", "2"));
	queue_.control();
	threads.emplace_back([&] {
		for (unsigned i = 0; i < kRounds; i++) {
			queue_.start();
			queue_.put();
			queue_.setRing(kIova, kIova + Rings::sqBytes(kDepth), kDepth);
		}
	});
	threads.emplace_back([&] {
		for (unsigned i = 0; i < kRounds; i++) {
			queue_.attach(i % 2 ? ioas_ : other);
			if (i % 8 == 7)
				queue_.detach();
		}
	});
	threads.emplace_back([&] {
		for (unsigned i = 0; i < kRounds; i++) {
			iommufd_.unmap(ioas_, kIova, memory_.size());
			iommufd_.mapFixed(ioas_, memory_.address(), memory_.size(), kIova);
		}
	});
	threads.emplace_back([&] {
		for (uint32_t i = 0; i < 10 * kRounds; i++) {
			__atomic_store_n(&queue_.control().tail, i, __ATOMIC_RELAXED);
			__atomic_store_n(&queue_.control().cq_head, i, __ATOMIC_RELAXED);
			queue_.kick();
			queue_.poll();
		}
	});
	for (auto &thread : threads)
		thread.join();
	queue_.close();
	EXPECT_EQ(0, iommufd_.destroy(other));
	EXPECT_EQ(0u, pinned());
}

TEST_F(HostileTest, TheIommufdIsClosedFirst)
{
	rings_.run(nop());
	iommufd_.close();
	EXPECT_EQ(WD_MOVER_OK, rings_.run(fill(kData, 1, 100)).status) << "the queue keeps it";
	queue_.close();
	EXPECT_EQ(0u, pinned());
}

/* Two contexts, two users: what one does is nothing to the other. */
TEST_F(HostileTest, TwoContexts)
{
	const auto user = Caller::create(1000);
	Buffer memory(Rings::bytes(kDepth)), data(kBytes);
	auto second = std::make_unique<Queue>(user);
	Iommufd iommufd(user);
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	Rings rings(*second, memory.data(), kDepth);

	user->setMemlockLimit(uint64_t{1} << 24);
	ASSERT_EQ(0, second->error());
	ASSERT_EQ(0, iommufd.mapFixed(ioas, memory.address(), memory.size(), kIova));
	ASSERT_EQ(0, iommufd.mapFixed(ioas, data.address(), kBytes, kData));
	ASSERT_EQ(-ENOENT, [&] {
		EXPECT_EQ(0, second->bind(iommufd.fd()));
		return second->attach(ioas + 1000);
	}());
	ASSERT_EQ(0, second->attach(ioas));
	ASSERT_EQ(0, second->setRing(kIova, kIova + Rings::sqBytes(kDepth), kDepth));
	ASSERT_EQ(0, second->start());
	EXPECT_EQ(2u, user->pinnedPages()) << "who has mapped the rings pays";
	for (unsigned i = 0; i < 50; i++) {
		rings_.submit(fill(kData, 0x1111111111111111, kBytes));
		rings.submit(fill(kData, 0x2222222222222222, kBytes));
		EXPECT_EQ(WD_MOVER_OK, rings_.next().status);
		EXPECT_EQ(WD_MOVER_OK, rings.next().status);
		ASSERT_EQ(0x11, *this->data(i * 100));
		ASSERT_EQ(0x22, *(data.data() + i * 100));
	}
	ASSERT_EQ(0, iommufd.unmap(ioas, 0, kMax));
	EXPECT_EQ(uint32_t{WD_MOVER_RING_LOST}, second->state());
	EXPECT_EQ(WD_MOVER_OK, rings_.run(nop()).status);
	second.reset();
	EXPECT_EQ(0u, user->pinnedPages());
}

/* The limit on locked memory holds for pins of the mover, too. */
TEST_F(HostileTest, TheLimitOnLockedMemory)
{
	const auto user = Caller::create(1000);
	Buffer memory(Rings::bytes(WD_MOVER_MAX_DEPTH));
	Iommufd iommufd(user);
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	Queue queue(user);

	user->setMemlockLimit(kPage);
	ASSERT_EQ(0, iommufd.mapFixed(ioas, memory.address(), memory.size(), kIova));
	ASSERT_EQ(0, queue.bind(iommufd.fd()));
	ASSERT_EQ(0, queue.attach(ioas));
	ASSERT_EQ(0, queue.setRing(kIova, kIova + kPage, kDepth));
	EXPECT_EQ(-ENOMEM, queue.start());
	EXPECT_EQ(0u, user->pinnedPages());
	user->setMemlockLimit(2 * kPage);
	EXPECT_EQ(0, queue.start());
}

class StuckTest : public WorkTest
{
protected:
	static constexpr uint64_t kStuck = 8 * kIova;

	void SetUp() override
	{
		WorkTest::SetUp();
		ASSERT_EQ(0, iommufd_.mapFixed(ioas_, stuck_.address(), 2 * kPage, kStuck));
	}
	/** A descriptor waits for memory that does not come. */
	void getStuck()
	{
		rings_.submit(crc32c(kStuck, 0, 8));
		stuck_.waitTouched();
	}
	StuckMemory stuck_{2};
};

/* A worker that waits for ever holds up nobody but the calls that wait for it. */
TEST_F(StuckTest, AWorkerHoldsNothing)
{
	Queue other;

	getStuck();
	EXPECT_TRUE(endsBefore(stuck_, [&] {
		EXPECT_EQ(0, queue_.kick());
		EXPECT_EQ(0, queue_.poll());
		EXPECT_EQ(-EINVAL, queue_.start());
		EXPECT_EQ(0, other.bind(iommufd_.fd()));
		EXPECT_EQ(0, iommufd_.unmap(ioas_, kIova, memory_.size()));
	}));
	EXPECT_EQ(uint32_t{WD_MOVER_RING_LOST}, queue_.state());
	EXPECT_EQ(0u, queue_.control().cq_tail);
	stuck_.release();
	EXPECT_EQ(0, queue_.put());
}

TEST_F(StuckTest, PutWaits)
{
	getStuck();
	Call put([&] { return queue_.put(); });

	put.untilAsleep();
	EXPECT_EQ(uint32_t{WD_MOVER_STARTED}, queue_.state());
	stuck_.release();
	EXPECT_EQ(0, put.result());
	EXPECT_EQ(WD_MOVER_OK, rings_.next().status);
}

/* The queue goes to another address space meanwhile, and the descriptor ends where it was. */
TEST_F(StuckTest, Replace)
{
	const auto other = static_cast<uint32_t>(iommufd_.allocIoas());

	ASSERT_EQ(0, iommufd_.mapFixed(other, memory_.address(), memory_.size(), kIova));
	getStuck();
	EXPECT_TRUE(endsBefore(stuck_, [&] { EXPECT_EQ(0, queue_.attach(other)); }));
	stuck_.release();
	EXPECT_EQ(WD_MOVER_OK, rings_.next().status);
	EXPECT_EQ(0, iommufd_.destroy(ioas_));
}

/*
 * The queue of another process, in an address space of this one. While a worker waits, it keeps the
 * mmap lock of this process, as any pin does; so the other one has to do the rest.
 */
class StuckOwnerTest : public StuckTest
{
protected:
	void SetUp() override
	{
		StuckTest::SetUp();
		ASSERT_EQ(0, setParameter("queues_per_user", "1"));
		theirs_ = std::make_unique<Queue>(owner_);
		ASSERT_EQ(0, theirs_->error());
		ASSERT_EQ(0, iommufd_.mapFixed(other_, rings2_.address(), rings2_.size(), kIova));
		ASSERT_EQ(0, iommufd_.mapFixed(other_, stuck_.address(), 2 * kPage, kStuck));
		const int shared = Caller::self()->dupTo(iommufd_.fd(), *owner_);

		ASSERT_EQ(0, theirs_->bind(shared));
		ASSERT_EQ(0, theirs_->attach(other_));
		EXPECT_EQ(0, owner_->close(shared));
		ASSERT_EQ(0, theirs_->setRing(kIova, kIova + kPage, kDepth));
		ASSERT_EQ(0, theirs_->start());
		Rings(*theirs_, rings2_.data(), kDepth).submit(crc32c(kStuck, 0, 8));
		stuck_.waitTouched();
	}
	/** Until the worker has ended the queue counts, and the address space is in use. */
	void expectRest()
	{
		const auto again = Caller::create(kOwner);

		EXPECT_EQ(-EDQUOT, Queue(again).error());
		EXPECT_EQ(-EBUSY, iommufd_.destroy(other_));
		stuck_.release();
		EXPECT_TRUE(eventually([&] { return Queue(again).error() == 0; }));
		EXPECT_EQ(0, iommufd_.unmap(other_, 0, kMax));
		EXPECT_TRUE(eventually([&] { return iommufd_.destroy(other_) == 0; }));
		EXPECT_EQ(2u, pinned()) << "the rings of the first queue";
	}

	static constexpr unsigned kOwner = 1000;
	std::shared_ptr<Caller> owner_ = Caller::create(kOwner);
	const uint32_t other_ = static_cast<uint32_t>(iommufd_.allocIoas());
	Buffer rings2_{Rings::bytes(kDepth)};
	std::unique_ptr<Queue> theirs_;
};

/* A close ends; the worker takes the rest away when it can. */
TEST_F(StuckOwnerTest, Close)
{
	EXPECT_TRUE(endsBefore(stuck_, [&] { theirs_->close(); }));
	expectRest();
}

TEST_F(StuckOwnerTest, TheProcessIsKilled)
{
	owner_->kill();
	theirs_->abandon();
	EXPECT_TRUE(endsBefore(stuck_, [&] { owner_.reset(); }));
	expectRest();
}

/* A killed caller does not wait for a worker, nor for another call that does. */
TEST_F(StuckOwnerTest, CallsAreKilled)
{
	owner_->kill();
	EXPECT_TRUE(endsBefore(stuck_, [&] {
		EXPECT_EQ(-EINTR, theirs_->put());
		EXPECT_EQ(-EINTR, theirs_->detach());
	}));
	EXPECT_EQ(uint32_t{WD_MOVER_STARTED}, theirs_->state());
	theirs_->close();
	expectRest();
}

} // namespace wd::movertest
