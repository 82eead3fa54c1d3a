// SPDX-License-Identifier: Apache-2.0
/*
 * Queues with physical addresses. kselftest/test_modes.py must allow this before, by the module's
 * parameter and an identity domain.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <misc/uacce/uacce.h>

#include "../../common/ktap.h"
#include "sva.h"

#define SIZE (16 * PAGE)
#define REGION (5ul << 20)

static struct device device;

/* Start a queue. @return all memory that it may have, or NULL. */
static uint8_t *open_with_memory(struct queue *queue)
{
	void *at;

	EXPECT(!sva_queue(&device, queue, COMPRESS), "queue");
	if (!EXPECT(!wd_host_mmap(device.host, REGION, PROT_READ | PROT_WRITE, queue->fd,
				  UACCE_QFRT_SS * PAGE, &at),
		    "memory"))
		return NULL;
	return at;
}

/* Compress SIZE bytes at @memory, which is @dma for the device, into the SIZE bytes after them. */
static void compresses(struct queue *queue, uint8_t *memory, unsigned long dma, unsigned seed)
{
	const struct request request = {1, dma, dma + SIZE, SIZE, SIZE, 0};
	struct result result;

	text_fill(memory, SIZE, seed);
	queue_send(queue, &request);
	EXPECT(!queue_wait(queue, &result, 10000) && !result.status, "status %#x", result.status);
	EXPECT(inflates_to(memory + SIZE, result.produced, memory, SIZE), "what zlib says");
}

static void works(void)
{
	unsigned long slice = 0, dma;
	struct queue queue;
	uint8_t *memory;
	long more;

	EXPECT(device_number(&device, "flags") & UACCE_DEV_NOIOMMU, "flags say so");
	memory = open_with_memory(&queue);
	if (!memory)
		return;
	more = queue_ioctl(&queue, UACCE_CMD_GET_SS_DMA, &slice);
	EXPECT(more >= 1, "slices have at most 4 MiB: %ld", more);
	EXPECT((slice & 0xfff) << 16 >= 2 * SIZE, "the first one is large enough");
	dma = slice & ~0xfffull;
	compresses(&queue, memory, dma, 1);
	EXPECT(!wd_host_munmap(device.host, memory, REGION), "munmap");
	queue_close(&queue);
}

/* The mapping is split before its pages are touched. Each part must get the right pages. */
static void in_parts(void)
{
	unsigned long slice = 0, dma;
	struct queue queue;
	uint8_t *memory;

	memory = open_with_memory(&queue);
	if (!memory)
		return;
	EXPECT(queue_ioctl(&queue, UACCE_CMD_GET_SS_DMA, &slice) >= 1, "slices");
	dma = slice & ~0xffful;
	EXPECT(!wd_host_munmap(device.host, memory, PAGE), "the first page goes");
	EXPECT(!mprotect(memory + PAGE, PAGE, PROT_READ), "the second is read-only");
	compresses(&queue, memory + 2 * PAGE, dma + 2 * PAGE, 2);
	EXPECT(!wd_host_munmap(device.host, memory + PAGE, REGION - PAGE), "the rest");
	queue_close(&queue);
}

/* Attack: read all memory with a queue, but without the right to use hardware directly. */
static void needs_the_right(void)
{
	struct queue queue;
	void *at;

	EXPECT(!queue_open(&device, &queue), "queue");
	EXPECT(!seteuid(65534), "an ordinary user");
	EXPECT(queue_ioctl(&queue, UACCE_CMD_START_Q, NULL) == -EPERM, "start");
	EXPECT(wd_host_mmap(device.host, SIZE, PROT_READ, queue.fd, UACCE_QFRT_SS * PAGE, &at) ==
		       -EPERM,
	       "memory");
	EXPECT(!seteuid(0), "root again");
	queue_close(&queue);
}

static int setup(void)
{
	int ret = device_open(&device);

	if (ret)
		return ret;
	if (!mode_possible(&device, "physical")) {
		device_close(&device);
		return ktap_skip_all("nobody has allowed it");
	}
	return mode_set(&device, "physical");
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"compress with DMA addresses", works},
		{"memory in parts", in_parts},
		{"needs the right to touch hardware", needs_the_right},
	};

	KTAP_MAIN(cases, setup(), device_close(&device));
}
