// SPDX-License-Identifier: Apache-2.0
/*
 * Time from the doorbell store to the visible completion. The requests name an unknown algorithm,
 * so that only the handling of queues is measured, not compression. One queue is busy; 0, 1000 or
 * 4000 other queues of four functions are started and idle. All are on one engine thread. Counters
 * are nanoseconds. This program and the engine thread need a processor each: on a busy machine only
 * p10 shows the model, and the other percentiles show the scheduler.
 */
#include <algorithm>
#include <atomic>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/shared_words.h"
#include "machine/direct_route.h"
#include "machine/engine_pool.h"
#include "machine/zip_function.h"

namespace
{

using namespace wd::machine;

/** One buffer: physical address = offset. */
class FlatMemory : public PhysicalMemory
{
public:
	explicit FlatMemory(size_t size) : bytes_(static_cast<char *>(calloc(1, size))), size_(size)
	{
	}
	~FlatMemory() override { free(bytes_); }
	char *at(uint64_t pa) { return bytes_ + pa; }

	bool read(uint64_t pa, void *dst, size_t len) noexcept override
	{
		return inside(pa, len) && memcpy(dst, bytes_ + pa, len);
	}
	bool write(uint64_t pa, const void *src, size_t len) noexcept override
	{
		return inside(pa, len) && memcpy(bytes_ + pa, src, len);
	}
	bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept override
	{
		if (!inside(pa, size))
			return false;
		value = wd::loadShared(bytes(pa), size);
		return true;
	}
	bool store(uint64_t pa, unsigned size, uint64_t value) noexcept override
	{
		if (!inside(pa, size))
			return false;
		wd::storeShared(bytes(pa), size, value);
		return true;
	}
	bool compareExchange(uint64_t, uint64_t &, uint64_t, bool &) noexcept override
	{
		return false;
	}

private:
	std::byte *bytes(uint64_t pa) { return reinterpret_cast<std::byte *>(bytes_ + pa); }
	bool inside(uint64_t pa, size_t len) const { return pa <= size_ && len <= size_ - pa; }

	char *bytes_;
	size_t size_;
};

constexpr unsigned kFunctions = 4, kQueues = 1024, kDepth = 64;
constexpr uint64_t kContext = 0x1000, kRings = 0x10000, kRing = 0x4000, kCq = 0x2000;
constexpr uint64_t kData = kRings + kRing;

struct Bench {
	Bench() : memory(64 << 20), direct(memory), pool(1, direct, direct)
	{
		AcceleratorDescription description;

		for (unsigned i = 0; i < kFunctions; i++)
			functions.push_back(
				std::make_unique<ZipFunction>(description, pool, direct, direct));
		for (auto &function : functions)
			start(*function);
		pool.start();
	}
	~Bench() { pool.stop(); }

	static void reg(ZipFunction &f, uint64_t offset, uint32_t value)
	{
		f.barWrite(2, offset, value, 4);
	}
	static void start(ZipFunction &f)
	{
		f.configWrite(4, 6, 2);
		reg(f, 0x10005c, 0);
		reg(f, 0x100064, 0);
		reg(f, 0x100068, 0x1000 | (kQueues - 1) << 13);
		reg(f, 0x100054, 1);
	}
	void mailbox(ZipFunction &f, unsigned command, unsigned queue, const uint32_t (&words)[8])
	{
		memory.write(kContext, words, 32);
		reg(f, 0x300, command | 0x2000 | queue << 16);
		reg(f, 0x304, kContext);
		reg(f, 0x308, 0);
		reg(f, 0x30c, 0);
		if (f.barRead(2, 0x300, 4) >> 9 & 0x1f) {
			fprintf(stderr, "bench_doorbell: mailbox command failed\n");
			abort();
		}
	}
	/** All idle queues may have the same ring, because they never use it. */
	void startQueue(ZipFunction &f, unsigned queue, uint64_t ring)
	{
		memset(memory.at(ring + kCq), 0, kDepth * 16);
		mailbox(f, 0, queue,
			{0, static_cast<uint32_t>(ring), 0, 0x7000 | (kDepth - 1), 0, 0,
			 queue | 0x10 << 16, 0});
		mailbox(f, 1, queue,
			{0, static_cast<uint32_t>(ring + kCq), 0, 0x4000 | (kDepth - 1), 0, 0, 1,
			 0});
	}

	FlatMemory memory;
	DirectRoute direct;
	EnginePool pool;
	std::vector<std::unique_ptr<ZipFunction>> functions;
};

uint64_t nowNs()
{
	return std::chrono::duration_cast<std::chrono::nanoseconds>(
		       std::chrono::steady_clock::now().time_since_epoch())
		.count();
}

void doorbell(benchmark::State &state, bool shared)
{
	Bench bench;
	ZipFunction &f = *bench.functions[0];
	const unsigned idle = static_cast<unsigned>(state.range(0));

	for (unsigned i = 0; i < idle; i++) {
		const unsigned queue = (i + 1) % kQueues;
		if (i + 1 < kFunctions * kQueues)
			bench.startQueue(*bench.functions[(i + 1) / kQueues], queue, kRings);
	}
	bench.startQueue(f, 0, kRings);
	auto *words = static_cast<std::atomic<uint64_t> *>(f.barShared(1, 0, 4096)->address);
	for (unsigned slot = 0; slot < kDepth; slot++) {
		uint32_t sqe[32] = {};
		sqe[4] = sqe[14] = 64;
		sqe[7] = 3u << 28;
		sqe[9] = 0x40;
		bench.memory.write(kRings + slot * 128, sqe, sizeof(sqe));
	}
	std::vector<uint64_t> times;
	unsigned done = 0;

	times.reserve(1 << 20);
	for (auto _ : state) {
		const unsigned slot = done % kDepth, next = (done + 1) % kDepth;
		const unsigned phase = done / kDepth % 2 == 0;
		const auto *flag = reinterpret_cast<std::byte *>(
			bench.memory.at(kRings + kCq + slot * 16 + 14));
		const uint64_t begin = nowNs();

		if (shared)
			words[0].store(next, std::memory_order_release);
		else
			f.barWrite(4, 0x1000, uint64_t{next} << 32, 8);
		while ((wd::loadShared<uint16_t>(flag) & 1) != phase)
			;
		const uint64_t end = nowNs();

		state.SetIterationTime((end - begin) * 1e-9);
		times.push_back(end - begin);
		if (shared)
			words[1].store(next, std::memory_order_release);
		else
			f.barWrite(4, 0x1000, uint64_t{next} << 32 | 0x1000, 8);
		done++;
	}
	std::sort(times.begin(), times.end());
	state.counters["p10"] = times[times.size() / 10];
	state.counters["p50"] = times[times.size() / 2];
	state.counters["p99"] = times[times.size() * 99 / 100];
}

} // namespace

BENCHMARK_CAPTURE(doorbell, shared, true)->Arg(0)->Arg(1000)->Arg(4000)->UseManualTime();
BENCHMARK_CAPTURE(doorbell, trapped, false)->Arg(0)->Arg(1000)->Arg(4000)->UseManualTime();

BENCHMARK_MAIN();
