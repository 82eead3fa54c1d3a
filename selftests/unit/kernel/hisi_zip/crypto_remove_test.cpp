// SPDX-License-Identifier: Apache-2.0
/* Devices come and go while the kernel uses them. */
#include "../hisi_qm/fixture.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fmt/core.h>
#include <thread>

#include "../../../common/asleep.h"
#include "../hisi_qm/faulty_zip.h"
#include "crypto_side.h"

namespace wd::hisitest
{

namespace
{

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kMailbox = 0x300, kVftReady = 0x10006c;

Bytes data(size_t size = 4096)
{
	static const char words[] = "the device goes away under its users, and comes back; ";
	Bytes bytes(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = static_cast<uint8_t>(words[i % (sizeof(words) - 1)] ^ (i >> 9));
	return bytes;
}

class HisiCryptoRemove : public HisiTest
{
protected:
	using HisiTest::HisiTest;

	/** Send @count requests while the device does nothing. */
	void fill(Deflate &deflate, unsigned count)
	{
		rig_.zip().hold(true);
		for (unsigned i = 0; i < count; i++) {
			out_.emplace_back(2 * in_.size());
			jobs_.push_back(std::make_unique<Job>(deflate));
			submitted_.push_back(jobs_[i]->submit(Way::Compress, in_.data(), in_.size(),
							      out_[i].data(), out_[i].size()));
		}
	}
	/** Check that each request has completed once, with the right result. */
	void check(Deflate &deflate)
	{
		for (size_t i = 0; i < jobs_.size(); i++) {
			Bytes back(in_.size());
			Job job(deflate);

			ASSERT_EQ(jobs_[i]->wait(submitted_[i]), 0) << i;
			ASSERT_EQ(job.run(Way::Decompress, out_[i].data(), jobs_[i]->produced(),
					  back.data(), back.size()),
				  0)
				<< i;
			ASSERT_TRUE(back == in_) << i;
			EXPECT_EQ(jobs_[i]->begun, submitted_[i] == -EBUSY ? 1u : 0u) << i;
			EXPECT_EQ(jobs_[i]->done, 1u) << i;
		}
		jobs_.clear();
	}
	static int compress(Deflate &deflate, const Bytes &in)
	{
		Bytes out(2 * in.size());
		Job job(deflate);

		return job.run(Way::Compress, in.data(), in.size(), out.data(), out.size());
	}

	Bytes in_ = data();
	std::vector<Bytes> out_;
	std::vector<std::unique_ptr<Job>> jobs_;
	std::vector<int> submitted_;
};

class HisiCryptoTwo : public HisiCryptoRemove
{
protected:
	HisiCryptoTwo() : HisiCryptoRemove(2) {}

	static long requests(int device)
	{
		std::string value;

		hostkernel::sysfsRead(
			fmt::format("/sys/class/uacce/hisi_zip-{}/kernel_requests", device), value);
		return std::strtol(value.c_str(), nullptr, 10);
	}
};

} // namespace

TEST_F(HisiCryptoRemove, LeavesTheAlgorithmWorking)
{
	Deflate deflate;
	const long before = Rig::number("kernel_requests");

	EXPECT_EQ(compress(deflate, in_), 0);
	EXPECT_EQ(Rig::number("kernel_requests"), before + 1);
	ASSERT_EQ(Rig::unbind(), 0);
	EXPECT_EQ(compress(deflate, in_), 0) << "in software";
	EXPECT_EQ(compress(deflate, data(200000)), -ENODEV) << "larger than software can";
	{
		Deflate late;

		EXPECT_EQ(late.driver(), kHisiDriver);
		EXPECT_EQ(compress(late, in_), 0);
	}
	ASSERT_EQ(Rig::bind(), 0);
	const long again = Rig::number("kernel_requests");

	EXPECT_EQ(compress(deflate, in_), 0);
	EXPECT_EQ(Rig::number("kernel_requests"), again + 1) << "the device that came back";
	EXPECT_EQ(compress(deflate, data(200000)), 0);
}

TEST_F(HisiCryptoRemove, LetsTheDeviceFinish)
{
	Deflate deflate;

	fill(deflate, 300);
	std::thread resume([&, remover = gettid()] {
		test::untilAsleep(remover);
		rig_.zip().hold(false);
	});

	EXPECT_EQ(Rig::unbind(), 0);
	resume.join();
	check(deflate);
}

/* The device does nothing: software takes over its requests. */
TEST_F(HisiCryptoRemove, FinishesWhatTheDeviceDoesNot)
{
	Deflate deflate;

	fill(deflate, 300);
	EXPECT_EQ(Rig::unbind(), 0);
	check(deflate);
	rig_.zip().hold(false);
}

/* The device has been pulled out: its registers read all ones. */
TEST_F(HisiCryptoRemove, FinishesWhatTheDeviceTookAlong)
{
	Deflate deflate;

	fill(deflate, 300);
	rig_.zip().overrideRegister(kMailbox, ~0u);
	EXPECT_EQ(Rig::unbind(), 0);
	check(deflate);
	rig_.zip().overrideRegister(~uint64_t{0}, 0);
	rig_.zip().hold(false);
}

/*
 * The device does nothing and does not stop its queues either. It must not use the requests'
 * memory.
 */
TEST_F(HisiCryptoRemove, DoesNotWaitForADeviceThatDoesNotStop)
{
	Deflate deflate;
	constexpr unsigned kCommand = 4, kBusMaster = 4;
	std::atomic<unsigned> early{0};

	fill(deflate, 300);
	/* With its completion the owner may give the memory of a request to others. */
	for (auto &job : jobs_)
		job->notify = [this, &early] {
			early += !!(rig_.zip().configRead(kCommand, 2) & kBusMaster);
		};
	rig_.zip().breakMailbox(kMailboxStop, FaultyZip::Fault::Status);
	EXPECT_EQ(Rig::unbind(), 0);
	EXPECT_EQ(early, 0u) << "requests completed while the device could reach memory";
	check(deflate);
	rig_.zip().repair();
	rig_.zip().hold(false);
	ASSERT_EQ(Rig::bind(), 0);
	EXPECT_EQ(Rig::attribute("selftest"), "passed");
	EXPECT_EQ(compress(deflate, in_), 0);
}

/*
 * The device reports that it cannot write the completions of a queue. The kernel does not wait for
 * them.
 */
TEST_F(HisiCryptoRemove, DoesWithoutAQueueThatTheDeviceGivesUp)
{
	const long before = Rig::number("available_instances");
	{
		Deflate deflate;
		Bytes out(2 * in_.size()), back(in_.size());
		Job job(deflate);

		/* The driver loads the context of the decompressing queue last. */
		HiddenRing ring(Rig::kAddress, rig_.zip().lastContext());

		ASSERT_TRUE(ring.hidden());
		ASSERT_EQ(job.run(Way::Compress, in_.data(), in_.size(), out.data(), out.size()),
			  0);
		job.notify = [&] { ring.restore(); };
		ASSERT_EQ(job.run(Way::Decompress, out.data(), job.produced(), back.data(),
				  back.size()),
			  0)
			<< "in software";
		EXPECT_TRUE(back == in_);
		EXPECT_EQ(job.done, 1u);
		EXPECT_TRUE(test::eventually([&] {
			return Rig::number("available_instances") == before;
		})) << "the queue is given back";
		const long requests = Rig::number("kernel_requests");

		EXPECT_EQ(compress(deflate, in_), 0);
		EXPECT_EQ(Rig::number("kernel_requests"), requests) << "not by this device";
	}
	ASSERT_EQ(Rig::unbind(), 0);
	ASSERT_EQ(Rig::bind(), 0);
	Deflate deflate;
	const long requests = Rig::number("kernel_requests");

	EXPECT_EQ(compress(deflate, in_), 0);
	EXPECT_EQ(Rig::number("kernel_requests"), requests + 1) << "a new probe, a new chance";
}

/* Attack: the device comes and goes under constant load. No user may notice. */
TEST_F(HisiCryptoRemove, IsNotNoticedUnderLoad)
{
	std::atomic<bool> stop{false};
	std::atomic<unsigned> bad{0}, good{0};
	Deflate shared;
	auto work = [&](bool reopen) {
		while (!stop) {
			Deflate own;
			Deflate &deflate = reopen ? own : shared;
			Bytes out(2 * in_.size()), back(in_.size());
			Job job(deflate);

			for (int i = 0; i < 20; i++) {
				const bool failed =
					job.run(Way::Compress, in_.data(), in_.size(), out.data(),
						out.size()) ||
					job.run(Way::Decompress, out.data(), job.produced(),
						back.data(), back.size()) ||
					back != in_;

				(failed ? bad : good)++;
			}
		}
	};
	std::thread first(work, false), second(work, false), third(work, true);

	for (int i = 0; i < 10; i++) {
		const unsigned before = good;

		EXPECT_EQ(Rig::unbind(), 0);
		while (good + bad < before + 50)
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
		EXPECT_EQ(Rig::bind(), 0);
	}
	stop = true;
	first.join();
	second.join();
	third.join();
	EXPECT_EQ(bad, 0u);
	EXPECT_EQ(Rig::number("available_instances"), 14) << "one more than usual is the kernel's";
}

TEST_F(HisiCryptoTwo, UsesTheNearest)
{
	for (int node : {0, 1}) {
		Deflate deflate("deflate", node);
		const long near = requests(node), far = requests(1 - node);

		EXPECT_EQ(compress(deflate, in_), 0);
		EXPECT_EQ(requests(node), near + 1);
		EXPECT_EQ(requests(1 - node), far);
	}
}

TEST_F(HisiCryptoTwo, MovesToTheOther)
{
	Deflate deflate("deflate", 0);
	const long before = requests(1);

	ASSERT_EQ(Rig::unbind(), 0);
	EXPECT_EQ(compress(deflate, in_), 0);
	EXPECT_EQ(requests(1), before + 1);
	ASSERT_EQ(Rig::unbind(Rig::kSecond), 0);
	EXPECT_EQ(compress(deflate, in_), 0) << "none is left";
	ASSERT_EQ(Rig::bind(Rig::kSecond), 0);
	ASSERT_EQ(Rig::bind(), 0);
}

/* One device stands still and keeps its requests; the other device works on. */
TEST_F(HisiCryptoTwo, FinishesHereAndGoesOnThere)
{
	Deflate deflate("deflate", 0);

	fill(deflate, 300);
	EXPECT_EQ(Rig::unbind(), 0);
	const long before = requests(1);

	check(deflate);
	EXPECT_EQ(requests(1), before + 300) << "decompressed by the other device";
	rig_.zip().hold(false);
}

/*
 * During the removal of one device by the module, a reset offers another one to the kernel again.
 */
TEST_F(HisiCryptoTwo, ModuleGoesDuringAReset)
{
	unsigned resets = 0;

	rig_.zip().overrideRegister(kVftReady, 1);
	rig_.zip().onBusy = [&] {
		rig_.zip().restoreRegister();
		std::thread([&] { resets += !Rig::reset(Rig::kSecond); }).join();
	};
	shutdown();
	EXPECT_EQ(resets, 1u);
	/* No warning says that the algorithm is still registered. */
	for (const std::string &line : hostkernel::kernelLog())
		EXPECT_EQ(line.find("WARNING at"), std::string::npos) << line;
}

} // namespace wd::hisitest
