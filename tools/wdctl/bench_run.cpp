// SPDX-License-Identifier: Apache-2.0
/*
 * One thread drives all queues: in turn it fills each lane and takes its results. Each direction
 * starts with one pass that is checked and not measured, then runs for the requested time.
 */
#include "bench_run.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "cpu_codec.h"
#include "histogram.h"
#include "wd/error.h"
#include "wd/zip_session.h"

namespace wdctl
{
namespace
{

using Clock = std::chrono::steady_clock;
using Block = std::span<const std::byte>;

/** The smallest output buffer that a session accepts, in bytes. */
constexpr size_t kSmallestOutput = 64;
/** Bytes of each slot's input buffer. It is not used, because the blocks lie in shared memory. */
constexpr size_t kUnusedInput = 64;

double secondsSince(Clock::time_point start)
{
	return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] void failFile(const std::string &path, int error, const char *tried,
			   const char *remedy)
{
	throw wd::Error(error, path, tried, remedy);
}

std::vector<std::byte> readFile(const std::string &path)
{
	int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		failFile(path, errno, "read the input file", "name a file that you may read");
	struct stat status {
	};

	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		failFile(path, EINVAL, "read the input file", "name a regular file");
	}
	if (status.st_size == 0 || static_cast<uint64_t>(status.st_size) > kMaxFile) {
		close(fd);
		failFile(path, EINVAL,
			 status.st_size ? "read the input file, larger than 1 GiB"
					: "read the input file, which is empty",
			 "name a file of 1 byte to 1 GiB");
	}
	std::vector<std::byte> bytes(static_cast<size_t>(status.st_size));
	size_t done = 0;

	while (done < bytes.size()) {
		ssize_t got = read(fd, bytes.data() + done, bytes.size() - done);

		if (got <= 0) {
			int error = got ? errno : EIO;

			close(fd);
			failFile(path, error, "read the input file", "check the file system");
		}
		done += static_cast<size_t>(got);
	}
	close(fd);
	return bytes;
}

std::vector<Block> split(Block file, size_t block)
{
	std::vector<Block> blocks;

	for (size_t at = 0; at < file.size(); at += block)
		blocks.push_back(file.subspan(at, std::min(block, file.size() - at)));
	return blocks;
}

/** Sends blocks through every lane of a session and hands each result to a check. */
class Driver
{
public:
	Driver(wd::ZipSession &session, std::span<const Block> blocks, const std::string &device)
		: session_(session),
		  blocks_(blocks),
		  device_(device)
	{
	}

	/** Send each block once, and call @check(index, result) for it. */
	template <typename Check>
	void pass(Check &&check, Progress &progress)
	{
		const auto start = Clock::now();

		finished_ = 0;
		limit_ = blocks_.size();
		next_ = 0;
		while (finished_ < limit_) {
			pump(check);
			progress.update(double(finished_) / double(limit_));
		}
		rate_ = double(finished_) / std::max(secondsSince(start), 1e-9);
	}

	/**
	 * Send blocks again and again for @seconds, at least one; @check as above. It sends only
	 * blocks whose results can come in time, so a short run does not fill deep queues.
	 * @return seconds until the last result
	 */
	template <typename Check>
	double timed(double seconds, Check &&check, Progress &progress)
	{
		const auto start = Clock::now();
		double elapsed = 0;

		finished_ = 0;
		next_ = 0;
		while ((elapsed = secondsSince(start)) < seconds || !finished_) {
			const double rate =
				finished_ ? std::min(rate_, double(finished_) / elapsed) : rate_;

			/*
			 * At least one in flight, so that even a run of 0 seconds measures
			 * something.
			 */
			limit_ = finished_ +
				 std::max<uint64_t>(
					 1, uint64_t(rate * std::max(seconds - elapsed, 0.0)));
			pump(check);
			progress.update(seconds > 0 ? elapsed / seconds : 0);
		}
		limit_ = next_; /* send no more; wait for requests in flight */
		while (finished_ < limit_)
			pump(check);
		return secondsSince(start);
	}

private:
	template <typename Check>
	void pump(Check &check)
	{
		bool progressed = false;

		for (auto &lane : session_.lanes()) {
			progressed |= fill(lane);
			auto taken = lane.poll(results_);

			if (taken.status != wd::QueueStatus::Ok)
				throw wd::Error(EIO, device_,
						fmt::format("take results at PASID {}: {}",
							    lane.pasid(),
							    wd::queueStatusText(taken.status)),
						"run the command again");
			for (unsigned i = 0; i < taken.count; i++) {
				check(results_[i].user % blocks_.size(), results_[i]);
				lane.release(results_[i].slot);
				finished_++;
			}
			progressed |= taken.count != 0;
		}
		if (!progressed && !session_.lanes().empty())
			stall();
	}

	/** Nothing to send and no result: wait in the kernel for the oldest lane. */
	void stall()
	{
		for (auto &lane : session_.lanes()) {
			if (!lane.inFlight())
				continue;
			if (!lane.wait(kStallMs))
				throw wd::Error(
					ETIMEDOUT, device_,
					fmt::format("wait for a result at PASID {}", lane.pasid()),
					"run the command again");
			return;
		}
	}

	bool fill(wd::ZipLane &lane)
	{
		bool sent = false;

		while (next_ < limit_) {
			auto slot = lane.acquire();

			if (!slot)
				break;
			auto status =
				lane.submitFrom(*slot, blocks_[next_ % blocks_.size()], next_);

			if (status != wd::QueueStatus::Ok) {
				lane.release(*slot);
				if (status == wd::QueueStatus::Full)
					break;
				throw wd::Error(EIO, device_,
						fmt::format("send at PASID {}: {}", lane.pasid(),
							    wd::queueStatusText(status)),
						"run the command again");
			}
			next_++;
			sent = true;
		}
		return sent;
	}

	static constexpr int kStallMs = 10000;
	wd::ZipSession &session_;
	std::span<const Block> blocks_;
	const std::string &device_;
	std::array<wd::ZipResult, 64> results_;
	uint64_t next_ = 0, limit_ = 0, finished_ = 0;
	double rate_ = 0; /**< blocks per second of the last pass() */
};

[[noreturn]] void failBlock(const std::string &device, const char *tried, uint64_t index,
			    wd::zip::Status status)
{
	throw wd::Error(EIO, device,
			fmt::format("{} block {}: {}", tried, index, wd::zip::statusText(status)),
			"report this with the input file");
}

[[noreturn]] void failDifferent(const std::string &device, uint64_t index)
{
	throw wd::Error(EBADMSG, device, fmt::format("compare block {} byte for byte", index),
			"report this with the input file");
}

/** A session for one direction with its inputs in @memory. */
std::unique_ptr<wd::ZipSession> openSession(wd::Host &host, const wd::Accelerator &accelerator,
					    const BenchOptions &options,
					    wd::zip::Direction direction, size_t outputSize,
					    Block memory)
{
	const std::string object =
		fmt::format("{} queues of depth {}", options.queues, options.depth);
	wd::ZipSessionOptions wanted;

	requireMemory(uint64_t{options.queues} * options.depth * (kUnusedInput + outputSize),
		      object, "use fewer, or a smaller --block");
	wanted.algorithm = *wd::zip::algorithmFromName(options.algorithm);
	wanted.direction = direction;
	wanted.queues = options.queues;
	wanted.depth = options.depth;
	wanted.inputSize = kUnusedInput;
	wanted.outputSize = outputSize;
	auto session = std::make_unique<wd::ZipSession>(host, accelerator, wanted);

	session->share(memory);
	return session;
}

/** All blocks of the file, compressed, and where each is. */
struct Compressed {
	std::vector<std::byte> bytes;
	std::vector<Block> blocks;
	uint64_t total = 0;
};

QueueRate measure(Driver &driver, double seconds, std::span<const Block> originals,
		  const std::string &device, const char *tried, Progress &progress,
		  const std::vector<size_t> &expected)
{
	Histogram latency;
	QueueRate rate;

	rate.seconds = driver.timed(
		seconds,
		[&](uint64_t index, const wd::ZipResult &result) {
			if (!result.ok())
				failBlock(device, tried, index, result.status);
			if (result.output.size() != expected[index])
				failDifferent(device, index);
			rate.bytes += originals[index].size();
			rate.requests++;
			latency.add(static_cast<uint64_t>(result.latency.count()));
		},
		progress);
	rate.p50Ns = latency.quantile(0.50);
	rate.p99Ns = latency.quantile(0.99);
	return rate;
}

Compressed compressAll(wd::Host &host, const wd::Accelerator &accelerator,
		       const BenchOptions &options, std::span<const Block> blocks, Block file,
		       Progress &progress, BenchReport &report)
{
	Compressed out;
	size_t bound = wd::ZipSession::bound(options.block);
	auto session =
		openSession(host, accelerator, options, wd::zip::Direction::Compress, bound, file);
	Driver driver(*session, blocks, accelerator.name);
	std::vector<std::vector<std::byte>> parts(blocks.size());
	std::vector<size_t> sizes(blocks.size());

	for (auto &lane : session->lanes())
		report.pasids.push_back(lane.pasid());
	progress.phase("compress: first pass");
	driver.pass(
		[&](uint64_t index, const wd::ZipResult &result) {
			if (!result.ok())
				failBlock(accelerator.name, "compress", index, result.status);
			parts[index].assign(result.output.begin(), result.output.end());
		},
		progress);
	for (size_t i = 0; i < parts.size(); i++)
		out.total += sizes[i] = parts[i].size();
	progress.phase("compress");
	report.compress = measure(driver, options.seconds, blocks, accelerator.name, "compress",
				  progress, sizes);
	out.bytes.reserve(out.total);
	for (const auto &part : parts)
		out.bytes.insert(out.bytes.end(), part.begin(), part.end());
	for (size_t i = 0, at = 0; i < parts.size(); at += sizes[i++])
		out.blocks.push_back(Block(out.bytes).subspan(at, sizes[i]));
	return out;
}

void decompressAll(wd::Host &host, const wd::Accelerator &accelerator, const BenchOptions &options,
		   std::span<const Block> blocks, const Compressed &compressed, Progress &progress,
		   BenchReport &report)
{
	auto session = openSession(host, accelerator, options, wd::zip::Direction::Decompress,
				   std::max(options.block, kSmallestOutput), compressed.bytes);
	Driver driver(*session, compressed.blocks, accelerator.name);
	std::vector<size_t> sizes(blocks.size());

	progress.phase("decompress: first pass");
	driver.pass(
		[&](uint64_t index, const wd::ZipResult &result) {
			if (!result.ok())
				failBlock(accelerator.name, "decompress", index, result.status);
			if (result.output.size() != blocks[index].size() ||
			    std::memcmp(result.output.data(), blocks[index].data(),
					blocks[index].size()) != 0)
				failDifferent(accelerator.name, index);
		},
		progress);
	for (size_t i = 0; i < sizes.size(); i++)
		sizes[i] = blocks[i].size();
	progress.phase("decompress");
	report.decompress = measure(driver, options.seconds, blocks, accelerator.name, "decompress",
				    progress, sizes);
}

/** The same blocks on this thread. As for the accelerator, the first pass is checked. */
CpuRate measureCpu(CpuCodec &codec, std::span<const Block> blocks, const BenchOptions &options,
		   Progress &progress)
{
	CpuRate rate;
	std::vector<std::byte> out(wd::ZipSession::bound(options.block)), back(options.block);
	std::vector<std::vector<std::byte>> parts(blocks.size());
	auto compress = [&](size_t i) {
		size_t size = codec.compress(blocks[i], out);

		if (!size)
			failBlock(codec.name(), "compress", i, wd::zip::Status::OutputTooSmall);
		return size;
	};
	auto decompress = [&](size_t i) {
		if (codec.decompress(parts[i], back) != blocks[i].size())
			failDifferent(codec.name(), i);
	};
	auto timed = [&](Rate &into, auto &&work) {
		auto start = Clock::now();

		for (size_t i = 0; !into.bytes || into.seconds < options.seconds;
		     i = (i + 1) % blocks.size()) {
			work(i);
			into.bytes += blocks[i].size();
			into.seconds = secondsSince(start);
			progress.update(options.seconds > 0 ? into.seconds / options.seconds : 1);
		}
	};

	rate.name = codec.name();
	progress.phase(rate.name + ": compress");
	for (size_t i = 0; i < blocks.size(); i++) {
		size_t size = compress(i);

		parts[i].assign(out.begin(), out.begin() + static_cast<ptrdiff_t>(size));
		rate.compressedBytes += size;
		decompress(i);
		if (std::memcmp(back.data(), blocks[i].data(), blocks[i].size()) != 0)
			failDifferent(codec.name(), i);
	}
	timed(rate.compress, compress);
	progress.phase(rate.name + ": decompress");
	timed(rate.decompress, decompress);
	return rate;
}

} // namespace

BenchReport runBench(wd::Host &host, const BenchOptions &options)
{
	if (!wd::zip::algorithmFromName(options.algorithm))
		throw wd::Error(EINVAL, options.algorithm, "use it as an algorithm",
				"name one of zlib, gzip, deflate");
	auto file = readFile(options.input);
	auto blocks = split(file, options.block);
	auto topology = wd::Topology::discover(host);
	const auto &accelerator = options.device.empty()
					  ? topology.require(options.algorithm, topology.here())
					  : topology.get(options.device);

	if (!accelerator.supports(options.algorithm))
		throw wd::Error(EINVAL, accelerator.name, "use algorithm " + options.algorithm,
				"name one that wdctl topology lists for it");
	Progress progress(options.progress);
	BenchReport report;

	report.host = host.kind();
	report.device = accelerator.name;
	report.fileBytes = file.size();
	report.blocks = blocks.size();
	auto compressed = compressAll(host, accelerator, options, blocks, file, progress, report);

	report.compressedBytes = compressed.total;
	decompressAll(host, accelerator, options, blocks, compressed, progress, report);
	for (auto &codec : cpuCodecs(*wd::zip::algorithmFromName(options.algorithm)))
		report.cpu.push_back(measureCpu(*codec, blocks, options, progress));
	return report;
}

} // namespace wdctl
