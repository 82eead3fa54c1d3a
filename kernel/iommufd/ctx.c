// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other drivers hold a context by holding its file.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>

#include "iommufd.h"
#include "iommufd_private.h"

/**
 * iommufd_ctx_get() - hold a context
 * @ictx: context that the caller holds already
 */
void iommufd_ctx_get(struct iommufd_ctx *ictx)
{
	get_file(ictx->file);
}
EXPORT_SYMBOL_GPL(iommufd_ctx_get);

/**
 * iommufd_ctx_put() - give a context back
 * @ictx: context
 */
void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
	fput(ictx->file);
}
EXPORT_SYMBOL_GPL(iommufd_ctx_put);
