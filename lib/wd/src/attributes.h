/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading numbers from sysfs text. The whole text must be a number, else the result is none.
 */
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>

namespace wd
{

/** Decimal; signed types may have a minus. Blanks are allowed only before and after it. */
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
