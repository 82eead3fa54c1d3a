// SPDX-License-Identifier: Apache-2.0
/* The IOMMU unit stops answering while its accelerator has users of every kind. */
#include "buffers.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <thread>
#include <vector>

#include <linux/iommufd.h>

#include "../../../common/stuck_memory.h"
#include "crypto_side.h"
#include "machine/iommu_unit.h"

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
	/* Memory that a dead unit may use is not given back. */
	void TearDown() override
	{
		const long kept = leaked() - leakedBefore_;
		const hostkernel::LeakReport leaks = rig_.shutdown();

		EXPECT_EQ(leaks.openFiles, 0u);
		EXPECT_EQ(leaks.devices, 0u);
		EXPECT_EQ(leaks.dmaAllocations, 0u);
		/* All mapped pages, since the domain is lost; the rest is the unit's. */
		EXPECT_GE(leaks.pinnedPages, kSize / kPage);
		EXPECT_EQ(leaks.kernelBytes, (kept - leaks.pinnedPages) * kPage);
	}
	static long leaked()
	{
		std::string text;

		EXPECT_EQ(hostkernel::sysfsRead("/sys/class/iommu/wd-iommu0/leaked_pages", text),
			  0);
		return std::strtol(text.c_str(), nullptr, 10);
	}
	static std::string state()
	{
		std::string text;

		hostkernel::sysfsRead("/sys/class/iommu/wd-iommu0/state", text);
		return text;
	}
	void stall(bool on)
	{
		machine::IommuMisbehaviour misbehaviour;

		misbehaviour.stallInvalidations = on;
		rig_.machine().iommu().setMisbehaviour(misbehaviour);
	}
	/** Some user unmaps memory, and the unit does not flush: the memory is never given to
	 * others. */
	void die(Space &space)
	{
		iommu_ioas_unmap unmap = {};

		unmap.size = sizeof(unmap);
		unmap.ioas_id = space.ioas;
		unmap.iova = kDest;
		unmap.length = kSize;
		stall(true);
		EXPECT_EQ(caller_->ioctl(space.fd, IOMMU_IOAS_UNMAP,
					 reinterpret_cast<uintptr_t>(&unmap)),
			  0);
		EXPECT_EQ(state(), "dead\n");
	}
	/** The unit answers again, and its driver is bound anew. */
	void revive()
	{
		stall(false);
		ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "unbind", kUnit), 0);
		ASSERT_GE(hostkernel::sysfsWrite(std::string(kDriver) + "bind", kUnit), 0);
		EXPECT_EQ(state(), "live\n");
	}
	int prepare(Space &space, QueueFile &queue)
	{
		const int ret = buffers_.map(space);

		return ret ? ret : makeReady(queue, space);
	}

	Buffers buffers_;
	long leakedBefore_ = 0;
};

/** Wait until the owner of @queue is told. */
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
		ASSERT_EQ(shared.open(), 0);
		ASSERT_EQ(shared.map(), 0);
		ASSERT_EQ(shared.start(), 0) << "in its process's address space";
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
		/* The device will not come back, and its users are told: no caller waits for it. */
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
	ASSERT_EQ(queue.open(), 0);
	ASSERT_EQ(queue.map(), 0);
	ASSERT_EQ(queue.start(), 0);
	queue.send(buffers_.source(), kSize, buffers_.source() + kSize, kSize);
	EXPECT_EQ(queue.wait(), 0);
}

/* Attack: a request waits for a page that never comes, and for a unit that takes no answer. */
TEST_F(HisiDeadUnit, ARequestThatWaitsForAPageHoldsUpNobody)
{
	auto owner = hostkernel::Caller::create(1000);
	test::StuckMemory stuck(4);
	Space space(caller_);
	{
		QueueFile mapped(caller_), shared(owner);

		ASSERT_EQ(prepare(space, mapped), 0);
		ASSERT_EQ(shared.open(), 0);
		ASSERT_EQ(shared.map(), 0);
		ASSERT_EQ(shared.start(), 0);
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

/* A user that keeps its file until the unit has come back has a zombie, as after any removal. */
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

/* Requests of the kernel that are on their way are answered, the next ones go elsewhere. */
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
