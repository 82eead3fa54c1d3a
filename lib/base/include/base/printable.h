/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <string>
#include <string_view>

namespace wd
{

/**
 * @text for a terminal: printable UTF-8 as it is, every other byte as "\x1b". Names of files and
 * devices are other people's, and a terminal obeys control characters.
 */
std::string printable(std::string_view text);

} // namespace wd
