/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of attributes. A line has words "key=value" with a space between them. */
#pragma once

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "wd/any_host.h"

namespace wd
{

/** Parse "0x1f" or "31". Nothing may follow it. */
template <typename T>
bool parseNumber(std::string_view text, T &out)
{
	const int base = text.starts_with("0x") ? 16 : 10;

	if (base == 16)
		text.remove_prefix(2);
	const auto *end = text.data() + text.size();
	auto [last, error] = std::from_chars(text.data(), end, out, base);

	return error == std::errc() && last == end && !text.empty();
}

/**
 * Call @take(key, value) for each word of @line. @return false if a word has no "=", or @take did.
 */
template <typename Take>
bool forEachField(std::string_view line, Take &&take)
{
	while (!line.empty()) {
		const auto word = line.substr(0, line.find(' '));
		const auto equals = word.find('=');

		if (equals == std::string_view::npos ||
		    !take(word.substr(0, equals), word.substr(equals + 1)))
			return false;
		line.remove_prefix(word.size() + (word.size() < line.size() ? 1 : 0));
	}
	return true;
}

/** Call @take(line) for each line of @text, without its '\n'. */
template <typename Take>
void forEachLine(std::string_view text, Take &&take)
{
	while (!text.empty()) {
		const auto line = text.substr(0, text.find('\n'));

		take(line);
		text.remove_prefix(std::min(text.size(), line.size() + 1));
	}
}

/**
 * Call @take(unit, text) for each IOMMU unit that has the attribute.
 * @return 0, or -EACCES if the caller may not read one of them.
 */
template <typename Take>
int forEachUnit(Host &host, const std::string &attribute, Take &&take)
{
	const std::string directory = "/sys/class/iommu";
	std::vector<std::string> units;

	int refused = 0;

	if (host.sysfsList(directory, units))
		return 0;
	for (const auto &unit : units) {
		std::string text;
		const int error = host.sysfsRead(directory + "/" + unit + "/" + attribute, text);

		if (!error)
			take(unit, text);
		else if (error == -EACCES)
			refused = error;
	}
	return refused;
}

} // namespace wd
