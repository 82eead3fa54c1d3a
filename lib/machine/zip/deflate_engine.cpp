// SPDX-License-Identifier: Apache-2.0
/*
 * DeflateEngine with ISA-L; Documentation/design/machine/zip.rst gives the reasons for ISA-L. ISA-L
 * always produces raw deflate, in one call, and the code here adds the trailer. So a part of a
 * stream and a whole stream take the same path.
 */
#include "machine/deflate_engine.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include "zip/inflate_stream.h"

namespace wd::machine
{

namespace
{

constexpr uint32_t kLevel = 1;
constexpr std::array<uint8_t, 5> kEmptyStored = {0x00, 0x00, 0x00, 0xff, 0xff};
constexpr std::array<uint8_t, 2> kEmptyFinal = {0x03, 0x00};

uint8_t *bytes(const std::byte *p)
{
	/* ISA-L's pointers are not const, but it only reads its input. */
	return reinterpret_cast<uint8_t *>(const_cast<std::byte *>(p));
}

uint32_t checksumOf(DeflateFormat format, uint32_t start, std::span<const std::byte> in)
{
	switch (format) {
	case DeflateFormat::Zlib:
		return isal_adler32(start, bytes(in.data()), in.size());
	case DeflateFormat::Gzip:
		return crc32_gzip_refl(start, bytes(in.data()), in.size());
	default:
		return 0;
	}
}

/* RFC 1950 2.2: big endian; RFC 1952 2.3.1: little endian CRC and size. */
size_t putTrailer(DeflateFormat format, uint32_t checksum, uint32_t total, std::span<std::byte> out)
{
	std::array<std::byte, 8> trailer;
	const size_t size = format == DeflateFormat::Deflate ? 0
			    : format == DeflateFormat::Zlib  ? 4
							     : 8;

	if (out.size() < size)
		return SIZE_MAX;
	for (unsigned i = 0; i < 4; i++) {
		const unsigned shift = format == DeflateFormat::Zlib ? 24 - 8 * i : 8 * i;

		trailer[i] = std::byte(checksum >> shift);
		trailer[4 + i] = std::byte(total >> (8 * i));
	}
	std::memcpy(out.data(), trailer.data(), size);
	return size;
}

uint32_t inflateFlag(DeflateFormat format)
{
	switch (format) {
	case DeflateFormat::Zlib:
		return ISAL_ZLIB_NO_HDR_VER;
	case DeflateFormat::Gzip:
		return ISAL_GZIP_NO_HDR_VER;
	default:
		return ISAL_DEFLATE;
	}
}

} // namespace

struct DeflateEngine::State {
	isal_zstream deflate;
	inflate_state inflate;
	std::array<uint8_t, ISAL_DEF_LVL1_DEFAULT> level;

	/* @return bytes written, or SIZE_MAX if they do not fit. */
	size_t run(std::span<const std::byte> in, std::span<std::byte> out, const DeflatePart &part)
	{
		isal_deflate_stateless_init(&deflate);
		deflate.level = kLevel;
		deflate.level_buf = level.data();
		deflate.level_buf_size = level.size();
		deflate.end_of_stream = part.last;
		deflate.flush = part.last ? NO_FLUSH : FULL_FLUSH;
		deflate.gzip_flag = IGZIP_DEFLATE;
		deflate.hist_bits = part.windowBits;
		deflate.next_in = bytes(in.data());
		deflate.avail_in = in.size();
		deflate.next_out = bytes(out.data());
		deflate.avail_out = out.size();
		return isal_deflate_stateless(&deflate) == COMP_OK ? deflate.total_out : SIZE_MAX;
	}
};

DeflateEngine::DeflateEngine() : state_(std::make_unique<State>()) {}
DeflateEngine::~DeflateEngine() = default;

DeflateResult DeflateEngine::compress(std::span<const std::byte> in, std::span<std::byte> out,
				      DeflateFormat format)
{
	DeflatePart part;

	part.format = format;
	part.checksum = format == DeflateFormat::Zlib;
	return compress(in, out, part);
}

DeflateResult DeflateEngine::compress(std::span<const std::byte> in, std::span<std::byte> out,
				      const DeflatePart &part)
{
	const DeflateResult full{DeflateStatus::OutputFull, 0, 0, 0};
	size_t size = 0;

	if (in.empty() && part.last) {
		if (out.size() < kEmptyFinal.size())
			return full;
		std::memcpy(out.data(), kEmptyFinal.data(), kEmptyFinal.size());
		size = kEmptyFinal.size();
	} else if (!in.empty()) {
		size = state_->run(in, out, part);
		if (size == SIZE_MAX)
			return full;
	}
	/* A part ends with an empty stored block, whatever the kind of the block before it. */
	const bool flushed = size >= 4 && !std::memcmp(&out[size - 4], kEmptyStored.data() + 1, 4);

	if (!part.last && !flushed) {
		if (out.size() - size < kEmptyStored.size())
			return full;
		std::memcpy(&out[size], kEmptyStored.data(), kEmptyStored.size());
		size += kEmptyStored.size();
	}
	const uint32_t checksum = checksumOf(part.format, part.checksum, in);

	if (part.last) {
		const uint32_t total = part.total + static_cast<uint32_t>(in.size());
		const size_t trailer = putTrailer(part.format, checksum, total, out.subspan(size));

		if (trailer == SIZE_MAX)
			return full;
		size += trailer;
	}
	return {DeflateStatus::Ok, in.size(), size, checksum};
}

DeflateResult DeflateEngine::decompress(std::span<const std::byte> in, std::span<std::byte> out,
					DeflateFormat format)
{
	inflate_state &state = state_->inflate;

	isal_inflate_init(&state);
	state.crc_flag = inflateFlag(format);
	state.next_in = bytes(in.data());
	state.avail_in = in.size();
	state.next_out = bytes(out.data());
	state.avail_out = out.size();
	const int result = isal_inflate_stateless(&state);
	DeflateResult progress{DeflateStatus::BadData, in.size() - state.avail_in,
			       out.size() - state.avail_out, state.crc};

	if (result == ISAL_DECOMP_OK && state.block_state == ISAL_BLOCK_FINISH)
		progress.status = DeflateStatus::Ok;
	else if (result == ISAL_OUT_OVERFLOW)
		progress.status = DeflateStatus::OutputFull;
	else if (result == ISAL_INCORRECT_CHECKSUM)
		progress.status = DeflateStatus::BadChecksum;
	return progress;
}

namespace zip
{

struct InflateStream::State {
	inflate_state inflate;

	/*
	 * ISA-L reads ahead into a bit buffer. At the end of a stream (zlib and raw deflate), and
	 * when the output is full, whole bytes remain there. Software must see them as not
	 * consumed, since they may belong to the data that follows. @return @consumed without these
	 * bytes
	 */
	size_t giveBack(size_t consumed)
	{
		const size_t kept = inflate.read_in_length > 0 ? inflate.read_in_length / 8 : 0;

		if (kept > consumed)
			return consumed;
		inflate.read_in_length %= 8;
		inflate.read_in &= (uint64_t{1} << inflate.read_in_length) - 1;
		return consumed - kept;
	}
};

InflateStream::InflateStream(DeflateFormat format)
	: format_(format),
	  state_(std::make_unique<State>())
{
	isal_inflate_init(&state_->inflate);
	state_->inflate.crc_flag = inflateFlag(format);
}

InflateStream::~InflateStream() = default;

/* The codec's state has pointers only into the buffers of one call. */
std::unique_ptr<InflateStream> InflateStream::clone() const
{
	auto copy = std::make_unique<InflateStream>(format_);

	*copy->state_ = *state_;
	copy->carry_ = carry_;
	copy->carryBegin_ = carryBegin_;
	copy->carryEnd_ = carryEnd_;
	copy->total_ = total_;
	copy->failed_ = failed_;
	return copy;
}

uint32_t InflateStream::checksum() const
{
	return state_->inflate.crc;
}

size_t InflateStream::deliver(std::span<std::byte> out)
{
	const size_t size = std::min(out.size(), carryEnd_ - carryBegin_);

	std::memcpy(out.data(), carry_.data() + carryBegin_, size);
	carryBegin_ += size;
	return size;
}

/*
 * When the output is full, the engine has to tell software whether more output follows
 * (ZIP-STREAM-4). So it decodes a few bytes more into carry_.
 */
InflateProgress InflateStream::run(std::span<const std::byte> in, std::span<std::byte> out)
{
	inflate_state &state = state_->inflate;
	InflateProgress progress;

	if (failed_) {
		progress.status = DeflateStatus::BadData;
		return progress;
	}
	progress.produced = deliver(out);
	state.next_in = bytes(in.data());
	state.avail_in = in.size();
	int result = ISAL_DECOMP_OK;

	if (carryBegin_ == carryEnd_) {
		state.next_out = bytes(out.data() + progress.produced);
		state.avail_out = out.size() - progress.produced;
		if (state.block_state != ISAL_BLOCK_FINISH && state.avail_out)
			result = isal_inflate(&state);
		progress.produced = out.size() - state.avail_out;
		carryBegin_ = carryEnd_ = 0;
		if (result == ISAL_DECOMP_OK && !state.avail_out &&
		    state.block_state != ISAL_BLOCK_FINISH) {
			state.next_out = bytes(carry_.data());
			state.avail_out = carry_.size();
			result = isal_inflate(&state);
			carryEnd_ = carry_.size() - state.avail_out;
		}
	}
	progress.consumed = in.size() - state.avail_in;
	if (state.block_state == ISAL_BLOCK_FINISH || carryBegin_ != carryEnd_)
		progress.consumed = state_->giveBack(progress.consumed);
	total_ += progress.produced;
	failed_ = result != ISAL_DECOMP_OK && result != ISAL_END_INPUT;
	if (failed_)
		progress.status = result == ISAL_INCORRECT_CHECKSUM ? DeflateStatus::BadChecksum
								    : DeflateStatus::BadData;
	progress.pending = carryBegin_ != carryEnd_;
	progress.ended = !progress.pending && state.block_state == ISAL_BLOCK_FINISH;
	return progress;
}

} // namespace zip

} // namespace wd::machine
