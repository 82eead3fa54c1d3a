/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VT-d unit of a toy guest from both sides. As the guest's driver it keeps a PASID table and
 * queues descriptors; as the VMM it executes them at once with the library, and brings page
 * requests in. In a real VMM the two are apart: the guest writes to its memory and rings a
 * register.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "toy_guest.h"
#include "vmm/virtual_iommu.h"

namespace toy
{

/** Thread-safe. Processes that are bound must live. */
class Vmm
{
public:
	static constexpr uint16_t kRid =
		0x0008;			       /**< the guest's function, unless it says another */
	static constexpr uint16_t kDomain = 1; /**< of its PASIDs */

	/** @deviceId of a device that the guest gets; page faults are served from now on. */
	Vmm(Guest &guest, wd::vmm::GuestMemory &memory, uint32_t deviceId);
	~Vmm();
	Vmm(const Vmm &) = delete;
	Vmm &operator=(const Vmm &) = delete;

	wd::vmm::VirtualIommu &iommu() { return iommu_; }

	/** The guest's driver: @pasid of function @rid uses @process's page table. */
	void bind(uint32_t pasid, Process &process, uint16_t rid = kRid);
	/** The guest's driver: @pasid uses guest physical addresses; 0 = the function without
	 * PASID. */
	void bindMemory(uint32_t pasid, uint16_t rid = kRid);
	/** The guest's driver: nothing is at @pasid any more. */
	void unbind(uint32_t pasid, uint16_t rid = kRid);
	/** The guest's driver: entries of [@gva, +@bytes) have changed. In effect on return. */
	void flush(uint32_t pasid, uint64_t gva, uint64_t bytes);

	/** Page requests that the guest has answered, with the answers. */
	struct Faults {
		std::atomic<uint64_t> resolved{0}, refused{0};
	};
	const Faults &faults() const { return faults_; }
	/** While set, no page request is taken. */
	void pause(bool paused);

private:
	/** The target of a function's context entry. */
	struct Tables {
		uint64_t directory, entries;
	};

	uint64_t tableOf(uint16_t rid);
	void setEntry(uint16_t rid, uint32_t pasid, uint64_t q0, uint64_t root);
	void execute(const wd::vmm::Descriptor &descriptor);
	void serve(std::stop_token stop);
	bool resolve(const wd::vmm::GuestPageRequest &request);
	void pageRequest(const wd::vmm::GuestPageRequest &request);

	Guest &guest_;
	wd::vmm::VirtualIommu iommu_;
	std::mutex mutex_;
	std::map<uint16_t, Tables> tables_;
	std::map<std::pair<uint16_t, uint32_t>, Process *> processes_;
	bool failed_ = false; /**< a page of the group that is being served was refused */
	std::atomic<bool> paused_{false};
	Faults faults_;
	std::jthread server_; /**< last: it uses everything */
};

} // namespace toy
