// SPDX-License-Identifier: Apache-2.0
/*
 * Mappings come and go while a queue is attached, so the IOMMU has to flush each one. The program
 * waits for hardware only in flushes. With WD_UNTIL, the name of a file, it goes on until that file
 * exists: a test that stops the hardware stops it in a flush.
 */
#include <stdlib.h>
#include <unistd.h>

#include "../../common/ktap.h"
#include "queue.h"

#define IOVA 0x100000
#define ROUNDS 200

static struct device device;

static bool go_on(unsigned round)
{
	const char *until = getenv("WD_UNTIL");

	return until ? access(until, F_OK) : round < ROUNDS;
}

static void unmaps(void)
{
	uint8_t *memory = pages_alloc(PAGE);
	unsigned failures = 0;
	struct space space;
	struct queue queue;

	EXPECT(!space_open(&device, &space), "open /dev/iommu");
	EXPECT(!queue_ready(&device, &space, &queue, COMPRESS), "queue");
	for (unsigned round = 0; go_on(round); round++)
		failures +=
			space_map(&space, memory, PAGE, IOVA) || space_unmap(&space, IOVA, PAGE);
	EXPECT(!failures, "%u rounds have failed", failures);
	queue_close(&queue);
	space_close(&space);
	pages_free(memory, PAGE);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"mappings under an attached queue", unmaps},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
