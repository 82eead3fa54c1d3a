/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole accelerator, taken from hisi_zip for the length of a program. Its DMA shows the memory
 * that it reaches: it writes 32 bytes (the context of its queue) to an address.
 */
#ifndef SELFTESTS_VFIO_REACH_H
#define SELFTESTS_VFIO_REACH_H

#include "owner.h"

/* Mappings of every table of the function: its own memory, and one page to write to. */
#define REACH_IOVA 0x10000000ull
#define REACH_PAGE (REACH_IOVA + ZIP_MEMORY)

struct reach {
	struct owner owner;
	struct zip_registers registers;
	struct zip zip;
	uint8_t *memory; /**< ZIP_MEMORY bytes */
};

/** Before device_open(): this machine's interrupts are not remapped. */
void reach_allow(void);
/** Take an accelerator other than @device. -ENODEV: none. */
int reach_take(struct device *device, struct reach *reach);
void reach_give_back(struct reach *reach);

/** BIND_IOMMUFD of the open file; its id in *@id, 0 if it failed. */
int reach_bind(struct reach *reach, int iommufd, uint32_t *id);
/** Map the function's memory, and @page after it, for one of its tables. */
int reach_map(const struct space *space, uint32_t ioas, const struct reach *reach, uint8_t *page);
/** After RESET or BIND, with a table attached at the requester id: 0 or -errno. */
int reach_start(struct reach *reach);
/** Does the started function write to @page, and is that where REACH_PAGE leads? */
bool reach_writes(struct reach *reach, uint8_t *page);
/** Let the queue's requests use @pasid; reach_writes() still uses the requester id. */
int reach_queue_at(struct reach *reach, uint16_t pasid);
/** Does a request of it write to @page, and is that where REACH_PAGE leads at its PASID? */
bool reach_compresses(struct reach *reach, uint8_t *page);
/** Does it reach @iova at all? */
bool reach_reaches(struct reach *reach, uint64_t iova);

/** ATTACH and DETACH at @pasid; 0: at the requester id. */
int reach_attach(struct reach *reach, uint32_t table, uint32_t pasid);
int reach_detach(struct reach *reach, uint32_t pasid);

#endif /* SELFTESTS_VFIO_REACH_H */
