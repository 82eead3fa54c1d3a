// SPDX-License-Identifier: Apache-2.0
/*
 * IOAS_MAP and IOAS_UNMAP by several threads at once, on different ranges of one IOAS, and each on
 * an IOAS of its own.
 *
 * Wall time says little on a machine that does other work, too. So the benchmarks count, for each
 * pair of map and unmap: "ran", the processor time of the thread; "blocked", the time in which it
 * slept, and how often: then it waited for a lock longer than it spins for one. The time in
 * which the thread waited for a processor is left out. "cores": so many processors the threads had.
 */
#include <array>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <thread>

#include "ioas_setup.h"

namespace
{

using wd::bench::kAlignment;
using wd::bench::setup;

constexpr unsigned kMaxThreads = 8;
constexpr uint64_t kIova = uint64_t{1} << 32, kIovaStep = uint64_t{1} << 30;

/** Where the time of a thread goes, in nanoseconds, and how often it has slept. */
struct Times {
	double wall, ran, waited, sleeps;
};

Times timesNow()
{
	Times now = {};
	std::ifstream file("/proc/thread-self/schedstat");
	rusage usage = {};

	file >> now.ran >> now.waited;
	getrusage(RUSAGE_THREAD, &usage);
	now.sleeps = static_cast<double>(usage.ru_nvcsw);
	now.wall = static_cast<double>(std::chrono::steady_clock::now().time_since_epoch() /
				       std::chrono::nanoseconds(1));
	return now;
}

/** Give each thread a processor, as long as there are enough. */
void pinTo(unsigned thread)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(thread % std::thread::hardware_concurrency(), &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/** IOAS number @index of those with large pages, or of those with only small ones. */
uint32_t ioasAt(bool small, unsigned index)
{
	using List = std::array<uint32_t, kMaxThreads>;
	static const std::array<List, 2> all = [] {
		std::array<List, 2> made = {};
		for (const bool only : {false, true})
			for (uint32_t &one : made[only])
				one = setup().allocAttached(only);
		return made;
	}();
	return all[small].at(index);
}

/** Memory of one thread, aligned and touched, and where it is mapped. */
class Lane
{
public:
	Lane(const benchmark::State &state)
		: length_(static_cast<size_t>(state.range(0))),
		  base_(mmap(nullptr, length_ + kAlignment, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
	{
		const auto thread = static_cast<unsigned>(state.thread_index());

		ioas = ioasAt(state.range(1), state.range(2) ? thread : 0);
		iova = kIova + thread * kIovaStep;
		memset(address(), 1, length_);
		pinTo(thread);
	}
	~Lane() { munmap(base_, length_ + kAlignment); }
	Lane(const Lane &) = delete;
	Lane &operator=(const Lane &) = delete;
	void *address() const
	{
		const uint64_t at = reinterpret_cast<uint64_t>(base_);

		return reinterpret_cast<void *>((at + kAlignment - 1) & ~(kAlignment - 1));
	}
	size_t length() const { return length_; }

	uint32_t ioas;
	uint64_t iova;

private:
	size_t length_;
	void *base_;
};

/** Run @body again and again, and count where the time goes. */
template <class Body>
void measure(benchmark::State &state, Body body)
{
	Times begin = {};
	bool first = true;

	for (auto _ : state) {
		/* The loop begins when all threads are there. */
		if (first)
			begin = timesNow();
		first = false;
		body();
	}
	const Times end = timesNow();
	const double count = static_cast<double>(state.iterations());
	const double ran = end.ran - begin.ran, waited = end.waited - begin.waited;
	const double blocked = end.wall - begin.wall - ran - waited;
	/* Each is the mean of the threads, but for the processors. */
	using benchmark::Counter;
	state.counters["ran_ns"] = Counter(ran / count, Counter::kAvgThreads);
	state.counters["cores"] = Counter(ran / (end.wall - begin.wall));
	state.counters["sleeps"] =
		Counter((end.sleeps - begin.sleeps) / count, Counter::kAvgThreads);
	state.counters["blocked_ns"] = Counter(blocked / count, Counter::kAvgThreads);
}

/** @range: bytes; only pages of 4 KiB in the table; whether each thread has an IOAS of its own. */
void mapUnmapThreads(benchmark::State &state)
{
	const Lane lane(state);

	measure(state, [&] {
		setup().mapFixed(lane.ioas, lane.address(), lane.length(), lane.iova);
		setup().unmap(lane.ioas, lane.iova, lane.length());
	});
}
BENCHMARK(mapUnmapThreads)
	->ArgsProduct({{4 << 10, 64 << 10, 2 << 20}, {0, 1}, {0, 1}})
	->ArgNames({"bytes", "small", "own"})
	->Threads(1)
	->Threads(2)
	->Threads(4)
	->UseRealTime();

/** Map only, the same memory at one address after the other. */
void mapThreads(benchmark::State &state)
{
	Lane lane(state);
	const uint64_t first = lane.iova;

	measure(state, [&] {
		setup().mapFixed(lane.ioas, lane.address(), lane.length(), lane.iova);
		lane.iova += lane.length();
	});
	setup().unmap(lane.ioas, first, lane.iova - first);
}
BENCHMARK(mapThreads)
	->ArgsProduct({{4 << 10, 64 << 10}, {0}, {0, 1}})
	->ArgNames({"bytes", "small", "own"})
	->Threads(1)
	->Threads(2)
	->Threads(4)
	->Iterations(16000)
	->UseRealTime();

} // namespace

BENCHMARK_MAIN();
