// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of objects: reserve an id -> do everything that can fail -> make it visible -> destroy it.
 * For objects made by a command, the dispatcher in main.c makes them visible, or destroys them
 * after an error, so that no handler can forget it.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "iommufd_private.h"

/**
 * __iommufd_object_alloc() - allocate a zeroed object with a reserved id, not visible yet
 * @ictx: context
 * @size: of the structure that begins with the object
 * @type: type
 *
 * Return: the object, or ERR_PTR(-ENOMEM, -EBUSY when all ids are taken)
 */
struct iommufd_object *__iommufd_object_alloc(struct iommufd_ctx *ictx, size_t size,
					      enum iommufd_object_type type)
{
	struct iommufd_object *obj;
	int rc;

	obj = kzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->type = type;
	refcount_set(&obj->users, 1);
	refcount_set(&obj->wait_cnt, 1);

	/* Take the lowest free id. With NULL there, lookups find nothing until finalize. */
	rc = xa_alloc(&ictx->objects, &obj->id, NULL, xa_limit_31b, GFP_KERNEL_ACCOUNT);
	if (rc) {
		kfree(obj);
		return ERR_PTR(rc);
	}
	return obj;
}

/* As iommufd_object_finalize(), with the lock of the objects held. */
void __iommufd_object_finalize(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	void *old = __xa_store(&ictx->objects, obj->id, obj, GFP_ATOMIC);

	WARN_ON(old);
}

/* IOMMUFD-OBJ-1: make the object visible. This cannot fail: the entry of the id exists already. */
void iommufd_object_finalize(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	xa_lock(&ictx->objects);
	__iommufd_object_finalize(ictx, obj);
	xa_unlock(&ictx->objects);
}

/* Undo the allocation of an object, after the caller has released what the object holds. */
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	void *old = xa_erase(&ictx->objects, obj->id);

	WARN_ON(old);
	kfree(obj);
}

/* IOMMUFD-OBJ-4: undo a complete object that was never visible. */
void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	ictx->object_ops[obj->type].destroy(ictx, obj);
	iommufd_object_abort(ictx, obj);
}

/**
 * iommufd_get_object() - find an object and keep it until iommufd_put_object()
 * @ictx: context
 * @id: id from user space
 * @type: its type, or IOMMUFD_OBJ_ANY
 *
 * Return: the object or ERR_PTR(-ENOENT)
 */
struct iommufd_object *iommufd_get_object(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	xa_lock(&ictx->objects);
	obj = xa_load(&ictx->objects, id);
	if (!obj || (type != IOMMUFD_OBJ_ANY && obj->type != type))
		obj = ERR_PTR(-ENOENT);
	else
		refcount_inc(&obj->wait_cnt);
	xa_unlock(&ictx->objects);
	return obj;
}

/*
 * As iommufd_get_object(), for an object that the caller's lock keeps from being freed. Return:
 * false if another thread is destroying it.
 */
bool iommufd_hold_object(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	bool visible;

	xa_lock(&ictx->objects);
	visible = xa_load(&ictx->objects, obj->id) == obj;
	if (visible)
		refcount_inc(&obj->wait_cnt);
	xa_unlock(&ictx->objects);
	return visible;
}

void iommufd_put_object(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	/* A waiting thread may free @obj as soon as the count is 0, so do not use it afterwards. */
	if (refcount_dec_and_test(&obj->wait_cnt))
		wake_up_all(&ictx->destroy_wait);
}

/*
 * Read a count with acquire order: the caller then sees all that other threads did with the object
 * before they put it.
 */
static unsigned int iommufd_count(const refcount_t *count)
{
	return atomic_read_acquire(&count->refs);
}

static void iommufd_object_free(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	ictx->object_ops[obj->type].destroy(ictx, obj);
	kfree(obj);
}

/*
 * Make an object invisible if nothing uses it beyond @users. This reads wait_cnt first: if it is 1
 * under the lock, the object has no holder and can get none, and only holders raise users. In the
 * opposite order a holder could add a user, and put the object, between the two reads.
 */
static bool __iommufd_object_take(struct iommufd_ctx *ictx, struct iommufd_object *obj,
				  unsigned int users)
{
	lockdep_assert_held(&ictx->objects.xa_lock);

	if (iommufd_count(&obj->wait_cnt) != 1 || iommufd_count(&obj->users) != users)
		return false;
	__xa_erase(&ictx->objects, obj->id);
	return true;
}

/**
 * iommufd_object_destroy() - destroy an object at the request of user space
 * @ictx: context
 * @id: any id
 *
 * Return: 0, -ENOENT, or -EBUSY if the object is used, or is being used by another call
 *
 * Rules: IOMMUFD-OBJ-2.
 */
int iommufd_object_destroy(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj;
	bool taken = false;

	xa_lock(&ictx->objects);
	obj = xa_load(&ictx->objects, id);
	if (obj)
		taken = __iommufd_object_take(ictx, obj, 1);
	xa_unlock(&ictx->objects);

	if (!obj)
		return -ENOENT;
	if (!taken)
		return -EBUSY;
	iommufd_object_free(ictx, obj);
	return 0;
}

/*
 * Drop a user of an object that goes with its last user. If a call holds the object right now, the
 * object stays, until user space destroys it or closes the file.
 */
void iommufd_object_put_last_user(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	bool taken;

	xa_lock(&ictx->objects);
	taken = __iommufd_object_take(ictx, obj, 2);
	if (!taken)
		iommufd_object_unuse(obj);
	xa_unlock(&ictx->objects);
	if (taken)
		iommufd_object_free(ictx, obj);
}

/*
 * Remove an object at the request of the driver that owns it, together with the driver's user. No
 * new call finds the object, and this waits for calls that hold it.
 */
void iommufd_object_remove(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	xa_erase(&ictx->objects, obj->id);
	if (!refcount_dec_and_test(&obj->wait_cnt))
		wait_event(ictx->destroy_wait, !iommufd_count(&obj->wait_cnt));
	WARN_ON(refcount_read(&obj->users) != 2);
	iommufd_object_free(ictx, obj);
}

/*
 * As iommufd_object_remove(), for an object that the caller holds and that has no other user. Its id
 * stays taken as long as the context lives (IOMMUFD-VIOMMU-2).
 */
void iommufd_object_bury(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	/* With NULL there the id stays reserved, as before iommufd_object_finalize(). */
	WARN_ON(xa_store(&ictx->objects, obj->id, NULL, GFP_KERNEL) != obj);
	iommufd_put_object(ictx, obj);
	if (!refcount_dec_and_test(&obj->wait_cnt))
		wait_event(ictx->destroy_wait, !iommufd_count(&obj->wait_cnt));
	iommufd_object_free(ictx, obj);
}

/*
 * IOMMUFD-OBJ-3: the file is closed, so there is no other caller. Each round destroys the objects
 * that no other object uses; that frees the objects which they used for the next round.
 */
void iommufd_destroy_all(struct iommufd_ctx *ictx)
{
	struct iommufd_object *obj;
	unsigned long id;
	bool progress;

	do {
		progress = false;
		xa_for_each (&ictx->objects, id, obj) {
			if (refcount_read(&obj->users) != 1)
				continue;
			xa_erase(&ictx->objects, id);
			iommufd_object_free(ictx, obj);
			progress = true;
			cond_resched();
		}
	} while (progress);
	/* Ids of buried objects are still reserved. */
	id = 0;
	WARN_ON(xa_find(&ictx->objects, &id, ULONG_MAX, XA_PRESENT));
	xa_destroy(&ictx->objects);
}
