// SPDX-License-Identifier: GPL-2.0-only
/* Character devices: numbers, cdevs, nodes in /dev, and the misc class. */
#include "chrdev.h"
#include "core/immortal.h"
#include "driver_core/device_model.h"
#include "vfs.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include <linux/cdev.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

namespace wd::hostkernel
{
namespace
{

constexpr unsigned kFirstDynamicMajor = 234; /* lowest one; taken from 511 downwards */
constexpr int kMiscMinors = 128;

std::mutex nodesMutex;
Immortal<std::map<std::string, inode *>> nodesObject; /* by name below /dev */
auto &nodes = *nodesObject;
/* first number -> count and cdev */
Immortal<std::map<dev_t, std::pair<unsigned, cdev *>>> cdevsObject;
auto &cdevs = *cdevsObject;
Immortal<std::map<dev_t, miscdevice *>> miscsObject;
auto &miscs = *miscsObject;
/* major -> first minors of its regions */
Immortal<std::map<unsigned, std::set<unsigned>>> majorsObject;
auto &majors = *majorsObject;

/*
 * Held by misc_register(), misc_deregister() and open(), so that an open sees a whole device or
 * none.
 */
struct mutex miscMutex = __MUTEX_INITIALIZER(miscMutex);
struct class_ miscClass;
Immortal<std::map<int, bool>> miscMinorsObject;
auto &miscMinors = *miscMinorsObject;

std::atomic<unsigned long> nextInode{1};

cdev *cdevOf(dev_t devt)
{
	auto next = cdevs.upper_bound(devt);
	if (next == cdevs.begin())
		return nullptr;
	auto &[first, entry] = *std::prev(next);
	return devt - first < entry.first ? entry.second : nullptr;
}

/* Take a reference to the cdev and its module. @return nullptr if the cdev is going away. */
cdev *cdevGet(cdev *cd)
{
	if (cd->owner && !try_module_get(cd->owner))
		return nullptr;
	if (!kobject_get_unless_zero(&cd->kobj)) {
		module_put(cd->owner);
		return nullptr;
	}
	return cd;
}

/* What an open needs: the node, and either its cdev or its misc device. */
struct Found {
	inode *node = nullptr;
	cdev *cd = nullptr;
	miscdevice *misc = nullptr;
};

Found findNode(const std::string &name)
{
	Found found;
	std::lock_guard lock(nodesMutex);
	auto at = nodes.find(name);
	if (at == nodes.end())
		return found;
	dev_t devt = at->second->i_rdev;
	if (auto misc = miscs.find(devt); misc != miscs.end())
		found.misc = misc->second;
	else if (cdev *cd = cdevOf(devt))
		found.cd = cdevGet(cd);
	if (!found.misc && !found.cd)
		return found;
	found.node = at->second;
	/* Written only if it changes, since open() of a driver reads it without a lock. */
	if (found.cd && found.node->i_cdev != found.cd)
		found.node->i_cdev = found.cd;
	atomic_inc(&found.node->i_count);
	return found;
}

file *openOn(const Found &found, const file_operations *fops, void *priv, int flags)
{
	if (fops->owner && !try_module_get(fops->owner))
		return static_cast<file *>(ERR_PTR(-ENXIO));
	file *filp = fileCreate(found.node, fops, flags);
	int ret = filp ? 0 : -ENOMEM;
	if (filp) {
		filp->private_data = priv;
		ret = fops->open ? fops->open(found.node, filp) : 0;
	}
	if (!ret)
		return filp;
	if (filp)
		fileAbandon(filp);
	module_put(fops->owner);
	return static_cast<file *>(ERR_PTR(ret));
}

} // namespace

namespace
{
super_block kernelFiles; /* of device nodes and of files without a node */
}

inode *inodeCreate(dev_t devt, umode_t mode)
{
	auto *node = static_cast<inode *>(kzalloc(sizeof(inode), GFP_KERNEL));
	if (!node)
		return nullptr;
	node->i_mode = mode;
	node->i_rdev = devt;
	node->i_ino = nextInode.fetch_add(1, std::memory_order_relaxed);
	node->i_sb = &kernelFiles;
	node->i_mapping = &node->i_data;
	node->i_data.host = node;
	mutex_init(&node->i_data.i_mmap_lock);
	INIT_LIST_HEAD(&node->i_data.i_mmap);
	atomic_set(&node->i_count, 1);
	return node;
}

void inodePut(inode *node)
{
	if (atomic_dec_and_test(&node->i_count))
		kfree(node);
}

void deviceNodeAdd(const std::string &name, dev_t devt)
{
	inode *node = inodeCreate(devt, S_IFCHR | 0600);
	if (!node)
		return;
	std::lock_guard lock(nodesMutex);
	if (!nodes.emplace(name, node).second)
		inodePut(node);
}

void deviceNodeRemove(dev_t devt)
{
	std::lock_guard lock(nodesMutex);
	auto at = std::find_if(nodes.begin(), nodes.end(),
			       [&](const auto &node) { return node.second->i_rdev == devt; });
	if (at == nodes.end())
		return;
	inodePut(at->second);
	nodes.erase(at);
}

file *openNode(const std::string &path, int flags)
{
	constexpr size_t kPrefix = sizeof("/dev/") - 1;
	if (path.compare(0, kPrefix, "/dev/"))
		return static_cast<file *>(ERR_PTR(-ENOENT));
	Found found = findNode(path.substr(kPrefix));
	if (!found.node) {
		std::lock_guard lock(nodesMutex);
		return static_cast<file *>(
			ERR_PTR(nodes.count(path.substr(kPrefix)) ? -ENXIO : -ENOENT));
	}
	file *filp;
	if (found.misc) {
		/*
		 * The device may have been deregistered since findNode(), so look again under the
		 * mutex, for which deregistration waits.
		 */
		mutex_lock(&miscMutex);
		Found again = findNode(path.substr(kPrefix));
		if (again.node && again.misc == found.misc)
			filp = openOn(found, found.misc->fops, found.misc, flags);
		else
			filp = static_cast<file *>(ERR_PTR(-ENODEV));
		if (again.node)
			inodePut(again.node);
		if (again.cd)
			cdev_put(again.cd);
		mutex_unlock(&miscMutex);
	} else {
		filp = openOn(found, found.cd->ops, nullptr, flags);
		if (IS_ERR(filp))
			cdev_put(found.cd);
	}
	if (IS_ERR(filp))
		inodePut(found.node);
	return filp;
}

int vfsStart()
{
	delayedReleasesStart();
	miscClass = {};
	miscClass.name = "misc";
	miscClass.devnode = [](struct device *dev, umode_t *) -> char * {
		auto *misc = static_cast<miscdevice *>(dev_get_drvdata(dev));
		return misc->nodename ? kstrdup(misc->nodename, GFP_KERNEL) : nullptr;
	};
	return class_register(&miscClass);
}

void vfsStop()
{
	if (miscClass.p)
		class_unregister(&miscClass);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

/* --- numbers --- */

int alloc_chrdev_region(dev_t *dev, unsigned int baseminor, unsigned int count, const char *)
{
	std::lock_guard lock(nodesMutex);
	if (!count || baseminor > MINORMASK || count > MINORMASK + 1 - baseminor)
		return -EINVAL;
	for (unsigned major = 511; major > 0; major--) {
		if (major == kFirstDynamicMajor - 1)
			break;
		if (majors.count(major))
			continue;
		majors[major].insert(baseminor);
		*dev = MKDEV(major, baseminor);
		return 0;
	}
	return -EBUSY;
}

void unregister_chrdev_region(dev_t from, unsigned int)
{
	std::lock_guard lock(nodesMutex);
	auto at = majors.find(MAJOR(from));
	if (at == majors.end())
		return;
	at->second.erase(MINOR(from));
	if (at->second.empty())
		majors.erase(at);
}

/* --- cdevs --- */

namespace
{

void releaseEmbedded(kobject *kobj)
{
	kobject *parent = kobj->parent;
	kobj->parent = nullptr;
	kobject_put(parent);
}

const kobj_type embeddedType = {releaseEmbedded, nullptr, nullptr};

} // namespace

void cdev_init(struct cdev *cdev, const struct file_operations *fops)
{
	*cdev = {};
	INIT_LIST_HEAD(&cdev->list);
	kobject_init(&cdev->kobj, &embeddedType);
	cdev->ops = fops;
}

void cdev_put(struct cdev *cdev)
{
	module *owner = cdev->owner;
	kobject_put(&cdev->kobj);
	module_put(owner);
}

int cdev_add(struct cdev *cdev, dev_t dev, unsigned int count)
{
	if (WARN_ON(!count))
		return -EINVAL;
	cdev->dev = dev;
	cdev->count = count;
	{
		std::lock_guard lock(nodesMutex);
		if (!cdevs.emplace(dev, std::pair(count, cdev)).second)
			return -EBUSY;
	}
	kobject_get(cdev->kobj.parent);
	return 0;
}

void cdev_set_parent(struct cdev *cdev, struct kobject *kobj)
{
	cdev->kobj.parent = kobj;
}

void cdev_del(struct cdev *cdev)
{
	{
		std::lock_guard lock(nodesMutex);
		cdevs.erase(cdev->dev);
	}
	kobject_put(&cdev->kobj);
}

int cdev_device_add(struct cdev *cdev, struct device *dev)
{
	if (dev->devt) {
		cdev_set_parent(cdev, &dev->kobj);
		int ret = cdev_add(cdev, dev->devt, 1);
		if (ret)
			return ret;
	}
	int ret = device_add(dev);
	if (ret && dev->devt)
		cdev_del(cdev);
	return ret;
}

void cdev_device_del(struct cdev *cdev, struct device *dev)
{
	device_del(dev);
	if (dev->devt)
		cdev_del(cdev);
}

/* --- misc devices --- */

namespace
{

/* The caller holds miscMutex. */
int takeMinor(int wanted)
{
	if (wanted != MISC_DYNAMIC_MINOR)
		return miscMinors.emplace(wanted, true).second ? wanted : -EBUSY;
	for (int minor = kMiscMinors - 1; minor >= 0; minor--)
		if (miscMinors.emplace(minor, true).second)
			return minor;
	return -EBUSY;
}

void setMisc(dev_t devt, miscdevice *misc)
{
	std::lock_guard lock(nodesMutex);
	if (misc)
		miscs[devt] = misc;
	else
		miscs.erase(devt);
}

} // namespace

int misc_register(struct miscdevice *misc)
{
	bool dynamic = misc->minor == MISC_DYNAMIC_MINOR;
	mutex_lock(&miscMutex);
	int minor = takeMinor(misc->minor);
	if (minor < 0) {
		mutex_unlock(&miscMutex);
		return minor;
	}
	misc->minor = minor;
	dev_t devt = MKDEV(MISC_MAJOR, static_cast<unsigned>(minor));
	setMisc(devt, misc);
	misc->this_device = device_create_with_groups(&miscClass, misc->parent, devt, misc,
						      misc->groups, "%s", misc->name);
	int ret = PTR_ERR_OR_ZERO(misc->this_device);
	if (ret) {
		setMisc(devt, nullptr);
		miscMinors.erase(minor);
		misc->minor = dynamic ? MISC_DYNAMIC_MINOR : minor;
		misc->this_device = nullptr;
	}
	mutex_unlock(&miscMutex);
	return ret;
}

void misc_deregister(struct miscdevice *misc)
{
	mutex_lock(&miscMutex);
	dev_t devt = MKDEV(MISC_MAJOR, static_cast<unsigned>(misc->minor));
	setMisc(devt, nullptr);
	device_destroy(&miscClass, devt);
	miscMinors.erase(misc->minor);
	/* So that the driver can register the same structure again. */
	if (misc->minor < kMiscMinors)
		misc->minor = MISC_DYNAMIC_MINOR;
	mutex_unlock(&miscMutex);
}
