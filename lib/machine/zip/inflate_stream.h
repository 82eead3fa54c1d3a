/* SPDX-License-Identifier: Apache-2.0 */
/* A stream that is decompressed in several requests. */
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "machine/deflate_engine.h"

namespace wd::machine::zip
{

struct InflateProgress {
	DeflateStatus status = DeflateStatus::Ok;
	size_t consumed = 0, produced = 0;
	bool ended = false;   /**< final block and trailer are consumed, all output delivered */
	bool pending = false; /**< more output is ready without more input */
};

/** Window and decoder state; about 90 KiB. Thread-bound while it runs. */
class InflateStream
{
public:
	explicit InflateStream(DeflateFormat format);
	~InflateStream();

	/** A copy of the present state, for starting again from it. */
	std::unique_ptr<InflateStream> clone() const;

	InflateProgress run(std::span<const std::byte> in, std::span<std::byte> out);
	DeflateFormat format() const { return format_; }
	uint32_t checksum() const;
	uint32_t total() const { return total_; }

private:
	struct State;

	size_t deliver(std::span<std::byte> out);

	DeflateFormat format_;
	std::unique_ptr<State> state_;
	/** Output beyond the last request's buffer, decoded to find out whether there is any. */
	std::array<std::byte, 64> carry_;
	size_t carryBegin_ = 0, carryEnd_ = 0;
	uint32_t total_ = 0;
	bool failed_ = false;
};

} // namespace wd::machine::zip
