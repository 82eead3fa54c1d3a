/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that the IOMMU refused, as its driver shows them in sysfs
 * (Documentation/design/iommu.rst): the newest faults of every unit.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wd/any_host.h"

namespace wd
{

/** One recorded fault. Value type. */
struct IommuFault {
	std::string rid;    /**< requester as a PCI address, "0000:75:00.0" */
	uint32_t pasid = 0; /**< 0 = the request carried none */
	uint64_t address = 0;
	unsigned reason = 0;	/**< VT-d fault reason code */
	std::string access;	/**< "read", "write", "atomic" or "page-request" */
	std::string reasonText; /**< a few words; empty if the user of a PASID cannot cause it */
};

/** One line of the driver's fault log. @return none if it is not one. */
std::optional<IommuFault> parseFault(std::string_view line);

/** True if this process may read the log of a unit. In a native host only root may. */
bool faultLogReadable(Host &host);

/** Every fault that the units' logs still hold, oldest first. A unit may have no log. */
std::vector<IommuFault> readFaults(Host &host);

/**
 * Wait until the log has a fault of @pasid in the page of @address.
 * @return none after @timeoutMs, or if no unit has a log
 */
std::optional<IommuFault> waitForFault(Host &host, uint32_t pasid, uint64_t address, int timeoutMs);

} // namespace wd
