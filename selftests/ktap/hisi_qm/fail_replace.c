// SPDX-License-Identifier: Apache-2.0
/*
 * Replace one table by another at a queue's PASID, while every allocation fails once. After a
 * failure the old table is attached, its faults arrive at the same queue as before, and the
 * accelerator's queue, which stays started, writes to the same memory.
 */
#include "../../common/chain.h"
#include "../../common/tables.h"
#include "fault_lane.h"

/** Memory, and two tables that map it: without and with a fault queue. */
static struct side {
	uint32_t ioas, plain, faulting;
	struct faults faults;
	uint8_t *memory;
} sides[2];

static struct queue queue = {.fd = -1};
/* The table of @queue before the step, and its table after it. */
static uint32_t old, new;
static const struct faults *old_faults;
static struct iommu_hwpt_pgfault open_fault;

static int build_side(struct side *side)
{
	int ret = table_ioas(&chain_space, &side->ioas);

	if (!ret)
		ret = table_map(&chain_space, side->ioas, side->memory, LANE_SIZE, LANE_IN);
	if (!ret)
		ret = table_new(&chain_space, queue.device_id, side->ioas, IOMMU_HWPT_ALLOC_PASID,
				0, &side->plain);
	if (!ret)
		ret = table_fault_queue(&chain_space, &side->faults.id, &side->faults.fd);
	if (!ret)
		ret = table_new(&chain_space, queue.device_id, side->ioas, IOMMU_HWPT_ALLOC_PASID,
				side->faults.id, &side->faulting);
	return ret;
}

static int build(void)
{
	int ret = space_open(&device, &chain_space);

	if (!ret)
		ret = queue_open(&device, &queue);
	if (!ret)
		ret = queue_bind(&queue, chain_space.fd);
	for (unsigned i = 0; i < 2; i++) {
		sides[i] = (struct side){.memory = pages_alloc(LANE_SIZE),
					 .faults = {.host = device.host, .fd = -1}};
		if (!ret)
			ret = build_side(&sides[i]);
	}
	return ret;
}

static int start(void)
{
	int ret = queue_attach(&queue, old, 0);

	if (!ret)
		ret = queue_map(&queue);
	return ret ? ret : queue_start(&queue, COMPRESS);
}

static void clean(void)
{
	if (queue.fd >= 0)
		queue_close(&queue);
	for (unsigned i = 0; i < 2; i++) {
		if (sides[i].faults.fd >= 0)
			wd_host_dev_close(device.host, sides[i].faults.fd);
		pages_free(sides[i].memory, LANE_SIZE);
	}
	if (chain_space.fd >= 0)
		space_close(&chain_space);
	chain_space.fd = -1;
}

static int step(void)
{
	return queue_attach(&queue, new, 0);
}

static int undo(void)
{
	return queue_attach(&queue, old, 0);
}

/* True if the queue reaches the memory of the old table, and no other. */
static bool holds(void)
{
	sides[1].memory[PAGE] = 0;
	return lane_writes(&queue, sides[0].memory) && !sides[1].memory[PAGE] &&
	       (!old_faults || faults_work(old_faults, &queue));
}

/* True if the queue reaches the memory of the new table. */
static bool done(void)
{
	return lane_writes(&queue, sides[1].memory);
}

static const struct chain chain = {
	.build = start, .step = step, .undo = undo, .holds = holds, .done = done, .keeps = true};

/* The two sides exist. The chain replaces table @first by @second. */
static void replace(uint32_t first, uint32_t second, const struct faults *faults)
{
	old = first;
	new = second;
	old_faults = faults;
	walk(&chain);
}

static void plain_by_plain(void)
{
	if (EXPECT(!build(), "build"))
		replace(sides[0].plain, sides[1].plain, NULL);
	clean();
}

static void plain_by_faulting(void)
{
	if (EXPECT(!build(), "build"))
		replace(sides[0].plain, sides[1].faulting, NULL);
	clean();
}

static void faulting_by_plain(void)
{
	if (EXPECT(!build(), "build"))
		replace(sides[0].faulting, sides[1].plain, &sides[0].faults);
	clean();
}

static void faulting_by_faulting(void)
{
	if (EXPECT(!build(), "build"))
		replace(sides[0].faulting, sides[1].faulting, &sides[0].faults);
	clean();
}

/* --- with a request of the queue unanswered --- */

static int raise(void)
{
	int ret;

	lane_send(&queue, LANE_HOLE);
	ret = faults_wait(&sides[0].faults) ? 0 : -ETIMEDOUT;
	return ret ? ret : faults_read(&sides[0].faults, &open_fault);
}

static int start_and_raise(void)
{
	int ret = start();

	return ret ? ret : raise();
}

/* True if the fault is still open in the fault queue that received it. */
static bool holds_open(void)
{
	struct result result;

	return faults_empty(&sides[0].faults) && faults_empty(&sides[1].faults) &&
	       !queue_receive(&queue, &result);
}

static int undo_open(void)
{
	int ret = faults_answer(&sides[0].faults, open_fault.cookie, IOMMUFD_PAGE_RESP_INVALID);

	if (!ret)
		ret = lane_status(&queue) ? 0 : -EIO;
	if (!ret)
		ret = undo();
	return ret ? ret : raise();
}

static void with_an_open_fault(void)
{
	struct chain open = chain;

	open.build = start_and_raise;
	open.undo = undo_open;
	open.holds = holds_open;
	open.done = holds_open;
	if (EXPECT(!build(), "build")) {
		old = sides[0].faulting;
		new = sides[1].faulting;
		walk(&open);
	}
	clean();
}

static const struct ktap_case cases[] = {
	{"a table by a table", plain_by_plain},
	{"a table by one with a fault queue", plain_by_faulting},
	{"a table with a fault queue by one without", faulting_by_plain},
	{"a table with a fault queue by another", faulting_by_faulting},
	{"with a fault open", with_an_open_fault},
};

int main(void)
{
	KTAP_MAIN(cases, chains_open(), chains_close());
}
