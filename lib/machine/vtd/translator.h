/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation of one untranslated request (VT-d 4.2): a lookup in the IOTLB, and on a miss a walk
 * from the root table down.
 */
#pragma once

#include <cstdint>

#include "caches.h"
#include "faults.h"
#include "interrupt_range.h"
#include "second_stage.h"
#include "tables.h"
#include "walk.h"

namespace wd::machine::vtd
{

struct FirstStageLeaf;

/** A request with AT=00 that does not cross a 4 KiB page (VTD-SS-13). */
struct Request {
	StreamId stream;
	uint64_t address = 0;
	uint64_t length = 0; /**< bytes; 0 is a zero-length read */
	Access access = Access::Read;
	bool privileged = false;
};

/** Small enough to be returned in registers: this is the hottest value of the unit. */
struct Translation {
	static constexpr uint64_t kMaxContiguous = (uint64_t{1} << 40) - 1;

	uint64_t address = 0;
	uint64_t contiguous : 40 = 0; /**< bytes to the end of the page that was used */
	FaultReason reason : 8 = FaultReason::None;
	bool silenced : 1 = false; /**< FPD is set on the way: record no qualified faults */
	bool consumed : 1 =
		false; /**< ends in the unit (interrupt range): no memory access follows */
};

static_assert(sizeof(Translation) == 16);

/** The answer to a translation request (VT-d 4.2.3). */
struct Completion {
	enum class Status : uint8_t { Success, Unsupported, Abort };

	uint64_t address = 0; /**< of the page, without its size encoded */
	unsigned size = 0;    /**< size class of the page; S=1 if it is not 0 */
	Status status = Status::Success;
	bool read = false, write = false; /**< both false: no translation, no error */
	bool untranslated = false;	  /**< U: the page may be used with AT=00 only */
	bool privileged = false, snooped = false;
	/** Why there is no translation, or why a right is missing. */
	FaultReason reason = FaultReason::None;
	bool recorded = false; /**< the reason is a fault; record it unless silenced */
	bool silenced = false;
};

/**
 * Whether a device that gets this answer may send a page request: the completion is a success with
 * R=W=U=S=0, or has fewer rights.
 */
bool isRecoverable(FaultReason reason);

/** The table entry that a page request leads to, or the reason for refusing it (VTD-PRQ-4). */
struct PageRequestTarget {
	FaultReason reason = FaultReason::None;
	bool silenced = false;
	PageTableType type = PageTableType::FirstStage;
	uint16_t domain = 0;
	uint32_t pasid = 0; /**< the message's, or RID_PASID */
};

/** The value of RTADDR at the last SRTP (VTD-REG-1). */
using RootPointer = uint64_t;

/** One per agent; the agent's gate covers it. */
class Translator
{
public:
	Translator(const Features &features, const UnitMemory &memory)
		: context_{features, memory, caches_}
	{
	}

	AgentCaches &caches() { return caches_; }
	const AgentCaches &caches() const { return caches_; }

	Translation translate(RootPointer root, const Request &request) noexcept
	{
		const bool ridOnly = !request.stream.hasPasid;

		if (!(ridOnly && inInterruptRange(request.address))) [[likely]] {
			const CachedTranslation *hit = find(request.stream, request.address);

			if (hit) [[likely]] {
				const unsigned kind = static_cast<unsigned>(request.access) +
						      (request.privileged && !ridOnly ? 3 : 0);

				if ((hit->flags >> kind) & 1) [[likely]]
					return useHit(*hit, request.address);
				Translation denied;

				if (isDenied(*hit, request, denied))
					return denied;
			}
		}
		AgentCounters::add(caches_.counters.misses);
		return walk(root, request);
	}

	/**
	 * Answer a translation request (AT=01). @noWrite is its NW flag; request.access is not
	 * used.
	 */
	Completion answerTranslationRequest(RootPointer root, const Request &request,
					    bool noWrite) noexcept;
	/** Answer a translated request (AT=10). */
	Translation admitTranslated(RootPointer root, const Request &request) noexcept;
	PageRequestTarget locatePageRequest(RootPointer root, const StreamId &stream,
					    uint64_t address) noexcept;

private:
	/**
	 * Flags of an IOTLB entry. Bit n of bits 5:0: a request of kind n may pass, where n is 3 *
	 * privileged + access.
	 */
	static constexpr uint32_t kUser = 1 << 8, kWrite = 1 << 9, kWriteProtect = 1 << 10;
	static constexpr uint32_t kSupervisor = 1 << 11;
	static constexpr uint32_t kStageRead = 1 << 12, kStageWrite = 1 << 13;
	static constexpr uint32_t kSilenced = 1 << 14, kDirty = 1 << 15;
	static constexpr uint32_t kRidPrivileged = 1 << 16;
	/** Part of the page is in the interrupt range: use the page in pieces of 4 KiB. */
	static constexpr uint32_t kSplit = 1 << 17;
	static constexpr uint32_t kSnooped = 1 << 18, kPassThrough = 1 << 19;

	/** A request, and what the steps of its walk have found so far. */
	struct Walk {
		const Request &request;
		ContextEntry context;
		PasidEntry entry;
		uint32_t pasid = 0;	 /**< the request's, or RID_PASID */
		bool privileged = false; /**< effective PR */
		bool silenced = false;
		CachedTranslation result; /**< the IOTLB entry for it */
	};

	const CachedTranslation *find(const StreamId &stream, uint64_t address) noexcept
	{
		const uint64_t who = streamTag(stream);

		for (unsigned size = 0; size < 3; size++) {
			const CachedTranslation *hit = caches_.iotlb.find(who, address, size);

			if (hit)
				return hit;
		}
		return nullptr;
	}

	Translation useHit(const CachedTranslation &hit, uint64_t address) noexcept
	{
		AgentCounters::add(caches_.counters.hits);
		return finish(hit, address);
	}

	static Translation finish(const CachedTranslation &entry, uint64_t address) noexcept
	{
		const uint64_t size = uint64_t{1} << classShift(entry.size);
		const uint64_t window = entry.flags & kSplit ? kPageSize : size;
		Translation result;

		result.address = entry.value | (address & (size - 1));
		result.contiguous = window - (address & (window - 1));
		if (inInterruptRange(result.address)) [[unlikely]] {
			result.reason = FaultReason::InterruptRangeOutput;
			result.silenced = entry.flags & kSilenced;
		}
		return result;
	}

	bool isDenied(const CachedTranslation &hit, const Request &request,
		      Translation &denied) noexcept;
	Translation walk(RootPointer root, const Request &request) noexcept;

	/** The steps of a walk, in order. Each returns the fault of the structure that it reads. */
	FaultReason checkRootPointer(RootPointer root, const Request &request) const;
	Translation answerInterruptRange(const Request &request) const;
	FaultReason readContext(RootPointer root, Walk &walk);
	FaultReason fetchContext(RootPointer root, Walk &walk);
	FaultReason checkPasid(const Walk &walk) const;
	FaultReason readPasidEntry(Walk &walk);
	FaultReason fetchPasidEntry(Walk &walk);
	FaultReason dispatch(Walk &walk);
	FaultReason translateFirstStage(Walk &walk);
	FaultReason translateSecondStage(Walk &walk);
	FaultReason translateNested(Walk &walk);
	FaultReason translatePassThrough(Walk &walk);
	void complete(Walk &walk, unsigned level, uint64_t base, TagKind kind, uint32_t rights);

	static uint32_t firstStageRights(const FirstStageLeaf &leaf);

	/* translation_request.cpp */
	static Completion fail(FaultReason reason, const Walk &walk);
	static Completion answerInterruptRange(bool noWrite);
	bool isDirty(const CachedTranslation &hit, const Request &request) const;
	Completion complete(Walk &walk, bool insert, bool honoured);

	FaultReason judge(uint32_t flags, const Request &request, bool privileged) const;
	uint32_t permittedKinds(uint32_t flags) const;

	AgentCaches caches_;
	WalkContext context_;
};

} // namespace wd::machine::vtd
