// SPDX-License-Identifier: Apache-2.0
/*
 * A page fault of the accelerator from end to end. Software sends a request whose input page is
 * missing. The unit puts a page request into its queue and raises an interrupt. Software maps the
 * page and sends a page group response. Then the waiting queue runs the request. Software is the
 * only thread of this program; it polls. Counters are nanoseconds: "request" from the doorbell to
 * the interrupt, "resume" from the response descriptor to the completion. "present" is the same
 * request without a fault. For these two, this thread and the engine's need a processor each: on a
 * busy machine they measure the scheduler. The other benchmarks use one thread: "unitOnly" is the
 * unit's part of a fault, without the engine.
 */
#include <algorithm>
#include <atomic>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/shared_words.h"
#include "machine/direct_route.h"
#include "machine/engine_pool.h"
#include "machine/iommu_unit.h"
#include "machine/zip_function.h"

namespace
{

using namespace wd::machine;

/** One buffer: physical address = offset. */
class FlatMemory final : public PhysicalMemory
{
public:
	explicit FlatMemory(size_t size) : words_(size / 8) {}
	bool read(uint64_t pa, void *dst, size_t len) noexcept override
	{
		return fits(pa, len) && std::memcpy(dst, bytes() + pa, len);
	}
	bool write(uint64_t pa, const void *src, size_t len) noexcept override
	{
		return fits(pa, len) && std::memcpy(bytes() + pa, src, len);
	}
	bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept override
	{
		if (!fits(pa, size))
			return false;
		value = wd::loadShared(bytes() + pa, size);
		return true;
	}
	bool store(uint64_t pa, unsigned size, uint64_t value) noexcept override
	{
		if (!fits(pa, size))
			return false;
		wd::storeShared(bytes() + pa, size, value);
		return true;
	}
	bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
			     bool &exchanged) noexcept override
	{
		if (!fits(pa, 8))
			return false;
		exchanged = wd::exchangeShared(bytes() + pa, expected, desired);
		return true;
	}
	std::byte *bytes() { return reinterpret_cast<std::byte *>(words_.data()); }

private:
	bool fits(uint64_t pa, size_t len) const
	{
		return pa <= words_.size() * 8 && len <= words_.size() * 8 - pa;
	}

	std::vector<uint64_t> words_;
};

class Sink : public InterruptSink
{
public:
	void signal(unsigned vector) noexcept override { counts[vector]++; }
	std::atomic<uint64_t> counts[4]{};
};

uint64_t nowNs()
{
	return std::chrono::duration_cast<std::chrono::nanoseconds>(
		       std::chrono::steady_clock::now().time_since_epoch())
		.count();
}

constexpr Rid kRid = makeRid(0x75, 0, 0);
constexpr uint32_t kPasid = 5;

/* One queue with PASID 5; its first-stage table maps page n to kData + n pages. */
struct Bench {
	static constexpr uint64_t kRoot = 0x1000, kContext = 0x2000, kDirectory = 0x3000;
	static constexpr uint64_t kPasids = 0x4000, kTables = 0x5000, kCommands = 0xa000;
	static constexpr uint64_t kRequests = 0xb000, kSqc = 0xc000, kRing = 0x10000;
	static constexpr uint64_t kCq = 0x14000, kStatus = 0x18000, kData = 0x20000;
	static constexpr unsigned kDepth = 64;
	static constexpr uint64_t kIn = 0, kOut = 0x1000;

	Bench()
		: memory(8 << 20),
		  unit(IommuCapabilities::defaults(), memory),
		  direct(memory),
		  pool(1, unit, direct),
		  zip({}, pool, unit, direct)
	{
		setTables();
		setUnit();
		setFunction();
		unit.setInterruptSink(&sink);
		pool.start();
	}
	~Bench()
	{
		pool.stop();
		unit.setInterruptSink(nullptr);
	}

	void put(uint64_t pa, uint64_t value) { memory.store(pa, 8, value); }
	uint64_t get(uint64_t pa)
	{
		uint64_t value = 0;

		memory.load(pa, 8, value);
		return value;
	}
	void setTables()
	{
		put(kRoot + (kRid.value >> 8) * 16, kContext | 1);
		put(kContext, kDirectory | 0x1d);
		put(kDirectory, kPasids | 1);
		put(kPasids + 8, 1);
		put(kPasids, 4 << 6 | 1);
		put(kPasids + kPasid * 64 + 8, 2 | 1 << 23);
		put(kPasids + kPasid * 64 + 16, kTables);
		put(kPasids + kPasid * 64, 1 << 6 | 1);
		for (uint64_t level = 0; level < 3; level++)
			put(kTables + level * 4096, (kTables + (level + 1) * 4096) | 0x27);
		map(kIn);
		map(kOut);
	}
	void map(uint64_t address)
	{
		put(kTables + 3 * 4096 + address / 512, (kData + address) | 0x67);
	}
	void unmap(uint64_t address)
	{
		put(kTables + 3 * 4096 + address / 512, 0);
		command(6 | 3 << 4 | 2 << 16 | uint64_t{kPasid} << 32, address);
		command(8 | uint64_t{kRid.value} << 16 | uint64_t{kPasid} << 32, address);
		submit();
	}
	void command(uint64_t q0, uint64_t q1)
	{
		put(kCommands + tail, q0);
		put(kCommands + tail + 8, q1);
		tail = (tail + 32) % 4096;
	}
	void submit() { unit.barWrite(0, 0x88, tail, 4); }
	void setUnit()
	{
		unit.configWrite(pci::kCommand, pci::kCommandMaster, 2);
		for (unsigned at = unit.configRead(pci::kCapabilityPointer, 1); at;
		     at = unit.configRead(at + 1, 1))
			if (unit.configRead(at, 1) == pci::kCapMsix)
				unit.configWrite(at + 2, 0x8000, 2);
		unit.barWrite(0, 0x20, kRoot | 1 << 10, 8);
		unit.barWrite(0, 0x18, 1u << 30, 4);
		unit.barWrite(0, 0x90, kCommands | 1 << 11, 8);
		unit.barWrite(0, 0xd0, kRequests, 8);
		unit.barWrite(0, 0xe0, 0, 4);
		unit.barWrite(0, 0x18, 1u << 26, 4);
		unit.barWrite(0, 0x18, 1u << 31 | 1u << 26, 4);
	}
	void reg(uint64_t offset, uint32_t value) { zip.barWrite(2, offset, value, 4); }
	void mailbox(unsigned command, const uint32_t (&words)[8])
	{
		memory.write(kSqc, words, 32);
		reg(0x300, command | 0x2000);
		reg(0x304, kSqc);
		reg(0x308, 0);
		reg(0x30c, 0);
		if (zip.barRead(2, 0x300, 4) >> 9 & 0x1f)
			abort();
	}
	void setFunction()
	{
		zip.configWrite(4, 6, 2);
		for (unsigned at = zip.configRead(pci::kCapabilityPointer, 1); at;
		     at = zip.configRead(at + 1, 1))
			if (zip.configRead(at, 1) == pci::kCapVendor)
				zip.configWrite(at + 0xc, 0x10000 | kRid.value, 4);
		for (unsigned at = 0x100; at; at = zip.configRead(at, 4) >> 20) {
			const unsigned id = zip.configRead(at, 2);

			if (id == pci::kExtCapAts)
				zip.configWrite(at + 6, 0x8000, 2);
			if (id == pci::kExtCapPri) {
				zip.configWrite(at + 12, 256, 4);
				zip.configWrite(at + 4, 1, 2);
			}
		}
		reg(0x10005c, 0);
		reg(0x100064, 0);
		reg(0x100068, 0x1000 | 1023 << 13);
		reg(0x100054, 1);
		mailbox(0, {0, kRing, 0, 0x7000 | (kDepth - 1), 0, kPasid | 0x80 << 16, 0x10 << 16,
			    0});
		mailbox(1, {0, kCq, 0, 0x4000 | (kDepth - 1), 0, 0, 1, 0});
		uint32_t sqe[32] = {};
		sqe[4] = sqe[14] = 64;
		sqe[7] = 3u << 28;
		sqe[9] = 2 | 4 << 12;
		sqe[18] = kIn;
		sqe[20] = kOut;
		for (unsigned slot = 0; slot < kDepth; slot++)
			memory.write(kRing + slot * 128, sqe, sizeof(sqe));
	}
	/** Rings the next request. */
	void ring()
	{
		done++;
		zip.barWrite(4, 0x1000, uint64_t{done % kDepth} << 32, 8);
	}
	void awaitCompletion()
	{
		const unsigned slot = (done - 1) % kDepth, phase = (done - 1) / kDepth % 2 == 0;
		const std::byte *flag = memory.bytes() + kCq + slot * 16 + 14;

		while ((wd::loadShared<uint16_t>(flag) & 1) != phase)
			;
		zip.barWrite(4, 0x1000, uint64_t{done % kDepth} << 32 | 0x1000, 8);
	}

	FlatMemory memory;
	IommuUnit unit;
	DirectRoute direct;
	EnginePool pool;
	ZipFunction zip;
	Sink sink;
	uint32_t tail = 0;
	unsigned done = 0;
};

void report(benchmark::State &state, const char *name, std::vector<uint64_t> &times)
{
	std::sort(times.begin(), times.end());
	state.counters[std::string(name) + "_p10"] = times[times.size() / 10];
	state.counters[std::string(name) + "_p50"] = times[times.size() / 2];
}

void pageFault(benchmark::State &state)
{
	Bench bench;
	std::vector<uint64_t> request, resume, whole;

	for (auto _ : state) {
		bench.unmap(Bench::kIn);
		bench.unit.barWrite(0, 0xdc, 1, 4);
		const uint64_t before = bench.sink.counts[2], begin = nowNs();

		bench.ring();
		while (bench.sink.counts[2] == before)
			;
		const uint64_t asked = nowNs();
		const uint64_t head = bench.unit.barRead(0, 0xc0, 8);
		const uint64_t high = bench.get(Bench::kRequests + head + 8);

		bench.map(high & ~uint64_t{0xfff});
		bench.unit.barWrite(0, 0xc0, (head + 32) % 4096, 8);
		const uint64_t answered = nowNs();

		bench.command(9 | 1 << 4 | uint64_t{kRid.value} << 16 | uint64_t{kPasid} << 32,
			      high & 0xff8);
		bench.submit();
		bench.awaitCompletion();
		const uint64_t end = nowNs();

		state.SetIterationTime((end - begin) * 1e-9);
		request.push_back(asked - begin);
		resume.push_back(end - answered);
		whole.push_back(end - begin);
	}
	report(state, "request", request);
	report(state, "resume", resume);
	report(state, "whole", whole);
}
BENCHMARK(pageFault)->UseManualTime();

void present(benchmark::State &state)
{
	Bench bench;
	std::vector<uint64_t> whole;

	for (auto _ : state) {
		const uint64_t begin = nowNs();

		bench.ring();
		bench.awaitCompletion();
		const uint64_t end = nowNs();

		state.SetIterationTime((end - begin) * 1e-9);
		whole.push_back(end - begin);
	}
	report(state, "whole", whole);
}
BENCHMARK(present)->UseManualTime();

class Requester : public PageRequester
{
public:
	void answered(uint64_t token, PageResponse) noexcept override { last = token; }
	uint64_t last = 0;
};

/* prepare() that faults, the page request and its interrupt, the response, prepare() once more. */
void unitOnly(benchmark::State &state)
{
	Bench bench;
	const auto agent = bench.unit.createAgent();
	const StreamId stream = pasidStream(kRid, kPasid);
	Requester requester;
	uint64_t token = 0;

	for (auto _ : state) {
		state.PauseTiming();
		bench.unmap(Bench::kIn);
		bench.unit.barWrite(0, 0xdc, 1, 4);
		const uint64_t before = bench.sink.counts[2];
		state.ResumeTiming();
		if (agent->prepare(stream, Bench::kIn, 64, Access::Read, requester, ++token) !=
			    DmaResult::Pending ||
		    bench.sink.counts[2] == before)
			return state.SkipWithError("no page request");
		const uint64_t head = bench.unit.barRead(0, 0xc0, 8);
		const uint64_t high = bench.get(Bench::kRequests + head + 8);

		bench.map(Bench::kIn);
		bench.unit.barWrite(0, 0xc0, (head + 32) % 4096, 8);
		bench.command(9 | 1 << 4 | uint64_t{kRid.value} << 16 | uint64_t{kPasid} << 32,
			      high & 0xff8);
		bench.submit();
		if (requester.last != token || agent->prepare(stream, Bench::kIn, 64, Access::Read,
							      requester, ++token) != DmaResult::Ok)
			return state.SkipWithError("no answer");
	}
}
BENCHMARK(unitOnly);

/* 8-byte reads of a page that the device TLB holds, inside one burst. */
void deviceTlbHit(benchmark::State &state)
{
	Bench bench;
	const auto agent = bench.unit.createAgent();
	const StreamId stream = pasidStream(kRid, kPasid);
	uint64_t word = 0;
	const auto target = std::as_writable_bytes(std::span(&word, 1));
	const DmaBurst burst(*agent);

	for (auto _ : state)
		if (agent->read(stream, Bench::kIn, target) != DmaResult::Ok)
			return state.SkipWithError("translation failed");
	benchmark::DoNotOptimize(word);
}
BENCHMARK(deviceTlbHit);

/* Invalidate one page of the device TLB, wait, and send a translation request for it. */
void invalidateDeviceTlb(benchmark::State &state)
{
	Bench bench;
	const auto agent = bench.unit.createAgent();
	const StreamId stream = pasidStream(kRid, kPasid);
	uint64_t word = 0;
	const auto target = std::as_writable_bytes(std::span(&word, 1));

	for (auto _ : state) {
		if (agent->read(stream, Bench::kIn, target) != DmaResult::Ok)
			return state.SkipWithError("translation failed");
		bench.command(8 | uint64_t{kRid.value} << 16 | uint64_t{kPasid} << 32, Bench::kIn);
		bench.command(5 | 1 << 5 | uint64_t{1} << 32, Bench::kStatus);
		bench.submit();
	}
}
BENCHMARK(invalidateDeviceTlb);

} // namespace

BENCHMARK_MAIN();
