// SPDX-License-Identifier: Apache-2.0
/*
 * A word of guest memory, looked up and read, as the model does for each of its accesses: with 1, 16
 * and 1,000 regions. Beside it the same with a hint: each thread remembers the region of its last
 * access, and a generation number that changes with the regions, as common libraries for vfio-user
 * do; it is only right if no region goes while somebody reads.
 */
#include <algorithm>
#include <atomic>
#include <benchmark/benchmark.h>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "base/bits.h"
#include "base/shared_words.h"
#include "base/unique_fd.h"
#include "vfio_user/guest_memory.h"

namespace
{

constexpr uint64_t kRegion = 4 * wd::kPageSize;

wd::UniqueFd makeFile(uint64_t size)
{
	wd::UniqueFd fd(memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	if (fd.get() < 0 || ftruncate(fd.get(), static_cast<off_t>(size)) ||
	    fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK))
		throw std::runtime_error("memfd");
	return fd;
}

/* Regions with holes between them, so that they stay apart. */
uint64_t addressOf(uint64_t region)
{
	return 2 * region * kRegion;
}

/** The addresses of accesses: 64 in one region, then the next region. */
class Walk
{
public:
	explicit Walk(uint64_t regions) : regions_(regions) {}
	uint64_t next()
	{
		if (++step_ % 64 == 0)
			region_ = (region_ + 7) % regions_;
		return addressOf(region_) + step_ * 8 % kRegion;
	}

private:
	uint64_t regions_, region_ = 0, step_ = 0;
};

void guestMemory(benchmark::State &state)
{
	const auto regions = static_cast<uint64_t>(state.range(0));
	const wd::UniqueFd file = makeFile(regions * kRegion);
	wd::vfio_user::GuestMemory memory;
	wd::machine::PhysicalMemory &seen = memory;
	uint64_t value = 0, sum = 0;
	Walk walk(regions);

	for (uint64_t i = 0; i < regions; i++)
		memory.claim({addressOf(i), kRegion, i * kRegion, true}, file.get());
	for (auto _ : state) {
		if (!seen.load(walk.next(), 8, value))
			state.SkipWithError("no memory");
		sum += value;
	}
	benchmark::DoNotOptimize(sum);
}
BENCHMARK(guestMemory)->Arg(1)->Arg(16)->Arg(1000);

struct Region {
	uint64_t first, last;
	const std::byte *base;
};

class WithHint
{
public:
	void add(const Region &region)
	{
		regions_.push_back(region);
		generation_++;
	}
	bool load(uint64_t address, uint64_t &value) const
	{
		thread_local size_t hint = 0;
		thread_local unsigned hintGeneration = 0;
		const unsigned now = generation_.load(std::memory_order_acquire);

		if (hintGeneration != now || !holds(regions_[hint], address)) {
			const auto found = std::find_if(
				regions_.begin(), regions_.end(),
				[&](const Region &region) { return holds(region, address); });

			if (found == regions_.end())
				return false;
			hint = static_cast<size_t>(found - regions_.begin());
			hintGeneration = now;
		}
		value = wd::loadShared<uint64_t>(regions_[hint].base +
						 (address - regions_[hint].first));
		return true;
	}

private:
	static bool holds(const Region &region, uint64_t address)
	{
		return address >= region.first && address <= region.last - 7;
	}
	std::vector<Region> regions_;
	std::atomic<unsigned> generation_{0};
};

void withHint(benchmark::State &state)
{
	const auto regions = static_cast<uint64_t>(state.range(0));
	const wd::UniqueFd file = makeFile(regions * kRegion);
	void *base = mmap(nullptr, regions * kRegion, PROT_READ, MAP_SHARED, file.get(), 0);
	uint64_t value = 0, sum = 0;
	Walk walk(regions);
	WithHint memory;

	if (base == MAP_FAILED)
		throw std::runtime_error("mmap");
	for (uint64_t i = 0; i < regions; i++)
		memory.add({addressOf(i), addressOf(i) + kRegion - 1,
			    static_cast<const std::byte *>(base) + i * kRegion});
	for (auto _ : state) {
		if (!memory.load(walk.next(), value))
			state.SkipWithError("no memory");
		sum += value;
	}
	benchmark::DoNotOptimize(sum);
	munmap(base, regions * kRegion);
}
BENCHMARK(withHint)->Arg(1)->Arg(16)->Arg(1000);

} // namespace

BENCHMARK_MAIN();
