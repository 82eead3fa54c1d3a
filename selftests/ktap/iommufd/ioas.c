// SPDX-License-Identifier: Apache-2.0
/* Address spaces: creation and destruction, usable ranges, allowed ranges, placement. */
#include "../../common/ktap.h"
#include "context.h"

static struct context context;

static int ranges(uint32_t ioas, struct iommu_iova_range *array, uint32_t *count,
		  uint64_t *alignment)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = *count,
		.allowed_iovas = (uintptr_t)array,
	};
	const int ret = command(&context, IOMMU_IOAS_IOVA_RANGES, &cmd);

	*count = cmd.num_iovas;
	*alignment = cmd.out_iova_alignment;
	return ret;
}

static int allow(uint32_t ioas, const struct iommu_iova_range *array, uint32_t count)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = count,
		.allowed_iovas = (uintptr_t)array,
	};

	return command(&context, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static void ids(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd), .flags = 1};
	const long first = ioas_alloc(&context), second = ioas_alloc(&context);

	EXPECT(command(&context, IOMMU_IOAS_ALLOC, &cmd) == -EOPNOTSUPP, "flags");
	EXPECT(first > 0 && second == first + 1, "ids in sequence: %ld %ld", first, second);
	EXPECT(destroy(&context, first) == 0, "destroy");
	EXPECT(destroy(&context, first) == -ENOENT, "destroy twice");
	EXPECT(destroy(&context, 0) == -ENOENT, "0 is no object");
	EXPECT(destroy(&context, 0xffffffff) == -ENOENT, "out of the id space");
	EXPECT(ioas_alloc(&context) == first, "a freed id is used again at once");
	EXPECT(destroy(&context, first) == 0 && destroy(&context, second) == 0, "clean up");
}

static void contexts_are_separate(void)
{
	struct context other;

	EXPECT(context_open(&other) == 0, "second open");
	EXPECT(other.ioas == 1, "ids start anew");
	EXPECT(destroy(&other, context.ioas + 7) == -ENOENT, "no object of the other");
	context_close(&other);
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "the first is still there");
}

static void fresh_ranges(void)
{
	struct iommu_iova_range array[2] = {{7, 7}, {7, 7}};
	uint64_t alignment = 0;
	uint32_t count = 2;

	EXPECT(ranges(context.ioas, array, &count, &alignment) == 0, "ranges");
	EXPECT(count == 1 && array[0].start == 0 && array[0].last == EVERYTHING, "one, and all");
	EXPECT(alignment == 1, "no alignment");
	EXPECT(array[1].start == 7, "entries beyond the count are not touched");
	count = 0;
	EXPECT(ranges(context.ioas, array, &count, &alignment) == -EMSGSIZE, "no room");
	EXPECT(count == 1, "the count is told");
	count = 1;
	EXPECT(ranges(context.ioas, (void *)8, &count, &alignment) == -EFAULT, "bad array");
	EXPECT(ranges(77, array, &count, &alignment) == -ENOENT, "no such IOAS");
}

static void allow_list(void)
{
	const struct iommu_iova_range good[] = {{0x700000, 0x7fffff}, {0x500000, 0x500fff}};
	const struct iommu_iova_range one_byte = {5, 5}, reversed = {6, 5};
	const struct iommu_iova_range overlap[] = {{0x1000, 0x2000}, {0x2000, 0x3000}};
	char *memory = pages_alloc(4 * PAGE);
	uint64_t iova = 0;

	EXPECT(allow(context.ioas, &one_byte, 1) == -EINVAL, "one byte");
	EXPECT(allow(context.ioas, &reversed, 1) == -EINVAL, "reversed");
	EXPECT(allow(context.ioas, overlap, 2) == -EINVAL, "overlap");
	EXPECT(allow(context.ioas, (void *)8, 1) == -EFAULT, "bad array");
	EXPECT(allow(77, good, 2) == -ENOENT, "no such IOAS");
	EXPECT(allow(context.ioas, good, 2) == 0, "allow");
	EXPECT(map(&context, context.ioas, memory, PAGE, RW, &iova) == 0 && iova == 0x500000,
	       "lowest allowed: %#lx", (unsigned long)iova);
	EXPECT(map(&context, context.ioas, memory, PAGE, RW, &iova) == 0 && iova == 0x700000,
	       "next: %#lx", (unsigned long)iova);
	EXPECT(map(&context, context.ioas, memory, 2 << 20, RW, &iova) == -ENOSPC, "too large");
	EXPECT(map_at(&context, memory, PAGE, 0x10000) == 0, "fixed ignores the list");
	EXPECT(allow(context.ioas, NULL, 0) == 0, "lift it");
	EXPECT(map(&context, context.ioas, memory, PAGE, RW, &iova) == 0 && iova == PAGE,
	       "everywhere again: %#lx", (unsigned long)iova);
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "clean up");
	pages_free(memory, 4 * PAGE);
}

static void alignment_follows_the_source(void)
{
	uint64_t iova = 0;

	EXPECT(map(&context, context.ioas, (void *)0x40000000, 4 << 20, RW, &iova) == 0, "map");
	EXPECT(iova == 0x200000, "large mapping: %#lx", (unsigned long)iova);
	EXPECT(map(&context, context.ioas, (void *)0x40003000, 3 * PAGE, RW, &iova) == 0, "map");
	EXPECT(iova == PAGE, "page: %#lx", (unsigned long)iova);
	EXPECT(map(&context, context.ioas, (void *)0x40000123, 5, RW, &iova) == 0, "map");
	EXPECT((iova & (PAGE - 1)) == 0x123, "offset in the page is kept");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "clean up");
}

static void vfio_ioas(void)
{
	struct iommu_vfio_ioas cmd = {.size = sizeof(cmd), .op = IOMMU_VFIO_IOAS_GET};
	const long id = ioas_alloc(&context);

	EXPECT(command(&context, IOMMU_VFIO_IOAS, &cmd) == -ENODEV, "none");
	cmd.op = IOMMU_VFIO_IOAS_SET;
	cmd.ioas_id = 77;
	EXPECT(command(&context, IOMMU_VFIO_IOAS, &cmd) == -ENOENT, "bad id");
	cmd.ioas_id = id;
	EXPECT(command(&context, IOMMU_VFIO_IOAS, &cmd) == 0, "set");
	cmd.op = IOMMU_VFIO_IOAS_GET;
	cmd.ioas_id = 0;
	EXPECT(command(&context, IOMMU_VFIO_IOAS, &cmd) == 0 && cmd.ioas_id == id, "get");
	EXPECT(destroy(&context, id) == 0, "does not hold it");
	EXPECT(command(&context, IOMMU_VFIO_IOAS, &cmd) == -ENODEV, "gone with it");
}

static const struct ktap_case cases[] = {
	{"ids are the lowest free", ids},
	{"contexts do not see each other", contexts_are_separate},
	{"ranges of a fresh address space", fresh_ranges},
	{"allowed ranges", allow_list},
	{"chosen IOVA keep the alignment of the source", alignment_follows_the_source},
	{"the compatibility address space is a weak reference", vfio_ioas},
};

int main(void)
{
	KTAP_MAIN(cases, session_open(&context), session_close(&context));
}
