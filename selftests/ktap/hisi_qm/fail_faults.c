// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a page fault that a program handles, while every allocation fails once: its queue,
 * the table, the attachment, the record, the answer, and the end of each of them while a fault is
 * open. A group is never lost and never answered twice.
 */
#include "../../common/chain.h"
#include "../../common/tables.h"
#include "fault_lane.h"

static struct queue queue = {.fd = -1};
static struct faults faults = {.fd = -1};
static struct iommu_hwpt_pgfault record;
static uint32_t table;
static uint8_t *memory, *page;

static void clean(void)
{
	if (queue.fd >= 0)
		queue_close(&queue);
	if (faults.fd >= 0)
		wd_host_dev_close(device.host, faults.fd);
	faults.fd = -1;
	if (chain_space.fd >= 0)
		space_close(&chain_space);
	chain_space.fd = -1;
	pages_free(memory, LANE_SIZE);
	pages_free(page, PAGE);
}

static int build(void)
{
	int ret = space_open(&device, &chain_space);

	memory = pages_alloc(LANE_SIZE);
	page = pages_alloc(PAGE);
	faults = (struct faults){.host = device.host, .fd = -1};
	if (!ret)
		ret = space_map(&chain_space, memory, LANE_SIZE, LANE_IN);
	if (!ret)
		ret = queue_open(&device, &queue);
	return ret ? ret : queue_bind(&queue, chain_space.fd);
}

static int new_queue(void)
{
	return table_fault_queue(&chain_space, &faults.id, &faults.fd);
}

static int new_table(void)
{
	return table_new(&chain_space, queue.device_id, chain_space.ioas, IOMMU_HWPT_ALLOC_PASID,
			 faults.id, &table);
}

static int attach(void)
{
	return queue_attach(&queue, table, 0);
}

static int start(void)
{
	int ret = attach();

	if (!ret)
		ret = queue_map(&queue);
	return ret ? ret : queue_start(&queue, COMPRESS);
}

static int build_queue(void)
{
	int ret = build();

	return ret ? ret : new_queue();
}

static int build_table(void)
{
	int ret = build_queue();

	return ret ? ret : new_table();
}

static int build_attached(void)
{
	int ret = build_table();

	return ret ? ret : attach();
}

/* --- objects --- */

static int close_queue(void)
{
	wd_host_dev_close(device.host, faults.fd);
	faults.fd = -1;
	return table_destroy(&chain_space, faults.id);
}

static void fault_queue(void)
{
	walk(&(struct chain){
		.build = build, .step = new_queue, .undo = close_queue, .clean = clean});
}

static int destroy_table(void)
{
	return table_destroy(&chain_space, table);
}

static void table_with_faults(void)
{
	walk(&(struct chain){
		.build = build_queue, .step = new_table, .undo = destroy_table, .clean = clean});
}

static int detach(void)
{
	return queue_detach(&queue);
}

static void attachment(void)
{
	walk(&(struct chain){.build = build_table, .step = attach, .undo = detach, .clean = clean});
}

static void detachment(void)
{
	walk(&(struct chain){
		.build = build_attached, .step = detach, .undo = attach, .clean = clean});
}

/* --- records and answers --- */

static int raise(void)
{
	lane_send(&queue, LANE_HOLE);
	return faults_wait(&faults) ? 0 : -ETIMEDOUT;
}

static int build_raised(void)
{
	int ret = build_table();

	if (!ret)
		ret = start();
	return ret ? ret : raise();
}

static int step_read(void)
{
	return faults_read(&faults, &record);
}

/* True if the request waits, and its record can be read. */
static bool holds_raised(void)
{
	struct result result;

	return faults_wait(&faults) && !queue_receive(&queue, &result);
}

static int refuse(void)
{
	int ret = faults_answer(&faults, record.cookie, IOMMUFD_PAGE_RESP_INVALID);

	return ret ? ret : lane_status(&queue) ? 0 : -EIO;
}

static int refuse_and_raise(void)
{
	int ret = refuse();

	if (!ret && !lane_writes(&queue, memory))
		ret = -EIO;
	return ret ? ret : raise();
}

static void reading(void)
{
	walk(&(struct chain){.build = build_raised,
			     .step = step_read,
			     .undo = refuse_and_raise,
			     .holds = holds_raised,
			     .clean = clean});
}

static int start_and_raise(void)
{
	int ret = start();

	if (!ret)
		ret = raise();
	return ret ? ret : step_read();
}

static int build_read(void)
{
	int ret = build_table();

	return ret ? ret : start_and_raise();
}

/* True if the request waits, and its record was read. */
static bool holds_read(void)
{
	struct result result;

	return faults_empty(&faults) && !queue_receive(&queue, &result);
}

static int step_answer(void)
{
	return faults_answer(&faults, record.cookie, IOMMUFD_PAGE_RESP_INVALID);
}

/* The answer has arrived, so a second one must be refused. */
static int raise_again(void)
{
	if (!lane_status(&queue) || step_answer() != -EINVAL)
		return -EIO;
	return raise() ?: step_read();
}

static void answering(void)
{
	walk(&(struct chain){.build = build_read,
			     .step = step_answer,
			     .undo = raise_again,
			     .holds = holds_read,
			     .clean = clean});
}

static int take_page_away(void)
{
	const int ret = space_unmap(&chain_space, LANE_HOLE, PAGE);

	return ret == -ENOENT ? 0 : ret;
}

/* All the work of a handler: map the page by IOAS_MAP, then answer. */
static int step_resolve(void)
{
	int ret = space_map(&chain_space, page, PAGE, LANE_HOLE);

	if (!ret)
		ret = faults_answer(&faults, record.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	if (ret)
		take_page_away();
	return ret;
}

static int resolved(void)
{
	int ret;

	if (lane_status(&queue) || !page[0])
		return -EIO;
	page[0] = 0;
	ret = take_page_away();
	if (!ret)
		ret = raise();
	return ret ? ret : step_read();
}

static bool holds_unresolved(void)
{
	return holds_read() && !page[0];
}

static void resolving(void)
{
	walk(&(struct chain){.build = build_read,
			     .step = step_resolve,
			     .undo = resolved,
			     .holds = holds_unresolved,
			     .clean = clean});
}

/* --- ends while a fault is open --- */

static int step_close_faults(void)
{
	const int ret = wd_host_dev_close(device.host, faults.fd);

	faults.fd = -1;
	return ret;
}

/* Only the kernel can answer the fault now: end the queue. Then build everything anew. */
static int new_faults(void)
{
	int ret;

	queue_close(&queue);
	ret = destroy_table();
	if (!ret)
		ret = table_destroy(&chain_space, faults.id);
	if (!ret)
		ret = queue_open(&device, &queue);
	if (!ret)
		ret = queue_bind(&queue, chain_space.fd);
	if (!ret)
		ret = new_queue();
	if (!ret)
		ret = new_table();
	return ret ? ret : start_and_raise();
}

static void file_with_an_open_fault(void)
{
	walk(&(struct chain){.build = build_read,
			     .step = step_close_faults,
			     .undo = new_faults,
			     .holds = holds_read,
			     .clean = clean,
			     .ends = true});
}

/* Close the queue: nobody waits for its results. */
static int step_close(void)
{
	queue_close(&queue);
	return 0;
}

static int open_and_raise(void)
{
	int ret = queue_open(&device, &queue);

	if (!ret)
		ret = queue_bind(&queue, chain_space.fd);
	return ret ? ret : start_and_raise();
}

static void queue_with_an_open_fault(void)
{
	walk(&(struct chain){.build = build_read,
			     .step = step_close,
			     .undo = open_and_raise,
			     .holds = holds_read,
			     .clean = clean,
			     .ends = true});
}

/* All in one step. */
static int step_life(void)
{
	int ret = queue_open(&device, &queue);

	if (!ret)
		ret = queue_bind(&queue, chain_space.fd);
	if (!ret)
		ret = start_and_raise();
	if (!ret)
		ret = refuse();
	if (queue.fd >= 0)
		queue_close(&queue);
	return ret;
}

static int build_life(void)
{
	int ret = build_table();

	queue_close(&queue);
	return ret;
}

static void life(void)
{
	walk(&(struct chain){.build = build_life, .step = step_life, .clean = clean});
}

static const struct ktap_case cases[] = {
	{"FAULT_QUEUE_ALLOC", fault_queue},
	{"HWPT_ALLOC with a fault queue", table_with_faults},
	{"ATTACH_IOMMUFD_PT of it", attachment},
	{"DETACH_IOMMUFD_PT of it", detachment},
	{"reading a fault", reading},
	{"answering a fault", answering},
	{"mapping the page and answering", resolving},
	{"closing the fault queue with a fault open", file_with_an_open_fault},
	{"closing the queue with a fault open", queue_with_an_open_fault},
	{"a queue from open to close, with a fault", life},
};

int main(void)
{
	KTAP_MAIN(cases, chains_open(), chains_close());
}
