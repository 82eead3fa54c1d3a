// SPDX-License-Identifier: Apache-2.0
/*
 * Queues in the address space of the process, with page faults: plain pointers, while the process
 * changes its memory. A request uses the process's memory. If the process does not have the memory,
 * or must not write it, the request fails.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../common/ktap.h"
#include "sva.h"

#define SIZE (16 * PAGE)

static struct device device;

/** A queue, and memory of the process. Only @source has been touched. */
struct lane {
	struct queue queue;
	uint8_t *source, *dest;
};

static uint8_t *fresh(size_t length)
{
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int lane_open(struct lane *lane)
{
	lane->source = fresh(SIZE);
	lane->dest = fresh(SIZE);
	text_fill(lane->source, SIZE, 1);
	return sva_queue(&device, &lane->queue, COMPRESS);
}

static void lane_close(struct lane *lane)
{
	queue_close(&lane->queue);
	munmap(lane->source, SIZE);
	munmap(lane->dest, SIZE);
}

/* Compress @source and check it against @text. */
static bool compresses(struct lane *lane, const void *source, const void *text)
{
	struct result result = {0};

	if (sva_request(&lane->queue, source, SIZE, lane->dest, SIZE, &result) || result.status)
		return false;
	return inflates_to(lane->dest, result.produced, text, SIZE);
}

static bool fails(struct lane *lane, const void *source, void *dest)
{
	struct result result = {0};

	return !sva_request(&lane->queue, source, SIZE, dest, SIZE, &result) && result.status;
}

static void plain_pointers(void)
{
	uint8_t *back = malloc(SIZE + 1);
	struct result result;
	struct lane lane;

	EXPECT(!lane_open(&lane), "a queue without any address space attached");
	EXPECT(device_number(&device, "flags") & 1, "flags say so");
	EXPECT(compresses(&lane, lane.source, lane.source), "compress");
	EXPECT(!sva_request(&lane.queue, lane.source + 5, 777, lane.dest + 3, 4097, &result) &&
		       !result.status &&
		       inflates_to(lane.dest + 3, result.produced, lane.source + 5, 777),
	       "unaligned");
	EXPECT(!queue_stop(&lane.queue) && !queue_start(&lane.queue, DECOMPRESS), "start anew");
	EXPECT(!sva_request(&lane.queue, lane.dest + 3, result.produced, back + 1, SIZE, &result) &&
		       !result.status && result.produced == 777 &&
		       !memcmp(back + 1, lane.source + 5, 777),
	       "decompress into memory of malloc()");
	lane_close(&lane);
	free(back);
}

/* Attack: pointers to memory that the process does not have, or must not write. */
static void wild_pointers(void)
{
	struct lane lane;
	uint8_t *hole = fresh(SIZE);

	EXPECT(!lane_open(&lane), "queue");
	mprotect(hole, SIZE, PROT_NONE);
	EXPECT(fails(&lane, hole, lane.dest), "source that is not there");
	EXPECT(fails(&lane, lane.source, hole), "destination that is not there");
	EXPECT(fails(&lane, (void *)0, lane.dest), "null");
	EXPECT(fails(&lane, (void *)0x7ffffffff000, lane.dest), "the end of user space");
	EXPECT(fails(&lane, (void *)0xffff888000000000, lane.dest), "the kernel");
	EXPECT(fails(&lane, lane.source, (void *)0xffff888000000000), "writing to it");
	EXPECT(fails(&lane, (void *)0x1234567800000000, lane.dest), "no address at all");
	mprotect(lane.dest, SIZE, PROT_READ);
	EXPECT(fails(&lane, lane.source, lane.dest), "destination that is not writable");
	EXPECT(!memcmp(lane.dest, lane.dest + 1, SIZE - 1) && !lane.dest[0], "it stays as it is");
	mprotect(lane.dest, SIZE, PROT_READ | PROT_WRITE);
	mprotect(lane.source, SIZE, PROT_READ);
	EXPECT(compresses(&lane, lane.source, lane.source), "source that is not writable is fine");
	lane_close(&lane);
}

static void unmapped(void)
{
	struct lane lane;
	uint8_t *hold, *other, *text = malloc(SIZE);

	EXPECT(!lane_open(&lane), "queue");
	EXPECT(compresses(&lane, lane.source, lane.source), "before");
	munmap(lane.source, SIZE);
	/* Reserve the addresses, so that no other thread gets them while the device tries them. */
	hold = mmap(lane.source, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		    -1, 0);
	EXPECT(hold == lane.source, "nothing else took the addresses");
	EXPECT(fails(&lane, lane.source, lane.dest), "unmapped after it was used");
	other = mmap(lane.source, SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	EXPECT(other == lane.source, "something else at the same address");
	text_fill(other, SIZE, 7);
	text_fill(text, SIZE, 7);
	EXPECT(compresses(&lane, other, text), "is what the device finds");
	lane_close(&lane);
	free(text);
}

static void moved(void)
{
	struct lane lane;
	uint8_t *place = fresh(SIZE), *before, *text = malloc(SIZE);

	EXPECT(!lane_open(&lane), "queue");
	memcpy(text, lane.source, SIZE);
	EXPECT(compresses(&lane, lane.source, text), "before");
	before = lane.source;
	lane.source = mremap(before, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	EXPECT(lane.source == place, "mremap");
	EXPECT(compresses(&lane, lane.source, text), "at the new address");
	EXPECT(fails(&lane, before, lane.dest), "not at the old one");
	lane_close(&lane);
	free(text);
}

static void discarded(void)
{
	struct result result;
	struct lane lane;
	uint8_t *zeros = calloc(1, SIZE), *text = malloc(SIZE);

	EXPECT(!lane_open(&lane), "queue");
	memcpy(text, lane.source, SIZE);
	EXPECT(compresses(&lane, lane.source, text), "before");
	madvise(lane.source, SIZE, MADV_DONTNEED);
	EXPECT(compresses(&lane, lane.source, zeros), "a discarded source is zeros");
	text_fill(lane.source, SIZE, 9);
	text_fill(text, SIZE, 9);
	madvise(lane.dest, SIZE, MADV_DONTNEED);
	EXPECT(!sva_request(&lane.queue, lane.source, SIZE, lane.dest, SIZE, &result) &&
		       !result.status && inflates_to(lane.dest, result.produced, text, SIZE),
	       "a discarded destination is written");
	lane_close(&lane);
	free(zeros);
	free(text);
}

/* The child writes its copies of both buffers, then says whether the device wrote there, too. */
static int child_of_fork(struct lane *lane, int go)
{
	uint8_t byte;

	memset(lane->source, 0x55, SIZE);
	memset(lane->dest, 0x66, SIZE);
	if (read(go, &byte, 1) != 1)
		return 2;
	for (size_t i = 0; i < SIZE; i++)
		if (lane->dest[i] != 0x66 || lane->source[i] != 0x55)
			return 1;
	return 0;
}

/* Parent and child share pages until one writes. A device writes as the parent does. */
static void forked(void)
{
	struct lane lane;
	uint8_t *text = malloc(SIZE);
	int go[2], status = -1;
	pid_t child;

	EXPECT(!lane_open(&lane) && !pipe(go), "queue");
	memcpy(text, lane.source, SIZE);
	EXPECT(compresses(&lane, lane.source, text), "the device has used the pages");
	child = fork();
	if (!child)
		_exit(child_of_fork(&lane, go[0]));
	EXPECT(child > 0, "fork");
	EXPECT(compresses(&lane, lane.source, text), "the parent's data, to the parent");
	text_fill(lane.source, SIZE, 11);
	text_fill(text, SIZE, 11);
	EXPECT(compresses(&lane, lane.source, text), "also what it wrote after the fork");
	EXPECT(write(go[1], "", 1) == 1, "the child looks");
	EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status),
	       "nothing reached the child: %#x", status);
	EXPECT(compresses(&lane, lane.source, text), "the child's end stops nothing");
	close(go[0]);
	close(go[1]);
	lane_close(&lane);
	free(text);
}

/**
 * Maps and unmaps the destination of requests that are in flight. @alone: no other thread can get
 * the addresses meanwhile. Threads of the hosted kernel, and of sanitizers, may get them.
 */
struct storm {
	uint8_t *place;
	bool alone, end;
};

static void *storm_run(void *argument)
{
	struct storm *storm = argument;

	while (!__atomic_load_n(&storm->end, __ATOMIC_RELAXED)) {
		if (storm->alone)
			munmap(storm->place, SIZE);
		else
			mmap(storm->place, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			     -1, 0);
		mmap(storm->place, SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		madvise(storm->place, SIZE / 2, MADV_DONTNEED);
		mprotect(storm->place, SIZE, PROT_READ);
		mprotect(storm->place, SIZE, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

/*
 * Several threads map and unmap memory that requests use. Such requests succeed or fail. Requests
 * on memory that stays always succeed.
 */
static void storm(void)
{
	struct storm storms[3] = {};
	pthread_t threads[3];
	struct result result = {0};
	struct lane lane;
	unsigned failed = 0;
	int ret = 0;

	EXPECT(!lane_open(&lane), "queue");
	for (int i = 0; i < 3; i++) {
		storms[i].place = fresh(SIZE);
		storms[i].alone = !strcmp(wd_host_kind(device.host), "native");
		pthread_create(&threads[i], NULL, storm_run, &storms[i]);
	}
	for (int round = 0; round < 200; round++) {
		failed += fails(&lane, lane.source, storms[round % 3].place);
		if (round % 8 || ret || result.status)
			continue;
		ret = sva_request(&lane.queue, lane.source, SIZE, lane.dest, SIZE, &result);
		if (!ret && !result.status &&
		    !inflates_to(lane.dest, result.produced, lane.source, SIZE))
			ret = -EBADMSG;
	}
	for (int i = 0; i < 3; i++) {
		__atomic_store_n(&storms[i].end, true, __ATOMIC_RELAXED);
		pthread_join(threads[i], NULL);
		munmap(storms[i].place, SIZE);
	}
	EXPECT(!ret && !result.status,
	       "requests on memory that stays: %d, status %#x (%u others failed)", ret,
	       result.status, failed);
	lane_close(&lane);
}

/* The queue stops or is closed while its requests wait for all of their pages. */
static void stop_with_faults(void)
{
	const long count = device_number(&device, "available_instances");
	struct lane lane;

	for (int round = 0; round < 8; round++) {
		uint8_t *memory = fresh(64 * SIZE);

		EXPECT(!lane_open(&lane), "queue");
		for (int i = 0; i < 64; i++) {
			const struct request request = {
				.algorithm = 1,
				.source = (uintptr_t)lane.source,
				.dest = (uintptr_t)(memory + i * SIZE),
				.length = SIZE,
				.space = SIZE,
			};

			queue_send(&lane.queue, &request);
		}
		if (round % 2)
			EXPECT(!queue_stop(&lane.queue), "stop");
		lane_close(&lane);
		munmap(memory, 64 * SIZE);
	}
	EXPECT(device_queues_return(&device, count), "every queue came back");
	EXPECT(sva_bonds(&device) == 0, "and every address space was let go");
}

static void shared(void)
{
	struct space space;
	struct lane a, b;

	EXPECT(!lane_open(&a) && !lane_open(&b), "two queues");
	EXPECT(sva_bonds(&device) == 1, "one address space: %d", sva_bonds(&device));
	queue_close(&a.queue);
	EXPECT(sva_bonds(&device) == 1, "still");
	EXPECT(compresses(&b, b.source, b.source), "the other queue works");
	EXPECT(!queue_stop(&b.queue), "stop");
	EXPECT(sva_bonds(&device) == 0, "a stopped queue needs none");
	EXPECT(!queue_start(&b.queue, COMPRESS) && compresses(&b, b.source, b.source), "anew");

	/* A running queue must refuse an address space of /dev/iommu. */
	EXPECT(!space_open(&device, &space) && !queue_bind(&b.queue, space.fd), "bind");
	EXPECT(!space_hwpt(&space, &b.queue), "page table");
	EXPECT(queue_attach(&b.queue, space.hwpt, 0) == -EBUSY, "attach to a started queue");
	EXPECT(compresses(&b, b.source, b.source), "it goes on");
	EXPECT(!queue_stop(&b.queue), "stop");
	EXPECT(queue_start(&b.queue, COMPRESS) == -EOPNOTSUPP, "bound, and nothing attached");
	EXPECT(!queue_attach(&b.queue, space.hwpt, 0) && !queue_start(&b.queue, COMPRESS),
	       "attach, start");
	EXPECT(fails(&b, b.source, b.dest), "it has left the process's address space");
	queue_close(&b.queue);
	space_close(&space);
	munmap(a.source, SIZE);
	munmap(a.dest, SIZE);
	munmap(b.source, SIZE);
	munmap(b.dest, SIZE);
}

/* Without a time limit for page faults a slow machine changes nothing. */
static const char time_limit[] = "/sys/module/wd_iommu/parameters/fault_response_ms";
static char time_before[32];

static int setup(void)
{
	int ret = device_open(&device);

	if (ret)
		return ret;
	if (!mode_possible(&device, "sva")) {
		device_close(&device);
		return ktap_skip_all("device or IOMMU without page requests");
	}
	ret = wd_host_sysfs_read(device.host, time_limit, time_before, sizeof(time_before));
	if (ret >= 0)
		ret = wd_host_sysfs_write(device.host, time_limit, "0");
	return ret < 0 ? ret : mode_set(&device, "sva");
}

static void cleanup(void)
{
	wd_host_sysfs_write(device.host, time_limit, time_before);
	device_close(&device);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"plain pointers", plain_pointers},
		{"wild pointers", wild_pointers},
		{"unmapped memory", unmapped},
		{"moved memory", moved},
		{"discarded memory", discarded},
		{"copy-on-write after fork", forked},
		{"memory that comes and goes", storm},
		{"stop and close with faults", stop_with_faults},
		{"one address space for all queues", shared},
	};

	KTAP_MAIN(cases, setup(), cleanup());
}
