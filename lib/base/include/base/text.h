/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <string>
#include <string_view>

namespace wd
{

/**
 * The texts of @list with @separator between them. @list: a range of elements that convert to
 * string_view.
 */
template <typename Range>
std::string joined(const Range &list, std::string_view separator = ", ")
{
	std::string text;

	for (const std::string_view part : list)
		text.append(text.empty() ? "" : separator).append(part);
	return text;
}

} // namespace wd
