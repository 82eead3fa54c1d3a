/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeds of fuzz_ioctl and fuzz_module: inputs that do what a selftest does, one call after the other.
 * An input is numbers that an operation draws its arguments from, so a seed cannot be written down.
 * It is looked for: of each operation's inputs, the first that makes the wanted call, and that call
 * succeeds. A call that fails changes nothing, so the search does not disturb the calls after it.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include <linux/iommufd.h>

#include "ioctl_input.h"

namespace wd::fuzz
{

/** An operation, and the call that it must make. */
template <typename World>
struct SeedCall {
	typename World::Operation operation;
	bool (*wanted)(const LastCall &call);
};

/** A selftest: the world that it begins with, and its calls. */
template <typename World>
struct SeedScenario {
	const char *name;
	uint8_t how; /* the first byte of the input; even */
	std::vector<SeedCall<World>> calls;
};

template <uint32_t Flag>
bool isTableWith(const LastCall &call)
{
	return call.request == IOMMU_HWPT_ALLOC && call.as<iommu_hwpt_alloc>().flags & Flag;
}

/** An invalidation with entries. An array without any only asks for the type. */
inline bool isFullInvalidation(const LastCall &call)
{
	return call.request == IOMMU_HWPT_INVALIDATE && call.as<iommu_hwpt_invalidate>().entry_num;
}

template <unsigned long Request>
bool isRequest(const LastCall &call)
{
	return call.request == Request;
}

/** Add the first input of @call that succeeds in @world to @bytes. @return whether there is one */
template <typename World>
bool addSeedCall(World &world, const SeedCall<World> &call, std::vector<uint8_t> &bytes)
{
	constexpr unsigned kTries = 1 << 16;
	const auto operation = std::find(std::begin(World::kOperations),
					 std::end(World::kOperations), call.operation);
	const auto choice = static_cast<uint8_t>(operation - std::begin(World::kOperations));
	bool found = false;

	searchedCall = call.wanted;
	for (unsigned i = 0; i < kTries && !found; i++) {
		const uint8_t input[] = {choice, static_cast<uint8_t>(i),
					 static_cast<uint8_t>(i >> 8)};
		Input numbers(input, sizeof(input), world.agent());

		lastCall = {};
		step(world, numbers.next(), numbers);
		found = lastCall.result >= 0;
		if (found)
			bytes.insert(bytes.end(), std::begin(input), std::end(input));
	}
	searchedCall = nullptr;
	return found;
}

/** The input of @scenario for one thread. Aborts if a call does not succeed with any input. */
template <typename World>
std::vector<uint8_t> makeSeed(const SeedScenario<World> &scenario)
{
	std::vector<uint8_t> bytes = {scenario.how};
	World world(scenario.how);

	for (size_t i = 0; i < scenario.calls.size(); i++) {
		if (addSeedCall(world, scenario.calls[i], bytes))
			continue;
		std::fprintf(stderr, "seed %s: call %zu never succeeds\n", scenario.name, i);
		std::abort();
	}
	return bytes;
}

/** The same calls in two threads at the same time. */
inline std::vector<uint8_t> inTwoThreads(const std::vector<uint8_t> &seed)
{
	std::vector<uint8_t> bytes = seed;

	bytes[0] |= 1;
	bytes.insert(bytes.end(), seed.begin() + 1, seed.end());
	bytes.push_back(0);
	return bytes;
}

using Seeds = std::map<std::string, std::vector<uint8_t>>;

template <typename World>
Seeds makeSeeds(const std::vector<SeedScenario<World>> &scenarios)
{
	Seeds seeds;

	for (const SeedScenario<World> &scenario : scenarios) {
		const std::vector<uint8_t> seed = makeSeed(scenario);

		seeds[scenario.name] = seed;
		seeds[scenario.name + std::string("-two-threads")] = inTwoThreads(seed);
	}
	return seeds;
}

/** The seeds of the fuzz target that is linked. */
Seeds targetSeeds();

} // namespace wd::fuzz
