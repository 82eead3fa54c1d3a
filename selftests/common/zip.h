/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A minimal driver of the ZIP accelerator in user space: mailbox, contexts and one queue pair
 * through BAR2 (Documentation/design/machine/zip.rst). Its tables and rings are in memory that the
 * caller has mapped for the device. Thread-bound.
 */
#ifndef SELFTESTS_COMMON_ZIP_H
#define SELFTESTS_COMMON_ZIP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Memory that the device needs: contexts, event queues, one queue pair. */
#define ZIP_MEMORY (64ul << 10)

#define ZIP_COMPRESS 0
#define ZIP_DECOMPRESS 1

/** Access to the device's BAR2, which is mapped or used through a file. */
struct zip_registers {
	uint32_t (*read)(void *context, uint32_t offset);
	/** @size is 4 or 8. */
	void (*write)(void *context, uint32_t offset, uint64_t value, unsigned size);
	void *context;
};

struct zip {
	struct zip_registers registers;
	uint8_t *memory;
	uint64_t iova; /**< of @memory */
	unsigned tail; /**< requests since the queue was started, modulo its depth */
	bool phase;
};

/**
 * Bring the device up: @memory (ZIP_MEMORY bytes, page aligned) is mapped at @iova, readable and
 * writable. 0; -EIO: the device refuses a context; -ETIMEDOUT.
 */
int zip_start(struct zip *zip, const struct zip_registers *registers, void *memory, uint64_t iova);

/** Start queue 0, armed: its first completion raises an event. Errors as zip_start(). */
int zip_queue(struct zip *zip, unsigned type);
/** The same, but buffers of requests are addresses of @pasid. */
int zip_queue_at(struct zip *zip, unsigned type, uint16_t pasid);

/**
 * Let the device read a queue context at @iova (a DMA read of 32 bytes). -EIO: it cannot.
 */
int zip_load(struct zip *zip, uint64_t iova);
/** Let it write queue 0's context to @iova (a DMA write of 32 bytes). -EIO: it cannot. */
int zip_dump(struct zip *zip, uint64_t iova);

/** Make the context of queue 0 for zip_load(). */
void zip_context(const struct zip *zip, unsigned type, uint32_t context[8]);

/**
 * Run one request in raw deflate format on the queue.
 * @return bytes produced; -EIO: the device reports an error (an address that is not mapped, too
 * little room); -ETIMEDOUT
 */
int zip_run(struct zip *zip, uint64_t in, uint32_t length, uint64_t out, uint32_t room);
/**
 * Send as zip_run() does, without waiting. zip_run() works again after zip_start(). @return its
 * slot
 */
unsigned zip_send(struct zip *zip, uint64_t in, uint32_t length, uint64_t out, uint32_t room);

#ifdef __cplusplus
}
#endif

#endif /* SELFTESTS_COMMON_ZIP_H */
