/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User-managed page tables (nested HWPTs) and page faults: Documentation/design/nesting.rst,
 * Documentation/guide/iommufd.rst. Functions are ioctls of <linux/iommufd.h>, except the
 * fault queue's, which are reads and writes of its file.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "wd/any_host.h"
#include "wd/error.h"
#include "wd/iommufd.h"

namespace wd
{

/** A first-stage table that the user writes (x86-64 format, VT-d 9.7). */
struct VtdTable {
	uint64_t root = 0;	   /**< address in the parent, a multiple of 4096 */
	unsigned levels = 4;	   /**< 4 or 5 */
	bool supervisor = false;   /**< SRE: requests in privileged mode are allowed */
	bool extended = false;	   /**< EAFE: hardware sets the extended accessed flag */
	bool writeProtect = false; /**< WPE: write protection holds in privileged mode */
};

/** One request to forget cached translations of a user-managed table. */
struct VtdFlush {
	static constexpr uint64_t kEverything = UINT64_MAX;

	uint64_t address = 0;	      /**< input address, a multiple of 4096; 0 with kEverything */
	uint64_t pages = kEverything; /**< number of pages of 4096 bytes */
	bool leafOnly = false;	      /**< only leaf entries have changed */
};

/** One page of a fault group. */
struct PageFault {
	uint64_t address = 0; /**< of the page */
	bool read = false, write = false, execute = false, privileged = false;
};

/** Pages that a device wants, to be answered as a whole. */
struct FaultGroup {
	uint32_t cookie = 0; /**< names the group in the answer */
	uint32_t deviceId = 0;
	uint32_t pasid = 0;   /**< 0 = the requester id itself */
	uint32_t groupId = 0; /**< the number that the device gave it */
	std::vector<PageFault> pages;
};

/**
 * It receives the page faults of the HWPTs that were made with it. Calls are thread-safe, the
 * object is thread-bound. The Iommufd must outlive it. Destroy its HWPTs first.
 */
class FaultQueue : public IommufdObject
{
public:
	/** @throws Error */
	explicit FaultQueue(const Iommufd &iommufd);

	/** Readable (POLLIN) when a group is there. A descriptor of the Iommufd's host. */
	int fd() const noexcept { return fd_.get(); }
	/**
	 * The groups that have arrived, oldest first. Never waits. The caller must answer each
	 * once.
	 * @throws Error
	 */
	std::vector<FaultGroup> read();
	/** Wait until read() has something. @return false after @timeoutMs (-1 = for ever). */
	bool wait(int timeoutMs) noexcept;
	/**
	 * Answer the group.
	 * @param success true: the pages are there, and the device tries again; false: its request
	 *	fails
	 * @return false if no device waits for that answer any more: the attachment is gone
	 * @throws Error
	 */
	bool respond(uint32_t cookie, bool success);

private:
	HostFd fd_;
	std::vector<std::byte> buffer_;
};

/** A page table over @ioas on which user-managed ones can be nested. @throws Error */
Hwpt allocNestParent(Iommufd &iommufd, const Ioas &ioas, uint32_t deviceId);

/**
 * A user-managed table on @parent, which must outlive it.
 * @param faults where page faults go; nullptr: they fail
 * @throws Error: EINVAL an address or a width that the IOMMU does not have; EOPNOTSUPP
 */
Hwpt allocNested(Iommufd &iommufd, const Hwpt &parent, uint32_t deviceId, const VtdTable &table,
		 const FaultQueue *faults = nullptr);

/**
 * Invalidate cached translations of @nested in the IOMMU and in device TLBs, in order. When it
 * returns, the user's earlier changes of the table are in effect.
 * @throws Error: EINVAL an address or length is wrong; the requests before the wrong one are done
 */
void flush(const Iommufd &iommufd, const Hwpt &nested, std::span<const VtdFlush> requests);

} // namespace wd
