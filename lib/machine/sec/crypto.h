/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphers and digests on memory, by OpenSSL. */
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "sec/descriptor.h"

namespace wd::machine::sec
{

/** What a request reads besides its source, and the tag or digest that it makes. */
struct Secrets {
	std::array<std::byte, kMaxKey> key;
	std::array<std::byte, kMaxIv> iv;
	std::array<std::byte, kMaxMacKey> macKey;
	std::array<std::byte, kMaxMac> mac;
};

/** Not thread-safe. */
class Crypto
{
public:
	Crypto();
	~Crypto();

	/**
	 * Do @job, whose whole source is in @source. The result is job.length bytes in
	 * @destination; of a digest only @secrets.mac.
	 * @return kOk; kMismatch if the tag in @secrets.mac is not that of the source; kUnsupported
	 * if OpenSSL refuses the key; kNoMemory
	 */
	Error run(const Job &job, std::span<const std::byte> source,
		  std::span<std::byte> destination, Secrets &secrets);

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace wd::machine::sec
