// SPDX-License-Identifier: Apache-2.0
/* Page tables for a real device: the first queue file of the machine, bound to the context. */
#include <sys/mman.h>

#include "../../common/ktap.h"
#include "context.h"

static struct context context;
static char *memory;
static int queue = -1;
static uint32_t device;

static void hw_info(void)
{
	struct iommu_hw_info cmd = {.size = sizeof(cmd), .dev_id = device};
	union {
		struct iommu_hw_info_vtd vtd;
		unsigned char bytes[64];
	} info;

	memset(&info, 0x55, sizeof(info));
	cmd.data_len = sizeof(info);
	cmd.data_uptr = (uintptr_t)&info;
	EXPECT(command(&context, IOMMU_GET_HW_INFO, &cmd) == 0, "info");
	if (!device_is_mock) {
		EXPECT(cmd.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD, "type %u",
		       cmd.out_data_type);
		EXPECT(cmd.data_len == sizeof(info.vtd), "length %u", cmd.data_len);
		EXPECT(info.vtd.cap_reg && info.vtd.ecap_reg, "registers");
		EXPECT(cmd.out_max_pasid_log2 > 0, "PASIDs");
	}
	EXPECT(info.bytes[63] == 0, "the rest of the buffer is zero");
	cmd.__reserved[2] = 1;
	EXPECT(command(&context, IOMMU_GET_HW_INFO, &cmd) == -EOPNOTSUPP, "reserved field");
	cmd.__reserved[2] = 0;
	cmd.data_uptr = 8;
	EXPECT(command(&context, IOMMU_GET_HW_INFO, &cmd) == -EFAULT, "bad buffer");
	cmd.dev_id = context.ioas;
	EXPECT(command(&context, IOMMU_GET_HW_INFO, &cmd) == -ENOENT, "not a device");
}

static void alloc_errors(void)
{
	uint32_t id = 0;

	EXPECT(hwpt_alloc(&context, 77, 77, 0, &id) == -ENOENT, "no such device");
	EXPECT(hwpt_alloc(&context, device, 77, 0, &id) == -EINVAL, "no such IOAS");
	EXPECT(hwpt_alloc(&context, device, device, 0, &id) == -EINVAL, "on a device");
	EXPECT(hwpt_alloc(&context, device, context.ioas, 1u << 31, &id) == -EOPNOTSUPP,
	       "unknown flag");
	EXPECT(destroy(&context, device) == -EBUSY, "a device is the driver's");
}

static void life(void)
{
	uint32_t first = 0, second = 0;
	uint64_t iova = 0;

	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &first) == 0, "plain");
	EXPECT(hwpt_alloc(&context, device, context.ioas, IOMMU_HWPT_ALLOC_PASID, &second) == 0,
	       "PASID");
	EXPECT(map(&context, context.ioas, memory, 16 * PAGE, RW, &iova) == 0, "map into both");
	EXPECT(destroy(&context, context.ioas) == -EBUSY, "the IOAS is in use");
	EXPECT(destroy(&context, first) == 0, "destroy one");
	EXPECT(unmap_at(&context, iova, 16 * PAGE) == 0, "unmap");
	EXPECT(destroy(&context, second) == 0, "destroy the other");
}

static void memory_must_be_there(void)
{
	char *guard =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t iova = 0x1100000;
	uint32_t id = 0;

	/* Not munmap(): another thread could get a mapping at the free address. */
	mprotect(guard + PAGE, PAGE, PROT_NONE);
	EXPECT(map_at(&context, guard, 2 * PAGE, iova) == 0, "a record");
	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &id) == -EFAULT, "cannot be filled");
	EXPECT(unmap_at(&context, iova, 2 * PAGE) == 0, "unmap");
	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &id) == 0, "empty");
	EXPECT(map_at(&context, guard, 2 * PAGE, iova) == -EFAULT, "half of it is there");
	EXPECT(map_at(&context, guard, PAGE, iova) == 0, "the half that is there");
	EXPECT(map_at(&context, guard + 1, PAGE, 0x1200000) == -EINVAL, "not page aligned");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "unmap");
	EXPECT(destroy(&context, id) == 0, "clean up");
	munmap(guard, 2 * PAGE);
}

static void large(void)
{
	const size_t length = 32ul << 20;
	char *block = pages_alloc(length);
	uint64_t iova = 0, done = length;
	uint32_t id = 0;

	EXPECT(hwpt_alloc(&context, device, context.ioas, IOMMU_HWPT_ALLOC_PASID, &id) == 0,
	       "HWPT");
	EXPECT(map(&context, context.ioas, block, length, RW, &iova) == 0, "map 32 MiB");
	EXPECT(iova % (2ul << 20) == 0, "aligned for large pages");
	EXPECT(unmap(&context, context.ioas, iova, &done) == 0 && done == length, "unmap");
	EXPECT(map(&context, context.ioas, block + 4 * PAGE, length - 8 * PAGE, RW, &iova) == 0,
	       "odd ends");
	EXPECT(destroy(&context, id) == 0, "a table full of mappings");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "unmap");
	pages_free(block, length);
}

static void aperture(void)
{
	struct iommu_iova_range ranges[8];
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = context.ioas,
		.num_iovas = 8,
		.allowed_iovas = (uintptr_t)ranges,
	};
	uint32_t id = 0;

	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &id) == 0, "HWPT");
	EXPECT(command(&context, IOMMU_IOAS_IOVA_RANGES, &cmd) == 0, "ranges");
	EXPECT(cmd.num_iovas >= 1 && cmd.out_iova_alignment == (device_is_mock ? 2048 : PAGE),
	       "pages");
	EXPECT(ranges[cmd.num_iovas - 1].last < EVERYTHING, "less than everything");
	EXPECT(map_at(&context, memory, PAGE, ranges[cmd.num_iovas - 1].last + 1) == -EINVAL,
	       "behind the aperture");
	EXPECT(destroy(&context, id) == 0, "clean up");
}

static const struct ktap_case cases[] = {
	{"description of the IOMMU", hw_info},
	{"errors of HWPT_ALLOC", alloc_errors},
	{"page tables come and go", life},
	{"memory must be there when it is pinned", memory_must_be_there},
	{"large mappings", large},
	{"the aperture limits the address space", aperture},
};

static int set_up(void)
{
	int ret = host_up();

	if (ret)
		return ret;
	memory = pages_alloc(64 * PAGE);
	ret = context_open(&context);
	return ret ? ret : queue_bind(&context, &queue, &device);
}

static void tear_down(void)
{
	context_close(&context);
	wd_host_dev_close(host, queue);
	host_down();
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
