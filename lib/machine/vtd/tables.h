/* SPDX-License-Identifier: Apache-2.0 */
/* Context, PASID directory and PASID table entries (VT-d 9.4 to 9.6). */
#pragma once

#include <array>
#include <cstdint>

#include "base/bits.h"
#include "capabilities.h"
#include "machine/fault_reason.h"
#include "machine/types.h"

namespace wd::machine::vtd
{

/** PGTT: how the address of a request is translated. */
enum class PageTableType : uint8_t {
	FirstStage = 1,
	SecondStage = 2,
	Nested = 3,
	PassThrough = 4,
};

/** Scalable context entry (VT-d 9.4). */
struct ContextEntry {
	std::array<uint64_t, 4> q{};

	bool present() const { return has(q[0], 0); }
	bool faultDisable() const { return has(q[0], 1); }
	bool deviceTlb() const { return has(q[0], 2); }
	bool pasidEnable() const { return has(q[0], 3); }
	bool pageRequests() const { return has(q[0], 4); }
	/** Number of PASIDs that the directory has room for. */
	uint32_t pasidLimit() const { return uint32_t{1} << (field(q[0], 11, 9) + 13); }
	uint64_t directory() const { return q[0] & mask(63, 12); }
	uint32_t ridPasid() const { return field(q[1], 19, 0); }
	bool ridPrivileged() const { return has(q[1], 20); }

	/** Checks that follow that of P. */
	FaultReason check(const Features &features) const;
};

/** PASID table entry (VT-d 9.6), with the FPD bits seen on the way to it. */
struct PasidEntry {
	std::array<uint64_t, 8> q{};
	bool silenced = false; /**< FPD of the directory entry or of this one */

	bool present() const { return has(q[0], 0); }
	bool faultDisable() const { return has(q[0], 1); }
	unsigned addressWidth() const { return field(q[0], 4, 2); }
	PageTableType type() const { return static_cast<PageTableType>(field(q[0], 8, 6)); }
	bool secondStageDirty() const { return has(q[0], 9); }
	uint64_t secondStageTable() const { return q[0] & mask(63, 12); }
	uint16_t domain() const { return q[1]; }
	bool walksSnooped() const { return has(q[1], 23); }
	bool pageSnoop() const { return has(q[1], 24); }
	bool supervisor() const { return has(q[2], 0); }
	unsigned firstStageLevels() const { return 4 + field(q[2], 3, 2); }
	bool writeProtect() const { return has(q[2], 4); }
	bool extendedAccessed() const { return has(q[2], 7); }
	uint64_t firstStageTable() const { return q[2] & mask(63, 12); }

	/** Checks that follow that of P. */
	FaultReason check(const Features &features) const;

private:
	FaultReason checkSecondStage(const Features &features) const;
	FaultReason checkFirstStage(const Features &features) const;
	FaultReason checkNested(const Features &features) const;
};

} // namespace wd::machine::vtd
