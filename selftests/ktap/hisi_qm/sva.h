/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues in the address space of the process: requests with plain pointers, and zlib's check of the
 * results.
 */
#ifndef SELFTESTS_HISI_QM_SVA_H
#define SELFTESTS_HISI_QM_SVA_H

#include "queue.h"

/** A queue of this process, mapped and started in the device's mode. */
int sva_queue(struct device *device, struct queue *queue, unsigned type);

/** Text that compresses well, different for each @seed. */
void text_fill(void *buffer, size_t length, unsigned seed);

/** One raw deflate request on plain pointers, and its result. @return 0 or -ETIMEDOUT. */
int sva_request(struct queue *queue, const void *source, size_t length, void *dest, size_t space,
		struct result *result);

/** Is @in a raw deflate stream of exactly @out? */
bool inflates_to(const void *in, size_t in_length, const void *out, size_t length);

/** Lines of the IOMMUs' attachments that are shared address spaces of this device; -errno. */
int sva_bonds(struct device *device);

#endif /* SELFTESTS_HISI_QM_SVA_H */
