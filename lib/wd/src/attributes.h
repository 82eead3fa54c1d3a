/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading numbers out of sysfs text, strictly: the whole text is the number, or there is none.
 */
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>

namespace wd
{

/** Decimal, a leading minus for signed types. Blanks at the ends are allowed, nothing else. */
template <std::integral Number>
std::optional<Number> parseNumber(std::string_view text)
{
	constexpr std::string_view blanks = " \t\n";
	const size_t first = text.find_first_not_of(blanks);
	if (first == std::string_view::npos)
		return std::nullopt;
	text = text.substr(first, text.find_last_not_of(blanks) - first + 1);
	Number number{};
	const char *end = text.data() + text.size();
	const auto [stop, error] = std::from_chars(text.data(), end, number);
	if (error != std::errc{} || stop != end)
		return std::nullopt;
	return number;
}

} // namespace wd
