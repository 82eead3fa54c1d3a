// SPDX-License-Identifier: Apache-2.0
#include "wd/sqe.h"

#include "sqe_bits.h"

namespace wd::zip
{

namespace
{

constexpr struct {
	Algorithm algorithm;
	const char *name;
} kAlgorithms[] = {
	{Algorithm::Deflate, "deflate"},
	{Algorithm::Zlib, "zlib"},
	{Algorithm::Gzip, "gzip"},
};

constexpr uint32_t low(uint64_t value)
{
	return static_cast<uint32_t>(value);
}

constexpr uint32_t high(uint64_t value)
{
	return static_cast<uint32_t>(value >> 32);
}

/** ZIP-SQE-3, dw7. A whole gets the flags "new stream" and "finish", as UADK sets them. */
uint32_t controlWord(const Request &request)
{
	uint32_t word = sqe::kType3;
	if (!request.stateful)
		return word | sqe::kNewStream | sqe::kFinish;
	word |= sqe::kStateful;
	if (request.newStream)
		word |= sqe::kNewStream;
	if (request.flush == Flush::Finish)
		word |= sqe::kFinish;
	return word;
}

} // namespace

std::optional<Algorithm> algorithmFromName(std::string_view name)
{
	for (const auto &row : kAlgorithms)
		if (name == row.name)
			return row.algorithm;
	return std::nullopt;
}

const char *algorithmName(Algorithm algorithm)
{
	for (const auto &row : kAlgorithms)
		if (algorithm == row.algorithm)
			return row.name;
	return "unknown";
}

const char *statusText(Status status)
{
	switch (status) {
	case Status::Success:
		return "success";
	case Status::NegativeCompression:
		return "output larger than input";
	case Status::OutputTooSmall:
		return "output buffer too small";
	case Status::SourceDif:
		return "source integrity check failed";
	case Status::ChecksumMismatch:
		return "checksum mismatch";
	case Status::DestinationDif:
		return "destination integrity check failed";
	case Status::StreamEnd:
		return "end of stream";
	case Status::Malformed:
		return "malformed data";
	}
	return "request failed (malformed data, or memory that the device may not reach)";
}

void fillSqe(Sqe &sqe, const Request &request) noexcept
{
	Sqe out;
	out.dw[sqe::kInputLength] = request.sourceLength;
	out.dw[sqe::kControl] = controlWord(request);
	out.dw[sqe::kRequestType] = static_cast<uint32_t>(request.algorithm) |
				    static_cast<uint32_t>(request.window) << sqe::kWindowShift;
	out.dw[sqe::kOutputRoom] = request.destinationLength;
	out.dw[sqe::kSourceLow] = low(request.source);
	out.dw[sqe::kSourceLow + 1] = high(request.source);
	out.dw[sqe::kDestinationLow] = low(request.destination);
	out.dw[sqe::kDestinationLow + 1] = high(request.destination);
	out.dw[sqe::kTagLow] = low(request.tag);
	out.dw[sqe::kTagLow + 1] = high(request.tag);
	if (request.stateful) {
		out.dw[sqe::kContextLow] = low(request.context);
		out.dw[sqe::kContextLow + 1] = high(request.context);
		out.dw[sqe::kContextWord0] = request.contextWords[0];
		out.dw[sqe::kContextWord1] = request.contextWords[1];
		out.dw[sqe::kContextWord2] = request.contextWords[2];
		out.dw[sqe::kIsize] = request.isize;
		out.dw[sqe::kChecksum] = request.checksum;
	}
	sqe = out;
}

Completion parseSqe(const Sqe &sqe) noexcept
{
	Completion result;
	result.tag = static_cast<uint64_t>(sqe.dw[sqe::kTagLow + 1]) << 32 | sqe.dw[sqe::kTagLow];
	result.status = static_cast<Status>(sqe.dw[sqe::kStatus] & sqe::kStatusMask);
	result.lastBlock = sqe.dw[sqe::kStatus] & sqe::kLastBlock;
	result.consumed = sqe.dw[sqe::kConsumed];
	result.produced = sqe.dw[sqe::kProduced];
	result.contextWords = {sqe.dw[sqe::kContextWord0], sqe.dw[sqe::kContextWord1],
			       sqe.dw[sqe::kContextWord2]};
	result.isize = sqe.dw[sqe::kIsize];
	result.checksum = sqe.dw[sqe::kChecksum];
	return result;
}

} // namespace wd::zip
