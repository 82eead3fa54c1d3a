// SPDX-License-Identifier: Apache-2.0
/* If there is no free queue, open() fails with EBUSY at once. A closed queue can be taken again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "../../common/ktap.h"
#include "queue.h"

static struct device device;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int limit_write(long limit)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), "%s/queues_per_user", device.sysfs);
	snprintf(text, sizeof(text), "%ld", limit);
	return wd_host_sysfs_write(device.host, path, text);
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
	EXPECT(device_queues_return(&device, count), "all are free again");
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
	EXPECT(device_queues_return(&device, count), "all are free again");
	free(seen);
	free(queues);
}

static void limit_values(void)
{
	const long before = device_number(&device, "queues_per_user");
	const long all = device_number(&device, "total_instances") - 1;

	EXPECT(before >= 1 && before <= all, "a limit: %ld", before);
	EXPECT(limit_write(0) == -EINVAL, "none");
	EXPECT(limit_write(all + 1) == -EINVAL, "more than there are");
	EXPECT(limit_write(-1) < 0, "a negative number");
	EXPECT(device_number(&device, "queues_per_user") == before, "nothing changed");
	EXPECT(!limit_write(1), "one");
	EXPECT(device_number(&device, "queues_per_user") == 1, "is one");
	EXPECT(!limit_write(all), "all");
	EXPECT(device_number(&device, "queues_per_user") == all, "are all");
	EXPECT(!limit_write(before), "back");
}

/* By default a process may have 1024 descriptors, and a device has as many queues. */
static void allow_files(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static long limit_before;

/* Allow the user of this program to have all queues. */
static int setup(void)
{
	int ret = device_open(&device);

	if (ret)
		return ret;
	limit_before = device_number(&device, "queues_per_user");
	return limit_write(device_number(&device, "total_instances") - 1);
}

static void teardown(void)
{
	limit_write(limit_before);
	device_close(&device);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"queues of one user", limit_values},
		{"all queues taken", exhaust},
		{"all queues started", exhaust_started},
	};

	allow_files();
	KTAP_MAIN(cases, setup(), teardown());
}
