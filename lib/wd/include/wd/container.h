/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zlib (RFC 1950) and gzip (RFC 1952) headers, which software writes and strips: the device starts
 * after the header, and appends and checks the trailer itself (ZIP-SQE-10).
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "wd/sqe.h"

namespace wd::zip
{

/** Bytes of header and trailer that a stream of @algorithm gets. */
size_t headerSize(Algorithm algorithm);
size_t trailerSize(Algorithm algorithm);

/** Write the header. @out has headerSize() bytes at least. @return headerSize(). */
size_t writeHeader(Algorithm algorithm, std::span<std::byte> out);

/**
 * End a stream whose last request has no input: write an empty final block and the trailer. @isize
 * and @checksum are those of the previous part; a new stream ignores them. @out has finishSize()
 * bytes at least, which is never more than kFinishSize. @return bytes written.
 */
constexpr size_t kFinishSize = 5 + 8;
/** Bytes that writeFinish() writes for @algorithm. */
size_t finishSize(Algorithm algorithm);
size_t writeFinish(Algorithm algorithm, bool newStream, uint32_t isize, uint32_t checksum,
		   std::span<std::byte> out);

/**
 * Reads a header that may arrive in pieces, optional gzip fields (FEXTRA, FNAME, FCOMMENT, FHCRC)
 * included. Thread-bound; safe on any input.
 */
class HeaderParser
{
public:
	enum class State { More, Done, Error };

	explicit HeaderParser(Algorithm algorithm);
	/** Begin a new stream. */
	void reset();
	/** Take header bytes from the front of @in. @return bytes taken; then look at state(). */
	size_t feed(std::span<const std::byte> in);
	State state() const { return state_; }
	/** True before the first byte. */
	bool empty() const { return eaten_ == 0; }
	/** The reason of State::Error. */
	const char *error() const { return error_; }

private:
	enum class Field { Fixed, ExtraLength, Extra, Name, Comment, HeaderCrc };

	void put(uint8_t byte);
	void putFixed(uint8_t byte);
	void next(Field after);
	void fail(const char *why);

	Algorithm algorithm_;
	State state_ = State::More;
	Field field_ = Field::Fixed;
	const char *error_ = "";
	uint64_t eaten_ = 0;
	uint32_t crc_ = 0;	/**< of the header so far, for FHCRC */
	unsigned position_ = 0; /**< in the field */
	uint32_t value_ = 0;	/**< two-byte field being read */
	uint8_t flags_ = 0, first_ = 0;
};

} // namespace wd::zip
