// SPDX-License-Identifier: GPL-2.0-only
/*
 * In-kernel accesses: objects of drivers that use the memory of an IOAS without an IOMMU, as
 * software devices and drivers of mediated devices do (IOMMUFD-ACCESS-1 to IOMMUFD-ACCESS-5).
 */
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/slab.h>

#include "iommufd.h"
#include "iommufd_private.h"
#include "trace.h"

/**
 * struct iommufd_access - a driver's access to an IOAS
 * @obj: first member; one user for the driver
 * @ictx: held
 * @ops: the driver's
 * @data: for @ops
 * @lock: for the rest. Inner to nothing; no callback runs under it
 * @ioas: what pins and copies use, held; NULL: not attached
 * @pinned_ioas: where pins may be left, as @ioas; while the access leaves it @ioas is NULL already
 * @pins: number of its pins in @pinned_ioas
 * @index: in iommufd_ioas.accesses
 */
struct iommufd_access {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	const struct iommufd_access_ops *ops;
	void *data;
	struct mutex lock;
	struct iommufd_ioas *ioas;
	struct iommufd_ioas *pinned_ioas;
	unsigned long pins;
	u32 index;
};

/* How often a driver is asked to give up its pins, a millisecond apart, before it is at fault. */
#define IOMMUFD_DROP_TRIES 10000

/* Most accesses of one IOAS. */
#define IOMMUFD_MAX_ACCESSES (1U << 16)

/* Hold the access with the lowest index at or after *@index. Return: NULL if there is none. */
static struct iommufd_access *iommufd_next_access(struct iommufd_ioas *ioas, unsigned long *index)
{
	struct iommufd_access *access;

	xa_lock(&ioas->accesses);
	do {
		access = xa_find(&ioas->accesses, index, ULONG_MAX, XA_PRESENT);
		++*index;
	} while (access && !iommufd_hold_object(access->ictx, &access->obj));
	xa_unlock(&ioas->accesses);
	return access;
}

static void iommufd_access_call_unmap(struct iommufd_access *access, unsigned long iova,
				      unsigned long length)
{
	if (!access->ops->unmap)
		return;
	trace_iommufd_access_unmap(access->obj.id, iova, length);
	access->ops->unmap(access->data, iova, length);
}

/* io_pagetable.unmap_pins. An access that is being destroyed gives up its pins anyway. */
void iommufd_access_unmap_pins(struct io_pagetable *iopt, unsigned long start, unsigned long last)
{
	struct iommufd_ioas *ioas = container_of(iopt, struct iommufd_ioas, iopt);
	struct iommufd_access *access;
	unsigned long index = 0;

	while ((access = iommufd_next_access(ioas, &index))) {
		iommufd_access_call_unmap(access, start, last - start + 1);
		iommufd_put_object(access->ictx, &access->obj);
		cond_resched();
	}
}

/**
 * iommufd_access_create() - make an access for a driver
 * @ictx: context, which the access holds
 * @ops: what the driver does, see struct iommufd_access_ops
 * @data: for @ops
 * @id: gets the object id for user space
 *
 * Return: the access, not attached; ERR_PTR of -EINVAL a driver that pins has no unmap operation,
 * -ENOMEM, -EBUSY all ids are taken
 */
struct iommufd_access *iommufd_access_create(struct iommufd_ctx *ictx,
					     const struct iommufd_access_ops *ops, void *data,
					     u32 *id)
{
	struct iommufd_access *access;

	if (ops->needs_pin_pages && !ops->unmap)
		return ERR_PTR(-EINVAL);
	access = iommufd_object_alloc(ictx, access, obj, IOMMUFD_OBJ_ACCESS);
	if (IS_ERR(access))
		return access;
	access->ictx = ictx;
	access->ops = ops;
	access->data = data;
	mutex_init(&access->lock);
	iommufd_ctx_get(ictx);
	/* A user for the driver, so that user space cannot destroy the object. */
	iommufd_object_use(&access->obj);
	*id = access->obj.id;
	iommufd_object_finalize(ictx, &access->obj);
	return access;
}
EXPORT_SYMBOL_GPL(iommufd_access_create);

static int iommufd_access_join(struct iommufd_access *access, struct iommufd_ioas *ioas)
{
	int rc;

	if (access->ops->needs_pin_pages) {
		rc = iopt_want_whole_pages(&ioas->iopt);
		if (rc)
			return rc;
	}
	rc = xa_alloc(&ioas->accesses, &access->index, access,
		      XA_LIMIT(0, IOMMUFD_MAX_ACCESSES - 1), GFP_KERNEL_ACCOUNT);
	if (rc) {
		if (access->ops->needs_pin_pages)
			iopt_want_no_whole_pages(&ioas->iopt);
		return rc;
	}
	iommufd_object_use(&ioas->obj);
	return 0;
}

static void iommufd_access_part(struct iommufd_access *access, struct iommufd_ioas *ioas, u32 index)
{
	xa_erase(&ioas->accesses, index);
	if (access->ops->needs_pin_pages)
		iopt_want_no_whole_pages(&ioas->iopt);
	iommufd_object_unuse(&ioas->obj);
}

/*
 * Let the driver give up all its pins. It may just have got one that it has not noted yet; then it
 * notes it soon, and is asked again.
 */
static void iommufd_access_drop_pins(struct iommufd_access *access)
{
	unsigned int tries = 0;

	lockdep_assert_held(&access->lock);

	do {
		mutex_unlock(&access->lock);
		if (tries)
			msleep(1);
		iommufd_access_call_unmap(access, 0, ULONG_MAX);
		mutex_lock(&access->lock);
	} while (access->pins && ++tries < IOMMUFD_DROP_TRIES);
	WARN_ON(access->pins);
}

/*
 * Go from the IOAS of the access, if it has one, to @ioas, or to none. The caller holds access->lock,
 * which this drops while the driver gives up its pins.
 */
static int iommufd_access_move(struct iommufd_access *access, struct iommufd_ioas *ioas)
{
	struct iommufd_ioas *before = access->ioas;
	u32 index = access->index;
	int rc;

	lockdep_assert_held(&access->lock);

	if (access->pinned_ioas != before)
		return -EBUSY;
	if (ioas) {
		rc = iommufd_access_join(access, ioas);
		if (rc) {
			access->index = index;
			return rc;
		}
	}
	access->ioas = NULL;
	if (before) {
		iommufd_access_drop_pins(access);
		iommufd_access_part(access, before, index);
	}
	access->ioas = ioas;
	access->pinned_ioas = ioas;
	return 0;
}

static int iommufd_access_change(struct iommufd_access *access, u32 ioas_id, bool attached)
{
	struct iommufd_ioas *ioas;
	int rc;

	ioas = iommufd_get_ioas(access->ictx, ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	mutex_lock(&access->lock);
	if (attached != !!access->pinned_ioas)
		rc = attached ? -ENOENT : -EINVAL;
	else if (attached && access->ioas == ioas)
		rc = 0;
	else
		rc = iommufd_access_move(access, ioas);
	mutex_unlock(&access->lock);
	iommufd_put_object(access->ictx, &ioas->obj);
	return rc;
}

/**
 * iommufd_access_attach() - let an access use an IOAS
 * @access: access, not attached
 * @ioas_id: id from user space
 *
 * Return: 0; -EINVAL attached already, -ENOENT no such IOAS, -EADDRINUSE the access pins and a
 * mapping or an allowed range of the IOAS does not consist of whole pages, -EBUSY the IOAS has too
 * many accesses, -ENOMEM
 */
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id)
{
	int rc = iommufd_access_change(access, ioas_id, false);

	trace_iommufd_access_attach(access->obj.id, ioas_id, rc);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_access_attach);

/**
 * iommufd_access_replace() - let an access use another IOAS
 * @access: attached access
 * @ioas_id: id from user space
 *
 * The driver has given up all pins in the IOAS of before when this returns.
 *
 * Return: 0, also for the same IOAS; -ENOENT not attached or no such IOAS, -EBUSY another thread
 * attaches or detaches it, otherwise as iommufd_access_attach(). After an error nothing has changed
 */
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id)
{
	int rc = iommufd_access_change(access, ioas_id, true);

	trace_iommufd_access_replace(access->obj.id, ioas_id, rc);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_access_replace);

/**
 * iommufd_access_detach() - undo iommufd_access_attach()
 * @access: access; if it is not attached, there is nothing to do
 */
void iommufd_access_detach(struct iommufd_access *access)
{
	u32 id;

	mutex_lock(&access->lock);
	if (access->ioas) {
		id = access->ioas->obj.id;
		if (!iommufd_access_move(access, NULL))
			trace_iommufd_access_detach(access->obj.id, id);
	}
	mutex_unlock(&access->lock);
}
EXPORT_SYMBOL_GPL(iommufd_access_detach);

/**
 * iommufd_access_destroy() - undo iommufd_access_create(), and detach the access
 * @access: access that no other call of the driver uses
 *
 * Waits for operations of the driver that run. None runs afterwards.
 */
void iommufd_access_destroy(struct iommufd_access *access)
{
	struct iommufd_ctx *ictx = access->ictx;

	iommufd_access_detach(access);
	iommufd_object_remove(ictx, &access->obj);
	iommufd_ctx_put(ictx);
}
EXPORT_SYMBOL_GPL(iommufd_access_destroy);

void iommufd_access_release(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_access *access = container_of(obj, struct iommufd_access, obj);

	WARN_ON(access->pinned_ioas);
	mutex_destroy(&access->lock);
}

/* Hold the IOAS of an access for a call that touches memory. */
static struct iommufd_ioas *iommufd_access_ioas(struct iommufd_access *access)
{
	struct iommufd_ioas *ioas;

	mutex_lock(&access->lock);
	ioas = access->ioas;
	/* While it is attached no other thread destroys it. */
	if (ioas && WARN_ON(!iommufd_hold_object(access->ictx, &ioas->obj)))
		ioas = NULL;
	mutex_unlock(&access->lock);
	return ioas;
}

/**
 * iommufd_access_pin_pages() - pin mapped memory
 * @access: access whose driver needs_pin_pages
 * @iova: first address
 * @length: bytes
 * @pages: gets each page, in order
 * @flags: IOMMUFD_ACCESS_RW_WRITE: the driver will write to it
 *
 * The memory is the same that devices reach there, and its process pays for each page once. The
 * driver gives it back by iommufd_access_unpin_pages() for the same range, at the latest in its
 * unmap operation. Until it has noted a new pin, so that this operation finds it, the driver waits
 * for nothing that a process can hold: others may be waiting for that pin. A process can make this
 * call wait for ever; it ends if the caller is killed.
 *
 * Return: 0; -EINVAL @length is 0, a flag is not known, the driver does not pin, the memory is being
 * unmapped or does not consist of whole pages; -EOVERFLOW; -ENOENT not attached, or not all is
 * mapped; -EPERM the mapping does not allow it; -EBUSY too many calls at once; -EFAULT, -ENOMEM,
 * -EINTR from pinning; in a kernel thread -EFAULT also for memory of a file that nobody has pinned.
 * After an error nothing is pinned
 */
int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **pages, unsigned int flags)
{
	struct iommufd_ioas *ioas;
	unsigned long last;
	bool left;
	int rc;

	if (!access->ops->needs_pin_pages || flags & ~IOMMUFD_ACCESS_RW_WRITE)
		return -EINVAL;
	rc = iopt_range_last(iova, length, &last);
	if (rc)
		return rc;
	ioas = iommufd_access_ioas(access);
	if (!ioas)
		return -ENOENT;
	rc = iopt_access_pin(&ioas->iopt, iova, last, flags & IOMMUFD_ACCESS_RW_WRITE, false,
			     pages);
	/* If the access has left the IOAS meanwhile, its unmap operation did not know this pin. */
	mutex_lock(&access->lock);
	left = access->ioas != ioas;
	access->pins += !rc && !left;
	mutex_unlock(&access->lock);
	if (!rc && left) {
		iopt_access_unpin(&ioas->iopt, iova, last, false);
		rc = -ENOENT;
	}
	iommufd_put_object(access->ictx, &ioas->obj);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_access_pin_pages);

/**
 * iommufd_access_unpin_pages() - undo iommufd_access_pin_pages()
 * @access: access
 * @iova: as given there
 * @length: as given there
 */
void iommufd_access_unpin_pages(struct iommufd_access *access, unsigned long iova,
				unsigned long length)
{
	struct iommufd_ioas *ioas;
	unsigned long last;

	if (WARN_ON(iopt_range_last(iova, length, &last)))
		return;
	mutex_lock(&access->lock);
	ioas = access->pinned_ioas;
	mutex_unlock(&access->lock);
	/* The access stays there as long as the driver has pins. */
	if (WARN_ON(!ioas))
		return;
	iopt_access_unpin(&ioas->iopt, iova, last, false);
	mutex_lock(&access->lock);
	WARN_ON(!access->pins--);
	mutex_unlock(&access->lock);
}
EXPORT_SYMBOL_GPL(iommufd_access_unpin_pages);

/**
 * iommufd_access_rw() - copy from or to mapped memory
 * @access: access
 * @iova: first address, of any alignment
 * @data: the other side, memory of the kernel
 * @length: bytes
 * @flags: IOMMUFD_ACCESS_RW_WRITE: copy to the IOAS; IOMMUFD_ACCESS_RW_KTHREAD: the caller is no
 *	system call of a process
 *
 * Return: 0; errors as iommufd_access_pin_pages(), apart from those of alignment and of drivers
 * that do not pin. After an error a part may have been copied
 */
int iommufd_access_rw(struct iommufd_access *access, unsigned long iova, void *data, size_t length,
		      unsigned int flags)
{
	struct iommufd_ioas *ioas;
	unsigned long last;
	int rc;

	if (flags & ~(IOMMUFD_ACCESS_RW_WRITE | IOMMUFD_ACCESS_RW_KTHREAD))
		return -EINVAL;
	rc = iopt_range_last(iova, length, &last);
	if (rc)
		return rc;
	ioas = iommufd_access_ioas(access);
	if (!ioas)
		return -ENOENT;
	rc = iopt_access_rw(&ioas->iopt, iova, last, flags & IOMMUFD_ACCESS_RW_WRITE,
			    !(flags & IOMMUFD_ACCESS_RW_KTHREAD), data);
	iommufd_put_object(access->ictx, &ioas->obj);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_access_rw);
