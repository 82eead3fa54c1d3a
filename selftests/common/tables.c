// SPDX-License-Identifier: Apache-2.0
#include "tables.h"

#include <linux/iommufd.h>

#define GUEST_ENTRY 7ull /* present, writable, user */

int table_command(const struct space *space, unsigned long request, void *argument)
{
	return (int)wd_host_ioctl(space->device->host, space->fd, request, argument);
}

int table_destroy(const struct space *space, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return table_command(space, IOMMU_DESTROY, &cmd);
}

int table_ioas(const struct space *space, uint32_t *id)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	const int ret = table_command(space, IOMMU_IOAS_ALLOC, &cmd);

	if (!ret)
		*id = cmd.out_ioas_id;
	return ret;
}

int table_map(const struct space *space, uint32_t ioas, void *address, size_t length, uint64_t iova)
{
	struct space other = *space;

	other.ioas = ioas;
	return space_map(&other, address, length, iova);
}

int table_unmap(const struct space *space, uint32_t ioas, uint64_t iova, size_t length)
{
	struct space other = *space;

	other.ioas = ioas;
	return space_unmap(&other, iova, length);
}

int table_copy(const struct space *space, uint32_t ioas, uint64_t from, size_t length, uint64_t to)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.dst_ioas_id = ioas,
		.src_ioas_id = space->ioas,
		.length = length,
		.dst_iova = to,
		.src_iova = from,
	};

	return table_command(space, IOMMU_IOAS_COPY, &cmd);
}

static int alloc(const struct space *space, struct iommu_hwpt_alloc *cmd, uint32_t fault,
		 uint32_t *id)
{
	int ret;

	cmd->size = sizeof(*cmd);
	cmd->fault_id = fault;
	if (fault)
		cmd->flags |= IOMMU_HWPT_FAULT_ID_VALID;
	ret = table_command(space, IOMMU_HWPT_ALLOC, cmd);
	if (!ret)
		*id = cmd->out_hwpt_id;
	return ret;
}

int table_new(const struct space *space, uint32_t dev, uint32_t ioas, uint32_t flags,
	      uint32_t fault, uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {.flags = flags, .dev_id = dev, .pt_id = ioas};

	return alloc(space, &cmd, fault, id);
}

int table_nested(const struct space *space, uint32_t dev, uint32_t parent, uint64_t root,
		 uint32_t fault, uint32_t *id)
{
	const struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = root, .addr_width = 48};
	struct iommu_hwpt_alloc cmd = {
		.flags = IOMMU_HWPT_ALLOC_PASID,
		.dev_id = dev,
		.pt_id = parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(s1),
		.data_uptr = (uintptr_t)&s1,
	};

	return alloc(space, &cmd, fault, id);
}

int table_invalidate(const struct space *space, uint32_t nested)
{
	const struct iommu_hwpt_vtd_s1_invalidate entry = {.npages = UINT64_MAX};
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = nested,
		.data_uptr = (uintptr_t)&entry,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(entry),
		.entry_num = 1,
	};

	return table_command(space, IOMMU_HWPT_INVALIDATE, &cmd);
}

int table_fault_queue(const struct space *space, uint32_t *id, int *fd)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	const int ret = table_command(space, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	if (!ret) {
		*id = cmd.out_fault_id;
		*fd = (int)cmd.out_fault_fd;
	}
	return ret;
}

void guest_table(uint8_t *memory, uint64_t at, uint64_t va, uint64_t target)
{
	for (unsigned level = 0; level < GUEST_TABLE_PAGES; level++) {
		uint64_t *table = (uint64_t *)(memory + at + level * PAGE);
		const unsigned last = level == GUEST_TABLE_PAGES - 1;

		table[va >> (39 - 9 * level) & 511] =
			(last ? target : at + (level + 1) * PAGE) | GUEST_ENTRY;
	}
}

void guest_table_hole(uint8_t *memory, uint64_t at, uint64_t va)
{
	uint64_t *table = (uint64_t *)(memory + at + (GUEST_TABLE_PAGES - 1) * PAGE);

	table[va >> 12 & 511] = 0;
}
