// SPDX-License-Identifier: Apache-2.0
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "iommufd.h"
#include "mock_keeper.h"

struct mock_keeper {
	struct iommufd_access *access;
	unsigned long iova;
	atomic_t asked;
};

static void mock_keeper_unmap(void *data, unsigned long iova, unsigned long length)
{
	struct mock_keeper *keeper = data;

	atomic_inc(&keeper->asked);
}

static const struct iommufd_access_ops mock_keeper_ops = {
	.needs_pin_pages = true,
	.unmap = mock_keeper_unmap,
};

static int mock_keeper_pin(struct mock_keeper *keeper, unsigned int ioas)
{
	struct page *page;
	int rc = iommufd_access_attach(keeper->access, ioas);

	if (rc)
		return rc;
	return iommufd_access_pin_pages(keeper->access, keeper->iova, PAGE_SIZE, &page, 0);
}

struct mock_keeper *mock_keeper_open(struct iommufd_ctx *ictx, struct mock_keep *keep)
{
	struct mock_keeper *keeper = kzalloc(sizeof(*keeper), GFP_KERNEL);
	int rc;

	if (!keeper)
		return ERR_PTR(-ENOMEM);
	keeper->iova = keep->iova;
	keeper->access = iommufd_access_create(ictx, &mock_keeper_ops, keeper, &keep->out_id);
	rc = PTR_ERR_OR_ZERO(keeper->access);
	if (rc)
		goto err_free;
	rc = mock_keeper_pin(keeper, keep->ioas);
	if (rc)
		goto err_destroy;
	return keeper;

err_destroy:
	iommufd_access_destroy(keeper->access);
err_free:
	kfree(keeper);
	return ERR_PTR(rc);
}

int mock_keeper_close(struct mock_keeper *keeper)
{
	const int asked = atomic_read(&keeper->asked);

	iommufd_access_unpin_pages(keeper->access, keeper->iova, PAGE_SIZE);
	iommufd_access_destroy(keeper->access);
	kfree(keeper);
	return asked;
}
