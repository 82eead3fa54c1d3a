// SPDX-License-Identifier: Apache-2.0
/*
 * Requests on one or two queues: compression checked with zlib, waiting with poll(), isolation of
 * address spaces, memory that is unmapped.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "../../common/ktap.h"
#include "queue.h"

#define SOURCE 0x100000ul
#define DEST 0x200000ul
#define SIZE (16 * PAGE)

static struct device device;

/** A queue with an address space that has SIZE bytes at SOURCE and at DEST. */
struct lane {
	struct space space;
	struct queue queue;
	uint8_t *source, *dest;
};

static int lane_open(struct lane *lane, unsigned type)
{
	int ret = space_open(&device, &lane->space);

	if (ret)
		return ret;
	lane->source = pages_alloc(SIZE);
	lane->dest = pages_alloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		lane->source[i] = "warp and weft "[i % 14] + (i / 4096);
	ret = space_map(&lane->space, lane->source, SIZE, SOURCE);
	if (!ret)
		ret = space_map(&lane->space, lane->dest, SIZE, DEST);
	if (!ret)
		ret = queue_ready(&device, &lane->space, &lane->queue, type);
	return ret;
}

static void lane_close(struct lane *lane)
{
	queue_close(&lane->queue);
	space_close(&lane->space);
	pages_free(lane->source, SIZE);
	pages_free(lane->dest, SIZE);
}

static int request(struct queue *queue, uint64_t source, uint32_t length, uint64_t dest,
		   struct result *result)
{
	const struct request request = {
		.algorithm = 1,
		.source = source,
		.dest = dest,
		.length = length,
		.space = SIZE,
		.tag = 0x1234,
	};

	queue_send(queue, &request);
	return queue_wait(queue, result, 10000);
}

static bool inflates_to(const uint8_t *in, size_t in_length, const uint8_t *out, size_t length)
{
	static uint8_t buffer[SIZE];
	z_stream stream = {.next_in = (void *)in,
			   .avail_in = in_length,
			   .next_out = buffer,
			   .avail_out = sizeof(buffer)};
	bool same;

	if (inflateInit2(&stream, -15) != Z_OK)
		return false;
	same = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == length &&
	       !memcmp(buffer, out, length);
	inflateEnd(&stream);
	return same;
}

static void round_trip(void)
{
	struct result result = {0};
	struct lane lane;
	uint32_t length;

	EXPECT(!lane_open(&lane, COMPRESS), "queue");
	EXPECT(!request(&lane.queue, SOURCE, SIZE, DEST, &result), "compress");
	EXPECT(result.status == 0 && result.tag == 0x1234, "status %#x", result.status);
	EXPECT(result.produced && result.produced < SIZE / 2, "%u bytes", result.produced);
	EXPECT(result.consumed == SIZE, "all input is consumed");
	EXPECT(inflates_to(lane.dest, result.produced, lane.source, SIZE), "zlib reads it");

	length = result.produced;
	EXPECT(!queue_stop(&lane.queue), "put");
	EXPECT(!queue_start(&lane.queue, DECOMPRESS), "start as a decompressor");
	memset(lane.source, 0, SIZE);
	EXPECT(!request(&lane.queue, DEST, length, SOURCE, &result), "decompress");
	EXPECT(result.status == 0 && result.produced == SIZE, "status %#x", result.status);
	EXPECT(inflates_to(lane.dest, length, lane.source, SIZE), "what zlib says");
	lane_close(&lane);
}

/* More requests than the ring has entries, with at most depth - 1 in flight. */
static void laps(void)
{
	const struct request request = {
		.algorithm = 1, .source = SOURCE, .dest = DEST, .length = 64, .space = 1024};
	struct lane lane;
	unsigned sent = 0, received = 0, total, errors = 0;

	EXPECT(!lane_open(&lane, COMPRESS), "queue");
	total = 3 * lane.queue.depth + 17;
	while (received < total) {
		struct result result;

		if (sent < total && sent - received < lane.queue.depth - 1) {
			queue_send(&lane.queue, &request);
			sent++;
			continue;
		}
		if (queue_wait(&lane.queue, &result, 10000))
			break;
		errors += result.status != 0;
		received++;
	}
	EXPECT(received == total && !errors, "%u of %u requests, %u errors", received, total,
	       errors);
	lane_close(&lane);
}

static int poll_queue(struct queue *queue, int timeout_ms)
{
	struct pollfd file = {.fd = queue->fd, .events = POLLIN};
	int ret = wd_host_poll(device.host, &file, 1, timeout_ms);

	return ret <= 0 ? ret : file.revents;
}

static void *send_later(void *argument)
{
	const struct request request = {
		.algorithm = 1, .source = SOURCE, .dest = DEST, .length = 64, .space = 1024};
	const struct timespec pause = {.tv_nsec = 100000000};

	/*
	 * Give the other thread time to fall asleep in poll(). On a slow machine it may not: then
	 * the test shows less, but does not fail.
	 */
	nanosleep(&pause, NULL);
	queue_send(argument, &request);
	return NULL;
}

static void poll_wakes(void)
{
	struct result result;
	struct lane lane;
	pthread_t thread;

	EXPECT(!lane_open(&lane, COMPRESS), "queue");
	/* poll() may report once too often, for an event of the queue number's last owner. */
	if (poll_queue(&lane.queue, 50) == POLLIN)
		EXPECT(!queue_receive(&lane.queue, &result), "nothing has completed");
	EXPECT(poll_queue(&lane.queue, 50) == 0, "nothing in 50 ms");
	for (int i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, send_later, &lane.queue);
		EXPECT(poll_queue(&lane.queue, 10000) == POLLIN, "poll wakes");
		pthread_join(thread, NULL);
		EXPECT(!queue_wait(&lane.queue, &result, 10000), "a completion is there");
		queue_arm(&lane.queue);
	}
	lane_close(&lane);
}

/*
 * Attack: queue A uses addresses that only B's space has, and one that no space has. A gets errors,
 * B's memory does not change, and B still works.
 */
static void isolation(void)
{
	struct result result;
	struct lane a, b;
	uint8_t *secret = pages_alloc(PAGE);

	EXPECT(!lane_open(&a, COMPRESS), "queue A");
	EXPECT(!lane_open(&b, COMPRESS), "queue B");
	memset(secret, 0x77, PAGE);
	EXPECT(!space_map(&b.space, secret, PAGE, 0x40000000), "memory of B alone");
	EXPECT(a.queue.pasid != b.queue.pasid, "two PASIDs");

	EXPECT(!request(&a.queue, 0x40000000, PAGE, DEST, &result), "A reads B's memory");
	EXPECT(result.status != 0, "status %#x", result.status);
	EXPECT(fault_logged(&device, a.queue.pasid, 0x40000000) == 1, "the IOMMU noted it");
	EXPECT(!request(&a.queue, SOURCE, SIZE, 0x40000000, &result), "A writes B's memory");
	EXPECT(result.status != 0, "status %#x", result.status);
	EXPECT(secret[0] == 0x77 && !memcmp(secret, secret + 1, PAGE - 1), "it is as it was");
	EXPECT(!request(&a.queue, 0x7fff00000000, PAGE, DEST, &result), "A reads nothing");
	EXPECT(result.status != 0, "status %#x", result.status);

	EXPECT(!request(&b.queue, 0x40000000, PAGE, DEST, &result), "B reads its own memory");
	EXPECT(result.status == 0, "status %#x", result.status);
	EXPECT(inflates_to(b.dest, result.produced, secret, PAGE), "and gets it");
	EXPECT(!request(&a.queue, SOURCE, SIZE, DEST, &result), "A still works");
	EXPECT(result.status == 0, "status %#x", result.status);
	lane_close(&a);
	lane_close(&b);
	pages_free(secret, PAGE);
}

/* After an unmap, cached translations of the IOMMU must not lead to the memory any more. */
static void after_unmap(void)
{
	struct result result;
	struct lane lane;

	EXPECT(!lane_open(&lane, COMPRESS), "queue");
	EXPECT(!request(&lane.queue, SOURCE, SIZE, DEST, &result) && !result.status, "before");
	EXPECT(!space_unmap(&lane.space, SOURCE, SIZE), "unmap");
	EXPECT(!request(&lane.queue, SOURCE, SIZE, DEST, &result), "after");
	EXPECT(result.status != 0, "status %#x", result.status);
	EXPECT(!space_map(&lane.space, lane.source, SIZE, SOURCE), "map again");
	EXPECT(!request(&lane.queue, SOURCE, SIZE, DEST, &result) && !result.status, "works again");
	lane_close(&lane);
}

static bool all_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, SIZE - 1);
}

/*
 * ATTACH on a started queue: an unknown id changes nothing, and the same table can be attached.
 * After a replace by a table of another address space the device uses only the memory of that.
 */
static void replace(void)
{
	struct result result;
	struct lane lane;
	/* Its IOAS and HWPT are of the same iommufd, since the queue is bound to that. */
	struct space other;
	uint8_t *source = pages_alloc(SIZE), *dest = pages_alloc(SIZE);
	uint32_t pasid;

	for (size_t i = 0; i < SIZE; i++)
		source[i] = "another space"[i % 13] + (i / 1024);
	EXPECT(!lane_open(&lane, COMPRESS), "queue");
	pasid = lane.queue.pasid;
	/* An id that does not exist in this iommufd. */
	EXPECT(queue_attach(&lane.queue, 0x7ffffff0, 0) == -ENOENT, "replace by nothing");
	EXPECT(!request(&lane.queue, SOURCE, SIZE, DEST, &result) && !result.status,
	       "the old one stays in effect");
	EXPECT(!queue_attach(&lane.queue, lane.space.hwpt, 0), "replace by itself");
	EXPECT(!request(&lane.queue, SOURCE, SIZE, DEST, &result) && !result.status, "works");
	EXPECT(inflates_to(lane.dest, result.produced, lane.source, SIZE), "from the old memory");

	EXPECT(!space_second(&lane.space, &other), "another address space");
	EXPECT(!space_map(&other, source, SIZE, SOURCE), "other memory at the same addresses");
	EXPECT(!space_map(&other, dest, SIZE, DEST), "and for the output");
	EXPECT(!space_hwpt(&other, &lane.queue), "its table");
	memset(lane.dest, 0, SIZE);
	EXPECT(!queue_attach(&lane.queue, other.hwpt, 0), "replace by another");
	EXPECT(lane.queue.pasid == pasid, "at the same PASID");
	EXPECT(!request(&lane.queue, SOURCE, SIZE, DEST, &result) && !result.status, "works");
	EXPECT(inflates_to(dest, result.produced, source, SIZE), "from and to the new memory");
	EXPECT(all_zero(lane.dest), "nothing is written to the old memory");

	memset(dest, 0, SIZE);
	EXPECT(!queue_attach(&lane.queue, lane.space.hwpt, 0), "and back");
	EXPECT(!request(&lane.queue, SOURCE, SIZE, DEST, &result) && !result.status, "works");
	EXPECT(inflates_to(lane.dest, result.produced, lane.source, SIZE), "the old memory again");
	EXPECT(all_zero(dest), "nothing is written to the other");
	lane_close(&lane);
	pages_free(source, SIZE);
	pages_free(dest, SIZE);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"compress and decompress", round_trip},
		{"several laps of the rings", laps},
		{"poll wakes on completion", poll_wakes},
		{"isolation of address spaces", isolation},
		{"no access after unmap", after_unmap},
		{"replace under a started queue", replace},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
