// SPDX-License-Identifier: Apache-2.0
/* Requests of VFIO containers: what a program for /dev/vfio/vfio does, on /dev/iommu. */
#include <stdlib.h>

#include <linux/vfio.h>

#include "../../common/ktap.h"
#include "context.h"

#define PAGES 64ul

static struct context context;
static int queue = -1;
static uint32_t device;
static char *memory;

static int container(long type)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set), .ioas_id = context.ioas, .op = IOMMU_VFIO_IOAS_SET};
	uint64_t on = 1;
	int ret = command(&context, IOMMU_VFIO_IOAS, &set);

	if (!ret)
		ret = option(&context, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, context.ioas,
			     &on);
	return ret ? ret : command(&context, VFIO_SET_IOMMU, (void *)type);
}

static int map_dma(const void *from, uint64_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)from,
		.iova = iova,
		.size = size,
	};

	return command(&context, VFIO_IOMMU_MAP_DMA, &cmd);
}

/* The number of bytes that were unmapped, or -errno. */
static long unmap_dma(uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .flags = flags, .iova = iova, .size = size};
	const int ret = command(&context, VFIO_IOMMU_UNMAP_DMA, &cmd);

	return ret ? ret : (long)cmd.size;
}

/* IOMMUFD-COMPAT-1 */
static void a_container(void)
{
	EXPECT(command(&context, VFIO_GET_API_VERSION, NULL) == VFIO_API_VERSION, "version");
	EXPECT(command(&context, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU) == -ENODEV,
	       "no address space");
	EXPECT(container(VFIO_TYPE1v2_IOMMU) == 0, "type 1 v2");
	EXPECT(command(&context, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU) == 1, "known");
	EXPECT(command(&context, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1_NESTING_IOMMU) == 0,
	       "not known");
	EXPECT(command(&context, VFIO_IOMMU_DIRTY_PAGES, NULL) == -ENOTTY, "not there");
}

/* IOMMUFD-COMPAT-3, IOMMUFD-COMPAT-4 */
static void parts_of_a_mapping(void)
{
	uint32_t hwpt;

	EXPECT(container(VFIO_TYPE1v2_IOMMU) == 0, "type 1 v2");
	EXPECT(map_dma(memory, PAGES * PAGE, 0x1000000) == 0, "map");
	EXPECT(unmap_dma(0x1000000, PAGE, 0) == -ENOENT, "not a part");
	EXPECT(unmap_dma(0, 0, VFIO_DMA_UNMAP_FLAG_ALL) == PAGES * PAGE, "all");
	EXPECT(unmap_dma(0x1000000, PAGE, 0) == 0, "nothing is left");

	EXPECT(container(VFIO_TYPE1_IOMMU) == 0, "type 1");
	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &hwpt) == 0, "a table");
	EXPECT(map_dma(memory, PAGES * PAGE, 0x1000000) == 0, "map");
	/* 5 has no common factor with the number of pages. */
	for (unsigned i = 0; i < PAGES; i++)
		EXPECT(unmap_dma(0x1000000 + i * 5 % PAGES * PAGE, PAGE, 0) == PAGE, "page %lu",
		       i * 5 % PAGES);
	EXPECT(unmap_dma(0, 0, VFIO_DMA_UNMAP_FLAG_ALL) == 0, "nothing is left");
	EXPECT(destroy(&context, hwpt) == 0, "destroy");
}

/* IOMMUFD-COMPAT-5: find the ranges as DPDK and QEMU do. */
static void ranges(void)
{
	struct vfio_iommu_type1_info_cap_iova_range *found = NULL;
	struct vfio_iommu_type1_info head = {.argsz = sizeof(head)}, *info;
	uint32_t hwpt, offset, end;

	EXPECT(container(VFIO_TYPE1v2_IOMMU) == 0, "type 1 v2");
	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &hwpt) == 0, "a table");
	EXPECT(command(&context, VFIO_IOMMU_GET_INFO, &head) == 0, "how long is it");
	EXPECT(head.argsz > sizeof(head) && !head.cap_offset, "longer");
	EXPECT(head.iova_pgsizes & PAGE, "pages");
	end = head.argsz;
	info = calloc(1, end);
	info->argsz = end;
	EXPECT(command(&context, VFIO_IOMMU_GET_INFO, info) == 0, "all of it");
	for (offset = info->cap_offset; offset && offset + sizeof(*found) <= end;) {
		struct vfio_info_cap_header *header = (void *)((char *)info + offset);

		if (header->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			found = (void *)header;
		offset = header->next;
	}
	EXPECT(found && found->nr_iovas, "ranges");
	EXPECT(found && found->iova_ranges[0].start == (device_is_mock ? 1ul << 24 : 0),
	       "from the first on");
	EXPECT(found && found->iova_ranges[found->nr_iovas - 1].end < 1ul << 57, "up to the last");
	free(info);
	EXPECT(destroy(&context, hwpt) == 0, "destroy");
}

static const struct ktap_case cases[] = {
	{"a container", a_container},
	{"parts of a mapping", parts_of_a_mapping},
	{"ranges of IOVA", ranges},
};

static int set_up(void)
{
	int ret = session_open(&context);

	if (ret)
		return ret;
	memory = pages_alloc(PAGES * PAGE);
	ret = queue_bind(&context, &queue, &device);
	if (ret)
		session_close(&context);
	return ret;
}

static void tear_down(void)
{
	wd_host_dev_close(host, queue);
	pages_free(memory, PAGES * PAGE);
	session_close(&context);
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
