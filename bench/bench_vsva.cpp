// SPDX-License-Identifier: Apache-2.0
/*
 * A page fault from end to end, hosted. A page of a nested table is missing for a request of an
 * accelerator. Device, IOMMU, its driver, the layer and iommufd bring the fault to the user. The
 * user makes the page and answers, the answer goes all the way back, and the request completes. For
 * comparison: the same request with the page present, and the flush of one page. Counters are
 * microseconds: ask = doorbell to the user's read of the fault, answer = response to completion.
 *
 * "ask" includes two wakeups: the driver's interrupt thread sleeps until the unit raises its
 * interrupt, and the user sleeps in poll() until there is a fault. The user spins for completions.
 */
#include <algorithm>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "toy_guest.h"
#include "vmm/device.h"
#include "wd/accelerator.h"
#include "wd/nesting.h"
#include "wd/zip_queue.h"

namespace
{

using Clock = std::chrono::steady_clock;

constexpr uint64_t kGpa = 0x100000, kGuestBytes = 8 << 20;
constexpr uint64_t kSource = 0x7f0000000000, kDestination = 0x7f0000100000;
constexpr uint32_t kInput = 64;

double micros(Clock::duration duration)
{
	return std::chrono::duration<double, std::micro>(duration).count();
}

/** A queue at a PASID with a table that is nested on a guest's memory. */
struct Bench {
	Bench()
		: host(wd::Host::shared()),
		  topology(wd::Topology::discover(*host)),
		  iommufd(*host),
		  queue(*host, topology.require("deflate", topology.here())),
		  device(queue, iommufd),
		  memory(iommufd),
		  guest(memory, kGpa, kGuestBytes),
		  process(guest),
		  parent(wd::allocNestParent(iommufd, memory.ioas(), device.id())),
		  faults(iommufd),
		  table(wd::allocNested(iommufd, parent, device.id(), {.root = process.root()},
					&faults))
	{
		const std::vector<std::byte> input(kInput, std::byte{'w'});

		process.reserve(kSource, toy::kPage);
		process.write(kSource, input);
		forgetDestination();
		queue.attach(table);
		queue.start(wd::zip::Direction::Compress);
	}
	~Bench()
	{
		queue.stop();
		queue.detach();
	}

	void forgetDestination()
	{
		const auto frames = process.unmap(kDestination, toy::kPage);
		const wd::VtdFlush request{kDestination, 1, true};

		wd::flush(iommufd, table, {&request, 1});
		for (uint64_t frame : frames)
			guest.release(frame);
		process.reserve(kDestination, toy::kPage);
	}
	void send()
	{
		wd::zip::Request request;

		request.algorithm = wd::zip::Algorithm::Deflate;
		request.source = kSource;
		request.sourceLength = kInput;
		request.destination = kDestination;
		request.destinationLength = toy::kPage;
		if (queue.trySend(request) != wd::QueueStatus::Ok)
			abort();
	}
	/** Spin for the completion. */
	void receive()
	{
		wd::zip::Completion completion;
		wd::PollResult result;

		while (!(result = queue.poll({&completion, 1})).count)
			if (result.status != wd::QueueStatus::Ok)
				abort();
		if (!wd::zip::isSuccess(completion.status))
			abort();
	}
	wd::FaultGroup takeFault()
	{
		if (!faults.wait(10000))
			abort();
		return faults.read().at(0);
	}

	std::shared_ptr<wd::Host> host;
	wd::Topology topology;
	wd::Iommufd iommufd;
	wd::ZipQueue queue;
	wd::vmm::QueueDevice device;
	wd::vmm::GuestMemory memory;
	toy::Guest guest;
	toy::Process process;
	wd::Hwpt parent;
	wd::FaultQueue faults;
	wd::Hwpt table;
};

std::optional<Bench> bench;

/** Reports percentiles of one figure as counters. */
class Samples
{
public:
	void add(double value) { values_.push_back(value); }
	void report(benchmark::State &state, const std::string &name)
	{
		if (values_.empty())
			return;
		std::sort(values_.begin(), values_.end());
		state.counters[name + "_p10"] = values_[values_.size() / 10];
		state.counters[name + "_p50"] = values_[values_.size() / 2];
		state.counters[name + "_p90"] = values_[values_.size() * 9 / 10];
	}

private:
	std::vector<double> values_;
};

void pageThere(benchmark::State &state)
{
	Samples total;

	bench->process.touch(kDestination, true);
	for (auto _ : state) {
		const auto begin = Clock::now();

		bench->send();
		bench->receive();
		const auto end = Clock::now();

		total.add(micros(end - begin));
		state.SetIterationTime(std::chrono::duration<double>(end - begin).count());
	}
	total.report(state, "total");
}

void pageFault(benchmark::State &state)
{
	Samples ask, answer, round;

	for (auto _ : state) {
		bench->forgetDestination();
		const auto begin = Clock::now();

		bench->send();
		const wd::FaultGroup group = bench->takeFault();
		const auto asked = Clock::now();

		for (const auto &page : group.pages)
			bench->process.touch(page.address, page.write);
		const auto answered = Clock::now();

		bench->faults.respond(group.cookie, true);
		bench->receive();
		const auto end = Clock::now();

		ask.add(micros(asked - begin));
		answer.add(micros(end - answered));
		round.add(micros(asked - begin + (end - answered)));
		state.SetIterationTime(std::chrono::duration<double>(end - begin).count());
	}
	ask.report(state, "ask");
	answer.report(state, "answer");
	round.report(state, "round");
}

void flushOnePage(benchmark::State &state)
{
	const wd::VtdFlush request{kDestination, 1, true};

	for (auto _ : state)
		wd::flush(bench->iommufd, bench->table, {&request, 1});
}

} // namespace

BENCHMARK(pageThere)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(pageFault)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(flushOnePage)->Unit(benchmark::kMicrosecond);

int main(int argc, char **argv)
{
	setenv("WD_HOST", "hosted", 0);
	benchmark::Initialize(&argc, argv);
	bench.emplace();
	benchmark::RunSpecifiedBenchmarks();
	bench.reset();
	return 0;
}
