// SPDX-License-Identifier: Apache-2.0
/*
 * Compares a request on a queue of the process with the same request through the kernel: one at a
 * time, on the same device, in the same run. The queue must be faster, because it needs no system
 * call and no interrupt. Prints a table. Needs module wd_acomp_test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../../../kernel/selftest/acomp_test.h"
#include "../../common/ktap.h"
#include "../hisi_qm/queue.h"
#include "text.h"

#define SOURCE 0x100000ul
#define DEST 0x200000ul
#define SIZE 65536ul
#define BATCHES 5
#define ROUNDS 200

static struct device device;
static struct space space;
static struct queue queue;
static uint8_t *source, *dest;
static int kernel_file = -1;

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

/* These return the nanoseconds of a request, or a negative value after an error. */

static double by_queue(size_t length)
{
	const struct request request = {
		.algorithm = 1, .source = SOURCE, .dest = DEST, .length = length, .space = SIZE};
	struct result result;
	const double begin = now_ns();

	for (int i = 0; i < ROUNDS; i++) {
		queue_send(&queue, &request);
		if (queue_wait(&queue, &result, 10000) || (result.status && result.status != 0x0d))
			return -1;
	}
	return (now_ns() - begin) / ROUNDS;
}

static struct wd_acomp_test argument(size_t length, unsigned rounds)
{
	return (struct wd_acomp_test){
		.in = (uintptr_t)source,
		.out = (uintptr_t)dest,
		.in_length = length,
		.out_length = SIZE,
		.rounds = rounds,
	};
}

static double by_system_call(size_t length)
{
	const double begin = now_ns();

	for (int i = 0; i < ROUNDS; i++) {
		struct wd_acomp_test arg = argument(length, 1);

		if (ioctl(kernel_file, WD_ACOMP_TEST_COMPRESS, &arg))
			return -1;
	}
	return (now_ns() - begin) / ROUNDS;
}

static double inside_kernel(size_t length)
{
	struct wd_acomp_test arg = argument(length, ROUNDS);

	if (ioctl(kernel_file, WD_ACOMP_TEST_COMPRESS, &arg))
		return -1;
	return (double)arg.nanoseconds / ROUNDS;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Measure the paths in turn, so that other load hits all of them, and take medians. */
static void compare(size_t length)
{
	double (*const ways[])(size_t) = {by_queue, by_system_call, inside_kernel};
	double times[3][BATCHES];

	for (int batch = 0; batch < BATCHES; batch++)
		for (int way = 0; way < 3; way++) {
			times[way][batch] = ways[way](length);
			if (!EXPECT(times[way][batch] > 0, "way %d works", way))
				return;
		}
	for (int way = 0; way < 3; way++)
		qsort(times[way], BATCHES, sizeof(double), by_value);

	const double user = times[0][BATCHES / 2], call = times[1][BATCHES / 2];
	const double kernel = times[2][BATCHES / 2];

	printf("# %6zu bytes: queue of the process %.1f us; by the kernel, with system call %.1f "
	       "us "
	       "(%.2f), without %.1f us (%.2f)\n",
	       length, user / 1e3, call / 1e3, call / user, kernel / 1e3, kernel / user);
	EXPECT(user < call, "the queue of the process is faster");
}

static void small(void)
{
	compare(512);
}

static void page(void)
{
	compare(4096);
}

static void large(void)
{
	compare(32768);
}

static int open_kernel(void)
{
	kernel_file = open("/dev/wd_acomp_test", O_RDWR | O_CLOEXEC);
	if (kernel_file < 0 && !system("modprobe wd_acomp_test >/dev/null 2>&1"))
		kernel_file = open("/dev/wd_acomp_test", O_RDWR | O_CLOEXEC);
	return kernel_file < 0 ? -ENODEV : 0;
}

static int open_queue(void)
{
	int ret = space_open(&device, &space);

	if (ret)
		return ret;
	source = pages_alloc(SIZE);
	dest = pages_alloc(SIZE);
	fill_text(source, SIZE, 1);
	ret = space_map(&space, source, SIZE, SOURCE);
	if (!ret)
		ret = space_map(&space, dest, SIZE, DEST);
	if (!ret)
		ret = queue_ready(&device, &space, &queue, COMPRESS);
	return ret;
}

static int setup(void)
{
	int ret = open_kernel();

	if (!ret)
		ret = device_open(&device);
	return ret ? ret : open_queue();
}

static void teardown(void)
{
	queue_close(&queue);
	space_close(&space);
	device_close(&device);
	close(kernel_file);
	if (system("rmmod wd_acomp_test"))
		printf("# the module stays\n");
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"512 bytes", small},
		{"4 KiB", page},
		{"32 KiB", large},
	};

	KTAP_MAIN(cases, setup(), teardown());
}
