/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One interface that maps memory for a device, for the measurements of map_compare. map() and
 * unmap() make exactly the two system calls. Thread-bound.
 */
#ifndef SELFTESTS_VFIO_MAPPER_H
#define SELFTESTS_VFIO_MAPPER_H

#include <stddef.h>
#include <stdint.h>

struct mapper {
	const char *name;
	/**
	 * Take the function at @address (its driver is bound by this) and attach an empty address
	 * space to it. 0 or -errno.
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
