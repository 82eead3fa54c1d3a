// SPDX-License-Identifier: GPL-2.0-only
/*
 * Settings: IOMMU_OPTION and the choice of the IOAS on which VFIO container requests act.
 */
#include <linux/capability.h>

#include "iommufd_private.h"

/* IOMMUFD-OPT-1 */
static int iommufd_option_rlimit_mode(struct iommu_option *cmd, struct iommufd_ctx *ictx)
{
	int rc = 0;

	if (cmd->object_id)
		return -EOPNOTSUPP;
	if (cmd->op == IOMMU_OPTION_OP_GET) {
		cmd->val64 = READ_ONCE(ictx->account_mode) == IOPT_ACCOUNT_MM;
		return 0;
	}

	if (!capable(CAP_SYS_RESOURCE))
		return -EPERM;
	xa_lock(&ictx->objects);
	if (!xa_empty(&ictx->objects))
		rc = -EBUSY;
	else if (cmd->val64 == 0)
		WRITE_ONCE(ictx->account_mode, IOPT_ACCOUNT_USER);
	else if (cmd->val64 == 1)
		WRITE_ONCE(ictx->account_mode, IOPT_ACCOUNT_MM);
	else
		rc = -EINVAL;
	xa_unlock(&ictx->objects);
	return rc;
}

/* IOMMUFD-OPT-2 */
static int iommufd_option_huge_pages(struct iommu_option *cmd, struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;
	int rc = 0;

	ioas = iommufd_get_ioas(ictx, cmd->object_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (cmd->op == IOMMU_OPTION_OP_GET) {
		down_read(&ioas->iopt.domains_rwsem);
		cmd->val64 = ioas->iopt.large_pages;
		up_read(&ioas->iopt.domains_rwsem);
	} else if (cmd->val64 > 1) {
		rc = -EINVAL;
	} else {
		rc = iopt_set_large_pages(&ioas->iopt, cmd->val64);
	}
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}

int iommufd_option(struct iommufd_ucmd *ucmd)
{
	struct iommu_option *cmd = ucmd->cmd;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->op != IOMMU_OPTION_OP_SET && cmd->op != IOMMU_OPTION_OP_GET)
		return -EOPNOTSUPP;

	switch (cmd->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		rc = iommufd_option_rlimit_mode(cmd, ucmd->ictx);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		rc = iommufd_option_huge_pages(cmd, ucmd->ictx);
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (rc)
		return rc;
	if (copy_to_user(ucmd->ubuffer + offsetof(struct iommu_option, val64), &cmd->val64,
			 sizeof(cmd->val64)))
		return -EFAULT;
	return 0;
}

static int iommufd_vfio_ioas_set(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_ioas *ioas = iommufd_get_ioas(ictx, id);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	xa_lock(&ictx->objects);
	ictx->vfio_ioas = ioas;
	xa_unlock(&ictx->objects);
	iommufd_put_object(ictx, &ioas->obj);
	return 0;
}

/* IOMMUFD-OPT-3 */
int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	bool found;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		xa_lock(&ictx->objects);
		found = ictx->vfio_ioas;
		if (found)
			cmd->ioas_id = ictx->vfio_ioas->obj.id;
		xa_unlock(&ictx->objects);
		return found ? iommufd_ucmd_respond(ucmd, sizeof(*cmd)) : -ENODEV;
	case IOMMU_VFIO_IOAS_SET:
		return iommufd_vfio_ioas_set(ictx, cmd->ioas_id);
	case IOMMU_VFIO_IOAS_CLEAR:
		xa_lock(&ictx->objects);
		ictx->vfio_ioas = NULL;
		xa_unlock(&ictx->objects);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}
