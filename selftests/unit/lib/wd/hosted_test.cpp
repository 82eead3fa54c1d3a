// SPDX-License-Identifier: Apache-2.0
/* The library over the whole hosted stack: kernel, IOMMU, accelerator, engine. */
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>
#include <zlib.h>

#include "wd/hosted_host.h"
#include "wd/wd.h"
#include "wd/zip.h"
#include "wd/zip_session.h"

using namespace wd;

namespace
{

using Bytes = std::vector<std::byte>;

/** Boots for each test, and expects that nothing is left at the shutdown. */
class HostedTest : public ::testing::Test
{
protected:
	void SetUp() override
	{
		HostOptions options;
		options.kind = HostKind::Hosted;
		host_ = Host::create(options);
		topology_ = Topology::discover(*host_);
	}
	void TearDown() override
	{
		auto *hosted = dynamic_cast<HostedHost *>(host_.get());
		ASSERT_NE(hosted, nullptr);
		EXPECT_EQ(describe(hosted->shutdown()), "");
	}
	const Accelerator &device() { return topology_.require("zlib", topology_.here()); }

	int errorOf(const std::function<void()> &function)
	{
		try {
			function();
		} catch (const Error &error) {
			line_ = error.line();
			return error.error();
		}
		return 0;
	}

	std::shared_ptr<Host> host_;
	Topology topology_;
	std::string line_;
};

Bytes text(size_t size)
{
	static const char *words[] = {"queue ", "doorbell ", "PASID ", "fault ", "table ", "bus\n"};
	std::mt19937 random(size);
	Bytes out;
	while (out.size() < size)
		for (const char *c = words[random() % 6]; *c; c++)
			out.push_back(std::byte(*c));
	out.resize(size);
	return out;
}

Bytes noise(size_t size)
{
	std::mt19937 random(1);
	Bytes out(size);
	for (std::byte &b : out)
		b = std::byte(random());
	return out;
}

int windowBits(zip::Algorithm algorithm)
{
	return algorithm == zip::Algorithm::Deflate ? -15
	       : algorithm == zip::Algorithm::Zlib  ? 15
						    : 31;
}

/** Decompress a complete stream with zlib. */
Bytes inflateAll(zip::Algorithm algorithm, std::span<const std::byte> in, size_t size)
{
	Bytes out(size + 1);
	z_stream z = {};
	EXPECT_EQ(inflateInit2(&z, windowBits(algorithm)), Z_OK);
	z.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(in.data()));
	z.avail_in = static_cast<uInt>(in.size());
	z.next_out = reinterpret_cast<Bytef *>(out.data());
	z.avail_out = static_cast<uInt>(out.size());
	EXPECT_EQ(inflate(&z, Z_FINISH), Z_STREAM_END) << (z.msg ? z.msg : "");
	EXPECT_EQ(z.avail_in, 0u);
	out.resize(out.size() - z.avail_out);
	inflateEnd(&z);
	return out;
}

ZipSessionOptions sessionOptions(zip::Algorithm algorithm, zip::Direction direction, size_t input,
				 size_t output = 0)
{
	ZipSessionOptions options;
	options.algorithm = algorithm;
	options.direction = direction;
	options.depth = 4;
	options.inputSize = input;
	options.outputSize = output;
	return options;
}

/** Send one block through one lane. @return its output. */
Bytes through(ZipLane &lane, std::span<const std::byte> in, zip::Status *status = nullptr)
{
	const auto slot = lane.acquire();
	EXPECT_TRUE(slot);
	std::copy(in.begin(), in.end(), lane.input(*slot).begin());
	EXPECT_EQ(lane.submit(*slot, in.size()), QueueStatus::Ok);
	EXPECT_TRUE(lane.wait(5000));
	ZipResult result;
	EXPECT_EQ(lane.poll({&result, 1}).count, 1u);
	if (status)
		*status = result.status;
	else
		EXPECT_TRUE(result.ok()) << zip::statusText(result.status);
	Bytes out(result.output.begin(), result.output.end());
	lane.release(*slot);
	return out;
}

} // namespace

TEST_F(HostedTest, TwoSocketMachine)
{
	EXPECT_STREQ(host_->kind(), "hosted");
	EXPECT_EQ(topology_.nodes().size(), 4u);
	ASSERT_EQ(topology_.accelerators().size(), 2u);
	EXPECT_TRUE(topology_.skipped().empty());
	for (const Accelerator &a : topology_.accelerators()) {
		EXPECT_EQ(a.api, "hisi_qm_v3");
		EXPECT_TRUE(a.supports("zlib") && a.supports("gzip") && a.supports("deflate"));
		EXPECT_GE(a.node, 0);
		EXPECT_EQ(a.total, 1024u);
		EXPECT_EQ(a.available, *a.total - 1) << "the kernel keeps one";
		EXPECT_TRUE(a.doorbellWords);
		EXPECT_FALSE(a.pciAddress.empty());
	}
	EXPECT_NE(topology_.accelerators()[0].node, topology_.accelerators()[1].node);
	const Accelerator &near = topology_.require("gzip", topology_.accelerators()[1].node);
	EXPECT_EQ(near.name, topology_.accelerators()[1].name);
}

TEST_F(HostedTest, OneHostedKernelPerProcess)
{
	HostOptions options;
	options.kind = HostKind::Hosted;
	EXPECT_EQ(errorOf([&] { Host::create(options); }), EBUSY);
	EXPECT_EQ(Host::shared(), host_);
	wd_host *handle = nullptr;
	EXPECT_EQ(wd_host_open("hosted", nullptr, &handle), -EBUSY);
}

/* No code would see writes of trapped doorbells, and a queue would wait for ever. */
TEST(HostedMachine, TrappedDoorbellsAreRefused)
{
	machine::MachineDescription description = machine::MachineDescription::preset("two-socket");

	description.accelerators.back().doorbells = machine::DoorbellMode::Trapped;
	try {
		HostedHost host(description);

		FAIL() << "it boots";
	} catch (const Error &error) {
		EXPECT_EQ(error.error(), EOPNOTSUPP);
		EXPECT_NE(error.line().find("\"trapped\" doorbells at 0000:b5:00.0"),
			  std::string::npos)
			<< error.line();
		EXPECT_NE(error.line().find("virtual machine"), std::string::npos);
	}
	/* Afterwards another host can boot. */
	HostedHost host(machine::MachineDescription::preset("two-socket"));

	EXPECT_EQ(describe(host.shutdown()), "");
}

TEST(HostedMachine, UnknownMachinesAreRefused)
{
	HostOptions options;
	options.kind = HostKind::Hosted;
	for (const char *name : {"three-socket", "/no/such/file.json", ""}) {
		options.machine = name;
		try {
			Host::create(options);
			ADD_FAILURE() << name;
		} catch (const Error &error) {
			EXPECT_EQ(error.error(), ENOENT) << error.line();
			EXPECT_NE(error.line().find(name), std::string::npos);
		}
	}
}

TEST_F(HostedTest, RoundTripOfEveryFormat)
{
	const size_t size = 100000;
	for (auto algorithm :
	     {zip::Algorithm::Zlib, zip::Algorithm::Gzip, zip::Algorithm::Deflate}) {
		SCOPED_TRACE(zip::algorithmName(algorithm));
		ZipSession compress(*host_, device(),
				    sessionOptions(algorithm, zip::Direction::Compress, size));
		ZipSession decompress(*host_, device(),
				      sessionOptions(algorithm, zip::Direction::Decompress,
						     ZipSession::bound(size), size));
		EXPECT_NE(compress.lanes()[0].pasid(), decompress.lanes()[0].pasid());
		for (const Bytes &in : {text(size), noise(size), text(1), text(0), text(4096)}) {
			const Bytes packed = through(compress.lanes()[0], in);
			EXPECT_EQ(inflateAll(algorithm, packed, in.size()), in);
			EXPECT_EQ(through(decompress.lanes()[0], packed), in);
		}
	}
}

TEST_F(HostedTest, DataErrorsAreStatuses)
{
	const size_t size = 10000;
	ZipSession compress(*host_, device(),
			    sessionOptions(zip::Algorithm::Gzip, zip::Direction::Compress, size));
	ZipSession decompress(*host_, device(),
			      sessionOptions(zip::Algorithm::Gzip, zip::Direction::Decompress,
					     ZipSession::bound(size), size));
	ZipLane &lane = decompress.lanes()[0];
	const Bytes packed = through(compress.lanes()[0], text(size));
	zip::Status status;
	Bytes bad = packed;
	bad[bad.size() - 6] ^= std::byte{1};
	through(lane, bad, &status);
	EXPECT_EQ(status, zip::Status::ChecksumMismatch);
	through(lane, std::span(packed).first(packed.size() / 2), &status);
	EXPECT_FALSE(zip::isSuccess(status)) << "truncated";
	bad = packed;
	bad[10] = std::byte{0x07};
	through(lane, bad, &status);
	EXPECT_FALSE(zip::isSuccess(status)) << "block type 3";
	EXPECT_EQ(through(lane, packed), text(size)) << "the lane is not disturbed";
}

TEST_F(HostedTest, OutputTooSmall)
{
	ZipSession compress(
		*host_, device(),
		sessionOptions(zip::Algorithm::Zlib, zip::Direction::Compress, 10000, 1000));
	zip::Status status;
	through(compress.lanes()[0], noise(10000), &status);
	EXPECT_EQ(status, zip::Status::OutputTooSmall);
}

/* Several threads use several lanes, with more requests than slots. */
TEST_F(HostedTest, LanesInThreads)
{
	ZipSessionOptions options =
		sessionOptions(zip::Algorithm::Zlib, zip::Direction::Compress, 4096);
	options.queues = 4;
	ZipSession session(*host_, device(), options);
	std::vector<std::thread> threads;
	for (ZipLane &lane : session.lanes())
		threads.emplace_back([&lane] {
			const Bytes in = text(4096);
			unsigned sent = 0, received = 0;
			while (received < 300) {
				while (sent < 300) {
					const auto slot = lane.acquire();
					if (!slot)
						break;
					std::memcpy(lane.input(*slot).data(), in.data(), in.size());
					ASSERT_EQ(lane.submit(*slot, in.size(), sent++),
						  QueueStatus::Ok);
				}
				ASSERT_TRUE(lane.wait(5000));
				ZipResult results[4];
				const PollResult polled = lane.poll(results);
				ASSERT_EQ(polled.status, QueueStatus::Ok);
				for (unsigned i = 0; i < polled.count; i++) {
					ASSERT_TRUE(results[i].ok());
					ASSERT_EQ(results[i].user, received++);
					lane.release(results[i].slot);
				}
			}
		});
	for (std::thread &thread : threads)
		thread.join();
}

/* Any data, up to the largest input that has a bound. */
TEST_F(HostedTest, NoiseOfTheLargestSizeFitsItsBound)
{
	wd_host *handle = makeHandle(host_);
	const uint32_t length = WD_ZIP_MAX_COMPRESS, room = wd_zip_bound(length);
	Bytes memory = noise(length);
	memory.resize(length + room);
	for (const char *name : {"gzip", "zlib", "deflate"}) {
		wd_queue queue = {};
		queue.host = handle;
		queue.capa.alg = name;
		ASSERT_EQ(wd_request_queue(&queue), 0) << wd_last_error();
		ASSERT_EQ(wd_mem_share(&queue, memory.data(), memory.size(), 0), 0);
		wd_zip_req r = {};
		r.src = memory.data();
		r.src_len = length;
		r.dst = memory.data() + length;
		r.dst_len = room;
		ASSERT_EQ(wd_zip_run(&queue, &r, 120000), 0) << wd_last_error();
		EXPECT_EQ(r.status, WD_ZIP_OK) << name;
		wd_release_queue(&queue);
	}
	wd_host_close(handle);
	ZipSessionOptions options;
	options.inputSize = zip::kMaxBuffer;
	EXPECT_EQ(errorOf([&] { ZipSession(*host_, device(), options); }), EINVAL) << line_;
}

TEST_F(HostedTest, SessionNeedsADeviceThatKnowsTheAlgorithm)
{
	Accelerator other = device();
	other.algorithms = {"deflate"};
	ZipSessionOptions options;
	options.algorithm = zip::Algorithm::Gzip;
	EXPECT_EQ(errorOf([&] { ZipSession(*host_, other, options); }), EINVAL);
	EXPECT_NE(line_.find("gzip"), std::string::npos) << line_;
}

TEST_F(HostedTest, WrongNodesOfTheCallerAreErrors)
{
	const char *before = std::getenv("WD_NODE");
	const std::string saved = before ? before : "";
	for (const char *node : {"abc", "-1", "1x", "99"}) {
		::setenv("WD_NODE", node, 1);
		EXPECT_EQ(errorOf([&] { Topology::discover(*host_); }), EINVAL) << node;
		EXPECT_NE(line_.find(node), std::string::npos) << line_;
	}
	if (before)
		::setenv("WD_NODE", saved.c_str(), 1);
	else
		::unsetenv("WD_NODE");
}

TEST_F(HostedTest, SharedFileInPlace)
{
	const Bytes file = text(300000);
	ZipSession session(*host_, device(),
			   sessionOptions(zip::Algorithm::Zlib, zip::Direction::Compress, 65536));
	session.share(file);
	ZipLane &lane = session.lanes()[0];
	const auto slot = lane.acquire();
	const auto block = std::span(file).subspan(1234, 65000);
	ASSERT_EQ(lane.submitFrom(*slot, block), QueueStatus::Ok);
	ASSERT_TRUE(lane.wait(5000));
	ZipResult result;
	ASSERT_EQ(lane.poll({&result, 1}).count, 1u);
	ASSERT_TRUE(result.ok());
	const Bytes plain = inflateAll(zip::Algorithm::Zlib, result.output, block.size());
	EXPECT_TRUE(std::equal(plain.begin(), plain.end(), block.begin(), block.end()));
}

/* ---- PASIDs, queues, isolation ---- */

TEST_F(HostedTest, PasidsAutoFixedTakenAndOutOfRange)
{
	Iommufd iommufd(*host_);
	Ioas ioas = iommufd.allocIoas();
	ZipQueue first(*host_, device()), second(*host_, device()), third(*host_, device());
	const uint32_t id = first.bind(iommufd);
	second.bind(iommufd);
	third.bind(iommufd);
	const HwInfo info = iommufd.hwInfo(id);
	EXPECT_GE(info.maxPasidLog2, 16u);
	Hwpt hwpt = iommufd.allocHwpt(ioas, id);
	EXPECT_EQ(first.attach(hwpt, 77), 77u);
	EXPECT_EQ(errorOf([&] { second.attach(hwpt, 77); }), EBUSY);
	EXPECT_NE(line_.find("PASID 77"), std::string::npos) << line_;
	EXPECT_NE(errorOf([&] { second.attach(hwpt, 0); }), 0);
	EXPECT_EQ(errorOf([&] { second.attach(hwpt, 1u << 20); }), EINVAL);
	EXPECT_NE(line_.find("1 to 65535"), std::string::npos) << line_;
	const uint32_t any = second.attach(hwpt), other = third.attach(hwpt);
	EXPECT_NE(any, 77u);
	EXPECT_NE(any, other);
	EXPECT_GT(any, 0u);
	first.detach();
	second.detach();
	EXPECT_EQ(second.attach(hwpt, 77), 77u) << "free again";
	EXPECT_EQ(errorOf([&] { first.bind(iommufd); }), EINVAL);
	EXPECT_EQ(errorOf([&] { first.start(zip::Direction::Compress); }), EOPNOTSUPP) << line_;
}

TEST_F(HostedTest, NoQueueLeft)
{
	const Accelerator &a = device();
	std::vector<ZipQueue> queues;
	const unsigned free = availableQueues(*host_, a.name);
	ASSERT_LT(free, 5000u);
	for (unsigned i = 0; i < free; i++)
		queues.emplace_back(*host_, a);
	EXPECT_EQ(availableQueues(*host_, a.name), 0u);
	EXPECT_EQ(errorOf([&] { queues.emplace_back(*host_, a); }), EBUSY);
	EXPECT_NE(line_.find(a.name), std::string::npos);
	EXPECT_EQ(Topology::discover(*host_).nearest("zlib", a.node)->name,
		  topology_.accelerators()[a.name == topology_.accelerators()[0].name].name)
		<< "the other device is nearest now";
	queues.pop_back();
	EXPECT_NO_THROW(queues.emplace_back(*host_, a));
	queues.clear();
	EXPECT_EQ(availableQueues(*host_, a.name), free);
}

/* A request that names unmapped memory fails; the next one of the same queue works. */
TEST_F(HostedTest, UnmappedMemoryFailsTheRequest)
{
	Iommufd iommufd(*host_);
	Ioas ioas = iommufd.allocIoas();
	ZipQueue queue(*host_, device());
	Hwpt hwpt = iommufd.allocHwpt(ioas, queue.bind(iommufd));
	queue.attach(hwpt);
	queue.start(zip::Direction::Compress);
	auto *memory = static_cast<std::byte *>(std::aligned_alloc(4096, 16384));
	std::memset(memory, 'x', 16384);
	const uint64_t iova = ioas.map(memory, 8192, DmaAccess::Read);
	const uint64_t out = ioas.map(memory + 8192, 8192, DmaAccess::ReadWrite);
	zip::Request good;
	good.source = iova;
	good.sourceLength = 8192;
	good.destination = out;
	good.destinationLength = 8192;
	zip::Request bad[4] = {good, good, good, good};
	bad[0].source = reinterpret_cast<uintptr_t>(memory);
	bad[1].destination = iova;
	bad[2].destination = 0xdead0000000;
	bad[3].sourceLength = 100000;
	const auto run = [&](const zip::Request &r) {
		zip::Completion c;
		EXPECT_EQ(queue.trySend(r), QueueStatus::Ok);
		EXPECT_TRUE(queue.wait(5000));
		EXPECT_EQ(queue.poll({&c, 1}).count, 1u);
		return c;
	};
	for (const zip::Request &r : bad) {
		EXPECT_FALSE(zip::isSuccess(run(r).status)) << &r - bad;
		EXPECT_EQ(run(good).status, zip::Status::Success);
	}
	EXPECT_EQ(memory[0], std::byte{'x'}) << "read-only memory was written";
	EXPECT_EQ(ioas.unmap(out, 8192), 8192u);
	EXPECT_FALSE(zip::isSuccess(run(good).status)) << "unmapped";
	queue.stop();
	EXPECT_EQ(ioas.unmapAll(), 8192u);
	std::free(memory);
}

/* Close a session whose lane is full of requests in flight. */
TEST_F(HostedTest, CloseWithRequestsInFlight)
{
	for (int round = 0; round < 10; round++) {
		ZipSession session(
			*host_, device(),
			sessionOptions(zip::Algorithm::Zlib, zip::Direction::Compress, 1 << 20));
		ZipLane &lane = session.lanes()[0];
		while (const auto slot = lane.acquire())
			ASSERT_EQ(lane.submit(*slot, 1 << 20), QueueStatus::Ok);
	}
}

/*
 * The same with the parts of a session, in each order in which they can go before their Iommufd. No
 * request writes to its memory after that.
 */
TEST_F(HostedTest, CloseInAnyOrderWithRequestsInFlight)
{
	constexpr size_t kInput = 1 << 18, kSize = 2 * kInput;
	struct Free {
		void operator()(std::byte *memory) const { std::free(memory); }
	};
	std::vector<std::unique_ptr<std::byte, Free>> used;
	std::array<unsigned, 3> order{0, 1, 2};

	do {
		used.emplace_back(static_cast<std::byte *>(std::aligned_alloc(4096, kSize)));
		std::byte *memory = used.back().get();
		const Bytes input = noise(kInput);
		Iommufd iommufd(*host_);
		std::optional<Ioas> ioas(iommufd.allocIoas());
		std::optional<ZipQueue> queue(std::in_place, *host_, device());
		std::optional<Hwpt> hwpt(iommufd.allocHwpt(*ioas, queue->bind(iommufd)));
		zip::Request request;

		std::copy(input.begin(), input.end(), memory);
		queue->attach(*hwpt);
		queue->start(zip::Direction::Compress);
		request.source = ioas->map(memory, kInput, DmaAccess::Read);
		request.destination = ioas->map(memory + kInput, kInput, DmaAccess::ReadWrite);
		request.sourceLength = request.destinationLength = kInput;
		for (unsigned i = 0; i < 4; i++)
			ASSERT_EQ(queue->trySend(request), QueueStatus::Ok);
		for (const unsigned part : order) {
			if (part == 0)
				queue.reset();
			else if (part == 1)
				hwpt.reset();
			else
				ioas.reset();
		}
		std::memset(memory, 0x5a, kSize);
	} while (std::next_permutation(order.begin(), order.end()));
	EXPECT_EQ(used.size(), 6u);
	for (const auto &memory : used)
		EXPECT_TRUE(std::all_of(memory.get(), memory.get() + kSize,
					[](std::byte byte) { return byte == std::byte{0x5a}; }));
}

TEST_F(HostedTest, WaitSleepsUntilTheInterrupt)
{
	ZipSession session(*host_, device(),
			   sessionOptions(zip::Algorithm::Zlib, zip::Direction::Compress, 1 << 20));
	ZipLane &lane = session.lanes()[0];
	for (int round = 0; round < 20; round++) {
		const auto slot = lane.acquire();
		ASSERT_EQ(lane.submit(*slot, 1 << 20), QueueStatus::Ok);
		ASSERT_TRUE(lane.wait(5000, 0));
		ZipResult result;
		ASSERT_EQ(lane.poll({&result, 1}).count, 1u);
		lane.release(result.slot);
	}
}

TEST_F(HostedTest, FurtherCallers)
{
	auto *hosted = dynamic_cast<HostedHost *>(host_.get());
	auto caller = hosted->createCaller(1000);
	EXPECT_EQ(caller->open("/dev/none", O_RDWR), -ENOENT);
	{
		ZipSession session(
			*caller, device(),
			sessionOptions(zip::Algorithm::Zlib, zip::Direction::Compress, 4096));
		EXPECT_EQ(inflateAll(zip::Algorithm::Zlib, through(session.lanes()[0], text(4096)),
				     4096),
			  text(4096));
	}
	/* A caller ends while everything is open. */
	const int fd = caller->open(device().devicePath, O_RDWR);
	EXPECT_GE(fd, 0);
	caller.reset();
}

TEST_F(HostedTest, IovaRanges)
{
	Iommufd iommufd(*host_);
	Ioas ioas = iommufd.allocIoas();
	uint64_t alignment = 0;
	EXPECT_EQ(ioas.ranges(&alignment), (std::vector<IovaRange>{{0, UINT64_MAX}}));
	EXPECT_EQ(alignment, 1u);
	ZipQueue queue(*host_, device());
	Hwpt hwpt = iommufd.allocHwpt(ioas, queue.bind(iommufd));
	const auto ranges = ioas.ranges(&alignment);
	EXPECT_EQ(alignment, 4096u);
	ASSERT_FALSE(ranges.empty());
	EXPECT_LT(ranges.back().last, UINT64_MAX);
	static std::byte byte;
	EXPECT_EQ(errorOf([&] { ioas.mapFixed(&byte, 4096, UINT64_MAX - 8191, DmaAccess::Read); }),
		  EINVAL);
	EXPECT_EQ(errorOf([&] { ioas.unmap(4096, 4096); }), ENOENT);
	EXPECT_EQ(ioas.unmapAll(), 0u);
}

/* ---- C API ---- */

namespace
{

/** A stream cut into parts of @piece bytes. @return status of the last part */
int runStream(wd_queue &q, const Bytes &in, Bytes &out, size_t piece, uint32_t room)
{
	auto *memory = static_cast<std::byte *>(std::aligned_alloc(4096, 1 << 20));
	EXPECT_EQ(wd_mem_share(&q, memory, 1 << 20, 0), 0);
	wd_zip_stream *stream = nullptr;
	EXPECT_EQ(wd_zip_stream_open(&q, &stream), 0) << wd_last_error();
	int status = WD_ZIP_OK;
	bool more = false;
	for (size_t at = 0; (at < in.size() || more || in.empty()) && status == WD_ZIP_OK;) {
		const size_t n = std::min(piece, in.size() - at);
		std::copy_n(in.begin() + static_cast<ptrdiff_t>(at), n, memory);
		wd_zip_req r = {};
		r.src = memory;
		r.src_len = static_cast<uint32_t>(n);
		r.dst = memory + (1 << 19);
		r.dst_len = room;
		r.stream = stream;
		r.flush = at + n == in.size() ? WD_ZIP_FINISH : WD_ZIP_SYNC;
		const int error = wd_zip_run(&q, &r, 5000);
		EXPECT_EQ(error, 0) << wd_last_error();
		if (error)
			break;
		const auto *produced = static_cast<std::byte *>(r.dst);
		out.insert(out.end(), produced, produced + r.produced);
		at += r.consumed;
		more = r.more;
		status = r.status;
		if (in.empty() || (!r.consumed && !r.produced))
			break;
	}
	wd_zip_stream_close(stream);
	EXPECT_EQ(wd_mem_unshare(&q, memory, 1 << 20), 0);
	std::free(memory);
	return status;
}

} // namespace

TEST_F(HostedTest, StreamsInPartsOfManySizes)
{
	for (const char *name : {"zlib", "gzip", "deflate"}) {
		SCOPED_TRACE(name);
		const auto algorithm = *zip::algorithmFromName(name);
		wd_queue compress = {}, decompress = {};
		compress.capa.alg = decompress.capa.alg = name;
		decompress.capa.op_type = WD_OP_DECOMPRESS;
		ASSERT_EQ(wd_request_queue(&compress), 0) << wd_last_error();
		ASSERT_EQ(wd_request_queue(&decompress), 0) << wd_last_error();
		for (size_t size : {0ul, 1ul, 70000ul, 500000ul})
			for (size_t piece : {1000ul, 65536ul, 400000ul}) {
				if (size / piece > 200)
					continue;
				SCOPED_TRACE(size);
				SCOPED_TRACE(piece);
				const Bytes in = text(size);
				Bytes packed, plain;
				ASSERT_EQ(runStream(compress, in, packed, piece, 1 << 19),
					  WD_ZIP_OK);
				ASSERT_EQ(inflateAll(algorithm, packed, size), in);
				ASSERT_EQ(runStream(decompress, packed, plain, piece / 3, 10000),
					  WD_ZIP_STREAM_END);
				ASSERT_EQ(plain, in);
			}
		wd_release_queue(&compress);
		wd_release_queue(&decompress);
	}
}

/* "consumed" does not count bytes after the end of the stream. */
TEST_F(HostedTest, ConsumedEndsWithTheStream)
{
	for (const char *name : {"zlib", "gzip", "deflate"}) {
		wd_queue compress = {}, decompress = {};
		compress.capa.alg = decompress.capa.alg = name;
		decompress.capa.op_type = WD_OP_DECOMPRESS;
		ASSERT_EQ(wd_request_queue(&compress), 0) << wd_last_error();
		ASSERT_EQ(wd_request_queue(&decompress), 0) << wd_last_error();
		const Bytes in = text(3000);
		Bytes packed;
		ASSERT_EQ(runStream(compress, in, packed, 4096, 8192), WD_ZIP_OK);
		auto *memory = static_cast<std::byte *>(std::aligned_alloc(4096, 16384));
		ASSERT_EQ(wd_mem_share(&decompress, memory, 16384, 0), 0);
		wd_zip_stream *stream = nullptr;
		ASSERT_EQ(wd_zip_stream_open(&decompress, &stream), 0);
		for (size_t extra : {0ul, 1ul, 2ul, 5ul, 9ul, 100ul})
			for (uint32_t room : {300u, 2999u, 3000u, 3001u, 4096u}) {
				SCOPED_TRACE(testing::Message()
					     << name << ' ' << extra << ' ' << room);
				std::memcpy(memory, packed.data(), packed.size());
				std::memset(memory + packed.size(), 'y', extra);
				wd_zip_stream_reset(stream);
				uint32_t used = 0, produced = 0;
				wd_zip_req r = {};
				do {
					r.src = memory + used;
					r.src_len =
						static_cast<uint32_t>(packed.size() + extra) - used;
					r.dst = memory + 8192;
					r.dst_len = room;
					r.stream = stream;
					ASSERT_EQ(wd_zip_run(&decompress, &r, 5000), 0);
					ASSERT_LE(r.status, WD_ZIP_STREAM_END);
					ASSERT_TRUE(r.consumed || r.produced || r.status);
					ASSERT_EQ(std::memcmp(r.dst, in.data() + produced,
							      r.produced),
						  0);
					used += r.consumed;
					produced += r.produced;
				} while (r.status == WD_ZIP_OK);
				EXPECT_EQ(used, packed.size());
				EXPECT_EQ(produced, in.size());
			}
		wd_zip_stream_close(stream);
		std::free(memory);
		wd_release_queue(&compress);
		wd_release_queue(&decompress);
	}
}

TEST_F(HostedTest, SeveralRequestsInFlightByTheCApi)
{
	wd_queue q = {};
	q.capa.alg = "zlib";
	ASSERT_EQ(wd_request_queue(&q), 0) << wd_last_error();
	const size_t size = 64 * 8192;
	auto *memory = static_cast<unsigned char *>(std::aligned_alloc(4096, size));
	std::memset(memory, 'q', size);
	ASSERT_EQ(wd_mem_share(&q, memory, size, 0), 0);
	std::vector<wd_zip_req> requests(32);
	for (size_t i = 0; i < requests.size(); i++) {
		requests[i].src = memory + i * 8192;
		requests[i].src_len = 8192;
		requests[i].dst = memory + (32 + i) * 8192;
		requests[i].dst_len = 8192;
		ASSERT_EQ(wd_send(&q, &requests[i]), 0);
	}
	for (size_t i = 0; i < requests.size(); i++) {
		void *done = nullptr;
		ASSERT_EQ(wd_recv_sync(&q, &done, 5000), 0) << wd_last_error();
		EXPECT_EQ(done, &requests[i]);
		EXPECT_EQ(requests[i].status, WD_ZIP_OK);
		EXPECT_EQ(requests[i].consumed, 8192u);
		EXPECT_GT(requests[i].produced, 0u);
	}
	/* A buffer that is not shared gives an error status and does not end the process. */
	std::vector<unsigned char> stranger(8192);
	requests[0].src = stranger.data();
	ASSERT_EQ(wd_zip_run(&q, &requests[0], 5000), 0);
	EXPECT_EQ(requests[0].status, WD_ZIP_NOT_SHARED);
	wd_release_queue(&q);
	std::free(memory);
}

TEST_F(HostedTest, SharedAddressSpaceOfTwoDevices)
{
	wd_as *as = nullptr;
	ASSERT_EQ(wd_as_open(nullptr, &as), 0) << wd_last_error();
	auto *memory = static_cast<unsigned char *>(std::aligned_alloc(4096, 16384));
	std::memset(memory, 'z', 16384);
	ASSERT_EQ(wd_as_share(as, memory, 16384, 0), 0);
	wd_queue q[2] = {};
	for (int i = 0; i < 2; i++) {
		q[i].capa.alg = "zlib";
		q[i].as = as;
		std::snprintf(q[i].dev_path, sizeof(q[i].dev_path), "/dev/hisi_zip-%d", i);
		ASSERT_EQ(wd_request_queue(&q[i]), 0) << wd_last_error();
		wd_zip_req r = {};
		r.src = memory;
		r.src_len = 4096;
		r.dst = memory + 8192;
		r.dst_len = 8192;
		ASSERT_EQ(wd_zip_run(&q[i], &r, 5000), 0);
		EXPECT_EQ(r.status, WD_ZIP_OK);
	}
	wd_as_close(as);
	wd_release_queue(&q[0]);
	wd_release_queue(&q[1]);
	std::free(memory);
}

/* In mode "sva" plain pointers work, without an address space and without sharing. */
TEST_F(HostedTest, SharedAddressesInCpp)
{
	const Accelerator &a = device();
	EXPECT_EQ(a.dmaMode, "sva");
	EXPECT_EQ(a.dmaModes, (std::vector<std::string>{"sva", "pinned", "iommufd"}));
	Bytes in = text(20000), out(20000);
	ZipQueue queue(*host_, a);
	EXPECT_EQ(errorOf([&] { queue.start(zip::Direction::Compress, DmaMode::Pinned); }),
		  EOPNOTSUPP);
	EXPECT_NE(line_.find("echo pinned >"), std::string::npos) << line_;
	queue.start(zip::Direction::Compress, DmaMode::Sva);
	zip::Request request;
	request.algorithm = zip::Algorithm::Deflate;
	request.source = reinterpret_cast<uintptr_t>(in.data());
	request.sourceLength = static_cast<uint32_t>(in.size());
	request.destination = reinterpret_cast<uintptr_t>(out.data());
	request.destinationLength = static_cast<uint32_t>(out.size());
	ASSERT_EQ(queue.trySend(request), QueueStatus::Ok);
	ASSERT_TRUE(queue.wait(10000));
	zip::Completion done;
	ASSERT_EQ(queue.poll({&done, 1}).count, 1u);
	EXPECT_TRUE(zip::isSuccess(done.status));
	EXPECT_EQ(inflateAll(zip::Algorithm::Deflate, {out.data(), done.produced}, in.size()), in);
}

TEST_F(HostedTest, SharedAddressesInC)
{
	Bytes in = text(20000), out(20000);
	wd_zip_req r = {};
	wd_queue q = {};
	q.capa.alg = "deflate";
	q.mode = 7;
	EXPECT_EQ(wd_request_queue(&q), -EINVAL);
	q.mode = WD_MODE_SVA;
	q.pasid = 5;
	EXPECT_EQ(wd_request_queue(&q), -EINVAL);
	q.pasid = 0;
	ASSERT_EQ(wd_request_queue(&q), 0) << wd_last_error();
	EXPECT_EQ(wd_mem_share(&q, in.data(), in.size(), 0), 0) << "nothing to do";
	EXPECT_EQ(wd_mem_share(&q, in.data(), 0, 0), -EINVAL);
	r.src = in.data();
	r.src_len = static_cast<unsigned>(in.size());
	r.dst = out.data();
	r.dst_len = static_cast<unsigned>(out.size());
	ASSERT_EQ(wd_zip_run(&q, &r, 5000), 0);
	EXPECT_EQ(r.status, WD_ZIP_OK);
	EXPECT_EQ(inflateAll(zip::Algorithm::Deflate, {out.data(), r.produced}, in.size()), in);
	wd_release_queue(&q);

	/* The C interface takes the nearest device, which is that of device(). */
	const std::string path = device().sysfsPath + "/dma_mode";
	std::snprintf(q.dev_path, sizeof(q.dev_path), "%s", device().devicePath.c_str());
	EXPECT_EQ(host_->sysfsWrite(path, "pinned"), 0);
	EXPECT_EQ(wd_request_queue(&q), -EOPNOTSUPP) << "not in this mode any more";
	q.mode = WD_MODE_PINNED;
	ASSERT_EQ(wd_request_queue(&q), 0) << wd_last_error();
	ASSERT_EQ(wd_mem_share(&q, in.data(), in.size(), WD_MEM_READ), 0) << wd_last_error();
	ASSERT_EQ(wd_mem_share(&q, out.data(), out.size(), 0), 0) << wd_last_error();
	ASSERT_EQ(wd_zip_run(&q, &r, 5000), 0);
	EXPECT_EQ(r.status, WD_ZIP_OK);
	EXPECT_EQ(wd_mem_unshare(&q, in.data(), in.size()), 0);
	EXPECT_EQ(wd_mem_unshare(&q, in.data(), in.size()), -ENOENT);
	wd_release_queue(&q);
	EXPECT_EQ(host_->sysfsWrite(path, "sva"), 0);
}
