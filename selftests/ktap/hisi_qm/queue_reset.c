// SPDX-License-Identifier: Apache-2.0
/* A reset of the accelerator by sysfs while it has users. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "../../common/ktap.h"
#include "sva.h"

#define SIZE (64 * 1024ul)
#define REQUESTS 200

static struct device device;

static int reset(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/device/reset", device.sysfs);
	return wd_host_sysfs_write(device.host, path, "1");
}

static short events(struct queue *queue)
{
	struct pollfd file = {.fd = queue->fd, .events = POLLIN};

	return wd_host_poll(device.host, &file, 1, 0) == 1 ? file.revents : 0;
}

static bool told(struct queue *queue)
{
	volatile uint32_t *tx =
		(volatile uint32_t *)(queue->dus + device.dus_size - HISI_QM_DUS_TX_STOP);

	return (events(queue) & (POLLERR | POLLHUP)) == POLLERR && *tx == 1;
}

static void attached(void)
{
	const long before = device_number(&device, "available_instances");
	const struct request request = {.algorithm = 1,
					.source = 0x1000000,
					.dest = 0x2000000,
					.length = SIZE,
					.space = 2 * SIZE};
	uint8_t *memory = pages_alloc(3 * SIZE);
	struct result result;
	struct space space;
	struct queue queue;

	text_fill(memory, SIZE, 3);
	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!space_map(&space, memory, SIZE, 0x1000000), "source");
	EXPECT(!space_map(&space, memory + SIZE, 2 * SIZE, 0x2000000), "destination");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < REQUESTS; i++)
			queue_send(&queue, &request);
		EXPECT(!reset(), "reset");
		EXPECT(told(&queue), "its owner is told");
		EXPECT(!queue_start(&queue, COMPRESS), "it is still attached");
		EXPECT(!(events(&queue) & POLLERR), "and works");
		queue_send(&queue, &request);
		EXPECT(!queue_wait(&queue, &result, 60000) && !result.status, "a request");
		EXPECT(inflates_to(memory + SIZE, result.produced, memory, SIZE), "its result");
	}
	queue_close(&queue);
	space_close(&space);
	pages_free(memory, 3 * SIZE);
	EXPECT(device_queues_return(&device, before), "no queue is lost");
}

static void shared(void)
{
	uint8_t *memory = pages_alloc(3 * SIZE);
	struct result result;
	struct queue queue;

	if (!mode_possible(&device, "sva"))
		return ktap_skip_case("no page requests");
	EXPECT(!mode_set(&device, "sva"), "mode");
	text_fill(memory, SIZE, 4);
	EXPECT(!sva_queue(&device, &queue, COMPRESS), "queue");
	for (int round = 0; round < 3; round++) {
		const struct request request = {.algorithm = 1,
						.source = (uintptr_t)memory,
						.dest = (uintptr_t)(memory + SIZE),
						.length = SIZE,
						.space = 2 * SIZE};

		for (int i = 0; i < REQUESTS; i++)
			queue_send(&queue, &request);
		EXPECT(!reset(), "reset");
		EXPECT(told(&queue), "its owner is told");
		EXPECT(!queue_start(&queue, COMPRESS), "start");
		EXPECT(!sva_request(&queue, memory, SIZE, memory + SIZE, 2 * SIZE, &result) &&
			       !result.status,
		       "a request");
		EXPECT(inflates_to(memory + SIZE, result.produced, memory, SIZE), "its result");
	}
	queue_close(&queue);
	EXPECT(!sva_bonds(&device), "the address space is given back");
	EXPECT(!mode_set(&device, "iommufd"), "mode");
	pages_free(memory, 3 * SIZE);
}

static void others(void)
{
	const long before = device_number(&device, "available_instances");
	struct queue queue;

	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(!reset(), "reset");
	EXPECT(!events(&queue), "a queue that was not started has nothing to say");
	EXPECT(!queue_map(&queue), "it can be mapped");
	queue_close(&queue);
	EXPECT(device_queues_return(&device, before), "and given back");
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"a queue with an address space", attached},
		{"a queue in its process's", shared},
		{"an open file", others},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
