// SPDX-License-Identifier: Apache-2.0
#include "capabilities.h"

#include <algorithm>
#include <string>
#include <system_error>

#include "base/bits.h"

namespace wd::machine
{

/* All features that the unit models (VT-d 11.4.2, 11.4.3). */
IommuCapabilities IommuCapabilities::defaults()
{
	IommuCapabilities capabilities;
	capabilities.cap = 0x91d2078c60780e06;
	capabilities.ecap = 0x0403ed9ea40050c7;
	capabilities.hostAddressWidth = 52;
	return capabilities;
}

namespace vtd
{
namespace
{

/* The CAP fields that the unit models: all but RWBF, PLMR, PHMR, CM, PI, ECMDS and ESIRTPS. */
constexpr uint64_t kCapOffered = mask(2, 0) | mask(12, 8) | mask(22, 16) | mask(37, 24) | bit(39) |
				 mask(56, 40) | bit(60) | bit(63);

constexpr uint64_t kEcapOffered =
	mask(2, 0) | mask(7, 6) | mask(17, 8) | bit(ecap::kMts) | bit(ecap::kNest) |
	bit(ecap::kPrs) | bit(ecap::kSrs) | bit(ecap::kNwfs) | bit(ecap::kEafs) | mask(39, 35) |
	bit(ecap::kPasid) | bit(ecap::kPds) | bit(ecap::kSmts) | bit(ecap::kSsads) |
	bit(ecap::kSsts) | bit(ecap::kFsts) | bit(ecap::kSmpwcs) | bit(ecap::kRps) |
	bit(ecap::kAdms) | bit(ecap::kRprivs) | bit(ecap::kSms);

struct Dependency {
	uint64_t bits;
	uint64_t needs;
};

/* VTD-REG-9. A feature comes before those that need it, so that one pass is enough. */
constexpr Dependency kDependencies[] = {
	{bit(ecap::kDt), bit(ecap::kQi)},
	{bit(ecap::kSmts), bit(ecap::kQi)},
	{bit(ecap::kMts) | bit(ecap::kSrs) | mask(39, 35) | bit(ecap::kPasid) | bit(ecap::kSsts) |
		 bit(ecap::kFsts) | bit(ecap::kSmpwcs) | bit(ecap::kRps),
	 bit(ecap::kSmts)},
	{bit(ecap::kNest), bit(ecap::kSsts) | bit(ecap::kFsts)},
	{bit(ecap::kPrs), bit(ecap::kDt) | bit(ecap::kSmts)},
	{bit(ecap::kNwfs) | bit(ecap::kPds), bit(ecap::kDt)},
	{bit(ecap::kEafs), bit(ecap::kFsts) | bit(ecap::kSmpwcs)},
	{bit(ecap::kSsads), bit(ecap::kSmpwcs)},
	{bit(ecap::kRprivs), bit(ecap::kSrs)},
	{bit(ecap::kSms), bit(ecap::kPrs)},
};

/* VTD-REG-11 */
[[noreturn]] void refuse(const std::string &what)
{
	throw std::system_error(std::make_error_code(std::errc::invalid_argument),
				"IOMMU capabilities: " + what);
}

constexpr unsigned kFirstFreeRegister = 0x100;

void requireBlock(const char *name, unsigned offset, unsigned length)
{
	if (offset < kFirstFreeRegister || offset + length > kRegisterBarSize)
		refuse(std::string(name) + " registers do not fit between 100h and 1000h");
}

} // namespace

Features::Features(const IommuCapabilities &wanted) : registers(wanted)
{
	registers.cap &= kCapOffered;
	registers.ecap &= kEcapOffered;
	for (const Dependency &rule : kDependencies)
		if ((registers.ecap & rule.needs) != rule.needs)
			registers.ecap &= ~rule.bits;
	decode();
	if (haw < 39 || haw > 52)
		refuse("host address width " + std::to_string(haw) + " is not in 39..52");
	if (mgaw > 64)
		refuse("MGAW above 64 bits");
	requireBlock("fault recording", recordOffset, 16 * recordCount);
	requireBlock("IOTLB", iotlbOffset, 16);
	const bool apart =
		recordOffset + 16 * recordCount <= iotlbOffset || iotlbOffset + 16 <= recordOffset;
	if (!apart)
		refuse("IOTLB and fault recording registers overlap");
	deriveContextReserved();
	derivePasidReserved();
}

void Features::decode()
{
	const uint64_t c = registers.cap, e = registers.ecap;

	haw = registers.hostAddressWidth;
	mgaw = field(c, 21, 16) + 1;
	sagaw = field(c, 12, 8);
	didBits = std::min<unsigned>(4 + 2 * field(c, 2, 0), 16);
	pasidBits = std::min<unsigned>(field(e, 39, 35) + 1, kPasidBits);
	maxAddressMask = field(c, 53, 48);
	recordCount = field(c, 47, 40) + 1;
	recordOffset = field(c, 33, 24) * 16;
	iotlbOffset = field(e, 17, 8) * 16;
	largePages2M = has(c, 34);
	largePages1G = has(c, 35);
	if (haw >= 39 && haw <= 52) {
		aboveHaw = mask(63, haw);
		entryAboveHaw = aboveHaw & mask(51, 12);
	}
}

/* VTD-PASID-6, VTD-SS-2 */
unsigned Features::stageWidth(unsigned aw) const
{
	if (aw < 1 || aw > 3 || !has(sagaw, aw))
		return 0;
	return std::min<unsigned>(30 + 9 * aw, mgaw);
}

uint64_t Features::faultAddressMask() const
{
	unsigned width = haw;

	for (unsigned aw = 1; aw <= 3; aw++)
		width = std::max(width, has(sagaw, aw) ? 30 + 9 * aw : 0);
	if (offers(ecap::kFsts))
		width = std::max(width, offersCap(cap::kFs5lp) ? 57u : 48u);
	return mask(width - 1, kPageShift);
}

/* VTD-CTX-5, VTD-CTX-13. HPTE and EPTR are never offered. */
void Features::deriveContextReserved()
{
	contextReserved.fill(~uint64_t{0});
	contextReserved[0] = mask(8, 5) | aboveHaw;
	if (!offers(ecap::kDt))
		contextReserved[0] |= bit(2);
	if (!offers(ecap::kPasid))
		contextReserved[0] |= bit(3);
	if (!offers(ecap::kPrs))
		contextReserved[0] |= bit(4);
	if (offers(ecap::kRps))
		contextReserved[1] &= ~mask(19, 0);
	if (offers(ecap::kRprivs))
		contextReserved[1] &= ~bit(20);
}

/* VTD-PASID-8: a field is reserved while its feature is absent, even where PGTT ignores it. */
void Features::derivePasidReserved()
{
	pasidReserved.fill(~uint64_t{0});
	uint64_t &q0 = pasidReserved[0], &q1 = pasidReserved[1], &q2 = pasidReserved[2];

	q0 &= ~(mask(1, 0) | mask(8, 6));
	if (offers(ecap::kSsts)) {
		q0 &= ~(mask(4, 2) | mask(haw - 1, 12));
		if (offers(ecap::kSsads))
			q0 &= ~bit(9);
	}
	q1 &= ~mask(didBits - 1, 0);
	if (offers(ecap::kSmpwcs))
		q1 &= ~bit(23);
	if (offers(ecap::kSc))
		q1 &= ~bit(24);
	if (offers(ecap::kMts))
		q1 &= ~(mask(26, 25) | mask(63, 32));
	q2 &= ~mask(6, 5);
	if (offers(ecap::kSrs))
		q2 &= ~bit(0);
	if (offers(ecap::kFsts))
		q2 &= ~(mask(4, 2) | mask(haw - 1, 12));
	if (offers(ecap::kEafs))
		q2 &= ~bit(7);
}

} // namespace vtd
} // namespace wd::machine
