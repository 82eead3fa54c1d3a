// SPDX-License-Identifier: Apache-2.0
/*
 * Queues with physical addresses. This must have been allowed before (kselftest/test_modes.py): the
 * module's parameter, an identity domain.
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

static void works(void)
{
	unsigned long slice = 0, dma;
	struct result result;
	struct request request = {.algorithm = 1, .length = SIZE, .space = SIZE};
	struct queue queue;
	uint8_t *memory;
	void *at;
	long more;

	EXPECT(device_number(&device, "flags") & UACCE_DEV_NOIOMMU, "flags say so");
	EXPECT(!sva_queue(&device, &queue, COMPRESS), "queue");
	if (!EXPECT(!wd_host_mmap(device.host, REGION, PROT_READ | PROT_WRITE, queue.fd,
				  UACCE_QFRT_SS * PAGE, &at),
		    "memory"))
		return;
	memory = at;
	more = queue_ioctl(&queue, UACCE_CMD_GET_SS_DMA, &slice);
	EXPECT(more >= 1, "slices have at most 4 MiB: %ld", more);
	EXPECT((slice & 0xfff) << 16 >= 2 * SIZE, "the first one is large enough");
	dma = slice & ~0xfffull;
	text_fill(memory, SIZE, 1);
	request.source = dma;
	request.dest = dma + SIZE;
	queue_send(&queue, &request);
	EXPECT(!queue_wait(&queue, &result, 10000) && !result.status, "status %#x", result.status);
	EXPECT(inflates_to(memory + SIZE, result.produced, memory, SIZE), "what zlib says");
	EXPECT(!wd_host_munmap(device.host, at, REGION), "munmap");
	queue_close(&queue);
}

/* Attack: a queue is enough to read all memory. It is not, without the right to touch hardware. */
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
		{"needs the right to touch hardware", needs_the_right},
	};

	KTAP_MAIN(cases, setup(), device_close(&device));
}
