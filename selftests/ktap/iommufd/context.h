/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A context of /dev/iommu and its commands, for the programs of this folder. Only <wd/host.h> and
 * the uapi headers are used, so that the same programs run on any host. Thread-bound.
 *
 * Commands return 0 or -errno, as the kernel does.
 */
#ifndef SELFTESTS_IOMMUFD_CONTEXT_H
#define SELFTESTS_IOMMUFD_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/iommufd.h>
#include <wd/host.h>

#define PAGE 4096ul
#define EVERYTHING UINT64_MAX
#define RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA

extern struct wd_host *host;
/**
 * queue_bind() has found no accelerator, but a kernel with the devices of Linux's tests of /dev/iommu:
 * most of all Linux's own iommufd, with which this project's is compared (selftests/strangers).
 */
extern bool device_is_mock;

/** Open the host. 0 or -errno; -ENODEV: this machine has no /dev/iommu of this project. */
int host_up(void);
void host_down(void);

struct context {
	int fd;
	uint32_t ioas;
};

/** A new context with one IOAS. */
int context_open(struct context *context);
void context_close(struct context *context);

/** Open the host and a context for a program's cases. After an error both are closed. */
int session_open(struct context *context);
void session_close(struct context *context);

/** Open a queue of the first accelerator and bind it to the context. @device gets its id. */
int queue_bind(const struct context *context, int *queue, uint32_t *device);

int command(const struct context *context, unsigned long request, void *argument);
int destroy(const struct context *context, uint32_t id);
/** The new id, or -errno. */
long ioas_alloc(const struct context *context);
int map(const struct context *context, uint32_t ioas, const void *memory, uint64_t length,
	uint32_t flags, uint64_t *iova);
int map_at(const struct context *context, const void *memory, uint64_t length, uint64_t iova);
/** @length: in: bytes to unmap; out: bytes unmapped. */
int unmap(const struct context *context, uint32_t ioas, uint64_t iova, uint64_t *length);
int unmap_at(const struct context *context, uint64_t iova, uint64_t length);
int copy(const struct context *context, uint32_t dst, uint64_t src_iova, uint64_t length,
	 uint32_t flags, uint64_t *dst_iova);
int option(const struct context *context, uint32_t option_id, uint16_t op, uint32_t object,
	   uint64_t *value);

int hwpt_alloc(const struct context *context, uint32_t device, uint32_t pt, uint32_t flags,
	       uint32_t *id);

/** Memory that is a file: descriptors of the process, and of the host. */
struct memory_file {
	int memfd;
	int file;
};

/** As session_open(), with a bound queue and a memfd of @size bytes. */
int file_session_open(struct context *context, struct memory_file *memory, size_t size, int *queue,
		      uint32_t *device);
void file_session_close(struct context *context, struct memory_file *memory, int queue);
int map_file(const struct context *context, uint32_t flags, uint32_t ioas, int file, uint64_t start,
	     uint64_t length, uint64_t iova);

/** Zeroed pages, aligned to 2 MiB. */
void *pages_alloc(size_t length);
void pages_free(void *address, size_t length);

#endif /* SELFTESTS_IOMMUFD_CONTEXT_H */
