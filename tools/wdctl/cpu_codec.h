/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU contenders: they run the same blocks on the calling thread. One is zlib, one the library
 * that the model's engine uses.
 */
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "wd/sqe.h"

namespace wdctl
{

/** Stateless, thread-bound. No allocation per call beyond the library's own. */
class CpuCodec
{
public:
	virtual ~CpuCodec() = default;
	virtual std::string name() const = 0;
	/** @return bytes written, 0 if @out is too small. */
	virtual size_t compress(std::span<const std::byte> in, std::span<std::byte> out) = 0;
	/** @return bytes written, 0 on any error. */
	virtual size_t decompress(std::span<const std::byte> in, std::span<std::byte> out) = 0;
};

/** Every contender, for streams of @algorithm. */
std::vector<std::unique_ptr<CpuCodec>> cpuCodecs(wd::zip::Algorithm algorithm);

} // namespace wdctl
