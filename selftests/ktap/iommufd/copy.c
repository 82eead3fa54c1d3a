// SPDX-License-Identifier: Apache-2.0
/* COPY between and inside address spaces. */
#include "../../common/ktap.h"
#include "context.h"

static struct context context;
static char *memory;

static void whole_mappings(void)
{
	const long other = ioas_alloc(&context);
	uint64_t iova = 0;

	EXPECT(map_at(&context, memory, 4 * PAGE, 0x10000) == 0, "map");
	EXPECT(copy(&context, context.ioas, 0x10000, 4 * PAGE, RW, &iova) == 0, "same IOAS");
	EXPECT(iova == 4 * PAGE, "chosen %#lx", (unsigned long)iova);
	iova = 0;
	EXPECT(copy(&context, other, 0x10000, 4 * PAGE, RW | FIXED, &iova) == 0, "other IOAS");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "the source goes");
	EXPECT(destroy(&context, other) == 0, "the copy was still there");
}

static void parts(void)
{
	uint64_t iova = 0x100000;

	EXPECT(map_at(&context, memory, 2 * PAGE, 0x10000) == 0, "map");
	EXPECT(map_at(&context, memory + 8 * PAGE, 2 * PAGE, 0x12000) == 0, "map");
	EXPECT(copy(&context, context.ioas, 0x11800, 0x1001, RW | FIXED, &iova) == 0,
	       "over the border of two mappings");
	EXPECT(unmap_at(&context, 0x100000, 0x800) == 0, "one for each piece");
	EXPECT(unmap_at(&context, 0x100800, 0x801) == 0, "and the other");
	EXPECT(copy(&context, context.ioas, 0x13fff, 2, RW, &iova) == -ENOENT, "leaves the end");
	EXPECT(copy(&context, context.ioas, 0xffff, 2, RW, &iova) == -ENOENT, "begins before");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "clean up");
}

static void permissions(void)
{
	uint64_t iova = 0x10000;

	EXPECT(map(&context, context.ioas, memory, PAGE, IOMMU_IOAS_MAP_READABLE | FIXED, &iova) ==
		       0,
	       "read only");
	EXPECT(copy(&context, context.ioas, 0x10000, PAGE, RW, &iova) == -EPERM, "to writable");
	EXPECT(copy(&context, context.ioas, 0x10000, PAGE, IOMMU_IOAS_MAP_READABLE, &iova) == 0,
	       "to readable");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "clean up");
	/* Only the rights with which the memory was pinned count, not those of the mapping. */
	EXPECT(map_at(&context, memory, PAGE, 0x10000) == 0, "read and write");
	EXPECT(copy(&context, context.ioas, 0x10000, PAGE, IOMMU_IOAS_MAP_READABLE, &iova) == 0,
	       "to readable");
	EXPECT(copy(&context, context.ioas, iova, PAGE, RW, &iova) == 0, "and back");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "clean up");
}

static void errors(void)
{
	uint64_t iova = 0x20000, huge = EVERYTHING;

	EXPECT(map_at(&context, memory, PAGE, 0x10000) == 0, "map");
	EXPECT(copy(&context, context.ioas, 0x10000, PAGE, 8, &iova) == -EOPNOTSUPP, "flag");
	EXPECT(copy(&context, context.ioas, 0x10000, PAGE, RW | FIXED, &huge) == -EOVERFLOW,
	       "destination");
	EXPECT(copy(&context, context.ioas, EVERYTHING, PAGE, RW, &iova) == -EOVERFLOW, "source");
	EXPECT(copy(&context, context.ioas, 0x10000, PAGE, FIXED, &iova) == -EINVAL,
	       "neither read nor write");
	EXPECT(copy(&context, context.ioas, 0x10000, 0, RW, &iova) == -EINVAL, "length 0");
	EXPECT(copy(&context, context.ioas, EVERYTHING - 1, 3, RW, &iova) == -EOVERFLOW,
	       "source wraps");
	EXPECT(copy(&context, 77, 0x10000, PAGE, RW, &iova) == -ENOENT, "no such destination");
	iova = 0x10000;
	EXPECT(copy(&context, context.ioas, 0x10000, PAGE, RW | FIXED, &iova) == -EEXIST,
	       "onto itself");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "clean up");
}

static const struct ktap_case cases[] = {
	{"whole mappings, in the same and in another address space", whole_mappings},
	{"parts of mappings", parts},
	{"permissions are those of the memory", permissions},
	{"errors", errors},
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
