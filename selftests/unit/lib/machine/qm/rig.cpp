// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <zlib.h>

namespace wd::machine::test
{

std::vector<std::byte> zlibDeflate(const std::vector<std::byte> &in, int windowBits)
{
	z_stream stream{};

	EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	std::vector<std::byte> out(deflateBound(&stream, in.size()) + 64);

	stream.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(in.data()));
	stream.avail_in = in.size();
	stream.next_out = reinterpret_cast<Bytef *>(out.data());
	stream.avail_out = out.size();
	EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
	out.resize(stream.total_out);
	deflateEnd(&stream);
	return out;
}

std::optional<std::vector<std::byte>> zlibInflate(const std::vector<std::byte> &in, int windowBits)
{
	z_stream stream{};
	std::vector<std::byte> out(16 << 20);

	EXPECT_EQ(inflateInit2(&stream, windowBits), Z_OK);
	stream.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(in.data()));
	stream.avail_in = in.size();
	stream.next_out = reinterpret_cast<Bytef *>(out.data());
	stream.avail_out = out.size();
	const int result = inflate(&stream, Z_FINISH);

	out.resize(stream.total_out);
	inflateEnd(&stream);
	if (result != Z_STREAM_END || stream.avail_in)
		return {};
	return out;
}

const std::vector<Format> &formats()
{
	static const std::vector<Format> all = {
		{1, -15, {}},
		{2, 15, {0x78, 0x9c}},
		{3, 31, {0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0x03}},
	};

	return all;
}

std::vector<std::byte> withHeader(const Format &format, const std::vector<std::byte> &data)
{
	std::vector<std::byte> all;

	for (uint8_t byte : format.header)
		all.push_back(std::byte(byte));
	all.insert(all.end(), data.begin(), data.end());
	return all;
}

} // namespace wd::machine::test
