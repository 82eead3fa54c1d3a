// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accelerators as devices of class uacce: number, device file, sysfs attributes (QM-UACCE-5).
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/topology.h>

#include <misc/uacce/hisi_qm.h>
#include <misc/uacce/uacce.h>

#include "queue.h"

#define QM_MAX_DEVICES 256

static struct class qm_class = {
	.name = "uacce",
};

static dev_t qm_devt;
static DEFINE_IDA(qm_ids);

static struct qm *to_qm(struct device *dev)
{
	return container_of(dev, struct qm, dev);
}

static ssize_t id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_qm(dev)->id);
}
static DEVICE_ATTR_RO(id);

static ssize_t api_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	bool physical = READ_ONCE(to_qm(dev)->mode) == QM_DMA_PHYSICAL;

	return sysfs_emit(buf, "%s%s\n", HISI_QM_API_VER3_BASE, physical ? "_noiommu" : "");
}
static DEVICE_ATTR_RO(api);

static ssize_t flags_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", qm_mode_flags(to_qm(dev)));
}
static DEVICE_ATTR_RO(flags);

static ssize_t algorithms_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", to_qm(dev)->algorithms);
}
static DEVICE_ATTR_RO(algorithms);

static ssize_t available_instances_show(struct device *dev, struct device_attribute *attr,
					char *buf)
{
	struct qm *qm = to_qm(dev);
	unsigned int free;

	mutex_lock(&qm->lock);
	free = qm->free;
	mutex_unlock(&qm->lock);
	return sysfs_emit(buf, "%u\n", free);
}
static DEVICE_ATTR_RO(available_instances);

/* Extension: all queues of the function, the kernel's own included. */
static ssize_t total_instances_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", to_qm(dev)->qp_num);
}
static DEVICE_ATTR_RO(total_instances);

static ssize_t region_mmio_size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", QM_DB_WINDOW);
}
static DEVICE_ATTR_RO(region_mmio_size);

static ssize_t region_dus_size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%zu\n", to_qm(dev)->dus_size);
}
static DEVICE_ATTR_RO(region_dus_size);

static ssize_t doorbell_words_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", QM_WORDS_IN_REGION);
}
static DEVICE_ATTR_RO(doorbell_words);

static ssize_t isolate_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(to_qm(dev)->isolate));
}
static DEVICE_ATTR_RO(isolate);

static ssize_t isolate_strategy_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_qm(dev)->isolate_strategy));
}

static ssize_t isolate_strategy_store(struct device *dev, struct device_attribute *attr,
				      const char *buf, size_t count)
{
	unsigned int resets;
	int ret;

	if (kstrtouint(buf, 0, &resets))
		return -EINVAL;
	ret = qm_isolate_strategy(to_qm(dev), resets);
	return ret ? ret : count;
}
static DEVICE_ATTR_RW(isolate_strategy);

/* Older UADK asks for the next two. */
static ssize_t node_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", dev_to_node(&to_qm(dev)->pdev->dev));
}
static DEVICE_ATTR_RO(node_id);

/* From the processor of the caller, as in the ACPI table of distances; 0 = not known. */
static ssize_t numa_distance_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	int node = dev_to_node(&to_qm(dev)->pdev->dev);

	return sysfs_emit(buf, "%d\n",
			  node == NUMA_NO_NODE ? 0 : node_distance(numa_node_id(), node));
}
static DEVICE_ATTR_RO(numa_distance);

static ssize_t selftest_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char *const results[] = {
		[QM_SELFTEST_NOT_RUN] = "not run",
		[QM_SELFTEST_PASSED] = "passed",
		[QM_SELFTEST_FAILED] = "failed",
	};

	return sysfs_emit(buf, "%s\n", results[to_qm(dev)->selftest]);
}
static DEVICE_ATTR_RO(selftest);

/* Extension: requests that kernel queues completed since the probe, including the self test. */
static ssize_t kernel_requests_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lld\n", (long long)atomic64_read(&to_qm(dev)->kernel_requests));
}
static DEVICE_ATTR_RO(kernel_requests);

static struct attribute *qm_attrs[] = {
	&dev_attr_id.attr,
	&dev_attr_api.attr,
	&dev_attr_flags.attr,
	&dev_attr_algorithms.attr,
	&dev_attr_available_instances.attr,
	&dev_attr_total_instances.attr,
	&dev_attr_queues_per_user.attr,
	&dev_attr_region_mmio_size.attr,
	&dev_attr_region_dus_size.attr,
	&dev_attr_doorbell_words.attr,
	&dev_attr_dma_mode.attr,
	&dev_attr_isolate.attr,
	&dev_attr_isolate_strategy.attr,
	&dev_attr_node_id.attr,
	&dev_attr_numa_distance.attr,
	&dev_attr_selftest.attr,
	&dev_attr_kernel_requests.attr,
	NULL,
};

static umode_t qm_attr_visible(struct kobject *kobj, struct attribute *attr, int index)
{
	struct qm *qm = to_qm(kobj_to_dev(kobj));

	if (attr == &dev_attr_doorbell_words.attr && !qm->words)
		return 0;
	return attr->mode;
}

static const struct attribute_group qm_attr_group = {
	.attrs = qm_attrs,
	.is_visible = qm_attr_visible,
};

static const struct attribute_group *qm_attr_groups[] = {
	&qm_attr_group,
	NULL,
};

static void qm_device_release(struct device *dev)
{
	struct qm *qm = to_qm(dev);

	qm_qps_cleanup(qm);
	ida_destroy(&qm->pasids);
	mutex_destroy(&qm->stop_lock);
	mutex_destroy(&qm->sva_lock);
	mutex_destroy(&qm->lock);
	ida_free(&qm_ids, qm->id);
	pci_dev_put(qm->pdev);
	kfree(qm);
}

/**
 * qm_alloc() - allocate a queue manager object for a function
 * @pdev: the function; this takes a reference
 * @io: BAR2
 * @ops: operations of the driver
 * @name: prefix of the device's name
 *
 * Return: the object, to be given back with qm_put(), or an ERR_PTR: -ENOMEM, -ENOSPC.
 */
struct qm *qm_alloc(struct pci_dev *pdev, void __iomem *io, const struct qm_ops *ops,
		    const char *name)
{
	struct qm *qm;
	int ret;

	qm = kzalloc(sizeof(*qm), GFP_KERNEL);
	if (!qm)
		return ERR_PTR(-ENOMEM);
	ret = ida_alloc_max(&qm_ids, QM_MAX_DEVICES - 1, GFP_KERNEL);
	if (ret < 0) {
		kfree(qm);
		return ERR_PTR(ret);
	}
	qm->id = ret;
	qm->pdev = pci_dev_get(pdev);
	qm->io = io;
	qm->ops = ops;
	mutex_init(&qm->lock);
	mutex_init(&qm->sva_lock);
	mutex_init(&qm->stop_lock);
	INIT_LIST_HEAD(&qm->bonds);
	INIT_LIST_HEAD(&qm->queues);
	INIT_LIST_HEAD(&qm->users);
	init_waitqueue_head(&qm->thaw);
	qm_ask_setup(qm);
	qm_reset_setup(qm);
	ida_init(&qm->pasids);

	device_initialize(&qm->dev);
	qm->dev.class = &qm_class;
	qm->dev.parent = &pdev->dev;
	qm->dev.groups = qm_attr_groups;
	qm->dev.release = qm_device_release;
	qm->dev.devt = MKDEV(MAJOR(qm_devt), qm->id);
	ret = dev_set_name(&qm->dev, "%s-%d", name, qm->id);
	if (ret) {
		put_device(&qm->dev);
		return ERR_PTR(ret);
	}
	return qm;
}
EXPORT_SYMBOL_GPL(qm_alloc);

void qm_put(struct qm *qm)
{
	put_device(&qm->dev);
}
EXPORT_SYMBOL_GPL(qm_put);

/**
 * qm_register() - offer the queues to user space
 * @qm: initialised
 *
 * The device needs doorbell isolation: otherwise every process could ring the doorbells of every
 * queue. It also needs STOP_QP: otherwise a former owner could ring a queue after its PASID belongs
 * to another owner.
 *
 * Return: 0; -EOPNOTSUPP without one of these; or an error of the device core.
 */
int qm_register(struct qm *qm)
{
	if (!qm_serves_users(qm))
		return -EOPNOTSUPP;
	qm_mode_setup(qm);
	qm_user_setup(qm);
	cdev_init(&qm->cdev, &qm_queue_fops);
	qm->cdev.owner = THIS_MODULE;
	return cdev_device_add(&qm->cdev, &qm->dev);
}
EXPORT_SYMBOL_GPL(qm_register);

static struct qm_queue *qm_next_queue(struct qm *qm)
{
	struct qm_queue *queue = NULL;

	mutex_lock(&qm->lock);
	if (!list_empty(&qm->queues)) {
		queue = list_first_entry(&qm->queues, struct qm_queue, node);
		list_del_init(&queue->node);
		kref_get(&queue->ref);
	}
	mutex_unlock(&qm->lock);
	return queue;
}

/**
 * qm_unregister() - remove the device file, and take the device away from open files
 * @qm: registered
 *
 * Open files stay, as zombies, until their owners close them.
 */
void qm_unregister(struct qm *qm)
{
	struct qm_queue *queue;

	mutex_lock(&qm->lock);
	WRITE_ONCE(qm->gone, true);
	mutex_unlock(&qm->lock);
	wake_up_all(&qm->thaw);
	cdev_device_del(&qm->cdev, &qm->dev);
	/* Stop all queues at the same time, which is faster than one after the other. */
	qm_halt(qm);
	while ((queue = qm_next_queue(qm))) {
		qm_queue_disconnect(queue);
		qm_queue_put(queue);
	}
}
EXPORT_SYMBOL_GPL(qm_unregister);

int qm_class_register(void)
{
	int ret;

	ret = alloc_chrdev_region(&qm_devt, 0, QM_MAX_DEVICES, "uacce");
	if (ret)
		return ret;
	ret = class_register(&qm_class);
	if (ret)
		unregister_chrdev_region(qm_devt, QM_MAX_DEVICES);
	return ret;
}

void qm_class_unregister(void)
{
	class_unregister(&qm_class);
	unregister_chrdev_region(qm_devt, QM_MAX_DEVICES);
	ida_destroy(&qm_ids);
}
