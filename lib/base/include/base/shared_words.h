/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses to memory that devices, guests and other threads use at the same time.
 *
 * Loads of single words have acquire semantics, stores release semantics. Copies access each
 * aligned 8-byte word once, relaxed, so that in a race a word is either old or new.
 */
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace wd
{

static_assert(std::endian::native == std::endian::little);

/**
 * Tell the processor that the thread spins, so that it may save power or run its other hardware
 * thread.
 */
inline void cpuRelax() noexcept
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	asm volatile("yield");
#endif
}

template <typename Word>
Word loadShared(const std::byte *address) noexcept
{
	return __atomic_load_n(reinterpret_cast<const Word *>(address), __ATOMIC_ACQUIRE);
}

template <typename Word>
void storeShared(std::byte *address, Word value) noexcept
{
	__atomic_store_n(reinterpret_cast<Word *>(address), value, __ATOMIC_RELEASE);
}

/** Load a word. @param size 1, 2, 4 or 8 bytes; @address is a multiple of it */
inline uint64_t loadShared(const std::byte *address, unsigned size) noexcept
{
	switch (size) {
	case 1:
		return loadShared<uint8_t>(address);
	case 2:
		return loadShared<uint16_t>(address);
	case 4:
		return loadShared<uint32_t>(address);
	default:
		return loadShared<uint64_t>(address);
	}
}

/** Store the low @size bytes of @value. @address and @size are as in loadShared(). */
inline void storeShared(std::byte *address, unsigned size, uint64_t value) noexcept
{
	switch (size) {
	case 1:
		return storeShared(address, static_cast<uint8_t>(value));
	case 2:
		return storeShared(address, static_cast<uint16_t>(value));
	case 4:
		return storeShared(address, static_cast<uint32_t>(value));
	default:
		return storeShared(address, value);
	}
}

/**
 * Replace a word by @desired if it is @expected. @address is a multiple of 8.
 * @param expected out: the word that was found
 * @return whether the word was replaced
 */
inline bool exchangeShared(std::byte *address, uint64_t &expected, uint64_t desired) noexcept
{
	return __atomic_compare_exchange_n(reinterpret_cast<uint64_t *>(address), &expected,
					   desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

namespace detail
{

/** Number of bytes before the first aligned word, at most @len. */
inline size_t unalignedBytes(const std::byte *p, size_t len) noexcept
{
	const size_t bytes = -reinterpret_cast<uintptr_t>(p) % 8;

	return bytes < len ? bytes : len;
}

inline void bytesFromShared(std::byte *dst, const std::byte *shared, size_t len) noexcept
{
	for (size_t i = 0; i < len; i++)
		dst[i] = std::byte{__atomic_load_n(reinterpret_cast<const uint8_t *>(shared + i),
						   __ATOMIC_RELAXED)};
}

inline void bytesToShared(std::byte *shared, const std::byte *src, size_t len) noexcept
{
	for (size_t i = 0; i < len; i++)
		__atomic_store_n(reinterpret_cast<uint8_t *>(shared + i),
				 std::to_integer<uint8_t>(src[i]), __ATOMIC_RELAXED);
}

} // namespace detail

/** Copy @len bytes out of memory that others may change at the same time. */
inline void copyFromShared(std::byte *dst, const std::byte *shared, size_t len) noexcept
{
	const size_t head = detail::unalignedBytes(shared, len), words = (len - head) / 8;
	const auto *from = reinterpret_cast<const uint64_t *>(shared + head);

	detail::bytesFromShared(dst, shared, head);
	dst += head;
#pragma GCC unroll 8
	for (size_t i = 0; i < words; i++) {
		const uint64_t word = __atomic_load_n(from + i, __ATOMIC_RELAXED);

		std::memcpy(dst + 8 * i, &word, 8);
	}
	detail::bytesFromShared(dst + 8 * words, shared + head + 8 * words, len - head - 8 * words);
}

/** Copy @len bytes into memory that others may use at the same time. */
inline void copyToShared(std::byte *shared, const std::byte *src, size_t len) noexcept
{
	const size_t head = detail::unalignedBytes(shared, len), words = (len - head) / 8;
	auto *to = reinterpret_cast<uint64_t *>(shared + head);

	detail::bytesToShared(shared, src, head);
	src += head;
#pragma GCC unroll 8
	for (size_t i = 0; i < words; i++) {
		uint64_t word;

		std::memcpy(&word, src + 8 * i, 8);
		__atomic_store_n(to + i, word, __ATOMIC_RELAXED);
	}
	detail::bytesToShared(shared + head + 8 * words, src + 8 * words, len - head - 8 * words);
}

} // namespace wd
