/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library that compresses, without any device: a program would call it if there were no
 * accelerator. The model of the ZIP engine calls it too.
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

/** Part of a stream that is compressed in several requests. */
struct DeflatePart {
	DeflateFormat format = DeflateFormat::Deflate;
	unsigned windowBits = 15; /**< 12..15: how far back matches may reach */
	bool last = true;	  /**< false: end on a byte boundary, more will follow */
	uint32_t total = 0;	  /**< bytes compressed before this part */
	uint32_t checksum = 1;	  /**< of these bytes: 1 (zlib) or 0 (gzip) if there are none */
};

/**
 * Containers as the hardware makes and takes them: zlib and gzip without their header, with their
 * trailer. Stateless between calls, allocates nothing after construction. Thread-bound.
 */
class DeflateEngine
{
public:
	DeflateEngine();
	~DeflateEngine();

	/** The whole of @in as one complete stream. */
	DeflateResult compress(std::span<const std::byte> in, std::span<std::byte> out,
			       DeflateFormat format);

	/** Part of a stream, of which nothing is kept: matches do not reach into other parts. */
	DeflateResult compress(std::span<const std::byte> in, std::span<std::byte> out,
			       const DeflatePart &part);

	/**
	 * One complete stream at the beginning of @in; consumed counts its trailer. After
	 * OutputFull the output holds the beginning.
	 */
	DeflateResult decompress(std::span<const std::byte> in, std::span<std::byte> out,
				 DeflateFormat format);

private:
	struct State;
	std::unique_ptr<State> state_;
};

} // namespace wd::machine
