/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that one agent caches (VT-d 6.2.1). Each agent has caches of its own, so that the data
 * path shares nothing. An invalidation visits the caches of all agents.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <new>
#include <unordered_map>

#include "machine/iommu_unit.h"
#include "tables.h"
#include "translation_cache.h"

namespace wd::machine::vtd
{

/** Counters with one writer; readers may be on any thread. */
struct AgentCounters {
	std::atomic<uint64_t> hits{0}, misses{0}, entryReads{0}, faults{0};

	static void add(std::atomic<uint64_t> &counter, uint64_t n = 1) noexcept
	{
		counter.store(counter.load(std::memory_order_relaxed) + n,
			      std::memory_order_relaxed);
	}
};

/** Invalidation commands as the queue decodes them (VT-d 6.5.2). */
struct Invalidation {
	enum class Scope : uint8_t {
		All,
		ContextAll,
		ContextDevice,
		PasidAll,
		PasidDomain,
		PasidEntry,
		IotlbAll,
		IotlbDomain,
		IotlbPages,
		PasidIotlbAll,
		PasidIotlbPages,
	};
	Scope scope = Scope::All;
	uint16_t domain = 0;
	uint16_t sid = 0, sidMask = 0; /**< sidMask: bits of the SID that are not compared */
	uint32_t pasid = 0;
	uint64_t address = 0;
	unsigned order = 0;	 /**< AM: region is 4 KiB << order */
	bool keepTables = false; /**< IH */
};

/**
 * The lookup tag of IOTLB entries. (Second-stage structures are found by DID, first-stage
 * structures by DID and PASID.)
 */
constexpr uint64_t streamTag(const StreamId &stream)
{
	return stream.rid.value |
	       (stream.hasPasid ? uint64_t{1} << 16 | uint64_t{stream.pasid} << 17 : 0);
}

/** Not thread-safe: the agent's gate covers it. */
class AgentCaches
{
public:
	AgentCaches();

	void setMode(CacheMode mode);
	void apply(const Invalidation &command) noexcept;

	const ContextEntry *findContext(Rid rid) const;
	void insert(Rid rid, const ContextEntry &entry) noexcept;
	const PasidEntry *findPasid(Rid rid, uint32_t pasid) const;
	void insert(Rid rid, uint32_t pasid, const PasidEntry &entry) noexcept;

	TranslationCache iotlb, firstStage, secondStage;
	AgentCounters counters;

private:
	static uint64_t pasidKey(Rid rid, uint32_t pasid)
	{
		return uint64_t{pasid} << 16 | rid.value;
	}
	template <typename Map, typename Key, typename Value>
	void remember(Map &map, Key key, const Value &value) noexcept;

	void clear() noexcept;
	void applyContext(const Invalidation &command) noexcept;
	void applyPasid(const Invalidation &command) noexcept;
	void applyIotlb(const Invalidation &command) noexcept;

	size_t limit_; /**< entries of each cache, 0 = none */
	std::unordered_map<uint16_t, ContextEntry> contexts_;
	std::unordered_map<uint64_t, PasidEntry> pasids_;
};

} // namespace wd::machine::vtd
