// SPDX-License-Identifier: Apache-2.0
/*
 * Cost of a translation: an IOTLB hit inside a burst (target: below 20 ns), a whole four-level
 * second-stage walk, and one page-selective invalidation with its wait. Then the same for nested
 * translation (targets: hit below 25 ns, four levels over four with nothing cached below 1 us).
 */
#include <atomic>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/shared_words.h"
#include "machine/iommu_unit.h"

namespace
{

using namespace wd::machine;

/* Flat memory: the figures must not include the cost of the usual model of memory. */
class FlatMemory final : public PhysicalMemory
{
public:
	explicit FlatMemory(size_t size) : words_(size / 8) {}

	bool read(uint64_t pa, void *dst, size_t len) noexcept override
	{
		if (!fits(pa, len))
			return false;
		std::memcpy(dst, bytes() + pa, len);
		return true;
	}
	bool write(uint64_t pa, const void *src, size_t len) noexcept override
	{
		if (!fits(pa, len))
			return false;
		std::memcpy(bytes() + pa, src, len);
		return true;
	}
	bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept override
	{
		if (size != 8 || !fits(pa, 8))
			return false;
		value = wd::loadShared<uint64_t>(bytes() + pa);
		return true;
	}
	bool store(uint64_t pa, unsigned size, uint64_t value) noexcept override
	{
		if (!fits(pa, size))
			return false;
		std::memcpy(bytes() + pa, &value, size);
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

private:
	bool fits(uint64_t pa, size_t len) const
	{
		return pa <= words_.size() * 8 && len <= words_.size() * 8 - pa;
	}
	std::byte *bytes() { return reinterpret_cast<std::byte *>(words_.data()); }

	std::vector<uint64_t> words_;
};

constexpr Rid kRid = makeRid(0x75, 0, 0);
constexpr StreamId kStream = pasidStream(kRid, 5), kNestedStream = pasidStream(kRid, 6);
constexpr uint64_t kPages = 512;
/* Number of the guest's lowest tables, and of their pages: more than the IOTLB can hold. */
constexpr uint64_t kGuestTables = 64, kGuestPages = kGuestTables * 512;

/*
 * One function. PASID 5: a second-stage table that maps its first 512 pages to themselves + 2 MiB.
 * PASID 6: nested on it, guest tables in the first pages.
 */
struct Bench {
	static constexpr uint64_t kRoot = 0x1000, kContext = 0x2000, kDirectory = 0x3000;
	static constexpr uint64_t kPasids = 0x4000, kTables = 0x5000, kQueue = 0x9000;
	static constexpr uint64_t kGuest = 0x200000;

	explicit Bench(CacheMode mode)
		: memory(8 << 20),
		  unit(IommuCapabilities::defaults(), memory)
	{
		put(kRoot + 0x75 * 16, kContext | 1);
		put(kContext, kDirectory | 1 << 3 | 1); /* PASIDE, P */
		put(kDirectory, kPasids | 1);
		put(kPasids + 5 * 64, kTables | 2 << 6 | 2 << 2 | 1); /* second stage, 48 bits */
		put(kPasids + 5 * 64 + 8, 1);
		for (uint64_t level = 0; level < 3; level++)
			put(kTables + level * 4096, (kTables + (level + 1) * 4096) | 3);
		for (uint64_t page = 0; page < kPages; page++)
			put(kTables + 3 * 4096 + page * 8, (kGuest + page * 4096) | 3);
		fillGuest();
		unit.configWrite(pci::kCommand, pci::kCommandMaster, 2);
		unit.setCacheMode(mode);
		unit.barWrite(0, 0x20, kRoot | 1 << 10, 8);
		unit.barWrite(0, 0x18, 1u << 30, 4);
		unit.barWrite(0, 0x90, kQueue | 1 << 11, 8);
		unit.barWrite(0, 0x18, 1u << 26, 4);
		unit.barWrite(0, 0x18, 1u << 31 | 1u << 26, 4);
		agent = unit.createAgent();
	}
	void put(uint64_t pa, uint64_t value) { memory.store(pa, 8, value); }
	/* Set the accessed and dirty bits, as in a table that has been used. */
	void fillGuest()
	{
		constexpr uint64_t kUsed = 0x67, kFirstData = 3 + kGuestTables;

		put(kPasids + 6 * 64 + 16, 0);
		put(kPasids + 6 * 64 + 8, 2 | 1 << 23);
		put(kPasids + 6 * 64, kTables | 3 << 6 | 2 << 2 | 1);
		for (uint64_t level = 0; level < 2; level++)
			put(kGuest + level * 4096, ((level + 1) * 4096) | kUsed);
		for (uint64_t table = 0; table < kGuestTables; table++)
			put(kGuest + 2 * 4096 + table * 8, ((3 + table) * 4096) | kUsed);
		for (uint64_t page = 0; page < kGuestPages; page++)
			put(kGuest + 3 * 4096 + page * 8,
			    ((kFirstData + page % (kPages - kFirstData)) * 4096) | kUsed);
	}

	FlatMemory memory;
	IommuUnit unit;
	std::unique_ptr<DmaAgent> agent;
};

/* 8-byte reads inside one burst, over several pages in turn. Includes the copy of 8 bytes. */
void readPages(benchmark::State &state, const StreamId &stream)
{
	Bench bench(CacheMode::Normal);
	const uint64_t pages = state.range(0);
	uint64_t word = 0, page = 0;
	const auto target = std::as_writable_bytes(std::span(&word, 1));
	const DmaBurst burst(*bench.agent);

	for (auto _ : state) {
		if (bench.agent->read(stream, page << 12, target) != DmaResult::Ok)
			return state.SkipWithError("translation failed");
		page = page + 1 < pages ? page + 1 : 0;
	}
	benchmark::DoNotOptimize(word);
	if (bench.unit.counters().iotlbMisses > pages)
		state.SkipWithError("not all of them were hits");
}

void iotlbHit(benchmark::State &state)
{
	readPages(state, kStream);
}
BENCHMARK(iotlbHit)->Arg(1)->Arg(16)->Arg(512);

/* The same, but each read() opens a burst of its own. */
void iotlbHitWithGate(benchmark::State &state)
{
	Bench bench(CacheMode::Normal);
	uint64_t word = 0;
	const auto target = std::as_writable_bytes(std::span(&word, 1));

	for (auto _ : state)
		benchmark::DoNotOptimize(bench.agent->read(kStream, 0, target));
}
BENCHMARK(iotlbHitWithGate);

/* Nothing cached: root, context, directory, PASID entry and four levels, every time. */
void secondStageMiss(benchmark::State &state)
{
	Bench bench(CacheMode::None);
	uint64_t word = 0, page = 0;
	const auto target = std::as_writable_bytes(std::span(&word, 1));
	const DmaBurst burst(*bench.agent);

	for (auto _ : state) {
		if (bench.agent->read(kStream, page << 12, target) != DmaResult::Ok)
			return state.SkipWithError("translation failed");
		page = (page + 1) % kPages;
	}
}
BENCHMARK(secondStageMiss);

/* Invalidate page 0 (leaf only) with descriptor word @q0, wait with status, and miss once. */
void invalidateAndRefill(Bench &bench, benchmark::State &state, const StreamId &stream, uint64_t q0)
{
	uint64_t word = 0;
	const auto target = std::as_writable_bytes(std::span(&word, 1));
	uint32_t tail = 0;
	const auto enqueue = [&](uint64_t low, uint64_t high) {
		bench.put(Bench::kQueue + tail, low);
		bench.put(Bench::kQueue + tail + 8, high);
		tail = (tail + 32) % 4096;
	};

	for (auto _ : state) {
		if (bench.agent->read(stream, 0, target) != DmaResult::Ok)
			return state.SkipWithError("translation failed");
		enqueue(q0, 1 << 6);
		enqueue(5 | 1 << 5 | uint64_t{1} << 32, 0xa000);
		bench.unit.barWrite(0, 0x88, tail, 4);
	}
	if (bench.unit.barRead(0, 0x80, 4) != tail)
		state.SkipWithError("the queue stopped");
	if (bench.unit.counters().iotlbMisses < uint64_t(state.iterations()))
		state.SkipWithError("the invalidation dropped nothing");
}

void invalidatePage(benchmark::State &state)
{
	Bench bench(CacheMode::Normal);

	invalidateAndRefill(bench, state, kStream, 2 | 3 << 4 | 1 << 16);
}
BENCHMARK(invalidatePage);

void nestedHit(benchmark::State &state)
{
	readPages(state, kNestedStream);
}
BENCHMARK(nestedHit)->Arg(1)->Arg(16)->Arg(512);

/* A request reads 28 entries; with the structure caches it reads 2. */
void nestedMiss(benchmark::State &state, CacheMode mode, uint64_t entries)
{
	Bench bench(mode);
	uint64_t word = 0, page = 0;
	const auto target = std::as_writable_bytes(std::span(&word, 1));
	const DmaBurst burst(*bench.agent);
	const auto next = [&] {
		page = page + 1 < kGuestPages ? page + 1 : 0;
		return bench.agent->read(kNestedStream, page << 12, target) == DmaResult::Ok;
	};

	for (uint64_t i = 0; i < kGuestPages; i++)
		if (!next())
			return state.SkipWithError("translation failed");
	const uint64_t before = bench.unit.counters().entryReads;

	for (auto _ : state)
		benchmark::DoNotOptimize(next());
	if (bench.unit.counters().entryReads - before != entries * state.iterations())
		state.SkipWithError("walks were longer or shorter than they should be");
}
BENCHMARK_CAPTURE(nestedMiss, nothingCached, CacheMode::None, 4 + 24);
BENCHMARK_CAPTURE(nestedMiss, structuresCached, CacheMode::Normal, 2);

/*
 * Invalidate a page with p_iotlb (leaf only), wait with status, and walk to fill the IOTLB again.
 */
void nestedInvalidatePage(benchmark::State &state)
{
	Bench bench(CacheMode::Normal);

	invalidateAndRefill(bench, state, kNestedStream, 6 | 3 << 4 | 2 << 16 | uint64_t{6} << 32);
}
BENCHMARK(nestedInvalidatePage);

} // namespace

BENCHMARK_MAIN();
