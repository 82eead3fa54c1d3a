// SPDX-License-Identifier: Apache-2.0
/* Regions of a queue file: sizes, offsets, protections, content, and that each is mapped once. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "../../common/child.h"
#include "../../common/ktap.h"
#include "queue.h"

static struct device device;

static int try_map(struct queue *queue, size_t length, int prot, uint64_t page, void **address)
{
	return wd_host_mmap(device.host, length, prot, queue->fd, page * PAGE, address);
}

/* QM-UACCE-3 */
static void refused(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct queue queue;
	void *at;

	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(try_map(&queue, device.mmio_size - PAGE, rw, 0, &at) == -EINVAL, "MMIO too short");
	EXPECT(try_map(&queue, device.mmio_size + PAGE, rw, 0, &at) == -EINVAL,
	       "MMIO with the next queue's doorbells");
	EXPECT(try_map(&queue, device.dus_size - PAGE, rw, 1, &at) == -EINVAL, "DUS too short");
	EXPECT(try_map(&queue, device.dus_size + PAGE, rw, 1, &at) == -EINVAL, "DUS too long");
	EXPECT(try_map(&queue, PAGE, rw, 2, &at) == -EINVAL, "a third region");
	EXPECT(try_map(&queue, device.mmio_size, rw, 16, &at) == -EINVAL, "the next window");
	EXPECT(try_map(&queue, device.mmio_size, rw, 1ull << 40, &at) < 0, "an offset far out");
	EXPECT(try_map(&queue, device.dus_size, rw | PROT_EXEC, 1, &at) == -EPERM, "executable");
	EXPECT(!queue_map(&queue), "both regions, after all those");
	queue_close(&queue);
}

static void once(void)
{
	struct queue queue;
	void *at;

	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(!queue_map(&queue), "map");
	EXPECT(try_map(&queue, device.mmio_size, PROT_READ, 0, &at) == -EEXIST, "MMIO again");
	EXPECT(try_map(&queue, device.dus_size, PROT_READ, 1, &at) == -EEXIST, "DUS again");
	wd_host_munmap(device.host, (void *)queue.dus, device.dus_size);
	queue.dus = NULL;
	EXPECT(try_map(&queue, device.dus_size, PROT_READ, 1, &at) == -EEXIST,
	       "again, even after munmap");
	queue_close(&queue);
}

/* The next owner of a hardware queue must not find the old content of its rings. */
static void contents(void)
{
	struct queue queue;
	bool clean = true;

	for (int round = 0; round < 3; round++) {
		EXPECT(!queue_open(&device, &queue), "open");
		EXPECT(!queue_map(&queue), "map");
		for (size_t i = 0; i < device.dus_size; i++)
			clean &= queue.dus[i] == 0;
		memset((void *)queue.dus, 0x5a, device.dus_size);
		queue_close(&queue);
	}
	EXPECT(clean, "rings of a new owner are zero");
}

/* A mapping holds the file, so the queue stays open. */
static void outlives_close(void)
{
	const long before = device_number(&device, "available_instances");
	struct queue queue;

	EXPECT(!queue_open(&device, &queue), "open");
	EXPECT(!queue_map(&queue), "map");
	wd_host_dev_close(device.host, queue.fd);
	EXPECT(device_number(&device, "available_instances") == before - 1,
	       "the queue is taken while it is mapped");
	queue.dus[0] = 1;
	EXPECT(queue.dus[0] == 1, "its memory is there");
	wd_host_munmap(device.host, (void *)queue.mmio, device.mmio_size);
	wd_host_munmap(device.host, (void *)queue.dus, device.dus_size);
	EXPECT(device_number(&device, "available_instances") == before, "munmap gives it back");
}

/* QM-UACCE-3 */
static void flags(void)
{
	struct space space;
	struct queue queue;
	volatile uint32_t *tx, *rx;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	tx = (volatile uint32_t *)(queue.dus + device.dus_size - HISI_QM_DUS_TX_STOP);
	rx = (volatile uint32_t *)(queue.dus + device.dus_size - HISI_QM_DUS_RX_STOP);
	EXPECT(!*tx && !*rx, "no stop flag at start");
	EXPECT(!queue_stop(&queue), "put");
	EXPECT(*tx == 1 && *rx == 1, "stop flags after a stop");
	EXPECT(!queue_start(&queue, DECOMPRESS), "start again");
	EXPECT(!*tx && !*rx, "no stop flag after a new start");
	queue_close(&queue);
	space_close(&space);
}

/*
 * A mapping is split before its pages are touched. Each part must get the right pages.
 */
static void split_rings(void)
{
	const size_t end = device.dus_size;
	const struct request request = {
		.algorithm = 1, .source = 0x100000, .dest = 0x200000, .length = 64, .space = PAGE};
	struct space space;
	struct queue queue;
	struct result result;
	uint8_t *memory = pages_alloc(2 * PAGE);
	volatile uint32_t *tx;
	size_t completions;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!space_map(&space, memory, PAGE, 0x100000), "source");
	EXPECT(!space_map(&space, memory + PAGE, PAGE, 0x200000), "destination");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	completions = queue.depth * 128ul;
	EXPECT(!mprotect((void *)(queue.dus + completions), PAGE, PROT_READ),
	       "the completion ring's first page read-only");
	queue_send(&queue, &request);
	EXPECT(!queue_wait(&queue, &result, 20000), "its completion is seen");
	EXPECT(!result.status, "and good: %#x", result.status);
	queue_close(&queue);

	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	EXPECT(!wd_host_munmap(device.host, (void *)queue.dus, PAGE), "the first page goes");
	EXPECT(!wd_host_munmap(device.host, (void *)(queue.dus + 2 * PAGE), PAGE), "and the third");
	tx = (volatile uint32_t *)(queue.dus + end - HISI_QM_DUS_TX_STOP);
	EXPECT(!*tx, "no stop flag");
	EXPECT(!queue_stop(&queue), "put");
	EXPECT(*tx == 1, "the stop flag is in the last page");
	EXPECT(!wd_host_munmap(device.host, (void *)(queue.dus + PAGE), PAGE), "the second page");
	EXPECT(!wd_host_munmap(device.host, (void *)(queue.dus + 3 * PAGE), end - 3 * PAGE),
	       "the rest");
	queue.dus = NULL;
	queue_close(&queue);
	space_close(&space);
	pages_free(memory, 2 * PAGE);
}

static void split_doorbells(void)
{
	const struct request request = {
		.algorithm = 1, .source = 0x100000, .dest = 0x200000, .length = 64, .space = PAGE};
	const size_t end = device.mmio_size;
	struct space space;
	struct queue queue;
	struct result result;
	uint8_t *memory = pages_alloc(2 * PAGE);

	if (device.words < (long)PAGE)
		return ktap_skip_case("no doorbell words behind the first page");
	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!space_map(&space, memory, PAGE, 0x100000), "source");
	EXPECT(!space_map(&space, memory + PAGE, PAGE, 0x200000), "destination");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	EXPECT(!wd_host_munmap(device.host, (void *)queue.mmio, PAGE), "the first page goes");
	EXPECT(!wd_host_munmap(device.host, (void *)(queue.mmio + end - PAGE), PAGE),
	       "and the last");
	queue_send(&queue, &request);
	EXPECT(!queue_wait(&queue, &result, 20000), "the doorbell words are where they were");
	EXPECT(!wd_host_munmap(device.host, (void *)(queue.mmio + PAGE), end - 2 * PAGE),
	       "the rest");
	queue.mmio = NULL;
	queue_close(&queue);
	space_close(&space);
	pages_free(memory, 2 * PAGE);
}

/* Attack: a child rings the doorbells of its parent, or reads its rings. */
static void children(void)
{
	struct space space;
	struct queue queue;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	EXPECT(kept_from_children(queue.mmio, device.mmio_size / PAGE), "doorbells");
	EXPECT(kept_from_children(queue.dus, device.dus_size / PAGE), "rings");
	/* mprotect() splits the mapping. */
	EXPECT(!mprotect((void *)queue.dus, PAGE, PROT_READ), "a part read-only");
	EXPECT(kept_from_children(queue.dus, device.dus_size / PAGE), "rings in parts");
	queue_close(&queue);
	space_close(&space);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"wrong mappings are refused", refused},
		{"a region is mapped once", once},
		{"nothing of an earlier owner", contents},
		{"a mapping outlives close()", outlives_close},
		{"status words", flags},
		{"rings in parts", split_rings},
		{"doorbells in parts", split_doorbells},
		{"children have neither", children},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
