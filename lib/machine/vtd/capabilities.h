/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capability registers, decoded once: the unit's features, and from these the reserved bits of
 * its tables (VT-d 11.4.2, 11.4.3, 9.4, 9.6).
 */
#pragma once

#include <array>
#include <cstdint>

#include "machine/iommu_unit.h"

namespace wd::machine::vtd
{

/** Bits of CAP. */
namespace cap
{
constexpr unsigned kZlr = 22, kPsi = 39, kFs1gp = 56, kFs5lp = 60, kEsrtps = 63;
}

/** Bits of ECAP. */
namespace ecap
{
constexpr unsigned kC = 0, kQi = 1, kDt = 2, kPt = 6, kSc = 7, kMts = 25, kNest = 26, kPrs = 29;
constexpr unsigned kEafs = 34, kPasid = 40, kDit = 41, kPds = 42, kSmts = 43, kSsads = 45;
constexpr unsigned kSsts = 46, kFsts = 47, kSmpwcs = 48, kRps = 49, kAdms = 52, kRprivs = 53;
constexpr unsigned kSrs = 31, kNwfs = 33, kSms = 58;
} // namespace ecap

constexpr unsigned kVersion = 0x60; /**< VER: major 6, minor 0 */
constexpr unsigned kRegisterBarSize = 4096;

/** Immutable after construction; read by every thread. */
struct Features {
	/** @throws std::system_error (invalid_argument) if the registers do not fit the BAR. */
	explicit Features(const IommuCapabilities &wanted);

	bool offersCap(unsigned n) const { return (registers.cap >> n) & 1; }
	bool offers(unsigned n) const { return (registers.ecap >> n) & 1; }

	/** Width in bits of second-stage input for an AW field, 0 if the unit does not offer it. */
	unsigned stageWidth(unsigned aw) const;
	/** Address bits of FI in a fault record: up to the widest supported input. */
	uint64_t faultAddressMask() const;

	/**
	 * The registers as software reads them, without bits whose precondition is missing
	 * (VTD-REG-9).
	 */
	IommuCapabilities registers;
	unsigned haw, mgaw, sagaw, didBits, pasidBits, maxAddressMask;
	unsigned recordCount, recordOffset, iotlbOffset;
	bool largePages2M, largePages1G;
	uint64_t aboveHaw;	/**< bits [63:HAW] */
	uint64_t entryAboveHaw; /**< bits [51:HAW], reserved in paging entries */
	std::array<uint64_t, 4> contextReserved;
	std::array<uint64_t, 8> pasidReserved;

private:
	void decode();
	void deriveContextReserved();
	void derivePasidReserved();
};

} // namespace wd::machine::vtd
