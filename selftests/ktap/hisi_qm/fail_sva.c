// SPDX-License-Identifier: Apache-2.0
/*
 * Queues in the address space of the process, while every allocation fails once: the first queue,
 * which makes the bond, further queues, requests with missing pages, and the ends. Another queue
 * works all the time.
 */
#include <sys/mman.h>

#include "../../common/chain.h"
#include "sva.h"

#define SIZE (4 * PAGE)

static struct queue queue = {.fd = -1}, neighbour = {.fd = -1};
static uint8_t *source;

/* Destination of the last request, and its result. */
static uint8_t *written;
static struct result result;

static void forget(void)
{
	if (written && munmap(written, SIZE))
		munmap(written, SIZE); /* left from a try that failed */
	written = NULL;
}

static void clean(void)
{
	if (queue.fd >= 0)
		queue_close(&queue);
	if (neighbour.fd >= 0)
		queue_close(&neighbour);
	forget();
	pages_free(source, SIZE);
	source = NULL;
}

/* Send a request into untouched memory, so that the device asks for its pages. */
static int send(struct queue *on)
{
	int ret;

	forget();
	written = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (written == MAP_FAILED) {
		written = NULL;
		return -errno;
	}
	ret = sva_request(on, source, SIZE, written, SIZE, &result);
	return ret || !result.status ? ret : -EIO;
}

/* Wait for the result and check it. The check needs memory of its own. */
static bool arrived(void)
{
	return inflates_to(written, result.produced, source, SIZE);
}

static int request(struct queue *on)
{
	int ret = send(on);

	return ret || arrived() ? ret : -EIO;
}

static int open_and_map(void)
{
	int ret = queue_open(&device, &queue);

	return ret ? ret : queue_map(&queue);
}

static int build(void)
{
	source = pages_alloc(SIZE);
	text_fill(source, SIZE, 1);
	return open_and_map();
}

static int build_beside(void)
{
	int ret = build();

	return ret ? ret : sva_queue(&device, &neighbour, COMPRESS);
}

static int start(void)
{
	return queue_start(&queue, COMPRESS);
}

static int build_started(void)
{
	int ret = build_beside();

	return ret ? ret : start();
}

static bool neighbour_works(void)
{
	return !request(&neighbour);
}

static bool both_work(void)
{
	return neighbour_works() && !request(&queue);
}

/* The queue works, and PUT_Q stops it, even if START_Q could not deliver its answer. */
static int works_then_stops(void)
{
	const int ret = request(&queue);

	return ret ? ret : queue_stop(&queue);
}

static int stop(void)
{
	return queue_stop(&queue);
}

static void first_start(void)
{
	walk(&(struct chain){
		.build = build, .step = start, .undo = works_then_stops, .clean = clean});
}

static void further_start(void)
{
	walk(&(struct chain){.build = build_beside,
			     .step = start,
			     .undo = works_then_stops,
			     .holds = neighbour_works,
			     .clean = clean});
}

static int step_request(void)
{
	return send(&queue);
}

static int nothing(void)
{
	return 0;
}

/* Threads of the kernel allocate for the request, so no allocation of this thread fails. */
static void requests(void)
{
	walk(&(struct chain){.build = build_started,
			     .step = step_request,
			     .undo = nothing,
			     .holds = both_work,
			     .done = arrived,
			     .clean = clean,
			     .ends = true});
}

static void stopping(void)
{
	walk(&(struct chain){.build = build_started,
			     .step = stop,
			     .undo = start,
			     .holds = both_work,
			     .clean = clean,
			     .ends = true});
}

static int step_close(void)
{
	queue_close(&queue);
	return 0;
}

static int open_and_start(void)
{
	int ret = open_and_map();

	return ret ? ret : start();
}

static void closing(void)
{
	walk(&(struct chain){.build = build_started,
			     .step = step_close,
			     .undo = open_and_start,
			     .holds = both_work,
			     .clean = clean,
			     .ends = true});
}

/* All in one step, for the first queue of the process. */
static int step_life(void)
{
	int ret = open_and_start();

	if (!ret)
		ret = send(&queue);
	if (!ret)
		ret = stop();
	if (!ret)
		ret = start();
	if (queue.fd >= 0)
		queue_close(&queue);
	return ret;
}

static int build_life(void)
{
	int ret = build();

	queue_close(&queue);
	return ret;
}

static void life(void)
{
	walk(&(struct chain){
		.build = build_life, .step = step_life, .undo = nothing, .clean = clean});
}

static const struct ktap_case cases[] = {
	{"START_Q of the process's first queue", first_start},
	{"START_Q of a further queue", further_start},
	{"a request whose pages are not there", requests},
	{"PUT_Q", stopping},
	{"closing a started queue", closing},
	{"a queue from open to close", life},
};

static int set_up(void)
{
	int ret = chains_open();

	if (!ret && mode_set(&device, "sva")) {
		chains_close();
		ret = ktap_skip_all("no shared addresses here");
	}
	return ret;
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), chains_close());
}
