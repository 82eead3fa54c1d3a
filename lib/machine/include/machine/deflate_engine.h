/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression in software, without any device, as a program does it that has no accelerator. The
 * model of the ZIP engine calls it too.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace wd::machine
{

enum class DeflateFormat : uint8_t { Deflate, Zlib, Gzip };

enum class DeflateStatus : uint8_t {
	Ok,
	OutputFull,  /**< the output does not fit; consumed and produced are 0 when compressing */
	BadData,     /**< not a deflate stream, or it ends too early */
	BadChecksum, /**< the trailer does not match the data */
};

struct DeflateResult {
	DeflateStatus status = DeflateStatus::Ok;
	size_t consumed = 0, produced = 0;
	/** Adler-32 (zlib) or CRC-32 (gzip) of the uncompressed data; 0 for deflate. */
	uint32_t checksum = 0;
};

/** One part of a stream that is compressed in several requests. */
struct DeflatePart {
	DeflateFormat format = DeflateFormat::Deflate;
	unsigned windowBits = 15; /**< 12..15: how far back matches may reach */
	bool last = true;	  /**< false: end on a byte boundary, more will follow */
	uint32_t total = 0;	  /**< bytes compressed before this part */
	uint32_t checksum = 1;	  /**< of these bytes; if there are none: 1 (zlib), 0 (gzip) */
};

/**
 * Makes and takes containers as the hardware does: zlib and gzip without their header, with their
 * trailer. Stateless between calls, allocates nothing after construction. Thread-bound.
 */
class DeflateEngine
{
public:
	DeflateEngine();
	~DeflateEngine();

	/** Compress the whole of @in into one complete stream. */
	DeflateResult compress(std::span<const std::byte> in, std::span<std::byte> out,
			       DeflateFormat format);

	/**
	 * Compress @in as one part of a stream. The engine keeps nothing between parts, so matches
	 * do not reach into other parts.
	 */
	DeflateResult compress(std::span<const std::byte> in, std::span<std::byte> out,
			       const DeflatePart &part);

	/**
	 * Decompress the complete stream at the beginning of @in; consumed counts its trailer too.
	 * After OutputFull, @out holds the first bytes of the data.
	 */
	DeflateResult decompress(std::span<const std::byte> in, std::span<std::byte> out,
				 DeflateFormat format);

private:
	struct State;
	std::unique_ptr<State> state_;
};

} // namespace wd::machine
