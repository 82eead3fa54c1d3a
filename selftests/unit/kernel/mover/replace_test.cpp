// SPDX-License-Identifier: Apache-2.0
/* A started queue goes to another address space (IOMMUFD-ACCESS-5), and the rings go away. */
#include <atomic>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

#include "../../../common/stuck_memory.h"
#include "../slow_call.h"
#include "fixture.h"

namespace wd::movertest
{

using test::Call;
using test::endsBefore;
using test::eventually;
using test::StuckMemory;

class ReplaceTest : public WorkTest
{
protected:
	void SetUp() override
	{
		WorkTest::SetUp();
		other_ = static_cast<uint32_t>(iommufd_.allocIoas());
	}
	/** The other address space has the rings at the same place, and other data. */
	void mapOther()
	{
		ASSERT_EQ(0, iommufd_.mapFixed(other_, memory_.address(), memory_.size(), kIova));
		ASSERT_EQ(0, iommufd_.mapFixed(other_, otherData_.address(), kBytes, kData));
	}

	uint32_t other_ = 0;
	Buffer otherData_{kBytes};
};

TEST_F(ReplaceTest, TheQueueGoesOnInTheOtherAddressSpace)
{
	mapOther();
	rings_.run(fill(kData, 0x1111111111111111, 8));
	ASSERT_EQ(0, queue_.attach(other_));
	EXPECT_EQ(uint32_t{WD_MOVER_STARTED}, queue_.state());
	EXPECT_EQ(WD_MOVER_OK, rings_.run(fill(kData, 0x2222222222222222, 8)).status);
	EXPECT_EQ(0x11, *data());
	EXPECT_EQ(0x22, *otherData_.data());
	EXPECT_EQ(2u, pinned());
	EXPECT_EQ(0, iommufd_.destroy(ioas_));
	EXPECT_EQ(-EBUSY, iommufd_.destroy(other_));
}

TEST_F(ReplaceTest, TheSameAddressSpaceChangesNothing)
{
	EXPECT_EQ(0, queue_.attach(ioas_));
	EXPECT_EQ(WD_MOVER_OK, rings_.run(nop()).status);
}

TEST_F(ReplaceTest, AReplaceThatFailsChangesNothing)
{
	ASSERT_EQ(0, iommufd_.mapFixed(other_, memory_.address(), 100, kIova));
	EXPECT_EQ(-EADDRINUSE, queue_.attach(other_));
	EXPECT_EQ(-ENOENT, queue_.attach(other_ + 1000));
	EXPECT_EQ(WD_MOVER_OK, rings_.run(fill(kData, 1, 8)).status);
	EXPECT_EQ(uint32_t{WD_MOVER_STARTED}, queue_.state());
	EXPECT_EQ(0, iommufd_.destroy(other_));
}

/* Rings that are not there stop the queue. It can be used again. */
TEST_F(ReplaceTest, AnAddressSpaceWithoutTheRings)
{
	const int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	eventfd_t count = 0;

	ASSERT_EQ(0, queue_.setEvent(event));
	EXPECT_EQ(0, queue_.attach(other_));
	EXPECT_EQ(uint32_t{WD_MOVER_RING_LOST}, queue_.state());
	EXPECT_EQ(POLLERR, queue_.poll(-1));
	EXPECT_EQ(0, eventfd_read(event, &count));
	EXPECT_EQ(1u, count);
	EXPECT_EQ(0u, pinned());
	ASSERT_TRUE(eventually([&] { return pinned() == 0; }));
	EXPECT_EQ(-EINVAL, queue_.start()) << "it needs rings";
	EXPECT_EQ(POLLERR, queue_.poll()) << "a start that is refused changes nothing";
	mapOther();
	ASSERT_TRUE(eventually([&] {
		return queue_.setRing(kIova, kIova + Rings::sqBytes(kDepth), kDepth) != -EBUSY;
	}));
	EXPECT_EQ(uint32_t{WD_MOVER_INIT}, queue_.state());
	EXPECT_EQ(0, queue_.poll());
	ASSERT_EQ(0, queue_.start());
	rings_.tail = rings_.head = 0;
	std::memset(memory_.data(), 0, memory_.size());
	EXPECT_EQ(WD_MOVER_OK, rings_.run(fill(kData, 0x33, 8)).status);
	EXPECT_EQ(0x33, *otherData_.data());
	::close(event);
}

/* While descriptors are in work all the time. */
TEST_F(ReplaceTest, ManyTimesDuringWork)
{
	std::atomic<bool> end{false};

	mapOther();
	std::thread replacer([&] {
		for (unsigned i = 0; i < 100; i++)
			EXPECT_EQ(0, queue_.attach(i % 2 ? ioas_ : other_));
		end = true;
	});
	while (!end) {
		const auto completion = rings_.run(move(kData, kData + 100000, 100000));

		/* Between the two it is attached to none. */
		EXPECT_TRUE(completion.status == WD_MOVER_OK ||
			    (completion.status == WD_MOVER_FAULT && completion.error == ENOENT));
	}
	replacer.join();
	EXPECT_EQ(uint32_t{WD_MOVER_STARTED}, queue_.state());
	EXPECT_EQ(2u, pinned());
}

/* The rings of the other address space do not come: only this caller waits. */
TEST_F(ReplaceTest, StuckRings)
{
	StuckMemory stuck(2);

	ASSERT_EQ(0, iommufd_.mapFixed(other_, stuck.address(), 2 * kPage, kIova));
	Call attach([&] { return queue_.attach(other_); });

	stuck.waitTouched();
	EXPECT_TRUE(endsBefore(stuck, [&] {
		EXPECT_EQ(0, queue_.kick());
		EXPECT_EQ(0, queue_.setEvent(-1));
		EXPECT_EQ(0, queue_.poll());
		EXPECT_EQ(0, iommufd_.destroy(ioas_));
	}));
	stuck.release();
	EXPECT_EQ(0, attach.result());
	EXPECT_EQ(uint32_t{WD_MOVER_STARTED}, queue_.state());
	EXPECT_EQ(0, queue_.put());
}

/* IOMMUFD-ACCESS-2: each page of the rings. The other ring goes with the next start or close. */
TEST_F(ReplaceTest, ARingIsUnmapped)
{
	for (uint64_t at : {kIova, kIova + kPage}) {
		uint32_t ioas = static_cast<uint32_t>(iommufd_.allocIoas());
		Queue queue;

		ASSERT_EQ(0, iommufd_.mapFixed(ioas, memory_.address(), kPage, kIova));
		ASSERT_EQ(0, iommufd_.mapFixed(ioas, memory_.address(), kPage, kIova + kPage));
		ASSERT_EQ(0, queue.bind(iommufd_.fd()));
		ASSERT_EQ(0, queue.attach(ioas));
		ASSERT_EQ(0, queue.setRing(kIova, kIova + kPage, 4));
		ASSERT_EQ(0, queue.start());
		EXPECT_EQ(0, iommufd_.unmap(ioas, at, kPage));
		EXPECT_EQ(uint32_t{WD_MOVER_RING_LOST}, queue.state());
		EXPECT_EQ(POLLERR, queue.poll());
		EXPECT_EQ(0, queue.put());
		EXPECT_EQ(uint32_t{WD_MOVER_INIT}, queue.state());
		EXPECT_EQ(0, queue.poll());
		EXPECT_EQ(-EINVAL, queue.start()) << "it needs rings";
	}
	EXPECT_EQ(WD_MOVER_OK, rings_.run(nop()).status) << "a queue without a part in it";
}

} // namespace wd::movertest
