/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole accelerator that this program owns through wd_vfio (Documentation/guide/vfio.rst), on any
 * host. Thread-bound. Functions return 0 or more, or -errno.
 */
#ifndef SELFTESTS_VFIO_OWNER_H
#define SELFTESTS_VFIO_OWNER_H

#include "../../common/zip.h"
#include "../hisi_qm/queue.h"

/** Room for an address like 0000:75:00.0. */
#define OWNER_ADDRESS 16

struct owner {
	struct wd_host *host;
	char address[OWNER_ADDRESS];
	int fd;
};

/** Find an accelerator of hisi_zip other than @device. -ENODEV: none. */
int owner_find(struct device *device, char address[OWNER_ADDRESS]);
/** Take the function at @address from its driver and give it to @driver. */
int owner_give(struct wd_host *host, const char *address, const char *driver);
/** Open the file of the function at owner->address. */
int owner_open(struct owner *owner);
void owner_close(struct owner *owner);
int owner_ioctl(struct owner *owner, unsigned long request, void *argument);
int owner_bind(struct owner *owner, int iommufd);
/** Attach @table, an IOAS or HWPT, at the requester id. */
int owner_attach(struct owner *owner, uint32_t table);
int owner_detach(struct owner *owner);
/** Size of @region, and its offset in the file if @offset is not NULL. */
int64_t owner_region(struct owner *owner, unsigned region, uint64_t *offset);
int owner_read(struct owner *owner, unsigned region, uint64_t at, void *value, size_t size);
int owner_write(struct owner *owner, unsigned region, uint64_t at, const void *value, size_t size);
/** Signal @eventfd for MSI-X message 0; -1: stop signalling. */
int owner_message_to(struct owner *owner, int eventfd);
/** Access to BAR2 by reads and writes of the file. */
struct zip_registers owner_registers(struct owner *owner);

#endif /* SELFTESTS_VFIO_OWNER_H */
