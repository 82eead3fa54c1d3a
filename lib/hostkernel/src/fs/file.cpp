// SPDX-License-Identifier: GPL-2.0-only
/* Open files, and tables of open files. */
#include "vfs.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include <linux/anon_inodes.h>
#include <linux/cdev.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "chrdev.h"
#include "sched/thread_state.h"

namespace wd::hostkernel
{
namespace
{

std::atomic<uint64_t> filesAlive;
/* Files without references, linked by wd_next. */
thread_local file *deferred; /* until the end of the thread's system call */
std::atomic<file *> delayed; /* until delayedWork runs */
work_struct delayedWork;

void destroy(file *filp)
{
	inode *node = filp->f_inode;
	if (filp->f_op->release)
		filp->f_op->release(node, filp);
	if (node->i_cdev)
		cdev_put(node->i_cdev);
	module_put(filp->f_op->owner);
	put_cred(filp->f_cred);
	inodePut(node);
	filesAlive.fetch_sub(1, std::memory_order_relaxed);
	kfree(filp);
}

void destroyAll(file *filp)
{
	while (filp)
		destroy(std::exchange(filp, filp->wd_next));
}

fmode_t modeOf(int flags)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return FMODE_READ;
	case O_WRONLY:
		return FMODE_WRITE;
	default:
		return FMODE_READ | FMODE_WRITE;
	}
}

} // namespace

uint64_t openFileCount()
{
	return filesAlive.load(std::memory_order_relaxed);
}

file *fileCreate(inode *node, const file_operations *fops, int flags)
{
	auto *filp = static_cast<file *>(kzalloc(sizeof(file), GFP_KERNEL));
	if (!filp)
		return nullptr;
	filp->f_inode = node;
	filp->f_op = fops;
	filp->f_flags = static_cast<unsigned>(flags);
	filp->f_mode = modeOf(flags) | FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	atomic_long_set(&filp->f_count, 1);
	mutex_init(&filp->f_pos_lock);
	filp->f_cred = get_current_cred();
	filp->f_mapping = node->i_mapping;
	filesAlive.fetch_add(1, std::memory_order_relaxed);
	return filp;
}

void fileAbandon(file *filp)
{
	put_cred(filp->f_cred);
	filesAlive.fetch_sub(1, std::memory_order_relaxed);
	kfree(filp);
}

void runDeferredReleases()
{
	while (deferred)
		destroyAll(std::exchange(deferred, nullptr));
}

void delayedReleasesStart()
{
	INIT_WORK(&delayedWork, [](work_struct *) { destroyAll(delayed.exchange(nullptr)); });
}

void waitForDelayedReleases()
{
	flush_work(&delayedWork);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

int files_struct::reserve()
{
	std::lock_guard lock(mutex_);
	unsigned fd = firstFree_;
	while (fd < slots_.size() && (slots_[fd].filp || slots_[fd].reserved))
		fd++;
	if (fd >= rlimit(RLIMIT_NOFILE) || fd >= unsigned{1} << 20)
		return -EMFILE;
	if (fd == slots_.size())
		slots_.emplace_back();
	slots_[fd].reserved = true;
	firstFree_ = fd + 1;
	return static_cast<int>(fd);
}

void files_struct::unreserve(unsigned fd)
{
	std::lock_guard lock(mutex_);
	if (WARN_ON(fd >= slots_.size() || !slots_[fd].reserved))
		return;
	slots_[fd].reserved = false;
	firstFree_ = std::min(firstFree_, fd);
}

void files_struct::install(unsigned fd, file *filp)
{
	std::lock_guard lock(mutex_);
	if (WARN_ON(fd >= slots_.size() || !slots_[fd].reserved))
		return;
	slots_[fd] = {filp, false};
}

file *files_struct::get(unsigned fd)
{
	std::lock_guard lock(mutex_);
	return fd < slots_.size() && slots_[fd].filp ? get_file(slots_[fd].filp) : nullptr;
}

file *files_struct::take(unsigned fd)
{
	std::lock_guard lock(mutex_);
	if (fd >= slots_.size() || !slots_[fd].filp)
		return nullptr;
	firstFree_ = std::min(firstFree_, fd);
	return std::exchange(slots_[fd].filp, nullptr);
}

std::vector<file *> files_struct::takeAll()
{
	std::lock_guard lock(mutex_);
	std::vector<file *> all;
	for (auto &slot : slots_)
		if (slot.filp)
			all.push_back(std::exchange(slot.filp, nullptr));
	firstFree_ = 0;
	return all;
}

struct file *fget(unsigned int fd)
{
	files_struct *files = get_current()->files;
	return files ? files->get(fd) : nullptr;
}

void fput(struct file *filp)
{
	if (!atomic_long_dec_and_test(&filp->f_count))
		return;
	if (threadState.onBehalf) {
		filp->wd_next = std::exchange(deferred, filp);
		return;
	}
	if (!in_atomic() && !threadState.rcuDepth) {
		destroy(filp);
		return;
	}
	filp->wd_next = delayed;
	while (!delayed.compare_exchange_weak(filp->wd_next, filp))
		;
	schedule_work(&delayedWork);
}

int get_unused_fd_flags(unsigned int)
{
	files_struct *files = get_current()->files;
	return files ? files->reserve() : -EMFILE;
}

void put_unused_fd(unsigned int fd)
{
	get_current()->files->unreserve(fd);
}

void fd_install(unsigned int fd, struct file *filp)
{
	get_current()->files->install(fd, filp);
}

/* --- files without a node --- */

struct file *anon_inode_getfile(const char *, const struct file_operations *fops, void *priv,
				int flags)
{
	if (fops->owner && !try_module_get(fops->owner))
		return static_cast<file *>(ERR_PTR(-ENOENT));
	inode *node = inodeCreate(0, 0600);
	file *filp = node ? fileCreate(node, fops, flags) : nullptr;
	if (!filp) {
		if (node)
			inodePut(node);
		module_put(fops->owner);
		return static_cast<file *>(ERR_PTR(-ENOMEM));
	}
	filp->private_data = priv;
	return filp;
}

/* --- operations that drivers share --- */

int nonseekable_open(struct inode *, struct file *filp)
{
	filp->f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE);
	return 0;
}

long compat_ptr_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	if (!filp->f_op->unlocked_ioctl)
		return -ENOIOCTLCMD;
	/* @arg is a 32-bit pointer: clear the upper half. */
	return filp->f_op->unlocked_ioctl(filp, cmd, static_cast<u32>(arg));
}

ssize_t simple_read_from_buffer(void __user *to, size_t count, loff_t *pos, const void *from,
				size_t available)
{
	loff_t at = *pos;
	if (at < 0)
		return -EINVAL;
	if (static_cast<size_t>(at) >= available || !count)
		return 0;
	count = std::min(count, available - static_cast<size_t>(at));
	size_t left = copy_to_user(to, static_cast<const char *>(from) + at, count);
	if (left == count)
		return -EFAULT;
	count -= left;
	*pos = at + static_cast<loff_t>(count);
	return static_cast<ssize_t>(count);
}
