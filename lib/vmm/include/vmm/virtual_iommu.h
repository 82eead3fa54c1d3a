/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a virtual VT-d unit that needs the IOMMU of the host. It turns guest PASID table
 * entries into nested HWPTs and attachments, the guest's invalidation descriptors into flushes, and
 * page faults into page requests of the guest, whose answers it passes on
 * (Documentation/guide/vsva.rst).
 *
 * The VMM does the rest: registers, queues in memory, the context table, interrupts. The guest must
 * see caching mode (CAP.CM = 1), because only then it reports entries that become present.
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
 * Thread-safe if the devices are: it calls their attach() and detach() under its lock. The memory
 * and the devices must outlive it; a device may also be removed before. The destructor detaches
 * everything that is still attached.
 *
 * The guest may be hostile. Whatever is in its tables and descriptors, devices reach only its
 * memory, and an error of the guest gives a Result, not an exception.
 */
class VirtualIommu
{
public:
	/** How a descriptor ended. */
	enum class Result {
		Done,
		NotOurs,  /**< the VMM must do it: context cache, interrupt cache, wait */
		Invalid,  /**< the VMM must set IQE and leave the head at the descriptor */
		BadEntry, /**< done, but a PASID entry that the host cannot have counts as absent */
	};

	/**
	 * @param deviceId id of a device (Device::id()), which must stay bound: page tables are
	 *	made for its IOMMU
	 * @throws Error: EOPNOTSUPP if it cannot nest
	 */
	VirtualIommu(GuestMemory &memory, uint32_t deviceId);
	~VirtualIommu();
	VirtualIommu(const VirtualIommu &) = delete;
	VirtualIommu &operator=(const VirtualIommu &) = delete;

	/** The table of guest physical addresses. */
	const Hwpt &parent() const noexcept { return parent_; }

	/**
	 * The context entry of guest function @rid names a PASID directory of 2^(@pdts + 7) entries
	 * at @gpa. Reads all its PASIDs anew.
	 */
	void setDirectory(uint16_t rid, uint64_t gpa, unsigned pdts);
	/** The context entry is gone. Detaches the function's PASIDs. */
	void clearDirectory(uint16_t rid);

	/**
	 * @device is the whole guest function @rid: each entry of the directory is attached to it,
	 * entry 0 at its requester id. @throws Error (EEXIST) if the function has a device
	 */
	void addFunction(uint16_t rid, Device &device);
	/**
	 * @device is a queue that serves PASID @pasid of guest function @rid. It is attached as
	 * long as the entry is present. @throws Error: EINVAL more than 20 bits; EEXIST it has one
	 * already
	 */
	void addQueue(uint16_t rid, uint32_t pasid, Device &device);
	/** Detach @device. Its page requests that wait for the guest fail. */
	void removeDevice(Device &device);

	/** Execute one entry of the guest's invalidation queue. It is in effect on return. */
	Result execute(const Descriptor &words);

	/** Readable when there is something for deliver(). A descriptor of the Iommufd's host. */
	int faultFd() const noexcept { return faults_.fd(); }
	/** Wait for that. @return false after @timeoutMs (-1 = for ever) */
	bool waitForFaults(int timeoutMs) noexcept { return faults_.wait(timeoutMs); }
	/**
	 * Give the page requests that have arrived to @sink, which runs without the lock and gets
	 * all pages of a group one after another. A guest function that owes kGroups answers gets
	 * no more until it has answered one. @return number of groups
	 */
	unsigned deliver(const std::function<void(const GuestPageRequest &)> &sink);
	/** Number of groups that the guest has got and not answered. */
	size_t unanswered() const;

	/** Group numbers of a guest function (9 bits). */
	static constexpr unsigned kGroups = 512;
	/** Most PASIDs with a table at one time, over all functions. Others count as absent. */
	static constexpr size_t kMaxSpaces = 4096;

private:
	using Place = std::pair<uint16_t, uint32_t>; /**< guest's rid and PASID */

	/** A PASID of the guest for which a table is attached. */
	struct Space {
		PasidEntry entry;
		Hwpt table; /**< FirstStage only */
	};
	/** A device at one PASID of its guest function. */
	struct User {
		Device *device;
		Place place;
		bool whole; /**< made by addFunction(): it exists as long as the entry */
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
	std::vector<FaultGroup> held_; /**< read from the kernel, but no group number was free */
};

} // namespace wd::vmm
