// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinned memory for drivers that use no IOAS: pinned, charged and limited as for IOMMU_IOAS_MAP.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "io_pagetable.h"
#include "iommufd.h"

struct iommufd_pin {
	struct iopt_pages *pages;
	unsigned long last;
};

/**
 * iommufd_pin_user() - pin memory of the calling process
 * @uptr: first byte
 * @length: bytes, not 0
 * @writable: devices may write it
 *
 * Return: the pin, charged to the caller's user; ERR_PTR of -EFAULT no memory there, -ENOMEM out of
 * memory or above RLIMIT_MEMLOCK, -EINVAL @length is 0 or the range leaves the user address space.
 */
struct iommufd_pin *iommufd_pin_user(unsigned long uptr, unsigned long length, bool writable)
{
	struct iopt_account *account;
	struct iommufd_pin *pin;
	unsigned long end;
	int rc = -ENOMEM;

	if (!length || check_add_overflow(uptr, length, &end) || end > TASK_SIZE_MAX)
		return ERR_PTR(-EINVAL);
	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return ERR_PTR(-ENOMEM);
	pin->last = ((end - 1) >> PAGE_SHIFT) - (uptr >> PAGE_SHIFT);
	account = iopt_account_alloc();
	if (!account)
		goto err_free;
	pin->pages = iopt_pages_alloc(account,
				      capable(CAP_IPC_LOCK) ? IOPT_ACCOUNT_NONE : IOPT_ACCOUNT_USER,
				      uptr, writable);
	iopt_account_put(account);
	if (IS_ERR(pin->pages)) {
		rc = PTR_ERR(pin->pages);
		goto err_free;
	}
	rc = iopt_pages_pin(pin->pages, 0, pin->last);
	if (!rc)
		return pin;
	iopt_pages_put(pin->pages);
err_free:
	kfree(pin);
	return ERR_PTR(rc);
}
EXPORT_SYMBOL_GPL(iommufd_pin_user);

/**
 * iommufd_unpin_user() - undo iommufd_pin_user(); any process may call it
 * @pin: the pin, which this frees
 */
void iommufd_unpin_user(struct iommufd_pin *pin)
{
	mutex_lock(&pin->pages->mutex);
	iopt_pages_unpin(pin->pages, 0, pin->last);
	mutex_unlock(&pin->pages->mutex);
	iopt_pages_put(pin->pages);
	kfree(pin);
}
EXPORT_SYMBOL_GPL(iommufd_unpin_user);
