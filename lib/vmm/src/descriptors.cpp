// SPDX-License-Identifier: Apache-2.0
#include "vmm/descriptors.h"

#include "base/vtd_descriptors.h"

namespace wd::vmm
{
namespace
{

using namespace vtd_descriptor;

/* VT-d 9.6 (VTD-PASID-8) */
constexpr unsigned kFirstStage = 1, kPassThrough = 4;
constexpr uint64_t kEntryReserved0 = mask(5, 5) | mask(11, 10);
constexpr uint64_t kEntryReserved1 = mask(22, 16) | mask(31, 27);
constexpr uint64_t kEntryReserved2 = mask(1, 1) | mask(11, 8);

constexpr unsigned kMaxAddressMask = 52;

Command iotlb(const Descriptor &words)
{
	const unsigned granularity = field(words[0], 5, 4);
	Command command;

	if (!granularity)
		return command;
	/*
	 * VTD-INV-6: the page is one of the guest's second stage, so any page of the first may
	 * change.
	 */
	command.kind = Command::Kind::FlushDomain;
	command.everyDomain = granularity == 1;
	command.domain = field(words[0], 31, 16);
	return command;
}

Command pasidIotlb(const Descriptor &words)
{
	const unsigned granularity = field(words[0], 5, 4), order = field(words[1], 5, 0);
	Command command;

	if (granularity < 2 || (granularity == 3 && order > kMaxAddressMask))
		return command;
	command.kind = granularity == 2 ? Command::Kind::FlushPasid : Command::Kind::FlushPages;
	command.domain = field(words[0], 31, 16);
	command.pasid = field(words[0], 51, 32);
	if (granularity == 2 || order == kMaxAddressMask)
		return command;
	command.flush.pages = uint64_t{1} << order;
	command.flush.address = words[1] & mask(63, 12) & (~uint64_t{0} << (12 + order));
	command.flush.leafOnly = field(words[1], 6, 6);
	return command;
}

Command pasidCache(const Descriptor &words)
{
	const unsigned granularity = field(words[0], 5, 4);
	Command command;

	if (granularity == 2)
		return command;
	command.kind = Command::Kind::PasidCache;
	command.everyDomain = granularity == 3;
	command.everyPasid = granularity != 1;
	command.domain = field(words[0], 31, 16);
	command.pasid = field(words[0], 51, 32);
	return command;
}

Command pageResponse(const Descriptor &words)
{
	Command command;

	command.kind = Command::Kind::PageResponse;
	command.pasidPresent = field(words[0], 4, 4);
	command.code = field(words[0], 15, 12);
	command.rid = field(words[0], 31, 16);
	command.pasid = field(words[0], 51, 32);
	command.group = field(words[1], 11, 3);
	return command;
}

} // namespace

bool operator==(const PasidEntry &a, const PasidEntry &b)
{
	return a.kind == b.kind && a.domain == b.domain && a.table.root == b.table.root &&
	       a.table.levels == b.table.levels && a.table.supervisor == b.table.supervisor &&
	       a.table.extended == b.table.extended && a.table.writeProtect == b.table.writeProtect;
}

PasidEntry parsePasidEntry(const std::array<uint64_t, 8> &words)
{
	const unsigned type = field(words[0], 8, 6), levels = 4 + field(words[2], 3, 2);
	PasidEntry entry;

	if (!(words[0] & 1))
		return entry;
	entry.kind = PasidEntry::Kind::Bad;
	if ((words[0] & kEntryReserved0) || (words[1] & kEntryReserved1) ||
	    (words[2] & kEntryReserved2) || words[3] || words[4] || words[5] || words[6] ||
	    words[7])
		return entry;
	entry.domain = field(words[1], 15, 0);
	if (type == kPassThrough) {
		entry.kind = PasidEntry::Kind::PassThrough;
	} else if (type == kFirstStage && levels <= 5) {
		entry.kind = PasidEntry::Kind::FirstStage;
		entry.table.root = words[2] & mask(63, 12);
		entry.table.levels = levels;
		entry.table.supervisor = words[2] & 1;
		entry.table.writeProtect = field(words[2], 4, 4);
		entry.table.extended = field(words[2], 7, 7);
	}
	return entry;
}

Command parseDescriptor(const Descriptor &words)
{
	const unsigned type = typeOf(words[0]);
	Command command;

	if (!known(type) || !reservedAreZero(type, words[0], words[1], words[2], words[3]))
		return command;
	switch (type) {
	case kIotlb:
		return iotlb(words);
	case kPasidIotlb:
		return pasidIotlb(words);
	case kPasidCache:
		return pasidCache(words);
	case kPageGroupResponse:
		return pageResponse(words);
	case kDeviceTlb:
	case kPasidDeviceTlb:
		command.kind = Command::Kind::Nothing;
		return command;
	default:
		command.kind = Command::Kind::NotOurs;
		return command;
	}
}

/* VT-d 7.4.1.1 (VTD-PRQ-1) */
Descriptor encodePageRequest(const GuestPageRequest &request)
{
	const PageFault &page = request.page;
	Descriptor words{};

	words[0] = 1 | uint64_t{request.rid} << 16;
	if (request.pasid) {
		words[0] |= uint64_t{1} << 8 | uint64_t{request.pasid} << 32;
		words[0] |= uint64_t{page.execute} << 52 | uint64_t{page.privileged} << 53;
	}
	words[1] = (page.address & mask(63, 12)) | uint64_t{page.read} | uint64_t{page.write} << 1 |
		   uint64_t{request.last} << 2 | uint64_t{request.group & 0x1ffu} << 3;
	return words;
}

} // namespace wd::vmm
