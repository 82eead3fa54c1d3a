/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 128-byte ZIP submission queue element, type 3 (QM version 3): a typed request in, a typed
 * completion out. Pure functions without state; Documentation/spec/qm-zip.rst.
 */
#pragma once

#if __cplusplus < 202002L
#error "the C++ headers of WarpDrive need C++20: compile with -std=c++20"
#endif

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace wd::zip
{

/** Request type, dw9[7:0]. */
enum class Algorithm : uint8_t { Deflate = 0x01, Zlib = 0x02, Gzip = 0x03 };
/** Queue type, word 13 of the SQ context: a property of the queue, not of the request. */
enum class Direction : uint16_t { Compress = 0, Decompress = 1 };
/** dw7[25]; meaningful in stateful requests. */
enum class Flush : uint8_t { Sync = 0, Finish = 1 };
/** dw9[15:12]; compression only. */
enum class Window : uint8_t { K4 = 0, K8 = 1, K16 = 2, K24 = 3, K32 = 4 };

/** dw3[7:0]; values not listed are errors too. */
enum class Status : uint8_t {
	Success = 0x00,
	Malformed = 0x02,	    /**< the model's code; hardware may use another */
	NegativeCompression = 0x0d, /**< output larger than input; it is valid */
	OutputTooSmall = 0x0e,
	SourceDif = 0x0f,
	ChecksumMismatch = 0x10,
	DestinationDif = 0x12,
	StreamEnd = 0x13, /**< stateful decompression only */
};

/** "zlib", "gzip", "deflate". */
std::optional<Algorithm> algorithmFromName(std::string_view name);
const char *algorithmName(Algorithm algorithm);
/** A few words for people: "checksum mismatch". */
const char *statusText(Status status);
/** The output of the request is valid. */
constexpr bool isSuccess(Status status)
{
	return status == Status::Success || status == Status::NegativeCompression ||
	       status == Status::StreamEnd;
}

/** The slot in the ring, as the device reads and writes it. Little-endian words. */
struct alignas(64) Sqe {
	std::array<uint32_t, 32> dw{};
};
static_assert(sizeof(Sqe) == 128);

/** The largest flat buffer, in bytes (ZIP-SQE-8). */
constexpr uint32_t kMaxBuffer = 8u << 20;
/** Input of this many bytes fits into one such buffer after compression, even random input. */
constexpr uint32_t kMaxCompress = kMaxBuffer - 4096;
/** Bytes that the device may use from Request::context on (ZIP-STREAM-1), and its alignment
 * here. */
constexpr size_t kContextSize = 0x9800, kContextAlignment = 64;

/** A request. Addresses are IOVAs of the queue's PASID. */
struct Request {
	Algorithm algorithm = Algorithm::Zlib;
	uint64_t source = 0, destination = 0;
	uint32_t sourceLength = 0, destinationLength = 0; /**< bytes, at most kMaxBuffer */
	uint64_t tag = 0;				  /**< comes back in the completion */
	Window window = Window::K32;

	/* A part of a stream: the caller gives it the words of the previous part's completion. */
	bool stateful = false;
	bool newStream = true; /**< first part; ignored unless stateful */
	Flush flush = Flush::Finish;
	uint64_t context = 0; /**< IOVA of kContextSize bytes, the stream's own; stateful only */
	std::array<uint32_t, 3> contextWords{};
	uint32_t isize = 0, checksum = 0; /**< dw30, dw31 of the previous part */
};

/** A result. Counts exclude container headers, which software handles (wd/container.h). */
struct Completion {
	uint64_t tag = 0;
	Status status = Status::Success;
	bool lastBlock = false;
	uint32_t consumed = 0, produced = 0; /**< bytes */
	std::array<uint32_t, 3> contextWords{};
	uint32_t isize = 0, checksum = 0;

	/** The stream has more output for which there was no room (ctx_dw0 state 1 or 2). */
	bool outputPending() const
	{
		return (contextWords[0] & 0xf) == 1 || (contextWords[0] & 0xf) == 2;
	}
	/** Stateful decompression came to the end of the stream (ZIP-STREAM-4). */
	bool streamEnd() const { return status == Status::StreamEnd && lastBlock; }
};

/** Write every word of @sqe. Does not check lengths: Queue does. */
void fillSqe(Sqe &sqe, const Request &request) noexcept;
/** Read a completed slot (a private copy of it: the device may still write to the original). */
Completion parseSqe(const Sqe &sqe) noexcept;

} // namespace wd::zip
