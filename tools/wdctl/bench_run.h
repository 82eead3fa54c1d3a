/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measurement of `wdctl bench`: compress and decompress a file in blocks through N queues, and
 * the same blocks on the CPU. It prints nothing.
 */
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "progress.h"
#include "wd/accelerator.h"
#include "wd/any_host.h"
#include "wd/sqe.h"

namespace wdctl
{

struct BenchOptions {
	std::string input;
	std::string device; /**< empty = nearest */
	std::string algorithm = "zlib";
	unsigned queues = 1;
	unsigned depth = 8;
	size_t block = 64 << 10;
	double seconds = 3; /**< per direction, after one pass that verifies */
	ProgressMode progress = ProgressMode::Auto;
};

/** One direction of one contender. */
struct Rate {
	uint64_t bytes = 0; /**< uncompressed bytes in the measured time */
	double seconds = 0;
	double megabytesPerSecond() const
	{
		return seconds > 0 ? double(bytes) / seconds / 1e6 : 0;
	}
};

struct QueueRate : Rate {
	uint64_t requests = 0;
	uint64_t p50Ns = 0, p99Ns = 0;
};

/** Compression and decompression by one contender that is no accelerator. */
struct CpuRate {
	std::string name;
	Rate compress, decompress;
	uint64_t compressedBytes = 0; /**< of one pass over the file */
};

struct BenchReport {
	std::string host, device;
	std::vector<uint32_t> pasids;
	uint64_t fileBytes = 0, compressedBytes = 0;
	uint64_t blocks = 0;
	QueueRate compress, decompress;
	std::vector<CpuRate> cpu;
	double ratio() const
	{
		return compressedBytes ? double(fileBytes) / double(compressedBytes) : 0;
	}
};

/** The largest file, in bytes: memory holds it, and its compressed form. */
constexpr uint64_t kMaxFile = 1ull << 30;

/**
 * Run everything, and compare each byte: a wrong byte is an error, not a bad figure.
 * @throws wd::Error
 */
BenchReport runBench(wd::Host &host, const BenchOptions &options);

} // namespace wdctl
