// SPDX-License-Identifier: Apache-2.0
/*
 * IOAS_MAP and IOAS_UNMAP through the system call interface, with a page table attached at a PASID
 * of the machine's first accelerator. The time includes pinning, page table and IOTLB invalidation.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <linux/iommufd.h>
#include <sys/mman.h>
#include <vector>

#include "ioas_setup.h"

namespace
{

using wd::bench::kAlignment;
using wd::bench::setup;

void mapUnmap(benchmark::State &state)
{
	const auto length = static_cast<size_t>(state.range(0));
	void *base = mmap(nullptr, length + kAlignment, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const uint64_t at = reinterpret_cast<uint64_t>(base);
	void *address = reinterpret_cast<void *>((at + kAlignment - 1) & ~(kAlignment - 1));
	/* Touch the memory now, so that the loop does not measure the first touch. */
	memset(address, 1, length);
	for (auto _ : state) {
		uint64_t iova;
		setup().map(address, length, iova);
		setup().unmap(iova, length);
	}
	state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * length));
	munmap(base, length + kAlignment);
}
BENCHMARK(mapUnmap)->Arg(4 << 10)->Arg(64 << 10)->Arg(2 << 20)->Arg(1 << 30);

/** Map and unmap 4 KiB, with @range other mappings in the address space. */
void mapUnmapAmong(benchmark::State &state)
{
	const auto others = static_cast<size_t>(state.range(0));
	void *base =
		mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(base, 1, 4096);
	uint64_t first = ~uint64_t{0}, last = 0, iova;
	for (size_t i = 0; i < others; i++) {
		setup().map(base, 4096, iova);
		first = std::min(first, iova);
		last = std::max(last, iova);
	}
	for (auto _ : state) {
		setup().map(base, 4096, iova);
		setup().unmap(iova, 4096);
	}
	setup().unmap(first, last - first + 4096);
	munmap(base, 4096);
}
BENCHMARK(mapUnmapAmong)->Arg(1000)->Arg(100000)->Arg(1000000);

/** Read the dirty bits of 1 GiB that no device has written: @range 1 pages of 4 KiB, 0 large ones. */
void dirtyBitmap(benchmark::State &state)
{
	constexpr size_t kLength = 1 << 30;
	void *base = mmap(nullptr, kLength + kAlignment, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const uint64_t at = reinterpret_cast<uint64_t>(base);
	const uint32_t ioas = state.range(0) ? setup().allocSmallPages() : setup().allocIoas();
	const uint32_t table = setup().allocTable(ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	std::vector<uint8_t> bitmap(kLength / 4096 / 8);
	uint64_t iova;

	setup().map(ioas, reinterpret_cast<void *>((at + kAlignment - 1) & ~(kAlignment - 1)),
		    kLength, iova);
	for (auto _ : state)
		setup().dirtyBitmap(table, iova, kLength, bitmap.data());
	setup().destroy(table);
	setup().destroy(ioas);
	munmap(base, kLength + kAlignment);
}
BENCHMARK(dirtyBitmap)->Arg(1)->Arg(0)->ArgName("small");

} // namespace

BENCHMARK_MAIN();
