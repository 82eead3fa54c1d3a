// SPDX-License-Identifier: Apache-2.0
/*
 * Every step in the life of a queue and an address space, while every allocation and every copy of
 * user memory fails once: the step returns the right error, changes nothing, and works when it is
 * tried again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/iommufd.h>
#include <linux/vfio_cdev.h>

#include "../../common/chain.h"

#define IOVA 0x10000000ul
#define SIZE (64 * PAGE)
#define LARGE (4ul << 20)

/* Objects of the steps besides chain_space. Each chain builds those that it needs. */
static struct world {
	struct space other;
	struct queue queue;
	uint32_t second;
	uint8_t *memory, *fragments, *large;
} world;

static void clean(void)
{
	if (world.queue.fd >= 0)
		queue_close(&world.queue);
	if (chain_space.fd >= 0)
		space_close(&chain_space);
	chain_space.fd = -1;
	if (world.other.fd >= 0)
		space_close(&world.other);
	if (world.memory)
		pages_free(world.memory, SIZE);
	if (world.fragments)
		pages_free(world.fragments, SIZE);
	if (world.large)
		pages_free(world.large, LARGE);
}

static void walk_world(struct chain chain)
{
	memset(&world, 0, sizeof(world));
	world.other.fd = world.queue.fd = -1;
	world.queue.device = &device;
	chain.clean = clean;
	walk(&chain);
}

static int nothing(void)
{
	return 0;
}

/* --- building --- */

static int build_space(void)
{
	world.memory = pages_alloc(SIZE);
	return space_open(&device, &chain_space);
}

/* Map pages that are contiguous in the address space, but not in memory. */
static void build_fragments(void)
{
	uint8_t *spread = pages_alloc(2 * SIZE);

	world.fragments =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t at = 0; at < SIZE; at += PAGE)
		if (mremap(spread + 2 * at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   world.fragments + at) == MAP_FAILED)
			abort();
	for (size_t at = 0; at < SIZE; at += PAGE)
		munmap(spread + 2 * at + PAGE, PAGE);
}

static int build_bound(void)
{
	int ret = build_space();

	if (!ret)
		ret = queue_open(&device, &world.queue);
	if (!ret)
		ret = queue_bind(&world.queue, chain_space.fd);
	return ret;
}

static int build_hwpt(void)
{
	int ret = build_bound();

	build_fragments();
	world.large = pages_alloc(LARGE);
	return ret ? ret : space_hwpt(&chain_space, &world.queue);
}

static int build_mapped(void)
{
	int ret = build_hwpt();

	return ret ? ret : space_map(&chain_space, world.fragments, SIZE, IOVA);
}

static int build_attached(void)
{
	int ret = build_mapped();

	return ret ? ret : queue_attach(&world.queue, chain_space.hwpt, 0);
}

/* --- the context and its objects --- */

static int step_open(void)
{
	world.other.device = &device;
	world.other.fd = wd_host_dev_open(device.host, "/dev/iommu", O_RDWR);
	return world.other.fd < 0 ? world.other.fd : 0;
}

static int undo_open(void)
{
	space_close(&world.other);
	world.other.fd = -1;
	return 0;
}

static void open_context(void)
{
	walk_world((struct chain){.step = step_open, .undo = undo_open});
}

static int space_ioctl(unsigned long request, void *argument)
{
	return wd_host_ioctl(device.host, chain_space.fd, request, argument);
}

static int destroy(uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return space_ioctl(IOMMU_DESTROY, &cmd);
}

static int step_ioas(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	const int ret = space_ioctl(IOMMU_IOAS_ALLOC, &cmd);

	world.second = cmd.out_ioas_id;
	return ret;
}

static int undo_second(void)
{
	return destroy(world.second);
}

static void ioas_alloc(void)
{
	walk_world((struct chain){.build = build_space, .step = step_ioas, .undo = undo_second});
}

static int step_ranges(void)
{
	struct iommu_iova_range ranges[8];
	struct iommu_ioas_iova_ranges cmd = {.size = sizeof(cmd),
					     .ioas_id = chain_space.ioas,
					     .num_iovas = 8,
					     .allowed_iovas = (uintptr_t)ranges};

	return space_ioctl(IOMMU_IOAS_IOVA_RANGES, &cmd);
}

static void iova_ranges(void)
{
	walk_world((struct chain){.build = build_hwpt, .step = step_ranges, .undo = nothing});
}

static int allow(unsigned count)
{
	struct iommu_iova_range ranges[3] = {
		{0x1000, 0xffff}, {0x100000, 0x1fffff}, {0x400000, 0x7fffffff}};
	struct iommu_ioas_allow_iovas cmd = {.size = sizeof(cmd),
					     .ioas_id = chain_space.ioas,
					     .num_iovas = count,
					     .allowed_iovas = (uintptr_t)ranges};

	return space_ioctl(IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static int step_allow(void)
{
	return allow(3);
}

static int undo_allow(void)
{
	return allow(0);
}

static void allow_iovas(void)
{
	walk_world((struct chain){.build = build_hwpt, .step = step_allow, .undo = undo_allow});
}

static int step_option(void)
{
	struct iommu_option cmd = {.size = sizeof(cmd),
				   .option_id = IOMMU_OPTION_HUGE_PAGES,
				   .op = IOMMU_OPTION_OP_GET,
				   .object_id = chain_space.ioas};

	return space_ioctl(IOMMU_OPTION, &cmd);
}

static void get_option(void)
{
	walk_world((struct chain){.build = build_space, .step = step_option, .undo = nothing});
}

static int vfio_ioas(unsigned op)
{
	struct iommu_vfio_ioas cmd = {.size = sizeof(cmd), .ioas_id = chain_space.ioas, .op = op};

	return space_ioctl(IOMMU_VFIO_IOAS, &cmd);
}

static int step_vfio_ioas(void)
{
	const int ret = vfio_ioas(IOMMU_VFIO_IOAS_SET);

	return ret ? ret : vfio_ioas(IOMMU_VFIO_IOAS_GET);
}

static int undo_vfio_ioas(void)
{
	return vfio_ioas(IOMMU_VFIO_IOAS_CLEAR);
}

static void compatible_ioas(void)
{
	walk_world((struct chain){.build = build_space,
				  .step = step_vfio_ioas,
				  .undo = undo_vfio_ioas,
				  .keeps = true});
}

/* --- mappings --- */

static int unmap_all(void)
{
	return space_unmap(&chain_space, 0, UINT64_MAX);
}

static int step_map(void)
{
	return space_map(&chain_space, world.memory, SIZE, IOVA);
}

static void map_record(void)
{
	walk_world((struct chain){
		.build = build_space, .step = step_map, .undo = unmap_all, .keeps = true});
}

static int step_map_fragments(void)
{
	return space_map(&chain_space, world.fragments, SIZE, IOVA);
}

static void map_pages(void)
{
	walk_world((struct chain){
		.build = build_hwpt, .step = step_map_fragments, .undo = unmap_all, .keeps = true});
}

static int step_map_large(void)
{
	return space_map(&chain_space, world.large, LARGE, 1ul << 30);
}

static void map_large(void)
{
	walk_world((struct chain){
		.build = build_hwpt, .step = step_map_large, .undo = unmap_all, .keeps = true});
}

static int step_unmap(void)
{
	return space_unmap(&chain_space, IOVA, SIZE);
}

static int map_again(void)
{
	const int ret = step_map_fragments();

	return ret == -EEXIST ? 0 : ret;
}

static void unmap_pages(void)
{
	walk_world((struct chain){
		.build = build_mapped, .step = step_unmap, .undo = map_again, .keeps = true});
}

static int build_copy(void)
{
	int ret = build_mapped();

	return ret ? ret : step_ioas();
}

static int step_copy(void)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.dst_ioas_id = chain_space.ioas,
		.src_ioas_id = chain_space.ioas,
		.length = SIZE / 2,
		.dst_iova = 2 * IOVA,
		.src_iova = IOVA + 8 * PAGE,
	};

	return space_ioctl(IOMMU_IOAS_COPY, &cmd);
}

static int undo_copy(void)
{
	const int ret = space_unmap(&chain_space, 2 * IOVA, SIZE / 2);

	return ret == -ENOENT ? 0 : ret;
}

static void copy_pages(void)
{
	walk_world((struct chain){
		.build = build_copy, .step = step_copy, .undo = undo_copy, .keeps = true});
}

/* --- page tables --- */

static int step_hwpt(void)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd),
				       .flags = IOMMU_HWPT_ALLOC_PASID,
				       .dev_id = world.queue.device_id,
				       .pt_id = chain_space.ioas};
	const int ret = space_ioctl(IOMMU_HWPT_ALLOC, &cmd);

	world.second = cmd.out_hwpt_id;
	return ret;
}

static void hwpt_first(void)
{
	walk_world((struct chain){.build = build_bound, .step = step_hwpt, .undo = undo_second});
}

static int build_records(void)
{
	int ret = build_bound();

	build_fragments();
	world.large = pages_alloc(LARGE);
	if (!ret)
		ret = space_map(&chain_space, world.fragments, SIZE, IOVA);
	if (!ret)
		ret = space_map(&chain_space, world.large, LARGE, 1ul << 30);
	return ret;
}

static void hwpt_fill(void)
{
	walk_world((struct chain){.build = build_records, .step = step_hwpt, .undo = undo_second});
}

static int step_info(void)
{
	uint8_t data[64];
	struct iommu_hw_info cmd = {.size = sizeof(cmd),
				    .dev_id = world.queue.device_id,
				    .data_len = sizeof(data),
				    .data_uptr = (uintptr_t)data};

	return space_ioctl(IOMMU_GET_HW_INFO, &cmd);
}

static void hw_info(void)
{
	walk_world((struct chain){.build = build_bound, .step = step_info, .undo = nothing});
}

/* --- queues --- */

static int step_queue(void)
{
	return queue_open(&device, &world.queue);
}

static int undo_queue(void)
{
	queue_close(&world.queue);
	return 0;
}

static void open_queue(void)
{
	walk_world((struct chain){.step = step_queue, .undo = undo_queue});
}

static int build_queue(void)
{
	int ret = build_space();

	return ret ? ret : queue_open(&device, &world.queue);
}

static int step_bind(void)
{
	return queue_bind(&world.queue, chain_space.fd);
}

/* There is no unbind, so open a new file. */
static int undo_bind(void)
{
	queue_close(&world.queue);
	return queue_open(&device, &world.queue);
}

static void bind(void)
{
	walk_world((struct chain){.build = build_queue, .step = step_bind, .undo = undo_bind});
}

static int step_attach(void)
{
	return queue_attach(&world.queue, chain_space.hwpt, 0);
}

static int undo_attach(void)
{
	return queue_detach(&world.queue);
}

static void attach(void)
{
	walk_world((struct chain){.build = build_mapped, .step = step_attach, .undo = undo_attach});
}

static int build_two_tables(void)
{
	int ret = build_attached();

	return ret ? ret : step_hwpt();
}

static int step_replace(void)
{
	return queue_attach(&world.queue, world.second, 0);
}

/* Attach the first table, if another one or none is attached. */
static int undo_replace(void)
{
	return queue_attach(&world.queue, chain_space.hwpt, 0);
}

static void replace(void)
{
	walk_world((struct chain){.build = build_two_tables,
				  .step = step_replace,
				  .undo = undo_replace,
				  .keeps = true});
}

static int step_detach(void)
{
	return queue_detach(&world.queue);
}

static void detach(void)
{
	walk_world(
		(struct chain){.build = build_attached, .step = step_detach, .undo = step_attach});
}

static int step_mmap(void)
{
	return queue_map(&world.queue);
}

/*
 * A region can be mapped once. If mmap() fails late, Linux counts the region as mapped. So open a
 * new file.
 */
static int undo_mmap(void)
{
	queue_close(&world.queue);
	return queue_open(&device, &world.queue);
}

static void map_regions(void)
{
	walk_world((struct chain){
		.build = build_queue, .step = step_mmap, .undo = undo_mmap, .fresh = undo_mmap});
}

static int step_start(void)
{
	return queue_start(&world.queue, COMPRESS);
}

static int undo_start(void)
{
	return queue_stop(&world.queue);
}

static void start(void)
{
	walk_world((struct chain){
		.build = build_attached, .step = step_start, .undo = undo_start, .keeps = true});
}

/* All in one step, with the first allocation of the rings. */
static int step_life(void)
{
	int ret = queue_open(&device, &world.queue);

	if (ret)
		return ret;
	ret = queue_bind(&world.queue, chain_space.fd);
	if (!ret)
		ret = queue_attach(&world.queue, chain_space.hwpt, 0);
	if (!ret)
		ret = queue_map(&world.queue);
	if (!ret)
		ret = queue_start(&world.queue, COMPRESS);
	if (ret)
		queue_close(&world.queue);
	return ret;
}

static int build_life(void)
{
	int ret = build_mapped();

	queue_close(&world.queue);
	return ret;
}

static void life(void)
{
	walk_world((struct chain){.build = build_life, .step = step_life, .undo = undo_queue});
}

static const struct ktap_case cases[] = {
	{"open /dev/iommu", open_context},
	{"IOAS_ALLOC", ioas_alloc},
	{"IOAS_IOVA_RANGES", iova_ranges},
	{"IOAS_ALLOW_IOVAS", allow_iovas},
	{"OPTION", get_option},
	{"VFIO_IOAS", compatible_ioas},
	{"IOAS_MAP of a record", map_record},
	{"IOAS_MAP of scattered pages", map_pages},
	{"IOAS_MAP of large pages", map_large},
	{"IOAS_UNMAP", unmap_pages},
	{"IOAS_COPY out of the middle", copy_pages},
	{"HWPT_ALLOC, nothing mapped", hwpt_first},
	{"HWPT_ALLOC with mappings", hwpt_fill},
	{"GET_HW_INFO", hw_info},
	{"open a queue", open_queue},
	{"BIND_IOMMUFD", bind},
	{"ATTACH_IOMMUFD_PT", attach},
	{"ATTACH_IOMMUFD_PT as replace", replace},
	{"DETACH_IOMMUFD_PT", detach},
	{"mmap of both regions", map_regions},
	{"START_Q", start},
	{"a queue from open to start", life},
};

int main(void)
{
	KTAP_MAIN(cases, chains_open(), chains_close());
}
