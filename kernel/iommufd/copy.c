// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_IOAS_COPY: make new areas that share the backings of existing ones (IOMMUFD-COPY-2).
 */
#include <linux/sched.h>

#include "iommufd_private.h"
#include "trace.h"

/* Make a new area for each source area in the range. The new areas hold the backings. */
static int iommufd_copy_from(struct iommufd_ctx *ictx, const struct iommu_ioas_copy *cmd,
			     struct list_head *list)
{
	struct iommufd_ioas *src = iommufd_get_ioas(ictx, cmd->src_ioas_id);
	int rc;

	if (IS_ERR(src))
		return PTR_ERR(src);
	rc = iopt_get_pieces(&src->iopt, cmd->src_iova, cmd->length, list);
	iommufd_put_object(ictx, &src->obj);
	return rc;
}

static int iommufd_copy_to(struct iommufd_ctx *ictx, struct iommu_ioas_copy *cmd,
			   struct list_head *list)
{
	struct iommufd_ioas *dst = iommufd_get_ioas(ictx, cmd->dst_ioas_id);
	unsigned long iova = cmd->dst_iova;
	int rc;

	if (IS_ERR(dst))
		return PTR_ERR(dst);
	rc = iopt_map_areas(&dst->iopt, list, cmd->length, &iova, iommufd_ioas_prot(cmd->flags),
			    cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA);
	cmd->dst_iova = iova;
	iommufd_put_object(ictx, &dst->obj);
	return rc;
}

/* IOMMUFD-COPY-1 */
int iommufd_ioas_copy(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_copy *cmd = ucmd->cmd;
	struct iopt_area *area, *next;
	LIST_HEAD(list);
	int rc;

	if (cmd->flags &
	    ~(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE))
		return -EOPNOTSUPP;
	if (cmd->length >= ULONG_MAX || cmd->src_iova >= ULONG_MAX || cmd->dst_iova >= ULONG_MAX)
		return -EOVERFLOW;
	if (!(cmd->flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return -EINVAL;

	rc = iommufd_copy_from(ucmd->ictx, cmd, &list);
	if (!rc)
		rc = iommufd_copy_to(ucmd->ictx, cmd, &list);
	trace_iommufd_copy(cmd->dst_ioas_id, cmd->src_ioas_id, cmd->length, cmd->dst_iova,
			   cmd->src_iova, rc);
	/* After success the list is empty: the areas belong to the destination. */
	list_for_each_entry_safe (area, next, &list, build_item) {
		iopt_area_free(area);
		cond_resched();
	}
	return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
