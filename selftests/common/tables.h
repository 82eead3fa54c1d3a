/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of /dev/iommu for chains of failures: IOAS, kinds of HWPT, fault queues, and the page
 * table of a guest. Functions return 0 or -errno, and write an id only on success.
 */
#ifndef SELFTESTS_COMMON_TABLES_H
#define SELFTESTS_COMMON_TABLES_H

#include "../ktap/hisi_qm/queue.h"

#define TABLE_PARENT (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)

/** Call a command on the file of @space. */
int table_command(const struct space *space, unsigned long request, void *argument);
int table_destroy(const struct space *space, uint32_t id);
int table_ioas(const struct space *space, uint32_t *id);
/** As space_map(), but into @ioas. */
int table_map(const struct space *space, uint32_t ioas, void *address, size_t length,
	      uint64_t iova);
int table_unmap(const struct space *space, uint32_t ioas, uint64_t iova, size_t length);
/** Copy a part of the space's own IOAS into @ioas. */
int table_copy(const struct space *space, uint32_t ioas, uint64_t from, size_t length, uint64_t to);

/** Make a kernel-managed table of @ioas for the bound device @dev. @fault: id of a queue, or 0. */
int table_new(const struct space *space, uint32_t dev, uint32_t ioas, uint32_t flags,
	      uint32_t fault, uint32_t *id);
/** Make a user-managed table with its root at @root of @parent. */
int table_nested(const struct space *space, uint32_t dev, uint32_t parent, uint64_t root,
		 uint32_t fault, uint32_t *id);
/** Invalidate everything that is cached of @nested. */
int table_invalidate(const struct space *space, uint32_t nested);
int table_fault_queue(const struct space *space, uint32_t *id, int *fd);

/** Number of pages that guest_table() writes. */
#define GUEST_TABLE_PAGES 4
/**
 * Write a four-level table that maps the page @va to the guest page @target. The table is at @at in
 * @memory, which is the guest's memory from address 0 on.
 */
void guest_table(uint8_t *memory, uint64_t at, uint64_t va, uint64_t target);
/** Unmap the page @va in the table at @at, which guest_table() has made. */
void guest_table_hole(uint8_t *memory, uint64_t at, uint64_t va);

#endif /* SELFTESTS_COMMON_TABLES_H */
