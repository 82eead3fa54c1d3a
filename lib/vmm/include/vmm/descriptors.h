/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words that a guest and its virtual VT-d unit exchange in guest memory: PASID table entries,
 * invalidation descriptors, page requests and their answers (VT-d 9.6, 6.5.2, 7.4.1.1, 7.6.1). Pure
 * functions. The words come from the guest, so they may have any value.
 */
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "wd/nesting.h"

namespace wd::vmm
{

/** An entry of the guest's invalidation queue, four little-endian words (DW = 1). */
using Descriptor = std::array<uint64_t, 4>;

/** The fields of a guest's PASID table entry that a VMM needs. */
struct PasidEntry {
	enum class Kind {
		Absent,
		FirstStage,  /**< the guest's own table */
		PassThrough, /**< guest physical addresses */
		Bad,	     /**< reserved bits, or a kind that needs nesting in the guest's unit */
	};

	Kind kind = Kind::Absent;
	uint16_t domain = 0;
	VtdTable table; /**< FirstStage only */
	friend bool operator==(const PasidEntry &, const PasidEntry &);
};

PasidEntry parsePasidEntry(const std::array<uint64_t, 8> &words);

/** The meaning of a descriptor. */
struct Command {
	enum class Kind {
		Invalid,     /**< the virtual unit sets IQE */
		NotOurs,     /**< context cache, interrupt cache, wait: the VMM handles it */
		Nothing,     /**< device TLB: flushes of tables include it */
		PasidCache,  /**< entries may have changed */
		FlushDomain, /**< all translations of a domain, or of all */
		FlushPasid,  /**< all translations of (domain, PASID) */
		FlushPages,  /**< some of (domain, PASID) */
		PageResponse,
	};

	Kind kind = Kind::Invalid;
	bool everyDomain = false, everyPasid = false;
	uint16_t domain = 0;
	uint32_t pasid = 0;
	VtdFlush flush; /**< FlushPages */

	/* PageResponse. */
	uint16_t rid = 0, group = 0;
	bool pasidPresent = false;
	unsigned code = 0; /**< RC: 0 success */
};

Command parseDescriptor(const Descriptor &words);

/** A page request on its way into a guest. */
struct GuestPageRequest {
	uint16_t rid = 0;   /**< requester id in the guest */
	uint32_t pasid = 0; /**< 0 = none */
	uint16_t group = 0; /**< number that the VMM chose, 0..511 */
	bool last = false;
	PageFault page;
};

/** The entry for the guest's page request queue. */
Descriptor encodePageRequest(const GuestPageRequest &request);

} // namespace wd::vmm
