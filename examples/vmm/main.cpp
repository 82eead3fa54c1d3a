// SPDX-License-Identifier: Apache-2.0
/*
 * A VMM that gives its guest a queue of an accelerator, with shared virtual addresses. The device
 * uses the addresses of a guest process, through the guest's page tables. If a page is missing, the
 * guest resolves the page fault. Documentation/guide/vsva.rst walks through the program.
 *
 * An author of a VMM should read main() below, and for the guest's commands Vmm in toy_vmm.cpp. The
 * guest (toy_guest.cpp) plays the part of a guest's Linux.
 */
#include <cstdio>
#include <cstring>
#include <string>

#include "base/standard_fds.h"
#include "toy_vmm.h"
#include "wd/accelerator.h"
#include "wd/zip_queue.h"

namespace
{

constexpr uint64_t kGuestBytes = 16 << 20, kGuestGpa = 0x100000;
constexpr uint32_t kPasid = 1; /* of the guest's process */
constexpr uint64_t kSource = 0x7f0000000000, kDestination = 0x7f0000800000;
constexpr uint32_t kLength = 256 << 10;
constexpr int kTimeoutMs = 10000;

/** Compress [@source, +kLength) of the guest process to kDestination. */
wd::zip::Completion compress(wd::ZipQueue &queue, uint64_t source)
{
	wd::zip::Request request;
	wd::zip::Completion completion;

	request.source = source;
	request.sourceLength = kLength;
	request.destination = kDestination;
	request.destinationLength = kLength;
	if (queue.trySend(request) != wd::QueueStatus::Ok || !queue.wait(kTimeoutMs) ||
	    queue.poll({&completion, 1}).count != 1)
		throw wd::Error(EIO, queue.name(), "compress", "look into the kernel's log");
	return completion;
}

void run(wd::Host &host)
{
	/* The VMM takes a queue as any other user of the accelerator does. */
	const auto topology = wd::Topology::discover(host);
	const auto &accelerator = topology.require("zlib", topology.here());
	wd::Iommufd iommufd(host);
	wd::ZipQueue queue(host, accelerator);

	/*
	 * The guest: memory, which the IOMMU translates from guest physical addresses, and a unit.
	 */
	wd::vmm::QueueDevice device(queue, iommufd);
	wd::vmm::GuestMemory memory(iommufd);
	toy::Guest guest(memory, kGuestGpa, kGuestBytes);
	toy::Vmm vmm(guest, memory, device.id());

	/*
	 * In the guest: a process with input in its memory, and an output buffer that is not
	 * touched yet.
	 */
	toy::Process process(guest);
	std::string text;

	while (text.size() < kLength)
		text += "line " + std::to_string(text.size()) + " of a guest's file\n";
	process.reserve(kSource, kLength);
	process.reserve(kDestination, kLength);
	process.write(kSource, std::as_bytes(std::span(text)).first(kLength));

	/* The guest's driver binds the PASID: the VMM sees the entry and the descriptor. */
	vmm.bind(kPasid, process);
	vmm.iommu().addQueue(toy::Vmm::kRid, kPasid, device);
	queue.start(wd::zip::Direction::Compress);
	std::printf("%s, guest PASID %u = host PASID %u, nested on the guest's memory\n",
		    accelerator.name.c_str(), kPasid, *queue.pasid());

	auto completion = compress(queue, kSource);

	std::printf(
		"compressed %u bytes to %u: %s; %llu groups of page faults resolved by the guest, "
		"%zu output pages came\n",
		kLength, completion.produced, wd::zip::statusText(completion.status),
		static_cast<unsigned long long>(vmm.faults().resolved),
		process.usage(kDestination, kLength).present);
	if (!wd::zip::isSuccess(completion.status))
		throw wd::Error(EIO, queue.name(),
				std::string("compress: ") + wd::zip::statusText(completion.status));

	/* The process does not have this address: the guest refuses it, and the request fails. */
	completion = compress(queue, kSource + 0x10000000);
	std::printf("address outside the process: %s, %llu refused by the guest\n",
		    wd::zip::isSuccess(completion.status) ? "NOT NOTICED" : "request failed",
		    static_cast<unsigned long long>(vmm.faults().refused));

	/* munmap() in the guest: clear the entries, then flush, then free the frames. */
	const auto frames = process.unmap(kSource, kLength);

	vmm.flush(kPasid, kSource, kLength);
	for (uint64_t frame : frames)
		guest.release(frame);
	completion = compress(queue, kSource);
	std::printf("after munmap() in the guest: %s\n",
		    wd::zip::isSuccess(completion.status) ? "STILL THERE" : "request failed");

	/* The process ends: unbind its PASID before its tables are freed. */
	queue.stop();
	vmm.unbind(kPasid);
	vmm.iommu().removeDevice(device);
}

} // namespace

int main(int argc, char **argv)
try {
	if (argc > 1) {
		const bool help = !std::strcmp(argv[1], "--help");
		std::fputs(
			"usage: example_vmm (no options; WD_HOST and WD_MACHINE choose the host)\n",
			help ? stdout : stderr);
		return help ? wd::finishProgram("vmm", 0) : 2;
	}
	if (const char *closed = wd::closedStandard()) {
		std::fprintf(stderr, "vmm: %s: it is closed\n", closed);
		return 1;
	}
	run(*wd::Host::shared());
	return wd::finishProgram("vmm", 0);
} catch (const wd::Error &error) {
	std::fprintf(stderr, "vmm: %s\n", error.line().c_str());
	return 1;
}
