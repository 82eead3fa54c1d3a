// SPDX-License-Identifier: Apache-2.0
#include "base/printable.h"

#include <cstdint>
#include <cstdio>

namespace wd
{

namespace
{

uint8_t byteAt(std::string_view text, size_t at)
{
	return at < text.size() ? static_cast<uint8_t>(text[at]) : 0;
}

/** Length in bytes of the character at @at (RFC 3629); 0 if it is none that a terminal shows. */
size_t shown(std::string_view text, size_t at)
{
	const uint8_t first = byteAt(text, at);
	if (first < 0x80)
		return first >= 0x20 && first != 0x7f ? 1 : 0;
	const size_t length = first >= 0xf0 && first <= 0xf4   ? 4
			      : first >= 0xe0 && first <= 0xef ? 3
			      : first >= 0xc2 && first <= 0xdf ? 2
							       : 0;
	for (size_t i = 1; i < length; i++)
		if ((byteAt(text, at + i) & 0xc0) != 0x80)
			return 0;
	const uint8_t second = byteAt(text, at + 1);
	const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
	const bool outside = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
	const bool control = first == 0xc2 && second < 0xa0; /* the C1 controls */
	return overlong || outside || control ? 0 : length;
}

} // namespace

std::string printable(std::string_view text)
{
	std::string out;
	for (size_t at = 0; at < text.size();) {
		if (const size_t length = shown(text, at)) {
			out += text.substr(at, length);
			at += length;
		} else {
			char code[8];
			std::snprintf(code, sizeof(code), "\\x%02x", byteAt(text, at++));
			out += code;
		}
	}
	return out;
}

} // namespace wd
