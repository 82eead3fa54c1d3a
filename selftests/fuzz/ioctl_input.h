/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz_ioctl and fuzz_module make of their input, and the memory that their calls name. */
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/bits.h"
#include "hostkernel/kernel.h"

#include "../unit/kernel/iommu/test_devices.h"

namespace wd::fuzz
{

constexpr uint64_t kPage = kPageSize, kPages = 64, kLarge = 2 << 20;

inline void require(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "violated: %s\n", what);
	std::abort();
}

/**
 * The calls of one thread: three bytes for each, the first one chooses the call, and the others the
 * numbers in it. So a mutation changes one call, and leaves the calls after it as they were.
 */
class Input
{
public:
	Input(const uint8_t *data, size_t size, std::unique_ptr<machine::DmaAgent> agent)
		: data_(data),
		  size_(size),
		  agent_(std::move(agent))
	{
	}
	machine::DmaAgent &agent() { return *agent_; }
	/** Begin the next call. @return its first byte, or -1 at the end */
	int next()
	{
		if (size_ - at_ < 3)
			return -1;
		const uint8_t *call = data_ + at_;

		at_ += 3;
		state_ = call[0] | call[1] << 8 | call[2] << 16;
		return call[0];
	}
	/** A number below @bound. */
	unsigned below(unsigned bound) { return static_cast<unsigned>(word() % bound); }
	bool oneIn(unsigned chances) { return below(chances) == 0; }
	/** SplitMix64: numbers that begin from neighbours have nothing in common. */
	uint64_t word()
	{
		uint64_t value = state_ += 0x9e3779b97f4a7c15;

		value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
		value = (value ^ value >> 27) * 0x94d049bb133111eb;
		return value ^ value >> 31;
	}

private:
	const uint8_t *data_;
	size_t size_, at_ = 0;
	uint64_t state_ = 0;
	std::unique_ptr<machine::DmaAgent> agent_;
};

/** A request, before it is made; and its result after that. */
struct LastCall {
	unsigned long request = 0;
	std::array<std::byte, 128> argument = {};
	long result = -1;

	template <typename Argument>
	Argument as() const
	{
		Argument copy;

		static_assert(sizeof(copy) <= sizeof(argument));
		std::memcpy(&copy, argument.data(), sizeof(copy));
		return copy;
	}
};

/** The last request of this thread. */
inline thread_local LastCall lastCall;
/** A search: requests are made only from the first one on that this accepts, and that succeeds. */
inline thread_local bool (*searchedCall)(const LastCall &call);

/** Make a request with the structure @argument. */
template <typename Argument>
long ask(hostkernel::Caller &caller, int fd, unsigned long request, Argument &argument)
{
	LastCall call;

	call.request = request;
	std::memcpy(call.argument.data(), &argument,
		    std::min(sizeof(argument), call.argument.size()));
	const bool found = searchedCall && lastCall.result >= 0;

	if (!searchedCall || found || searchedCall(call))
		call.result = caller.ioctl(fd, request, reinterpret_cast<uintptr_t>(&argument));
	if (!found)
		lastCall = call;
	return call.result;
}

/** Memory of the processes: a part as pages, and the same in a file. */
class Memory
{
public:
	Memory() : fd_(memfd_create("fuzz_ioctl", MFD_CLOEXEC))
	{
		require(fd_ >= 0 && !ftruncate(fd_, kPages * kPage), "a memfd");
		void *space = mmap(nullptr, 3 * kLarge, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		require(space != MAP_FAILED, "memory");
		base_ = (reinterpret_cast<uint64_t>(space) + kLarge - 1) & ~(kLarge - 1);
	}
	int fd() const { return fd_; }
	uint64_t base() const { return base_; }
	static Memory &get()
	{
		static Memory memory;
		return memory;
	}

private:
	int fd_;
	uint64_t base_;
};

/** A function with memory in its BAR 2, which programs can map and export. */
class MemoryFunction final : public kerneltest::TestFunction
{
public:
	static constexpr unsigned kBar = 2, kBarPages = 8;

	/** It has a pin; if @masks, software can keep it from its line. */
	explicit MemoryFunction(const kerneltest::TestFunctionOptions &options, bool masks = true)
		: TestFunction(options),
		  fd_(memfd_create("bar", MFD_CLOEXEC))
	{
		require(fd_ >= 0 && !ftruncate(fd_, kBarPages * kPage), "memory of a function");
		memory_ = static_cast<uint8_t *>(mmap(nullptr, kBarPages * kPage,
						      PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
		require(memory_ != MAP_FAILED, "memory of a function");
		setBar(kBar, {kBarPages * kPage, false, false});
		addMsi(4);
		addInterruptPin(1);
		if (!masks)
			configWritable(machine::pci::kCommand, 0x146, 2);
	}
	~MemoryFunction() override
	{
		munmap(memory_, kBarPages * kPage);
		close(fd_);
	}
	std::optional<machine::SharedPages> barShared(unsigned bar, uint64_t offset,
						      size_t length) override
	{
		if (bar != kBar || offset > kBarPages * kPage ||
		    length > kBarPages * kPage - offset)
			return std::nullopt;
		return machine::SharedPages{fd_, offset, length, memory_ + offset};
	}
	/** Let the function have a cause for interrupts, or take it away; send a message. */
	void cause(bool on)
	{
		cause_ = on;
		updatePin();
		raiseInterrupt(0);
	}

protected:
	bool interruptCause() const noexcept override { return cause_; }

private:
	std::atomic<bool> cause_{false};
	int fd_;
	uint8_t *memory_;
};

/** Make the call @call, which chose @choice. Some choices let it meet a failure. */
template <typename Call>
void withFailure(int choice, Input &input, Call &&call)
{
	using hostkernel::FailPoint;

	if (choice >= 200)
		hostkernel::failNth(choice % 4 ? FailPoint::Allocation : FailPoint::Pin,
				    1 + input.below(8));
	call();
	hostkernel::failNth(FailPoint::Allocation, 0);
	hostkernel::failNth(FailPoint::Pin, 0);
}

/** Run the operation of @world that @choice, the first byte of a call, stands for. */
template <typename World>
void step(World &world, int choice, Input &input)
{
	const auto operation = World::kOperations[choice % std::size(World::kOperations)];

	withFailure(choice, input, [&] { (world.*operation)(input); });
}

/** Shut the hosted kernel down, and abort if something is left in it. */
inline void requireNothingLeft()
{
	const hostkernel::LeakReport leaks = hostkernel::shutdown();

	require(!leaks.kernelBytes && !leaks.pinnedPages && !leaks.openFiles && !leaks.devices,
		"nothing is left");
}

/**
 * Run an input in a World of its own, which the first byte describes: in one thread, or in two at the
 * same time if that byte is odd.
 */
template <typename World>
void runInput(const uint8_t *data, size_t size)
{
	if (size < 8)
		return;
	World world(data[0]);
	const auto run = [&](const uint8_t *calls, size_t length) {
		Input input(calls, length, world.agent());

		for (int choice = input.next(); choice >= 0; choice = input.next())
			step(world, choice, input);
	};

	if (data[0] % 2) {
		const size_t half = size / 2;
		std::thread other([&] { run(data + half, size - half); });

		run(data + 1, half - 1);
		other.join();
	} else {
		run(data + 1, size - 1);
	}
}

} // namespace wd::fuzz
