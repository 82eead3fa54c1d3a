// SPDX-License-Identifier: Apache-2.0
/*
 * Many queues at once, each with its own address space and PASID. They work at the same time, and
 * their files are closed in any order with requests in flight.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/ktap.h"
#include "queue.h"

#define QUEUES 64
#define SOURCE 0x100000ul
#define DEST 0x200000ul
#define SIZE (4 * PAGE)
#define REQUESTS 50

static struct device device;

struct worker {
	unsigned number;
	struct space space;
	struct queue queue;
	uint8_t *source, *dest;
	bool space_closed, queue_closed;
	unsigned good;
	int error;
};

static struct worker workers[QUEUES];

static int worker_open(struct worker *worker, unsigned number)
{
	int ret;

	memset(worker, 0, sizeof(*worker));
	worker->number = number;
	worker->source = pages_alloc(SIZE);
	worker->dest = pages_alloc(SIZE);
	memset(worker->source, number, SIZE);
	ret = space_open(&device, &worker->space);
	if (!ret)
		ret = space_map(&worker->space, worker->source, SIZE, SOURCE);
	if (!ret)
		ret = space_map(&worker->space, worker->dest, SIZE, DEST);
	if (!ret)
		ret = queue_ready(&device, &worker->space, &worker->queue, COMPRESS);
	return ret;
}

static void worker_close(struct worker *worker)
{
	if (!worker->queue_closed)
		queue_close(&worker->queue);
	if (!worker->space_closed)
		space_close(&worker->space);
	pages_free(worker->source, SIZE);
	pages_free(worker->dest, SIZE);
}

/* All address spaces use the same addresses, but each has other content there. */
static void *work(void *argument)
{
	struct worker *worker = argument;
	const struct request request = {
		.algorithm = 1, .source = SOURCE, .dest = DEST, .length = SIZE, .space = SIZE};
	uint8_t first[256] = {0};
	uint32_t length = 0;

	for (unsigned i = 0; i < REQUESTS && !worker->error; i++) {
		struct result result;

		queue_send(&worker->queue, &request);
		worker->error = queue_wait(&worker->queue, &result, 60000);
		if (worker->error || result.status || result.produced > sizeof(first))
			break;
		if (!i) {
			length = result.produced;
			memcpy(first, worker->dest, length);
		}
		if (result.produced == length && !memcmp(first, worker->dest, length))
			worker->good++;
	}
	return NULL;
}

static void concurrent(void)
{
	pthread_t threads[QUEUES];
	bool distinct = true, private = true;
	unsigned good = 0, opened = 0;

	for (unsigned i = 0; i < QUEUES; i++)
		opened += !worker_open(&workers[i], i);
	EXPECT(opened == QUEUES, "%u queues", opened);
	for (unsigned i = 0; i < QUEUES; i++)
		for (unsigned k = 0; k < i; k++)
			distinct &= workers[i].queue.pasid != workers[k].queue.pasid;
	EXPECT(distinct, "every queue has a PASID of its own");
	for (unsigned i = 0; i < QUEUES; i++)
		pthread_create(&threads[i], NULL, work, &workers[i]);
	for (unsigned i = 0; i < QUEUES; i++) {
		pthread_join(threads[i], NULL);
		good += workers[i].good;
	}
	EXPECT(good == QUEUES * REQUESTS, "%u of %u requests", good, QUEUES * REQUESTS);
	for (unsigned i = 1; i < QUEUES; i++)
	private &= memcmp(workers[0].dest, workers[i].dest, 64) != 0;
	EXPECT(private, "every output is from its own input");
	for (unsigned i = 0; i < QUEUES; i++)
		worker_close(&workers[i]);
}

/* Attack: an owner leaves with a full ring, or closes /dev/iommu before its queue. */
static void closed_in_flight(void)
{
	const long before = device_number(&device, "available_instances");
	const struct request request = {
		.algorithm = 1, .source = SOURCE, .dest = DEST, .length = SIZE, .space = SIZE};
	unsigned seed = 4711, opened = 0;
	struct result result;
	struct worker after;

	for (unsigned i = 0; i < 16; i++)
		opened += !worker_open(&workers[i], i);
	EXPECT(opened == 16, "%u queues", opened);
	for (unsigned i = 0; i < 16; i++)
		for (unsigned k = 0; k < workers[i].queue.depth - 1; k++)
			queue_send(&workers[i].queue, &request);
	for (unsigned left = 16, i; left; left--) {
		do
			i = rand_r(&seed) % 16;
		while (workers[i].queue_closed);
		if (rand_r(&seed) % 2) {
			space_close(&workers[i].space);
			workers[i].space_closed = true;
		}
		queue_close(&workers[i].queue);
		workers[i].queue_closed = true;
	}
	EXPECT(device_queues_return(&device, before), "all queues are free again");
	EXPECT(!worker_open(&after, 1), "a new queue");
	queue_send(&after.queue, &request);
	EXPECT(!queue_wait(&after.queue, &result, 10000) && !result.status, "works");
	worker_close(&after);
	for (unsigned i = 0; i < 16; i++)
		worker_close(&workers[i]);
}

struct racer {
	struct queue *queue;
	uint32_t hwpt;
	unsigned seed;
	unsigned unexpected;
};

/* Attack: two threads change the state of one queue. All errors must be documented ones. */
static void *race(void *argument)
{
	struct racer *racer = argument;

	for (int i = 0; i < 300; i++) {
		int ret;

		switch (rand_r(&racer->seed) % 4) {
		case 0:
			ret = queue_start(racer->queue, rand_r(&racer->seed) % 2);
			racer->unexpected += ret && ret != -EINVAL && ret != -EOPNOTSUPP;
			break;
		case 1:
			racer->unexpected += queue_stop(racer->queue) != 0;
			break;
		case 2:
			racer->unexpected += queue_detach(racer->queue) != 0;
			break;
		case 3:
			racer->unexpected += queue_attach(racer->queue, racer->hwpt, 0) != 0;
			break;
		}
	}
	return NULL;
}

static void races(void)
{
	struct racer racers[3];
	struct queue handles[3];
	pthread_t threads[3];
	struct space space;
	struct queue queue;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	for (unsigned i = 0; i < 3; i++) {
		handles[i] = queue;
		racers[i] = (struct racer){&handles[i], space.hwpt, i + 1, 0};
		pthread_create(&threads[i], NULL, race, &racers[i]);
	}
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		EXPECT(!racers[i].unexpected, "%u answers that are not in the contract",
		       racers[i].unexpected);
	}
	queue_close(&queue);
	space_close(&space);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"64 queues with own address spaces", concurrent},
		{"files closed with requests in flight", closed_in_flight},
		{"threads that race over one queue", races},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
