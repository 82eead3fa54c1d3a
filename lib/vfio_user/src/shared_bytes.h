/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies from and to memory that a guest, other devices and this thread use at the same time:
 * every aligned 8-byte word is one relaxed atomic access, so that a race tears between words only.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace wd::vfio_user
{

/** Bytes before the first aligned word, and at most @len. */
inline size_t unalignedBytes(const std::byte *p, size_t len)
{
	const size_t bytes = -reinterpret_cast<uintptr_t>(p) % 8;

	return bytes < len ? bytes : len;
}

inline void bytesFromShared(std::byte *dst, const std::byte *shared, size_t len)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = std::byte{__atomic_load_n(reinterpret_cast<const uint8_t *>(shared + i),
						   __ATOMIC_RELAXED)};
}

inline void bytesToShared(std::byte *shared, const std::byte *src, size_t len)
{
	for (size_t i = 0; i < len; i++)
		__atomic_store_n(reinterpret_cast<uint8_t *>(shared + i),
				 std::to_integer<uint8_t>(src[i]), __ATOMIC_RELAXED);
}

inline void copyFromShared(std::byte *dst, const std::byte *shared, size_t len)
{
	const size_t head = unalignedBytes(shared, len), words = (len - head) / 8;
	const auto *from = reinterpret_cast<const uint64_t *>(shared + head);

	bytesFromShared(dst, shared, head);
	dst += head;
#pragma GCC unroll 8
	for (size_t i = 0; i < words; i++) {
		const uint64_t word = __atomic_load_n(from + i, __ATOMIC_RELAXED);

		std::memcpy(dst + 8 * i, &word, 8);
	}
	bytesFromShared(dst + 8 * words, shared + head + 8 * words, len - head - 8 * words);
}

inline void copyToShared(std::byte *shared, const std::byte *src, size_t len)
{
	const size_t head = unalignedBytes(shared, len), words = (len - head) / 8;
	auto *to = reinterpret_cast<uint64_t *>(shared + head);

	bytesToShared(shared, src, head);
	src += head;
#pragma GCC unroll 8
	for (size_t i = 0; i < words; i++) {
		uint64_t word;

		std::memcpy(&word, src + 8 * i, 8);
		__atomic_store_n(to + i, word, __ATOMIC_RELAXED);
	}
	bytesToShared(shared + head + 8 * words, src + 8 * words, len - head - 8 * words);
}

} // namespace wd::vfio_user
