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

inline bool isWord(const std::byte *p, size_t len)
{
	return len >= 8 && reinterpret_cast<uintptr_t>(p) % 8 == 0;
}

inline void copyFromShared(std::byte *dst, const std::byte *shared, size_t len)
{
	while (len) {
		if (isWord(shared, len)) {
			const uint64_t word = __atomic_load_n(
				reinterpret_cast<const uint64_t *>(shared), __ATOMIC_RELAXED);

			std::memcpy(dst, &word, 8);
			dst += 8, shared += 8, len -= 8;
		} else {
			*dst++ = std::byte{__atomic_load_n(
				reinterpret_cast<const uint8_t *>(shared++), __ATOMIC_RELAXED)};
			len--;
		}
	}
}

inline void copyToShared(std::byte *shared, const std::byte *src, size_t len)
{
	while (len) {
		if (isWord(shared, len)) {
			uint64_t word;

			std::memcpy(&word, src, 8);
			__atomic_store_n(reinterpret_cast<uint64_t *>(shared), word,
					 __ATOMIC_RELAXED);
			src += 8, shared += 8, len -= 8;
		} else {
			__atomic_store_n(reinterpret_cast<uint8_t *>(shared++),
					 std::to_integer<uint8_t>(*src++), __ATOMIC_RELAXED);
			len--;
		}
	}
}

} // namespace wd::vfio_user
