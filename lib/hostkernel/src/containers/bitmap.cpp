// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bitmap.h>
#include <linux/slab.h>

namespace
{

/* The first set bit at or after @offset, or @size. With @invert all ones, the first clear bit. */
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

} // namespace

unsigned long find_first_zero_bit(const unsigned long *addr, unsigned long size)
{
	return findNext(addr, size, 0, ~0UL);
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

void bitmap_set(unsigned long *map, unsigned int start, unsigned int nbits)
{
	for (; nbits; start++, nbits--)
		__set_bit(start, map);
}

void bitmap_free(const unsigned long *bitmap)
{
	kfree(bitmap);
}
