/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole accelerator, taken from hisi_zip until the program ends. It writes 32 bytes (the context
 * of its queue) to an address, which shows the memory that its DMA reaches.
 */
#ifndef SELFTESTS_VFIO_REACH_H
#define SELFTESTS_VFIO_REACH_H

#include "owner.h"

/* Every table of the function maps the memory that it needs, and one page to write to. */
#define REACH_IOVA 0x10000000ull
#define REACH_PAGE (REACH_IOVA + ZIP_MEMORY)

struct reach {
	struct owner owner;
	struct zip_registers registers;
	struct zip zip;
	uint8_t *memory; /**< ZIP_MEMORY bytes */
};

/** Allow interrupts without remapping. Call it before device_open(). */
void reach_allow(void);
/** Take an accelerator other than @device. -ENODEV: none. */
int reach_take(struct device *device, struct reach *reach);
void reach_give_back(struct reach *reach);

/** Bind the open file to @iommufd. *@id gets its id, 0 if that failed. */
int reach_bind(struct reach *reach, int iommufd, uint32_t *id);
/** Map the function's memory, and @page after it, for one of its tables. */
int reach_map(const struct space *space, uint32_t ioas, const struct reach *reach, uint8_t *page);
/** Start the function after RESET or BIND; its requester id must have a table. 0 or -errno. */
int reach_start(struct reach *reach);
/** True if the started function writes to @page, that is, if REACH_PAGE leads there. */
bool reach_writes(struct reach *reach, uint8_t *page);
/** Let the queue's requests use @pasid; reach_writes() still uses the requester id. */
int reach_queue_at(struct reach *reach, uint16_t pasid);
/**
 * True if a request of the queue writes to @page, that is, if REACH_PAGE at its PASID leads there.
 */
bool reach_compresses(struct reach *reach, uint8_t *page);
/** True if the function reaches any memory at @iova. */
bool reach_reaches(struct reach *reach, uint64_t iova);

/** ATTACH and DETACH at @pasid; 0: at the requester id. */
int reach_attach(struct reach *reach, uint32_t table, uint32_t pasid);
int reach_detach(struct reach *reach, uint32_t pasid);

#endif /* SELFTESTS_VFIO_REACH_H */
