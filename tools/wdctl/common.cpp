// SPDX-License-Identifier: Apache-2.0
/* Formatting and host choice, shared by the verbs. */
#include "command.h"

#include <cstdint>
#include <fmt/format.h>
#include <iostream>

#include "base/standard_fds.h"
#include "memory_left.h"

namespace wdctl
{

std::shared_ptr<wd::Host> Globals::openHost() const
{
	auto options = wd::HostOptions::fromEnvironment();

	if (!host.empty())
		options.kind = wd::hostKindFromName(host);
	if (!machine.empty())
		options.machine = machine;
	auto made = wd::Host::create(options);

	if (!machine.empty() && std::string_view(made->kind()) != "hosted")
		throw wd::Error(EINVAL, "--machine " + machine, "use it on the native host",
				"say --host hosted, too");
	return made;
}

CLI::Validator notEmpty()
{
	return CLI::Validator(
		[](std::string &text) { return text.empty() ? "is empty" : std::string(); }, "");
}

void requireMemory(uint64_t bytes, const std::string &object, const std::string &remedy)
{
	const uint64_t left = memoryLeft();

	if (bytes > left)
		throw wd::Error(ENOMEM, object,
				fmt::format("take {}: the machine has {} left", humanBytes(bytes),
					    humanBytes(left)),
				remedy);
}

void flushOutput()
{
	if (int error = wd::flushStandardOutput())
		throw wd::Error(error, "standard output", "write",
				"send it to where it can be written");
}

void printJson(const nlohmann::ordered_json &value)
{
	/*
	 * JSON must be UTF-8, but names of files need not: replace bad bytes. Escape everything
	 * that is not ASCII, so that no control character reaches a terminal.
	 */
	std::cout << value.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace)
		  << '\n';
}

std::string humanBytes(uint64_t bytes)
{
	static constexpr const char *kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = static_cast<double>(bytes);
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < std::size(kUnits)) {
		value /= 1024;
		unit++;
	}
	if (value == static_cast<double>(static_cast<uint64_t>(value)))
		return fmt::format("{} {}", static_cast<uint64_t>(value), kUnits[unit]);
	return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string cpuList(const std::vector<int> &cpus)
{
	std::string text;

	for (size_t i = 0; i < cpus.size();) {
		size_t last = i;

		while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1)
			last++;
		if (!text.empty())
			text += ',';
		text += last == i ? fmt::format("{}", cpus[i])
				  : fmt::format("{}-{}", cpus[i], cpus[last]);
		i = last + 1;
	}
	return text.empty() ? "none" : text;
}

std::string table(const std::vector<std::vector<std::string>> &rows, const std::string &indent)
{
	std::vector<size_t> width;
	std::string text;

	for (const auto &row : rows) {
		width.resize(std::max(width.size(), row.size()));
		for (size_t i = 0; i < row.size(); i++)
			width[i] = std::max(width[i], row[i].size());
	}
	for (const auto &row : rows) {
		std::string line = indent;

		for (size_t i = 0; i < row.size(); i++)
			line += fmt::format("{:<{}}", row[i],
					    i + 1 < row.size() ? width[i] + 2 : 0);
		line.erase(line.find_last_not_of(' ') + 1);
		text += line + '\n';
	}
	return text;
}

} // namespace wdctl
