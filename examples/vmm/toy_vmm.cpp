// SPDX-License-Identifier: Apache-2.0
#include "toy_vmm.h"

#include <bit>
#include <new>
#include <stdexcept>
#include <utility>

namespace toy
{
namespace
{

using wd::vmm::Descriptor;
using wd::vmm::GuestPageRequest;

/* PASID table entry (VT-d 9.6) and descriptors (VT-d 6.5.2), as a guest's driver makes them. */
constexpr uint64_t kPresent = 1, kFirstStage = 1 << 6, kPassThrough = 4 << 6;
constexpr uint64_t kPasidCache = 7 | 1 << 4, kPages = 6 | 3 << 4, kResponse = 9 | 1 << 4;
constexpr uint32_t kPasids = 64; /* one table */
/* The page request thread checks after each such time whether it shall end. */
constexpr int kServeMs = 20;

uint64_t tag(uint32_t pasid)
{
	return uint64_t{Vmm::kDomain} << 16 | uint64_t{pasid} << 32;
}

} // namespace

Vmm::Vmm(Guest &guest, wd::vmm::GuestMemory &memory, uint32_t deviceId)
	: guest_(guest),
	  iommu_(memory, deviceId)
{
	server_ = std::jthread([this](const std::stop_token &stop) { serve(stop); });
}

Vmm::~Vmm()
{
	server_.request_stop();
	pause(false);
	server_.join();
	for (const auto &[rid, tables] : tables_) {
		iommu_.clearDirectory(rid);
		guest_.release(tables.entries);
		guest_.release(tables.directory);
	}
}

/* The guest's driver -------------------------------------------------------------------------- */

/* This stands for the context entry: a real guest writes one, and the VMM reads it. */
uint64_t Vmm::tableOf(uint16_t rid)
{
	std::lock_guard lock(mutex_);
	const auto known = tables_.find(rid);

	if (known != tables_.end())
		return known->second.entries;
	const Tables tables{guest_.allocate(), guest_.allocate()};

	guest_.word(tables.directory) = tables.entries | kPresent;
	iommu_.setDirectory(rid, tables.directory, 0);
	tables_[rid] = tables;
	return tables.entries;
}

void Vmm::setEntry(uint16_t rid, uint32_t pasid, uint64_t q0, uint64_t root)
{
	if (pasid >= kPasids)
		throw std::out_of_range("guest PASID");
	const uint64_t at = tableOf(rid) + 64 * pasid;

	guest_.word(at) = 0;
	guest_.word(at + 8) = kDomain;
	guest_.word(at + 16) = root;
	guest_.word(at) = q0;
	execute({kPasidCache | tag(pasid)});
}

void Vmm::execute(const Descriptor &descriptor)
{
	if (iommu_.execute(descriptor) != wd::vmm::VirtualIommu::Result::Done)
		throw std::runtime_error("the virtual unit refuses a descriptor");
}

void Vmm::bind(uint32_t pasid, Process &process, uint16_t rid)
{
	{
		std::lock_guard lock(mutex_);

		processes_[{rid, pasid}] = &process;
	}
	setEntry(rid, pasid, kPresent | kFirstStage, process.root());
}

void Vmm::bindMemory(uint32_t pasid, uint16_t rid)
{
	setEntry(rid, pasid, kPresent | kPassThrough, 0);
}

void Vmm::unbind(uint32_t pasid, uint16_t rid)
{
	setEntry(rid, pasid, 0, 0);
	std::lock_guard lock(mutex_);

	processes_.erase({rid, pasid});
}

/* Flush the smallest aligned block of 2^n pages that covers the range. */
void Vmm::flush(uint32_t pasid, uint64_t gva, uint64_t bytes)
{
	const unsigned order = std::bit_width(gva / kPage ^ (gva + bytes - 1) / kPage);

	execute({kPages | tag(pasid), (gva & ~(kPage - 1)) | order});
}

/* Page requests: the VMM brings them in, the guest resolves them ------------------------------- */

void Vmm::pause(bool paused)
{
	paused_ = paused;
	paused_.notify_all();
}

void Vmm::serve(const std::stop_token &stop)
{
	while (!stop.stop_requested()) {
		paused_.wait(true);
		if (iommu_.waitForFaults(kServeMs) && !paused_)
			iommu_.deliver([this](const GuestPageRequest &r) { pageRequest(r); });
	}
}

/* @return false if the process does not have the page, or the guest has no frame for it */
bool Vmm::resolve(const GuestPageRequest &request)
{
	const auto process = processes_.find({request.rid, request.pasid});

	try {
		return process != processes_.end() &&
		       process->second->touch(request.page.address, request.page.write);
	} catch (const std::bad_alloc &) {
		return false;
	}
}

/* The pages of a group come one after another, and get one answer together. */
void Vmm::pageRequest(const GuestPageRequest &request)
{
	std::unique_lock lock(mutex_);

	failed_ |= !resolve(request);
	if (!request.last)
		return;
	const uint64_t code = std::exchange(failed_, false) ? 1 : 0;

	lock.unlock();
	(code ? faults_.refused : faults_.resolved)++;
	iommu_.execute({kResponse | code << 12 | uint64_t{request.rid} << 16 |
				uint64_t{request.pasid} << 32,
			uint64_t{request.group} << 3});
}

} // namespace toy
