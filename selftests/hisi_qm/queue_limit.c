// SPDX-License-Identifier: Apache-2.0
/* When queues run out the answer is EBUSY, at once; and one that is closed can be taken again. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "../common/ktap.h"
#include "queue.h"

static struct device device;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void exhaust(void)
{
	const long count = device_number(&device, "available_instances");
	struct queue *queues = calloc(count + 1, sizeof(*queues));
	struct queue extra;
	long taken;
	double begin;

	for (taken = 0; taken < count; taken++)
		if (queue_open(&device, &queues[taken]))
			break;
	EXPECT(taken == count, "all %ld queues can be taken by one caller", count);
	EXPECT(device_number(&device, "available_instances") == 0, "none is left");
	begin = seconds();
	EXPECT(queue_open(&device, &extra) == -EBUSY, "the next one is refused");
	EXPECT(seconds() - begin < 0.5, "at once");

	queue_close(&queues[count / 2]);
	EXPECT(device_number(&device, "available_instances") == 1, "a close frees one");
	EXPECT(!queue_open(&device, &queues[count / 2]), "which can be taken");
	EXPECT(queue_open(&device, &extra) == -EBUSY, "only once");
	for (long i = 0; i < taken; i++)
		queue_close(&queues[i]);
	EXPECT(device_number(&device, "available_instances") == count, "all are free again");
	free(queues);
}

/* The same with every queue attached at a PASID of its own, and started. */
static void exhaust_started(void)
{
	const long count = device_number(&device, "available_instances");
	struct queue *queues = calloc(count, sizeof(*queues));
	unsigned char *seen = calloc(0x10000, 1);
	struct space space;
	bool distinct = true;
	long ready;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	for (ready = 0; ready < count; ready++) {
		if (queue_ready(&device, &space, &queues[ready], COMPRESS))
			break;
		distinct &= !seen[queues[ready].pasid]++;
	}
	EXPECT(ready == count, "%ld queues are started", ready);
	EXPECT(distinct, "every PASID is there once");
	for (long i = 0; i < ready; i++)
		queue_close(&queues[(i * 7919) % ready]);
	space_close(&space);
	EXPECT(device_number(&device, "available_instances") == count, "all are free again");
	free(seen);
	free(queues);
}

/* A process has 1024 descriptors by default, no more than a device has queues. */
static void allow_files(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"all queues taken", exhaust},
		{"all queues started", exhaust_started},
	};

	allow_files();
	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
