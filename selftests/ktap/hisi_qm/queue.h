/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers that the programs of this folder share: a device, its queues, address spaces, and
 * requests written by hand. Only <wd/host.h> and the uapi headers are used, so the same programs
 * run on any host. Thread-bound: one object, one thread.
 */
#ifndef SELFTESTS_HISI_QM_QUEUE_H
#define SELFTESTS_HISI_QM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wd/host.h>

/** A device of class uacce and its attributes. */
struct device {
	struct wd_host *host;
	char sysfs[128];
	char path[128];
	size_t mmio_size, dus_size;
	/** Offset of the doorbell words, or -1. */
	long words;
	/** The attribute "dma_mode" before device_open(). */
	char mode_before[32];
};

/** An open queue file. */
struct queue {
	struct device *device;
	int fd;
	unsigned id, depth;
	uint32_t device_id; /**< in the iommufd it is bound to */
	uint32_t pasid;
	volatile uint8_t *mmio, *dus;
	unsigned tail, head; /**< submission and completion ring */
	bool phase;
	uint64_t arms;
};

/** A context of /dev/iommu with one IOAS. */
struct space {
	struct device *device;
	int fd;
	uint32_t ioas, hwpt;
	uint32_t hwpt_flags; /**< IOMMU_HWPT_ALLOC_* of @hwpt, beside PASID */
};

/** A request on flat buffers. Addresses are those of the queue's address space. */
struct request {
	unsigned algorithm; /**< 1 raw deflate, 2 zlib, 3 gzip */
	uint64_t source, dest;
	uint32_t length, space;
	uint32_t tag;
};

struct result {
	unsigned status;
	uint32_t consumed, produced, tag;
};

#define COMPRESS 0
#define DECOMPRESS 1
#define PAGE 4096ul

/**
 * Open the first device of the host, or the one that WD_UACCE names, and set its mode to "iommufd":
 * its queues then start only with an attached address space. device_close() restores the mode.
 * @return 0; -ENODEV: there is none, a reason to skip; other -errno.
 */
int device_open(struct device *device);
/** Look up device @name of class uacce on an open host. Its sizes are 0 or less if it has gone. */
void device_at(struct wd_host *host, const char *name, struct device *device);
void device_close(struct device *device);
/** Set the mode of queues that start from now on. @return 0 or -errno. */
int mode_set(struct device *device, const char *mode);
/** True if the device can have @mode. */
bool mode_possible(struct device *device, const char *mode);
long device_number(struct device *device, const char *attribute);
/**
 * Wait until the device has @count free queues again. That may take long: if the device did not
 * stop a queue in time, the driver asks it again and again. @return false after a time-out
 */
bool device_queues_return(struct device *device, long count);

/* Every function returns 0 or -errno unless it says otherwise. */
int queue_open(struct device *device, struct queue *queue);
void queue_close(struct queue *queue);
long queue_ioctl(struct queue *queue, unsigned long request, void *argument);
int queue_bind(struct queue *queue, int iommufd);
/** @pasid 0: any. */
int queue_attach(struct queue *queue, uint32_t hwpt, uint32_t pasid);
int queue_detach(struct queue *queue);
int queue_map(struct queue *queue);
int queue_start(struct queue *queue, unsigned type);
int queue_stop(struct queue *queue);
void queue_send(struct queue *queue, const struct request *request);
/** @return true if there was a completion. */
bool queue_receive(struct queue *queue, struct result *result);
/** Spin for a completion. -ETIMEDOUT after @timeout_ms. */
int queue_wait(struct queue *queue, struct result *result, unsigned timeout_ms);
void queue_arm(struct queue *queue);

int space_open(struct device *device, struct space *space);
/** Another IOAS in the context of @first. It ends with space_close() of @first. */
int space_second(const struct space *first, struct space *space);
void space_close(struct space *space);
/** Make a HWPT for the device of @queue, which is bound. It can be attached at a PASID. */
int space_hwpt(struct space *space, const struct queue *queue);
int space_map(struct space *space, void *address, size_t length, uint64_t iova);
int space_unmap(struct space *space, uint64_t iova, size_t length);

/** Open a queue, bind it to @space, attach it at any PASID, map and start it. */
int queue_ready(struct device *device, struct space *space, struct queue *queue, unsigned type);

/** Zeroed pages. */
void *pages_alloc(size_t length);
void pages_free(void *address, size_t length);

/**
 * 1 if the IOMMU's log has a fault of @pasid in the page of @address, else 0. -errno without log.
 */
int fault_logged(struct device *device, uint32_t pasid, uint64_t address);

#endif /* SELFTESTS_HISI_QM_QUEUE_H */
