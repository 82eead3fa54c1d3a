/* SPDX-License-Identifier: Apache-2.0 */
/* Fault reasons and the fault recording registers (VT-d 7.1.3, 11.4.7.6). */
#pragma once

#include <cstdint>

#include "capabilities.h"
#include "events.h"
#include "machine/fault_reason.h"
#include "machine/types.h"

namespace wd::machine::vtd
{

/** Whether FPD in a table entry keeps faults with @reason out of the record (VTD-PASID-11). */
bool isQualified(FaultReason reason);

/** The AT field of a request. */
enum class AddressType : uint8_t { Untranslated = 0, TranslationRequest = 1, Translated = 2 };

/** A refused request, as a fault record describes it. */
struct FaultRecord {
	StreamId stream;
	uint64_t address = 0;
	Access access = Access::Read;
	bool privileged = false;
	FaultReason reason = FaultReason::None;
	AddressType type = AddressType::Untranslated;
	bool pageRequest = false; /**< then @access means nothing */
};

/** FRCD[0..NFR] with PPF, PFO and FRI. Not thread-safe: the register mutex covers it. */
class FaultLog
{
public:
	FaultLog(const Features &features, RegisterFile &registers, EventLine &event)
		: features_(features),
		  registers_(registers),
		  event_(event)
	{
	}

	void record(const FaultRecord &fault);

	/** True if @offset is in the recording registers. */
	bool covers(unsigned offset) const;
	/** Software wrote a recording register and may have cleared F bits. */
	void recordsWritten();

	/** TES and IRES became 0 (VTD-FAULT-2). */
	void resetIndex() { index_ = 0; }

private:
	unsigned slot(unsigned index) const { return features_.recordOffset + 16 * index; }
	bool occupied(unsigned index) const;
	void fill(unsigned index, const FaultRecord &fault);

	const Features &features_;
	RegisterFile &registers_;
	EventLine &event_;
	unsigned index_ = 0;
};

} // namespace wd::machine::vtd
