/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types that every part of the machine uses: the source of a request (requester id, PASID), its
 * kind (Access), and its result (DmaResult). All are plain values.
 */
#pragma once

#include <compare>
#include <cstdint>

namespace wd::machine
{

/** Requester id of a PCI function: bus in bits 15:8, device and function in bits 7:0. */
struct Rid {
	uint16_t value = 0;
	friend auto operator<=>(const Rid &, const Rid &) = default;
};

constexpr Rid makeRid(unsigned bus, unsigned device, unsigned function)
{
	return Rid{static_cast<uint16_t>((bus << 8) | ((device & 0x1f) << 3) | (function & 7))};
}

/** Width of a PASID in bits (PCI Express). */
constexpr unsigned kPasidBits = 20;

/** The source of a memory request: a function, and optionally one of its PASIDs. */
struct StreamId {
	Rid rid;
	bool hasPasid = false;
	uint32_t pasid = 0;
	friend auto operator<=>(const StreamId &, const StreamId &) = default;
};

constexpr StreamId ridStream(Rid rid)
{
	return StreamId{rid, false, 0};
}
constexpr StreamId pasidStream(Rid rid, uint32_t pasid)
{
	return StreamId{rid, true, pasid};
}

enum class Access : uint8_t { Read, Write, Atomic };

/** How a memory request of a device ended. A fault is an ordinary result, never an exception. */
enum class DmaResult : uint8_t {
	Ok,
	/**
	 * The IOMMU refused it. Its fault record has the reason, unless software switched recording
	 * off.
	 */
	Blocked,
	/** There is no memory at the translated address. */
	NoMemory,
	/** Pages were requested; the answer comes later (DmaAgent::prepare() only). */
	Pending,
};

} // namespace wd::machine
