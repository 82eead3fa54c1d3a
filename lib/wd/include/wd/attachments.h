/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attachments in the IOMMU, as its driver shows them in sysfs (Documentation/design/iommu.rst):
 * every [requester id] and [requester id, PASID] of every domain.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wd/any_host.h"

namespace wd
{

/** One place where a page table is installed. Value type. */
struct IommuAttachment {
	std::string unit;    /**< "wd-iommu0" */
	unsigned domain = 0; /**< number of the domain; 0: blocked and identity */
	std::string type;    /**< "dma", "unmanaged", "identity", "blocked" */
	std::string device;  /**< requester as a PCI address, "0000:75:00.0" */
	uint32_t pasid = 0;  /**< 0 = the requester id itself */
	bool nested = false; /**< a user-managed table on @domain is installed there */
};

/** The content of all units' attributes. */
struct IommuAttachments {
	std::vector<IommuAttachment> list; /**< domain by domain, the oldest domain first */
	unsigned more = 0;		   /**< how many did not fit into the attributes */
};

/** One line of the attribute, without the unit. @return none if it is not one. */
std::optional<IommuAttachment> parseAttachment(std::string_view line);

/**
 * Attachments of every unit that has the attribute.
 * @throws Error EACCES if the caller may not read a unit's attribute: only root may.
 */
IommuAttachments readAttachments(Host &host);

/**
 * A picture of @attachments: below each device the domains that it uses, below each domain all its
 * attachments. A domain that several devices share is drawn once, below the first of them. Lines
 * end in '\n'.
 */
std::string drawAttachments(const IommuAttachments &attachments);

} // namespace wd
