// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bitmap.h>
#include <linux/slab.h>

namespace
{

/* First bit at or after @offset that differs from @invert's, or @size. */
unsigned long findNext(const unsigned long *addr, unsigned long size, unsigned long offset,
		       unsigned long invert)
{
	if (offset >= size)
		return size;
	unsigned long word = (addr[BIT_WORD(offset)] ^ invert) & (~0UL << (offset % BITS_PER_LONG));
	for (unsigned long base = offset - offset % BITS_PER_LONG;;) {
		if (word) {
			unsigned long found = base + __ffs(word);
			return found < size ? found : size;
		}
		base += BITS_PER_LONG;
		if (base >= size)
			return size;
		word = addr[BIT_WORD(base)] ^ invert;
	}
}

/* The valid bits of word @i of a map of @nbits. */
unsigned long maskOf(unsigned int i, unsigned int nbits)
{
	unsigned int left = nbits - i * BITS_PER_LONG;

	return left >= BITS_PER_LONG ? ~0UL : (1UL << left) - 1;
}

template <class Operation>
bool combine(unsigned long *dst, const unsigned long *a, const unsigned long *b, unsigned int nbits,
	     Operation operation)
{
	unsigned long any = 0;

	for (unsigned int i = 0; i < BITS_TO_LONGS(nbits); i++) {
		dst[i] = operation(a[i], b[i]);
		any |= dst[i] & maskOf(i, nbits);
	}
	return any != 0;
}

} // namespace

unsigned long find_next_bit(const unsigned long *addr, unsigned long size, unsigned long offset)
{
	return findNext(addr, size, offset, 0);
}

unsigned long find_next_zero_bit(const unsigned long *addr, unsigned long size,
				 unsigned long offset)
{
	return findNext(addr, size, offset, ~0UL);
}

unsigned long find_first_bit(const unsigned long *addr, unsigned long size)
{
	return findNext(addr, size, 0, 0);
}

unsigned long find_first_zero_bit(const unsigned long *addr, unsigned long size)
{
	return findNext(addr, size, 0, ~0UL);
}

unsigned long find_last_bit(const unsigned long *addr, unsigned long size)
{
	for (unsigned long bit = size; bit-- > 0;)
		if (test_bit(static_cast<long>(bit), addr))
			return bit;
	return size;
}

unsigned long *bitmap_alloc(unsigned int nbits, gfp_t flags)
{
	return static_cast<unsigned long *>(
		kmalloc_array(BITS_TO_LONGS(nbits), sizeof(unsigned long), flags));
}

unsigned long *bitmap_zalloc(unsigned int nbits, gfp_t flags)
{
	return bitmap_alloc(nbits, flags | __GFP_ZERO);
}

void bitmap_free(const unsigned long *bitmap)
{
	kfree(bitmap);
}

void bitmap_set(unsigned long *map, unsigned int start, unsigned int nbits)
{
	for (; nbits; start++, nbits--)
		__set_bit(start, map);
}

void bitmap_clear(unsigned long *map, unsigned int start, unsigned int nbits)
{
	for (; nbits; start++, nbits--)
		__clear_bit(start, map);
}

unsigned int bitmap_weight(const unsigned long *src, unsigned int nbits)
{
	unsigned long weight = 0;

	for (unsigned int i = 0; i < BITS_TO_LONGS(nbits); i++)
		weight += hweight_long(src[i] & maskOf(i, nbits));
	return static_cast<unsigned int>(weight);
}

bool bitmap_empty(const unsigned long *src, unsigned int nbits)
{
	return find_first_bit(src, nbits) == nbits;
}

bool bitmap_full(const unsigned long *src, unsigned int nbits)
{
	return find_first_zero_bit(src, nbits) == nbits;
}

bool bitmap_equal(const unsigned long *a, const unsigned long *b, unsigned int nbits)
{
	for (unsigned int i = 0; i < BITS_TO_LONGS(nbits); i++)
		if ((a[i] ^ b[i]) & maskOf(i, nbits))
			return false;
	return true;
}

void bitmap_or(unsigned long *dst, const unsigned long *a, const unsigned long *b,
	       unsigned int nbits)
{
	combine(dst, a, b, nbits, [](unsigned long x, unsigned long y) { return x | y; });
}

bool bitmap_and(unsigned long *dst, const unsigned long *a, const unsigned long *b,
		unsigned int nbits)
{
	return combine(dst, a, b, nbits, [](unsigned long x, unsigned long y) { return x & y; });
}

bool bitmap_andnot(unsigned long *dst, const unsigned long *a, const unsigned long *b,
		   unsigned int nbits)
{
	return combine(dst, a, b, nbits, [](unsigned long x, unsigned long y) { return x & ~y; });
}

bool bitmap_intersects(const unsigned long *a, const unsigned long *b, unsigned int nbits)
{
	for (unsigned int i = 0; i < BITS_TO_LONGS(nbits); i++)
		if (a[i] & b[i] & maskOf(i, nbits))
			return true;
	return false;
}

unsigned long bitmap_find_next_zero_area(unsigned long *map, unsigned long size,
					 unsigned long start, unsigned int nr,
					 unsigned long align_mask)
{
	for (;;) {
		unsigned long index = find_next_zero_bit(map, size, start);
		index = (index + align_mask) & ~align_mask;
		if (index + nr > size)
			return size + 1;
		unsigned long end = find_next_bit(map, index + nr, index);
		if (end >= index + nr)
			return index;
		start = end + 1;
	}
}
