// SPDX-License-Identifier: Apache-2.0
#include "wd/container.h"

#include <cstring>

namespace wd::zip
{

namespace
{

/* RFC 1952, 2.3.1: flags of a gzip member. */
constexpr uint8_t kFlagHeaderCrc = 0x02, kFlagExtra = 0x04, kFlagName = 0x08, kFlagComment = 0x10;
constexpr uint8_t kFlagReserved = 0xe0;
constexpr uint8_t kMethodDeflate = 8;
/* RFC 1950, 2.2 */
constexpr uint8_t kPresetDictionary = 0x20;
constexpr unsigned kZlibHeader = 2, kGzipHeader = 10;

uint32_t crcStep(uint32_t crc, uint8_t byte)
{
	crc ^= byte;
	for (int bit = 0; bit < 8; bit++)
		crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
	return crc;
}

uint32_t reverseBits(uint32_t value)
{
	uint32_t result = 0;
	for (int bit = 0; bit < 32; bit++, value >>= 1)
		result = result << 1 | (value & 1);
	return result;
}

size_t putBytes(std::span<std::byte> out, const uint8_t *bytes, size_t count)
{
	std::memcpy(out.data(), bytes, count);
	return count;
}

} // namespace

size_t headerSize(Algorithm algorithm)
{
	switch (algorithm) {
	case Algorithm::Zlib:
		return kZlibHeader;
	case Algorithm::Gzip:
		return kGzipHeader;
	case Algorithm::Deflate:
		break;
	}
	return 0;
}

size_t trailerSize(Algorithm algorithm)
{
	switch (algorithm) {
	case Algorithm::Zlib:
		return 4;
	case Algorithm::Gzip:
		return 8;
	case Algorithm::Deflate:
		break;
	}
	return 0;
}

size_t finishSize(Algorithm algorithm)
{
	return kFinishSize - 8 + trailerSize(algorithm);
}

size_t writeHeader(Algorithm algorithm, std::span<std::byte> out)
{
	/* zlib: window 32K, default level. gzip: no time stamp, made on Unix (ZIP-SQE-10). */
	static constexpr uint8_t zlib[kZlibHeader] = {0x78, 0x9c};
	static constexpr uint8_t gzip[kGzipHeader] = {0x1f, 0x8b, kMethodDeflate, 0, 0, 0, 0, 0,
						      0,    3};
	switch (algorithm) {
	case Algorithm::Zlib:
		return putBytes(out, zlib, sizeof(zlib));
	case Algorithm::Gzip:
		return putBytes(out, gzip, sizeof(gzip));
	case Algorithm::Deflate:
		break;
	}
	return 0;
}

size_t writeFinish(Algorithm algorithm, bool newStream, uint32_t isize, uint32_t checksum,
		   std::span<std::byte> out)
{
	/* An empty stored block, marked as the last one (RFC 1951, 3.2.4). */
	uint8_t bytes[kFinishSize] = {0x01, 0x00, 0x00, 0xff, 0xff};
	size_t count = 5;
	if (algorithm == Algorithm::Zlib) {
		const uint32_t adler = newStream ? 1 : checksum;
		for (int shift = 24; shift >= 0; shift -= 8)
			bytes[count++] = static_cast<uint8_t>(adler >> shift);
	} else if (algorithm == Algorithm::Gzip) {
		/* dw31 holds the complement of the CRC with its bits reversed (ZIP-STREAM-3). */
		const uint32_t crc = newStream ? 0 : ~reverseBits(checksum);
		for (int shift = 0; shift < 32; shift += 8)
			bytes[count++] = static_cast<uint8_t>(crc >> shift);
		for (int shift = 0; shift < 32; shift += 8)
			bytes[count++] = newStream ? 0 : static_cast<uint8_t>(isize >> shift);
	}
	return putBytes(out, bytes, count);
}

HeaderParser::HeaderParser(Algorithm algorithm) : algorithm_(algorithm)
{
	reset();
}

void HeaderParser::reset()
{
	state_ = algorithm_ == Algorithm::Deflate ? State::Done : State::More;
	field_ = Field::Fixed;
	error_ = "";
	eaten_ = 0;
	crc_ = 0xffffffff;
	position_ = 0;
	value_ = 0;
	flags_ = first_ = 0;
}

size_t HeaderParser::feed(std::span<const std::byte> in)
{
	size_t used = 0;
	while (used < in.size() && state_ == State::More)
		put(static_cast<uint8_t>(in[used++]));
	eaten_ += used;
	return used;
}

void HeaderParser::fail(const char *why)
{
	state_ = State::Error;
	error_ = why;
}

/** Go to the first optional field from @after on that the flags name. */
void HeaderParser::next(Field after)
{
	position_ = 0;
	value_ = 0;
	if (after <= Field::ExtraLength && (flags_ & kFlagExtra))
		field_ = Field::ExtraLength;
	else if (after <= Field::Name && (flags_ & kFlagName))
		field_ = Field::Name;
	else if (after <= Field::Comment && (flags_ & kFlagComment))
		field_ = Field::Comment;
	else if (after <= Field::HeaderCrc && (flags_ & kFlagHeaderCrc))
		field_ = Field::HeaderCrc;
	else
		state_ = State::Done;
}

void HeaderParser::putFixed(uint8_t byte)
{
	const unsigned at = position_++;
	if (algorithm_ == Algorithm::Zlib) {
		if (at == 0) {
			first_ = byte;
			if ((byte & 0xf) != kMethodDeflate || (byte >> 4) > 7)
				fail("not a zlib header");
		} else if ((first_ << 8 | byte) % 31) {
			fail("zlib header check failed");
		} else if (byte & kPresetDictionary) {
			fail("zlib stream needs a preset dictionary");
		} else {
			state_ = State::Done;
		}
		return;
	}
	if ((at == 0 && byte != 0x1f) || (at == 1 && byte != 0x8b))
		fail("not a gzip header");
	else if (at == 2 && byte != kMethodDeflate)
		fail("gzip member with an unknown method");
	else if (at == 3 && (byte & kFlagReserved))
		fail("gzip member with unknown flags");
	else if (at == 3)
		flags_ = byte;
	else if (at == kGzipHeader - 1)
		next(Field::ExtraLength);
}

void HeaderParser::put(uint8_t byte)
{
	if (field_ != Field::HeaderCrc)
		crc_ = crcStep(crc_, byte);
	switch (field_) {
	case Field::Fixed:
		putFixed(byte);
		break;
	case Field::ExtraLength:
		value_ |= static_cast<uint32_t>(byte) << (8 * position_);
		if (++position_ < 2)
			break;
		if (value_ == 0) {
			next(Field::Name);
		} else {
			field_ = Field::Extra;
			position_ = 0;
		}
		break;
	case Field::Extra:
		if (++position_ == value_)
			next(Field::Name);
		break;
	case Field::Name:
		if (!byte)
			next(Field::Comment);
		break;
	case Field::Comment:
		if (!byte)
			next(Field::HeaderCrc);
		break;
	case Field::HeaderCrc:
		value_ |= static_cast<uint32_t>(byte) << (8 * position_);
		if (++position_ < 2)
			break;
		if (value_ == (~crc_ & 0xffff))
			state_ = State::Done;
		else
			fail("gzip header check failed");
		break;
	}
}

} // namespace wd::zip
