// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include "base/bits.h"
#include "core/trace.h"
#include "interrupt_range.h"

namespace wd::machine::vtd
{
namespace
{

constexpr uint32_t kRecordFull = 1u << 31; /* F, in the top word of a record */

/* T1 is bit 126, T2 bit 92 of the record (VTD-FAULT-3). */
uint64_t typeBits(const FaultRecord &fault)
{
	if (fault.pageRequest)
		return bit(28);
	switch (fault.access) {
	case Access::Write:
		return 0;
	case Access::Read:
		return bit(62);
	case Access::Atomic:
		return bit(62) | bit(28);
	}
	return 0;
}

} // namespace

/* VTD-CTX-1, VTD-PASID-2, VTD-MSI-1 */
bool isQualified(FaultReason reason)
{
	switch (reason) {
	case FaultReason::InterruptRangeRequest:
	case FaultReason::ContextNotReadable:
	case FaultReason::DirectoryNotReadable:
	case FaultReason::PasidEntryNotReadable:
		return false;
	default:
		return reason >= FaultReason::ContextNotReadable;
	}
}

bool FaultLog::covers(unsigned offset) const
{
	return offset >= slot(0) && offset < slot(features_.recordCount);
}

bool FaultLog::occupied(unsigned index) const
{
	return registers_.read(slot(index) + 12) & kRecordFull;
}

void FaultLog::fill(unsigned index, const FaultRecord &fault)
{
	uint64_t high = fault.stream.rid.value | typeBits(fault) |
			uint64_t{static_cast<uint8_t>(fault.type)} << 60 |
			uint64_t{static_cast<uint8_t>(fault.reason)} << 32;

	if (fault.stream.hasPasid) {
		high |= bit(31) | uint64_t{fault.stream.pasid & 0xfffff} << 40;
		if (fault.privileged)
			high |= bit(29);
	}
	registers_.set64(slot(index), fault.address & features_.faultAddressMask());
	registers_.set64(slot(index) + 8, high | bit(63));
}

/* VTD-FAULT-1, VTD-FAULT-2; without the optional compression. */
void FaultLog::record(const FaultRecord &fault)
{
	const uint32_t status = registers_.read(reg::kFsts);

	if (status & kFstsPfo)
		return;
	if (occupied(index_)) {
		/* PFO causes no event, but while it is set there are no others (VT-d 7.3). */
		registers_.setBits(reg::kFsts, kFstsPfo);
		return;
	}
	WD_TRACE_EVENT(vtd, fault_record, "sid=%s pasid=%s addr=0x%llx fr=0x%x access=%s fri=%u",
		       trace::Sid(fault.stream.rid).text, trace::Pasid(fault.stream).text,
		       trace::hex(fault.address), static_cast<unsigned>(fault.reason),
		       trace::name(fault.access), index_);
	fill(index_, fault);
	if (!(status & kFstsPpf)) {
		registers_.clearBits(reg::kFsts, kFstsFri);
		event_.raise(kFstsPpf | index_ << 8);
	}
	index_ = (index_ + 1) % features_.recordCount;
}

/* VTD-REG-5: PPF is set while some record has its F bit set. */
void FaultLog::recordsWritten()
{
	for (unsigned i = 0; i < features_.recordCount; i++)
		if (occupied(i))
			return;
	registers_.clearBits(reg::kFsts, kFstsPpf | kFstsFri);
	event_.statusCleared();
}

} // namespace wd::machine::vtd
