/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device reaches in an address space: it reads a page of it, or writes one. The device is an
 * accelerator, which compresses the page, or writes compressed text there. Thread-bound.
 */
#ifndef SELFTESTS_HISI_QM_REACH_H
#define SELFTESTS_HISI_QM_REACH_H

#include "queue.h"

/** These addresses are taken. */
#define REACH_IOVA 0x1000000ul
#define REACH_PAGES 4u

/** An address space and a queue in it. */
struct reach {
	struct space space;
	struct queue queue;
	uint8_t *memory;
};

/** An IOAS in a new context, or beside that of @first. @hwpt_flags: as struct space has them. */
int reach_open(struct device *device, uint32_t hwpt_flags, struct reach *reach);
int reach_beside(const struct reach *first, uint32_t hwpt_flags, struct reach *reach);
/** Close what comes from reach_beside() before what comes from reach_open(). */
void reach_close(struct reach *reach);

/** Get the page at @iova as the device reads it. @return false if it cannot */
bool device_page(struct reach *reach, uint64_t iova, uint8_t page[PAGE]);
/** True if the device reads the page @wanted at @iova. */
bool device_reads(struct reach *reach, uint64_t iova, const void *wanted);
/** Let the device write a page at @iova. page_is_written() finds it. @return false as above */
bool device_writes(struct reach *reach, uint64_t iova, unsigned seed);
bool page_is_written(const uint8_t *page, unsigned seed);

#endif /* SELFTESTS_HISI_QM_REACH_H */
