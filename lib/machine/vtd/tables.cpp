// SPDX-License-Identifier: Apache-2.0
#include "tables.h"

namespace wd::machine::vtd
{

/* VTD-CTX-5 to VTD-CTX-7 */
FaultReason ContextEntry::check(const Features &features) const
{
	for (size_t i = 0; i < q.size(); i++)
		if (q[i] & features.contextReserved[i])
			return FaultReason::ContextReserved;
	if (pageRequests() && !deviceTlb())
		return FaultReason::ContextInvalid;
	if (ridPasid() >= pasidLimit())
		return FaultReason::ContextInvalid;
	return FaultReason::None;
}

/* VTD-PASID-5, VTD-PASID-8 */
FaultReason PasidEntry::check(const Features &features) const
{
	for (size_t i = 0; i < q.size(); i++)
		if (q[i] & features.pasidReserved[i])
			return FaultReason::PasidEntryReserved;
	switch (type()) {
	case PageTableType::FirstStage:
		return checkFirstStage(features);
	case PageTableType::SecondStage:
		return checkSecondStage(features);
	case PageTableType::PassThrough:
		if (features.offers(ecap::kPt))
			return FaultReason::None;
		break;
	case PageTableType::Nested:
		return checkNested(features);
	}
	return FaultReason::PasidEntryInvalid;
}

/* VTD-PASID-6 */
FaultReason PasidEntry::checkSecondStage(const Features &features) const
{
	if (!features.offers(ecap::kSsts) || !features.stageWidth(addressWidth()))
		return FaultReason::PasidEntryInvalid;
	return FaultReason::None;
}

/* VTD-PASID-7 */
FaultReason PasidEntry::checkFirstStage(const Features &features) const
{
	const unsigned levels = firstStageLevels();

	if (!features.offers(ecap::kFsts) || levels > 5)
		return FaultReason::PasidEntryInvalid;
	if (levels == 5 && !features.offersCap(cap::kFs5lp))
		return FaultReason::PasidEntryInvalid;
	return FaultReason::None;
}

/* VTD-PASID-9: the first-stage table must be within the range of the second stage. */
FaultReason PasidEntry::checkNested(const Features &features) const
{
	FaultReason reason = FaultReason::PasidEntryInvalid;

	if (!features.offers(ecap::kNest))
		return reason;
	reason = checkSecondStage(features);
	if (reason == FaultReason::None)
		reason = checkFirstStage(features);
	if (reason == FaultReason::None && firstStageTable() >> features.stageWidth(addressWidth()))
		reason = FaultReason::PasidEntryInvalid;
	return reason;
}

} // namespace wd::machine::vtd
