// SPDX-License-Identifier: Apache-2.0
/* The IOMMU unit stops answering while its accelerator has users of every kind. */
#include "buffers.h"

#include <cerrno>
#include <cstdlib>
#include <poll.h>
#include <string>
#include <thread>
#include <vector>

#include "../../../common/stuck_memory.h"
#include "../hisi_zip/crypto_side.h"

namespace wd::hisitest
{

namespace
{

constexpr const char *kDriver = "/sys/bus/pci/drivers/wd_iommu/";
constexpr const char *kUnit = "0000:75:02.0";

class HisiDeadUnit : public HisiTest
{
protected:
	HisiDeadUnit() : HisiTest(1, false) {}
	void SetUp() override
	{
		HisiTest::SetUp();
		leakedBefore_ = leaked();
	}
	/* The kernel does not give memory back that a dead unit may use. */
	void TearDown() override
	{
		const long kept = leaked() - leakedBefore_;
		const hostkernel::LeakReport leaks = rig_.shutdown();

		EXPECT_EQ(leaks.openFiles, 0u);
		EXPECT_EQ(leaks.devices, 0u);
		EXPECT_EQ(leaks.dmaAllocations, 0u);
		/*
		 * All mapped pages, because the domain is lost. The other pages belong to the unit.
		 */
		EXPECT_GE(leaks.pinnedPages, kSize / kPage);
		EXPECT_EQ(leaks.kernelBytes, (kept - leaks.pinnedPages) * kPage);
	}
	static long leaked()
	{
		const std::string text = Rig::unitAttribute("leaked_pages");

		EXPECT_FALSE(text.empty());
		return std::strtol(text.c_str(), nullptr, 10);
	}
	/** A user unmaps memory and the unit does not flush: nobody else ever gets that memory. */
	void die(Space &space)
	{
		rig_.stallUnit(true);
		EXPECT_EQ(space.unmap(kDest, kSize), 0);
		EXPECT_EQ(Rig::unitAttribute("state"), "dead");
	}
	/** Let the unit answer again, and bind its driver anew. */
	void revive()
	{
		rig_.stallUnit(false);
		ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "unbind", kUnit), 0);
		ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "bind", kUnit), 0);
		EXPECT_EQ(Rig::unitAttribute("state"), "live");
	}
	int prepare(Space &space, QueueFile &queue)
	{
		const int ret = buffers_.map(space);

		return ret ? ret : makeReady(queue, space);
	}

	Buffers buffers_;
	long leakedBefore_ = 0;
};

/** Wait until poll() tells the owner of @queue of the end. */
int told(QueueFile &queue)
{
	int events;

	do
		events = queue.poll(-1);
	while (events >= 0 && !(events & (POLLERR | POLLHUP)));
	return events;
}

} // namespace

TEST_F(HisiDeadUnit, UsersAreToldAndNothingHangs)
{
	Space space(caller_);
	{
		QueueFile mapped(caller_), shared(caller_), idle(caller_);

		ASSERT_EQ(prepare(space, mapped), 0);
		ASSERT_EQ(idle.open(), 0);
		ASSERT_EQ(makeReady(shared), 0) << "in its process's address space";
		for (QueueFile *queue : {&mapped, &shared}) {
			const bool own = queue == &shared;
			const auto at = buffers_.source();

			queue->send(own ? at : kSource, kSize, own ? at + kSize : kDest, kSize);
			ASSERT_EQ(queue->wait(), 0);
			queue->poll(0);
		}
		std::thread first([&] { EXPECT_EQ(told(mapped) & POLLHUP, 0); });
		std::thread second([&] { EXPECT_EQ(told(shared) & POLLHUP, 0); });

		die(space);
		first.join();
		second.join();
		/*
		 * The device will not come back: the kernel tells its users, and no caller waits
		 * for it.
		 */
		for (QueueFile *queue : {&mapped, &shared, &idle})
			EXPECT_EQ(queue->start(), -EIO);
		EXPECT_EQ(mapped.poll(0) & (POLLERR | POLLHUP), POLLERR);
		EXPECT_EQ(QueueFile(caller_).open(), -EIO);
		EXPECT_EQ(shared.put(), 0);
		EXPECT_EQ(mapped.detach(), 0);
	}
	revive();
	QueueFile queue(caller_);

	EXPECT_EQ(Rig::attribute("selftest"), "passed");
	ASSERT_EQ(makeReady(queue), 0);
	queue.send(buffers_.source(), kSize, buffers_.source() + kSize, kSize);
	EXPECT_EQ(queue.wait(), 0);
}

/* Attack: a request waits for a page that never comes, and the unit would take no answer either. */
TEST_F(HisiDeadUnit, ARequestThatWaitsForAPageHoldsUpNobody)
{
	auto owner = hostkernel::Caller::create(1000);
	test::StuckMemory stuck(4);
	Space space(caller_);
	{
		QueueFile mapped(caller_), shared(owner);

		ASSERT_EQ(prepare(space, mapped), 0);
		ASSERT_EQ(makeReady(shared), 0);
		shared.send(stuck.address(), kSize, stuck.address(), kSize);
		stuck.waitTouched();
		EXPECT_TRUE(test::endsBefore(stuck, [&] {
			die(space);
			told(mapped);
			told(shared);
			EXPECT_EQ(shared.start(), -EIO);
		}));
	}
	revive();
}

/* A file that stays open until the unit has come back is a zombie, as after any removal. */
TEST_F(HisiDeadUnit, FilesOfBeforeStayDead)
{
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(prepare(space, queue), 0);
	die(space);
	EXPECT_EQ(told(queue) & (POLLERR | POLLHUP), POLLERR);
	revive();
	EXPECT_EQ(queue.poll(0) & POLLHUP, POLLHUP);
	EXPECT_EQ(queue.start(), -ENXIO);
}

/* The kernel's requests in flight are answered. Later ones go to another device or to software. */
TEST_F(HisiDeadUnit, TheKernelsRequestsGoOn)
{
	Space space(caller_);
	std::vector<uint8_t> in(kPage, 'w'), out(2 * kPage);
	Deflate deflate;
	Job job(deflate);

	ASSERT_EQ(space.map(buffers_.dest(), kSize, kDest), 0);
	{
		QueueFile queue(caller_);

		ASSERT_EQ(makeReady(queue, space), 0);
		ASSERT_EQ(job.run(Way::Compress, in.data(), in.size(), out.data(), out.size()), 0);
		die(space);
		told(queue);
	}
	EXPECT_EQ(job.run(Way::Compress, in.data(), in.size(), out.data(), out.size()), 0);
	revive();
	EXPECT_EQ(job.run(Way::Compress, in.data(), in.size(), out.data(), out.size()), 0);
}

} // namespace wd::hisitest
