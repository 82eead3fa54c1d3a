/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <string>
#include <string_view>

namespace wd
{

/**
 * @text in a form for a terminal: printable UTF-8 as it is, every other byte as an escape such as
 * "\x1b". Other people choose names of files and devices, and a terminal obeys control characters.
 */
std::string printable(std::string_view text);

} // namespace wd
