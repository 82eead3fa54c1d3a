/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of /dev/iommu that the chains of failures make: IOAS, kinds of HWPT, fault queues, and
 * the page table of a guest. Functions return 0 or -errno; an id is written only on success.
 */
#ifndef SELFTESTS_COMMON_TABLES_H
#define SELFTESTS_COMMON_TABLES_H

#include "../ktap/hisi_qm/queue.h"

#define TABLE_PARENT (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)

/** A command of the space's file. */
int table_command(const struct space *space, unsigned long request, void *argument);
int table_destroy(const struct space *space, uint32_t id);
int table_ioas(const struct space *space, uint32_t *id);
/** As space_map(), into @ioas. */
int table_map(const struct space *space, uint32_t ioas, void *address, size_t length,
	      uint64_t iova);
int table_unmap(const struct space *space, uint32_t ioas, uint64_t iova, size_t length);
/** Part of the space's own IOAS into @ioas. */
int table_copy(const struct space *space, uint32_t ioas, uint64_t from, size_t length, uint64_t to);

/** A table of the kernel for @ioas and the bound device @dev; @fault: id of a queue, or 0. */
int table_new(const struct space *space, uint32_t dev, uint32_t ioas, uint32_t flags,
	      uint32_t fault, uint32_t *id);
/** A user's table with its root at @root of @parent. */
int table_nested(const struct space *space, uint32_t dev, uint32_t parent, uint64_t root,
		 uint32_t fault, uint32_t *id);
/** Everything that is cached of it. */
int table_invalidate(const struct space *space, uint32_t nested);
int table_fault_queue(const struct space *space, uint32_t *id, int *fd);

/** Pages that guest_table() writes. */
#define GUEST_TABLE_PAGES 4
/**
 * Write a four-level table that leads from the page @va to the page @target, which is an address
 * of the guest. The table is at @at in @memory, which is the guest's memory from 0 on.
 */
void guest_table(uint8_t *memory, uint64_t at, uint64_t va, uint64_t target);
/** The page @va leads nowhere in the table at @at, which is a table of guest_table(). */
void guest_table_hole(uint8_t *memory, uint64_t at, uint64_t va);

#endif /* SELFTESTS_COMMON_TABLES_H */
