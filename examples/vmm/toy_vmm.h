/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides of the VT-d unit of a toy guest. As the guest's driver it keeps a PASID table and
 * queues descriptors. As the VMM it executes them at once with the library, and brings page
 * requests in. In reality the two are separate: the guest writes to its memory and to a register.
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

/** Thread-safe. A process must live as long as it is bound. */
class Vmm
{
public:
	static constexpr uint16_t kRid =
		0x0008; /**< the guest's function, if the caller names no other */
	static constexpr uint16_t kDomain = 1; /**< of its PASIDs */

	/** @deviceId: a device that the guest gets. Page faults are served from now on. */
	Vmm(Guest &guest, wd::vmm::GuestMemory &memory, uint32_t deviceId);
	~Vmm();
	Vmm(const Vmm &) = delete;
	Vmm &operator=(const Vmm &) = delete;

	wd::vmm::VirtualIommu &iommu() { return iommu_; }

	/**
	 * The guest's driver: @pasid of function @rid uses @process's page table. @process stays until
	 * unbind(), another bind(), or the end of the VMM.
	 */
	void bind(uint32_t pasid, Process &process, uint16_t rid = kRid);
	/** The guest's driver: @pasid uses guest physical addresses; 0 = the function without
	 * PASID. */
	void bindMemory(uint32_t pasid, uint16_t rid = kRid);
	/** The guest's driver: @pasid has no table any more. */
	void unbind(uint32_t pasid, uint16_t rid = kRid);
	/** The guest's driver: forget translations of [@gva, +@bytes). In effect on return. */
	void flush(uint32_t pasid, uint64_t gva, uint64_t bytes);

	/** Numbers of page requests that the guest has answered, by answer. */
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
	void serve(const std::stop_token &stop);
	bool resolve(const wd::vmm::GuestPageRequest &request);
	void pageRequest(const wd::vmm::GuestPageRequest &request);

	Guest &guest_;
	wd::vmm::VirtualIommu iommu_;
	std::mutex mutex_;
	std::map<uint16_t, Tables> tables_;
	std::map<std::pair<uint16_t, uint32_t>, Process *> processes_;
	bool failed_ = false; /**< the guest refused a page of the current group */
	std::atomic<bool> paused_{false};
	Faults faults_;
	std::jthread server_; /**< last, because it uses the other members */
};

} // namespace toy
