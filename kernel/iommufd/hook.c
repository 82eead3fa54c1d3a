// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hook for the module of tests, which is not part of any installation. While that module is not
 * loaded IOMMU_TEST_CMD does not exist (IOMMUFD-CALL-2).
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#include "iommufd_hook.h"
#include "iommufd_private.h"

/**
 * struct iommufd_hook_object - object of the module of tests
 * @obj: first member
 * @hook: its module is held
 * @destroy: called when the object is destroyed
 * @data: for @destroy
 */
struct iommufd_hook_object {
	struct iommufd_object obj;
	const struct iommufd_hook *hook;
	void (*destroy)(void *data);
	void *data;
};

static DEFINE_SPINLOCK(iommufd_hook_lock);
static const struct iommufd_hook *iommufd_hook;

/* Return: the hook with its module held, or NULL */
static const struct iommufd_hook *iommufd_hook_hold(void)
{
	const struct iommufd_hook *hook;

	spin_lock(&iommufd_hook_lock);
	hook = iommufd_hook;
	if (hook && !try_module_get(hook->owner))
		hook = NULL;
	spin_unlock(&iommufd_hook_lock);
	return hook;
}

/* IOMMU_TEST_CMD */
long iommufd_hook_command(struct iommufd_ctx *ictx, unsigned long arg)
{
	const struct iommufd_hook *hook = iommufd_hook_hold();
	long rc;

	if (!hook)
		return -ENOTTY;
	rc = hook->command(ictx, (void __user *)arg);
	module_put(hook->owner);
	return rc;
}

/**
 * iommufd_hook_register() - let a module of tests execute IOMMU_TEST_CMD
 * @hook: see struct iommufd_hook
 *
 * Return: 0; -EBUSY another one does
 */
int iommufd_hook_register(const struct iommufd_hook *hook)
{
	int rc = -EBUSY;

	spin_lock(&iommufd_hook_lock);
	if (!iommufd_hook) {
		iommufd_hook = hook;
		rc = 0;
	}
	spin_unlock(&iommufd_hook_lock);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_hook_register);

/**
 * iommufd_hook_unregister() - undo iommufd_hook_register(), when the module has no user left
 * @hook: as given there
 */
void iommufd_hook_unregister(const struct iommufd_hook *hook)
{
	spin_lock(&iommufd_hook_lock);
	WARN_ON(iommufd_hook != hook);
	iommufd_hook = NULL;
	spin_unlock(&iommufd_hook_lock);
}
EXPORT_SYMBOL_GPL(iommufd_hook_unregister);

/**
 * iommufd_hook_create() - make an object for the running command
 * @ictx: context
 * @destroy: called with @data when user space destroys the object, or closes the context
 * @data: for @destroy
 * @id: gets the object's id
 *
 * Return: 0, -ENOMEM, -EBUSY all ids are taken
 */
int iommufd_hook_create(struct iommufd_ctx *ictx, void (*destroy)(void *data), void *data, u32 *id)
{
	const struct iommufd_hook *hook = iommufd_hook_hold();
	struct iommufd_hook_object *object;

	if (WARN_ON(!hook))
		return -EINVAL;
	object = iommufd_object_alloc(ictx, object, obj, IOMMUFD_OBJ_HOOK);
	if (IS_ERR(object)) {
		module_put(hook->owner);
		return PTR_ERR(object);
	}
	object->hook = hook;
	object->destroy = destroy;
	object->data = data;
	*id = object->obj.id;
	iommufd_object_finalize(ictx, &object->obj);
	return 0;
}
EXPORT_SYMBOL_GPL(iommufd_hook_create);

void iommufd_hook_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	struct iommufd_hook_object *object = container_of(obj, struct iommufd_hook_object, obj);

	object->destroy(object->data);
	module_put(object->hook->owner);
}

/**
 * iommufd_hook_get() - find an object of the module
 * @ictx: context
 * @id: id from user space
 * @data: gets what was given to iommufd_hook_create()
 *
 * Return: the object, held until iommufd_hook_put(), or ERR_PTR(-ENOENT)
 */
struct iommufd_object *iommufd_hook_get(struct iommufd_ctx *ictx, u32 id, void **data)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_HOOK);

	if (!IS_ERR(obj))
		*data = container_of(obj, struct iommufd_hook_object, obj)->data;
	return obj;
}
EXPORT_SYMBOL_GPL(iommufd_hook_get);

/* Give an object back that one of the functions of this file has found. */
void iommufd_hook_put(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	iommufd_put_object(ictx, obj);
}
EXPORT_SYMBOL_GPL(iommufd_hook_put);

/**
 * iommufd_hook_reserve() - take a range from an IOAS as long as it lives
 * @ictx: context
 * @ioas_id: id from user space
 * @start: first IOVA
 * @length: bytes
 *
 * Return: 0; -EINVAL @length is 0, -EOVERFLOW, -ENOENT no such IOAS, -EADDRINUSE something is mapped
 * or allowed there, -ENOMEM
 */
int iommufd_hook_reserve(struct iommufd_ctx *ictx, u32 ioas_id, unsigned long start,
			 unsigned long length)
{
	struct iommufd_ioas *ioas;
	unsigned long last;
	int rc;

	rc = iopt_range_last(start, length, &last);
	if (rc)
		return rc;
	ioas = iommufd_get_ioas(ictx, ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iopt_reserve(&ioas->iopt, start, last, &iommufd_hook);
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_hook_reserve);

/**
 * iommufd_hook_get_domain() - find the domain of a page table that follows an IOAS
 * @ictx: context
 * @hwpt_id: id from user space
 * @domain: gets the domain, which stays until iommufd_hook_put()
 *
 * Return: the page table, or ERR_PTR(-ENOENT)
 */
struct iommufd_object *iommufd_hook_get_domain(struct iommufd_ctx *ictx, u32 hwpt_id,
					       struct iommu_domain **domain)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, hwpt_id, IOMMUFD_OBJ_HWPT_PAGING);

	if (!IS_ERR(obj))
		*domain = container_of(obj, struct iommufd_hwpt_paging, common.obj)->domain;
	return obj;
}
EXPORT_SYMBOL_GPL(iommufd_hook_get_domain);

/* As iommufd_hook_get_domain(), for a nested page table. */
struct iommufd_object *iommufd_hook_get_table(struct iommufd_ctx *ictx, u32 hwpt_id,
					      struct wd_pgtable **table)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, hwpt_id, IOMMUFD_OBJ_HWPT_NESTED);

	if (!IS_ERR(obj))
		*table = container_of(obj, struct iommufd_hwpt_nested, common.obj)->table;
	return obj;
}
EXPORT_SYMBOL_GPL(iommufd_hook_get_table);

/* As iommufd_hook_get_domain(), for a bound device. */
struct iommufd_object *iommufd_hook_get_device(struct iommufd_ctx *ictx, u32 dev_id,
					       struct device **dev)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, dev_id, IOMMUFD_OBJ_DEVICE);

	if (!IS_ERR(obj))
		*dev = container_of(obj, struct iommufd_device, obj)->dev;
	return obj;
}
EXPORT_SYMBOL_GPL(iommufd_hook_get_device);
