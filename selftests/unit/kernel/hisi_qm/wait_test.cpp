// SPDX-License-Identifier: Apache-2.0
/*
 * Callers that wait for other callers. A killed caller stops waiting, and a start waits for one
 * stop of another queue at most.
 *
 * Mutants that this file kills, each tried once: mutex_lock() in the place of each
 * mutex_lock_killable() of queue.c, attach.c and pin.c but the one of START and the one of PUT,
 * which qm_queue_alive() covers; qm_mailbox_stop_qp() without stop_lock.
 */
#include "../hisi_zip/crypto_side.h"
#include "fixture.h"

#include <atomic>
#include <cerrno>
#include <memory>
#include <poll.h>
#include <thread>
#include <vector>

#include <linux/vfio_cdev.h>
#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "../../../common/stuck_memory.h"
#include "../slow_call.h"
#include "faulty_zip.h"

namespace wd::hisitest
{

namespace
{

using test::Call;
using test::KilledCall;
using test::StuckMemory;

/** A thread stops a queue. The device does not finish the command before this object ends. */
class SlowStop
{
public:
	SlowStop(FaultyZip &zip, QueueFile &queue) : zip_(zip)
	{
		zip.onBusy = [this] {
			held_ = true;
			while (!go_)
				std::this_thread::yield();
		};
		zip.breakMailbox(kMailboxStop, FaultyZip::Fault::Busy,
				 static_cast<int>(queue.number));
		thread_ = std::thread([&queue] { EXPECT_EQ(queue.put(), 0); });
		while (!held_)
			std::this_thread::yield();
	}
	~SlowStop()
	{
		zip_.repair();
		go_ = true;
		thread_.join();
		zip_.onBusy = nullptr;
	}
	SlowStop(const SlowStop &) = delete;
	SlowStop &operator=(const SlowStop &) = delete;

private:
	FaultyZip &zip_;
	std::atomic<bool> held_{false}, go_{false};
	std::thread thread_;
};

class HisiWait : public HisiTest
{
protected:
	void SetUp() override
	{
		HisiTest::SetUp();
		space_ = std::make_unique<Space>(caller_);
		queue_ = std::make_unique<QueueFile>(caller_);
		ASSERT_EQ(makeReady(*queue_, *space_), 0);
	}
	void TearDown() override
	{
		queue_.reset();
		space_.reset();
		HisiTest::TearDown();
	}
	/** Another process with the file. */
	struct Victim {
		explicit Victim(hostkernel::Caller &from, int fd)
			: caller(hostkernel::Caller::create(1000)),
			  file(caller)
		{
			file.fd = from.dupTo(fd, *caller);
		}
		std::shared_ptr<hostkernel::Caller> caller;
		QueueFile file;
	};
	/**
	 * Another thread stops the queue; @request waits for it from its beginning, and is killed.
	 */
	void killAtTheHead(unsigned long request)
	{
		Victim victim(*caller_, queue_->fd);
		std::unique_ptr<KilledCall> call;
		{
			SlowStop stop(rig_.zip(), *queue_);

			call = std::make_unique<KilledCall>(
				victim.caller, [&] { return victim.file.ioctl(request); });
			EXPECT_TRUE(call->ends()) << request;
		}
		EXPECT_EQ(call->result(), -EINTR) << request;
	}
	/** The call has begun and reads its argument when another thread stops the queue. */
	template <class Argument>
	void killLater(unsigned long request, const Argument &argument)
	{
		StuckMemory stuck(1);
		Victim victim(*caller_, queue_->fd);
		Call call([&] { return victim.file.ioctl(request, stuck.as<void>()); });

		stuck.waitTouched();
		{
			SlowStop stop(rig_.zip(), *queue_);

			stuck.bring(0, &argument, sizeof(argument));
			call.untilAsleep();
			victim.caller->kill();
			EXPECT_TRUE(call.ends()) << request;
		}
		EXPECT_EQ(call.result(), -EINTR) << request;
	}
	std::unique_ptr<Space> space_;
	std::unique_ptr<QueueFile> queue_;
};

} // namespace

TEST_F(HisiWait, WhoWaitsForAQueueCanBeKilled)
{
	for (unsigned long request : {static_cast<unsigned long>(UACCE_CMD_START_Q),
				      static_cast<unsigned long>(UACCE_CMD_PUT_Q)}) {
		killAtTheHead(request);
		ASSERT_EQ(queue_->start(), 0);
	}
}

TEST_F(HisiWait, WhoWaitsForAQueueWithAnArgumentCanBeKilled)
{
	hisi_qp_ctx context = {};
	vfio_device_bind_iommufd bind = {};
	vfio_device_attach_iommufd_pt attach = {};
	vfio_device_detach_iommufd_pt detach = {};
	hisi_qm_pin pin = {};

	bind.argsz = sizeof(bind);
	attach.argsz = sizeof(attach);
	detach.argsz = sizeof(detach);
	pin.length = kPage;
	killLater(UACCE_CMD_QM_SET_QP_CTX, context);
	ASSERT_EQ(queue_->start(), 0);
	killLater(VFIO_DEVICE_BIND_IOMMUFD, bind);
	ASSERT_EQ(queue_->start(), 0);
	killLater(VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach);
	ASSERT_EQ(queue_->start(), 0);
	killLater(VFIO_DEVICE_DETACH_IOMMUFD_PT, detach);
	ASSERT_EQ(queue_->start(), 0);
	killLater(HISI_QM_CMD_PIN, pin);
	ASSERT_EQ(queue_->start(), 0);
	killLater(HISI_QM_CMD_UNPIN, pin);
}

namespace
{

class HisiConvoy : public HisiTest
{
protected:
	static constexpr unsigned kQueues = 8;

	/**
	 * Make a failed queue: the device could not write a completion. The driver stops such a
	 * queue without looking at it before.
	 */
	void makeFailed(QueueFile &queue)
	{
		ASSERT_EQ(queue.start(), 0);
		HiddenRing ring(Rig::kAddress, rig_.zip().lastContext());

		ASSERT_TRUE(ring.hidden());
		queue.send(kPage, kPage, kPage, kPage);
		while (!(queue.poll(1000) & POLLERR))
			;
	}
};

} // namespace

/*
 * Attack: threads of one user stop many queues at once, and another user starts a queue. While the
 * device works on a stop, the other stops must wait for their turn before they come to the
 * mailbox, where the start waits: then one of them at most can get the mailbox before the start.
 */
TEST_F(HisiConvoy, AStartWaitsForOneStopOfOthersAtMost)
{
	Space space(caller_);
	std::vector<std::unique_ptr<QueueFile>> queues;
	std::vector<std::unique_ptr<Call>> calls;
	QueueFile other(caller_);
	std::atomic<unsigned> stopsAtMailbox{0}, startsAtMailbox{0};

	ASSERT_EQ(makeReady(other, space), 0);
	ASSERT_EQ(other.put(), 0);
	for (unsigned n = 0; n < kQueues; n++) {
		queues.push_back(std::make_unique<QueueFile>(caller_));
		ASSERT_EQ(makeReady(*queues[n], space), 0);
		ASSERT_EQ(queues[n]->put(), 0);
		makeFailed(*queues[n]);
	}
	{
		SlowStop first(rig_.zip(), *queues[0]);

		for (unsigned n = 1; n < kQueues; n++)
			calls.push_back(
				std::make_unique<Call>([&queue = *queues[n], &stopsAtMailbox] {
					hostkernel::MutexHook hook("&qm->mailbox_lock",
								   [&] { stopsAtMailbox++; });

					return queue.put();
				}));
		for (auto &call : calls)
			call->untilAsleep();
		calls.push_back(std::make_unique<Call>([&other, &startsAtMailbox] {
			hostkernel::MutexHook hook("&qm->mailbox_lock", [&] { startsAtMailbox++; });

			return other.start();
		}));
		/* It does not come there if it has to wait for its turn behind all stops. */
		while (!startsAtMailbox)
			std::this_thread::yield();
		EXPECT_EQ(stopsAtMailbox, 0u) << "a start waits for all stops that were there";
	}
	for (auto &call : calls)
		EXPECT_EQ(call->result(), 0);
	EXPECT_EQ(stopsAtMailbox, kQueues - 1);
}

} // namespace wd::hisitest
