// SPDX-License-Identifier: Apache-2.0
/* Queue, ZipSession and the texts of their errors, on the fake host. */
#include <cstring>
#include <gtest/gtest.h>

#include "fake_host.h"
#include "wd/zip_queue.h"
#include "wd/zip_session.h"

using namespace wd;
using namespace wd::test;

namespace
{

class QueueTest : public ::testing::Test
{
protected:
	Accelerator accelerator() { return Topology::discover(host_).get("hisi_zip-0"); }

	std::string failure(const std::function<void()> &function, int error)
	{
		try {
			function();
		} catch (const Error &e) {
			EXPECT_EQ(e.error(), error) << e.line();
			return e.line();
		}
		ADD_FAILURE() << "no exception";
		return {};
	}

	FakeHost host_;
};

bool has(const std::string &line, const std::string &part)
{
	return line.find(part) != std::string::npos;
}

} // namespace

TEST_F(QueueTest, LifeFromOpenToClose)
{
	{
		Iommufd iommufd(host_);
		Ioas ioas = iommufd.allocIoas();
		ZipQueue queue(host_, accelerator());
		EXPECT_EQ(host_.queuesLeft, 6u);
		const uint32_t id = queue.bind(iommufd);
		Hwpt hwpt = iommufd.allocHwpt(ioas, id);
		EXPECT_EQ(queue.attach(hwpt), 1u);
		EXPECT_FALSE(queue.started());
		EXPECT_EQ(queue.trySend({}), QueueStatus::NotStarted);
		queue.start(zip::Direction::Compress);
		EXPECT_EQ(queue.number(), 3u);
		EXPECT_EQ(queue.depth(), kDepth - 1);
		failure([&] { queue.start(zip::Direction::Compress); }, EINVAL);

		char in[16] = "fifteen letters", out[16] = "";
		zip::Request r;
		r.source = reinterpret_cast<uintptr_t>(in);
		r.destination = reinterpret_cast<uintptr_t>(out);
		r.sourceLength = r.destinationLength = sizeof(in);
		r.tag = 42;
		EXPECT_EQ(queue.trySend(r), QueueStatus::Ok);
		EXPECT_TRUE(queue.wait(1000, 0)) << "the fake device runs when it is polled";
		zip::Completion c;
		EXPECT_EQ(queue.poll({&c, 1}).count, 1u);
		EXPECT_EQ(c.tag, 42u);
		EXPECT_STREQ(out, in);

		/* A file's regions are mapped once, so a restart uses the same mappings. */
		queue.stop();
		queue.start(zip::Direction::Decompress);
		EXPECT_EQ(host_.mappings, 2u);
		EXPECT_FALSE(queue.wait(0));
		queue.detach();
		EXPECT_FALSE(queue.started());
		EXPECT_TRUE(host_.pasidsTaken.empty());
	}
	EXPECT_EQ(host_.mappings, 0u);
	EXPECT_TRUE(host_.openFds.empty());
	EXPECT_EQ(host_.queuesLeft, 7u);
}

TEST_F(QueueTest, OpenErrorsNameTheDeviceAndTheRemedy)
{
	const Accelerator a = accelerator();
	host_.queuesLeft = 0;
	std::string line = failure([&] { ZipQueue(host_, a); }, EBUSY);
	EXPECT_TRUE(has(line, "hisi_zip-0") && has(line, "none is free")) << line;
	host_.openErrors["/dev/hisi_zip-0"] = -EACCES;
	line = failure([&] { ZipQueue(host_, a); }, EACCES);
	EXPECT_TRUE(has(line, "/dev/hisi_zip-0") && has(line, "access")) << line;
	host_.openErrors["/dev/iommu"] = -ENOENT;
	line = failure([&] { Iommufd{host_}; }, ENOENT);
	EXPECT_TRUE(has(line, "/dev/iommu") && has(line, "load")) << line;
	Accelerator other = a;
	other.api = "hisi_qm_v2";
	failure([&] { ZipQueue(host_, other); }, EPROTONOSUPPORT);
}

TEST_F(QueueTest, PasidErrors)
{
	Iommufd iommufd(host_);
	Ioas ioas = iommufd.allocIoas();
	ZipQueue first(host_, accelerator()), second(host_, accelerator());
	Hwpt hwpt = iommufd.allocHwpt(ioas, first.bind(iommufd));
	second.bind(iommufd);
	EXPECT_EQ(first.attach(hwpt, 5), 5u);
	std::string line = failure([&] { second.attach(hwpt, 5); }, EBUSY);
	EXPECT_TRUE(has(line, "PASID 5") && has(line, "taken")) << line;
	line = failure([&] { second.attach(hwpt, 70000); }, EINVAL);
	EXPECT_TRUE(has(line, "PASID 70000") && has(line, "1 to 65535")) << line;
	EXPECT_EQ(second.attach(hwpt), 1u);
}

/* A driver whose answers make no sense. */
TEST_F(QueueTest, HostileDriver)
{
	const auto start = [&] {
		ZipQueue queue(host_, accelerator());
		queue.start(zip::Direction::Compress);
	};
	host_.sqeSize = 64;
	failure(start, EPROTO);
	host_.sqeSize = 128;
	host_.sqDepth = 60000;
	failure(start, EPROTO);
	host_.sqDepth = 0;
	failure(start, EPROTO);
	host_.sqDepth = kDepth;
	host_.ioctlErrors[UACCE_CMD_START_Q] = -EOPNOTSUPP;
	EXPECT_TRUE(has(failure(start, EOPNOTSUPP), "attach an address space"));
	EXPECT_TRUE(host_.openFds.empty());
	EXPECT_EQ(host_.mappings, 0u);
}

TEST_F(QueueTest, DeviceGoneWhileWaiting)
{
	ZipQueue queue(host_, accelerator());
	queue.start(zip::Direction::Compress);
	host_.pollEvents = POLLERR | POLLHUP;
	EXPECT_TRUE(queue.wait(-1, 0));
	zip::Completion c;
	EXPECT_EQ(queue.poll({&c, 1}).status, QueueStatus::Stopped);
}

TEST_F(QueueTest, WaitEndsInTime)
{
	ZipQueue queue(host_, accelerator());
	queue.start(zip::Direction::Compress);
	const auto begin = std::chrono::steady_clock::now();
	EXPECT_FALSE(queue.wait(30, 10));
	EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(30));
}

/* ---- session ---- */

namespace
{

ZipSessionOptions rawOptions(unsigned depth = 4)
{
	ZipSessionOptions options;
	options.algorithm = zip::Algorithm::Deflate;
	options.depth = depth;
	options.inputSize = 256;
	return options;
}

} // namespace

TEST_F(QueueTest, SessionMovesBlocks)
{
	ZipSession session(host_, accelerator(), rawOptions());
	ZipLane &lane = session.lanes()[0];
	EXPECT_EQ(lane.pasid(), 1u);
	for (int round = 0; round < 40; round++) {
		std::vector<unsigned> slots;
		while (const auto slot = lane.acquire()) {
			std::memset(lane.input(*slot).data(), round + static_cast<int>(*slot), 256);
			EXPECT_EQ(lane.submit(*slot, 100, 1000 + *slot), QueueStatus::Ok);
			slots.push_back(*slot);
		}
		EXPECT_EQ(slots.size(), 4u);
		EXPECT_EQ(lane.inFlight(), 4u);
		EXPECT_EQ(lane.submit(slots[0], 1), QueueStatus::Invalid) << "in flight already";
		lane.release(slots[0]);
		EXPECT_FALSE(lane.acquire()) << "a slot in flight cannot be released";
		host_.device.run();
		ZipResult results[8];
		const PollResult polled = lane.poll(results);
		ASSERT_EQ(polled.count, 4u);
		for (unsigned i = 0; i < 4; i++) {
			EXPECT_EQ(results[i].user, 1000u + results[i].slot);
			ASSERT_EQ(results[i].output.size(), 100u);
			EXPECT_EQ(results[i].output[99],
				  std::byte(round + static_cast<int>(results[i].slot)));
			EXPECT_GT(results[i].latency.count(), 0);
			lane.release(results[i].slot);
		}
	}
}

TEST_F(QueueTest, SessionReadsSharedMemoryInPlace)
{
	ZipSession session(host_, accelerator(), rawOptions());
	ZipLane &lane = session.lanes()[0];
	alignas(4096) static std::byte file[8192];
	std::memset(file, 0x5a, sizeof(file));
	const auto slot = lane.acquire();
	EXPECT_EQ(lane.submitFrom(*slot, std::span(file).subspan(100, 200)),
		  QueueStatus::NotShared);
	session.share(file);
	EXPECT_EQ(lane.submitFrom(*slot, {file + 8000, 300}), QueueStatus::NotShared)
		<< "runs over the end";
	EXPECT_EQ(lane.submitFrom(*slot, std::span(file).subspan(100, 200)), QueueStatus::Ok);
	host_.device.run();
	ZipResult result;
	ASSERT_EQ(lane.poll({&result, 1}).count, 1u);
	ASSERT_EQ(result.output.size(), 200u);
	EXPECT_EQ(result.output[0], std::byte{0x5a});
}

TEST_F(QueueTest, SessionWithoutInputNeedsNoDevice)
{
	ZipSessionOptions options = rawOptions();
	options.algorithm = zip::Algorithm::Gzip;
	ZipSession session(host_, accelerator(), options);
	ZipLane &lane = session.lanes()[0];
	const auto slot = lane.acquire();
	EXPECT_EQ(lane.submit(*slot, 0), QueueStatus::Ok);
	EXPECT_TRUE(lane.wait(0));
	ZipResult result;
	ASSERT_EQ(lane.poll({&result, 1}).count, 1u);
	EXPECT_TRUE(result.ok());
	EXPECT_EQ(result.output.size(), 10u + 5u + 8u);
	lane.release(*slot);
	EXPECT_TRUE(lane.acquire().has_value());
}

TEST_F(QueueTest, SessionRefusesWhatIsNoContainer)
{
	ZipSessionOptions options = rawOptions();
	options.algorithm = zip::Algorithm::Gzip;
	options.direction = zip::Direction::Decompress;
	ZipSession session(host_, accelerator(), options);
	ZipLane &lane = session.lanes()[0];
	const auto slot = lane.acquire();
	std::memset(lane.input(*slot).data(), 'x', 256);
	EXPECT_EQ(lane.submit(*slot, 256), QueueStatus::Ok);
	ZipResult result;
	ASSERT_EQ(lane.poll({&result, 1}).count, 1u);
	EXPECT_EQ(result.status, zip::Status::Malformed);
	EXPECT_TRUE(result.output.empty());
}

TEST_F(QueueTest, SessionIsAllOrNothing)
{
	ZipSessionOptions options = rawOptions();
	options.queues = 8;
	const std::string line = failure([&] { ZipSession(host_, accelerator(), options); }, EBUSY);
	EXPECT_TRUE(has(line, "8 queues") && has(line, "only 7 were free")) << line;
	EXPECT_EQ(host_.queuesLeft, 7u);
	EXPECT_TRUE(host_.openFds.empty());
	EXPECT_TRUE(host_.dma.empty());
}

TEST_F(QueueTest, SessionRefusesBadOptions)
{
	const auto refused = [&](const std::function<void(ZipSessionOptions &)> &change) {
		ZipSessionOptions options = rawOptions();
		change(options);
		failure([&] { ZipSession(host_, accelerator(), options); }, EINVAL);
		EXPECT_EQ(host_.queuesLeft, 7u);
	};
	refused([](auto &o) { o.queues = 0; });
	refused([](auto &o) { o.depth = 0; });
	refused([](auto &o) { o.depth = 1024; });
	refused([](auto &o) { o.depth = kDepth; });
	refused([](auto &o) { o.inputSize = 0; });
	refused([](auto &o) { o.inputSize = zip::kMaxBuffer + 1ul; });
	refused([](auto &o) { o.outputSize = 1; });
}

TEST_F(QueueTest, SessionWithNamedPasids)
{
	ZipSessionOptions options = rawOptions();
	options.firstPasid = 40;
	{
		ZipSession session(host_, accelerator(), options);
		EXPECT_EQ(session.lanes()[0].pasid(), 40u);
	}
	host_.pasidsTaken = {40};
	const std::string line = failure([&] { ZipSession(host_, accelerator(), options); }, EBUSY);
	EXPECT_TRUE(has(line, "PASID 40")) << line;
}
