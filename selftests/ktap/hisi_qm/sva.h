/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues in the address space of the process: requests with plain pointers, and a check of their
 * results by zlib.
 */
#ifndef SELFTESTS_HISI_QM_SVA_H
#define SELFTESTS_HISI_QM_SVA_H

#include "queue.h"

/** Open, map and start a queue of this process in the device's mode. */
int sva_queue(struct device *device, struct queue *queue, unsigned type);

/** Text that compresses well, different for each @seed. */
void text_fill(void *buffer, size_t length, unsigned seed);

/** Run one raw deflate request on plain pointers. @return 0 or -ETIMEDOUT. */
int sva_request(struct queue *queue, const void *source, size_t length, void *dest, size_t space,
		struct result *result);

/** True if the raw deflate stream @in decompresses to exactly @out. */
bool inflates_to(const void *in, size_t in_length, const void *out, size_t length);

/** Number of attachments of this device that are address spaces of processes, or -errno. */
int sva_bonds(struct device *device);

#endif /* SELFTESTS_HISI_QM_SVA_H */
