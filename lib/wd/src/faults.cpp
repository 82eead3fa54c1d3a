// SPDX-License-Identifier: Apache-2.0
/* Reading the fault logs below /sys/class/iommu. */
#include "wd/faults.h"

#include <chrono>
#include <thread>

#include "base/bits.h"
#include "fields.h"

namespace wd
{
namespace
{

/** A text for each reason that the user of a PASID can cause (VT-d 7.1.3). */
const char *reasonText(unsigned reason)
{
	switch (reason) {
	case 0x45:
		return "the function may not use PASIDs";
	case 0x46:
	case 0x51:
	case 0x59:
		return "nothing is attached at the PASID";
	case 0x71:
	case 0x79:
		return "not mapped";
	case 0x80:
	case 0x84:
		return "address beyond the page table";
	case 0x81:
	case 0x86:
		return "no read permission";
	case 0x85:
		return "no write permission";
	case 0x87:
		return "interrupt address range";
	default:
		return "";
	}
}

/** One "key=value" of a line. @return false if the value is malformed. */
bool takeField(IommuFault &fault, std::string_view key, std::string_view value, unsigned &seen)
{
	seen++;
	if (key == "rid")
		fault.rid = value;
	else if (key == "pasid")
		return value == "-" || parseNumber(value, fault.pasid);
	else if (key == "addr")
		return parseNumber(value, fault.address);
	else if (key == "reason")
		return parseNumber(value, fault.reason);
	else if (key == "type")
		fault.access = value;
	else
		seen--;
	return true;
}

} // namespace

std::optional<IommuFault> parseFault(std::string_view line)
{
	constexpr unsigned kFields = 5;
	IommuFault fault;
	unsigned seen = 0;

	if (!forEachField(line, [&](std::string_view key, std::string_view value) {
		    return takeField(fault, key, value, seen);
	    }))
		return std::nullopt;
	fault.reasonText = reasonText(fault.reason);
	return seen == kFields ? std::optional(fault) : std::nullopt;
}

bool faultLogReadable(Host &host)
{
	bool readable = false;

	forEachUnit(host, "fault_log",
		    [&](const std::string &, const std::string &) { readable = true; });
	return readable;
}

std::vector<IommuFault> readFaults(Host &host)
{
	std::vector<IommuFault> faults;

	forEachUnit(host, "fault_log", [&](const std::string &, const std::string &text) {
		forEachLine(text, [&](std::string_view line) {
			if (auto fault = parseFault(line))
				faults.push_back(*fault);
		});
	});
	return faults;
}

std::optional<IommuFault> waitForFault(Host &host, uint32_t pasid, uint64_t address, int timeoutMs)
{
	constexpr uint64_t kPageMask = ~(kPageSize - 1);
	auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeoutMs);

	do {
		auto faults = readFaults(host);

		for (auto fault = faults.rbegin(); fault != faults.rend(); ++fault)
			if (fault->pasid == pasid &&
			    (fault->address & kPageMask) == (address & kPageMask))
				return *fault;
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	} while (std::chrono::steady_clock::now() < end);
	return std::nullopt;
}

} // namespace wd
