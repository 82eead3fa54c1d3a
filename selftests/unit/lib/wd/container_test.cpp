// SPDX-License-Identifier: Apache-2.0
/* zlib and gzip headers: RFC 1950, RFC 1952; whole, in pieces, and malformed. */
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>
#include <zlib.h>

#include "wd/container.h"

using namespace wd::zip;
using State = HeaderParser::State;

namespace
{

std::span<const std::byte> bytes(const std::string &text)
{
	return std::as_bytes(std::span(text.data(), text.size()));
}

/** Feed in pieces of @piece bytes. @return bytes taken */
size_t feed(HeaderParser &parser, const std::string &text, size_t piece)
{
	size_t used = 0;
	while (used < text.size() && parser.state() == State::More) {
		const size_t n = std::min(piece, text.size() - used);
		const size_t eaten = parser.feed(bytes(text).subspan(used, n));
		used += eaten;
		if (eaten < n)
			break;
	}
	return used;
}

std::string gzipHeader(uint8_t flags)
{
	std::string header("\x1f\x8b\x08\0\1\2\3\4\2\3", 10);
	header[3] = static_cast<char>(flags);
	return header;
}

/** A header with every optional field, and a correct CRC. */
std::string fullHeader()
{
	std::string header = gzipHeader(0x1f);
	header += std::string("\5\0extra", 7) + std::string("name.txt\0", 9) +
		  std::string("a comment\0", 10);
	const uLong crc = crc32(0, reinterpret_cast<const Bytef *>(header.data()),
				static_cast<uInt>(header.size()));
	header += static_cast<char>(crc & 0xff);
	header += static_cast<char>(crc >> 8 & 0xff);
	return header;
}

std::vector<std::byte> inflateWith(int windowBits, std::span<const std::byte> in)
{
	std::vector<std::byte> out(4096);
	z_stream z = {};
	EXPECT_EQ(inflateInit2(&z, windowBits), Z_OK);
	z.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(in.data()));
	z.avail_in = static_cast<uInt>(in.size());
	z.next_out = reinterpret_cast<Bytef *>(out.data());
	z.avail_out = static_cast<uInt>(out.size());
	EXPECT_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
	EXPECT_EQ(z.avail_in, 0u);
	out.resize(out.size() - z.avail_out);
	inflateEnd(&z);
	return out;
}

uint32_t reversed(uint32_t value)
{
	uint32_t result = 0;
	for (int i = 0; i < 32; i++)
		if (value >> i & 1)
			result |= 1u << (31 - i);
	return result;
}

} // namespace

TEST(Container, WrittenHeadersAreReadBack)
{
	for (Algorithm algorithm : {Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip}) {
		std::byte header[16];
		const size_t size = writeHeader(algorithm, header);
		EXPECT_EQ(size, headerSize(algorithm));
		HeaderParser parser(algorithm);
		EXPECT_EQ(parser.feed(std::span(header).first(size)), size);
		EXPECT_EQ(parser.state(), State::Done);
	}
}

TEST(Container, OptionalFieldsInPiecesOfEverySize)
{
	const std::string header = fullHeader();
	for (size_t piece = 1; piece <= header.size() + 4; piece++) {
		HeaderParser parser(Algorithm::Gzip);
		EXPECT_EQ(feed(parser, header + "data", piece), header.size()) << piece;
		EXPECT_EQ(parser.state(), State::Done) << parser.error();
	}
}

TEST(Container, EachPrefixWantsMore)
{
	const std::string header = fullHeader();
	for (size_t n = 0; n < header.size(); n++) {
		HeaderParser parser(Algorithm::Gzip);
		EXPECT_EQ(feed(parser, header.substr(0, n), 64), n);
		EXPECT_EQ(parser.state(), State::More) << n;
		EXPECT_EQ(parser.empty(), n == 0);
	}
}

TEST(Container, EmptyExtraField)
{
	HeaderParser parser(Algorithm::Gzip);
	EXPECT_EQ(feed(parser, gzipHeader(0x0c) + std::string("\0\0n\0X", 5), 64), 14u);
	EXPECT_EQ(parser.state(), State::Done);
}

TEST(Container, HeaderCrcIsChecked)
{
	std::string header = fullHeader();
	header[16] ^= 1;
	HeaderParser parser(Algorithm::Gzip);
	feed(parser, header, 64);
	EXPECT_EQ(parser.state(), State::Error);
}

TEST(Container, MalformedHeadersAreRefused)
{
	std::vector<std::string> bad = {std::string("PK\3\4", 4), "\x1f\x8c", "\x1f\x8b\x07"};
	bad.push_back(gzipHeader(0x20));
	bad.push_back(gzipHeader(0x80));
	for (const std::string &text : bad) {
		HeaderParser parser(Algorithm::Gzip);
		feed(parser, text, 64);
		EXPECT_EQ(parser.state(), State::Error) << text;
		EXPECT_STRNE(parser.error(), "");
		EXPECT_EQ(parser.feed(bytes(text)), 0u) << "eats after an error";
	}
	/*
	 * Wrong check bits, method, window; a preset dictionary. The last two have correct check
	 * bits.
	 */
	for (const char *text : {"\x78\x9d", "\x79\x9c", "\x88\x1c", "\x78\xbb"}) {
		HeaderParser parser(Algorithm::Zlib);
		feed(parser, text, 64);
		EXPECT_EQ(parser.state(), State::Error) << std::hex << int(uint8_t(text[1]));
	}
}

/* Random bytes: the parser must end or ask for more, and must not read beyond its input. */
TEST(Container, RandomBytes)
{
	uint32_t seed = 12345;
	std::map<State, unsigned> ends;
	for (int round = 0; round < 20000; round++) {
		std::string text = gzipHeader(static_cast<uint8_t>(round & 0x1f));
		for (int i = 0; i < 40; i++)
			text += static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
		HeaderParser parser(Algorithm::Gzip);
		const size_t used = parser.feed(bytes(text));
		ends[parser.state()]++;
		EXPECT_EQ(parser.state() == State::Error, *parser.error() != 0);
		if (parser.state() == State::More) {
			ASSERT_EQ(used, text.size());
		} else {
			ASSERT_LE(used, text.size());
			EXPECT_EQ(parser.feed(bytes(text)), 0u)
				<< "the parser takes no bytes after its end";
		}
		/* Pieces change nothing. */
		HeaderParser pieces(Algorithm::Gzip);
		EXPECT_EQ(feed(pieces, text, 1 + round % 7), used);
		EXPECT_EQ(pieces.state(), parser.state());
	}
	for (const State state : {State::More, State::Done, State::Error})
		EXPECT_GT(ends[state], 100u);
}

/* ZIP-STREAM-3: without further input software ends a stream: final block and trailer. */
TEST(Container, FinishOfAnEmptyStream)
{
	for (auto [algorithm, windowBits] :
	     {std::pair{Algorithm::Deflate, -15}, {Algorithm::Zlib, 15}, {Algorithm::Gzip, 31}}) {
		std::byte out[64];
		size_t size = writeHeader(algorithm, out);
		size += writeFinish(algorithm, true, 99, 99, std::span(out).subspan(size));
		EXPECT_EQ(inflateWith(windowBits, std::span(out).first(size)).size(), 0u);
	}
}

/* ZIP-STREAM-3 */
TEST(Container, FinishAfterData)
{
	/* A stored block of three bytes that is not the last one, then the end by software. */
	const std::string block("\0\3\0\xfc\xff"
				"abc",
				8);
	const auto *abc = reinterpret_cast<const Bytef *>("abc");
	const auto adler = static_cast<uint32_t>(adler32(1, abc, 3));
	/* dw31 of gzip: complement of the CRC with the bits reversed. */
	const uint32_t crc = reversed(~static_cast<uint32_t>(crc32(0, abc, 3)));
	for (auto [algorithm, windowBits, checksum] :
	     {std::tuple{Algorithm::Zlib, 15, adler}, {Algorithm::Gzip, 31, crc}}) {
		std::byte out[64];
		size_t size = writeHeader(algorithm, out);
		std::memcpy(out + size, block.data(), block.size());
		size += block.size();
		size += writeFinish(algorithm, false, 3, checksum, std::span(out).subspan(size));
		EXPECT_EQ(inflateWith(windowBits, std::span(out).first(size)).size(), 3u);
	}
}
