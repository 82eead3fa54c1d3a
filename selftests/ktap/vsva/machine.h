/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers that the cases of these programs share: a virtual machine with queues in it. */
#pragma once

#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "toy_vmm.h"
#include "wd/accelerator.h"
#include "wd/zip_queue.h"

namespace vsva
{

constexpr uint64_t kGpa = 0x40000000, kGuestBytes = 24 << 20;
constexpr int kTimeoutMs = 60000;

/** Text that compresses well, different for each @seed. */
std::vector<std::byte> text(size_t bytes, unsigned seed);

/** A queue of an accelerator in a guest. */
struct GuestQueue {
	GuestQueue(wd::Host &host, const wd::Accelerator &accelerator, const wd::Iommufd &iommufd)
		: queue(host, accelerator),
		  device(queue, iommufd)
	{
	}

	/** Send a request for guest virtual (or physical) addresses. */
	bool send(uint64_t source, uint32_t sourceLength, uint64_t destination,
		  uint32_t destinationLength);
	/** Wait for the oldest request. @return none if it does not come */
	std::optional<wd::zip::Completion> receive();
	/** send() and receive(). */
	std::optional<wd::zip::Completion> run(uint64_t source, uint32_t sourceLength,
					       uint64_t destination, uint32_t destinationLength);

	wd::ZipQueue queue;
	wd::vmm::QueueDevice device;
};

/** A virtual machine: memory, processes, queues, and the virtual unit between them. */
class Machine
{
public:
	Machine(wd::Host &host, const wd::Accelerator &accelerator);
	~Machine();

	/** Open and start a queue at the guest's @pasid. */
	GuestQueue &addQueue(uint32_t pasid);
	/** Take @queue away from the guest, and close it. */
	void removeQueue(GuestQueue &queue);
	toy::Guest &guest() { return *guest_; }
	toy::Vmm &vmm() { return *vmm_; }
	wd::Iommufd &iommufd() { return iommufd_; }

private:
	wd::Host &host_;
	const wd::Accelerator &accelerator_;
	wd::Iommufd iommufd_;
	std::deque<std::unique_ptr<GuestQueue>> queues_;
	std::unique_ptr<GuestQueue> first_; /**< stays bound: page tables are made for its device */
	std::unique_ptr<wd::vmm::GuestMemory> memory_;
	std::unique_ptr<toy::Guest> guest_;
	std::unique_ptr<toy::Vmm> vmm_;
};

/** A process of @guest with @input at kSource and room for output at kDestination. */
class Work
{
public:
	static constexpr uint64_t kSource = 0x7f0000000000, kDestination = 0x7f0000400000;

	Work(toy::Guest &guest, std::vector<std::byte> input);

	toy::Process &process() { return process_; }
	uint32_t length() const { return static_cast<uint32_t>(input_.size()); }
	/** Compress the input with @queue. @return true if the output is right */
	bool compress(GuestQueue &queue);
	/** True if the output of @completion, at kDestination, decompresses to the input. */
	bool right(const wd::zip::Completion &completion);

private:
	std::vector<std::byte> input_;
	toy::Process process_;
};

/** True if the raw deflate stream @packed, with a zlib trailer after it, decompresses to @want. */
bool unpacksTo(std::span<const std::byte> packed, std::span<const std::byte> want);

} // namespace vsva
