// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices of MOCK_DOMAIN: each is bound to the context of its caller, and goes with its object or
 * with the context.
 */
#include <linux/idr.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommufd.h"
#include "iommufd_hook.h"
#include "iommufd_test.h"

static DEFINE_IDA(wd_test_ids);

static void wd_test_device_release(struct device *dev)
{
	struct wd_test_device *device = wd_test_device_of(dev);

	ida_free(&wd_test_ids, device->pdev.id);
	xa_destroy(&device->pasids);
	xa_destroy(&device->domains);
	xa_destroy(&device->tables);
	mutex_destroy(&device->event_lock);
	mutex_destroy(&device->lock);
	kfree(device);
}

/* Return: NULL if it is another device. */
struct wd_test_device *wd_test_device_of(struct device *dev)
{
	if (dev->bus != &platform_bus_type || dev->release != wd_test_device_release)
		return NULL;
	return container_of(to_platform_device(dev), struct wd_test_device, pdev);
}

/*
 * It has no driver: commands do a driver's work. Without one, nobody else does DMA with it. Tests
 * make thousands of devices, so user space is not told of each, and none has files for power.
 */
static struct wd_test_device *wd_test_device_create(struct iommufd_ctx *ictx, u32 flags)
{
	struct wd_test_device *device = kzalloc(sizeof(*device), GFP_KERNEL_ACCOUNT);
	unsigned int i;
	int id, rc;

	if (!device)
		return ERR_PTR(-ENOMEM);
	id = ida_alloc_max(&wd_test_ids, INT_MAX, GFP_KERNEL);
	if (id < 0) {
		kfree(device);
		return ERR_PTR(id);
	}
	device->ictx = ictx;
	device->flags = flags;
	mutex_init(&device->lock);
	mutex_init(&device->event_lock);
	xa_init(&device->pasids);
	xa_init(&device->domains);
	xa_init(&device->tables);
	for (i = 0; i < IOMMU_TEST_CACHE_SLOTS; i++)
		device->cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;
	device->pdev.name = "iommufd_mock";
	device->pdev.id = id;
	device->pdev.dev.release = wd_test_device_release;
	dev_set_uevent_suppress(&device->pdev.dev, true);
	device_set_pm_not_required(&device->pdev.dev);
	rc = platform_device_register(&device->pdev);
	if (rc) {
		platform_device_put(&device->pdev);
		return ERR_PTR(rc);
	}
	return device;
}

/* One try of attach or replace, with the device's lock held. */
static int wd_test_attach_once(struct wd_test_device *device, u32 pasid, u32 *pt_id, bool replace)
{
	int rc;

	if (replace)
		return iommufd_device_replace(device->idev, pasid, pt_id);
	if (pasid) {
		rc = xa_insert(&device->pasids, pasid, xa_mk_value(1), GFP_KERNEL_ACCOUNT);
		if (rc && rc != -EBUSY)
			return rc;
		if (rc == -EBUSY)
			return iommufd_device_attach(device->idev, pasid, pt_id);
	}
	rc = iommufd_device_attach(device->idev, pasid, pt_id);
	if (rc && pasid)
		xa_erase(&device->pasids, pasid);
	return rc;
}

/* As real drivers do, this does not hold the device's lock while memory is pinned. */
static int wd_test_attach(struct wd_test_device *device, u32 pasid, u32 *pt_id, bool replace)
{
	struct iopt_hold *hold = NULL;
	int rc;

	for (;;) {
		mutex_lock(&device->lock);
		rc = wd_test_attach_once(device, pasid, pt_id, replace);
		mutex_unlock(&device->lock);
		if (rc != -EAGAIN)
			break;
		rc = iommufd_prepare_attach(device->ictx, *pt_id, &hold);
		if (rc)
			break;
	}
	iommufd_prepared(hold);
	return rc;
}

static void wd_test_device_remove(struct wd_test_device *device)
{
	if (device->idev)
		iommufd_device_unbind(device->idev);
	platform_device_unregister(&device->pdev);
}

/* The object of MOCK_DOMAIN goes. */
static void wd_test_device_destroy(void *data)
{
	struct wd_test_device *device = data;
	unsigned long pasid;
	void *entry;

	xa_for_each (&device->pasids, pasid, entry) {
		iommufd_device_detach(device->idev, pasid);
		xa_erase(&device->pasids, pasid);
	}
	iommufd_device_detach(device->idev, IOMMU_NO_PASID);
	wd_test_device_remove(device);
}

int wd_test_mock_domain(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd, u32 flags)
{
	struct wd_test_device *device;
	u32 pt_id = cmd->id;
	int rc;

	if (flags & ~(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID))
		return -EINVAL;
	device = wd_test_device_create(ictx, flags);
	if (IS_ERR(device))
		return PTR_ERR(device);
	device->idev = iommufd_hook_bind(ictx, &device->pdev.dev, &cmd->mock_domain.out_idev_id);
	if (IS_ERR(device->idev)) {
		rc = PTR_ERR(device->idev);
		device->idev = NULL;
		goto err_remove;
	}
	rc = wd_test_attach(device, IOMMU_NO_PASID, &pt_id, false);
	if (rc)
		goto err_remove;
	cmd->mock_domain.out_hwpt_id = pt_id;
	rc = iommufd_hook_create(ictx, wd_test_device_destroy, device,
				 &cmd->mock_domain.out_stdev_id);
	if (!rc)
		return 0;
	iommufd_device_detach(device->idev, IOMMU_NO_PASID);
err_remove:
	wd_test_device_remove(device);
	return rc;
}

int wd_test_mock_replace(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd)
{
	struct iommufd_object *obj;
	void *device;
	int rc;

	obj = iommufd_hook_get(ictx, cmd->id, &device);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	rc = wd_test_attach(device, IOMMU_NO_PASID, &cmd->mock_domain_replace.pt_id, true);
	iommufd_hook_put(ictx, obj);
	return rc;
}

static int wd_test_pasid_detach(struct wd_test_device *device, u32 pasid)
{
	mutex_lock(&device->lock);
	if (xa_erase(&device->pasids, pasid))
		iommufd_device_detach(device->idev, pasid);
	mutex_unlock(&device->lock);
	return 0;
}

/* The PASID must have @hwpt_id attached, or nothing if @hwpt_id is 0. */
static int wd_test_pasid_check(struct iommufd_ctx *ictx, struct wd_test_device *device, u32 pasid,
			       u32 hwpt_id)
{
	struct iommu_domain *domain;
	struct wd_pgtable *table;
	struct iommufd_object *obj;
	bool same;

	if (!hwpt_id)
		return xa_load(&device->domains, pasid) || xa_load(&device->tables, pasid) ? -EINVAL
											   : 0;
	obj = iommufd_hook_get_table(ictx, hwpt_id, &table);
	if (!IS_ERR(obj)) {
		same = xa_load(&device->tables, pasid) == table;
	} else {
		obj = iommufd_hook_get_domain(ictx, hwpt_id, &domain);
		if (IS_ERR(obj))
			return PTR_ERR(obj);
		same = xa_load(&device->domains, pasid) == domain;
	}
	iommufd_hook_put(ictx, obj);
	return same ? 0 : -EINVAL;
}

int wd_test_pasid(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd)
{
	const u32 pasid = cmd->pasid.pasid;
	struct iommufd_object *obj;
	void *device;
	int rc;

	obj = iommufd_hook_get(ictx, cmd->id, &device);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	switch (cmd->op) {
	case IOMMU_TEST_OP_PASID_DETACH:
		rc = wd_test_pasid_detach(device, pasid);
		break;
	case IOMMU_TEST_OP_PASID_CHECK_HWPT:
		rc = wd_test_pasid_check(ictx, device, pasid, cmd->pasid.pt_id);
		break;
	default:
		rc = wd_test_attach(device, pasid, &cmd->pasid.pt_id,
				    cmd->op == IOMMU_TEST_OP_PASID_REPLACE);
		break;
	}
	iommufd_hook_put(ictx, obj);
	return rc;
}

int wd_test_trigger_iopf(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd)
{
	const u32 pasid = cmd->trigger_iopf.pasid;
	struct wd_fault fault = {
		.addr = cmd->trigger_iopf.addr,
		.grpid = cmd->trigger_iopf.grpid,
		.perm = cmd->trigger_iopf.perm,
		.flags = WD_FAULT_LAST_PAGE,
	};
	struct wd_test_device *device;
	struct iommufd_object *obj;
	struct device *dev;
	int rc = -EINVAL;

	obj = iommufd_hook_get_device(ictx, cmd->trigger_iopf.dev_id, &dev);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	device = wd_test_device_of(dev);
	if (device) {
		/* A PASID without an attachment uses that of the requester id. */
		if (xa_load(&device->domains, pasid) || xa_load(&device->tables, pasid)) {
			fault.pasid = pasid;
			fault.flags |= pasid ? WD_FAULT_PASID_VALID : 0;
		}
		wd_iommu_report_fault(dev, &fault);
		rc = 0;
	}
	iommufd_hook_put(ictx, obj);
	return rc;
}

int wd_test_check_cache(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd)
{
	struct iommufd_object *obj;
	struct wd_test_device *device;
	struct device *dev;
	int rc = -EINVAL;

	obj = iommufd_hook_get_device(ictx, cmd->id, &dev);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	device = wd_test_device_of(dev);
	if (device && cmd->check_dev_cache.id < IOMMU_TEST_CACHE_SLOTS &&
	    READ_ONCE(device->cache[cmd->check_dev_cache.id]) == cmd->check_dev_cache.cache)
		rc = 0;
	iommufd_hook_put(ictx, obj);
	return rc;
}

void wd_test_device_exit(void)
{
	ida_destroy(&wd_test_ids);
}
