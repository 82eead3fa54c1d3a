/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of Linux's own VFIO (vfio-pci with a type 1 container) that the programs of this folder
 * need, for one function. Only <linux/vfio.h> is used. Native host only. Thread-bound.
 *
 * Functions return 0 or more, or -errno, unless they say otherwise.
 */
#ifndef SELFTESTS_VFIO_FUNCTION_H
#define SELFTESTS_VFIO_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../common/zip.h"

#define PAGE 4096ul
/** Room for an address like 0000:75:00.0. */
#define ADDRESS_SIZE 16

/** A function with its group in a container. */
struct function {
	char address[ADDRESS_SIZE];
	int container, group, device;
	uint64_t config; /**< offset of configuration space in @device */
	volatile uint8_t *registers;
	size_t registers_size;
};

/**
 * Find the function for the test: environment variable WD_VFIO_DEVICE, else the first accelerator
 * that is bound to vfio-pci. -ENODEV: none.
 */
int function_find(char address[ADDRESS_SIZE]);

/**
 * Open the function at @address in a container of its own, with bus mastering on and BAR2 mapped.
 * Without interrupt remapping type 1 answers -EPERM, unless the module's parameter
 * allow_unsafe_interrupts is set.
 */
int function_open(struct function *function, const char *address);
void function_close(struct function *function);
/** Its BAR2. */
struct zip_registers function_registers(struct function *function);
/** VFIO_DEVICE_RESET, and bus mastering on again. */
int function_reset(struct function *function);
/**
 * VFIO_DEVICE_PCI_HOT_RESET, a reset of the function's bus, and bus mastering on again. Fails if
 * others are on the bus, or if there is no bridge that could do it (-ENODEV, -ENOTTY).
 */
int function_hot_reset(struct function *function);

/** Little-endian configuration space, 1, 2 or 4 bytes. */
int config_read(struct function *function, unsigned offset, unsigned size, uint32_t *value);
int config_write(struct function *function, unsigned offset, unsigned size, uint32_t value);
/** Offset of the capability @id; 0: none. */
unsigned config_capability(struct function *function, uint8_t id);

/** Map @memory: the device may read it, and write it if @writable. */
int dma_map(struct function *function, void *memory, uint64_t length, uint64_t iova, bool writable);
/** @return bytes unmapped, or -errno. */
int64_t dma_unmap(struct function *function, uint64_t iova, uint64_t length);

/** Signal @eventfd for MSI-X message 0; -1: stop signalling. */
int message_to(struct function *function, int eventfd);

/** Number of faults that the IOMMU of the function has recorded, or -errno. */
int64_t fault_count(const struct function *function);

#endif /* SELFTESTS_VFIO_FUNCTION_H */
