// SPDX-License-Identifier: Apache-2.0
/* Reading the fault logs below /sys/class/iommu. */
#include "wd/faults.hpp"

#include <charconv>
#include <chrono>
#include <thread>

namespace wd
{
namespace
{

constexpr const char *kUnits = "/sys/class/iommu";

/** "0x1f" or "31". */
template <typename T>
bool parseNumber(std::string_view text, T &out)
{
	int base = text.starts_with("0x") ? 16 : 10;

	if (base == 16)
		text.remove_prefix(2);
	auto end = text.data() + text.size();
	auto [last, error] = std::from_chars(text.data(), end, out, base);

	return error == std::errc() && last == end && !text.empty();
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

	while (!line.empty()) {
		/* text= is last and may contain blanks. */
		if (line.starts_with("text=")) {
			fault.reasonText = line.substr(5);
			break;
		}
		auto word = line.substr(0, line.find(' '));
		auto equals = word.find('=');

		if (equals == std::string_view::npos ||
		    !takeField(fault, word.substr(0, equals), word.substr(equals + 1), seen))
			return std::nullopt;
		line.remove_prefix(word.size() + (word.size() < line.size() ? 1 : 0));
	}
	return seen == kFields ? std::optional(fault) : std::nullopt;
}

std::vector<IommuFault> readFaults(Host &host)
{
	std::vector<std::string> units;
	std::vector<IommuFault> faults;

	if (host.sysfsList(kUnits, units))
		return faults;
	for (const auto &unit : units) {
		std::string text;

		if (host.sysfsRead(std::string(kUnits) + "/" + unit + "/fault_log", text))
			continue;
		for (std::string_view rest = text; !rest.empty();) {
			auto line = rest.substr(0, rest.find('\n'));

			if (auto fault = parseFault(line))
				faults.push_back(*fault);
			rest.remove_prefix(std::min(rest.size(), line.size() + 1));
		}
	}
	return faults;
}

std::optional<IommuFault> waitForFault(Host &host, uint32_t pasid, uint64_t address, int timeoutMs)
{
	constexpr uint64_t kPageMask = ~uint64_t{0xfff};
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
