// SPDX-License-Identifier: Apache-2.0
/* The kernel as a user of the accelerator: algorithm "deflate" of the crypto API. */
#include "../hisi_qm/fixture.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <thread>

#include "../hisi_qm/faulty_zip.h"
#include "crypto_side.h"

namespace wd::hisitest
{

namespace
{

using Bytes = std::vector<uint8_t>;

class HisiCrypto : public HisiTest
{
};

/** Words in random order: compresses to about a third. */
Bytes text(size_t size, unsigned seed = 1)
{
	static const char *const words[] = {"queue ",  "process ", "address ", "space ",
					    "device ", "kernel ",  "page ",    "table "};
	std::minstd_rand random(seed);
	Bytes bytes;

	while (bytes.size() < size) {
		const char *word = words[random() / 7 % 8];

		bytes.insert(bytes.end(), word, word + std::strlen(word));
	}
	bytes.resize(size);
	return bytes;
}

Bytes noise(size_t size, unsigned seed = 1)
{
	std::minstd_rand random(seed);
	Bytes bytes(size);

	std::generate(bytes.begin(), bytes.end(),
		      [&] { return static_cast<uint8_t>(random() >> 11); });
	return bytes;
}

/** Room for data that does not compress. */
size_t room(size_t size)
{
	return size + size / 8 + 64;
}

int run(Deflate &deflate, Way way, const Bytes &in, Bytes &out, size_t piece = 0)
{
	Job job(deflate);
	const int ret = job.run(way, in.data(), in.size(), out.data(), out.size(), piece);

	if (!ret)
		out.resize(job.produced());
	return ret;
}

void roundTrip(Deflate &deflate, const Bytes &data, size_t piece = 0)
{
	Bytes packed(room(data.size())), back(data.size());

	ASSERT_EQ(run(deflate, Way::Compress, data, packed, piece), 0);
	ASSERT_EQ(run(deflate, Way::Decompress, packed, back, piece), 0);
	ASSERT_EQ(back.size(), data.size());
	EXPECT_TRUE(back == data);
}

} // namespace

TEST_F(HisiCrypto, IsWhatDeflateMeans)
{
	EXPECT_TRUE(hasAlgorithm(kHisiDriver)) << "it passed the tests of the crypto API";
	const long before = Rig::number("available_instances");
	{
		Deflate deflate;

		ASSERT_EQ(deflate.error(), 0);
		EXPECT_EQ(deflate.driver(), kHisiDriver) << "before the software of the same name";
		EXPECT_EQ(Rig::number("available_instances"), before - 1)
			<< "a second queue for the kernel while somebody uses it";
		Deflate other;

		EXPECT_EQ(Rig::number("available_instances"), before - 1) << "shared";
	}
	EXPECT_EQ(Rig::number("available_instances"), before);
}

TEST_F(HisiCrypto, ComesBackWithWhatWentIn)
{
	Deflate deflate;
	const long before = Rig::number("kernel_requests");
	long requests = 0;

	for (size_t size : {1, 100, 4095, 4096, 65536, 1 << 20}) {
		SCOPED_TRACE(size);
		roundTrip(deflate, text(size));
		roundTrip(deflate, noise(size));
		requests += 4;
	}
	EXPECT_EQ(Rig::number("kernel_requests"), before + requests) << "the device did it";
}

TEST_F(HisiCrypto, Compresses)
{
	Deflate deflate;
	const Bytes page = text(4096);
	Bytes packed(4096);

	ASSERT_EQ(run(deflate, Way::Compress, page, packed), 0);
	EXPECT_LT(packed.size(), 2048u);
	EXPECT_GT(packed.size(), 0u);
}

/* From one piece to lists of many blocks. Some pieces end at page boundaries, others do not. */
TEST_F(HisiCrypto, TakesScatterlists)
{
	Deflate deflate;
	const Bytes large = text(1 << 20);

	for (size_t piece : {250, 1000, 4096, 65536, 300000}) {
		SCOPED_TRACE(piece);
		roundTrip(deflate, large, piece);
	}
	for (size_t size : {13, 14, 15, 28, 140, 141}) {
		SCOPED_TRACE(size);
		roundTrip(deflate, text(size * 10), 10);
	}
	roundTrip(deflate, noise(5000), 1);
}

/* Only the output is in pieces: the compressed input fits into one. */
TEST_F(HisiCrypto, TakesAListOnOneSide)
{
	Deflate deflate;
	const Bytes data = text(100000);
	Bytes packed(room(data.size())), back(data.size());

	ASSERT_EQ(run(deflate, Way::Compress, data, packed), 0);
	ASSERT_EQ(run(deflate, Way::Decompress, packed, back, 60000), 0)
		<< "the input fits into one piece";
	EXPECT_TRUE(back == data);
}

/*
 * Linux's own deflate has a window of 2 KiB, the hardware has at least 4 KiB. Software can read the
 * hardware's output nevertheless, because it finds earlier data in its output buffer.
 */
TEST_F(HisiCrypto, IsReadBySoftwareAndReadsIt)
{
	Deflate hardware, software(kSoftwareDriver);
	Bytes data = noise(3000);

	for (uint8_t &byte : data)
		byte = 'a' + byte % 16;
	const Bytes once = data;

	ASSERT_EQ(software.error(), 0);
	while (data.size() + once.size() <= 131072)
		data.insert(data.end(), once.begin(), once.end());
	Bytes packed(room(data.size())), back(data.size());

	ASSERT_EQ(run(hardware, Way::Compress, data, packed), 0);
	ASSERT_LT(packed.size(), data.size() / 3) << "matches reach back 3000 bytes";
	ASSERT_EQ(run(software, Way::Decompress, packed, back), 0);
	EXPECT_TRUE(back == data);

	packed.assign(131072, 0);
	const Bytes words = text(100000);

	ASSERT_EQ(run(software, Way::Compress, words, packed), 0);
	back.assign(words.size(), 0);
	ASSERT_EQ(run(hardware, Way::Decompress, packed, back), 0);
	EXPECT_TRUE(back == words);
}

TEST_F(HisiCrypto, SaysWhatIsWrong)
{
	Deflate deflate;
	const Bytes data = text(10000);
	Bytes packed(room(data.size())), back(data.size());

	ASSERT_EQ(run(deflate, Way::Compress, data, packed), 0);
	Job job(deflate);
	const auto run = [&](Way way, const Bytes &in, size_t slen, size_t dlen) {
		return job.run(way, in.data(), slen, back.data(), dlen);
	};

	EXPECT_EQ(run(Way::Compress, data, 0, 100), -EINVAL) << "no input";
	EXPECT_EQ(run(Way::Compress, data, 100, 0), -EINVAL) << "no room";
	EXPECT_EQ(run(Way::Compress, data, data.size(), 100), -ENOSPC);
	EXPECT_EQ(run(Way::Decompress, packed, packed.size(), data.size() - 1), -ENOSPC);
	EXPECT_EQ(run(Way::Decompress, packed, packed.size() / 2, data.size()), -EINVAL)
		<< "the end is missing";
	Bytes broken = packed;

	broken[0] |= 6; /* a block of the reserved type */
	EXPECT_EQ(run(Way::Decompress, broken, broken.size(), data.size()), -EINVAL);
	EXPECT_EQ(job.submitInPlace(Way::Compress, back.data(), 100), -EINVAL);
	EXPECT_EQ(run(Way::Decompress, packed, packed.size(), data.size()), 0) << "and it works on";
	EXPECT_EQ(job.produced(), data.size());
}

TEST_F(HisiCrypto, RefusesWhatTheHardwareCannotTake)
{
	Deflate deflate;
	Bytes huge((8 << 20) + 1), out(64 << 10);

	EXPECT_EQ(run(deflate, Way::Compress, huge, out), -EINVAL) << "above 8 MiB";
	huge.pop_back();
	EXPECT_EQ(run(deflate, Way::Compress, huge, out), 0) << "8 MiB of zeroes";
	Bytes back(9 << 20);

	ASSERT_EQ(run(deflate, Way::Decompress, out, back), 0) << "more room than it can use";
	EXPECT_TRUE(back == huge);
}

TEST_F(HisiCrypto, AllocatesTheOutputIfThereIsNone)
{
	Deflate deflate;
	const Bytes data = text(50000);

	Job job(deflate);
	ASSERT_EQ(job.run(Way::Compress, data.data(), data.size(), nullptr, 0), 0);
	const Bytes packed = job.allocated();

	ASSERT_LT(packed.size(), data.size());
	Job other(deflate);
	ASSERT_EQ(other.run(Way::Decompress, packed.data(), packed.size(), nullptr, data.size()),
		  0);
	EXPECT_TRUE(other.allocated() == data);
}

TEST_F(HisiCrypto, HasManyInFlightFromManyThreads)
{
	constexpr unsigned kThreads = 4, kJobs = 40, kRounds = 5;
	Deflate shared;
	std::atomic<unsigned> bad{0};
	auto work = [&](unsigned seed) {
		Deflate own;
		std::vector<std::unique_ptr<Job>> jobs;
		std::vector<Bytes> in, packed, back;
		std::vector<int> submitted(kJobs);

		for (unsigned i = 0; i < kJobs; i++) {
			jobs.push_back(std::make_unique<Job>(i % 2 ? own : shared));
			in.push_back(text(1000 + 300 * i, seed * kJobs + i));
			packed.emplace_back(room(in[i].size()));
			back.emplace_back(in[i].size());
		}
		for (unsigned round = 0; round < kRounds; round++) {
			for (unsigned i = 0; i < kJobs; i++)
				submitted[i] = jobs[i]->submit(Way::Compress, in[i].data(),
							       in[i].size(), packed[i].data(),
							       packed[i].size(), i % 3 * 700);
			for (unsigned i = 0; i < kJobs; i++)
				bad += jobs[i]->wait(submitted[i]) || jobs[i]->done != 1;
			for (unsigned i = 0; i < kJobs; i++)
				submitted[i] = jobs[i]->submit(Way::Decompress, packed[i].data(),
							       jobs[i]->produced(), back[i].data(),
							       back[i].size());
			for (unsigned i = 0; i < kJobs; i++)
				bad += jobs[i]->wait(submitted[i]) || jobs[i]->done != 1 ||
				       back[i] != in[i];
		}
	};
	std::vector<std::thread> threads;

	for (unsigned t = 0; t < kThreads; t++)
		threads.emplace_back(work, t);
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_EQ(bad, 0u);
}

/*
 * If there is no free slot, a request waits in line and its callback says when it has begun, as
 * users such as zswap expect. If it may not wait, it fails at once.
 */
TEST_F(HisiCrypto, LetsRequestsWaitInLine)
{
	constexpr unsigned kSlots = 256, kMore = 100;
	Deflate deflate;
	const Bytes data = text(500);
	std::vector<std::unique_ptr<Job>> jobs;
	std::vector<Bytes> packed;
	std::vector<int> submitted;

	rig_.zip().hold(true);
	for (unsigned i = 0; i < kSlots + kMore; i++) {
		packed.emplace_back(room(data.size()));
		jobs.push_back(std::make_unique<Job>(deflate));
		submitted.push_back(jobs[i]->submit(Way::Compress, data.data(), data.size(),
						    packed[i].data(), packed[i].size(),
						    i % 2 * 100));
		ASSERT_EQ(submitted[i], i < kSlots ? -EINPROGRESS : -EBUSY) << i;
	}
	Job impatient(deflate, false);
	Bytes out(room(data.size()));

	EXPECT_EQ(impatient.submit(Way::Compress, data.data(), data.size(), out.data(), out.size()),
		  -ENOSPC);
	Bytes back(data.size());

	rig_.zip().hold(false);
	for (unsigned i = 0; i < kSlots + kMore; i++) {
		ASSERT_EQ(jobs[i]->wait(submitted[i]), 0) << i;
		EXPECT_EQ(jobs[i]->begun, i < kSlots ? 0u : 1u) << i;
		EXPECT_EQ(jobs[i]->done, 1u) << i;
		packed[i].resize(jobs[i]->produced());
		EXPECT_EQ(packed[i].size(), packed[0].size()) << i;
	}
	ASSERT_EQ(run(deflate, Way::Decompress, packed.back(), back), 0);
	EXPECT_TRUE(back == data);
	EXPECT_EQ(impatient.wait(impatient.submit(Way::Compress, data.data(), data.size(),
						  out.data(), out.size())),
		  0)
		<< "there is room again";
}

/* A completion may send the next request. */
TEST_F(HisiCrypto, AcceptsRequestsFromCompletions)
{
	Deflate deflate;
	Job first(deflate), second(deflate);
	const Bytes data = text(5000);
	Bytes a(room(data.size())), b(room(data.size()));
	int submitted = 0;

	first.notify = [&] {
		submitted =
			second.submit(Way::Compress, data.data(), data.size(), b.data(), b.size());
	};
	ASSERT_EQ(first.run(Way::Compress, data.data(), data.size(), a.data(), a.size()), 0);
	ASSERT_EQ(second.wait(submitted), 0);
	EXPECT_EQ(first.produced(), second.produced());
}

/* Attack: each allocation in turn fails. */
TEST_F(HisiCrypto, SurvivesEveryFailingAllocation)
{
	const Bytes data = text(40000);
	Bytes packed(room(data.size()));
	unsigned succeeded = 0, n;

	for (n = 1; succeeded < 3 && n < 200; n++) {
		SCOPED_TRACE(n);
		hostkernel::FaultScope scope;

		hostkernel::failNth(hostkernel::FailPoint::Allocation, n);
		Deflate deflate;
		const int error = deflate.error();

		ASSERT_TRUE(!error || error == -ENOMEM) << error;
		if (error)
			continue;
		Job job(deflate);

		if (!job.valid())
			continue;
		/* So many pieces that the driver allocates a list. */
		const int ret = job.run(Way::Compress, data.data(), data.size(), packed.data(),
					packed.size(), 700);

		EXPECT_EQ(ret, 0) << "software helps out";
		Job second(deflate);
		const int own = !second.valid() ? -ENOMEM
						: second.run(Way::Compress, data.data(),
							     data.size(), nullptr, 0);

		EXPECT_TRUE(!own || own == -ENOMEM) << own;
		succeeded += hostkernel::failNth(hostkernel::FailPoint::Allocation, 0) < n;
	}
	EXPECT_GT(n, 10u) << "there were allocations to fail";
	EXPECT_LT(n, 200u);
}

/* The kernel and a process on one device at the same time. */
TEST_F(HisiCrypto, SharesTheDeviceWithUsers)
{
	constexpr unsigned kRounds = 200;
	alignas(kPage) static uint8_t memory[4 * kPage];
	const Bytes data = text(kPage);
	Space space(caller_);
	QueueFile queue(caller_);
	std::atomic<unsigned> bad{0};

	std::copy(data.begin(), data.end(), memory);
	ASSERT_EQ(space.map(memory, sizeof(memory), 0x100000), 0);
	ASSERT_EQ(makeReady(queue, space), 0);
	std::thread kernel([&] {
		Deflate deflate;
		Bytes packed(room(data.size())), back(data.size());
		Job job(deflate);

		for (unsigned i = 0; i < kRounds; i++) {
			bad += job.run(Way::Compress, data.data(), data.size(), packed.data(),
				       packed.size()) != 0;
			bad += job.run(Way::Decompress, packed.data(), job.produced(), back.data(),
				       back.size()) != 0 ||
			       back != data;
		}
	});
	for (unsigned i = 0; i < kRounds; i++) {
		queue.send(0x100000, kPage, 0x100000 + 2 * kPage, kPage);
		bad += queue.wait() != 0;
	}
	kernel.join();
	EXPECT_EQ(bad, 0u);
}

/* Users have taken every queue: the kernel uses software until a queue is free. */
TEST_F(HisiCrypto, DoesWithoutASecondQueue)
{
	std::vector<std::unique_ptr<QueueFile>> files;
	const long before = Rig::number("kernel_requests");

	while (Rig::number("available_instances") > 0) {
		files.push_back(std::make_unique<QueueFile>(caller_));
		ASSERT_EQ(files.back()->open(), 0);
	}
	Deflate deflate;

	ASSERT_EQ(deflate.error(), 0);
	roundTrip(deflate, text(4096));
	EXPECT_EQ(Rig::number("kernel_requests"), before);
	files.clear();
	Deflate next;

	roundTrip(next, text(4096));
	EXPECT_EQ(Rig::number("kernel_requests"), before + 2);
}

} // namespace wd::hisitest
