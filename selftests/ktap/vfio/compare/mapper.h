/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interface of the kernel that maps memory for a device, for map_compare. map() and unmap() make
 * one system call each. Thread-bound.
 */
#ifndef SELFTESTS_VFIO_MAPPER_H
#define SELFTESTS_VFIO_MAPPER_H

#include <stddef.h>
#include <stdint.h>

struct mapper {
	const char *name;
	/**
	 * Bind the right driver to the function at @address, and attach an empty address space to
	 * it. 0 or -errno.
	 */
	int (*open)(const char *address);
	void (*close)(void);
	/** 0 or -errno. */
	int (*map)(void *memory, uint64_t length, uint64_t iova);
	int (*unmap)(uint64_t iova, uint64_t length);
};

/** vfio-pci, VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA of a type 1 container. */
extern const struct mapper type1_mapper;
/** hisi_zip, IOMMU_IOAS_MAP and IOMMU_IOAS_UNMAP; attached at a PASID to a queue. */
extern const struct mapper iommufd_mapper;

#endif /* SELFTESTS_VFIO_MAPPER_H */
