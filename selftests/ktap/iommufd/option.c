// SPDX-License-Identifier: Apache-2.0
/* IOMMU_OPTION. */
#include "../../common/ktap.h"
#include "context.h"

#define SET IOMMU_OPTION_OP_SET
#define GET IOMMU_OPTION_OP_GET

static struct context context;

static void rlimit_mode(void)
{
	struct context empty;
	uint64_t value = 5;

	EXPECT(option(&context, IOMMU_OPTION_RLIMIT_MODE, GET, 0, &value) == 0 && !value,
	       "per user at first");
	EXPECT(option(&context, IOMMU_OPTION_RLIMIT_MODE, GET, 1, &value) == -EOPNOTSUPP,
	       "of an object");
	value = 1;
	EXPECT(option(&context, IOMMU_OPTION_RLIMIT_MODE, SET, 0, &value) == -EBUSY,
	       "objects exist");
	EXPECT(context_open(&empty) == 0 && destroy(&empty, empty.ioas) == 0, "empty context");
	EXPECT(option(&empty, IOMMU_OPTION_RLIMIT_MODE, SET, 0, &value) == 0, "per process");
	value = 2;
	EXPECT(option(&empty, IOMMU_OPTION_RLIMIT_MODE, SET, 0, &value) == -EINVAL, "2");
	EXPECT(option(&empty, IOMMU_OPTION_RLIMIT_MODE, GET, 0, &value) == 0 && value == 1,
	       "read back");
	context_close(&empty);
}

static void huge_pages(void)
{
	char *memory = pages_alloc(4 * PAGE);
	uint64_t value = 5;

	EXPECT(option(&context, IOMMU_OPTION_HUGE_PAGES, GET, context.ioas, &value) == 0 &&
		       value == 1,
	       "on at first");
	EXPECT(option(&context, IOMMU_OPTION_HUGE_PAGES, GET, 0, &value) == -ENOENT, "no object");
	value = 2;
	EXPECT(option(&context, IOMMU_OPTION_HUGE_PAGES, SET, context.ioas, &value) == -EINVAL,
	       "2");
	EXPECT(map_at(&context, memory + 1, 3, 5) == 0, "map bytes");
	value = 0;
	EXPECT(option(&context, IOMMU_OPTION_HUGE_PAGES, SET, context.ioas, &value) == -EADDRINUSE,
	       "not page aligned");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "unmap");
	EXPECT(option(&context, IOMMU_OPTION_HUGE_PAGES, SET, context.ioas, &value) == 0, "off");
	EXPECT(map_at(&context, memory + 1, 3, 5) == -EINVAL, "only pages now");
	EXPECT(map_at(&context, memory, PAGE, 0) == 0, "a page");
	value = 1;
	EXPECT(option(&context, IOMMU_OPTION_HUGE_PAGES, SET, context.ioas, &value) == 0, "on");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "clean up");
	pages_free(memory, 4 * PAGE);
}

static void unknown(void)
{
	struct iommu_option cmd = {.size = sizeof(cmd), .op = GET, .__reserved = 1};
	uint64_t value = 0;

	EXPECT(command(&context, IOMMU_OPTION, &cmd) == -EOPNOTSUPP, "reserved field");
	EXPECT(option(&context, 2, GET, 0, &value) == -EOPNOTSUPP, "option");
	EXPECT(option(&context, IOMMU_OPTION_HUGE_PAGES, 2, context.ioas, &value) == -EOPNOTSUPP,
	       "operation");
}

static const struct ktap_case cases[] = {
	{"who is charged", rlimit_mode},
	{"large I/O pages", huge_pages},
	{"what is not there", unknown},
};

int main(void)
{
	KTAP_MAIN(cases, session_open(&context), session_close(&context));
}
