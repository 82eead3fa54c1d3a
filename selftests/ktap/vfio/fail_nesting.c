// SPDX-License-Identifier: Apache-2.0
/*
 * Page tables of a guest, nested on the kernel's, while every allocation fails once: at the PASID
 * of a queue, and at the requester id of a whole function. After each failure DMA goes through the
 * guest's old table, never through the bare parent.
 */
#include "../../common/chain.h"
#include "../../common/tables.h"
#include "../hisi_qm/fault_lane.h"
#include "reach_chains.h"

/* Pages of the guest's memory. Its table @n starts at n * GUEST_TABLE_PAGES. */
#define OUT(n) (8 + (n)) /* target page of table n */
#define IN 10
#define GUEST_PAGES 12
#define ZIP_GPA (64 * PAGE) /* memory that the whole function needs itself */
#define ROOT(n) ((n)*GUEST_TABLE_PAGES * PAGE)

static struct reach reach;
static struct queue queue = {.fd = -1};
static struct faults faults = {.fd = -1};
static uint8_t *guest;
static uint32_t parent, nested[2], faulting, temporary;
/* The target of the next ATTACH, the old attachment there, and the new one. */
static int (*attach)(uint32_t table);
static int (*detach)(void);
static uint32_t old, new;

static uint8_t *out(unsigned n)
{
	return guest + OUT(n) * PAGE;
}

static void write_table(unsigned n)
{
	guest_table(guest, ROOT(n), LANE_IN, IN * PAGE);
	guest_table(guest, ROOT(n), LANE_OUT, OUT(n) * PAGE);
}

static void write_function_table(unsigned n)
{
	for (uint64_t at = 0; at < ZIP_MEMORY; at += PAGE)
		guest_table(guest, ROOT(n), REACH_IOVA + at, ZIP_GPA + at);
	guest_table(guest, ROOT(n), REACH_PAGE, OUT(n) * PAGE);
}

static int build_tables(uint32_t dev)
{
	int ret = table_map(&chain_space, chain_space.ioas, guest, GUEST_PAGES * PAGE, 0);

	if (!ret)
		ret = table_new(&chain_space, dev, chain_space.ioas, TABLE_PARENT, 0, &parent);
	if (!ret)
		ret = table_fault_queue(&chain_space, &faults.id, &faults.fd);
	for (unsigned n = 0; n < 2 && !ret; n++)
		ret = table_nested(&chain_space, dev, parent, ROOT(n), 0, &nested[n]);
	if (!ret)
		ret = table_nested(&chain_space, dev, parent, ROOT(1), faults.id, &faulting);
	old = nested[0];
	new = nested[1];
	return ret;
}

static int build_space(void)
{
	guest = pages_alloc(GUEST_PAGES * PAGE);
	faults = (struct faults){.host = device.host, .fd = -1};
	return space_open(&device, &chain_space);
}

static void clean(void)
{
	if (queue.fd >= 0)
		queue_close(&queue);
	owner_close(&reach.owner);
	if (faults.fd >= 0)
		wd_host_dev_close(device.host, faults.fd);
	if (chain_space.fd >= 0)
		space_close(&chain_space);
	chain_space.fd = -1;
	pages_free(guest, GUEST_PAGES * PAGE);
}

static int step_attach(void)
{
	return attach(new);
}

static int attach_old(void)
{
	return attach(old);
}

static int step_detach(void)
{
	return detach();
}

/* --- at a queue's PASID --- */

static int attach_queue(uint32_t table)
{
	return queue_attach(&queue, table, 0);
}

static int detach_queue(void)
{
	return queue_detach(&queue);
}

static int build_queue(void)
{
	int ret = build_space();

	attach = attach_queue;
	detach = detach_queue;
	for (unsigned n = 0; n < 2; n++)
		write_table(n);
	if (!ret)
		ret = queue_open(&device, &queue);
	if (!ret)
		ret = queue_bind(&queue, chain_space.fd);
	return ret ? ret : build_tables(queue.device_id);
}

static int build_running(void)
{
	int ret = build_queue();

	if (!ret)
		ret = attach_old();
	if (!ret)
		ret = queue_map(&queue);
	return ret ? ret : queue_start(&queue, COMPRESS);
}

/* True if the queue reaches the target of table 0, and not that of table 1. */
static bool queue_holds(void)
{
	out(1)[0] = 0;
	return lane_writes(&queue, out(0) - PAGE) && !out(1)[0];
}

static int step_parent(void)
{
	return table_new(&chain_space, queue.device_id, chain_space.ioas, TABLE_PARENT, 0,
			 &temporary);
}

static int step_nested(void)
{
	return table_nested(&chain_space, queue.device_id, parent, ROOT(1), 0, &temporary);
}

static int step_nested_faulting(void)
{
	return table_nested(&chain_space, queue.device_id, parent, ROOT(1), faults.id, &temporary);
}

static int destroy_temporary(void)
{
	return table_destroy(&chain_space, temporary);
}

static void alloc_parent(void)
{
	walk(&(struct chain){.build = build_running,
			     .step = step_parent,
			     .undo = destroy_temporary,
			     .holds = queue_holds,
			     .clean = clean});
}

static void alloc_nested(void)
{
	walk(&(struct chain){.build = build_running,
			     .step = step_nested,
			     .undo = destroy_temporary,
			     .holds = queue_holds,
			     .clean = clean});
}

static void alloc_nested_faulting(void)
{
	walk(&(struct chain){.build = build_running,
			     .step = step_nested_faulting,
			     .undo = destroy_temporary,
			     .holds = queue_holds,
			     .clean = clean});
}

static int build_temporary(void)
{
	int ret = build_running();

	return ret ? ret : step_nested();
}

static void destroy_nested(void)
{
	walk(&(struct chain){.build = build_temporary,
			     .step = destroy_temporary,
			     .undo = step_nested,
			     .holds = queue_holds,
			     .clean = clean});
}

static void attach_at_pasid(void)
{
	walk(&(struct chain){
		.build = build_queue, .step = step_attach, .undo = step_detach, .clean = clean});
}

static int build_attached(void)
{
	int ret = build_queue();

	return ret ? ret : attach_old();
}

static void detach_at_pasid(void)
{
	walk(&(struct chain){
		.build = build_attached, .step = step_detach, .undo = attach_old, .clean = clean});
}

/* True if the queue reaches the target of table 1, and not that of table 0. */
static bool queue_done(void)
{
	out(0)[0] = 0;
	return lane_writes(&queue, out(1) - PAGE) && !out(0)[0];
}

static const struct chain replacing = {.build = build_running,
				       .step = step_attach,
				       .undo = attach_old,
				       .holds = queue_holds,
				       .done = queue_done,
				       .clean = clean,
				       .keeps = true};

static void replace_at_pasid(void)
{
	walk(&replacing);
}

static int build_for_faulting(void)
{
	int ret = build_running();

	new = faulting;
	return ret;
}

static void replace_by_faulting(void)
{
	struct chain chain = replacing;

	chain.build = build_for_faulting;
	walk(&chain);
}

static int build_for_parent(void)
{
	int ret = build_running();

	new = parent;
	return ret;
}

static void replace_by_parent(void)
{
	struct chain chain = replacing;

	chain.build = build_for_parent;
	chain.done = NULL; /* nothing to check: nothing is attached then */
	walk(&chain);
}

static int step_invalidate(void)
{
	return table_invalidate(&chain_space, nested[0]);
}

static int nothing(void)
{
	return 0;
}

static void invalidate(void)
{
	walk(&(struct chain){.build = build_running,
			     .step = step_invalidate,
			     .undo = nothing,
			     .holds = queue_holds,
			     .clean = clean});
}

/* --- faults of a guest's table --- */

/* An address with an entry of its own in the lowest table, which all addresses share. */
#define HOLE (LANE_HOLE + 7 * PAGE)

static struct iommu_hwpt_pgfault record;

static int raise(void)
{
	lane_send(&queue, HOLE);
	return faults_wait(&faults) ? 0 : -ETIMEDOUT;
}

static int build_raised(void)
{
	int ret = build_running();

	if (!ret)
		ret = attach(faulting);
	return ret ? ret : raise();
}

static bool holds_raised(void)
{
	struct result result;

	return faults_wait(&faults) && !queue_receive(&queue, &result);
}

static int step_read(void)
{
	return faults_read(&faults, &record);
}

/* The guest maps the page, the device tries again, and the guest unmaps the page. */
static int resolve_and_raise(void)
{
	int ret;

	guest_table(guest, ROOT(1), HOLE, OUT(0) * PAGE);
	out(0)[0] = 0;
	ret = faults_answer(&faults, record.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	if (!ret && (lane_status(&queue) || !out(0)[0]))
		ret = -EIO;
	guest_table_hole(guest, ROOT(1), HOLE);
	if (!ret)
		ret = table_invalidate(&chain_space, faulting);
	return ret ? ret : raise();
}

static void fault(void)
{
	walk(&(struct chain){.build = build_raised,
			     .step = step_read,
			     .undo = resolve_and_raise,
			     .holds = holds_raised,
			     .clean = clean});
}

/* --- at a function's requester id --- */

static int attach_function(uint32_t table)
{
	return reach_attach(&reach, table, 0);
}

static int detach_function(void)
{
	return reach_detach(&reach, 0);
}

static int build_function(void)
{
	uint32_t dev = 0;
	int ret = build_space();

	attach = attach_function;
	detach = detach_function;
	for (unsigned n = 0; n < 2; n++)
		write_function_table(n);
	if (!ret)
		ret = table_map(&chain_space, chain_space.ioas, reach.memory, ZIP_MEMORY, ZIP_GPA);
	if (!ret)
		ret = owner_open(&reach.owner);
	if (!ret)
		ret = reach_bind(&reach, chain_space.fd, &dev);
	return ret ? ret : build_tables(dev);
}

static int build_function_running(void)
{
	int ret = build_function();

	if (!ret)
		ret = attach_old();
	return ret ? ret : reach_start(&reach);
}

/* True if the function reaches the target of table 0, and not memory by guest physical address. */
static bool function_holds(void)
{
	return reach_writes(&reach, out(0)) && !reach_reaches(&reach, IN * PAGE);
}

static bool function_done(void)
{
	return reach_writes(&reach, out(1)) && !reach_reaches(&reach, IN * PAGE);
}

static void attach_at_rid(void)
{
	walk(&(struct chain){
		.build = build_function, .step = step_attach, .undo = step_detach, .clean = clean});
}

static void detach_at_rid(void)
{
	walk(&(struct chain){.build = build_function_running,
			     .step = step_detach,
			     .undo = attach_old,
			     .holds = function_holds,
			     .clean = clean});
}

static void replace_at_rid(void)
{
	struct chain chain = replacing;

	chain.build = build_function_running;
	chain.holds = function_holds;
	chain.done = function_done;
	walk(&chain);
}

static int build_function_for_faulting(void)
{
	int ret = build_function_running();

	new = faulting;
	return ret;
}

static void replace_at_rid_by_faulting(void)
{
	struct chain chain = replacing;

	chain.build = build_function_for_faulting;
	chain.holds = function_holds;
	chain.done = function_done;
	walk(&chain);
}

static void invalidate_at_rid(void)
{
	walk(&(struct chain){.build = build_function_running,
			     .step = step_invalidate,
			     .undo = nothing,
			     .holds = function_holds,
			     .clean = clean});
}

static const struct ktap_case cases[] = {
	{"HWPT_ALLOC of a parent", alloc_parent},
	{"HWPT_ALLOC of a nested table", alloc_nested},
	{"HWPT_ALLOC of one with a fault queue", alloc_nested_faulting},
	{"DESTROY of a nested table", destroy_nested},
	{"attach at a PASID", attach_at_pasid},
	{"detach at a PASID", detach_at_pasid},
	{"replace at a PASID", replace_at_pasid},
	{"replace at a PASID by one with a fault queue", replace_by_faulting},
	{"replace at a PASID by the parent", replace_by_parent},
	{"HWPT_INVALIDATE at a PASID", invalidate},
	{"a fault, resolved by the guest", fault},
	{"attach at the requester id", attach_at_rid},
	{"detach at the requester id", detach_at_rid},
	{"replace at the requester id", replace_at_rid},
	{"replace at the requester id by one with a fault queue", replace_at_rid_by_faulting},
	{"HWPT_INVALIDATE at the requester id", invalidate_at_rid},
};

int main(void)
{
	KTAP_MAIN(cases, reach_chains_open(&reach), reach_chains_close(&reach));
}
