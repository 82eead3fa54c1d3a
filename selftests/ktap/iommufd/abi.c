// SPDX-License-Identifier: Apache-2.0
/* The calling convention, for every command (iommufd ABI: sizes, tails, numbers, pointers). */
#include <linux/vfio_cdev.h>

#include "../../common/ktap.h"
#include "context.h"

static const struct {
	unsigned long request;
	uint32_t size, minimum;
} commands[] = {
	{IOMMU_DESTROY, 8, 8},
	{IOMMU_IOAS_ALLOC, 12, 12},
	{IOMMU_IOAS_ALLOW_IOVAS, 24, 24},
	{IOMMU_IOAS_COPY, 40, 40},
	{IOMMU_IOAS_IOVA_RANGES, 32, 32},
	{IOMMU_IOAS_MAP, 40, 40},
	{IOMMU_IOAS_MAP_FILE, 40, 40},
	{IOMMU_IOAS_UNMAP, 24, 24},
	{IOMMU_OPTION, 24, 24},
	{IOMMU_VFIO_IOAS, 12, 12},
	{IOMMU_HWPT_ALLOC, 48, 24},
	{IOMMU_GET_HW_INFO, 40, 32},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static struct context context;

/* All zero, except the size and, if @dirty is not negative, one byte. */
static int call(unsigned long request, uint32_t size, int dirty)
{
	uint64_t words[32] = {0};

	memcpy(words, &size, sizeof(size));
	if (dirty >= 0)
		((uint8_t *)words)[dirty] = 1;
	return command(&context, request, words);
}

static void numbers(void)
{
	uint32_t size = 8;

	EXPECT(command(&context, 0x3b7f, &size) == -ENOTTY, "below the first command");
	EXPECT(command(&context, 0x3bff, &size) == -ENOTTY, "far behind the last command");
	EXPECT(call(0x3c80, 8, -1) == -ENOTTY, "other type");
	EXPECT(call(IOMMU_DESTROY | 0xc0080000ul, 8, -1) == -ENOTTY, "direction and size bits");
}

static void pointers(void)
{
	for (unsigned i = 0; i < COMMANDS; i++) {
		EXPECT(command(&context, commands[i].request, NULL) == -EFAULT, "NULL, %u", i);
		EXPECT(command(&context, commands[i].request, (void *)~4095ul) == -EFAULT,
		       "kernel address, %u", i);
	}
}

static void sizes(void)
{
	for (unsigned i = 0; i < COMMANDS; i++) {
		const unsigned long request = commands[i].request;
		const uint32_t size = commands[i].size;

		EXPECT(call(request, commands[i].minimum - 1, -1) == -EINVAL, "too short, %u", i);
		EXPECT(call(request, 0, -1) == -EINVAL, "size 0, %u", i);
		EXPECT(call(request, size + 1, size) == -E2BIG, "one byte of tail, %u", i);
		EXPECT(call(request, 200, 199) == -E2BIG, "last byte of a long tail, %u", i);
		EXPECT(call(request, size, -1) != -E2BIG, "exact, %u", i);
	}
}

static void zero_tail_changes_nothing(void)
{
	for (unsigned i = 0; i < COMMANDS; i++) {
		const int exact = call(commands[i].request, commands[i].size, -1);
		const int longer = call(commands[i].request, 200, -1);

		EXPECT(exact == longer, "command %u: %d, with a tail %d", i, exact, longer);
	}
}

static void answer_stays_inside(void)
{
	struct {
		struct iommu_ioas_alloc cmd;
		uint32_t behind;
	} argument = {{.size = sizeof(argument.cmd)}, 0x5a5a5a5a};

	EXPECT(command(&context, IOMMU_IOAS_ALLOC, &argument) == 0, "alloc");
	EXPECT(argument.cmd.out_ioas_id != 0, "an id is not 0");
	EXPECT(argument.behind == 0x5a5a5a5a, "nothing is written behind the structure");
}

static void layout(void)
{
	EXPECT(sizeof(struct iommu_hwpt_invalidate) == 32, "invalidate");
	EXPECT(sizeof(struct iommu_hwpt_pgfault) == 40, "page fault record");
	EXPECT(sizeof(struct iommu_hwpt_page_response) == 8, "response record");
	EXPECT(sizeof(struct iommu_hw_queue_alloc) == 40, "hardware queue");
	EXPECT(sizeof(struct vfio_device_bind_iommufd) == 24, "bind");
	EXPECT(sizeof(struct vfio_device_attach_iommufd_pt) == 16, "attach");
	EXPECT(IOMMU_HW_QUEUE_ALLOC == 0x3b94, "number of Linux 7.2");
	EXPECT(IOMMU_IOAS_NOIOMMU_GET_PA == 0x3b95, "last number, of Linux 7.3");
	EXPECT(VFIO_DEVICE_DETACH_IOMMUFD_PT == 0x3b78, "VFIO number");
}

static const struct ktap_case cases[] = {
	{"numbers that are no commands", numbers},
	{"pointers that cannot be read", pointers},
	{"structures that are too short or have an unknown tail", sizes},
	{"a tail of zeros changes nothing", zero_tail_changes_nothing},
	{"the answer stays inside the structure", answer_stays_inside},
	{"layout of what the other programs do not use", layout},
};

int main(void)
{
	KTAP_MAIN(cases, session_open(&context), session_close(&context));
}
