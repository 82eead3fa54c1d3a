/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a virtual VT-d unit that needs the host's: guest PASID table entries become nested
 * HWPTs and attachments, the guest's invalidation descriptors become flushes, page faults become
 * page requests in the guest, and its answers go back (Documentation/guide/vsva.rst).
 *
 * Registers, queues in memory, the context table and interrupts of the virtual unit are the VMM's.
 * The guest must see caching mode (CAP.CM = 1): only then it says when an entry becomes present.
 */
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "vmm/descriptors.h"
#include "vmm/device.h"
#include "vmm/guest_memory.h"
#include "wd/nesting.h"

namespace wd::vmm
{

/**
 * Thread-safe, as far as the devices are: attach() and detach() of theirs are called from
 * execute(), add and remove, under the lock. Memory and devices must outlive it, or be removed
 * before. The destructor detaches everything that is still attached.
 *
 * The guest is hostile: with any content of its tables and descriptors, devices reach nothing but
 * its memory, and an error is an answer, not an exception.
 */
class VirtualIommu
{
public:
	/** How a descriptor ended. */
	enum class Result {
		Done,
		NotOurs,  /**< the VMM's own: context cache, interrupt cache, wait */
		Invalid,  /**< set IQE, head stays on it */
		BadEntry, /**< done, but the host cannot have a PASID entry: it is absent */
	};

	/**
	 * @param deviceId a device of the host's IOMMU, from Device::id(), that stays bound: page
	 *	tables are made for that IOMMU
	 * @throws Error: EOPNOTSUPP if it cannot nest
	 */
	VirtualIommu(GuestMemory &memory, uint32_t deviceId);
	~VirtualIommu();
	VirtualIommu(const VirtualIommu &) = delete;
	VirtualIommu &operator=(const VirtualIommu &) = delete;

	/** The table of guest physical addresses. */
	const Hwpt &parent() const noexcept { return parent_; }

	/**
	 * The guest function @rid has a PASID directory of 2^(@pdts + 7) entries at @gpa: its
	 * context entry says so. All its PASIDs are looked at anew.
	 */
	void setDirectory(uint16_t rid, uint64_t gpa, unsigned pdts);
	/** The context entry is gone: the function's PASIDs are detached. */
	void clearDirectory(uint16_t rid);

	/**
	 * @device is guest function @rid as a whole: it follows every entry of the directory, entry
	 * 0 with its requester id. @throws Error (EEXIST) if the function has a device
	 */
	void addFunction(uint16_t rid, Device &device);
	/**
	 * @device serves PASID @pasid of guest function @rid: it is attached while the entry is
	 * there. @throws Error: EINVAL a PASID beyond 20 bits; EEXIST it has one already
	 */
	void addQueue(uint16_t rid, uint32_t pasid, Device &device);
	/** Detach it. Its page requests that wait for the guest have failed. */
	void removeDevice(Device &device);

	/** One entry of the guest's invalidation queue. In effect when it returns. */
	Result execute(const Descriptor &words);

	/** Readable when deliver() has something new; a descriptor of the Iommufd's host. */
	int faultFd() const noexcept { return faults_.fd(); }
	/** Wait for that. @return false after @timeoutMs (-1 = for ever) */
	bool waitForFaults(int timeoutMs) noexcept { return faults_.wait(timeoutMs); }
	/**
	 * Hand page requests that have arrived to @sink, which is called without the lock, all
	 * pages of a group in a row. A guest function that owes kGroups answers gets no more until
	 * it has answered one. @return groups
	 */
	unsigned deliver(const std::function<void(const GuestPageRequest &)> &sink);
	/** Groups that the guest was given and has not answered. */
	size_t unanswered() const;

	/** Group numbers of a guest function (9 bits). */
	static constexpr unsigned kGroups = 512;
	/** PASIDs with a table at one time, of all functions. More count as absent. */
	static constexpr size_t kMaxSpaces = 4096;

private:
	using Place = std::pair<uint16_t, uint32_t>; /**< guest's rid and PASID */

	/** A PASID of the guest that devices use. */
	struct Space {
		PasidEntry entry;
		Hwpt table; /**< FirstStage only */
	};
	/** A device at one PASID of its guest function. */
	struct User {
		Device *device;
		Place place;
		bool whole; /**< of a function: comes and goes with the entry */
		bool attached = false;
		uint32_t hostPasid = 0;
	};
	struct Directory {
		uint64_t gpa;
		unsigned pdts;
	};
	struct Pending {
		Device *device;
		uint32_t pasid; /**< the guest's */
		uint32_t cookie;
	};
	struct Requester {
		std::map<uint16_t, Pending> pending; /**< by group */
		uint16_t next = 0;
	};

	PasidEntry readEntry(const Place &place) const;
	bool used(const Place &place) const;
	bool follow(const Place &place);
	bool refresh(const Place &place);
	bool refreshFunction(uint16_t rid);
	bool change(const Place &place, const PasidEntry &entry);
	bool attach(User &user, const Space &space);
	void detach(User &user) noexcept;
	void detachAll(const Place &place) noexcept;
	void forget(const User &user) noexcept;
	Result invalidateEntries(const Command &command);
	bool forgetTranslations(const Hwpt &table, const VtdFlush &request) const;
	void flushTables(const Command &command);
	void answer(const Command &command);
	const User *findUser(const FaultGroup &group) const;
	bool take(const FaultGroup &group, std::vector<GuestPageRequest> &requests);

	GuestMemory &memory_;
	const uint32_t deviceId_;
	Hwpt parent_;
	FaultQueue faults_;
	mutable std::mutex mutex_;
	std::map<uint16_t, Directory> directories_;
	std::map<uint16_t, Device *> functions_;
	std::map<Place, Space> spaces_;
	std::vector<User> users_;
	std::map<uint16_t, Requester> requesters_;
	std::vector<FaultGroup> held_; /**< read, but no group number was free */
};

} // namespace wd::vmm
