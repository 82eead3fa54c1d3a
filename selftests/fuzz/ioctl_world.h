/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fuzz_ioctl attacks: a machine with two functions, and three processes. fuzz_ioctl.cpp has the
 * operations, fuzz_ioctl_seeds.cpp the seeds.
 */
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "hostkernel/kernel.h"
#include "machine/root_port.h"

#include "seeds.h"

namespace wd::fuzz
{

using hostkernel::Caller;

class World
{
public:
	using Operation = void (World::*)(Input &);

	explicit World(uint8_t how);
	~World();
	static std::vector<SeedScenario<World>> scenarios();
	/** For the requests of one thread. */
	std::unique_ptr<machine::DmaAgent> agent() { return unit_->createAgent(); }

private:
	static constexpr unsigned kCallers = 3, kContexts = 3;
	using Descriptors = std::array<std::atomic<int>, kContexts>;

	struct Process {
		std::shared_ptr<Caller> caller;
		Descriptors contexts, functions;
		int file = -1;
		std::atomic<int> faults{-1}, group{-1}, buffer{-1};
	};
	Process &process(Input &input) { return processes_[input.below(kCallers)]; }
	/** An open one, if there is one. */
	static int any(Descriptors &descriptors, Input &input)
	{
		const unsigned from = input.below(kContexts);
		int fd = -1;

		for (unsigned i = 0; i < kContexts && fd < 0; i++)
			fd = descriptors[(from + i) % kContexts];
		return fd;
	}
	template <typename Command>
	long call(Input &input, unsigned long request, Command &command)
	{
		Process &who = process(input);

		return ask(*who.caller, any(who.contexts, input), request, command);
	}
	template <typename Command>
	long callFunction(Input &input, unsigned long request, Command &command)
	{
		Process &who = process(input);

		return ask(*who.caller, any(who.functions, input), request, command);
	}
	/** The function has number 1 in its context, and the first IOAS number 2. */
	static uint32_t id(Input &input)
	{
		return input.oneIn(8) ? input.below(12) : 1 + input.below(5);
	}
	void prepare(unsigned which, uint8_t how);
	void prepareGroup(unsigned which);
	static uint64_t iova(Input &input)
	{
		const uint64_t at = input.below(32) * kPage;

		if (input.oneIn(16))
			return input.word();
		return (input.oneIn(4) ? kLarge * input.below(3) : 0) + at +
		       (input.oneIn(16) ? 5 : 0);
	}
	static uint64_t length(Input &input)
	{
		if (input.oneIn(16))
			return input.word();
		return input.oneIn(8) ? kLarge : (1 + input.below(24)) * kPage;
	}
	static uint32_t pasid(Input &input) { return input.oneIn(2) ? 0 : input.below(4); }

	void openContext(Input &input);
	void closeContext(Input &input);
	void shareContext(Input &input);
	void openFunction(Input &input);
	void closeFunction(Input &input);
	void bindFunction(Input &input);
	void attach(Input &input);
	void detach(Input &input);
	void function(Input &input);
	void groupFile(Input &input);
	void interrupts(Input &input);
	void group(Input &input);
	void resetBus(Input &input);
	void writeByEvent(Input &input);
	void lowPower(Input &input);
	void exportMemory(Input &input);
	void mapBuffer(Process &who, Input &input);
	void allocate(Input &input);
	void allocateTable(Input &input);
	void destroy(Input &input);
	void map(Input &input);
	void mapFile(Input &input);
	void unmap(Input &input);
	void copy(Input &input);
	void ranges(Input &input);
	void option(Input &input);
	void invalidate(Input &input);
	void dirty(Input &input);
	void changeProcess(Input &input);
	void container(Input &input);
	void faults(Input &input);
	void anything(Input &input);
	void requests(Input &input);

	std::unique_ptr<kerneltest::TestUnit> unit_;
	std::unique_ptr<MemoryFunction> devices_[2];
	std::array<int, 2> events_;
	std::unique_ptr<machine::RootPort> port_; /**< above both functions */
	std::string groups_[2];
	std::array<Process, kCallers> processes_;

public:
	static constexpr Operation kOperations[] = {
		&World::openContext,   &World::closeContext,  &World::shareContext,
		&World::openFunction,  &World::closeFunction, &World::bindFunction,
		&World::attach,	       &World::attach,	      &World::detach,
		&World::function,      &World::allocate,      &World::allocate,
		&World::allocateTable, &World::allocateTable, &World::destroy,
		&World::map,	       &World::map,	      &World::mapFile,
		&World::mapFile,       &World::unmap,	      &World::unmap,
		&World::copy,	       &World::ranges,	      &World::option,
		&World::invalidate,    &World::dirty,	      &World::dirty,
		&World::changeProcess, &World::container,     &World::container,
		&World::faults,	       &World::anything,      &World::requests,
		&World::requests,      &World::groupFile,     &World::group,
		&World::exportMemory,  &World::exportMemory,  &World::interrupts,
		&World::interrupts,    &World::resetBus,      &World::writeByEvent,
		&World::lowPower,
	};
};

} // namespace wd::fuzz
