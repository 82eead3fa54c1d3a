// SPDX-License-Identifier: GPL-2.0-only
#include <array>

#include <linux/crc32.h>

namespace
{

constexpr u32 kCastagnoli = 0x82f63b78; /* bits reversed */

constexpr std::array<u32, 256> makeTable()
{
	std::array<u32, 256> table{};

	for (u32 i = 0; i < table.size(); i++) {
		u32 crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ kCastagnoli : crc >> 1;
		table[i] = crc;
	}
	return table;
}

constexpr auto table = makeTable();

} // namespace

u32 __crc32c_le(u32 crc, const unsigned char *p, size_t len)
{
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return crc;
}
