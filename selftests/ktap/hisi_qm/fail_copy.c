// SPDX-License-Identifier: Apache-2.0
/*
 * IOAS_COPY and the unmapping of copies, while every allocation fails once. A queue works on a
 * table of the destination. After a failure it must reach the same memory as before, and no other.
 */
#include <string.h>

#include "../../common/chain.h"
#include "../../common/tables.h"

#define SIZE (32 * PAGE)
#define FROM 0x10000000ul    /* in the source: copied */
#define WORK 0x20000000ul    /* in the destination: always mapped */
#define TO 0x7fc0000000ul    /* in the destination: the copies, below other page tables */
#define WORK_SIZE (2 * PAGE) /* input, output */

static struct world {
	struct queue queue;
	uint32_t ioas, table, second;
	uint8_t *memory, *work;
} world = {.queue.fd = -1};

static void clean(void)
{
	if (world.queue.fd >= 0)
		queue_close(&world.queue);
	if (chain_space.fd >= 0)
		space_close(&chain_space);
	chain_space.fd = -1;
	pages_free(world.memory, SIZE);
	pages_free(world.work, WORK_SIZE);
	memset(&world, 0, sizeof(world));
	world.queue.fd = -1;
}

/* Send a request with its output at @iova of the destination. @return its status */
static unsigned write_to(uint64_t iova)
{
	const struct request request = {
		.algorithm = 1, .source = WORK, .dest = iova, .length = PAGE, .space = PAGE};
	struct result result = {.status = ~0u};

	queue_send(&world.queue, &request);
	queue_wait(&world.queue, &result, 20000);
	return result.status;
}

static bool works(void)
{
	world.work[PAGE] = 0;
	return !write_to(WORK + PAGE) && world.work[PAGE];
}

static bool reaches(uint64_t iova, uint8_t *page)
{
	*page = 0;
	return !write_to(iova) && *page;
}

/* True if the destination has no copy. */
static bool holds_empty(void)
{
	return works() && write_to(TO) && write_to(TO + SIZE - PAGE);
}

/* True if the whole copy is mapped. */
static bool holds_copied(void)
{
	return works() && reaches(TO, world.memory) &&
	       reaches(TO + SIZE - PAGE, world.memory + SIZE - PAGE);
}

/* True if only the middle of the copy is mapped. */
static bool holds_middle(void)
{
	return works() && write_to(TO) && reaches(TO + PAGE, world.memory + 5 * PAGE);
}

/* True if the queue reaches no memory. */
static bool holds_nothing(void)
{
	return write_to(WORK + PAGE) && write_to(TO);
}

/* --- building --- */

static int build(void)
{
	int ret;

	world.memory = pages_alloc(SIZE);
	world.work = pages_alloc(WORK_SIZE);
	ret = space_open(&device, &chain_space);
	if (!ret)
		ret = space_map(&chain_space, world.memory, SIZE, FROM);
	if (!ret)
		ret = table_ioas(&chain_space, &world.ioas);
	if (!ret)
		ret = table_map(&chain_space, world.ioas, world.work, WORK_SIZE, WORK);
	if (!ret)
		ret = queue_open(&device, &world.queue);
	if (!ret)
		ret = queue_bind(&world.queue, chain_space.fd);
	return ret;
}

/* Attach the queue to the destination. */
static int build_attached(void)
{
	int ret = build();

	if (!ret)
		ret = table_new(&chain_space, world.queue.device_id, world.ioas,
				IOMMU_HWPT_ALLOC_PASID, 0, &world.table);
	if (!ret)
		ret = queue_attach(&world.queue, world.table, 0);
	if (!ret)
		ret = queue_map(&world.queue);
	return ret ? ret : queue_start(&world.queue, COMPRESS);
}

static int copy_all(void)
{
	return table_copy(&chain_space, world.ioas, FROM, SIZE, TO);
}

static int build_copied(void)
{
	int ret = build_attached();

	return ret ? ret : copy_all();
}

/* Make three copies, one of them of the middle of a copy, and no table yet. */
static int build_copies_alone(void)
{
	int ret = build();

	if (!ret)
		ret = copy_all();
	if (!ret)
		ret = table_copy(&chain_space, world.ioas, FROM + PAGE, PAGE, TO + 2 * SIZE);
	if (!ret)
		ret = table_copy(&chain_space, world.ioas, FROM + 3 * PAGE, SIZE / 2,
				 TO + 4 * SIZE);
	return ret;
}

/* --- steps --- */

static int unmap_copy(void)
{
	const int ret = table_unmap(&chain_space, world.ioas, TO, SIZE);

	return ret == -ENOENT ? 0 : ret;
}

static void copy_whole(void)
{
	walk(&(struct chain){.build = build_attached,
			     .step = copy_all,
			     .undo = unmap_copy,
			     .holds = holds_empty,
			     .done = holds_copied,
			     .clean = clean,
			     .keeps = true});
}

static int copy_middle(void)
{
	return table_copy(&chain_space, world.ioas, FROM + 5 * PAGE, 3 * PAGE, TO + PAGE);
}

static int unmap_middle(void)
{
	const int ret = table_unmap(&chain_space, world.ioas, TO + PAGE, 3 * PAGE);

	return ret == -ENOENT ? 0 : ret;
}

static void copy_part(void)
{
	walk(&(struct chain){.build = build_attached,
			     .step = copy_middle,
			     .undo = unmap_middle,
			     .holds = holds_empty,
			     .done = holds_middle,
			     .clean = clean,
			     .keeps = true});
}

static int step_unmap(void)
{
	return table_unmap(&chain_space, world.ioas, TO, SIZE);
}

static int copy_again(void)
{
	const int ret = copy_all();

	return ret == -EEXIST ? 0 : ret;
}

static void unmap_a_copy(void)
{
	walk(&(struct chain){.build = build_copied,
			     .step = step_unmap,
			     .undo = copy_again,
			     .holds = holds_copied,
			     .done = holds_empty,
			     .clean = clean,
			     .keeps = true});
}

static int step_unmap_source(void)
{
	return space_unmap(&chain_space, FROM, SIZE);
}

static int map_source(void)
{
	const int ret = space_map(&chain_space, world.memory, SIZE, FROM);

	return ret == -EEXIST ? 0 : ret;
}

/* Unmap the source. The copy keeps the pages. */
static void unmap_the_source(void)
{
	walk(&(struct chain){.build = build_copied,
			     .step = step_unmap_source,
			     .undo = map_source,
			     .holds = holds_copied,
			     .done = holds_copied,
			     .clean = clean,
			     .keeps = true});
}

static int step_unmap_all(void)
{
	return table_unmap(&chain_space, world.ioas, 0, UINT64_MAX);
}

static int fill_again(void)
{
	int ret = table_map(&chain_space, world.ioas, world.work, WORK_SIZE, WORK);

	if (ret && ret != -EEXIST)
		return ret;
	return copy_again();
}

static void unmap_everything(void)
{
	walk(&(struct chain){.build = build_copied,
			     .step = step_unmap_all,
			     .undo = fill_again,
			     .holds = holds_copied,
			     .done = holds_nothing,
			     .clean = clean,
			     .keeps = true});
}

static int step_table(void)
{
	return table_new(&chain_space, world.queue.device_id, world.ioas, IOMMU_HWPT_ALLOC_PASID, 0,
			 &world.second);
}

static int undo_table(void)
{
	return table_destroy(&chain_space, world.second);
}

static void table_of_copies(void)
{
	walk(&(struct chain){.build = build_copies_alone,
			     .step = step_table,
			     .undo = undo_table,
			     .clean = clean});
}

/* Only one allocation fails, so the second try succeeds. */
static int destroy_surely(uint32_t id)
{
	const int ret = table_destroy(&chain_space, id);

	if (ret)
		table_destroy(&chain_space, id);
	return ret;
}

/* All in one step: an IOAS, copies, their table, and the end. */
static int step_life(void)
{
	uint32_t ioas = 0, table = 0;
	int ret = table_ioas(&chain_space, &ioas), end = 0;

	if (ret)
		return ret;
	ret = table_copy(&chain_space, ioas, FROM, SIZE, TO);
	if (!ret)
		ret = table_new(&chain_space, world.queue.device_id, ioas, IOMMU_HWPT_ALLOC_PASID,
				0, &table);
	if (!ret)
		ret = table_copy(&chain_space, ioas, FROM + PAGE, PAGE, WORK);
	if (table)
		end = destroy_surely(table);
	if (!end)
		end = destroy_surely(ioas);
	else
		destroy_surely(ioas);
	return ret ? ret : end;
}

static void life(void)
{
	walk(&(struct chain){.build = build, .step = step_life, .clean = clean});
}

static const struct ktap_case cases[] = {
	{"IOAS_COPY under a queue", copy_whole},
	{"IOAS_COPY of the middle of a mapping", copy_part},
	{"IOAS_UNMAP of a copy", unmap_a_copy},
	{"IOAS_UNMAP of what was copied", unmap_the_source},
	{"IOAS_UNMAP of everything", unmap_everything},
	{"HWPT_ALLOC with copies", table_of_copies},
	{"copies from IOAS_ALLOC to DESTROY", life},
};

int main(void)
{
	KTAP_MAIN(cases, chains_open(), chains_close());
}
