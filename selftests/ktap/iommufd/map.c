// SPDX-License-Identifier: Apache-2.0
/* MAP and UNMAP without a page table: mappings are only records, and every errno can be seen. */
#include "../../common/ktap.h"
#include "context.h"

static struct context context;
static char *memory;

static int try_map(uint32_t flags, uint32_t ioas, uint64_t va, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = va,
		.length = length,
		.iova = iova,
	};

	return command(&context, IOMMU_IOAS_MAP, &cmd);
}

/*
 * Every call is wrong in several ways. The kernel must report the error that is documented first.
 */
static void errors_in_order(void)
{
	const uint64_t va = (uintptr_t)memory;

	EXPECT(try_map(8, 77, EVERYTHING, 0, EVERYTHING) == -EOPNOTSUPP, "unknown flag");
	EXPECT(try_map(0, 77, EVERYTHING, 0, EVERYTHING) == -EOVERFLOW, "IOVA");
	EXPECT(try_map(0, 77, EVERYTHING, EVERYTHING, 0) == -EOVERFLOW, "length");
	EXPECT(try_map(0, 77, EVERYTHING, 0, 0) == -EINVAL, "neither read nor write");
	EXPECT(try_map(RW, 77, EVERYTHING, 0, 0) == -ENOENT, "no such IOAS");
	EXPECT(try_map(RW, context.ioas, EVERYTHING, 2, 0) == -EOVERFLOW, "source wraps");
	EXPECT(try_map(RW, context.ioas, va, 0, 0) == -EINVAL, "nothing to map");
	EXPECT(try_map(RW, context.ioas, 0, EVERYTHING - PAGE + 1, 0) == -EINVAL, "too long");
	EXPECT(try_map(RW, context.ioas, 0, EVERYTHING / 2, 0) == -EOVERFLOW, "to be placed");
	EXPECT(try_map(RW | FIXED, context.ioas, va, 8, EVERYTHING - 4) == -EOVERFLOW,
	       "IOVA wraps");
}

static void overlaps(void)
{
	EXPECT(map_at(&context, memory, 4 * PAGE, 0x10000) == 0, "map");
	EXPECT(map_at(&context, memory, PAGE, 0xf001) == -EEXIST, "reaches in");
	EXPECT(map_at(&context, memory, 4 * PAGE, 0x10000) == -EEXIST, "the same");
	EXPECT(map_at(&context, memory, 1, 0x13fff) == -EEXIST, "last byte");
	EXPECT(map_at(&context, memory, 64 * PAGE, 0) == -EEXIST, "around");
	EXPECT(map_at(&context, memory, PAGE, 0xf000) == 0, "right before");
	EXPECT(map_at(&context, memory, PAGE, 0x14000) == 0, "right behind");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "clean up");
}

static void unmap_errors(void)
{
	uint64_t length = EVERYTHING;

	EXPECT(unmap(&context, 77, 0, &length) == -ENOENT, "no such IOAS");
	EXPECT(unmap(&context, context.ioas, 0, &length) == 0 && !length, "all of nothing");
	EXPECT(unmap_at(&context, EVERYTHING, 1) == -EOVERFLOW, "IOVA");
	EXPECT(unmap_at(&context, 1, EVERYTHING) == -EOVERFLOW, "length");
	EXPECT(unmap_at(&context, 1, 0) == -EINVAL, "length 0");
	EXPECT(unmap_at(&context, EVERYTHING - 1, 3) == -EOVERFLOW, "wraps");
	EXPECT(unmap_at(&context, 0x1000, PAGE) == -ENOENT, "nothing there");
	EXPECT(map_at(&context, memory, 4 * PAGE, 0x10000) == 0, "map");
	EXPECT(unmap_at(&context, 0x10000, PAGE) == -ENOENT, "beginning of it");
	EXPECT(unmap_at(&context, 0x11000, 16 * PAGE) == -ENOENT, "end of it");
	EXPECT(unmap_at(&context, 0x11000, PAGE) == -ENOENT, "middle of it");
	length = 1ul << 40;
	EXPECT(unmap(&context, context.ioas, 0, &length) == 0 && length == 4 * PAGE,
	       "a range around it");
}

static void odd_lengths(void)
{
	uint64_t iova;

	for (uint64_t length = 1; length < 3 * PAGE; length += 97) {
		uint64_t done = length;

		EXPECT(map(&context, context.ioas, memory + length % 13, length, RW, &iova) == 0,
		       "map %lu", (unsigned long)length);
		EXPECT(unmap(&context, context.ioas, iova, &done) == 0 && done == length,
		       "unmap %lu", (unsigned long)length);
	}
}

static void ends_of_the_space(void)
{
	EXPECT(map_at(&context, memory, PAGE, 0) == 0, "IOVA 0");
	EXPECT(map_at(&context, memory, 2, EVERYTHING - 1) == 0, "last two bytes");
	EXPECT(unmap_at(&context, EVERYTHING - 1, 2) == 0, "unmap them");
	EXPECT(unmap_at(&context, 0, PAGE) == 0, "unmap IOVA 0");
}

static void memory_is_not_looked_at(void)
{
	EXPECT(map_at(&context, (void *)0x1000, PAGE, 0x10000) == 0, "memory that is not there");
	EXPECT(unmap_at(&context, 0x10000, PAGE) == 0, "unmap");
}

static void many(void)
{
	uint64_t length = EVERYTHING, iova;

	for (unsigned i = 0; i < 2000; i++)
		EXPECT(map(&context, context.ioas, memory, PAGE, RW, &iova) == 0 &&
			       iova == (i + 1) * PAGE,
		       "mapping %u at %#lx", i, (unsigned long)iova);
	EXPECT(unmap_at(&context, 1000 * PAGE, PAGE) == 0, "a hole");
	EXPECT(map(&context, context.ioas, memory, PAGE, RW, &iova) == 0 && iova == 1000 * PAGE,
	       "is filled: %#lx", (unsigned long)iova);
	EXPECT(unmap(&context, context.ioas, 0, &length) == 0 && length == 2000 * PAGE, "all");
}

static const struct ktap_case cases[] = {
	{"errors of MAP in the order of the contract", errors_in_order},
	{"overlapping mappings", overlaps},
	{"errors of UNMAP", unmap_errors},
	{"odd lengths and addresses", odd_lengths},
	{"both ends of the address space", ends_of_the_space},
	{"memory is not looked at before a page table needs it", memory_is_not_looked_at},
	{"many mappings", many},
};

static int set_up(void)
{
	memory = pages_alloc(64 * PAGE);
	return session_open(&context);
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), session_close(&context));
}
